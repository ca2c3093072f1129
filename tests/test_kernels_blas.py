"""Array functions of ``skbn.kernels.blas``."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import CONTIGUOUS, arrays, drawn, each_precision, lengths
from twins import assert_equals_twin, untouched

from skbn.kernels import blas

each_transpose_a = pytest.mark.parametrize("transpose_a", [False, True])
each_transpose_b = pytest.mark.parametrize("transpose_b", [False, True])


@each_precision
@each_transpose_a
@each_transpose_b
@drawn
@given(st.data())
def test_matmul_equals_its_twin(precision, transpose_a, transpose_b, data):
    m, n, k = (data.draw(lengths(smallest=0, largest=9)) for _ in range(3))
    a = data.draw(arrays((k, m) if transpose_a else (m, k), precision.dtype))
    b = data.draw(arrays((n, k) if transpose_b else (k, n), precision.dtype))
    assert_equals_twin(blas.matmul, [precision], a, b, transpose_a, transpose_b, scale=k)


@each_precision
@drawn
@given(st.data(), lengths(smallest=0, largest=40))
def test_inner_equals_its_twin(precision, data, size):
    x, y = (data.draw(arrays((size,), precision.dtype, orders=CONTIGUOUS)) for _ in range(2))
    assert_equals_twin(blas.inner, [precision], x, y, scale=size)


@each_precision
@each_transpose_a
@each_transpose_b
def test_products_of_whole_numbers_are_exact(precision, transpose_a, transpose_b):
    # A wrong leading dimension or swapped operands would move whole numbers to other places.
    m, n, k = 67, 34, 129
    a = (np.arange(m * k) % 7 - 3).astype(precision.dtype)
    b = (np.arange(k * n) % 5 - 2).astype(precision.dtype)
    a = a.reshape((k, m) if transpose_a else (m, k))
    b = b.reshape((n, k) if transpose_b else (k, n))
    c = untouched(blas.matmul, a, b, transpose_a=transpose_a, transpose_b=transpose_b)
    np.testing.assert_array_equal(c, (a.T if transpose_a else a) @ (b.T if transpose_b else b))


SINGLE, DOUBLE = np.ones((2, 3), np.float32), np.ones((2, 3))


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        (blas.matmul, (DOUBLE, DOUBLE), "op\\(A\\) has 3 columns and op\\(B\\) has 2 rows"),
        (blas.matmul, (DOUBLE, DOUBLE[0]), "must be matrices"),
        (blas.matmul, (DOUBLE, SINGLE.T), "dtype mismatch"),
        (blas.matmul, (SINGLE, DOUBLE.T), "dtype mismatch"),
        (blas.inner, (np.ones(3), np.ones(2)), "x has 3 entries and y has 2"),
        (blas.inner, (SINGLE[0], np.ones(3)), "dtype mismatch"),
    ],
)
def test_bad_input_is_refused(function, arguments, message):
    with pytest.raises(ValueError, match=message):
        untouched(function, *arguments)


def test_more_entries_than_blas_counts_are_refused():
    # 2^31 columns of a table without rows take no memory.
    a = np.zeros((0, 2**31))
    with pytest.raises(ValueError, match="more than BLAS can count"):
        blas.matmul(a, np.zeros((2**31, 0)))

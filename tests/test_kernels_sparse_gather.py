"""The array function of ``skbn.kernels.sparse_gather``."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csc_array, csr_array
from strategies import BOTH, drawn, each_index, each_precision, each_sparse
from test_kernels_sparse_linear import table
from twins import assert_equals_twin

from skbn.kernels import gather, sparse_gather


@each_precision
@pytest.mark.parametrize("table_precision", BOTH, ids="table-{}".format)
@each_sparse
@each_index
@pytest.mark.parametrize("normalized", [False, True])
@drawn
@given(st.data())
def test_it_equals_its_twin(precision, table_precision, kind, index, normalized, data):
    X, _, _, options = table(data, table_precision.dtype, kind, index, normalized)
    # SciPy adds up duplicates in the dtype of the table, its twin in float64.
    X = X.copy()
    X.sum_duplicates()
    assert_equals_twin(sparse_gather.gather, [precision], X, dtype=precision.dtype, **options)


def test_the_rows_are_those_of_the_dense_table():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((30, 7)) * (rng.random((30, 7)) < 0.3)
    mean, invstd, rows = rng.standard_normal(7), rng.random(7), rng.integers(0, 30, 50)
    dense = gather.gather(X, rows, mean, invstd)
    np.testing.assert_array_equal(sparse_gather.gather(csr_array(X), rows, mean, invstd), dense)


def test_duplicates_are_added_up():
    X = csr_array((np.array([1.0, 2.0, 4.0]), [1, 1, 0], [0, 2, 3]), shape=(2, 2))
    np.testing.assert_array_equal(sparse_gather.gather(X), [[0.0, 3.0], [4.0, 0.0]])
    assert X.nnz == 3


@pytest.mark.parametrize(
    ("X", "rows", "mean", "message"),
    [
        (csc_array(np.eye(3)), None, None, "X must be a CSR matrix"),
        (csr_array(np.eye(3)), [3], None, "rows must be one or more of 0 to 2"),
        (csr_array(np.eye(3)), None, np.zeros(3), "belong together"),
        (csr_array(np.eye(3, dtype=int)), None, None, "X must be float32 or float64"),
    ],
)
def test_bad_operands_are_refused(X, rows, mean, message):
    with pytest.raises(ValueError, match=message):
        sparse_gather.gather(X, rows, mean)

"""The array function of ``skbn.kernels.normalized_sum``."""

import numpy as np
import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st
from refusals import assert_refused, refused
from strategies import FLOAT64, arrays, drawn, each_precision, in_order, lengths
from tables import far_offsets, far_rows, operands
from twins import assert_equals_twin, untouched

from skbn.kernels import batchnorm, normalized_sum

offsets = st.sampled_from([0.0, 1.0, -100.0])


@each_precision
@pytest.mark.parametrize("add", [False, True])
@pytest.mark.parametrize(
    "given_columns",
    [
        (),
        ("beta",),
        ("batch_mean", "batch_invstd"),
        ("batch_mean", "batch_invstd", "gamma"),
        ("batch_mean", "batch_invstd", "gamma", "beta"),
    ],
    ids=lambda names: "-".join(names) or "plain",
)
@drawn
@given(st.data(), lengths(0, 40), lengths(0), offsets)
def test_combine_equals_its_twin(precision, add, given_columns, data, n, d, offset):
    y = data.draw(arrays((n, d), precision.dtype, orders=["C"]))
    x = data.draw(arrays((n, d), precision.dtype, offset=offset))
    columns = {
        name: data.draw(
            arrays(
                (d,),
                np.float64 if name.startswith("batch") else precision.dtype,
                offset=offset if name == "batch_mean" else 0.0,
            )
        )
        for name in given_columns
    }
    assert_equals_twin(
        normalized_sum.combine, [precision], y, x, changed=1, scale=30, add=add, **columns
    )


@each_precision
@pytest.mark.parametrize("add", [False, True])
def test_combine_keeps_to_some_of_the_columns(precision, add):
    # x and y are columns of wider matrices. The second y has its rows in reversed order.
    wide = np.arange(30.0).reshape(6, 5).astype(precision.dtype)
    x = np.arange(24.0).reshape(6, 4).astype(precision.dtype)[:, 2:]
    expected = wide.astype(np.float64)
    for y, twin in ((wide, expected), (wide[::-1], expected[::-1])):
        untouched(normalized_sum.combine, y[:, 1:3], x, beta=[1.0, 2.0], changed=1, add=add)
        reference.normalized_sum.combine(twin[:, 1:3], x, beta=np.array([1.0, 2.0]), add=add)
        np.testing.assert_array_equal(wide, expected)


def test_combine_takes_what_it_writes_to():
    x, _, gamma, beta = operands(6, 3)
    _, mean, _, invstd = batchnorm.forward(x, gamma, beta)
    y = x.copy()
    normalized_sum.combine(y, y[::-1], gamma, beta, mean, invstd)
    expected = x.copy()
    reference.normalized_sum.combine(expected, x[::-1], gamma, beta, mean, invstd)
    FLOAT64.assert_close(y, expected, scale=10)


@far_offsets
def test_combine_loses_nothing_at_a_large_offset(precision, offset):
    x = far_rows(precision, offset, 50)
    mean, var = reference.moments.batch_moments(x)
    # The mean lies between two numbers of the dtype of x.
    mean, gamma = mean + 1e-5, np.array([1.0, -2.0, 0.5], precision.dtype)
    y, beta = np.zeros_like(x), np.ones(3, precision.dtype)
    assert_equals_twin(
        normalized_sum.combine, [precision], y, x, gamma, beta, mean, 1 / np.sqrt(var),
        changed=1, scale=10,
    )  # fmt: skip


X, COLUMN, ROW = np.ones((4, 2)), np.ones(2), np.ones(4)
BAD_COLUMN = [
    (np.ones(3), "expected shape \\(2,\\) for 2 columns, got \\(3,\\)"),
    (np.ones((1, 2)), "expected shape"),
    (1.0, "expected shape"),
]


@refused(
    (
        0,
        [
            (ROW, "y must have shape \\(n, d\\) and contiguous rows"),
            (X[:3], "x has shape \\(4, 2\\) and dtype float64, y has \\(3, 2\\)"),
            (X.astype(np.float32), "and dtype float64, y has .* and float32"),
            (X.astype(np.int64), "y must be float32 or float64, got int64"),
            (X.tolist(), "y must be an array"),
            (np.asfortranarray(X), "contiguous rows"),
            (in_order(X, "packed"), "not aligned"),
            (in_order(X, "read-only"), "read-only"),
        ],
    ),
    (1, [(X[:3], "x has shape"), (ROW, "x has shape"), (X.astype(int), "x must be float32")]),
    *((position, BAD_COLUMN) for position in (2, 3, 4, 5)),
    (4, [(None, "go together")]),
    (5, [(None, "go together")]),
)
def test_combine_refuses_bad_input(position, bad, message):
    arguments = (X.copy(), X, COLUMN, COLUMN, COLUMN, COLUMN)
    assert_refused(normalized_sum.combine, arguments, position, bad, message)
    np.testing.assert_array_equal(arguments[0], X)


def test_combine_refuses_a_scale_of_rows_that_are_not_normalized():
    with pytest.raises(ValueError, match="gamma scales normalized rows"):
        normalized_sum.combine(X.copy(), X, COLUMN)

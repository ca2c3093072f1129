"""Array functions of ``skbn.kernels.sparse_linear``: dense maps of tables that stay sparse."""

import numpy as np
import pytest
from differences import gradient
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csc_array, csr_array, csr_matrix
from strategies import (
    BOTH,
    arrays,
    drawn,
    each_index,
    each_precision,
    each_sparse,
    in_csr,
    lengths,
    sparse_tables,
)
from twins import assert_equals_twin, untouched

from skbn.kernels import linear, sparse_linear

each_table = pytest.mark.parametrize("table_precision", BOTH, ids="table-{}".format)
each_normalization = pytest.mark.parametrize("normalized", [False, True])


def table(data, dtype, kind, index, normalized):
    """A table, its size, and what else the array functions take of it: rows and statistics."""
    n, d = data.draw(lengths(largest=12)), data.draw(lengths())
    X = data.draw(sparse_tables((n, d), dtype, kind, index))
    assert (X.data.dtype, X.indices.dtype, X.indptr.dtype) == (dtype, index, index)
    # Rows in any order, and repeated.
    chosen = st.lists(st.integers(0, n - 1), min_size=1, max_size=20).map(np.array)
    options = {"rows": data.draw(st.none() | chosen)}
    if normalized:
        options["mean"] = data.draw(arrays((d,), np.float64))
        options["invstd"] = data.draw(arrays((d,), np.float64))
    return X, n if options["rows"] is None else len(options["rows"]), d, options


@each_precision
@each_table
@each_sparse
@each_index
@each_normalization
@drawn
@given(st.data())
def test_forward_equals_its_twin(precision, table_precision, kind, index, normalized, data):
    X, _, d, options = table(data, table_precision.dtype, kind, index, normalized)
    n_out = data.draw(lengths())
    weights = data.draw(arrays((d, n_out), precision.dtype))
    options["bias"] = data.draw(st.none() | arrays((n_out,), precision.dtype))
    assert_equals_twin(
        sparse_linear.forward, [precision], X, weights, **options, scale=10 + X.nnz + d
    )


@each_precision
@each_table
@each_sparse
@each_index
@each_normalization
@drawn
@given(st.data())
def test_backward_equals_its_twin(precision, table_precision, kind, index, normalized, data):
    X, n, _, options = table(data, table_precision.dtype, kind, index, normalized)
    dy = data.draw(arrays((n, data.draw(lengths())), precision.dtype))
    assert_equals_twin(
        sparse_linear.backward, [precision] * 2, dy, X, **options, scale=10 + X.nnz + n
    )


def operands(n=6, n_in=5, n_out=3, seed=0):
    """A table with rows and columns without entries, its normalization, weights and bias."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, n_in)) * (rng.random((n, n_in)) < 0.5)
    x[2], x[:, 1] = 0.0, 0.0
    mean, invstd = rng.standard_normal(n_in), rng.uniform(0.5, 2.0, size=n_in)
    return x, mean, invstd, rng.standard_normal((n_in, n_out)), rng.standard_normal(n_out)


@each_normalization
@pytest.mark.parametrize("rows", [None, [4, 0, 4, 2, 2, 2, 5]])
def test_it_is_the_linear_map_of_the_dense_rows(normalized, rows):
    x, mean, invstd, weights, bias = operands()
    if not normalized:
        mean = invstd = None
    dense = x if rows is None else x[rows]
    dense = (dense - mean) * invstd if normalized else dense
    y = sparse_linear.forward(csr_array(x), weights, bias, rows, mean, invstd)
    np.testing.assert_allclose(y, linear.forward(dense, weights, bias), rtol=1e-12, atol=1e-14)
    dy = np.random.default_rng(1).standard_normal(y.shape)
    dweights, dbias = sparse_linear.backward(dy, csr_array(x), rows, mean, invstd)
    _, dense_dweights, dense_dbias = linear.backward(dy, dense, weights)
    np.testing.assert_allclose(dweights, dense_dweights, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(dbias, dense_dbias, rtol=1e-12, atol=1e-14)


@each_normalization
def test_gradient(normalized):
    x, mean, invstd, weights, bias = operands()
    X, rows = csr_matrix(x), [0, 3, 3, 5, 2]
    if not normalized:
        mean = invstd = None
    dy = np.random.default_rng(1).standard_normal((5, 3))

    def loss(weights, bias):
        return np.sum(dy * sparse_linear.forward(X, weights, bias, rows, mean, invstd))

    dweights, dbias = sparse_linear.backward(dy, X, rows, mean, invstd)
    expected = gradient(lambda v: loss(v, bias), weights)
    np.testing.assert_allclose(dweights, expected, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(dbias, gradient(lambda v: loss(weights, v), bias), rtol=1e-9)


@each_precision
def test_parts_of_an_entry_are_added_in_any_order(precision):
    data = np.array([1.0, 2.0, 4.0, 8.0], precision.dtype)
    parts = in_csr(csr_array, data, [2, 0, 2, 2], [0, 3, 3, 4], (3, 3))
    weights = np.array([[1.0], [10.0], [100.0]], precision.dtype)
    np.testing.assert_array_equal(sparse_linear.forward(parts, weights), [[502.0], [0.0], [800.0]])
    dweights, dbias = sparse_linear.backward(np.ones((3, 1), precision.dtype), parts)
    np.testing.assert_array_equal(dweights, [[2.0], [0.0], [13.0]])
    np.testing.assert_array_equal(dbias, [3.0])


@each_precision
@each_sparse
def test_a_table_without_entries_has_the_bias_and_what_the_means_leave(precision, kind):
    X = kind((4, 2), dtype=precision.dtype)
    weights, bias = np.eye(2, dtype=precision.dtype), np.array([1.0, 2.0], precision.dtype)
    np.testing.assert_array_equal(sparse_linear.forward(X, weights), np.zeros((4, 2)))
    statistics = {"mean": [3.0, 0.0], "invstd": [0.5, 2.0]}
    y = sparse_linear.forward(X, weights, bias, **statistics)
    np.testing.assert_array_equal(y, [[-0.5, 2.0]] * 4)
    dweights, dbias = sparse_linear.backward(np.ones_like(y), X, **statistics)
    np.testing.assert_array_equal(dweights, [[-6.0, -6.0], [0.0, 0.0]])
    np.testing.assert_array_equal(dbias, [4.0, 4.0])


@each_precision
def test_a_constant_column_carries_nothing(precision):
    # Its reciprocal standard deviation is 0, and so is the rounding of a large value.
    x = np.array([[1e8, 1.0], [1e8, 0.0], [1e8, -1.0]], precision.dtype)
    statistics = {"mean": [1e8, 0.0], "invstd": [0.0, 2.0]}
    weights = np.array([[1e8], [1.0]], precision.dtype)
    y = sparse_linear.forward(csr_array(x), weights, **statistics)
    np.testing.assert_array_equal(y, [[2.0], [0.0], [-2.0]])
    dweights, _ = sparse_linear.backward(np.ones_like(y), csr_array(x), **statistics)
    np.testing.assert_array_equal(dweights, 0.0)


@each_precision
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_reaches_its_row_alone(precision, value):
    x = np.eye(3, dtype=precision.dtype)
    x[1, 1] = value
    y = sparse_linear.forward(csr_array(x), np.ones((3, 2), precision.dtype))
    np.testing.assert_array_equal(np.isfinite(y).all(axis=1), [True, False, True])


X, WEIGHTS, COLUMN = csr_array(np.eye(4, 3)), np.ones((3, 2)), np.ones(3)

BAD_TABLES = [
    (X, {"rows": [0, 4]}, "rows must be one or more of 0 to 3"),
    (X, {"rows": [-1]}, "rows must be one or more of 0 to 3"),
    (X, {"rows": []}, "rows must be one or more of 0 to 3"),
    (X, {"rows": [[0, 1, 2, 3]]}, "wrong number of dimensions"),
    (X[:0], {}, "rows must be one or more"),
    (X, {"mean": COLUMN}, "belong together"),
    (X, {"invstd": COLUMN}, "belong together"),
    (X, {"mean": COLUMN[:2], "invstd": COLUMN}, "must have shape \\(3,\\)"),
    (X, {"mean": COLUMN, "invstd": WEIGHTS}, "must have shape \\(3,\\)"),
    (X.astype(np.int64), {}, "X must be float32 or float64, got int64"),
    # What would be read as if it were CSR.
    (csc_array(X), {}, "X must be a CSR matrix or array"),
    (X.toarray(), {}, "X must be a CSR matrix or array"),
]


@pytest.mark.parametrize(("table", "options", "message"), BAD_TABLES)
def test_bad_tables_are_refused(table, options, message):
    with pytest.raises(ValueError, match=message):
        untouched(sparse_linear.forward, table, WEIGHTS, **options)
    with pytest.raises(ValueError, match=message):
        untouched(sparse_linear.backward, np.ones((4, 2)), table, **options)


@pytest.mark.parametrize(
    ("weights", "bias", "message"),
    [
        (np.ones((2, 3)), None, "weights must have shape \\(3, n_out\\), got \\(2, 3\\)"),
        (np.ones(3), None, "weights must have shape"),
        (np.ones((3, 0)), None, "weights must have shape"),
        (np.ones((3, 2), int), None, "weights must be float32 or float64, got int64"),
        (WEIGHTS, np.ones(3), "bias must have shape \\(2,\\), got \\(3,\\)"),
        (WEIGHTS, np.ones(2, np.float32), "mismatch"),
    ],
)
def test_bad_weights_are_refused(weights, bias, message):
    with pytest.raises(ValueError, match=message):
        untouched(sparse_linear.forward, X, weights, bias)


@pytest.mark.parametrize(
    ("dy", "message"),
    [
        (np.ones((3, 2)), "dy must have shape \\(4, n_out\\), got \\(3, 2\\)"),
        (np.ones(4), "dy must have shape"),
        (np.ones((4, 0)), "dy must have shape"),
        (np.ones((4, 2), int), "dy must be float32 or float64, got int64"),
    ],
)
def test_bad_gradients_are_refused(dy, message):
    with pytest.raises(ValueError, match=message):
        untouched(sparse_linear.backward, dy, X)


def test_a_table_without_columns_is_refused():
    empty = csr_array((4, 0))
    with pytest.raises(ValueError, match="X must have"):
        sparse_linear.forward(empty, np.ones((0, 2)))
    with pytest.raises(ValueError, match="X must have"):
        sparse_linear.backward(np.ones((4, 2)), empty)

"""Array functions of ``skbn.kernels.fused_cells``."""

import numpy as np
import pytest
from strategies import Precision
from twins import assert_equals_twin

from skbn.kernels import fused_cells, layer

pytestmark = pytest.mark.skipif(layer.lanes() == 0, reason="this processor has no fused cells")

# Rows that end in a whole vector, in a part of one, and in one alone, for every instruction set.
SHAPES = [(1, 1), (3, 5), (2, 16), (17, 33), (40, 100)]
each_shape = pytest.mark.parametrize(("n", "d"), SHAPES)
each_state = pytest.mark.parametrize("is_first", [False, True], ids=["later", "first"])
each_norm = pytest.mark.parametrize("is_normalized", [False, True], ids=["plain", "normalized"])

# Parts far from 0 lose digits before they are normalized.
PRECISION = Precision(np.float32, 3e-6)


def matrix(n, d, seed=0, offset=0.0):
    rng = np.random.default_rng([n, d, seed])
    return (offset + rng.standard_normal((n, d))).astype(np.float32)


def norm_of(x, is_normalized):
    if not is_normalized:
        return None
    d = x.shape[1]
    gamma, beta = matrix(2, d, seed=9)
    return np.mean(x, axis=0, dtype=float), np.full(d, 0.7), gamma, beta


def later_of(x):
    """The rows that have a next step: all, some or none of them."""
    return None if len(x) == 1 else matrix(len(x) // 2, x.shape[1], seed=5)


@each_shape
@each_state
@each_norm
def test_lstm_equals_its_twins(n, d, is_first, is_normalized):
    a, u = matrix(n, 4 * d, 1, offset=3.0), None if is_first else matrix(n, 4 * d, 2)
    c, dh, dc = matrix(n, d, 3), matrix(n, d, 4), matrix(n, d, 5)
    before = None if is_first else c
    norms = norm_of(a, is_normalized), norm_of(a if u is None else u, is_normalized)
    gates, c = assert_equals_twin(fused_cells.lstm, [PRECISION] * 2, a, u, before, *norms)
    _, tanh_c = assert_equals_twin(
        fused_cells.lstm_output, [PRECISION] * 2, gates, c, norm_of(c, is_normalized)
    )
    later = later_of(c)
    if is_normalized:
        _, gates = assert_equals_twin(
            fused_cells.lstm_output_gradient, [PRECISION] * 2, dh, gates, tanh_c, later
        )
        arguments = dc, gates, before, later
    else:
        arguments = tanh_c, gates, before, later, dh, later
    assert_equals_twin(fused_cells.lstm_gradient, [PRECISION] * 2, *arguments)


@each_shape
@each_state
@each_norm
def test_gru_equals_its_twins(n, d, is_first, is_normalized):
    a, u = matrix(n, 3 * d, 1, offset=3.0), None if is_first else matrix(n, 3 * d, 2)
    before, dh, bias = None if is_first else matrix(n, d, 3), matrix(n, d, 4), matrix(1, d, 5)[0]
    norms = norm_of(a, is_normalized), norm_of(a if u is None else u, is_normalized)
    gates, candidate, _ = assert_equals_twin(
        fused_cells.gru, [PRECISION] * 3, a, u, bias, before, *norms
    )
    assert_equals_twin(
        fused_cells.gru_gradient, [PRECISION] * 3, dh, gates, candidate, before, later_of(dh)
    )


@each_shape
@each_state
@each_norm
def test_tanh_equals_its_twin(n, d, is_first, is_normalized):
    a, u = matrix(n, d, 1, offset=3.0), None if is_first else matrix(n, d, 2)
    norms = norm_of(a, is_normalized), norm_of(a if u is None else u, is_normalized)
    assert_equals_twin(fused_cells.tanh, [PRECISION], a, u, *norms)


@each_shape
@pytest.mark.parametrize("offset", [0.0, 100.0])
def test_norms_equal_their_twins(n, d, offset):
    x, dy = matrix(n, d, 1, offset), matrix(n, d, 2)
    mean, var = assert_equals_twin(fused_cells.norm_moments, [Precision(np.float64, 1e-6)] * 2, x)
    # Rounded are deviations from a row, however far the mean is from 0.
    np.testing.assert_allclose(mean, np.mean(x, axis=0, dtype=float), rtol=0, atol=5e-7)
    gamma = matrix(1, d, 3)[0]
    assert_equals_twin(
        fused_cells.norm_gradient,
        [PRECISION, Precision(np.float64, 2e-6), Precision(np.float64, 2e-6)],
        dy, x, mean, 1.0 / np.sqrt(var + 1e-5), gamma, scale=n**0.5,
    )  # fmt: skip


def test_a_constant_column_has_no_variance():
    x = np.full((50, 3), 0.1, np.float32)
    mean, var = fused_cells.norm_moments(x)
    np.testing.assert_array_equal(mean, np.float64(np.float32(0.1)))
    np.testing.assert_array_equal(var, 0.0)


def test_squares_too_small_for_float32_are_summed_up_in_float64():
    x = matrix(30, 4) * np.float32(1e-25)
    _, var = fused_cells.norm_moments(x)
    np.testing.assert_allclose(var, np.var(x.astype(float), axis=0), rtol=1e-6)


def test_the_tangent_is_exact_to_a_few_units_everywhere():
    x = np.concatenate([np.linspace(-10, 10, 4001), [0.0, -0.0, 1e-30, 50.0, -1e9, np.inf]])
    y = fused_cells.tanh(x[np.newaxis].astype(np.float32))[0]
    exact = np.tanh(x.astype(np.float32).astype(float))
    np.testing.assert_allclose(y, exact, rtol=5 * np.finfo(np.float32).eps, atol=0)
    np.testing.assert_array_equal(np.signbit(y), np.signbit(x))


def test_nan_reaches_its_unit_alone():
    d, nan = 20, np.arange(20) == 7
    for gate in range(4):
        a = np.ones((2, 4 * d), np.float32)
        a[1, gate * d + 7] = np.nan
        gates, c = fused_cells.lstm(a, None, np.ones((2, d)))
        h, _ = fused_cells.lstm_output(gates, c)
        np.testing.assert_array_equal(np.isnan(h[1]), nan)
        assert not np.isnan(h[0]).any()


def test_far_pre_activations_keep_or_replace_the_state_exactly():
    state = np.array([[0.25, -3.0]], np.float32)
    far, ones = np.float32(1e4), np.ones_like(state)
    _, c = fused_cells.lstm(np.hstack([-far * ones, far * ones, ones, ones]), None, state)
    np.testing.assert_array_equal(c, state)
    _, _, h = fused_cells.gru(np.hstack([ones, far * ones, ones]), None, 1.0, state)
    np.testing.assert_array_equal(h, state)


def test_equal_rows_give_equal_rows():
    a = np.repeat(matrix(1, 4 * 21), 9, axis=0)
    for result in fused_cells.lstm(a, a):
        np.testing.assert_array_equal(result, result[:1].repeat(9, axis=0))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fused_cells.lstm(np.ones((2, 5))), "part_a must have shape"),
        (lambda: fused_cells.lstm(np.ones((0, 4))), "part_a must have shape"),
        (lambda: fused_cells.lstm(np.ones((2, 8)), np.ones((2, 4))), "part_u has shape"),
        (lambda: fused_cells.lstm(np.ones((2, 8)), None, np.ones((3, 2))), "c_previous has shape"),
        (lambda: fused_cells.gru(np.ones((2, 6)), bias=np.ones(3)), "broadcast"),
        (lambda: fused_cells.tanh(np.ones((2, 3)), a_norm=(np.ones(2),) * 4), "does not fit 3"),
        (lambda: fused_cells.norm_moments(np.ones(3)), "must have shape"),
        (
            lambda: fused_cells.lstm_output_gradient(
                np.ones((2, 1)), np.ones((2, 4)), np.ones((2, 1)), np.ones((3, 1))
            ),
            "dh_later has shape",
        ),
        (
            lambda: fused_cells.lstm_gradient(
                np.ones((2, 1)), np.ones((2, 4)), None, np.ones((1, 1)), np.ones((2, 1))
            ),
            "must have the same rows",
        ),
    ],
)
def test_what_does_not_fit_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    ("door", "arguments"),
    [
        ("lstm", (None,)),
        ("lstm_output", (None, np.ones((3, 2)))),
        ("lstm_output", (np.ones((3, 8)), None)),
        ("lstm_output_gradient", (None, np.ones((3, 8)), np.ones((3, 2)))),
        ("lstm_gradient", (None, np.ones((3, 8)))),
        ("gru", (None,)),
        ("gru_gradient", (np.ones((3, 2)), None, np.ones((3, 2)))),
        ("tanh", (None,)),
        ("norm_moments", (None,)),
        ("norm_gradient", (None, np.ones((3, 2)), np.ones(2), np.ones(2), np.ones(2))),
    ],
)
def test_a_matrix_that_is_needed_is_not_none(door, arguments):
    with pytest.raises(ValueError, match=r"got None"):
        getattr(fused_cells, door)(*arguments)

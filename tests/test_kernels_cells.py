"""Array functions of ``skbn.kernels.cells``."""

import inspect

import numpy as np
import pytest
from differences import gradient
from hypothesis import given
from hypothesis import strategies as st
from strategies import arrays, drawn, each_precision, lengths
from twins import assert_equals_twin, untouched

from skbn.kernels import cells

each_previous = pytest.mark.parametrize("previous", [False, True], ids=["first", "later"])


def step(data, dtype, n_gates, n_states, previous):
    """Pre-activations of a step, `n_states` matrices of a state's shape, and a state before."""
    n, d = data.draw(lengths(largest=9)), data.draw(lengths(largest=9))
    z = data.draw(arrays((n, n_gates * d), dtype))
    states = [data.draw(arrays((n, d), dtype)) for _ in range(n_states)]
    return z, *states, data.draw(arrays((n, d), dtype)) if previous else None


@each_precision
@each_previous
@drawn
@given(st.data())
def test_lstm_equals_its_twins(precision, previous, data):
    z, normalized, dh, dc, c_previous = step(data, precision.dtype, 4, 3, previous)
    gates, _ = assert_equals_twin(cells.lstm, [precision] * 2, z, c_previous)
    # Between the state and the output stands a normalization, so it is any matrix.
    _, tanh_c = assert_equals_twin(cells.lstm_output, [precision] * 2, gates, normalized)
    _, gates = assert_equals_twin(cells.lstm_output_gradient, [precision] * 2, dh, gates, tanh_c)
    assert_equals_twin(cells.lstm_gradient, [precision] * 2, dc, gates, c_previous)


@each_precision
@each_previous
@drawn
@given(st.data())
def test_gru_equals_its_twins(precision, previous, data):
    z, u, dh, h_previous = step(data, precision.dtype, 3, 2, previous)
    gates, _ = assert_equals_twin(cells.gru, [precision] * 2, z, u, h_previous)
    assert_equals_twin(cells.gru_gradient, [precision] * 3, dh, gates, u, h_previous)


@each_precision
@pytest.mark.parametrize(("n", "d"), [(1, 1), (1, 300), (300, 1), (65, 33)])
@each_previous
def test_extreme_shapes_equal_their_twins(precision, n, d, previous):
    rng = np.random.default_rng(n + d)
    z = rng.standard_normal((n, 4 * d)).astype(precision.dtype)
    u, dh, state = rng.standard_normal((3, n, d)).astype(precision.dtype)
    state = state if previous else None
    gates, c = assert_equals_twin(cells.lstm, [precision] * 2, z, state)
    assert_equals_twin(cells.lstm_output, [precision] * 2, gates, c)
    assert_equals_twin(cells.lstm_output_gradient, [precision] * 2, dh, gates, c)
    assert_equals_twin(cells.lstm_gradient, [precision] * 2, dh, gates, state)
    z = np.ascontiguousarray(z[:, d:])
    gates, _ = assert_equals_twin(cells.gru, [precision] * 2, z, u, state)
    assert_equals_twin(cells.gru_gradient, [precision] * 3, dh, gates, u, state)


def operands(n_gates, previous, n=3, d=2):
    rng = np.random.default_rng(n_gates)
    z = rng.standard_normal((n, n_gates * d))
    u, dh, dc, state = rng.standard_normal((4, n, d))
    return z, u, dh, dc, state if previous else None


def assert_gradient(actual, function, x):
    np.testing.assert_allclose(actual, gradient(function, x), rtol=1e-9, atol=1e-11)


@each_previous
def test_gradient_of_lstm(previous):
    # The state goes to the output and, with the weights dc, on to the next step.
    z, _, dh, dc, c_previous = operands(4, previous)

    def loss(z, c_previous):
        gates, c = cells.lstm(z, c_previous)
        return np.sum(dh * cells.lstm_output(gates, c)[0]) + np.sum(dc * c)

    gates, c = cells.lstm(z, c_previous)
    _, tanh_c = cells.lstm_output(gates, c)
    of_output, gates = cells.lstm_output_gradient(dh, gates, tanh_c)
    dz, dc_previous = cells.lstm_gradient(dc + of_output, gates, c_previous)
    assert_gradient(dz, lambda z: loss(z, c_previous), z)
    if previous:
        assert_gradient(dc_previous, lambda c: loss(z, c), c_previous)


def test_gradient_of_the_output_of_lstm_for_any_state():
    z, c, dh, *_ = operands(4, False)
    gates, _ = cells.lstm(z)
    _, tanh_c = cells.lstm_output(gates, c)
    dc, _ = cells.lstm_output_gradient(dh, gates, tanh_c)
    assert_gradient(dc, lambda c: np.sum(dh * cells.lstm_output(gates, c)[0]), c)


@each_previous
def test_gradient_of_gru(previous):
    z, u, dh, _, h_previous = operands(3, previous)
    d = u.shape[1]

    def loss(z, u, h_previous):
        return np.sum(dh * cells.gru(z, u, h_previous)[1])

    gates, _ = cells.gru(z, u, h_previous)
    dz, da, dh_previous = cells.gru_gradient(dh, gates, u, h_previous)
    # In the place of n stands the gradient of u.
    dz, du = np.hstack([dz[:, : 2 * d], da]), dz[:, 2 * d :]
    assert_gradient(dz, lambda z: loss(z, u, h_previous), z)
    assert_gradient(du, lambda u: loss(z, u, h_previous), u)
    if previous:
        assert_gradient(dh_previous, lambda h: loss(z, u, h), h_previous)


@each_precision
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_no_state_before_is_a_state_of_0(precision, cell):
    z, u, dh, *_ = (a if a is None else a.astype(precision.dtype) for a in operands(12, False))
    d = u.shape[1]
    zeros = np.zeros_like(u)

    def passes(*previous):
        if cell == "gru":
            gates, h = cells.gru(z[:, : 3 * d], u, *previous)
            return gates, h, *cells.gru_gradient(dh, gates, u, *previous)
        gates, c = cells.lstm(z[:, : 4 * d], *previous)
        dz, dc_previous = cells.lstm_gradient(dh, gates, *previous)
        # Nobody asks for the gradient of a state that is none: it is left as it was.
        np.testing.assert_array_equal(dc_previous == dh, not previous)
        return gates, c, dz

    for result, expected in zip(passes(), passes(zeros), strict=True):
        np.testing.assert_array_equal(result, expected)


@each_precision
def test_far_pre_activations_keep_or_replace_the_state_exactly(precision):
    far = precision.dtype(1e4)
    state = np.array([[0.25, -3.0]], precision.dtype)
    ones = np.ones_like(state)
    # Gates i shut and f open, and a GRU's z open: nothing but the state before.
    _, c = cells.lstm(np.hstack([-far * ones, far * ones, ones, ones]), state)
    np.testing.assert_array_equal(c, state)
    _, h = cells.gru(np.hstack([ones, far * ones, ones]), ones, state)
    np.testing.assert_array_equal(h, state)
    # The other way round: nothing of it.
    _, c = cells.lstm(np.hstack([far * ones, -far * ones, far * ones, ones]), state)
    np.testing.assert_array_equal(c, 1.0)
    _, h = cells.gru(np.hstack([ones, -far * ones, far * ones]), ones, state)
    np.testing.assert_array_equal(h, 1.0)


@each_precision
def test_nan_reaches_its_unit_alone(precision):
    d, nan = 3, np.array([[False, True, False]])
    z = np.ones((1, 4 * d), precision.dtype)
    for gate in range(4):
        broken = z.copy()
        broken[0, gate * d + 1] = np.nan
        gates, c = cells.lstm(broken)
        h, _ = cells.lstm_output(gates, c)
        np.testing.assert_array_equal(np.isnan(c if gate in (0, 2) else h), nan * (gate != 1))
    for gate in range(3):
        broken = z[:, : 3 * d].copy()
        broken[0, gate * d + 1] = np.nan
        _, h = cells.gru(broken, z[:, :d])
        np.testing.assert_array_equal(np.isnan(h), nan)


GATES, GRU_GATES, STATE = np.ones((2, 12)), np.ones((2, 9)), np.ones((2, 3))
CALLS = [
    (cells.lstm, (GATES, STATE), 0),
    (cells.lstm_output, (GATES, STATE), 0),
    (cells.lstm_output_gradient, (STATE, GATES, STATE), 1),
    (cells.lstm_gradient, (STATE, GATES, STATE), 1),
    (cells.gru, (GRU_GATES, STATE, STATE), 0),
    (cells.gru_gradient, (STATE, GRU_GATES, STATE, STATE), 1),
]
each_call = pytest.mark.parametrize(
    ("door", "arguments", "gates"), CALLS, ids=[door.__name__ for door, *_ in CALLS]
)


@each_call
@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.ones((2, 11)), "must have shape \\(n, [34] d\\), got \\(2, 11\\)"),
        (np.ones(12), "must have shape"),
        (np.ones((2, 0)), "must have shape"),
        (np.ones((0, 12)), "must have shape"),
        (np.ones((2, 12), np.int64), "must be float32 or float64, got int64"),
        (np.ones((2, 12), np.float16), "must be float32 or float64, got float16"),
        (None, "must be float32 or float64"),
    ],
)
def test_bad_gates_are_refused(door, arguments, gates, bad, message):
    with pytest.raises(ValueError, match=message):
        untouched(door, *arguments[:gates], bad, *arguments[gates + 1 :])


@each_call
@pytest.mark.parametrize("bad", [np.ones((2, 4)), np.ones((3, 3)), np.ones((1, 3)), STATE[0], 1.0])
def test_states_of_another_shape_are_refused(door, arguments, gates, bad):
    for position in range(len(arguments)):
        if position != gates:
            with pytest.raises(ValueError, match="must have shape \\(2, 3\\), got"):
                untouched(door, *arguments[:position], bad, *arguments[position + 1 :])


@each_call
def test_only_the_state_before_may_be_none(door, arguments, gates):
    parameters = inspect.signature(door).parameters.values()
    for position, parameter in enumerate(parameters):
        if position != gates and parameter.default is not None:
            with pytest.raises(ValueError, match="must have shape \\(2, 3\\), got"):
                untouched(door, *arguments[:position], None, *arguments[position + 1 :])


@each_call
def test_states_are_cast_to_the_dtype_of_the_gates(door, arguments, gates):
    single = [
        argument.astype(np.float32) if position == gates else argument.tolist()
        for position, argument in enumerate(arguments)
    ]
    for result in door(*single):
        assert result.dtype == np.float32

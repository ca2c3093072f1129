"""Doors refuse numbers that mean nothing: NaN, negative, complex, out of range."""

import numpy as np
import pytest

from skbn.kernels import (
    activations,
    affine,
    batchnorm,
    cells,
    gather,
    linear,
    losses,
    merging,
    moments,
    normalized_sum,
    optimizers,
    sequences,
    sparse_linear,
)

X = np.random.default_rng(0).standard_normal((4, 2))
ONE, TWO = np.ones(2), np.full((4, 2), 2.0)


def vectors(n):
    return [np.ones(3) for _ in range(n)]


# Each door with valid arguments.
DOORS = {
    "forward": lambda **k: batchnorm.forward(**{"x": X, "gamma": ONE, "beta": ONE} | k),
    "relu_forward": lambda **k: batchnorm.relu_forward(**{"x": X, "gamma": ONE, "beta": ONE} | k),
    "infer": lambda **k: batchnorm.infer(
        **{"x": X, "gamma": ONE, "beta": ONE, "running_mean": ONE, "running_var": ONE} | k
    ),
    "backward": lambda **k: batchnorm.backward(
        **{"dy": X, "x": X, "gamma": ONE, "batch_mean": ONE, "batch_invstd": ONE} | k
    ),
    "relu_backward": lambda **k: batchnorm.relu_backward(
        **{"dy": X, "y": X, "x": X, "gamma": ONE, "batch_mean": ONE, "batch_invstd": ONE} | k
    ),
    "combine": lambda **k: normalized_sum.combine(
        **{"y": X.copy(), "x": X, "batch_mean": ONE, "batch_invstd": ONE, "gamma": ONE, "beta": ONE}
        | k
    ),
    "affine": lambda **k: affine.affine(**{"x": X, "mean": ONE, "scale": ONE, "shift": ONE} | k),
    "activations": lambda **k: activations.backward(
        **{"dy": X, "x": X, "y": X, "activation": "tanh"} | k
    ),
    "squared_error": lambda **k: losses.squared_error(**{"z": X, "y": X} | k),
    "softmax": lambda **k: losses.softmax_log_loss(**{"z": X, "y": np.zeros(4)} | k),
    "weighted_moments": lambda **k: moments.weighted_moments(**{"x": X} | k),
    "without_rounding": lambda **k: moments.without_rounding(
        **{"mean": ONE, "var": ONE, "dtype": np.float64} | k
    ),
    "update_running": lambda **k: merging.update_running(
        *[np.ones(2) for _ in range(4)], **{"momentum": 0.5} | k
    ),
    "gather": lambda **k: gather.gather(**{"x": X, "mean": ONE, "invstd": ONE} | k),
    "linear": lambda **k: linear.backward(**{"dy": X, "x": X, "weights": np.eye(2)} | k),
    "lstm": lambda **k: cells.lstm(np.ones((4, 4)), **{"c_previous": np.ones((4, 1))} | k),
    "sgd": lambda **k: optimizers.sgd(*vectors(3), **{"learning_rate": 0.1} | k),
    "adam": lambda **k: optimizers.adam(*vectors(4), **{"learning_rate": 0.1, "step": 1} | k),
    "adamw": lambda **k: optimizers.adamw(
        *vectors(4),
        **{"learning_rate": 0.1, "step": 1, "weight_decay": 0.1, "n_weights": 1} | k,
    ),
    "rmsprop": lambda **k: optimizers.rmsprop(*vectors(4), **{"learning_rate": 0.1} | k),
}


@pytest.mark.parametrize("door", DOORS.values(), ids=DOORS.keys())
def test_valid_arguments_are_taken(door):
    door()


@pytest.mark.parametrize(
    ("door", "name", "values"),
    [
        *[(door, "epsilon", (-1e-9, np.nan)) for door in ("forward", "relu_forward", "infer")],
        *[(door, "epsilon", (-1e-9, np.nan)) for door in ("adam", "adamw", "rmsprop")],
        *[
            (door, name, (-0.1, 1.0, np.nan))
            for door in ("adam", "adamw")
            for name in ("beta_1", "beta_2")
        ],
        *[(door, "momentum", (-0.1, 1.1, np.nan)) for door in ("update_running", "sgd", "rmsprop")],
        ("rmsprop", "decay", (-0.1, 1.1, np.nan)),
        *[(door, "learning_rate", (-0.1, np.nan)) for door in ("sgd", "adam", "adamw", "rmsprop")],
        ("adamw", "weight_decay", (-0.1, np.nan)),
    ],
)
def test_numbers_out_of_range(door, name, values):
    for value in values:
        with pytest.raises(ValueError, match=rf"^{name} must be .* got {value}"):
            DOORS[door](**{name: value})
    with pytest.raises(TypeError):
        DOORS[door](**{name: 0.5 + 0.5j})


@pytest.mark.parametrize(
    "door",
    [
        "forward", "relu_forward", "backward", "relu_backward", "squared_error", "softmax",
        "weighted_moments",
    ],
)  # fmt: skip
def test_weights(door):
    for value in (np.nan, np.inf, -1.0):
        with pytest.raises(ValueError, match=r"weights? must (have a positive sum|be .*finite)"):
            DOORS[door](sample_weight=[1.0, 1.0, value, 1.0])
    with pytest.raises(ValueError, match=r"^sample_weight must be real"):
        DOORS[door](sample_weight=np.ones(4, complex))
    DOORS[door](sample_weight=[1, 2, 3, 0])


@pytest.mark.parametrize("value", [np.nan, -1.0])
def test_total_weights(value):
    good, bad = np.ones(2), np.array([1.0, value])
    pair = np.ones((2, 2))
    for door, values in ((merging.merge, good), (merging.merge_pairs, pair)):
        door(values, values, good.copy(), values, values, np.array([0.0, 2.0]))
        with pytest.raises(ValueError, match=f"^weight must be >= 0, got {value} in column 1"):
            door(values, values, bad, values, values, good)
        with pytest.raises(ValueError, match=f"^batch_weight must be >= 0, got {value} in column"):
            door(values, values, good, values, values, bad)


@pytest.mark.parametrize("values", [[1.5, 1.0], [1.0, np.nan], [1 + 1j, 1], [True, False]])
def test_what_is_no_row_number(values):
    from scipy.sparse import csr_array

    values = np.array(values)
    table = csr_array(X)
    for door in (
        lambda rows: gather.gather(X, rows),
        lambda rows: sparse_linear.forward(table, np.eye(2), rows=rows),
        lambda rows: sparse_linear.backward(X[:2], table, rows=rows),
    ):
        door([1, 2])
        door(np.array([1, 2], np.uint8))
        with pytest.raises(ValueError, match=f"^rows must be whole numbers, got {values.dtype}"):
            door(values)
    assert gather.gather(X, []).shape == (0, 2)
    for door in (
        sequences.pack,
        lambda lengths: sequences.reverse(X, lengths),
        lambda lengths: sequences.write(X.copy(), X, lengths),
        lambda lengths: sequences.last(X, lengths),
        lambda lengths: sequences.last_backward(X[:2], lengths),
    ):
        door([3, 1])
        with pytest.raises(ValueError, match=f"^lengths must be whole numbers, got {values.dtype}"):
            door(values)


@pytest.mark.parametrize(
    ("door", "names"),
    [
        ("forward", ["x", "gamma", "beta"]),
        ("relu_forward", ["x", "gamma", "beta"]),
        ("infer", ["x", "gamma", "beta", "running_mean", "running_var"]),
        ("backward", ["dy", "x", "gamma", "batch_mean", "batch_invstd"]),
        ("relu_backward", ["dy", "y", "x", "gamma", "batch_mean", "batch_invstd"]),
        ("combine", ["y", "x", "gamma", "beta", "batch_mean", "batch_invstd"]),
        ("affine", ["x", "mean", "scale", "shift"]),
        ("activations", ["dy", "x", "y"]),
        ("squared_error", ["z", "y"]),
        ("softmax", ["z"]),
        ("weighted_moments", ["x"]),
        ("without_rounding", ["mean", "var"]),
        ("gather", ["x", "mean", "invstd"]),
        ("linear", ["dy", "x"]),
        ("lstm", ["c_previous"]),
    ],
)
def test_complex_numbers(door, names):
    shapes = {"x": X, "y": X, "z": X, "dy": X, "c_previous": np.ones((4, 1))}
    for name in names:
        with pytest.raises(ValueError, match=rf"^{name} must be .*complex128"):
            DOORS[door](**{name: shapes.get(name, ONE) + 0j})


def test_complex_numbers_in_a_sparse_product():
    from scipy.sparse import csr_array

    for name in ("mean", "invstd"):
        moments_of = {"mean": ONE, "invstd": ONE} | {name: ONE + 0j}
        with pytest.raises(ValueError, match=rf"^{name} must be real numbers"):
            sparse_linear.forward(csr_array(X), np.eye(2), **moments_of)

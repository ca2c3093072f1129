"""Array functions refuse numbers without a meaning: NaN, negative, complex, out of range."""

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
    periodic,
    pooling,
    sequences,
    sparse_linear,
)

X = np.random.default_rng(0).standard_normal((4, 2))
ONE, TWO = np.ones(2), np.full((4, 2), 2.0)


def vectors(n):
    return [np.ones(3) for _ in range(n)]


# Each array function with valid arguments.
FUNCTIONS = {
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
    "periodic": lambda **k: periodic.backward(
        **{"dy": np.ones((4, 8)), "x": X, "parameters": np.ones((2, 83))} | k
    ),
    "lstm": lambda **k: cells.lstm(np.ones((4, 4)), **{"c_previous": np.ones((4, 1))} | k),
    "sgd": lambda **k: optimizers.sgd(*vectors(3), **{"learning_rate": 0.1} | k),
    "adam": lambda **k: optimizers.adam(*vectors(4), **{"learning_rate": 0.1, "step": 1} | k),
    "adamw": lambda **k: optimizers.adamw(
        *vectors(4),
        **{"learning_rate": 0.1, "step": 1, "weight_decay": 0.1, "n_weights": 1} | k,
    ),
    "rmsprop": lambda **k: optimizers.rmsprop(*vectors(4), **{"learning_rate": 0.1} | k),
}


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS.keys())
def test_valid_arguments_are_taken(function):
    function()


@pytest.mark.parametrize(
    ("function", "name", "values"),
    [
        *[
            (function, "epsilon", (-1e-9, np.nan))
            for function in ("forward", "relu_forward", "infer")
        ],
        *[(function, "epsilon", (-1e-9, np.nan)) for function in ("adam", "adamw", "rmsprop")],
        *[
            (function, name, (-0.1, 1.0, np.nan))
            for function in ("adam", "adamw")
            for name in ("beta_1", "beta_2")
        ],
        *[
            (function, "momentum", (-0.1, 1.1, np.nan))
            for function in ("update_running", "sgd", "rmsprop")
        ],
        ("rmsprop", "decay", (-0.1, 1.1, np.nan)),
        *[
            (function, "learning_rate", (-0.1, np.nan))
            for function in ("sgd", "adam", "adamw", "rmsprop")
        ],
        ("adamw", "weight_decay", (-0.1, np.nan)),
    ],
)
def test_numbers_out_of_range(function, name, values):
    for value in values:
        with pytest.raises(ValueError, match=rf"^{name} must be .* got {value}"):
            FUNCTIONS[function](**{name: value})
    with pytest.raises(TypeError):
        FUNCTIONS[function](**{name: 0.5 + 0.5j})


@pytest.mark.parametrize(
    "function",
    [
        "forward", "relu_forward", "backward", "relu_backward", "squared_error", "softmax",
        "weighted_moments",
    ],
)  # fmt: skip
def test_weights(function):
    for value in (np.nan, np.inf, -1.0):
        with pytest.raises(ValueError, match=r"weights? must (have a positive sum|be .*finite)"):
            FUNCTIONS[function](sample_weight=[1.0, 1.0, value, 1.0])
    with pytest.raises(ValueError, match=r"^sample_weight must be real"):
        FUNCTIONS[function](sample_weight=np.ones(4, complex))
    FUNCTIONS[function](sample_weight=[1, 2, 3, 0])


@pytest.mark.parametrize("value", [np.nan, -1.0])
def test_total_weights(value):
    good, bad = np.ones(2), np.array([1.0, value])
    pair = np.ones((2, 2))
    for function, values in ((merging.merge, good), (merging.merge_pairs, pair)):
        function(values, values, good.copy(), values, values, np.array([0.0, 2.0]))
        with pytest.raises(ValueError, match=f"^weight must be >= 0, got {value} in column 1"):
            function(values, values, bad, values, values, good)
        with pytest.raises(ValueError, match=f"^batch_weight must be >= 0, got {value} in column"):
            function(values, values, good, values, values, bad)


@pytest.mark.parametrize("values", [[1.5, 1.0], [1.0, np.nan], [1 + 1j, 1], [True, False]])
def test_what_is_no_row_number(values):
    from scipy.sparse import csr_array

    values = np.array(values)
    table = csr_array(X)
    for function in (
        lambda rows: gather.gather(X, rows),
        lambda rows: sparse_linear.forward(table, np.eye(2), rows=rows),
        lambda rows: sparse_linear.backward(X[:2], table, rows=rows),
    ):
        function([1, 2])
        function(np.array([1, 2], np.uint8))
        with pytest.raises(ValueError, match=f"^rows must be whole numbers, got {values.dtype}"):
            function(values)
    assert gather.gather(X, []).shape == (0, 2)
    for function in (
        sequences.pack,
        lambda lengths: sequences.reverse(X, lengths),
        lambda lengths: sequences.write(X.copy(), X, lengths),
        lambda lengths: pooling.forward(X, lengths, "last"),
        lambda lengths: pooling.backward(X[:2], X, X[:2], lengths, "last"),
    ):
        function([3, 1])
        with pytest.raises(ValueError, match=f"^lengths must be whole numbers, got {values.dtype}"):
            function(values)


@pytest.mark.parametrize(
    ("function", "names"),
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
        ("periodic", ["dy", "x", "parameters"]),
        ("lstm", ["c_previous"]),
    ],
)
def test_complex_numbers(function, names):
    shapes = {"x": X, "y": X, "z": X, "dy": X, "c_previous": np.ones((4, 1))}
    for name in names:
        with pytest.raises(ValueError, match=rf"^{name} must be .*complex128"):
            FUNCTIONS[function](**{name: shapes.get(name, ONE) + 0j})


def test_complex_numbers_in_a_sparse_product():
    from scipy.sparse import csr_array

    for name in ("mean", "invstd"):
        moments_of = {"mean": ONE, "invstd": ONE} | {name: ONE + 0j}
        with pytest.raises(ValueError, match=rf"^{name} must be real numbers"):
            sparse_linear.forward(csr_array(X), np.eye(2), **moments_of)

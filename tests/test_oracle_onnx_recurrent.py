"""Recurrent networks as ONNX graphs: ONNX Runtime gives the same outputs for the same sequences."""

import numpy as np
import pytest
from rnns import BOTH, data_for, named, quietly, small, targets_of
from rnns import sequences as made_up
from skbn.kernels.cells import CELLS
from skbn.kernels.pooling import POOLINGS
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from skbn import BatchNormTransformer, RNNWithBatchNormClassifier, RNNWithBatchNormRegressor

graphs = pytest.importorskip("onnx_graphs")
types = pytest.importorskip("skl2onnx.common.data_types")

N_STEPS, N_FEATURES = 6, 3
DIGITS, NUMBERS = load_digits(return_X_y=True)
# A picture is read row by row.
DIGITS = DIGITS.reshape(-1, 8, 8)

each_dtype = pytest.mark.parametrize("dtype", graphs.DTYPES)


def open_type(X, n_steps=None):
    """The type of sequences of any number of steps."""
    kind = types.FloatTensorType if X.dtype == np.float32 else types.DoubleTensorType
    return [("X", kind([None, n_steps, X.shape[2]]))]


def drifting(n=60, n_steps=N_STEPS, seed=0):
    """Sequences of different lengths whose mean and spread change from step to step."""
    step = np.arange(n_steps)[:, np.newaxis]
    return made_up(n, n_steps, N_FEATURES, ragged=True, seed=seed) * (1.0 + step) + 3.0 * step


def varied(model):
    """Give a fitted network gammas, betas and weights that are far from their initial values."""
    rng = np.random.default_rng(1)
    model.gammas_ = [gamma * rng.uniform(0.5, 1.5, gamma.shape) for gamma in model.gammas_]
    for beta in model.betas_:
        if beta.flags.writeable:
            beta[:] = rng.uniform(-0.5, 0.5, beta.shape)
    for bias in model.intercepts_:
        if bias.flags.writeable:
            bias[:] = rng.uniform(-0.5, 0.5, bias.shape)
    return model


def fitted(cls=RNNWithBatchNormClassifier, **parameters):
    X = drifting()
    return varied(quietly(small(cls, **parameters).fit, X, targets_of(cls, X)))


def assert_alike(model, X, graph=None, atol=graphs.AGREEMENT):
    """Assert that a graph of any number of steps has the outputs of the model."""
    graph = graphs.converted(model, X, initial_types=open_type(X)) if graph is None else graph
    if hasattr(model, "predict_proba"):
        labels, outputs = graphs.run(graph, X)
        expected = model.predict_proba(X)
        np.testing.assert_array_equal(labels, model.predict(X))
    else:
        (outputs,) = graphs.run(graph, X)
        expected = model.predict(X).reshape(outputs.shape)
        expected, outputs = expected / expected.std(axis=0), outputs / expected.std(axis=0)
    assert outputs.dtype == X.dtype
    np.testing.assert_allclose(outputs, expected, rtol=0, atol=atol)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(
    "layers",
    [
        {"batch_norm": "full"},
        {"batch_norm": "full", "time_statistics": "shared"},
        {"batch_norm": "input"},
        {"batch_norm": "input", "time_statistics": "shared"},
        {"batch_norm": None},
    ],
    ids=named,
)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_two_layers(cell, layers, bidirectional):
    parameters = {"hidden_layer_sizes": (4, 3), "bidirectional": bidirectional, "bn_epsilon": 0.3}
    model = fitted(cell=cell, **layers, **parameters)
    for dtype in graphs.DTYPES:
        X = drifting(seed=2).astype(dtype)
        graph = graphs.converted(model, X, initial_types=open_type(X))
        # One graph serves sequences of all lengths, also longer ones than there were in training.
        for n_steps in (3, N_STEPS, 2 * N_STEPS):
            assert_alike(model, drifting(40, n_steps, seed=2).astype(dtype), graph)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("longest", [1, N_STEPS])
@each_dtype
def test_any_running_statistics(cell, longest, dtype):
    # A unit without variance has no contribution. Nor has the state before the first step, whatever
    # its statistics are. Statistics of one step serve all steps.
    X = drifting()[:, :longest]
    model = small(cell=cell, batch_norm="full", hidden_layer_sizes=(4, 3))
    model = varied(quietly(model.fit, X, np.arange(60) % 2))
    rng = np.random.default_rng(0)
    model.running_means_ = [rng.normal(0.0, 0.3, mean.shape) for mean in model.running_means_]
    running_vars = [rng.uniform(0.1, 1.0, var.shape) for var in model.running_vars_]
    for var in running_vars:
        var[:, 1] = 0.0
    model.running_vars_ = running_vars
    assert_alike(model, drifting(seed=2).astype(dtype))


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cls", BOTH)
@each_dtype
def test_poolings(pooling, bidirectional, cls, dtype):
    model = fitted(cls, pooling=pooling, bidirectional=bidirectional, hidden_layer_sizes=(4, 3))
    assert_alike(model, drifting(seed=2).astype(dtype))


@each_dtype
def test_default_networks(dtype):
    X, train = DIGITS.astype(dtype), slice(300)
    names = np.array([f"number {number}" for number in NUMBERS])
    model = RNNWithBatchNormClassifier(random_state=0, n_epochs=10).fit(X[train], names[train])
    assert model.score(X[:600], names[:600]) > 0.8
    graphs.assert_classifies_alike(model, X[:600])
    y = NUMBERS.astype(float)
    model = RNNWithBatchNormRegressor(random_state=0, n_epochs=10).fit(X[train], y[train])
    graphs.assert_predicts_alike(model, X[:600], y)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("batch_norm", ["full", "input", None])
def test_a_network_of_float64_keeps_its_digits(cell, batch_norm):
    model = fitted(
        RNNWithBatchNormRegressor, cell=cell, batch_norm=batch_norm, dtype="float64", pooling="max"
    )
    assert_alike(model, drifting(seed=2), atol=1e-11)


@pytest.mark.parametrize("normalize_input", ["smooth_clip", "standard", None])
@each_dtype
def test_normalized_inputs(normalize_input, dtype):
    X, y = data_for(RNNWithBatchNormClassifier, ragged=True)
    X = (X + ([0, 0, 0] if normalize_input is None else [1e6, -3e5, 0.0])).astype(dtype)
    model = varied(quietly(small(normalize_input=normalize_input).fit, X, y))
    X[0, 0, 0] *= 1e3  # an outlier
    assert_alike(model, X)


def test_whole_numbers():
    X = (1000 * drifting(n_steps=3)).astype(np.int64)
    model = quietly(small().fit, X, targets_of(RNNWithBatchNormClassifier, X))
    graph = graphs.converted(model, X)
    probabilities = graphs.run(graph, X)[1]
    np.testing.assert_allclose(probabilities, model.predict_proba(X), rtol=0, atol=1e-5)


# Targets.


@each_dtype
def test_temperature(dtype):
    X = drifting()
    model = varied(quietly(small(early_stopping="auto").fit, X, np.arange(60) % 3))
    model.temperature_, model._prior_outputs = 2.0, np.array([-1.0, 0.5, 1.0])
    assert_alike(model, X.astype(dtype))


@pytest.mark.parametrize(
    "y",
    [
        np.arange(60) % 3 - 1,
        np.array(["no", "yes"])[np.arange(60) % 2],
        np.stack([np.arange(60) % 2, np.arange(60) % 3 == 0, np.arange(60) < 20], axis=1),
        np.zeros(60, int),
    ],
    ids=["three classes", "strings", "several labels", "one class"],
)
@each_dtype
def test_classes(y, dtype):
    X = drifting().astype(dtype)
    assert_alike(varied(quietly(small().fit, X, y.astype(y.dtype if y.ndim == 1 else int))), X)


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "poisson"])
@each_dtype
def test_several_targets(loss, dtype):
    X = drifting()
    y = np.random.default_rng(0).gamma(2.0, [1.0, 1e4], (60, 2))
    model = quietly(small(RNNWithBatchNormRegressor, loss=loss).fit, X, y)
    graphs.assert_predicts_alike(model, X.astype(dtype), y)


def test_sequences_came_in_portions():
    # The second portion has longer sequences than the first one.
    model, parts = small(), [drifting(n_steps=4), drifting(n_steps=7)]
    for X in parts:
        model.partial_fit(X, np.arange(60) % 3, classes=[0, 1, 2])
    assert_alike(varied(model), parts[1])


# Forms of the inputs.


@pytest.mark.parametrize("layers", [{}, {"batch_norm": None, "cell": "gru"}], ids=named)
@each_dtype
def test_one_feature_in_two_dimensions(layers, dtype):
    X = drifting()[:, :, 0].astype(dtype)
    y = targets_of(RNNWithBatchNormClassifier, drifting())
    model = varied(quietly(small(**layers).fit, X, y))
    graphs.assert_classifies_alike(model, X)
    # Columns of a table are steps.
    kind = types.FloatTensorType if dtype == np.float32 else types.DoubleTensorType
    steps = [(f"step{k}", kind([None, 1])) for k in range(N_STEPS)]
    session = graphs.session(graphs.converted(model, X, initial_types=steps))
    inputs = {f"step{k}": X[:, [k]] for k in range(N_STEPS)}
    np.testing.assert_allclose(
        session.run(None, inputs)[1], model.predict_proba(X), rtol=0, atol=graphs.AGREEMENT
    )


def test_the_type_may_say_the_number_of_steps():
    model, X = fitted(), drifting()
    graphs.assert_classifies_alike(model, X)
    graph = graphs.converted(model, X[:, :4], initial_types=open_type(X, n_steps=4))
    with pytest.raises(Exception, match="invalid dimensions"):
        graphs.run(graph, X)


@pytest.mark.parametrize("n_rows", [0, 1, 1000])
@pytest.mark.parametrize("cls", BOTH)
def test_any_number_of_rows(n_rows, cls):
    model, X = fitted(cls), drifting()
    graph = graphs.converted(model, X, initial_types=open_type(X))
    outputs = graphs.run(graph, np.resize(X, (n_rows, *X.shape[1:])))[-1]
    assert outputs.shape == (n_rows, 2 if cls is RNNWithBatchNormClassifier else 1)


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("bidirectional", [False, True])
@each_dtype
def test_missing_numbers_stay_in_their_sequence(pooling, bidirectional, dtype):
    parameters = {"pooling": pooling, "bidirectional": bidirectional}
    model = fitted(RNNWithBatchNormRegressor, hidden_layer_sizes=(4, 3), **parameters)
    X = drifting().astype(dtype)
    graph = graphs.converted(model, X, initial_types=open_type(X))
    expected = graphs.run(graph, X)[0]
    X[1] = np.nan
    X[2, 1, 0] = np.nan
    X[0, -1, 1] = np.nan  # the last step still is a step
    predictions = graphs.run(graph, X)[0]
    assert np.isnan(predictions[:3]).all()
    np.testing.assert_array_equal(predictions[3:], expected[3:])


def test_the_mean_of_many_steps():
    # A sum in float32 would lose digits at each of the steps.
    X = np.full((6, 20_000, 1), np.linspace(-0.7, 0.7, 6).reshape(6, 1, 1), np.float32)
    model = small(cell="tanh", pooling="mean", batch_norm=None, batch_size=6)
    model = varied(quietly(model.fit, X[:, :3], [0, 1, 0, 1, 0, 1]))
    assert_alike(model, X)


@pytest.mark.parametrize("target_opset", [graphs.OPSET, 17, 18, graphs.NEWEST_OPSET])
@pytest.mark.parametrize("cell", CELLS)
def test_versions_of_the_operators(target_opset, cell):
    model, X = fitted(cell=cell), drifting()
    for dtype in graphs.DTYPES:
        graphs.assert_classifies_alike(model, X.astype(dtype), target_opset=target_opset)


# Models around the networks.


@each_dtype
def test_behind_a_transformer_and_in_a_search(dtype):
    X, y = drifting().astype(dtype), np.array(["no", "yes"])[np.arange(60) % 2]
    pipeline = make_pipeline(BatchNormTransformer(), small())
    graphs.assert_classifies_alike(quietly(pipeline.fit, X, y), X)
    search = GridSearchCV(small(), {"cell": ["gru", "tanh"]}, cv=2)
    graphs.assert_classifies_alike(quietly(search.fit, X, y), X)
    pipeline = make_pipeline(BatchNormTransformer(), small(RNNWithBatchNormRegressor))
    y = targets_of(RNNWithBatchNormRegressor, drifting())
    graphs.assert_predicts_alike(quietly(pipeline.fit, X, y), X, y)


# Errors.


def test_types_that_do_not_fit():
    model, X = fitted(), drifting()
    name = "RNNWithBatchNormClassifier"
    with pytest.raises(ValueError, match=f"2 features, but {name} is expecting 3"):
        graphs.converted(model, X[:, :, :2])
    with pytest.raises(ValueError, match=f"2 dimensions, but {name} was fitted on 3"):
        graphs.converted(model, X[:, :, 0])
    two = [("a", types.DoubleTensorType([None, None, 2]))]
    two += [("b", types.DoubleTensorType([None, None, 1]))]
    with pytest.raises(ValueError, match="takes one input, got 2"):
        graphs.converted(model, X, initial_types=two)
    model = quietly(small().fit, X[:, :, 0], np.arange(60) % 2)
    with pytest.raises(ValueError, match="5 features, but"):
        graphs.converted(model, X[:, :5, 0])


def test_parts_that_have_no_converter(monkeypatch):
    from skbn.onnx import recurrent_cells, steps

    monkeypatch.delitem(recurrent_cells.STEPS, "gru")
    with pytest.raises(NotImplementedError, match="the cell 'gru'"):
        graphs.converted(fitted(cell="gru"), drifting())
    monkeypatch.delitem(steps.POOLED, "max")
    with pytest.raises(NotImplementedError, match="the pooling 'max'"):
        graphs.converted(fitted(pooling="max"), drifting())

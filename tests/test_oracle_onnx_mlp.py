"""Classifiers as ONNX graphs: ONNX Runtime gives the same probabilities and labels."""

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.neural_network import MLPClassifier

from skbn import MLPWithBatchNormClassifier
from skbn.kernels.activations import ACTIVATIONS

graphs = pytest.importorskip("onnx_graphs")

CANCER, IS_BENIGN = load_breast_cancer(return_X_y=True)
IRIS, SPECIES = load_iris(return_X_y=True)
NAMES = load_iris().target_names[SPECIES]


def classifier(**parameters):
    small = {"hidden_layer_sizes": (16, 12), "n_epochs": 6, "random_state": 0}
    return MLPWithBatchNormClassifier(**(small | parameters))


@pytest.mark.parametrize("load", [load_breast_cancer, load_digits, load_iris, load_wine])
@pytest.mark.parametrize("dtype", graphs.DTYPES)
def test_default_classifier(load, dtype):
    X, y = load(return_X_y=True)
    model = MLPWithBatchNormClassifier(random_state=0).fit(X, y)
    graphs.assert_classifies_alike(model, X.astype(dtype))


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("batch_norm", ["before", "after", None])
def test_activations_and_places_of_batch_norm(activation, batch_norm):
    model = classifier(activation=activation, batch_norm=batch_norm, bn_epsilon=0.3)
    model.fit(CANCER, IS_BENIGN)
    rng = np.random.default_rng(0)
    model.gammas_ = [rng.uniform(0.5, 1.5, gamma.shape) for gamma in model.gammas_]
    model.betas_ = [rng.uniform(-1.0, 1.0, beta.shape) for beta in model.betas_]
    for dtype in graphs.DTYPES:
        graphs.assert_classifies_alike(model, CANCER.astype(dtype))


@pytest.mark.parametrize("batch_norm", ["before", "after"])
@pytest.mark.parametrize("dtype", graphs.DTYPES)
def test_a_unit_without_variance_has_no_part(batch_norm, dtype):
    # A relu that was 0 in all training rows may be larger in a new row.
    model = classifier(activation="relu", batch_norm=batch_norm).fit(CANCER, IS_BENIGN)
    running_vars = [var.copy() for var in model.running_vars_]
    for var in running_vars:
        var[:3] = 0.0
    model.running_vars_ = running_vars
    graphs.assert_classifies_alike(model, CANCER.astype(dtype))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_a_network_of_float64_keeps_its_digits(activation):
    model = classifier(activation=activation, dtype="float64").fit(CANCER, IS_BENIGN)
    # ONNX Runtime has no Erf of float64, so gelu is computed by one of float32.
    atol = 1e-6 if activation == "gelu" else 1e-11
    graphs.assert_classifies_alike(model, CANCER, atol=atol)
    graphs.assert_classifies_alike(model, CANCER.astype(np.float32))


@pytest.mark.parametrize("normalize_input", ["robust", "smooth_clip", "standard"])
@pytest.mark.parametrize("dtype", graphs.DTYPES)
def test_raw_columns_far_from_zero(normalize_input, dtype):
    # float32 has steps of 1/16 near a million. The center must not be rounded to such a step.
    X = (IRIS + [1e6, -3e5, 0.0, 1e4]).astype(dtype)
    model = classifier(normalize_input=normalize_input).fit(X, SPECIES)
    assert model.score(X, SPECIES) > 0.6
    graphs.assert_classifies_alike(model, X)


def test_float64_rows_are_centered_before_they_could_become_float32():
    X = IRIS + 1e9
    model = classifier().fit(X, SPECIES)
    assert model.score(X, SPECIES) > 0.9
    graphs.assert_classifies_alike(model, X)


@pytest.mark.parametrize("dtype", graphs.DTYPES)
def test_outliers_are_clipped(dtype):
    model = classifier().fit(IRIS, SPECIES)
    X = IRIS.copy()
    X[::3] *= 30.0
    X[::5, 1] = -1e30
    graphs.assert_classifies_alike(model, X.astype(dtype))


@pytest.mark.parametrize("dtype", graphs.DTYPES)
def test_inputs_as_they_are(dtype):
    graphs.assert_classifies_alike(
        classifier(normalize_input=None).fit(IRIS, SPECIES), IRIS.astype(dtype)
    )


def test_embedding_among_other_columns():
    # Columns of two values have no embedding: one at the beginning, two in the middle, one at the
    # end.
    X = np.column_stack([IRIS[:, 0] > 5, IRIS[:, :2], IRIS[:, 1:3] > 2, IRIS[:, 2:], SPECIES > 0])
    model = classifier(periodic_embedding=2.0).fit(X, SPECIES)
    assert model.embedded_columns_.tolist() == [1, 2, 5, 6]
    graphs.assert_classifies_alike(model, X)
    graphs.assert_classifies_alike(model, X.astype(np.float32))


def test_a_factor_of_each_input():
    scaled = classifier(learning_rate_init=0.05).fit(IRIS, SPECIES)
    assert np.ptp(scaled.input_scale_) > 0.2
    for model in (scaled, classifier(trained_input_scale=False).fit(IRIS, SPECIES)):
        graphs.assert_classifies_alike(model, IRIS)


def test_rows_came_in_portions():
    model = classifier(bn_momentum=0.5)
    for part in np.array_split(np.random.default_rng(0).permutation(len(IRIS)), 4):
        model.partial_fit(IRIS[part], NAMES[part], classes=np.unique(NAMES))
    graphs.assert_classifies_alike(model, IRIS)


@pytest.mark.parametrize("normalize_input", ["smooth_clip", "standard"])
def test_rows_were_sparse(normalize_input):
    X, y = load_digits(return_X_y=True)
    model = classifier(normalize_input=normalize_input).fit(csr_array(X), y)
    graphs.assert_classifies_alike(model, X)


@pytest.mark.parametrize(
    ("y", "kind"),
    [
        (NAMES, "U"),
        (NAMES.astype(object), "O"),
        (SPECIES + 2**40, "i"),
        (SPECIES[::-1].astype(np.uint8) + 250, "i"),
        (SPECIES * 2.0, "i"),
        (SPECIES == 1, "i"),
        (np.where(SPECIES == 1, "b", "a"), "U"),
        (np.full(len(IRIS), "only"), "U"),
        (np.full(len(IRIS), 7), "i"),
    ],
    ids=["str", "object", "int64", "uint8", "float", "bool", "two", "one string", "one number"],
)
def test_labels(y, kind):
    model = classifier().fit(IRIS, y)
    labels, _ = graphs.run(graphs.converted(model, IRIS), IRIS)
    assert labels.dtype.kind == ("i" if kind == "i" else "O")
    graphs.assert_classifies_alike(model, IRIS)


def test_a_single_class_whatever_the_output_is():
    model = classifier().fit(IRIS, np.full(len(IRIS), 7))
    model.intercepts_[-1] = [1e3]
    graphs.assert_classifies_alike(model, IRIS)


@pytest.mark.parametrize("dtype", graphs.DTYPES)
def test_several_labels_a_row(dtype):
    labels = (IRIS[:, 1:] > IRIS[:, 1:].mean(axis=0)).astype(int)
    graphs.assert_classifies_alike(classifier().fit(IRIS, labels), IRIS.astype(dtype))


@pytest.mark.parametrize("dtype", graphs.DTYPES)
def test_temperature(dtype):
    # The probabilities of all rows move towards a prior that is not uniform.
    model = classifier().fit(IRIS, SPECIES)
    model.temperature_, model._prior_outputs = 3.0, np.array([-1.5, 0.25, 1.0])
    graphs.assert_classifies_alike(model, IRIS.astype(dtype))
    is_first = classifier().fit(IRIS, SPECIES == 0)
    is_first.temperature_, is_first._prior_outputs = 2.0, np.array([-0.75])
    graphs.assert_classifies_alike(is_first, IRIS.astype(dtype))


@pytest.mark.parametrize(
    "parameters",
    [
        {"hidden_layer_sizes": ()},
        {"hidden_layer_sizes": (4,)},
        {"dropout": 0.4},
        {"class_weight": "balanced"},
        {"solver": "lbfgs", "max_iter": 2000, "n_epochs": "auto"},
        {"early_stopping": False},
    ],
    ids=str,
)
def test_other_parameters(parameters):
    graphs.assert_classifies_alike(classifier(**parameters).fit(IRIS, SPECIES), IRIS)


def test_a_network_of_scikit_learn():
    plain = MLPClassifier(max_iter=2000, random_state=0).fit(IRIS, NAMES)
    model = MLPWithBatchNormClassifier.from_sklearn(plain)
    graphs.assert_classifies_alike(model, IRIS, atol=1e-12)


@pytest.mark.parametrize("version", [graphs.OPSET, 15, 18, graphs.NEWEST_OPSET])
@pytest.mark.parametrize("dtype", graphs.DTYPES)
def test_versions_of_the_operators(version, dtype):
    for activation in ("silu", "gelu"):
        model = classifier(activation=activation).fit(IRIS, NAMES)
        X = IRIS.astype(dtype)
        imported = graphs.converted(model, X).opset_import
        assert [(one.domain, one.version) for one in imported] == [("", graphs.OPSET)]
        graphs.assert_classifies_alike(model, X, version=version)


@pytest.mark.parametrize("n_rows", [0, 1, 1000])
def test_any_number_of_rows(n_rows):
    model = classifier().fit(IRIS, NAMES)
    X = np.resize(IRIS, (n_rows, 4)).astype(np.float32)
    labels, probabilities = graphs.run(graphs.converted(model, IRIS.astype(np.float32)), X)
    assert labels.shape == (n_rows,)
    assert probabilities.shape == (n_rows, 3)
    if n_rows:
        np.testing.assert_allclose(probabilities, model.predict_proba(X), rtol=0, atol=1e-5)


def test_layers_keep_their_batch_norm():
    model = classifier(bn_epsilon=0.25).fit(IRIS, SPECIES)
    graph = graphs.converted(model, IRIS.astype(np.float32)).graph
    norms = [node for node in graph.node if node.op_type == "BatchNormalization"]
    assert len(norms) == len(model.gammas_) == 2
    constants = {one.name: graphs.numpy_of(one) for one in graph.initializer}
    for layer, node in enumerate(norms):
        arrays = (model.gammas_, model.betas_, model.running_means_, model.running_vars_)
        for name, array in zip(node.input[1:], arrays, strict=True):
            np.testing.assert_array_equal(constants[name], array[layer].astype(np.float32))
        assert [one.f for one in node.attribute if one.name == "epsilon"] == [0.25]
    assert {node.domain for node in graph.node} == {""}

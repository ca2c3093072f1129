"""Ensembles as ONNX graphs: the mean of the members, on real data."""

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris

from skbn import (
    MLPEnsembleWithBatchNormClassifier,
    MLPEnsembleWithBatchNormRegressor,
    MLPWithBatchNormClassifier,
    MLPWithBatchNormRegressor,
)

graphs = pytest.importorskip("onnx_graphs")

CANCER, IS_BENIGN = load_breast_cancer(return_X_y=True)
IRIS, SPECIES = load_iris(return_X_y=True)
DIABETES, PROGRESSION = load_diabetes(return_X_y=True, scaled=False)
SMALL = {"hidden_layer_sizes": (12, 8), "n_epochs": 6}


def classifier(**parameters):
    members = MLPWithBatchNormClassifier(**SMALL)
    return MLPEnsembleWithBatchNormClassifier(members, random_state=0, **parameters)


def regressor(**parameters):
    members = MLPWithBatchNormRegressor(**(SMALL | parameters))
    return MLPEnsembleWithBatchNormRegressor(members, random_state=0)


@pytest.mark.parametrize("dtype", graphs.DTYPES)
def test_default_ensembles(dtype):
    model = MLPEnsembleWithBatchNormClassifier(random_state=0).fit(CANCER, IS_BENIGN)
    graphs.assert_classifies_alike(model, CANCER.astype(dtype))
    model = MLPEnsembleWithBatchNormRegressor(random_state=0).fit(DIABETES, PROGRESSION)
    graphs.assert_predicts_alike(model, DIABETES.astype(dtype), PROGRESSION)


@pytest.mark.parametrize("embeddings", [(None,), (1.0, None), (0.5, 1.0, 2.5, None)])
def test_members_with_different_embeddings(embeddings):
    names = np.array(["a", "b", "c"])[SPECIES]
    model = classifier(periodic_embeddings=embeddings).fit(IRIS, names)
    graphs.assert_classifies_alike(model, IRIS)


@pytest.mark.parametrize("dtype", graphs.DTYPES)
def test_one_temperature_for_the_mean(dtype):
    model = classifier().fit(IRIS, SPECIES)
    for member in model.estimators_:
        member.temperature_, member._prior_outputs = 9.0, np.zeros(3)
    model.temperature_, model._prior_outputs = 2.0, np.array([-1.0, 0.5, 1.0])
    graphs.assert_classifies_alike(model, IRIS.astype(dtype))


def test_several_labels_a_row():
    labels = (IRIS[:, 1:] > IRIS[:, 1:].mean(axis=0)).astype(int)
    graphs.assert_classifies_alike(classifier().fit(IRIS, labels), IRIS)


def test_portions_of_rows():
    model = classifier()
    for part in np.array_split(np.random.default_rng(0).permutation(len(IRIS)), 3):
        model.partial_fit(IRIS[part], SPECIES[part], classes=[0, 1, 2])
    graphs.assert_classifies_alike(model, IRIS)


@pytest.mark.parametrize("dtype", graphs.DTYPES)
def test_predictions_of_each_member_are_clipped(dtype):
    model = regressor().fit(DIABETES, PROGRESSION)
    # The range is made so small that it clips many predictions of each member, on both sides.
    members = model.predict_members(DIABETES)
    model._target_range = np.quantile(members, [0.3, 0.8]).reshape(2, 1)
    clipped = model.predict_members(DIABETES)
    for bound in model._target_range:
        assert (clipped == bound).any(axis=1).all()
        assert not (clipped == bound).all(axis=0).all()
    graphs.assert_predicts_alike(model, DIABETES.astype(dtype), PROGRESSION)


@pytest.mark.parametrize("loss", ["poisson", "quantile"])
def test_several_targets(loss):
    y = np.column_stack([PROGRESSION, PROGRESSION[::-1] * 1e3, np.zeros(len(PROGRESSION))])
    model = regressor(loss=loss).fit(DIABETES, y)
    (predictions,) = graphs.run(graphs.converted(model, DIABETES), DIABETES)
    scale = np.array([y[:, 0].std(), y[:, 1].std(), 1.0])
    np.testing.assert_allclose(
        predictions / scale, model.predict(DIABETES) / scale, rtol=0, atol=1e-5
    )


@pytest.mark.parametrize("version", [graphs.OPSET, graphs.NEWEST_OPSET])
def test_versions_of_the_operators(version):
    model = classifier().fit(IRIS, SPECIES)
    graphs.assert_classifies_alike(model, IRIS, version=version)
    model = regressor().fit(DIABETES, PROGRESSION)
    graphs.assert_predicts_alike(model, DIABETES, PROGRESSION, version=version)


@pytest.mark.parametrize("n_rows", [0, 1, 1000])
def test_any_number_of_rows(n_rows):
    model = classifier().fit(IRIS, SPECIES)
    labels, probabilities = graphs.run(graphs.converted(model, IRIS), np.resize(IRIS, (n_rows, 4)))
    assert labels.shape == (n_rows,)
    assert probabilities.shape == (n_rows, 3)

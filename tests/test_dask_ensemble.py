"""Ensembles whose members train on the workers of a Dask cluster, against local ensembles."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import make_classification, make_regression

da = pytest.importorskip("dask.array")
distributed = pytest.importorskip("distributed")

from skbn import (  # noqa: E402
    MLPEnsembleWithBatchNormClassifier,
    MLPEnsembleWithBatchNormRegressor,
    MLPWithBatchNormClassifier,
    MLPWithBatchNormRegressor,
)
from skbn.dask import (  # noqa: E402
    DaskMLPEnsembleWithBatchNormClassifier,
    DaskMLPEnsembleWithBatchNormRegressor,
    DaskMLPWithBatchNormClassifier,
)

MEMBERS = {
    "classes": MLPWithBatchNormClassifier((8,), n_epochs=5),
    "numbers": MLPWithBatchNormRegressor(hidden_layer_sizes=(8,), n_epochs=5),
}
KINDS = {
    "classes": (DaskMLPEnsembleWithBatchNormClassifier, MLPEnsembleWithBatchNormClassifier),
    "numbers": (DaskMLPEnsembleWithBatchNormRegressor, MLPEnsembleWithBatchNormRegressor),
}


def rows_of(kind):
    if kind == "numbers":
        return make_regression(1200, 5, noise=5.0, random_state=0)
    return make_classification(400, 6, n_informative=4, n_classes=3, random_state=0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("embeddings", [(None, 1.0, 2.5), (1.0, 1.0, None, 2.0)])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_local_ensemble(client, kind, embeddings, weighted):
    X, y = rows_of(kind)
    weight = np.random.default_rng(0).integers(0, 4, len(X)).astype(float) if weighted else None
    on_cluster, local = KINDS[kind]
    parameters = {"periodic_embeddings": embeddings, "random_state": 0}
    single = local(MEMBERS[kind], **parameters).fit(X, y, weight)
    collections = [
        None if array is None else da.from_array(array, chunks=(250, *array.shape[1:]))
        for array in (X, y, weight)
    ]
    ensemble = on_cluster(MEMBERS[kind], **parameters).fit(*collections)
    for member, expected in zip(ensemble.estimators_, single.estimators_, strict=True):
        np.testing.assert_array_equal(member._parameters, expected._parameters)
    # Weighted rows count as fewer than the 1000 rows from which a regressor holds out rows.
    assert (ensemble.validation_scores_ is None) == (kind == "numbers" and weighted)
    if ensemble.validation_scores_ is not None:
        scores = single.validation_scores_
        np.testing.assert_allclose(ensemble.validation_scores_, scores, rtol=1e-9)
    predictions = ensemble.predict(collections[0])
    assert isinstance(predictions, da.Array)
    expected = single.predict(X)
    if kind == "numbers":
        np.testing.assert_allclose(predictions.compute(), expected, rtol=1e-6)
    else:
        np.testing.assert_array_equal(predictions.compute(), expected)
        probabilities = ensemble.predict_proba(collections[0])
        np.testing.assert_allclose(probabilities.compute(), single.predict_proba(X), rtol=1e-6)
    assert ensemble.score(*collections[:2]) == pytest.approx(single.score(X, y), abs=1e-6)
    assert type(ensemble.to_local()) is local
    assert ensemble.random_state == 0


@pytest.mark.parametrize("random_state", [None, np.random.RandomState(0)])
def test_a_random_state_that_is_no_integer(client, random_state):
    X, y = (da.from_array(part, chunks=200) for part in rows_of("classes"))
    ensemble = DaskMLPEnsembleWithBatchNormClassifier(
        MEMBERS["classes"], random_state=random_state
    ).fit(X, y)
    assert ensemble.random_state is random_state
    assert len(ensemble.estimators_) == 3


def test_a_member_for_dask_is_refused(client):
    X, y = (da.from_array(part, chunks=200) for part in rows_of("classes"))
    ensemble = DaskMLPEnsembleWithBatchNormClassifier(DaskMLPWithBatchNormClassifier())
    with pytest.raises(TypeError, match=r"not a DaskMLPWithBatchNormClassifier: .* to_local"):
        ensemble.fit(X, y)


def test_parameters_of_the_members(client):
    ensemble = DaskMLPEnsembleWithBatchNormClassifier(client=client)
    ensemble.set_params(estimator__n_epochs=2, periodic_embeddings=(None,))
    copied = clone(ensemble)
    assert copied.client is client
    X, y = (da.from_array(part, chunks=200) for part in rows_of("classes"))
    assert len(copied.fit(X, y).estimators_[0].loss_curve_) == 2


@pytest.mark.parametrize("name", ["partial_fit", "predict_members", "set_callbacks"])
@pytest.mark.parametrize("kind", KINDS)
def test_methods_of_the_local_ensemble_alone(kind, name):
    assert not hasattr(KINDS[kind][0](), name)
    with pytest.raises(ValueError, match="there is no current client"):
        KINDS[kind][0]().fit(da.zeros((4, 2)), da.zeros(4))

"""Ensembles whose members train in several processes. Threads stand for the processes."""

import numpy as np
import pytest
from communicators import Exchange, ThreadCommunicator, in_threads
from sklearn.datasets import make_classification, make_regression
from sklearn.metrics import make_scorer

from skbn import (
    MLPEnsembleWithBatchNormClassifier,
    MLPEnsembleWithBatchNormRegressor,
    MLPWithBatchNormClassifier,
    MLPWithBatchNormRegressor,
)
from skbn.data_parallel import fit_members
from skbn.estimators.base import BaseWithBatchNorm

CURVES = ("loss_curve_", "validation_scores_", "validation_loss_curve_", "validation_epochs_")


def ensemble_of(kind, n_members=3, random_state=0, **parameters):
    embeddings = (None, 1.0, 2.5)[:n_members]
    if kind == "numbers":
        member = MLPWithBatchNormRegressor(hidden_layer_sizes=(8,), n_epochs=6, **parameters)
        make = MLPEnsembleWithBatchNormRegressor
    else:
        member = MLPWithBatchNormClassifier((8,), n_epochs=6, **parameters)
        make = MLPEnsembleWithBatchNormClassifier
    return make(member, periodic_embeddings=embeddings, random_state=random_state)


def rows_of(kind):
    if kind == "numbers":
        return make_regression(1200, 5, noise=5.0, random_state=0)
    return make_classification(400, 6, n_informative=4, n_classes=3, random_state=0)


def fitted_in_threads(make, arguments, size):
    return in_threads(
        lambda communicator: fit_members(make(), *arguments, communicator=communicator), size
    )


def assert_same_ensemble(one, other):
    for name in CURVES:
        first, second = getattr(one, name), getattr(other, name)
        assert (first is None) == (second is None)
        if first is not None:
            np.testing.assert_allclose(first, second, rtol=1e-10)
    assert len(one.estimators_) == len(other.estimators_)
    for first, second in zip(one.estimators_, other.estimators_, strict=True):
        np.testing.assert_array_equal(first._parameters, second._parameters)
        np.testing.assert_array_equal(first._statistics, second._statistics)
        assert first.loss_curve_ == second.loss_curve_
    assert one.kept_epoch_ == other.kept_epoch_
    assert one.n_iter_ == other.n_iter_


@pytest.mark.parametrize("calibrated", [{None}, {1.0}, {2.5}, set()])
@pytest.mark.parametrize("size", [1, 2, 3])
def test_few_members_with_enough_held_out_rows(calibrated, size, monkeypatch):
    """One member with a temperature is enough, in whichever process it is trained."""
    monkeypatch.setattr(
        BaseWithBatchNorm,
        "_is_calibrated",
        lambda member, rows, call: member.periodic_embedding in calibrated,
    )
    X, y = rows_of("classes")
    single = ensemble_of("classes").fit(X, y)
    assert hasattr(single, "temperature_") == bool(calibrated)
    for fitted in fitted_in_threads(lambda: ensemble_of("classes"), (X, y), size):
        assert_same_ensemble(fitted, single)
        assert vars(fitted).keys() == vars(single).keys()
        np.testing.assert_allclose(fitted.predict_proba(X), single.predict_proba(X), rtol=1e-6)


@pytest.mark.parametrize("kind", ["classes", "numbers"])
@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_members_of_one_process(kind, size, weighted):
    X, y = rows_of(kind)
    weight = np.random.default_rng(0).integers(1, 4, len(X)).astype(float) if weighted else None
    single = ensemble_of(kind).fit(X, y, weight)
    for fitted in fitted_in_threads(lambda: ensemble_of(kind), (X, y, weight), size):
        assert_same_ensemble(fitted, single)
        if kind == "classes":
            assert fitted.temperature_ == pytest.approx(single.temperature_, rel=1e-9)
            np.testing.assert_allclose(fitted.predict_proba(X), single.predict_proba(X), rtol=1e-6)
        else:
            np.testing.assert_allclose(fitted.predict(X), single.predict(X), rtol=1e-12)


@pytest.mark.parametrize(
    "parameters",
    [
        {"early_stopping": True, "learning_rate": "constant", "max_iter": 8, "n_iter_no_change": 2},
        {"early_stopping": False, "learning_rate": "constant", "max_iter": 8, "tol": 0.05},
        {"shuffle": False},
    ],
)
@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_other_ends_of_training(parameters):
    X, y = rows_of("classes")
    single = ensemble_of("classes", **parameters).fit(X, y)
    for fitted in fitted_in_threads(lambda: ensemble_of("classes", **parameters), (X, y), 2):
        assert_same_ensemble(fitted, single)


def test_a_scorer_that_cannot_be_pickled():
    X, y = rows_of("classes")
    scorer = make_scorer(lambda y, predicted: float(np.mean(y == predicted)))
    single = ensemble_of("classes", scoring=scorer).fit(X, y)
    for fitted in fitted_in_threads(lambda: ensemble_of("classes", scoring=scorer), (X, y), 2):
        assert_same_ensemble(fitted, single)
        assert fitted.estimators_[2].scoring is not None


def test_few_rows_hold_out_none():
    X, y = make_classification(60, 6, random_state=0)
    single = ensemble_of("classes").fit(X, y)
    assert single.validation_scores_ is None
    for fitted in fitted_in_threads(lambda: ensemble_of("classes"), (X, y), 2):
        assert_same_ensemble(fitted, single)


def test_the_loss_of_a_member_that_is_not_finite_is_an_error_of_all():
    X, y = rows_of("numbers")

    def make():
        return ensemble_of("numbers", solver="sgd", learning_rate_init=1e12)

    for error in fitted_in_threads(make, (X, y), 3):
        assert isinstance(error, ValueError)
        assert "loss was not finite" in str(error)


class TestErrors:
    def check(self, make, arguments, size, message):
        for error in fitted_in_threads(make, arguments, size):
            assert isinstance(error, ValueError)
            assert message in str(error)

    def test_more_processes_than_members(self):
        message = "3 processes cannot train 2 members"
        self.check(lambda: ensemble_of("classes", 2), rows_of("classes"), 3, message)

    @pytest.mark.parametrize("random_state", [None, np.random.RandomState(0)])
    def test_a_random_state_that_is_no_integer(self, random_state):
        with pytest.raises(ValueError, match="other seeds: give an integer"):
            fit_members(
                ensemble_of("classes", random_state=random_state),
                *rows_of("classes"),
                communicator=ThreadCommunicator(Exchange(1), 0),
            )

    def test_wrong_rows(self):
        X, y = rows_of("classes")
        self.check(lambda: ensemble_of("classes"), (np.full_like(X, np.nan), y), 2, "contains NaN")

    @pytest.mark.parametrize("estimator", [MLPWithBatchNormClassifier(), None])
    def test_what_is_no_ensemble(self, estimator):
        with pytest.raises(TypeError, match=type(estimator).__name__):
            fit_members(
                estimator, *rows_of("classes"), communicator=ThreadCommunicator(Exchange(1), 0)
            )

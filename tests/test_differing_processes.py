"""Processes of one fit that differ: in parameters, in kinds of estimators, or in rows.

An error of one process is an error of all processes. If one process left, the others would wait.
"""

from functools import partial

import numpy as np
import pytest
from communicators import in_threads
from sklearn.datasets import make_classification
from sklearn.metrics import log_loss, make_scorer
from sklearn.utils._param_validation import InvalidParameterError

from skbn import (
    MLPEnsembleWithBatchNormClassifier,
    MLPEnsembleWithBatchNormRegressor,
    MLPWithBatchNormClassifier,
    MLPWithBatchNormRegressor,
)
from skbn.data_parallel import fit, fit_members
from skbn.estimators import alike
from skbn.estimators.base import BaseWithBatchNorm

SIZE = 2


def rows():
    return make_classification(120, 4, random_state=0)


def network(**parameters):
    return MLPWithBatchNormClassifier(**{"n_epochs": 1, "random_state": 0} | parameters)


def ensemble(random_state=0, **parameters):
    return MLPEnsembleWithBatchNormClassifier(
        network(**parameters), periodic_embeddings=(None, 1.0), random_state=random_state
    )


def answers_of(function, of_ranks, data=None):
    """The answer of each process. `of_ranks` are the estimators, `data` the rows of the ranks."""
    data = [rows()] * len(of_ranks) if data is None else data

    def work(communicator):
        rank = communicator.rank
        return function(of_ranks[rank], *data[rank], communicator=communicator)

    return in_threads(work, len(of_ranks))


def assert_all_raise(answers, kind, message):
    for answer in answers:
        assert isinstance(answer, kind), answer
        assert message in str(answer)


class TestParametersOfOneProcess:
    @pytest.mark.parametrize(
        ("wrong", "kind", "message"),
        [
            (network(n_epochs=-1), InvalidParameterError, "n_epochs"),
            (network(solver="lbfgs"), ValueError, "solver='lbfgs' is not supported"),
            (network(normalize_input="robust"), ValueError, "normalize_input='robust'"),
            (network(scoring="roc_auc"), ValueError, "scoring='roc_auc'"),
            (ensemble(), TypeError, "not MLPEnsembleWithBatchNormClassifier"),
        ],
    )
    @pytest.mark.parametrize("wrong_rank", range(SIZE))
    def test_a_network(self, wrong, kind, message, wrong_rank):
        of_ranks = [wrong if rank == wrong_rank else network() for rank in range(SIZE)]
        assert_all_raise(answers_of(fit, of_ranks), kind, message)

    @pytest.mark.parametrize(
        ("wrong", "kind", "message"),
        [
            (ensemble(random_state=None), ValueError, "give an integer"),
            (ensemble().set_params(periodic_embeddings=3), InvalidParameterError, "embeddings"),
            (network(), TypeError, "not the members of MLPWithBatchNormClassifier"),
        ],
    )
    @pytest.mark.parametrize("wrong_rank", range(SIZE))
    def test_an_ensemble(self, wrong, kind, message, wrong_rank):
        of_ranks = [wrong if rank == wrong_rank else ensemble() for rank in range(SIZE)]
        assert_all_raise(answers_of(fit_members, of_ranks), kind, message)

    @pytest.mark.parametrize(("function", "make"), [(fit, network), (fit_members, ensemble)])
    def test_callbacks(self, function, make):
        callback = pytest.importorskip("sklearn.callback").ProgressBar
        pytest.importorskip("rich")
        of_ranks = [make(), make().set_callbacks(callback())]
        message = "Callbacks are not supported"
        assert_all_raise(answers_of(function, of_ranks), ValueError, message)


class TestRowsOfOneProcess:
    @pytest.mark.parametrize(
        ("wrong", "message"),
        [
            (lambda X, y: (np.full_like(X, np.nan), y), "Input X contains NaN"),
            (lambda X, y: (np.ma.masked_array(X, X > 1.0), y), "X is a masked array"),
            (lambda X, y: (X, y[:-1]), "inconsistent numbers of samples"),
            (lambda X, y: (X, y, -np.ones(len(y))), "Negative values"),
        ],
    )
    @pytest.mark.parametrize("wrong_rank", range(SIZE))
    def test_wrong_rows(self, wrong, message, wrong_rank):
        X, y = rows()
        data = [wrong(X, y) if rank == wrong_rank else (X, y) for rank in range(SIZE)]
        answers = answers_of(fit_members, [ensemble(), ensemble()], data)
        assert_all_raise(answers, ValueError, message)


@pytest.mark.parametrize("wrong_rank", range(SIZE))
def test_a_member_that_is_not_finite_is_an_error_of_all(monkeypatch, wrong_rank):
    finish = BaseWithBatchNorm._finish

    def failing(member, fit):
        if member.periodic_embedding == (None, 1.0)[wrong_rank]:
            fit.network.parameters[:] = np.nan
        finish(member, fit)

    monkeypatch.setattr(BaseWithBatchNorm, "_finish", failing)
    answers = answers_of(fit_members, [ensemble(), ensemble()])
    assert_all_raise(answers, ValueError, "not finite after iteration 1")


class OtherKind(MLPWithBatchNormClassifier):
    pass


class Scorer:
    """A scorer whose text has its address, which differs between equal scorers."""

    def __init__(self, sign):
        self.sign = sign

    def __call__(self, estimator, X, y):
        return self.sign * float(np.mean(estimator.predict(X) == y))


def scored(sign, estimator, X, y):
    return Scorer(sign)(estimator, X, y)


class TestEstimatorsThatDiffer:
    @pytest.mark.parametrize(
        "others",
        [
            (MLPWithBatchNormRegressor(n_epochs=1), network()),
            (network(), MLPWithBatchNormRegressor(n_epochs=1)),
            (network(), OtherKind(n_epochs=1, random_state=0)),
            (OtherKind(n_epochs=1, random_state=0), network()),
        ],
    )
    def test_kinds_of_networks(self, others):
        answers = answers_of(fit, others)
        assert_all_raise(answers, ValueError, "the same estimator, but the class differs: ")

    def test_kinds_of_members(self):
        of_ranks = [ensemble(), ensemble().set_params(estimator=OtherKind(n_epochs=1))]
        message = "the same estimator, but the class of the members differs: "
        assert_all_raise(answers_of(fit_members, of_ranks), ValueError, message)

    def test_kinds_of_ensembles(self):
        of_ranks = [ensemble(), MLPEnsembleWithBatchNormRegressor(random_state=0)]
        message = "the same estimator, but the class differs: "
        assert_all_raise(answers_of(fit_members, of_ranks), ValueError, message)

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ({"alpha": 0.1}, {"alpha": 0.2}),
            ({"hidden_layer_sizes": (5,)}, {"hidden_layer_sizes": (5, 5)}),
            ({"class_weight": {0: 1, 1: 2}}, {"class_weight": {0: 2, 1: 1}}),
            ({"class_weight": {0: 1, 1: 2}}, {"class_weight": None}),
        ],
    )
    def test_parameters(self, one, other):
        message = f"but the parameter {next(iter(one))} differs: "
        answers = answers_of(fit, [network(**one), network(**other)])
        assert_all_raise(answers, ValueError, message)

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            (lambda *_: 1.0, lambda *_: 2.0),
            (lambda e, X, y: e.score(X, y), lambda e, X, y: e.predict(X).mean()),
            (Scorer(1.0), Scorer(-1.0)),
            (Scorer(1.0).__call__, Scorer(-1.0).__call__),
            (Scorer(np.arange(5000.0)), Scorer(np.arange(5000.0)[::-1])),
            (partial(scored, 1.0), partial(scored, -1.0)),
            (make_scorer(lambda y, p: 1.0), make_scorer(lambda y, p: 2.0)),
            (make_scorer(log_loss), make_scorer(log_loss, greater_is_better=False)),
            ("accuracy", "roc_auc"),
        ],
    )
    def test_scorers(self, one, other):
        message = "but the parameter estimator__scoring differs: "
        answers = answers_of(fit_members, [ensemble(scoring=one), ensemble(scoring=other)])
        assert_all_raise(answers, ValueError, message)

    def test_functions_of_one_name(self):
        of_ranks = [ensemble(scoring=scorer) for scorer in (lambda *_: 1.0, lambda *_: 2.0)]
        name = of_ranks[0].estimator.scoring.__qualname__
        message = f"differs: {name} in process 0, another {name} in process 1"
        assert_all_raise(answers_of(fit_members, of_ranks), ValueError, message)

    def test_the_classes_of_a_warm_start(self):
        fitted = [network(warm_start=True).fit(*rows()) for _ in range(2)]
        fitted[1].classes_ = np.array([5, 6])
        message = "but classes_ of the fitted network differs: [0 1] in process 0"
        assert_all_raise(answers_of(fit, fitted), ValueError, message)


class TestEqualEstimators:
    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ({"alpha": 0.1}, {"alpha": np.float64(0.1)}),
            ({"hidden_layer_sizes": (5,)}, {"hidden_layer_sizes": [5]}),
            ({"hidden_layer_sizes": (5,)}, {"hidden_layer_sizes": np.array([5])}),
            ({"hidden_layer_sizes": (5,)}, {"hidden_layer_sizes": (np.int64(5),)}),
            ({"class_weight": {0: 1, 1: 2}}, {"class_weight": {1: 2, 0: 1}}),
            ({"class_weight": {0: 1, 1: 2}}, {"class_weight": {np.int64(0): 1, np.int64(1): 2.0}}),
            ({"verbose": False}, {"verbose": 0}),
            ({"random_state": 0}, {"random_state": np.random.RandomState(5)}),
        ],
    )
    def test_networks(self, one, other):
        for fitted in answers_of(fit, [network(**one), network(**other)]):
            assert fitted.n_iter_ == 1

    @pytest.mark.parametrize(
        "make",
        [
            lambda: Scorer(1.0),
            lambda: partial(scored, 1.0),
            lambda: make_scorer(lambda y, predicted: float(np.mean(y == predicted))),
            lambda: lambda estimator, X, y: max([0.5, *(0.1 for _ in X)]),
            lambda: Scorer(1.0).__call__,
        ],
    )
    def test_scorers_that_are_no_names(self, make):
        for fitted in answers_of(fit_members, [ensemble(scoring=make()) for _ in range(2)]):
            assert fitted.n_iter_ == 1

    def test_members_by_default_and_members_of_the_same_parameters(self):
        embeddings = {"periodic_embeddings": (None, 1.0), "random_state": np.int64(0)}
        of_ranks = [
            MLPEnsembleWithBatchNormClassifier(**embeddings),
            MLPEnsembleWithBatchNormClassifier(MLPWithBatchNormClassifier(), **embeddings),
        ]
        X, y = rows()
        data = [(X[:40], y[:40])] * 2
        for fitted in answers_of(fit_members, of_ranks, data):
            assert len(fitted.estimators_) == 2

    def test_an_object_that_holds_itself(self):
        one, other = Scorer(1.0), Scorer(1.0)
        one.itself, other.itself = one, other
        assert alike.plain(one) == alike.plain(other)

    def test_nan(self):
        assert alike.plain({"a": np.nan}) == alike.plain({"a": float("nan")})

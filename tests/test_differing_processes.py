"""Processes of one fit that differ: in parameters, in kinds of estimators, or in rows.

An error of one process is an error of all processes. If one process left, the others would wait.
"""

import numpy as np
import pytest
from communicators import in_threads
from sklearn.datasets import make_classification
from sklearn.utils._param_validation import InvalidParameterError

from skbn import (
    MLPEnsembleWithBatchNormClassifier,
    MLPWithBatchNormClassifier,
)
from skbn.data_parallel import fit, fit_members
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

"""Processes of one fit that differ: in parameters, in kinds of estimators, or in rows.

An error of one process is an error of all processes. If one process left, the others would wait.
"""

import tracemalloc
from functools import partial

import numpy as np
import pytest
from communicators import in_threads
from scipy.sparse import csc_matrix, csr_matrix
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


class TestRowsThatDiffer:
    def check(self, data, message):
        answers = answers_of(fit_members, [ensemble() for _ in data], data)
        assert_all_raise(answers, ValueError, "must give the same rows, but " + message)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda X, y: (X[:100], y[:100]), "the shape of X differs: (120, 4) in process 0"),
            (lambda X, y: (X, y, np.ones(len(y))), "whether there are weights differs"),
            (lambda X, y: (X[::-1], y), "X differs"),
            (lambda X, y: (X, y[::-1]), "y differs"),
            (lambda X, y: (X.astype(np.float32), y), "the dtype of X differs"),
            (lambda X, y: (csr_matrix(X), y), "whether X is sparse differs"),
        ],
    )
    def test_dense_rows(self, change, message):
        X, y = rows()
        self.check([(X, y), change(X, y)], message)

    def test_one_number_of_the_last_process(self):
        X, y = rows()
        other = X.copy()
        other[77, 2] += 1e-12
        self.check([(X, y), (other, y)], "X differs: the checksum")

    def test_weights(self):
        X, y = rows()
        weight = np.linspace(1.0, 2.0, len(y))
        self.check([(X, y, weight), (X, y, weight[::-1])], "sample_weight differs")

    @pytest.mark.parametrize("name", ["data", "indices"])
    def test_sparse_rows(self, name):
        X, y = rows()
        X[X < 0.5] = 0.0
        first, second = csr_matrix(X), csr_matrix(X)
        if name == "data":
            second.data[5] = 7.0
        else:
            second = second[:, ::-1]
        self.check([(first, y), (second, y)], "X differs")

    def test_labels(self):
        X, y = rows()
        y = np.array(["no", "yes"], dtype=object)[y]
        self.check([(X, y), (X, y[::-1])], "y differs")

    def test_several_labels_in_a_sparse_matrix(self):
        X, _ = rows()
        y = (X[:, :3] > 0.0).astype(int)
        self.check([(X, csr_matrix(y)), (X, csr_matrix(1 - y))], "y differs")

    @pytest.mark.parametrize("block_bytes", [1, 100, 2**23])
    def test_equal_rows_in_other_forms(self, monkeypatch, block_bytes):
        monkeypatch.setattr(alike, "BLOCK_BYTES", block_bytes)
        X, y = rows()
        weight = np.linspace(1.0, 2.0, len(y))
        data = [
            (X, y, weight),
            (np.asfortranarray(X), y.astype(np.int32), weight.tolist()),
            (X.tolist(), y.tolist(), np.repeat(weight, 2)[::2]),
        ]
        of_ranks = [ensemble().set_params(periodic_embeddings=(None, 1.0, 2.0)) for _ in data]
        for fitted in answers_of(fit_members, of_ranks, data):
            assert len(fitted.estimators_) == 3

    def test_equal_sparse_rows_in_other_forms(self):
        X, y = rows()
        X[X < 0.5] = 0.0
        y = np.array(["no", "yes"])[y]
        data = [(csr_matrix(X), y), (csc_matrix(X), y.astype(object))]
        for fitted in answers_of(fit_members, [ensemble(), ensemble()], data):
            assert len(fitted.estimators_) == 2

    def test_a_large_table_is_not_copied(self):
        X = np.zeros((20_000, 100))
        tracemalloc.start()
        try:
            for table in (X, np.asfortranarray(X), X.view(np.memmap)):
                before, _ = tracemalloc.get_traced_memory()
                tracemalloc.reset_peak()
                alike.checksum(table, table.dtype)
                _, peak = tracemalloc.get_traced_memory()
                assert peak - before < 1.1 * alike.BLOCK_BYTES
        finally:
            tracemalloc.stop()


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


@pytest.mark.parametrize("function", [fit, fit_members])
@pytest.mark.parametrize("communicator", [None, "localhost"])
def test_what_is_no_communicator_is_refused(function, communicator):
    model = network() if function is fit else ensemble()
    with pytest.raises(TypeError, match="communicator must have rank, size and Allreduce"):
        function(model, *rows(), communicator=communicator)

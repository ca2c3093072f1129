"""Perceptrons that several processes fit together. Threads stand for the processes."""

import threading
from functools import partial

import numpy as np
import pytest
from communicators import (
    Exchange,
    ThreadCommunicator,
    fitted_together,
    in_threads,
    merged_order,
    split,
)
from scipy.sparse import csr_matrix
from sklearn.datasets import make_classification, make_regression
from sklearn.neural_network import MLPClassifier
from sklearn.utils._param_validation import InvalidParameterError

from skbn import (
    MLPEnsembleWithBatchNormClassifier,
    MLPWithBatchNormClassifier,
    MLPWithBatchNormRegressor,
    RNNWithBatchNormClassifier,
)
from skbn.data_parallel import fit
from skbn.estimators import solvers
from skbn.estimators.scoring import n_held_out
from skbn.network.processes import Processes
from skbn.training.batches import Batches

KINDS = {"classes": MLPWithBatchNormClassifier, "numbers": MLPWithBatchNormRegressor}

# Rows of each process.
COUNTS = [[600], [300, 300], [410, 190], [201, 150, 249], [598, 1, 1], [30, 540, 30]]


def one_thread():
    """The communicator of a single process."""
    return ThreadCommunicator(Exchange(1), 0)


def rows_of(kind, n=600, n_classes=3):
    """A table with a binary column, targets and weights."""
    if kind == "numbers":
        X, y = make_regression(n, 6, noise=5.0, random_state=0)
        y = 100.0 + y
    else:
        X, y = make_classification(
            n, 6, n_informative=4, n_redundant=0, n_classes=n_classes, random_state=0
        )
        y = np.array(["a", "b", "c"])[y]
    X[:, 2] = X[:, 2] > 0.0
    X[:, 4] = 1e3 + X[:, 4]
    weight = np.random.default_rng(1).integers(1, 4, n).astype(float)
    return X, y, weight


def network_of(kind, **parameters):
    defaults = {
        "hidden_layer_sizes": (16, 8),
        "batch_size": 64,
        "n_epochs": 6,
        "normalize_input": "smooth_clip",
        "shuffle": False,
        "dtype": "float64",
        "random_state": 0,
    }
    return KINDS[kind](**defaults | parameters)


def in_merged_order(counts, n_held):
    """The rows of all processes as one process has to have them, for the same mini-batches.

    The last rows of each process are held out. They are the last rows of the one process, too.
    """
    processes = [process for process, _ in merged_order(counts)[:n_held]]
    held = np.bincount(processes, minlength=len(counts))
    starts = np.cumsum([0, *counts[:-1]])
    trained = np.array(counts) - held
    numbers = [starts[process] + row for process, row in merged_order(trained)]
    for start, n_trained, n in zip(starts, trained, counts, strict=True):
        numbers += range(start + n_trained, start + n)
    return np.array(numbers)


def assert_same_network(one, other, rtol):
    for name in ("_parameters", "_statistics"):
        first, second = getattr(one, name), getattr(other, name)
        np.testing.assert_allclose(
            first, second, rtol=rtol, atol=rtol * np.abs(second).max(initial=0.0)
        )
    for name in ("loss_curve_", "validation_loss_curve_", "validation_scores_"):
        if getattr(other, name) is None:
            assert getattr(one, name) is None
        else:
            np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=rtol)
    assert one.kept_epoch_ == other.kept_epoch_
    assert (one.t_, one.n_iter_, one.batch_size_) == (other.t_, other.n_iter_, other.batch_size_)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("batch_norm", ["before", "after", None])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("counts", COUNTS, ids=str)
def test_processes_fit_the_network_of_one_process(kind, batch_norm, weighted, counts):
    X, y, weight = rows_of(kind)
    weight = weight if weighted else None
    # A regressor holds out rows from 1000 rows on.
    is_held = kind == "classes"
    n_held = n_held_out(len(X), 0.1) if is_held else 0
    order = in_merged_order(counts, n_held)
    make = partial(network_of, kind, batch_norm=batch_norm)
    single = make().fit(X[order], y[order], None if weight is None else weight[order])
    networks = fitted_together(make, split((X, y, weight), counts))
    for network in networks:
        assert_same_network(network, single, rtol=1e-7)
        np.testing.assert_array_equal(network._parameters, networks[0]._parameters)
        np.testing.assert_array_equal(network._statistics, networks[0]._statistics)
    fitted = networks[-1]
    np.testing.assert_allclose(fitted.input_mean_, single.input_mean_, rtol=1e-12)
    np.testing.assert_allclose(fitted.input_var_, single.input_var_, rtol=1e-10)
    np.testing.assert_array_equal(fitted.embedded_columns_, single.embedded_columns_)
    if is_held:
        np.testing.assert_array_equal(fitted.classes_, single.classes_)
        assert fitted.temperature_ == pytest.approx(single.temperature_, rel=1e-3)
        np.testing.assert_allclose(fitted._prior_outputs, single._prior_outputs, rtol=1e-12)
        np.testing.assert_allclose(fitted.predict_proba(X), single.predict_proba(X), atol=1e-3)
    else:
        np.testing.assert_allclose(fitted.predict(X), single.predict(X), rtol=1e-5, atol=1e-5)


class TestParts:
    """Whatever the rows of a process are, all processes fit one network."""

    def check(self, make, arrays, counts, score=0.85):
        networks = fitted_together(make, split(arrays, counts))
        for network in networks:
            if isinstance(network, Exception):
                raise network
            np.testing.assert_array_equal(network._parameters, networks[0]._parameters)
            np.testing.assert_array_equal(network._statistics, networks[0]._statistics)
            assert network.loss_curve_ == networks[0].loss_curve_
            assert network._random_sequence["seed"] == networks[0]._random_sequence["seed"]
            assert network._dropout_seed == networks[0]._dropout_seed
        assert networks[0].score(*arrays[:2]) > score
        return networks[0]

    def test_defaults(self):
        X, y, _ = rows_of("classes", 3000)
        make = partial(MLPWithBatchNormClassifier, n_epochs=20, random_state=0)
        fitted = self.check(make, (X.astype(np.float32), y), [1000, 500, 1500])
        assert fitted._input_kind == "smooth_clip"
        assert fitted.temperature_ >= 1.0
        assert len(fitted.validation_epochs_) == 8

    def test_one_process_draws_the_numbers_of_a_usual_fit(self):
        X, y, weight = rows_of("classes")
        make = partial(
            MLPWithBatchNormClassifier,
            n_epochs=5,
            dropout=0.2,
            normalize_input="standard",
            dtype="float64",
            random_state=0,
        )
        fitted = self.check(make, (X, y, weight), [600], 0.6)
        single = make().fit(X, y, weight)
        assert_same_network(fitted, single, rtol=1e-9)
        assert fitted.temperature_ == pytest.approx(single.temperature_, rel=1e-6)

    def test_a_class_that_is_missing_in_processes(self):
        X, y, _ = rows_of("classes")
        order = np.argsort(y, kind="stable")
        arrays = X[order], y[order]
        counts = np.unique(y, return_counts=True)[1].tolist()
        fitted = self.check(
            partial(network_of, "classes", shuffle=True, n_epochs=20), arrays, counts
        )
        np.testing.assert_array_equal(fitted.classes_, ["a", "b", "c"])

    def test_processes_shuffle_in_orders_of_their_own(self, monkeypatch):
        orders = {}
        original = Batches.reordered

        def spy(batches, rows):
            order = original(batches, rows)
            orders.setdefault(id(batches), []).append(order)
            return order

        monkeypatch.setattr(Batches, "reordered", spy)
        X, y, _ = rows_of("classes")
        make = partial(network_of, "classes", shuffle=True, n_epochs=2, early_stopping=False)
        fitted_together(make, split((X, y), [300, 300]))
        first, second = orders.values()
        assert len(first) == len(second) == 2
        for one, other in zip(first, second, strict=True):
            assert not np.array_equal(one, other)

    def test_sorted_rows_are_mixed_in_each_mini_batch(self):
        # Rows sorted by the target: each mini-batch has rows of all processes.
        X, y, _ = rows_of("numbers")
        order = np.argsort(y)
        make = partial(network_of, "numbers", shuffle=True, n_epochs=40)
        self.check(make, (X[order], y[order]), [200, 200, 200], 0.95)

    def test_sparse_rows(self):
        rng = np.random.default_rng(0)
        X = rng.standard_normal((400, 30)) * (rng.uniform(size=(400, 30)) < 0.2)
        y = X[:, 0] + X[:, 1] > 0.0
        make = partial(network_of, "classes", shuffle=True, n_epochs=20)
        dense = self.check(make, (X, y), [150, 250])
        fitted = self.check(partial(make, periodic_embedding=None), (csr_matrix(X), y), [150, 250])
        assert dense.n_features_in_ == fitted.n_features_in_
        single = make(shuffle=False, early_stopping=False)
        order = in_merged_order([150, 250], 0)
        single.fit(csr_matrix(X[order]), y[order])
        (together, _) = fitted_together(
            partial(make, shuffle=False, early_stopping=False),
            split((csr_matrix(X), y), [150, 250]),
        )
        assert_same_network(together, single, rtol=1e-7)

    @pytest.mark.parametrize("early_stopping", [True, False])
    @pytest.mark.parametrize("kind", KINDS)
    def test_early_stopping_of_scikit_learn(self, kind, early_stopping):
        X, y, _ = rows_of(kind)
        make = partial(
            network_of,
            kind,
            shuffle=True,
            early_stopping=early_stopping,
            learning_rate="constant",
            learning_rate_init=0.01,
            max_iter=200,
            n_iter_no_change=5,
            tol=1e-3,
        )
        fitted = self.check(make, (X, y), [400, 200], 0.8)
        assert 5 < fitted.n_iter_ < 200
        if early_stopping:
            assert len(fitted.validation_scores_) == fitted.n_iter_
            assert max(fitted.validation_scores_) == fitted.best_validation_score_

    @pytest.mark.parametrize("class_weight", ["balanced", {"a": 2.0, "b": 0.5}])
    def test_class_weights(self, class_weight):
        X, y, weight = rows_of("classes")
        # The first process has no "c", and few "a".
        order = np.argsort(y == "c", kind="stable")
        X, y, weight = X[order], y[order], weight[order]
        counts = [int((y != "c").sum()) - 20, 620 - int((y != "c").sum())]
        make = partial(
            network_of, "classes", class_weight=class_weight, early_stopping=False, n_epochs=4
        )
        order = in_merged_order(counts, 0)
        single = make().fit(X[order], y[order], weight[order])
        for network in fitted_together(make, split((X, y, weight), counts)):
            assert_same_network(network, single, rtol=1e-7)

    def test_balanced_weights_of_classes_that_look_like_numbers(self):
        X, y, _ = rows_of("classes")
        y = np.where(y == "a", "0", "1")
        make = partial(
            network_of, "classes", class_weight="balanced", early_stopping=False, n_epochs=4
        )
        order = in_merged_order([400, 200], 0)
        single = make().fit(X[order], y[order])
        for network in fitted_together(make, split((X, y), [400, 200])):
            assert_same_network(network, single, rtol=1e-7)

    def test_the_first_process_prints(self, capsys):
        X, y, _ = rows_of("classes")
        fitted_together(
            partial(network_of, "classes", verbose=True, n_epochs=3), split((X, y), [400, 200])
        )
        printed = capsys.readouterr().out.splitlines()
        assert sum("Iteration" in line for line in printed) == 3

    @pytest.mark.parametrize("class_weight", [None, "balanced", [{0: 1.0, 1: 3.0}] * 3])
    def test_several_labels(self, class_weight):
        rng = np.random.default_rng(0)
        X = rng.standard_normal((300, 5))
        y = (X[:, :3] + X[:, 1:4] > 0.5).astype(int)
        make = partial(
            network_of, "classes", class_weight=class_weight, early_stopping=False, n_epochs=4
        )
        order = in_merged_order([100, 200], 0)
        single = make().fit(X[order], y[order])
        for network in fitted_together(make, split((X, y), [100, 200])):
            assert_same_network(network, single, rtol=1e-7)

    def test_rows_of_no_weight_and_heavy_rows(self):
        X, y, _ = rows_of("classes")
        weight = np.random.default_rng(0).exponential(size=600) ** 3
        weight[::3] = 0.0
        make = partial(network_of, "classes", shuffle=True, n_epochs=20)
        self.check(make, (X, y, weight), [200, 300, 100], 0.7)
        kept = weight > 0.0
        counts = [int(kept[:200].sum()), int(kept[200:].sum())]
        order = in_merged_order(counts, 0)
        make = partial(network_of, "classes", early_stopping=False, batch_size=32)
        single = make().fit(X[kept][order], y[kept][order], weight[kept][order])
        for network in fitted_together(make, split((X, y, weight), [200, 400])):
            assert_same_network(network, single, rtol=1e-7)

    def test_a_warm_start_goes_on(self):
        X, y, _ = rows_of("classes")
        make = partial(network_of, "classes", shuffle=True, warm_start=True, n_epochs=3)

        def work(communicator):
            network = make()
            for _ in range(2):
                part = split((X, y), [350, 250])[communicator.rank]
                fit(network, *part, communicator=communicator)
            return network

        first, second = in_threads(work, 2)
        np.testing.assert_array_equal(first._parameters, second._parameters)
        assert first.loss_curve_ == second.loss_curve_
        assert len(first.loss_curve_) == 6
        assert first.loss_curve_[-1] < first.loss_curve_[2]
        assert first._input_weight[0] == 2 * 540

    def test_many_rows_have_exact_statistics_of_some_of_them(self, monkeypatch):
        from skbn.estimators import scoring

        monkeypatch.setattr(scoring, "STATISTICS_ROWS", 100)
        chosen = []
        original = scoring.set_exact_statistics

        def spy(network, table, rows, processes):
            chosen.append((processes.rank, len(rows)))
            return original(network, table, rows, processes)

        monkeypatch.setattr(scoring, "set_exact_statistics", spy)
        X, y, _ = rows_of("classes")
        self.check(partial(network_of, "classes", shuffle=True, n_epochs=20), (X, y), [400, 200])
        assert set(chosen) == {(0, 67), (1, 33)}

    def test_a_loss_that_is_not_finite(self):
        X, y, _ = rows_of("numbers")
        make = partial(network_of, "numbers", solver="sgd", learning_rate_init=1e12)
        errors = fitted_together(make, split((X, y), [400, 200]))
        for error in errors:
            assert isinstance(error, ValueError)
            assert "loss was not finite" in str(error)


class TestErrors:
    @pytest.mark.parametrize(
        ("wrong", "message"),
        [
            (lambda X, y: (np.full_like(X, np.nan), y), "Input X contains NaN"),
            (lambda X, y: (X, y[:-1]), "inconsistent numbers of samples"),
            (lambda X, y: (np.ma.masked_array(X, X > 2.0), y), "masked"),
            (lambda X, y: (X, np.linspace(0, 1, len(y))), "targets are numbers differs"),
            (lambda X, y: (X[:, :5], y), "number of features differs"),
            (lambda X, y: (X.astype(np.float32), y), "dtype of X differs"),
            (lambda X, y: (csr_matrix(X), y), "sparse differs"),
            (lambda X, y: (X, y, np.ones(len(y))), "whether there are weights differs"),
            (lambda X, y: (X[:0], y[:0]), "0 sample(s)"),
        ],
    )
    @pytest.mark.parametrize("size", [2, 3])
    def test_wrong_rows_of_one_process_are_an_error_of_all(self, wrong, message, size):
        X, y, _ = rows_of("classes")
        parts = split((X, y), [600 // size] * size)
        parts[-1] = wrong(*parts[-1])
        for answer in fitted_together(partial(network_of, "classes"), parts):
            assert isinstance(answer, ValueError)
            assert message in str(answer) or pytest.raises(ValueError, match=message).__exit__(
                type(answer), answer, None
            )

    @pytest.mark.parametrize(
        ("wrong", "message"),
        [
            (np.full(300, -1.0), "targets >= 0"),
            (np.full(300, np.datetime64("2020-01-01")), "targets are numbers differs"),
            (np.full(300, np.nan), "NaN"),
        ],
    )
    def test_wrong_targets_of_one_process(self, wrong, message):
        X, y, _ = rows_of("numbers")
        parts = split((X, np.abs(y)), [300, 300])
        parts[1] = X[300:], wrong
        for answer in fitted_together(partial(network_of, "numbers", loss="poisson"), parts):
            assert isinstance(answer, (ValueError, TypeError))
            assert message in str(answer)

    @pytest.mark.parametrize(
        ("parameters", "message"),
        [
            ({"class_weight": {0: -1.0, 1: 1.0}}, "class_weight must be >= 0"),
            ({"class_weight": {0: np.nan, 1: 1.0}}, "class_weight must be >= 0"),
            ({"class_weight": {0: 1e308, 1: 1.0}}, "beyond the largest float64"),
            ({"class_weight": {7: 1.0}}, "class_weight"),
        ],
    )
    def test_weights_of_a_class_that_one_process_has(self, parameters, message):
        X, y = np.random.default_rng(0).standard_normal((60, 3)), np.arange(60) // 30
        make = partial(MLPWithBatchNormClassifier, random_state=0, **parameters)
        for answer in fitted_together(make, split((X, y), [30, 30])):
            assert isinstance(answer, ValueError)
            assert message in str(answer)

    @pytest.mark.parametrize(
        "of_rank",
        [
            lambda rank: MLPWithBatchNormClassifier(batch_size=8 + rank),
            lambda rank: MLPWithBatchNormClassifier(alpha=0.1 * rank),
            lambda rank: MLPWithBatchNormClassifier((8,) if rank else (8, 8)),
            lambda rank: MLPWithBatchNormClassifier(
                warm_start=True, n_epochs=1, random_state=rank
            ).fit(*rows_of("classes", 60)[:2]),
            lambda rank: (
                MLPWithBatchNormClassifier(warm_start=True, n_epochs=1).fit(
                    *rows_of("classes", 60)[:2]
                )
                if rank
                else MLPWithBatchNormClassifier(warm_start=True, n_epochs=1)
            ),
        ],
    )
    def test_estimators_that_differ(self, of_rank):
        X, y, _ = rows_of("classes", 60)

        def work(communicator):
            return fit(of_rank(communicator.rank), X, y, communicator=communicator)

        for answer in in_threads(work, 2):
            assert isinstance(answer, ValueError)
            assert "must give the same estimator, but" in str(answer)

    @pytest.mark.parametrize("n", [10, 40, 60, 200])
    def test_ctrl_c_in_one_process_ends_its_fit(self, n):
        class Interrupted(ThreadCommunicator):
            calls = 0

            def Allreduce(self, sendbuf, recvbuf):
                self.calls += 1
                if self.calls == n:
                    self.exchange.barrier.abort()
                    raise KeyboardInterrupt
                super().Allreduce(sendbuf, recvbuf)

        network = network_of("classes", n_epochs=100)
        X, y, _ = rows_of("classes")
        with pytest.raises(KeyboardInterrupt):
            fit(network, X, y, communicator=Interrupted(Exchange(1), 0))
        assert not hasattr(network, "coefs_")

    def test_negative_weights_of_a_plain_network(self):
        X, y, weight = rows_of("classes")
        weight[-1] = -1.0
        make = partial(
            MLPWithBatchNormClassifier.from_sklearn, MLPClassifier(max_iter=2, batch_size=50)
        )
        for answer in fitted_together(make, split((X, y, weight), [300, 300])):
            assert isinstance(answer, ValueError)
            assert "Negative values" in str(answer)

    @pytest.mark.parametrize(
        ("kind", "columns", "targets"),
        [
            ("classes", (1e155, -1e155), None),
            ("numbers", None, (1e155, -1e155)),
            ("classes", (1e-170, 2e-170), None),
        ],
    )
    def test_extreme_numbers_that_only_all_processes_show(self, kind, columns, targets):
        X, y, _ = rows_of(kind)
        parts = split((X, y), [300, 300])
        for rank in range(2):
            if columns is not None:
                parts[rank] = np.full((300, 1), columns[rank]), parts[rank][1]
            else:
                parts[rank] = parts[rank][0], np.full(300, targets[rank])
        for answer in fitted_together(partial(network_of, kind), parts):
            assert isinstance(answer, ValueError)
            assert "squares leave the range" in str(answer)

    def test_too_few_rows_in_all_processes(self):
        X, y, _ = rows_of("numbers")
        (answer,) = fitted_together(partial(network_of, "numbers"), [(X[:1], y[:1])])
        assert isinstance(answer, ValueError)
        assert "1 sample(s) in all processes together" in str(answer)
        make = partial(network_of, "numbers", early_stopping=True, validation_fraction=0.01)
        for answer in fitted_together(make, split((X[:40], y[:40]), [20, 20])):
            assert isinstance(answer, ValueError)
            assert "validation set is too small" in str(answer)

    def test_too_little_memory_of_one_machine(self, monkeypatch):
        from skbn.estimators import memory

        sizes = {}
        monkeypatch.setattr(
            memory, "physical_memory", lambda: sizes.get(threading.current_thread().name, np.inf)
        )

        def work(communicator):
            if communicator.rank == 1:
                sizes[threading.current_thread().name] = 1000.0
            part = split(rows_of("classes")[:2], [300, 300])[communicator.rank]
            return fit(network_of("classes"), *part, communicator=communicator)

        for answer in in_threads(work, 2):
            assert isinstance(answer, ValueError)
            assert "is too large" in str(answer)

    def test_all_weights_of_a_process_are_zero(self):
        X, y, weight = rows_of("classes")
        weight[300:] = 0.0
        for answer in fitted_together(
            partial(network_of, "classes"), split((X, y, weight), [300, 300])
        ):
            assert isinstance(answer, ValueError)
            assert "at least one non-zero" in str(answer)

    @pytest.mark.parametrize(
        ("parameters", "message"),
        [
            ({"solver": "lbfgs"}, "solver='lbfgs' is not supported"),
            ({"normalize_input": "robust"}, "normalize_input='robust' is not supported"),
            ({"scoring": "roc_auc"}, "scoring='roc_auc' is not supported"),
        ],
    )
    def test_parameters_that_are_not_supported(self, parameters, message):
        X, y, _ = rows_of("classes")
        with pytest.raises(ValueError, match=message):
            fit(network_of("classes", **parameters), X, y, communicator=one_thread())

    def test_wrong_parameters(self):
        with pytest.raises(InvalidParameterError, match="alpha"):
            fit(
                network_of("classes", alpha=-1.0),
                *rows_of("classes")[:2],
                communicator=one_thread(),
            )

    @pytest.mark.parametrize(
        "estimator", [MLPEnsembleWithBatchNormClassifier(), RNNWithBatchNormClassifier(), None]
    )
    def test_estimators_that_are_not_supported(self, estimator):
        with pytest.raises(TypeError, match=type(estimator).__name__):
            fit(estimator, *rows_of("classes")[:2], communicator=one_thread())

    def test_callbacks(self):
        callback = pytest.importorskip("sklearn.callback").ProgressBar
        pytest.importorskip("rich")
        network = network_of("classes").set_callbacks(callback())
        with pytest.raises(ValueError, match="Callbacks are not supported"):
            fit(network, *rows_of("classes")[:2], communicator=one_thread())

    @pytest.mark.parametrize("n_good", [3, 40, 60, 100])
    def test_a_broken_connection_is_the_error_of_the_fit(self, n_good):
        class Breaking:
            rank, size = 0, 1
            n = 0

            def Allreduce(self, sendbuf, recvbuf):
                self.n += 1
                if self.n > n_good:
                    raise ConnectionError("the other process is gone")
                recvbuf[...] = sendbuf

        X, y, _ = rows_of("classes")
        network = network_of("classes")
        with pytest.raises(ConnectionError, match="gone"):
            fit(network, X, y, communicator=Breaking())
        assert not hasattr(network, "coefs_")


@pytest.mark.parametrize(
    ("n", "batch_size"),
    [(300, 32), (3000, 64), (12_000, 128), (40_000, 256), (10**6, 4096), (10**8, 4096)],
)
def test_the_automatic_mini_batch_of_several_processes_is_larger(n, batch_size):
    processes = Processes(ThreadCommunicator(Exchange(2), 0))
    network = MLPWithBatchNormClassifier()
    network._is_plain = False
    assert solvers.rows_per_step(network, n, processes) == batch_size
    assert solvers.rows_per_step(network, n) == min(batch_size, 128)
    # 20 epochs still have 2500 steps, or nearly so.
    if n >= 12_000:
        assert 20 <= solvers.n_epochs(network, n, processes) <= 29

"""Exact statistics of recurrent networks: those of all sequences as one batch."""

import copy
import signal
import traceback

import numpy as np
import pytest
from rnns import (
    BOTH,
    LAYERS,
    PLAIN_LAYERS,
    classes_for,
    data_for,
    fitted,
    named,
    sequences,
    small,
)
from skbn.network.operations.normalization import LEAST_SEQUENCES
from sklearn.metrics import log_loss

from skbn import RNNWithBatchNormClassifier, RNNWithBatchNormRegressor
from skbn.estimators.inputs import input_normalization
from skbn.network import inference, views
from skbn.network import network as networks
from skbn.network import optimizer as optimizers
from skbn.network.network import Network
from skbn.network.plan import Layout
from skbn.network.recurrent_plan import lengthened, recurrent
from skbn.network.statistics import set_exact_statistics
from skbn.network.table import Table

CELLS = ["lstm", "gru", "tanh"]
KINDS = [
    {"batch_norm": "full"},
    {"batch_norm": "input"},
    {"batch_norm": "full", "shared": True},
    {"batch_norm": "full", "bidirectional": True},
    {"batch_norm": "input", "bidirectional": True, "shared": True},
]
UNITS = [[2, 5, 3], [2, 5, 4, 3]]


def random_network(units, cell, kind, dtype=np.float64, n_steps=9, dropout=0.0):
    rng = np.random.default_rng(0)
    plan = recurrent(units, cell, n_steps=n_steps, dropout=dropout, **kind)
    network = Network.initial(plan, "softmax_log_loss", dtype)
    network.parameters[:] = 0.5 * rng.standard_normal(network.layout.n_parameters)
    network.statistics[:] = 0.5 + rng.random(network.layout.n_statistics)
    return network


def random_table(n=70, n_steps=9, dtype=np.float64, *, ragged=True, weighted=False):
    rng = np.random.default_rng(1)
    X = 1.0 + 3.0 * rng.standard_normal((n, n_steps, 2))
    lengths = np.full(n, n_steps, np.intp)
    if ragged:
        # Few reach the last steps, and one alone the very last.
        lengths = rng.integers(1, n_steps - 1, n).astype(np.intp)
        lengths[:4] = n_steps - 1
        lengths[0] = n_steps
        X[np.arange(n_steps) >= lengths[:, np.newaxis]] = np.nan
    y = rng.integers(0, 3, (n, 1)).astype(dtype)
    weight = rng.integers(1, 4, n).astype(np.float64) if weighted else None
    steps = X[~np.isnan(X[:, :, 0])]
    moments = steps.mean(axis=0), 1.0 / steps.std(axis=0)
    return Table(X.astype(dtype), y, weight, *moments, lengths=lengths)


class TestOneBatch:
    """Inference by exact statistics is the training pass over all sequences as one batch."""

    @pytest.mark.parametrize("kind", KINDS, ids=named)
    @pytest.mark.parametrize("cell", CELLS)
    @pytest.mark.parametrize("units", UNITS, ids=len)
    @pytest.mark.parametrize("ragged", [False, True])
    @pytest.mark.parametrize("weighted", [False, True])
    def test_loss(self, kind, cell, units, ragged, weighted):
        network = random_network(units, cell, kind)
        table = random_table(ragged=ragged, weighted=weighted)
        loss = network.loss_and_gradient(table)[0][0, 0]
        assert network.loss_of(network.infer(table), table) != pytest.approx(loss, rel=1e-6)
        set_exact_statistics(network, table)
        assert network.loss_of(network.infer(table), table) == pytest.approx(loss, rel=1e-10)
        assert network.n_batches_tracked == 1

    @pytest.mark.parametrize("kind", KINDS, ids=named)
    @pytest.mark.parametrize("cell", CELLS)
    def test_loss_in_float32(self, kind, cell):
        network = random_network(UNITS[1], cell, kind, np.float32)
        table = random_table(dtype=np.float32, weighted=True)
        loss = network.loss_and_gradient(table)[0][0, 0]
        set_exact_statistics(network, table)
        assert network.loss_of(network.infer(table), table) == pytest.approx(loss, rel=1e-5)

    @pytest.mark.parametrize("cell", CELLS)
    def test_some_rows(self, cell):
        network = random_network(UNITS[0], cell, KINDS[0])
        table = random_table(weighted=True)
        rows = np.arange(60, 10, -2)
        loss = network.loss_and_gradient(table, rows)[0][0, 0]
        set_exact_statistics(network, table, rows)
        some = Table(
            table.X[rows],
            table.y[rows],
            table.sample_weight[rows],
            table.input_mean,
            table.input_invstd,
            lengths=table.lengths[rows],
        )
        assert network.loss_of(network.infer(table, rows), some) == pytest.approx(loss, rel=1e-10)

    def test_the_clip_of_the_inputs(self):
        network = random_network(UNITS[0], "lstm", KINDS[0])
        table = random_table()
        table.input_clipped = True
        loss = network.loss_and_gradient(table)[0][0, 0]
        set_exact_statistics(network, table)
        assert network.loss_of(network.infer(table), table) == pytest.approx(loss, rel=1e-10)

    @pytest.mark.parametrize("kind", KINDS, ids=named)
    def test_they_know_no_dropout(self, kind):
        plain, dropping = (
            random_network(UNITS[1], "gru", kind, dropout=rate) for rate in (0.0, 0.5)
        )
        table = random_table()
        for network in (plain, dropping):
            set_exact_statistics(network, table)
        np.testing.assert_array_equal(plain.statistics, dropping.statistics)

    @pytest.mark.parametrize("kind", KINDS, ids=named)
    def test_steps_that_few_reach_are_not_tracked(self, kind):
        # Few of the 70 sequences reach the last two steps: too few for statistics.
        network = random_network(UNITS[1], "gru", kind)
        table = random_table()
        set_exact_statistics(network, table)
        reach = (table.lengths[:, np.newaxis] > np.arange(9)).sum(axis=0)
        assert network.n_steps_tracked == (reach >= LEAST_SEQUENCES).sum() < 8

    @pytest.mark.parametrize("shared", [False, True])
    @pytest.mark.parametrize("train", [False, True])
    def test_a_variance_of_rounding_counts_as_none_and_a_small_one_as_one(self, shared, train):
        rng = np.random.default_rng(0)
        kind = {"batch_norm": "input", "shared": shared}
        for spread, exists in ((1e-7, False), (1e-2, True)):
            network = random_network(UNITS[0], "gru", kind, np.float32)
            table = random_table(dtype=np.float32, ragged=False)
            table.X[:] = 1.0 + spread * rng.standard_normal(table.X.shape)
            table.input_mean = table.input_invstd = None
            views.weights(network.plan, network.parameters)[0][:] = 1.0
            if train:
                rows, bounds = np.arange(70), np.array([0, 70])
                moments = network.new_moments()
                network.train(table, optimizers.sgd(), moments, rows, bounds, np.zeros(1))
            else:
                set_exact_statistics(network, table)
            (var,) = views.running_vars(network.plan, network.statistics)
            if not exists:
                np.testing.assert_array_equal(var, 0.0)
                continue
            sums = table.X.astype(float).sum(axis=2)
            expected = sums.var() if shared else sums.var(axis=0)[:, np.newaxis]
            np.testing.assert_allclose(var, np.broadcast_to(expected, var.shape), rtol=1e-3)

    @pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs a timer that signals")
    @pytest.mark.parametrize("kind", [KINDS[0], KINDS[3]], ids=named)
    def test_a_signal_is_noticed_between_two_steps(self, kind, monkeypatch):
        network = random_network([2, 60, 60, 3], "lstm", kind, np.float32, n_steps=400)
        table = random_table(2000, 400, np.float32, ragged=False)
        before = network.statistics.copy()

        def interrupt(number, frame):
            raise KeyboardInterrupt

        collect_sequences = inference.collect_sequences

        def collect_and_wait_for_the_signal(*arguments):
            # The timer starts here: how long the preparation takes depends on the build.
            signal.setitimer(signal.ITIMER_REAL, 0.02)
            return collect_sequences(*arguments)

        monkeypatch.setattr(inference, "collect_sequences", collect_and_wait_for_the_signal)
        previous = signal.signal(signal.SIGALRM, interrupt)
        try:
            with pytest.raises(KeyboardInterrupt) as caught:
                set_exact_statistics(network, table)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0.0)
            signal.signal(signal.SIGALRM, previous)
        np.testing.assert_array_equal(network.statistics, before)
        # Not behind it, when all steps are done.
        names = [entry.name for entry in traceback.extract_tb(caught.tb)]
        assert any(name.endswith("inference.collect_sequences") for name in names)

    def test_a_network_without_any(self):
        network = random_network(UNITS[0], "lstm", {"batch_norm": None})
        table = random_table()
        loss = network.loss_and_gradient(table)[0][0, 0]
        set_exact_statistics(network, table)
        assert network.statistics.size == network.n_batches_tracked == 0
        assert network.loss_of(network.infer(table), table) == pytest.approx(loss, rel=1e-10)

    def test_the_first_ones_by_hand(self):
        network = random_network(UNITS[0], "lstm", KINDS[0])
        table = random_table(weighted=True)
        set_exact_statistics(network, table)
        weights = views.weights(network.plan, network.parameters)[0]
        mean = views.running_means(network.plan, network.statistics)[0]
        var = views.running_vars(network.plan, network.statistics)[0]
        for step in range(5):
            present = table.lengths > step
            x = (table.X[present, step] - table.input_mean) * table.input_invstd @ weights
            weight = table.sample_weight[present]
            desired = np.average(x, axis=0, weights=weight)
            np.testing.assert_allclose(mean[step], desired, rtol=1e-10, atol=1e-12)
            desired = np.average((x - desired) ** 2, axis=0, weights=weight)
            np.testing.assert_allclose(var[step], desired, rtol=1e-10)

    @pytest.mark.parametrize("kind", KINDS, ids=named)
    def test_interrupted_ones_change_nothing(self, kind, monkeypatch):
        network = random_network(UNITS[1], "gru", kind)
        before = network.statistics
        values = before.copy()
        original = inference.collect_sequences

        def interrupted(*arguments):
            original(*arguments)
            raise KeyboardInterrupt

        monkeypatch.setattr(inference, "collect_sequences", interrupted)
        with pytest.raises(KeyboardInterrupt):
            set_exact_statistics(network, random_table())
        assert network.statistics is before
        np.testing.assert_array_equal(before, values)
        assert network.n_batches_tracked == 0


class TestAfterFit:
    @pytest.mark.parametrize("layers", [*LAYERS, *PLAIN_LAYERS], ids=named)
    @pytest.mark.parametrize("weighted", [False, True])
    @pytest.mark.parametrize(("dtype", "rel"), [("float64", 1e-10), ("float32", 1e-4)])
    def test_predictions_are_the_pass_over_all_training_sequences(
        self, layers, weighted, dtype, rel
    ):
        X, y = data_for(RNNWithBatchNormClassifier, ragged=True)
        weight = np.random.default_rng(2).integers(1, 4, 60) if weighted else None
        clf = fitted(small(**layers, dtype=dtype), X, y, sample_weight=weight)
        network = Network(clf._plan, clf._loss, clf._parameters, clf._statistics)
        lengths = (~np.isnan(X[:, :, 0])).sum(axis=1)
        table = Table(
            X,
            y.reshape(-1, 1).astype(dtype),
            None if weight is None else weight.astype(np.float64),
            *input_normalization(clf),
            lengths,
        )
        loss = network.loss_and_gradient(table)[0][0, 0]
        assert log_loss(y, clf.predict_proba(X), sample_weight=weight) == pytest.approx(
            loss, rel=rel
        )

    @pytest.mark.parametrize("layers", LAYERS, ids=named)
    def test_lbfgs_predicts_by_what_it_has_minimized(self, layers):
        X, y = data_for(RNNWithBatchNormClassifier, ragged=True)
        clf = small(**layers, solver="lbfgs", max_grad_norm=None, dtype="float64", max_iter=10)
        fitted(clf, X, y)
        penalty = 0.5 * clf.alpha * sum(np.sum(w**2) for w in clf.coefs_) / len(X)
        assert clf.loss_ == pytest.approx(log_loss(y, clf.predict_proba(X)) + penalty, rel=1e-9)

    def test_shapes(self):
        X, y = data_for(RNNWithBatchNormClassifier, ragged=True)
        clf = fitted(small(pooling="last", time_statistics="shared", bidirectional=True), X, y)
        shapes = [(1, 16), (6, 16), (6, 4)] * 2
        for name in ("running_means_", "running_vars_"):
            assert [array.shape for array in getattr(clf, name)] == shapes
            assert {array.dtype for array in getattr(clf, name)} == {np.dtype(np.float64)}
        assert [gamma.shape for gamma in clf.gammas_] == [shape[1:] for shape in shapes]
        assert [array.shape for array in clf.coefs_] == [(3, 16), (4, 16)] * 2 + [(8, 1)]
        gru = fitted(small(cell="gru", batch_norm="input", pooling="last"), X, y)
        assert [array.shape for array in gru.intercepts_] == [(12,), (4,), (1,)]
        assert [array.shape for array in gru.running_vars_] == [(6, 12)]


class TestStepsFewReach:
    @pytest.mark.parametrize("layers", LAYERS, ids=named)
    def test_they_have_those_of_the_last_step_that_enough_reach(self, layers):
        X, y = data_for(RNNWithBatchNormRegressor, n_steps=9)
        X[7:, 7:] = np.nan  # seven reach the eighth step, eight the seventh
        X[8:, 6:] = np.nan
        reg = fitted(small(RNNWithBatchNormRegressor, **layers), X, y)
        for arrays in (reg.running_means_, reg.running_vars_):
            for array in arrays:
                if len(array) == 1:
                    continue
                assert len(array) == 9
                np.testing.assert_array_equal(array[7:], array[[6, 6]])
                assert (array[6] != array[5]).any()

    def test_of_few_sequences_all_have_to_reach_a_step(self):
        X, y = data_for(RNNWithBatchNormRegressor, n=5)
        X[0, 4:] = np.nan
        reg = fitted(small(RNNWithBatchNormRegressor, batch_size="auto"), X, y)
        mean = reg.running_means_[0]
        np.testing.assert_array_equal(mean[4:], mean[[3, 3]])
        assert (mean[3] != mean[2]).all()

    @pytest.mark.parametrize("layers", LAYERS, ids=named)
    def test_longer_sequences_than_in_training(self, layers):
        X, y = data_for(RNNWithBatchNormRegressor, ragged=True)
        reg = fitted(small(RNNWithBatchNormRegressor, **layers, dtype="float64"), X, y)
        longer = sequences(30, n_steps=10, ragged=True, seed=3)
        by_hand = copy.deepcopy(reg)
        by_hand._plan = reg._recurrent(10)
        by_hand._plan_digest = Layout.of(by_hand._plan).digest
        by_hand._statistics = np.full(
            sum(2 * len(m) * m.shape[1] for m in map(_to_ten_steps, reg.running_means_)), np.nan
        )
        by_hand.running_means_ = list(map(_to_ten_steps, reg.running_means_))
        by_hand.running_vars_ = list(map(_to_ten_steps, reg.running_vars_))
        np.testing.assert_array_equal(reg.predict(longer), by_hand.predict(longer))
        np.testing.assert_array_equal(
            by_hand._statistics, lengthened(reg._statistics, reg._plan, by_hand._plan)
        )
        # They are what those steps are normalized by.
        before = by_hand.predict(longer)
        for mean in by_hand.running_means_[-1:]:
            mean[-1] += 1.0
        changed = by_hand.predict(longer) != before
        ends_there = ~np.isnan(longer[:, 9, 0])
        expected = ends_there if len(mean) > 1 else np.full(30, True)
        if layers.get("pooling") == "max":
            # The last step need not have the maximum of any unit.
            assert changed.any()
            assert not changed[~expected].any()
        else:
            np.testing.assert_array_equal(changed, expected)


def _to_ten_steps(array):
    if len(array) == 1:
        return array
    return np.concatenate([array, np.repeat(array[-1:], 10 - len(array), axis=0)])


class TestCompany:
    """A prediction depends on nothing but its sequence."""

    @pytest.mark.parametrize("layers", [*LAYERS, *PLAIN_LAYERS], ids=named)
    def test_order_and_company(self, layers):
        X, y = data_for(RNNWithBatchNormRegressor, ragged=True)
        reg = fitted(small(RNNWithBatchNormRegressor, **layers, dtype="float64"), X, y)
        new = sequences(50, n_steps=11, ragged=True, seed=4)
        expected = reg.predict(new)
        assert len(np.unique(expected)) == 50
        order = np.random.default_rng(0).permutation(50)
        np.testing.assert_allclose(reg.predict(new[order]), expected[order], rtol=1e-10)
        np.testing.assert_allclose(reg.predict(new[order[:7]]), expected[order[:7]], rtol=1e-10)
        alone = [reg.predict(new[i : i + 1])[0] for i in range(50)]
        np.testing.assert_allclose(alone, expected, rtol=1e-10)

    @pytest.mark.parametrize("layers", LAYERS, ids=named)
    @pytest.mark.parametrize(("fewest", "most"), [(1, 1), (2, 5), (16, 20)])
    def test_blocks(self, layers, fewest, most, monkeypatch):
        X, y = data_for(RNNWithBatchNormRegressor, ragged=True)
        reg = fitted(small(RNNWithBatchNormRegressor, **layers, dtype="float64"), X, y)
        new = sequences(53, n_steps=11, ragged=True, seed=4)
        expected = reg.predict(new)
        monkeypatch.setattr(networks, "SEQUENCE_ROWS", (fewest, most))
        np.testing.assert_allclose(reg.predict(new), expected, rtol=1e-10)
        monkeypatch.setattr(networks, "SEQUENCE_WORK", 1)
        np.testing.assert_allclose(reg.predict(new), expected, rtol=1e-10)


class TestStreams:
    @pytest.mark.parametrize("layers", LAYERS, ids=named)
    def test_longer_sequences_lengthen_the_statistics(self, layers):
        X, y = data_for(RNNWithBatchNormRegressor, n_steps=8)
        reg = small(
            RNNWithBatchNormRegressor,
            **layers,
            batch_size=60,
            normalize_input=None,
            normalize_target=False,
            dtype="float64",
            solver="sgd",
            learning_rate_init=1e-30,
        )
        reg.partial_fit(X[:, :5], y).partial_fit(X[:, :5], y)
        short = [array.copy() for array in reg.running_means_]
        reg.partial_fit(X, y)
        # The weights stay, so the batch is known.
        batch = copy.deepcopy(reg)
        network = Network(batch._plan, batch._loss, batch._parameters, batch._statistics)
        table = Table(X, lengths=np.full(60, 8))
        set_exact_statistics(network, table)
        for now, before, of_batch in zip(
            reg.running_means_, short, batch.running_means_, strict=True
        ):
            assert len(now) == (1 if len(before) == 1 else 8)
            # The first batch that has a step sets its statistics.
            expected = of_batch.copy()
            expected[: len(before)] = 0.9 * before + 0.1 * of_batch[: len(before)]
            np.testing.assert_allclose(now, expected, rtol=1e-9, atol=1e-11)

    @pytest.mark.parametrize("layers", LAYERS, ids=named)
    @pytest.mark.parametrize("n_steps", [1, 2, 5])
    def test_shorter_sequences_leave_later_steps_as_they_were(self, layers, n_steps):
        X, y = data_for(RNNWithBatchNormRegressor, n_steps=8)
        reg = small(RNNWithBatchNormRegressor, **layers, dtype="float64", learning_rate_init=1e-30)
        fitted(reg, X, y)
        means, variances = (
            [array.copy() for array in arrays] for arrays in (reg.running_means_, reg.running_vars_)
        )
        for _ in range(20):
            reg.partial_fit(X[:, :n_steps], y)
        for now, before in zip(
            [*reg.running_means_, *reg.running_vars_], [*means, *variances], strict=True
        ):
            if len(before) > 1:
                np.testing.assert_array_equal(now[n_steps:], before[n_steps:])
        if not any(len(array) == 1 for array in means):
            # Nor does a sequence that goes on alone, which has no statistics to give.
            alone = X.copy()
            alone[1:, n_steps:] = np.nan
            before = [array[n_steps:].copy() for array in reg.running_vars_]
            reg.partial_fit(alone, y)
            for now, then in zip(reg.running_vars_, before, strict=True):
                np.testing.assert_array_equal(now[n_steps:], then)

    def test_a_stream_that_begins_with_one_step_is_not_biased_by_it(self):
        X, y = data_for(RNNWithBatchNormRegressor, n_steps=8)
        options = {"batch_size": 60, "dtype": "float64", "learning_rate_init": 1e-30}
        options["normalize_input"] = None
        first, later = (small(RNNWithBatchNormRegressor, **options) for _ in range(2))
        first.partial_fit(X, y)
        later.partial_fit(X[:, :1], y).partial_fit(X, y)
        for one, other in zip(first.running_vars_, later.running_vars_, strict=True):
            np.testing.assert_allclose(one[1:], other[1:], rtol=1e-9, atol=1e-12)

    @pytest.mark.parametrize("cls", BOTH)
    def test_a_warm_start_takes_longer_sequences(self, cls):
        X, y = data_for(cls, n_steps=8)
        estimator = fitted(small(cls, warm_start=True), X[:, :5], y)
        fitted(estimator, X, y)
        assert estimator.running_means_[0].shape == (8, 16)
        fitted(estimator, X[:, :3], y)
        assert estimator.running_means_[0].shape == (8, 16)
        # Exact ones, also where these sequences end: those of their last step.
        for array in (*estimator.running_means_, *estimator.running_vars_):
            np.testing.assert_array_equal(array[3:], array[[2] * 5])

    @pytest.mark.parametrize("cls", BOTH)
    @pytest.mark.parametrize("layers", [*LAYERS, *PLAIN_LAYERS], ids=named)
    def test_one_sequence_at_a_time(self, cls, layers):
        X, y = data_for(cls, ragged=True)
        estimator = small(cls, **layers, batch_size="auto")
        for row in range(10):
            estimator.partial_fit(X[row : row + 1], y[row : row + 1], **classes_for(cls))
        assert np.isfinite(estimator.predict(X)).all()
        for mean, var in zip(estimator.running_means_, estimator.running_vars_, strict=True):
            np.testing.assert_array_equal(mean, 0)
            np.testing.assert_array_equal(var, 1)

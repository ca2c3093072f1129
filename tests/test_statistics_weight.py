"""Weights of rows in batch statistics: tempered where uneven, of one measure throughout."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
from communicators import in_threads
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from networks import as_sparse, random_network, random_table
from parameters import COLUMNS_ALONE
from sequences import random_recurrent, random_sequences
from sklearn.datasets import make_friedman1
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import balanced_accuracy_score
from strategies import drawn
from test_network_gradients import assert_gradient

from skbn import (
    MLPWithBatchNormClassifier,
    MLPWithBatchNormRegressor,
    RNNWithBatchNormClassifier,
    RNNWithBatchNormRegressor,
)
from skbn.estimators.statistics_weight import statistics_weight
from skbn.network import views
from skbn.network.processes import Processes
from skbn.network.statistics import set_exact_statistics

UNITS = [4, 6, 5, 3]
LOSS = "softmax_log_loss"


def two_weights(n, n_heavy, weight):
    return np.append(np.ones(n - n_heavy), np.full(n_heavy, weight))


class TestWeights:
    @pytest.mark.parametrize(
        ("weight", "is_one_batch"),
        [
            (np.ones(5), False),
            (np.full(7, 1e-300), False),
            (np.full(49, 0.1), False),
            (np.array([1.0, 2.0, 3.0, 4.0]), False),
            (np.array([0.0, 1.0, 2.0, 3.0, 4.0, 0.0]), False),
            (np.array([3.0]), False),
            (np.zeros(3), False),
            # Of a mean of 2.5 and of a deviation of 1.5: no more than 2 means.
            (two_weights(4, 2, 1000.0), False),
            # Less than three deviations: one row of nine.
            (two_weights(99, 11, 2.0), False),
            # In one batch of all rows a single row of weight 4, and of 4 means.
            (two_weights(15, 1, 4.0), True),
            (two_weights(5, 1, 16.0), True),
        ],
    )
    def test_moderate_weights_stay_as_they_are(self, weight, is_one_batch):
        assert statistics_weight(weight, is_one_batch) is weight

    @pytest.mark.parametrize(
        ("weight", "is_one_batch"),
        [
            (np.array([1.0, 1, 1, 2, 1, 1, 3, 1, 1, 2, 1, 3]), False),
            (two_weights(10, 1, 2.25), False),
            (two_weights(16, 1, 5.0), True),
        ],
    )
    def test_at_a_bound_the_order_of_the_rows_does_not_matter(self, weight, is_one_batch):
        rng = np.random.default_rng(0)
        decisions = set()
        for _ in range(200):
            shuffled = rng.permutation(weight)
            decisions.add(statistics_weight(shuffled, is_one_batch) is shuffled)
        assert len(decisions) == 1

    @pytest.mark.parametrize("n_processes", [2, 5])
    def test_at_a_bound_the_number_of_processes_does_not_matter(self, n_processes):
        weight = np.array([1.0, 1, 1, 2, 1, 1, 3, 1, 1, 2, 1, 3])

        def work(communicator):
            part = np.array_split(weight, n_processes)[communicator.rank]
            return statistics_weight(part, False, Processes(communicator)) is part

        assert in_threads(work, n_processes) == [True] * n_processes

    @pytest.mark.parametrize(
        ("weight", "is_one_batch"),
        [
            (np.array([1.0, 1.0, 4.1]), False),
            (two_weights(100, 9, 2.0), False),
            (two_weights(5, 1, 16.1), True),
            (two_weights(1000, 2, 1.01), False),
            (np.array([1e-300, 1e-300, 1e-299]), False),
            (np.array([1e306, 1e308, 1e306, 1e306]), False),
            (np.exp(np.random.default_rng(0).standard_normal(1000)), True),
        ],
    )
    def test_under_uneven_weights_every_row_counts_alike(self, weight, is_one_batch):
        np.testing.assert_array_equal(statistics_weight(weight, is_one_batch), np.ones(len(weight)))

    def test_rows_of_no_weight_have_none_and_change_nothing(self):
        weight = np.array([0.0, 1.0, 1.0, 9.0, 0.0])
        np.testing.assert_array_equal(statistics_weight(weight, False), [0.0, 1.0, 1.0, 1.0, 0.0])

    def test_rows_of_next_to_no_weight_count_as_little(self):
        # The mean is 10; a hundredth of it counts in full, a thousandth for a tenth.
        weight = np.array([39.889, 0.1, 0.01, 0.001])
        np.testing.assert_allclose(
            statistics_weight(weight, False), [1.0, 1.0, 0.1, 0.01], rtol=1e-12
        )

    @given(
        weight=arrays(np.float64, st.integers(1, 60), elements=st.floats(0.0, 1e308)),
        is_one_batch=st.booleans(),
    )
    @drawn
    def test_in_order_and_in_effect(self, weight, is_one_batch):
        result = statistics_weight(weight, is_one_batch)
        if result is not weight:
            assert result.max() == 1.0
            assert (result[weight >= 0.01 * (weight / len(weight)).sum()] > 1 - 1e-9).all()
        order = np.argsort(weight, kind="stable")
        assert (np.diff(result[order]) >= 0).all()
        # A product too small for a number is none.
        assert (result[weight > 1e-300 * weight.max()] > 0).all()
        assert (result[weight == 0] == 0).all()


def with_two_weights(table, seed=3):
    """The table with weights in the loss, and others in the statistics; both positive."""
    rng = np.random.default_rng(seed)
    loss, statistics = rng.uniform(0.2, 5.0, (2, table.n_rows))
    return replace(table, sample_weight=loss, statistics_weight=statistics)


NETWORKS = {
    "before": lambda: (
        random_network(UNITS, "tanh", "before", LOSS),
        random_table(12, UNITS, LOSS),
    ),
    "after": lambda: (random_network(UNITS, "silu", "after", LOSS), random_table(12, UNITS, LOSS)),
    "relu": lambda: (random_network(UNITS, "relu", "before", LOSS), random_table(12, UNITS, LOSS)),
    "sparse": lambda: (
        random_network(UNITS, "tanh", "before", LOSS),
        as_sparse(random_table(12, UNITS, LOSS, sparse=True)),
    ),
    **{
        f"{cell}-{norm}-{shared}": lambda cell=cell, norm=norm, shared=shared: (
            random_recurrent([3, 4, 2], cell, norm, 4, LOSS, bidirectional=True, shared=shared),
            random_sequences(12, 4, 3, LOSS, 2, ragged=True),
        )
        for cell in ("lstm", "gru", "tanh")
        for norm, shared in (("full", False), ("input", False), ("input", True))
    },
}


@pytest.mark.parametrize("make", NETWORKS.values(), ids=NETWORKS.keys())
class TestNetwork:
    def test_gradient(self, make):
        network, table = make()
        assert_gradient(network, with_two_weights(table), alpha=0.3)

    def test_both_weights_matter_and_their_units_do_not(self, make):
        network, table = make()
        table = with_two_weights(table)
        losses, gradient = network.loss_and_gradient(table)
        rescaled = replace(
            table,
            sample_weight=4.0 * table.sample_weight,
            statistics_weight=0.5 * table.statistics_weight,
        )
        again, same = network.loss_and_gradient(rescaled)
        np.testing.assert_allclose(again, losses, rtol=1e-12)
        np.testing.assert_allclose(same, gradient, rtol=1e-9, atol=1e-13)
        for changed in (
            replace(table, statistics_weight=table.sample_weight),
            replace(
                table,
                sample_weight=table.statistics_weight,
                statistics_weight=table.statistics_weight,
            ),
        ):
            assert abs(network.loss_and_gradient(changed)[0][0, 0] - losses[0, 0]) > 1e-4

    def test_the_penalty_is_divided_by_the_weight_in_the_loss(self, make):
        network, table = make()
        table = with_two_weights(table)
        losses, _ = network.loss_and_gradient(table, alpha=0.3)
        squares = sum((w**2).sum() for w in views.weights(network.plan, network.parameters))
        penalty = 0.5 * 0.3 * squares / table.sample_weight.sum()
        assert losses[0, 1] == pytest.approx(penalty, rel=1e-12)

    def test_exact_statistics_are_of_the_measure_of_training(self, make):
        network, table = make()
        table = with_two_weights(table)
        loss = network.loss_and_gradient(table)[0][0, 0]
        set_exact_statistics(network, table)
        assert network.loss_of(network.infer(table), table) == pytest.approx(loss, rel=1e-10)

    def test_statistics_weights_must_fit(self, make):
        network, table = make()
        with pytest.raises(ValueError, match="belongs to sample_weight"):
            network.loss_and_gradient(replace(table, statistics_weight=np.ones(12)))
        with pytest.raises(ValueError, match="11 weights for 12 rows"):
            network.loss_and_gradient(
                replace(table, sample_weight=np.ones(12), statistics_weight=np.ones(11))
            )


def test_value_of_a_loss_with_two_weights():
    units = [2, 3, 1]
    network = random_network(units, "identity", "before", "squared_error")
    table = with_two_weights(random_table(9, units, "squared_error", normalized=False))
    (W, V), (_, b) = (
        view(network.plan, network.parameters) for view in (views.weights, views.biases)
    )
    gamma, beta = (
        view(network.plan, network.parameters)[0] for view in (views.gammas, views.betas)
    )
    z = table.X @ W
    mean = np.average(z, axis=0, weights=table.statistics_weight)
    var = np.average((z - mean) ** 2, axis=0, weights=table.statistics_weight)
    outputs = (gamma * (z - mean) / np.sqrt(var + 1e-5) + beta) @ V + b
    loss = np.average(0.5 * (outputs - table.y)[:, 0] ** 2, weights=table.sample_weight)
    assert network.loss_and_gradient(table)[0][0, 0] == pytest.approx(loss, rel=1e-12)


def first_layer_inputs(model, X):
    """What the first normalization of a network gets, at the first step of sequences."""
    X = X[:, 0] if X.ndim == 3 else X
    return (X - model.input_mean_) / np.sqrt(model.input_var_) @ model.coefs_[0]


@pytest.mark.parametrize(
    "cls",
    [
        MLPWithBatchNormClassifier,
        MLPWithBatchNormRegressor,
        RNNWithBatchNormClassifier,
        RNNWithBatchNormRegressor,
    ],
)
@pytest.mark.parametrize("uneven", [False, True])
@pytest.mark.parametrize("early_stopping", [False, True])
def test_statistics_of_a_fit_are_weighted_by_them(cls, uneven, early_stopping):
    rng = np.random.default_rng(0)
    is_recurrent = cls in (RNNWithBatchNormClassifier, RNNWithBatchNormRegressor)
    X = rng.standard_normal((90, 3, 4) if is_recurrent else (90, 4))
    y = (X.reshape(90, -1)[:, 0] > 0).astype(int)
    weight = np.exp(3.0 * rng.standard_normal(90)) if uneven else rng.integers(1, 5, 90) * 1.0
    model = cls(
        hidden_layer_sizes=(5,), max_iter=2, random_state=0, normalize_input="standard",
        dtype="float64", early_stopping=early_stopping, **{} if is_recurrent else COLUMNS_ALONE,
    )  # fmt: skip
    validation = {"X_val": X, "y_val": y} if early_stopping else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X, y, weight, **validation)
    z = first_layer_inputs(model, X)
    running_mean, running_var = model.running_means_[0], model.running_vars_[0]
    if is_recurrent:
        running_mean, running_var = running_mean[0], running_var[0]

    def moments(weight):
        mean = np.average(z, axis=0, weights=weight)
        return mean, np.average((z - mean) ** 2, axis=0, weights=weight)

    mean, var = moments(np.minimum(weight / weight.mean() / 0.01, 1.0) if uneven else weight)
    np.testing.assert_allclose(running_mean, mean, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(running_var, var, rtol=1e-9)
    assert np.allclose(moments(weight)[0], mean) is not uneven


def rare_rows(seed, n=1000, sequences=False):
    """Rows of which 2 % (sequences: 3 %) are shifted."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, 12, 2) if sequences else (n, 2))
    y = np.zeros(n, int)
    y[rng.permutation(n)[: n * 3 // 100 if sequences else n // 50]] = 1
    X[y == 1] += 1.0 if sequences else 3.0
    return X, y


# Perceptrons with nothing but batch norm. Few heavy rows are neither learned by heart in many
# epochs nor held out, where two of them would choose the network.
NOTHING_ELSE = COLUMNS_ALONE | {"weight_decay": 0.0, "n_epochs": 25, "early_stopping": False}


class TestNoWorseThanWithoutBatchNorm:
    """Weights may be as uneven as they like: the bound is some standard errors of the means."""

    def mean_score(self, make, seeds=4, **parameters):
        return np.mean([make(seed, **parameters) for seed in range(seeds)])

    @pytest.mark.parametrize("batch_norm", ["before", "after"])
    @pytest.mark.parametrize("class_weight", ["balanced", {1: 10}, {1: 1000}])
    def test_a_rare_class(self, batch_norm, class_weight):
        def score(seed, batch_norm):
            X, y = rare_rows(seed)
            X_new, y_new = rare_rows(100 + seed, 20_000)
            model = MLPWithBatchNormClassifier(
                batch_norm=batch_norm, class_weight=class_weight, random_state=seed, **NOTHING_ELSE
            )
            return balanced_accuracy_score(y_new, model.fit(X, y).predict(X_new))

        plain = self.mean_score(score, batch_norm=None)
        assert plain > 0.9
        assert self.mean_score(score, batch_norm=batch_norm) > plain - 0.02

    def test_a_rare_class_in_a_stream(self):
        def score(seed, batch_norm):
            X, y = rare_rows(seed, 3000)
            X_new, y_new = rare_rows(100 + seed, 20_000)
            model = MLPWithBatchNormClassifier(
                batch_norm=batch_norm, class_weight={0: 1, 1: 49}, random_state=seed,
                normalize_input=None,
            )  # fmt: skip
            for _ in range(4):
                for start in range(0, 3000, 50):
                    rows = slice(start, start + 50)
                    model.partial_fit(X[rows], y[rows], classes=[0, 1])
            return balanced_accuracy_score(y_new, model.predict(X_new))

        plain = self.mean_score(score, 3, batch_norm=None)
        assert plain > 0.9
        assert self.mean_score(score, 3, batch_norm="before") > plain - 0.02

    @pytest.mark.parametrize("batch_norm", ["full", "input"])
    def test_rare_sequences(self, batch_norm):
        def score(seed, batch_norm):
            X, y = rare_rows(seed, 600, sequences=True)
            X_new, y_new = rare_rows(100 + seed, 4000, sequences=True)
            model = RNNWithBatchNormClassifier(
                (16,), batch_norm=batch_norm, class_weight="balanced", max_iter=30,
                random_state=seed,
            )  # fmt: skip
            return balanced_accuracy_score(y_new, model.fit(X, y).predict(X_new))

        plain = self.mean_score(score, 3, batch_norm=None)
        assert plain > 0.85
        assert self.mean_score(score, 3, batch_norm=batch_norm) > plain - 0.03

    @pytest.mark.parametrize("batch_norm", ["before", "after"])
    def test_log_normal_weights(self, batch_norm):
        def score(seed, batch_norm):
            X, y = make_friedman1(4000, noise=0.5, random_state=seed)
            weight = np.exp(3.0 * np.random.default_rng(seed).standard_normal(2000))
            parameters = {"batch_norm": batch_norm, "random_state": seed}
            model = MLPWithBatchNormRegressor(**parameters, **NOTHING_ELSE)
            return model.fit(X[:2000], y[:2000], weight).score(X[2000:], y[2000:])

        scores = {
            name: np.median([score(seed, name) for seed in range(5)]) for name in (None, batch_norm)
        }
        assert scores[None] > 0.85
        assert scores[batch_norm] > scores[None] - 0.03

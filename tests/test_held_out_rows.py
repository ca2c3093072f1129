"""Held-out rows stay in the table of the rows that are trained on, which is not copied."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.metrics import log_loss

from skbn import (
    MLPEnsembleWithBatchNormClassifier,
    MLPWithBatchNormClassifier,
    MLPWithBatchNormRegressor,
)
from skbn.estimators import scoring
from skbn.estimators.columns import column_moments
from skbn.estimators.quartiles import center_and_spread
from skbn.estimators.rows import Rows
from skbn.estimators.training_run import NetworkTraining

CASES = [
    {},
    {"normalize_input": "standard", "batch_norm": "after"},
    {"normalize_input": "smooth_clip", "dtype": "float64", "dropout": 0.2},
    {"early_stopping": True, "normalize_input": None},
    {"shuffle": False, "batch_norm": None},
    {"learning_rate": "constant", "early_stopping": True, "max_iter": 4},
]


def data(n=600, d=4):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, d)) * [1.0, 10.0, 0.1, 1.0] + [0.0, 5.0, 0.0, 0.0]
    return X, X[:, 0] + 0.1 * X[:, 1] ** 2, rng.uniform(0.2, 3.0, n)


@pytest.mark.parametrize("parameters", CASES, ids=str)
@pytest.mark.parametrize("cls", [MLPWithBatchNormClassifier, MLPWithBatchNormRegressor])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("layout", ["C", "F", "sparse"])
@pytest.mark.filterwarnings("ignore:Stochastic Optimizer", "ignore:shuffle=False")
def test_networks_are_those_of_copied_rows(cls, parameters, weighted, layout, monkeypatch):
    X, y, weight = data()
    y = (y > 2.0).astype(int) if cls is MLPWithBatchNormClassifier else y
    X = csr_matrix(np.where(X > 0.0, X, 0.0)) if layout == "sparse" else np.array(X, order=layout)
    monkeypatch.setattr("skbn.estimators.solvers.FEWEST_FOR_REGRESSION", 100)
    fits = []
    for _ in range(2):
        estimator = cls(hidden_layer_sizes=(8, 6), random_state=0, **{"n_epochs": 4} | parameters)
        fits.append(estimator.fit(X, y, weight if weighted else None))
        monkeypatch.setattr(Rows, "marked", Rows.taken)
    one, other = fits
    np.testing.assert_array_equal(one._parameters, other._parameters)
    np.testing.assert_array_equal(one._statistics, other._statistics)
    assert one.loss_curve_ == other.loss_curve_
    assert one.validation_scores_ == other.validation_scores_
    assert one.validation_loss_curve_ == other.validation_loss_curve_
    assert one.t_ == other.t_ == 4 * 540
    np.testing.assert_array_equal(one.predict(X), other.predict(X))


def test_statistics_of_many_rows_are_of_rows_that_are_trained_on(monkeypatch):
    X, y, _ = data()
    monkeypatch.setattr(scoring, "STATISTICS_ROWS", 100)
    chosen, held = [], []
    original = scoring.set_exact_statistics

    def spy(network, table, rows, *processes):
        chosen.append(rows)
        held.append(np.setdiff1d(np.arange(600), table.rows))
        return original(network, table, rows, *processes)

    monkeypatch.setattr(scoring, "set_exact_statistics", spy)
    MLPWithBatchNormClassifier((8,), n_epochs=2, random_state=0).fit(X, y > 2.0)
    assert len(chosen) > 0
    for rows, left_out in zip(chosen, held, strict=True):
        assert len(rows) == 100
        assert len(left_out) == 60
        assert not np.isin(rows, left_out).any()


@pytest.mark.parametrize("order", ["C", "F"])
def test_the_table_is_not_copied(order, monkeypatch):
    X, y, _ = data()
    X = np.array(X, order=order)
    tables = []
    original = NetworkTraining.__init__

    def spy(training, estimator, network, table, *arguments):
        tables.append(table)
        original(training, estimator, network, table, *arguments)

    monkeypatch.setattr(NetworkTraining, "__init__", spy)
    MLPWithBatchNormClassifier((8,), n_epochs=1).fit(X, y > 2.0)
    MLPEnsembleWithBatchNormClassifier(MLPWithBatchNormClassifier((8,), n_epochs=1)).fit(X, y > 2.0)
    assert len(tables) == 4
    for table in tables:
        assert np.shares_memory(table.X, X)
        assert len(table.rows) == 540


@pytest.mark.parametrize("weighted", [False, True])
def test_moments_and_quartiles_of_some_rows(weighted, monkeypatch):
    X, _, weight = data()
    numbers = np.flatnonzero(np.arange(600) % 3)
    weight = weight[numbers] if weighted else None
    for function in (column_moments, center_and_spread):
        expected = function(X[numbers], weight)
        for actual, value in zip(function(X, weight, numbers=numbers), expected, strict=True):
            np.testing.assert_array_equal(actual, value)
    monkeypatch.setattr("skbn.estimators.row_parts.LARGE_BYTES", 0)
    for actual, value in zip(
        column_moments(X, weight, numbers=numbers), column_moments(X[numbers], weight), strict=True
    ):
        np.testing.assert_array_equal(actual, value)


@pytest.mark.parametrize("normalize_input", ["standard", "smooth_clip", "robust"])
@pytest.mark.parametrize("early_stopping", ["auto", True])
def test_a_column_that_varies_in_held_out_rows_alone(normalize_input, early_stopping):
    X, y, _ = data(300)
    X[:, 1] = 0.0
    clf = MLPWithBatchNormClassifier(
        (8,), n_epochs=1, random_state=0, normalize_input=normalize_input,
        early_stopping=early_stopping,
    )  # fmt: skip
    for row in range(60):
        X[:, 1] = 0.0
        X[row, 1] = 1.0
        clf.fit(X, y > 2.0)
    with pytest.raises(ValueError, match="X has numbers that are too small"):
        column_moments(X[:, :1] * 1e-200, numbers=np.arange(0, 300, 2))


def test_values_in_their_places():
    X, y, weight = data(10)
    rows = Rows(X, y[:, np.newaxis], weight).marked(np.array([1, 4, 7]))
    assert rows.n == 3
    assert rows.X is X
    np.testing.assert_array_equal(rows.in_place(rows.targets)[[1, 4, 7], 0], y[[1, 4, 7]])
    assert np.count_nonzero(rows.in_place(rows.sample_weight)) == 3
    assert rows.in_place(None) is None
    everything = Rows(X, y[:, np.newaxis], weight)
    assert everything.in_place(weight) is weight


@pytest.mark.parametrize("weighted", [False, True])
def test_recorded_loss_is_the_loss_of_the_held_out_rows(weighted):
    X, y, weight = data()
    y = y > 2.0
    clf = MLPWithBatchNormClassifier(
        (8,), n_epochs=1, shuffle=False, calibrate=False, random_state=0, dtype="float64"
    ).fit(X, y, sample_weight=weight if weighted else None)
    # The last tenth is held out. The network was not trained on it.
    expected = log_loss(
        y[540:], clf.predict_proba(X[540:]), sample_weight=weight[540:] if weighted else None
    )
    assert clf.validation_loss_curve_ == pytest.approx([expected], rel=1e-6)
    assert clf.validation_scores_ == pytest.approx([-expected], rel=1e-6)

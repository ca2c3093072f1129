"""Regression of quantiles: the pinball loss, and intervals of two quantiles."""

import warnings

import numpy as np
import pytest
from parameters import COLUMNS_ALONE, EXPRESSIBLE
from sklearn.datasets import load_diabetes
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import mean_pinball_loss
from sklearn.model_selection import cross_val_predict

from skbn import MLPWithBatchNormRegressor, RNNWithBatchNormRegressor
from skbn.estimators.losses import REGRESSION_LOSSES
from skbn.estimators.mlp import FOLDING_ROWS

EACH = [MLPWithBatchNormRegressor, RNNWithBatchNormRegressor]


def data_for(cls, n=400):
    # The spread of the target grows with the first column: its quantiles are known.
    rng = np.random.default_rng(0)
    x = rng.uniform(0.5, 2.0, n)
    y = 3.0 * x + x * rng.uniform(-1.0, 1.0, n)
    X = np.c_[x, rng.standard_normal(n)]
    if cls is RNNWithBatchNormRegressor:
        X = np.repeat(X[:, np.newaxis], 4, axis=1)
    return X, y, x


def small(cls, **parameters):
    return cls(**{"hidden_layer_sizes": (16,), "random_state": 0} | parameters)


@pytest.mark.parametrize("cls", EACH)
@pytest.mark.parametrize("quantile", [0.1, 0.5, 0.9])
def test_the_known_quantile_is_learned(cls, quantile):
    X, y, x = data_for(cls, n=2000)
    reg = small(cls, loss="quantile", quantile=quantile).fit(X[:1500], y[:1500])
    predicted = reg.predict(X[1500:])
    exact = x[1500:] * (3.0 + 2.0 * quantile - 1.0)
    assert np.abs(predicted - exact).mean() < 0.12
    assert np.mean(y[1500:] < predicted) == pytest.approx(quantile, abs=0.05)


@pytest.mark.parametrize("weighted", [False, True])
def test_intervals_on_real_data(weighted):
    X, y = load_diabetes(return_X_y=True)
    weight = np.random.default_rng(0).integers(1, 3, len(y)) if weighted else None
    params = {"sample_weight": weight} if weighted else None
    low, middle, high = (
        cross_val_predict(
            MLPWithBatchNormRegressor(
                "quantile", (20,), quantile=quantile, dropout=0.2, n_epochs=15, random_state=0
            ),
            X,
            y,
            params=params,
        )
        for quantile in (0.05, 0.5, 0.95)
    )
    assert np.mean((low <= y) & (y <= high)) == pytest.approx(0.9, abs=0.07)
    assert np.mean(low <= high) > 0.99
    # Better than the same quantile for all.
    for quantile, predicted in ((0.05, low), (0.5, middle), (0.95, high)):
        same = np.full(len(y), np.quantile(y, quantile))
        assert mean_pinball_loss(y, predicted, alpha=quantile) < 0.95 * mean_pinball_loss(
            y, same, alpha=quantile
        )


@pytest.mark.parametrize("cls", EACH)
@pytest.mark.parametrize("n_outputs", [1, 2])
def test_curves_and_scores_are_scikit_learns_pinball_loss(cls, n_outputs):
    X, y, _ = data_for(cls)
    Y = y if n_outputs == 1 else np.c_[y, -2.0 * y]
    weight = np.random.default_rng(1).random(100)
    parameters = {"normalize_target": False, "alpha": 0.0, "early_stopping": True}
    reg = small(cls, loss="quantile", quantile=0.8, max_iter=3, dtype="float64", **parameters)
    reg.fit(X[:300], Y[:300], X_val=X[300:], y_val=Y[300:], sample_weight_val=weight)
    best = int(np.argmax(reg.validation_scores_))
    expected = mean_pinball_loss(Y[300:], reg.predict(X[300:]), sample_weight=weight, alpha=0.8)
    assert reg.validation_scores_[best] == pytest.approx(-expected, rel=1e-9)
    assert reg.validation_loss_curve_[best] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("cls", EACH)
def test_a_network_keeps_the_quantile_that_it_began_with(cls):
    X, y, _ = data_for(cls)
    reg = small(cls, loss="quantile", quantile=0.9, warm_start=True, max_iter=8).fit(X, y)
    assert reg._loss_parameter == 0.9
    other = small(cls, loss="quantile", quantile=0.9, warm_start=True, max_iter=8).fit(X, y)
    other.set_params(quantile=0.1)
    np.testing.assert_array_equal(other.fit(X, y).predict(X), reg.fit(X, y).predict(X))
    np.testing.assert_array_equal(
        other.partial_fit(X, y).predict(X), reg.partial_fit(X, y).predict(X)
    )
    # A new network has the new one.
    assert other.set_params(warm_start=False).fit(X, y)._loss_parameter == 0.1


@pytest.mark.parametrize("cls", EACH)
def test_other_losses_ignore_it(cls):
    X, y, _ = data_for(cls)
    one, other = (small(cls, quantile=quantile, max_iter=2).fit(X, y) for quantile in (0.1, 0.9))
    np.testing.assert_array_equal(one.predict(X), other.predict(X))


@pytest.mark.parametrize("quantile", [0.0, 1.0, -0.1, "0.5", None])
@pytest.mark.parametrize("cls", EACH)
def test_a_quantile_out_of_range(cls, quantile):
    X, y, _ = data_for(cls, n=20)
    with pytest.raises(ValueError, match="'quantile' parameter"):
        small(cls, loss="quantile", quantile=quantile).fit(X, y)


@pytest.mark.parametrize("damage", [0.0, 1.5, np.nan, None, "0.5"])
@pytest.mark.parametrize("cls", EACH)
def test_a_damaged_quantile_is_an_error(cls, damage):
    X, y, _ = data_for(cls, n=40)
    reg = small(cls, loss="quantile", max_iter=2).fit(X, y)
    reg._loss_parameter = damage
    for call in (reg.predict, lambda X: reg.partial_fit(X, y)):
        with pytest.raises(ValueError, match="parameter of the loss"):
            call(X)


def test_the_exported_network_predicts_the_same():
    X, y, _ = data_for(MLPWithBatchNormRegressor)
    parameters = EXPRESSIBLE | {"loss": "quantile", "quantile": 0.7, "dtype": "float64"}
    reg = small(MLPWithBatchNormRegressor, **parameters).fit(X, y)
    plain = reg.to_sklearn()
    assert plain.loss == "squared_error"
    np.testing.assert_allclose(plain.predict(X), reg.predict(X), rtol=1e-9)


def test_lbfgs():
    X, y, _ = data_for(MLPWithBatchNormRegressor)
    parameters = COLUMNS_ALONE | {"loss": "quantile", "quantile": 0.9, "solver": "lbfgs"}
    reg = small(MLPWithBatchNormRegressor, **parameters)
    predicted = reg.fit(X, y).predict(X)
    assert np.mean(y < predicted) == pytest.approx(0.9, abs=0.05)


@pytest.mark.parametrize("loss", sorted(REGRESSION_LOSSES))
@pytest.mark.parametrize("batch_norm", ["before", "after", None])
def test_many_rows_have_the_predictions_of_few(loss, batch_norm):
    # From FOLDING_ROWS rows on, batch norm is folded into the weights.
    X, y, _ = data_for(MLPWithBatchNormRegressor)
    reg = small(MLPWithBatchNormRegressor, loss=loss, batch_norm=batch_norm, max_iter=2).fit(X, y)
    many = np.tile(X, (FOLDING_ROWS // len(X) + 1, 1))
    np.testing.assert_allclose(reg.predict(many)[: len(X)], reg.predict(X), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("loss", sorted(REGRESSION_LOSSES))
@pytest.mark.parametrize("cls", EACH)
def test_rows_in_their_own_order(cls, loss):
    X, y, _ = data_for(cls)
    reg = small(cls, loss=loss, shuffle=False, max_iter=2, learning_rate="constant")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        reg.fit(X, y)
    assert np.isfinite(reg.predict(X)).all()

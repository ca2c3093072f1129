"""The claims of batch norm: numbers read off curves, each experiment in small, the figures.

Whose scores are better is not looked at.
"""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.special import expit
from sklearn.neural_network import MLPClassifier

from benchmarks import (
    claims,
    claims_affine,
    claims_batches,
    claims_figures,
    claims_paper,
    claims_runs,
    claims_statistics,
    claims_target,
)
from benchmarks import claims_sensitivity as sensitivity
from benchmarks.claims_curves import (
    decades,
    end_of_training,
    first_step,
    mean_and_error,
    plateau,
)
from skbn.network import views

COMMITTED = Path(__file__).parent.parent / "docs" / "results" / "claims.json"
RATES = [0.001, 0.01, 0.1, 1.0, 10.0]


def test_a_plateau_ends_between_points():
    low, high = plateau(RATES, [0.5, 0.8, 0.9, 0.88, 0.1], 0.85)
    # Half of the way from 0.8 to 0.9, and 3 of 78 hundredths from 0.88 to 0.1.
    assert low == pytest.approx(10**-1.5)
    assert high == pytest.approx(10 ** (3 / 78))
    assert decades(low, high) == pytest.approx(1.5 + 3 / 78)


def test_a_plateau_is_in_one_piece_and_has_the_ends_of_the_grid():
    assert plateau(RATES, [0.9, 0.1, 0.9, 0.92, 0.91], 0.9) == pytest.approx((0.1, 10.0))
    assert plateau(RATES, [0.9] * 5, 0.9) == pytest.approx((0.001, 10.0))
    assert plateau(RATES, [0.9, 0.9, 0.9, 0.95, 0.9], 0.9) == pytest.approx((0.001, 10.0))


def test_scores_below_the_best_of_another_curve_have_no_plateau():
    assert plateau(RATES, [0.1] * 5, 0.9) == (None, None)
    assert decades(None, None) == 0.0


def test_training_ends_where_half_of_the_runs_are_lost():
    scores = [0.1, 0.9, 0.8, 0.3, 0.1]
    assert end_of_training(RATES, scores, [1.0, 0.0, 0.5, 0.0, 0.5]) == 0.1
    assert end_of_training(RATES, scores, [1.0, 0.0, 0.4, 0.6, 1.0]) == 1.0
    assert end_of_training(RATES, scores, [1.0, 0.0, 0.0, 0.0, 0.0]) is None
    assert end_of_training(RATES, [0.1] * 5, [1.0] * 5) is None


def test_first_step_at_a_target():
    assert first_step([10, 20, 30, 40], [0.1, 0.5, 0.4, 0.9], 0.5) == 20
    assert first_step([10, 20, 30], [3.0, 2.0, 1.0], 2.0, falling=True) == 20
    assert first_step([10, 20], [0.1, 0.2], 0.5) is None


def test_mean_and_standard_error():
    assert mean_and_error([1.0, 3.0]) == pytest.approx((2.0, 1.0))
    assert mean_and_error([2.0]) == (2.0, None)
    assert mean_and_error([]) == (None, None)


def test_drift_of_numbers_by_hand():
    medians = np.array([[0.0, 1.0], [2.0, 1.0]])
    spreads = np.array([[1.0, 2.0], [4.0, 2.0]])
    # Deviations 1 and 0; ratios 4 and 1.
    assert claims_paper.drift(medians, spreads) == pytest.approx((0.5, 2.0))


def small_run(batch_norm, **others):
    run = sensitivity.settings(2, "logistic", "sgd", batch_norm, 0.5, units=8, batch_size=50)
    rows = {"data": "digits", "train_rows": 300, "test_rows": 100, "epochs": 2, "seed": 0}
    return run | rows | others


@pytest.mark.parametrize("batch_norm", ["before", None])
def test_the_recorded_inputs_are_the_network_s(batch_norm):
    run = small_run(batch_norm, points=[12], units=8)
    ((step, model, (X, _, _, _), seconds),) = claims_runs.stream(run, None)
    z = claims_paper.last_inputs(model, X)
    out = expit(z) @ model.coefs_[-1] + model.intercepts_[-1]
    p = np.exp(out) / np.exp(out).sum(axis=1, keepdims=True)
    assert step == 12
    assert model.t_ == 12 * 50
    assert seconds > 0
    np.testing.assert_allclose(p, model.predict_proba(X), atol=1e-5)


def test_the_two_sides_differ_by_batch_norm_alone():
    models = [claims_runs.network(small_run(side)) for side in claims_runs.SIDES.values()]
    one, other = (model.get_params() for model in models)
    assert {name for name in one if one[name] != other[name]} == {"batch_norm"}


def test_without_batch_norm_it_is_scikit_learn_s_plain_network():
    run = small_run(None)
    X, _, y, _ = claims_runs.pictures(None, run)
    model = claims_runs.network(run, max_iter=3, n_iter_no_change=4, tol=0.0)
    assert claims_runs.trained(model, "fit", X, y)[1]
    plain = MLPClassifier(
        (8, 8), "logistic", solver="sgd", learning_rate_init=0.5, batch_size=50, momentum=0.0,
        nesterovs_momentum=False, alpha=0.0, max_iter=3, n_iter_no_change=4, tol=0.0,
        random_state=0,
    )  # fmt: skip
    claims_runs.finite(plain.fit, X.astype(np.float64), y)
    for ours, theirs in zip(model.coefs_, plain.coefs_, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_pictures_are_drawn_by_the_seed_and_scaled_by_two_numbers():
    X, X_test, y, _y_test = claims_runs.pictures(None, small_run(None))
    assert X.shape == (300, 64)
    assert X_test.shape == (100, 64)
    assert len(y) == 300
    assert X.mean() == pytest.approx(0, abs=1e-5)
    assert X.std() == pytest.approx(1, abs=1e-5)
    assert not np.array_equal(y, claims_runs.pictures(None, small_run(None, seed=1))[2])
    pixels = claims_runs.pictures(None, small_run(None, inputs="pixels"))[0]
    assert pixels.min() == 0.0
    assert pixels.max() == 1.0


def test_a_run_that_diverges_is_told():
    result = claims_runs.fit(small_run(None, rate=1e9, activation="relu"), None)
    assert result["finite"] is False
    assert result["score"] is None
    assert claims_runs.is_lost(result)
    assert claims_runs.score_of(result) == 0.1
    with pytest.raises(ValueError, match="batch_size"):
        claims_runs.fit(small_run("before", batch_size=1), None)


@pytest.mark.parametrize("trained_affine", [True, False])
def test_fixed_gamma_and_beta_stay(trained_affine):
    run = small_run("before", units=8, trained_affine=trained_affine)
    result = claims_affine.measured(run, None)
    assert result["finite"]
    assert 0 <= result["score"] <= 1
    net = claims_affine.network_of(run, 64, np.random.RandomState(0))
    segments, n = net.layout.segments, net.layout.n_parameters
    # All parameters are covered, once, in their order.
    assert segments["start"][0] == 0
    assert segments["stop"][-1] == n
    np.testing.assert_array_equal(segments["start"][1:], segments["stop"][:-1])
    rates = np.zeros(n)
    for segment in segments:
        rates[segment["start"] : segment["stop"]] = segment["rate"]
    affine = views.gammas(net.plan, rates) + views.betas(net.plan, rates)
    assert all((part == trained_affine).all() for part in affine)
    assert np.count_nonzero(rates == 0) == (0 if trained_affine else 2 * 2 * 8)


def test_training_leaves_fixed_gamma_and_beta_at_one_and_zero(monkeypatch):
    nets = []
    monkeypatch.setattr(claims_affine, "set_exact_statistics", lambda net, table: nets.append(net))
    for trained_affine in (False, True):
        claims_affine.measured(small_run("before", units=8, trained_affine=trained_affine), None)
    fixed, trained = nets
    for net, stays in ((fixed, True), (trained, False)):
        gammas = np.concatenate(views.gammas(net.plan, net.parameters))
        betas = np.concatenate(views.betas(net.plan, net.parameters))
        assert (np.all(gammas == 1) and np.all(betas == 0)) == stays
    # The weights are trained on both sides.
    bound = np.sqrt(2 / (64 + 8))
    assert np.abs(views.weights(fixed.plan, fixed.parameters)[0]).max() > bound


def target_pairs(losses_by_side_and_rate):
    run = {"layers": 3, "activation": "relu", "solver": "sgd", "data": "digits"}
    return [
        (
            run | {"batch_norm": side, "rate": rate, "seed": seed},
            {"steps": [30, 60, 90], "loss": losses, "seconds": [1.0, 2.0, 3.0]},
        )
        for (side, rate), of_seeds in losses_by_side_and_rate.items()
        for seed, losses in enumerate(of_seeds)
    ]


def test_each_side_gets_to_the_target_at_its_own_best_rate():
    (row,) = claims_target.summary(
        target_pairs(
            {
                (None, 0.1): [[2.0, 1.0, 0.5], [2.0, 1.5, 0.6]],
                (None, 1.0): [[2.0, 2.0, 2.0], [0.1, 0.1, 0.1]],
                ("before", 0.1): [[0.6, 0.5, 0.4], [0.6, 0.5, 0.4]],
                ("before", 1.0): [[0.4, 0.3, 0.2], [0.7, 0.7, 0.2]],
            }
        )
    )
    # The worse of the seeds at the rate of the lowest mean, which is 0.55 and not 1.05.
    assert row["target"] == 0.6
    sides = row["sides"]
    assert (sides["without"]["rate"], sides["without"]["steps"]) == (0.1, (90.0, 0.0))
    assert (sides["with batch norm"]["rate"], sides["with batch norm"]["steps"]) == (0.1, (30, 0))
    assert sides["with batch norm"]["seconds"] == (1.0, 0.0)


def test_a_side_that_never_gets_there_is_told():
    (row,) = claims_target.summary(
        target_pairs({(None, 0.1): [[1.0, 0.9, 0.8]], ("before", 0.1): [[1.0, 1.0, 1.0]]})
    )
    assert row["sides"]["with batch norm"] is None
    assert "never" in claims_target.text([row])


def test_a_plateau_is_measured_by_the_best_score_of_both_sides():
    options = SimpleNamespace(quick=True, seeds=1)
    rates = [0.01, 0.1, 1.0]
    scores = {"before": [0.9, 0.9, 0.9], None: [0.8, 0.895, 0.8]}
    done = [
        (
            sensitivity.settings(layers, activation, solver, side, rate, seed=0),
            {"score": score, "finite": True},
        )
        for layers, activation, solver in sensitivity.combinations(options)
        for side, of_side in scores.items()
        for rate, score in zip(rates, of_side, strict=True)
    ]
    row = sensitivity.summary(done, options, "rate")[0]["sides"]
    assert row["with batch norm"]["decades"] == pytest.approx(2.0)
    # From 0.89, 5 of 95 thousandths below the best of this side, and 10 of 95 by its own best.
    assert row["without"]["decades"] == pytest.approx(2 * 5 / 95)
    assert row["without"]["own_decades"] == pytest.approx(2 * 10 / 95)
    assert sensitivity.best_rate(done, (3, "relu", "sgd"), None) == 0.1


@pytest.fixture
def tiny(monkeypatch):
    """Experiments of seconds: few runs of few steps."""
    monkeypatch.setattr(sensitivity, "combinations", lambda options: [(3, "relu", "sgd")])
    monkeypatch.setattr(
        sensitivity, "RATES", {"sgd": np.logspace(-2, 4, 9), "adam": np.logspace(-3, 1, 9)}
    )
    monkeypatch.setattr(claims_paper, "STEPS", {"digits": 60})
    monkeypatch.setattr(claims_paper, "POINTS", 5)
    monkeypatch.setattr(claims_target, "NETWORKS", ((3, "relu", "sgd"),))
    monkeypatch.setattr(claims_batches, "SIZES", (2, 4, 8, 64))
    monkeypatch.setattr(claims_batches, "RATES", (0.1, 0.2, 0.3, 1.0))
    monkeypatch.setattr(claims_statistics, "LAST", 3)


def test_every_experiment_in_small(tmp_path, tiny, capsys):
    arguments = ["--quick", "--seeds", "2", "--output", str(tmp_path)]
    claims.main(arguments)
    content = json.loads((tmp_path / "claims.json").read_text())
    assert list(content["results"]) == [
        *("paper", "rates", "scales", "target", "batches"),
        *("placement", "affine", "statistics"),
    ]
    assert content["command"] == "python -m benchmarks.claims --quick --seeds 2 --jobs 1"
    assert content["seeds"] == [0, 1]
    assert content["processor_seconds"] >= 0
    (row,) = content["results"]["rates"]
    # 0.01, 10 and 10,000.
    assert row["sides"]["without"]["ends_at"] == 10.0
    printed = capsys.readouterr().out
    for name in content["results"]:
        assert (tmp_path / f"claims-{name}.png").stat().st_size > 10_000
        assert f"\n{name}\n" in printed

    # What was measured is not measured again.
    lines = (tmp_path / "claims.jsonl").read_text()
    assert len(lines.splitlines()) == content["runs"]
    claims.main([*arguments, "--only", "scales"])
    assert (tmp_path / "claims.jsonl").read_text() == lines


def test_the_committed_results_are_drawn(tmp_path):
    content = json.loads(COMMITTED.read_text())
    assert COMMITTED.stat().st_size < 200_000
    paths = claims_figures.draw(content, tmp_path / "new")
    assert [path.name for path in paths] == [
        f"claims-{name}.png" for name in claims_figures.FIGURES
    ]
    assert all(path.stat().st_size > 20_000 for path in paths)


def test_an_experiment_that_was_not_run_is_not_drawn(tmp_path):
    content = json.loads(COMMITTED.read_text())
    batches = {"results": {"batches": content["results"]["batches"]}}
    assert claims_figures.draw(batches, tmp_path) == [tmp_path / "claims-batches.png"]

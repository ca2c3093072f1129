"""Claim 1: the experiment of the 2015 paper, three layers of 100 logistic units.

Batches of 60 and plain SGD at a constant rate, as in section 4.1 of Ioffe and Szegedy (2015). What
differs: the pictures are of clothes, or small digits, in grey instead of black and white; the
initial weights are uniform (Glorot) instead of "small random Gaussian values"; and the paper does
not tell its learning rate, so several are run, the same ones with and without batch norm.
"""

import numpy as np
from scipy.special import expit

from benchmarks.claims_curves import first_step, mean_and_error
from benchmarks.claims_runs import DIGITS, FASHION, SIDES, finite, settings, stream

RATES = (0.1, 0.3, 1.0)
STEPS = {FASHION: 50_000, DIGITS: 20_000}
TRAIN_ROWS = {FASHION: 60_000, DIGITS: 1000}
POINTS = 100
# Beside the steps to the target itself, the steps to so much below it are told.
NEAR = 0.01
QUANTILES = (0.15, 0.5, 0.85)
# Rows of the quantiles, the first of the test rows; the unit that is drawn is the first.
ROWS = 797


def runs(options, names):
    """The streams; `names` are the data sets that are there."""
    result = []
    for name in names:
        steps = (600 if options.quick else STEPS[name]) if name in STEPS else 0
        points = np.unique(np.geomspace(10, steps, 20 if options.quick else POINTS).astype(int))
        result += [
            settings(3, "logistic", "sgd", placement, rate, data=name, batch_size=60)
            | {"train_rows": TRAIN_ROWS[name], "test_rows": 10_000, "inputs": "pixels"}
            | {"points": points.tolist(), "seed": seed}
            for placement in SIDES.values()
            for rate in (RATES[-1:] if options.quick else RATES)
            for seed in range(options.seeds)
        ]
    return result


def measured(run, directory):
    """Test accuracy and quantiles of the inputs of the last hidden layer at the points."""
    result = {"steps": [], "score": [], "quantiles": [], "seconds": 0.0}
    medians, spreads = [], []
    for step, model, (_, X_test, _, y_test), seconds in stream(run, directory):
        score = finite(model.score, X_test, y_test)
        if score is None:
            break
        low, median, high = np.quantile(last_inputs(model, X_test[:ROWS]), QUANTILES, axis=0)
        medians.append(median)
        spreads.append(high - low)
        result["steps"].append(step)
        result["score"].append(score)
        result["quantiles"].append([float(q[0]) for q in (low, median, high)])
        result["seconds"] = seconds
    result["drift"] = drift(np.array(medians), np.array(spreads))
    return result


def last_inputs(model, X):
    """Inputs of the logistic units of the last hidden layer, shape (n, units), at inference."""
    for layer in range(len(model.coefs_) - 1):
        z = X @ model.coefs_[layer] + model.intercepts_[layer]
        if model.batch_norm is not None:
            deviation = np.sqrt(model.running_vars_[layer] + model.bn_epsilon)
            normalized = (z - model.running_means_[layer]) / deviation
            z = model.gammas_[layer] * normalized + model.betas_[layer]
        X = expit(z)
    return z


def drift(medians, spreads):
    """How far the inputs of units wander over training.

    Parameters
    ----------
    medians, spreads : ndarray of shape (n_points, n_units)
        Of each unit at each recorded step.

    Returns
    -------
    deviation : float
        Of a unit's median over the steps, the mean over units.
    ratio : float
        Of a unit's widest spread to its narrowest, the geometric mean over units.
    """
    spreads = np.maximum(spreads, 1e-12)
    ratios = spreads.max(axis=0) / spreads.min(axis=0)
    return float(np.mean(medians.std(axis=0))), float(np.exp(np.log(ratios).mean()))


def summary(done):
    """Per data set and rate: curves, best accuracies and steps to the plain network's best."""
    result = []
    for name in dict.fromkeys(run["data"] for run, _ in done):
        rows = {
            rate: one_rate([pair for pair in done if is_of(pair[0], name, rate)])
            for rate in dict.fromkeys(run["rate"] for run, _ in done)
        }
        # The rate that suits the network without batch norm is the one that is drawn.
        shown = max(rows, key=lambda rate: rows[rate]["without"]["best"])
        result.append({"data": name, "rate": shown, "rates": list(rows.values())})
        for row in rows.values():
            if row["rate"] != shown:
                for side in SIDES:
                    row[side] = {
                        key: value for key, value in row[side].items() if key not in CURVES
                    }
    return result


CURVES = ("score", "score_error", "quantiles")


def is_of(run, name, rate):
    return run["data"] == name and run["rate"] == rate


def one_rate(pairs):
    """Both sides at one learning rate.

    The target of a seed is the best accuracy of its network without batch norm.
    """
    by_side = {
        side: [result for run, result in pairs if run["batch_norm"] == placement]
        for side, placement in SIDES.items()
    }
    targets = [max(result["score"], default=0.1) for result in by_side["without"]]
    row = {"rate": pairs[0][0]["rate"], "steps": pairs[0][0]["points"]}
    for side, results in by_side.items():
        # Where the loss stopped being finite, chance.
        n = len(row["steps"])
        scores = np.array([(result["score"] + [0.1] * n)[:n] for result in results])
        steps = [
            first_step(result["steps"], result["score"], target)
            for result, target in zip(results, targets, strict=True)
        ]
        reached = [step for step in steps if step is not None]
        near = [
            first_step(result["steps"], result["score"], target - NEAR)
            for result, target in zip(results, targets, strict=True)
        ]
        best, best_error = mean_and_error(scores.max(axis=1))
        mean_steps, steps_error = mean_and_error(reached)
        row[side] = {
            "best": best,
            "best_error": best_error,
            "steps_to_target": mean_steps if len(reached) == len(steps) else None,
            "steps_error": steps_error,
            "reached": len(reached),
            "steps_near_target": None if None in near else mean_and_error(near),
            "runs": len(steps),
            "median_deviation": mean_and_error([result["drift"][0] for result in results]),
            "spread_ratio": mean_and_error([result["drift"][1] for result in results]),
            "score": [round(float(value), 4) for value in scores.mean(axis=0)],
            "score_error": [
                round(float(value), 4)
                for value in (scores.std(axis=0, ddof=len(scores) > 1) / len(scores) ** 0.5)
            ],
            "quantiles": [[round(q, 3) for q in point] for point in results[0]["quantiles"]],
        }
    return row


def text(rows):
    lines = [
        f"{'data':14} {'rate':>5} {'side':16} {'best':>7} {'+-':>6} {'steps to it':>12} "
        f"{'+-':>6} {'near':>7} {'median':>7} {'spread':>7}"
    ]
    for row in rows:
        for one in row["rates"]:
            for side in SIDES:
                value = one[side]
                steps, near = value["steps_to_target"], value["steps_near_target"]
                lines.append(
                    f"{row['data']:14} {one['rate']:5} {side:16} {value['best']:7.4f} "
                    f"{value['best_error'] or 0:6.4f} "
                    f"{'-' if steps is None else round(steps):>12} "
                    f"{value['steps_error'] or 0:6.0f} "
                    f"{'-' if near is None else round(near[0]):>7} "
                    f"{value['median_deviation'][0]:7.3f} "
                    f"{value['spread_ratio'][0]:7.2f}"
                )
    return "\n".join(lines)

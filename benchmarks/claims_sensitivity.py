"""Claims 2 and 3: how much depends on the learning rate, and on the scale of the initial weights.

Fits on digits for a fixed number of epochs, over 8 decades of the learning rate and, at the best
rate of each network, over 6 decades of the factor on its initial weights.
"""

from itertools import product

import numpy as np

from benchmarks.claims_curves import decades, end_of_training, mean_and_error, plateau
from benchmarks.claims_runs import CHANCE, DIGITS, SIDES, is_lost, score_of, settings

LAYERS = (3, 8)
ACTIVATIONS = ("relu", "logistic", "tanh")
# SGD's useful rates are a hundred to a thousand times Adam's.
RATES = {"sgd": np.logspace(-5, 3, 17), "adam": np.logspace(-6, 2, 17)}
SCALES = np.logspace(-3, 3, 13)
# A plateau reaches as far as scores are within so much of the best score.
TOLERANCE = 0.01


def budget(options):
    """Rows, batches and epochs of a fit."""
    return {
        "data": DIGITS,
        "train_rows": 1000,
        "test_rows": 797,
        "batch_size": 50,
        "epochs": 5 if options.quick else 50,
    }


def combinations(options):
    """Layers, activation and solver of the networks that are looked at."""
    if options.quick:
        return [(3, "relu", "sgd"), (8, "logistic", "sgd"), (3, "logistic", "adam")]
    return [
        (layers, activation, solver)
        for solver, layers, activation in product(RATES, LAYERS, ACTIVATIONS)
    ]


def rates_of(solver, options):
    return [float(f"{rate:.3g}") for rate in RATES[solver][:: 4 if options.quick else 1]]


def rate_runs(options, sides=SIDES):
    """The fits over learning rates."""
    return [
        settings(*combination[:2], combination[2], placement, rate, **budget(options), seed=seed)
        for combination in combinations(options)
        for placement in sides.values()
        for rate in rates_of(combination[2], options)
        for seed in range(options.seeds)
    ]


def scale_runs(options, done):
    """The fits over initial scales, each network at its best rate of `done`."""
    scales = [float(f"{scale:.3g}") for scale in SCALES[:: 4 if options.quick else 1]]
    runs = []
    for combination, placement in product(combinations(options), SIDES.values()):
        rate = best_rate(done, combination, placement)
        runs += [
            settings(*combination[:2], combination[2], placement, rate, init_scale=scale)
            | budget(options)
            | {"seed": seed}
            for scale in scales
            for seed in range(options.seeds)
        ]
    return runs


def chosen(done, combination, placement, *, scaled):
    """The runs of a network among `done`, pairs of run and result."""
    return [
        (run, result)
        for run, result in done
        if (run["layers"], run["activation"], run["solver"]) == combination
        and run["batch_norm"] == placement
        and ("init_scale" in run) == scaled
    ]


def curve(pairs, axis):
    """Scores of seeds (rows) over the values of `axis` (columns), and which runs are lost."""
    x = sorted({run[axis] for run, _ in pairs})
    seeds = sorted({run["seed"] for run, _ in pairs})
    scores, lost, finite = (np.empty((len(seeds), len(x))) for _ in range(3))
    for run, result in pairs:
        place = seeds.index(run["seed"]), x.index(run[axis])
        scores[place], lost[place] = score_of(result), is_lost(result)
        finite[place] = result["finite"]
    return x, scores, lost, finite


def best_rate(done, combination, placement):
    """The learning rate of the best mean score."""
    x, scores, _, _ = curve(chosen(done, combination, placement, scaled=False), "rate")
    return x[int(scores.mean(axis=0).argmax())]


def summary(done, options, axis, sides=SIDES):
    """Curves, plateaus and ends of each network, with and without batch norm.

    A plateau is measured by the best mean score of both sides, so that a network that learns
    nothing at any rate has none; and, as ``own_decades``, by the best score of its own side.
    """
    result = []
    for layers, activation, solver in combinations(options):
        curves = {}
        for side, placement in sides.items():
            pairs = chosen(
                done, (layers, activation, solver), placement, scaled=axis == "init_scale"
            )
            curves[side] = (curve(pairs, axis), pairs[0][0]["rate"])
        best = max(scores.mean(axis=0).max() for (_, scores, _, _), _ in curves.values())
        row = {"layers": layers, "activation": activation, "solver": solver, "sides": {}}
        for side, ((x, scores, lost, finite), rate) in curves.items():
            row["sides"][side] = side_summary(x, scores, lost, finite, best)
            if axis == "init_scale":
                row["sides"][side]["rate"] = rate
        result.append(row)
    return result


def side_summary(x, scores, lost, finite, best):
    """What is told of one curve; `best` is the best mean score of both sides."""
    mean = scores.mean(axis=0)
    own = mean.max()
    widths = [decades(*plateau(x, row, best - TOLERANCE)) for row in scores]
    own_widths = [decades(*plateau(x, row, own - TOLERANCE)) for row in scores]
    learns = own >= CHANCE
    shares = lost.mean(axis=0)
    width, width_error = mean_and_error(widths)
    own_width, own_error = mean_and_error(own_widths if learns else [0.0] * len(widths))
    errors = scores.std(axis=0, ddof=1) / np.sqrt(len(scores)) if len(scores) > 1 else 0 * mean
    return {
        "x": x,
        "score": [round(float(value), 4) for value in mean],
        "error": [round(float(value), 4) for value in errors],
        "lost": [round(float(value), 3) for value in shares],
        "not_finite": [round(float(value), 3) for value in 1.0 - finite.mean(axis=0)],
        "best_score": float(own),
        "best_error": round(float(errors[mean.argmax()]), 4),
        "best_x": x[int(mean.argmax())],
        "decades": width,
        "decades_error": width_error,
        "own_decades": own_width,
        "own_decades_error": own_error,
        "ends_at": end_of_training(x, mean, shares) if learns else None,
    }


def text(rows):
    """A line for each network and side."""
    lines = [
        f"{'network':24} {'side':22} {'best':>6} {'at':>9} {'decades':>8} {'+-':>5} "
        f"{'own':>6} {'lost from':>10}"
    ]
    for row in rows:
        name = f"{row['layers']} {row['activation']} {row['solver']}"
        for side, value in row["sides"].items():
            end = "never" if value["ends_at"] is None else f"{value['ends_at']:.3g}"
            end = "all" if value["best_score"] < CHANCE else end
            error = 0.0 if value["decades_error"] is None else value["decades_error"]
            lines.append(
                f"{name:24} {side:22} {value['best_score']:6.3f} {value['best_x']:9.3g} "
                f"{value['decades']:8.2f} {error:5.2f} {value['own_decades']:6.2f} {end:>10}"
            )
    return "\n".join(lines)

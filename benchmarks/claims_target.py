"""Claim 4: steps and processor seconds to a target loss, each side at its own best rate.

The target is what the network without batch norm comes down to: of its seeds at the rate of its
lowest mean loss, the highest of their lowest losses. Losses are log losses of fixed training rows,
predicted by the running averages every few steps.
"""

import numpy as np

from benchmarks.claims_curves import first_step, mean_and_error
from benchmarks.claims_runs import DIGITS, SIDES, finite, settings, stream

NETWORKS = (
    (3, "relu", "sgd"),
    (3, "logistic", "sgd"),
    (3, "tanh", "sgd"),
    (8, "relu", "sgd"),
    (8, "tanh", "sgd"),
    (3, "relu", "adam"),
)
RATES = {
    "sgd": (0.01, 0.03, 0.1, 0.3, 1.0, 3.0),
    "adam": (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2),
}
# A logistic network without batch norm needs many steps before it learns anything.
STEPS, EVERY = 2000, 20
LOSS_ROWS = 1000


def runs(options, name):
    """The streams on a data set."""
    steps = 300 if options.quick else STEPS
    rows = {"data": name, "train_rows": 1000 if name == DIGITS else 10_000, "test_rows": 1}
    return [
        settings(layers, activation, solver, placement, rate, **rows, batch_size=60)
        | {"points": list(range(EVERY, steps + 1, EVERY)), "seed": seed}
        for layers, activation, solver in (NETWORKS[:2] if options.quick else NETWORKS)
        for placement in SIDES.values()
        for rate in RATES[solver][:: 2 if options.quick else 1]
        for seed in range(options.seeds)
    ]


def measured(run, directory):
    """Loss of the training rows, and processor seconds of training alone, at the points."""
    result = {"steps": [], "loss": [], "seconds": []}
    for step, model, data, seconds in stream(run, directory):
        X, _, y, _ = data
        p = finite(model.predict_proba, X[:LOSS_ROWS])
        if p is None:
            break
        result["steps"].append(step)
        result["seconds"].append(seconds)
        true = p[np.arange(len(p)), y[:LOSS_ROWS]]
        result["loss"].append(float(-np.log(np.maximum(true, np.finfo(p.dtype).eps)).mean()))
    return result


def summary(done):
    """Per network: the target, and each side's steps and seconds to it at its best rate."""
    result = []
    for key in dict.fromkeys(key_of(run) for run, _ in done):
        sides = {
            side: by_rate(
                [pair for pair in done if key_of(pair[0]) == key and at(pair[0], placement)]
            )
            for side, placement in SIDES.items()
        }
        target = target_of(sides["without"])
        row = {"layers": key[0], "activation": key[1], "solver": key[2], "data": key[3]}
        row |= {"target": target, "sides": {}}
        for side, rates in sides.items():
            row["sides"][side] = best_of(rates, target)
        result.append(row)
    return result


def key_of(run):
    return run["layers"], run["activation"], run["solver"], run["data"]


def at(run, placement):
    return run["batch_norm"] == placement


def by_rate(pairs):
    rates = {}
    for run, result in pairs:
        rates.setdefault(run["rate"], []).append(result)
    return rates


def target_of(rates):
    """The loss that all seeds of the best rate come down to."""
    lowest = {
        rate: [min(result["loss"], default=np.inf) for result in results]
        for rate, results in rates.items()
    }
    return float(max(min(lowest.values(), key=np.mean)))


def best_of(rates, target):
    """Steps and seconds at the rate of the fewest mean steps; None where no rate gets there."""
    told = {}
    for rate, results in rates.items():
        steps = [
            first_step(result["steps"], result["loss"], target, falling=True) for result in results
        ]
        if None not in steps:
            told[rate] = steps
    if not told:
        return None
    rate = min(told, key=lambda rate: np.mean(told[rate]))
    seconds = [
        result["seconds"][result["steps"].index(step)]
        for result, step in zip(rates[rate], told[rate], strict=True)
    ]
    shown = rates[rate]
    # Of one length: all reached the target, and none was cut off before it.
    length = min(len(result["loss"]) for result in shown)
    losses = np.array([result["loss"][:length] for result in shown])
    return {
        "rate": rate,
        "steps": mean_and_error(told[rate]),
        "seconds": mean_and_error(seconds),
        "curve": {
            "steps": shown[0]["steps"][:length],
            "loss": [round(float(value), 4) for value in losses.mean(axis=0)],
            "error": [
                round(float(value), 4)
                for value in losses.std(axis=0, ddof=len(losses) > 1) / len(losses) ** 0.5
            ],
        },
    }


def text(rows):
    lines = [
        f"{'network':20} {'target':>7} {'side':16} {'rate':>7} {'steps':>7} {'+-':>5} "
        f"{'seconds':>8} {'+-':>6}"
    ]
    for row in rows:
        name = f"{row['layers']} {row['activation']} {row['solver']}"
        for side, value in row["sides"].items():
            line = f"{name:20} {row['target']:7.4f} {side:16} "
            if value is None:
                lines.append(line + "never")
                continue
            (steps, steps_error), (seconds, seconds_error) = value["steps"], value["seconds"]
            lines.append(
                line + f"{value['rate']:7.3g} {steps:7.0f} {steps_error or 0:5.0f} "
                f"{seconds:8.3f} {seconds_error or 0:6.3f}"
            )
    return "\n".join(lines)

"""Claim 5: batches of 2 to 4,096 rows, and where batch norm hurts.

Three layers of 100 ReLU units, plain SGD, the same number of epochs for every size; each side and
each size at its own best rate of a grid.
"""

import numpy as np

from benchmarks.claims_runs import DIGITS, SIDES, is_lost, score_of, settings

SIZES = tuple(2**power for power in range(1, 13))
RATES = (0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
ROWS, EPOCHS = 4096, 15


def runs(options, name):
    """The fits on a data set."""
    sizes, rows = SIZES, ROWS
    if name == DIGITS:
        sizes, rows = SIZES[:10], 1024
    return [
        settings(3, "relu", "sgd", placement, rate, data=name, train_rows=rows, test_rows=10_000)
        | {"batch_size": size, "epochs": 2 if options.quick else EPOCHS, "seed": seed}
        for size in sizes[:: 3 if options.quick else 1]
        for placement in SIDES.values()
        for rate in RATES[:: 3 if options.quick else 1]
        for seed in range(options.seeds)
    ]


def summary(done):
    """Per side: the best mean score of each size, its error, its rate, and all mean scores."""
    first = done[0][0]
    sizes = sorted({run["batch_size"] for run, _ in done})
    rates = sorted({run["rate"] for run, _ in done})
    row = {"data": first["data"], "train_rows": first["train_rows"], "epochs": first["epochs"]}
    row |= {"sizes": sizes, "rates": rates, "sides": {}}
    for side, placement in SIDES.items():
        chosen = [pair for pair in done if pair[0]["batch_norm"] == placement]
        seeds = sorted({run["seed"] for run, _ in chosen})
        scores, lost = (np.empty((len(sizes), len(rates), len(seeds))) for _ in range(2))
        for run, result in chosen:
            place = (
                sizes.index(run["batch_size"]),
                rates.index(run["rate"]),
                seeds.index(run["seed"]),
            )
            scores[place], lost[place] = score_of(result), is_lost(result)
        mean = scores.mean(axis=2)
        best = mean.argmax(axis=1)
        of_best = scores[np.arange(len(sizes)), best]
        errors = of_best.std(axis=1, ddof=len(seeds) > 1) / len(seeds) ** 0.5
        row["sides"][side] = {
            "score": [round(float(value), 4) for value in of_best.mean(axis=1)],
            "error": [round(float(value), 4) for value in errors],
            "rate": [rates[i] for i in best],
            "scores": [[round(float(value), 4) for value in line] for line in mean],
            "lost": [[round(float(value), 2) for value in line] for line in lost.mean(axis=2)],
        }
    return [row]


def text(rows):
    lines = [f"{'batch':>6}" + "".join(f" {side:>16} {'+-':>6} {'rate':>6}" for side in SIDES)]
    for row in rows:
        for i, size in enumerate(row["sizes"]):
            lines.append(
                f"{size:6}"
                + "".join(
                    f" {value['score'][i]:16.4f} {value['error'][i]:6.4f} {value['rate'][i]:6.3g}"
                    for value in (row["sides"][side] for side in SIDES)
                )
            )
    return "\n".join(lines)

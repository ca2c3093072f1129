"""Claim 6, third part: exact statistics of the training rows, or running averages of batches.

A network is trained step by step. At each recorded step its test accuracy is taken twice, with the
same weights: by the running averages that ``partial_fit`` keeps, and by the exact statistics with
which ``fit`` ends.
"""

import numpy as np

from benchmarks.claims_curves import mean_and_error
from benchmarks.claims_runs import DIGITS, finite, settings, stream
from benchmarks.recurrent import with_exact_statistics

SIZES = (4, 16, 64)
MOMENTA = (0.01, 0.1, 0.5)
RATES = (0.1, 1.0)
STEPS, EVERY = 1000, 20
KINDS = ("running averages", "exact statistics")
# The recorded steps at the end of training that the table is of.
LAST = 10


def runs(options):
    """The streams on digits."""
    steps = 200 if options.quick else STEPS
    return [
        settings(3, "relu", "sgd", "before", rate, data=DIGITS, train_rows=1000, test_rows=797)
        | {"batch_size": size, "bn_momentum": momentum, "seed": seed}
        | {"points": list(range(EVERY, steps + 1, EVERY))}
        for size in (SIZES[:1] if options.quick else SIZES)
        for rate in (RATES[:1] if options.quick else RATES)
        for momentum in (MOMENTA[1:2] if options.quick else MOMENTA)
        for seed in range(options.seeds)
    ]


def measured(run, directory):
    """Test accuracy by both kinds of statistics."""
    result = {"steps": []} | {kind: [] for kind in KINDS}
    for step, model, data, _ in stream(run, directory):
        X_train, X_test, _, y_test = data
        exact = with_exact_statistics(model, X_train)
        scores = [finite(one.score, X_test, y_test) for one in (model, exact)]
        if None in scores:
            break
        result["steps"].append(step)
        for kind, score in zip(KINDS, scores, strict=True):
            result[kind].append(score)
    return result


def summary(done):
    """Per size of a batch, rate and momentum: mean score of the last steps, and its jitter.

    The jitter is the deviation of the score over the last steps of a run.
    """
    result = []
    for size, rate, momentum in dict.fromkeys(key_of(run) for run, _ in done):
        shown = [result for run, result in done if key_of(run) == (size, rate, momentum)]
        row = {"batch_size": size, "rate": rate, "bn_momentum": momentum, "runs": len(shown)}
        shown = [result for result in shown if len(result["steps"]) >= LAST]
        row |= {"finite_runs": len(shown), "kinds": {}}
        for kind in KINDS:
            last = np.array([result[kind][-LAST:] for result in shown])
            row["kinds"][kind] = {
                "score": mean_and_error(last.mean(axis=1) if len(last) else []),
                "jitter": mean_and_error(last.std(axis=1) if len(last) else []),
            }
        result.append(row)
    return result


def key_of(run):
    return run["batch_size"], run["rate"], run["bn_momentum"]


def text(rows):
    lines = [
        f"{'batch':>6} {'rate':>5} {'momentum':>9} {'statistics':18} {'score':>7} {'jitter':>7}"
    ]
    for row in rows:
        for kind, value in row["kinds"].items():
            if row["finite_runs"]:
                lines.append(
                    f"{row['batch_size']:6} {row['rate']:5} {row['bn_momentum']:9} {kind:18} "
                    f"{value['score'][0]:7.4f} {value['jitter'][0]:7.4f}"
                )
    return "\n".join(lines)

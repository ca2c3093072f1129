"""Reports on recurrent networks: lines, the table, and the figure of the curves."""

from statistics import mean, stdev

import numpy as np

COLUMNS = "{:<18} {:<20} {:>5} {:>8} {:>9} {:>9} {:>9}  {}"


def line(result):
    """A line of text for one run."""
    return (
        f"{result['set']} {result['kind']} {result['seed']}: {result['score']:.4f} "
        f"in {result['fit_seconds']:.0f} s"
    )


def groups(results):
    """Runs that differ only in their seed, by set and kind, in the order of the results."""
    result = {}
    for run in results:
        result.setdefault((run["set"], run["kind"]), []).append(run)
    return result


def text(results):
    """Mean score with its standard error, number of runs, log loss and seconds of a fit."""
    heads = ("set", "model", "runs", "score", "std.err.", "log loss", "seconds", "scores")
    lines = [COLUMNS.format(*heads)]
    for (name, kind), runs in groups(results).items():
        scores = [run["score"] for run in runs]
        error = stdev(scores) / len(scores) ** 0.5 if len(scores) > 1 else float("nan")
        seconds = mean(run["fit_seconds"] for run in runs)
        losses = [run["log_loss"] for run in runs if "log_loss" in run]
        every = " ".join(f"{score:.4f}" for score in scores)
        lines.append(
            COLUMNS.format(
                name,
                kind,
                len(runs),
                f"{mean(scores):.4f}",
                f"{error:.4f}",
                f"{mean(losses):.4f}" if losses else "-",
                f"{seconds:.1f}",
                every,
            )
        )
    return "\n".join(lines)


def draw(path, results):
    """A column for each task: training loss above, test score below, a line for each run."""
    from matplotlib.figure import Figure

    tasks = list(dict.fromkeys(run["set"] for run in results))
    kinds = list(dict.fromkeys(run["kind"] for run in results))
    figure = Figure(figsize=(4.5 * len(tasks), 6.5), layout="constrained")
    panels = figure.subplots(2, len(tasks), squeeze=False, sharex="col")
    for (task, kind), runs in groups(results).items():
        column = tasks.index(task)
        for quantity, panel in zip(("loss", "score"), panels[:, column], strict=True):
            curves = np.array([run["curve"][quantity] for run in runs])
            updates = runs[0]["curve"]["updates"]
            color = f"C{kinds.index(kind)}"
            panel.plot(updates, curves.T, color=color, linewidth=0.8, alpha=0.5)
            panel.plot(updates, curves.mean(axis=0), color=color, linewidth=2, label=kind)
        panels[0, column].set_title(f"{task}, {runs[0]['steps']} steps")
        panels[1, column].set_xlabel("updates")
    panels[0, 0].set_ylabel("training loss")
    panels[1, 0].set_ylabel("test accuracy")
    panels[0, 0].legend()
    figure.savefig(path, dpi=120)

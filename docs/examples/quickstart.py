"""
=============================================
Quickstart: learning rates that train, or not
=============================================

A first look at skbn: batch normalization makes the learning rate matter less::

    python quickstart.py                              # scikit-learn's digits
    python quickstart.py houses.csv --target price    # any CSV file of numbers

The same network is cross-validated with and without batch normalization over learning
rates that span several decades. A table on the terminal and a figure show the result.

A target of fractions, or of more than 20 different floats, makes it a regression. Any other
target holds classes, which may be strings. Every other column must be numeric, without gaps.
"""

import argparse
import warnings
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning, FitFailedWarning
from sklearn.model_selection import GridSearchCV, KFold, StratifiedKFold
from sklearn.pipeline import Pipeline

from skbn import BatchNormTransformer, MLPWithBatchNormClassifier, MLPWithBatchNormRegressor

LEARNING_RATES = [0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0]
BATCH_NORM = {None: "without batch norm", "before": "with batch norm"}
SCORE = {"classification": "accuracy", "regression": "R2"}
UNIT = {"accuracy": "fraction of the rows", "R2": "fraction of the variance"}


class BadInput(Exception):
    """What is wrong with the input, in one line."""


def main(argv=None):
    """Run the search; ``argv`` are the arguments of the command line."""
    parser = argument_parser()
    arguments = parser.parse_args(argv)
    try:
        X, y, task = load_data(arguments)
        arguments.figure = checked_figure(arguments.figure)
        name = arguments.csv or "digits"
        target = "a number" if task == "regression" else f"{len(np.unique(y))} classes"
        print(f"{name}: {X.shape[0]} rows, {X.shape[1]} features, the target is {target}")
        search = search_learning_rates(X, y, task, arguments)
        print_table(search, SCORE[task])
        draw_figure(search, SCORE[task], name, arguments.figure)
    except BadInput as error:
        parser.exit(2, f"{parser.prog}: error: {error}\n")
    print(f"figure written to {arguments.figure}")


def argument_parser():
    parser = argparse.ArgumentParser(
        prog="quickstart.py",
        description="Compare learning rates with and without batch normalization.",
    )
    parser.add_argument("csv", nargs="?", help="CSV file with a header (default: the digits)")
    parser.add_argument("--target", metavar="NAME", help="column of the CSV file to predict")
    parser.add_argument(
        "--task", choices=list(SCORE), help="what the target is (default: by its values)"
    )
    parser.add_argument(
        "--figure", metavar="FILE", default="quickstart.png", help="default: %(default)s"
    )
    parser.add_argument(
        "--learning-rates", metavar="RATE", type=float, nargs="+", default=LEARNING_RATES
    )
    parser.add_argument("--folds", type=int, default=5, help="default: %(default)s")
    parser.add_argument("--max-iter", type=int, default=20, help="epochs, default: %(default)s")
    parser.add_argument("--jobs", type=int, default=2, help="processes, default: %(default)s")
    return parser


# The search --------------------------------------------------------------------------------


def search_learning_rates(X, y, task, arguments):
    """Cross-validate every learning rate, with and without batch normalization."""
    estimator = {
        "classification": MLPWithBatchNormClassifier,
        "regression": MLPWithBatchNormRegressor,
    }[task]
    pipeline = Pipeline(
        [
            ("normalize", BatchNormTransformer()),
            (
                "mlp",
                estimator(
                    hidden_layer_sizes=(64, 64, 64),
                    solver="sgd",
                    batch_size=min(64, len(X) // 2),
                    n_epochs=arguments.max_iter,
                    random_state=0,
                ),
            ),
        ]
    )
    folds = StratifiedKFold if task == "classification" else KFold
    search = GridSearchCV(
        pipeline,
        {
            "mlp__batch_norm": list(BATCH_NORM),
            "mlp__learning_rate_init": sorted(set(arguments.learning_rates)),
        },
        cv=folds(arguments.folds, shuffle=True, random_state=0),
        n_jobs=arguments.jobs,  # joblib shares the threads of the BLAS among its processes
        refit=False,
    )
    show_progress(search)
    with warnings.catch_warnings():
        # The number of epochs is fixed, and a learning rate may be too large: a fit that
        # diverges raises, its score is then NaN.
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", FitFailedWarning)
        warnings.filterwarnings("ignore", "One or more of the test scores are non-finite")
        try:
            search.fit(X, y)
        except ValueError as error:
            raise BadInput(f"no fit succeeded: {last_line(error)}") from error
    return search


def show_progress(search):
    """Add a progress bar, which needs scikit-learn 1.9 or later and rich."""
    try:
        from sklearn.callback import ProgressBar

        search.set_callbacks(ProgressBar(max_propagation_depth=0))
    except ImportError:
        pass


# The result --------------------------------------------------------------------------------


def results_of(search, batch_norm):
    """Learning rates, means and deviations of the score, and fit times, as four arrays."""
    results = search.cv_results_
    chosen = [p["mlp__batch_norm"] == batch_norm for p in results["params"]]
    rates = np.array([p["mlp__learning_rate_init"] for p in results["params"]])
    columns = ("mean_test_score", "std_test_score", "mean_fit_time")
    return [rates[chosen], *(results[column][chosen] for column in columns)]


def print_table(search, score):
    """Print mean test score and fit time of every learning rate."""
    print(f"\n{'':14}" + "".join(f"{title:>26}" for title in BATCH_NORM.values()))
    print(f"{'learning rate':14}" + f"{score:>14}{'fit time':>12}" * len(BATCH_NORM))
    with_and_without = [results_of(search, batch_norm) for batch_norm in BATCH_NORM]
    for i, rate in enumerate(with_and_without[0][0]):
        row = f"{rate:<14g}"
        for _, means, _, seconds in with_and_without:
            row += f"{format_score(means[i]):>14}{seconds[i]:>10.2f} s"
        print(row)
    if np.isfinite(search.cv_results_["mean_test_score"]).any():
        best = np.nanargmax(search.cv_results_["mean_test_score"])
        params = search.cv_results_["params"][best]
        print(
            f"\nbest: {score} {format_score(search.cv_results_['mean_test_score'][best])}"
            f" at learning rate {params['mlp__learning_rate_init']:g}"
            f" {BATCH_NORM[params['mlp__batch_norm']]}"
        )


def format_score(score):
    if not np.isfinite(score):
        return "diverged"
    return f"{score:.4f}" if abs(score) < 1000 else f"{score:.2e}"


def draw_figure(search, score, name, file):
    """Draw the score over the learning rate and write it to a file."""
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for batch_norm, label in BATCH_NORM.items():
        rates, means, deviations, _ = results_of(search, batch_norm)
        (line,) = axes.plot(rates, means, marker="o", label=label)
        axes.fill_between(
            rates, means - deviations, means + deviations, alpha=0.2, color=line.get_color()
        )
        if (lost := rates[~np.isfinite(means)]).size:
            axes.plot(lost, 0 * lost, "x", color=line.get_color(), label=f"{label}: diverged")
    n_folds = search.cv.get_n_splits()
    axes.set_xscale("log")
    axes.set_ylim(-0.05, 1.05)  # R2 may be any number below 0
    axes.set_xlabel("learning rate of SGD (dimensionless)")
    axes.set_ylabel(f"test {score} ({UNIT[score]})\nmean ± standard deviation over {n_folds} folds")
    axes.set_title(Path(name).name)
    axes.legend()
    axes.grid(alpha=0.3)
    try:
        figure.savefig(file, dpi=150)
    except OSError as error:
        raise BadInput(f"cannot write {file}: {error.strerror or error}") from error


# The data ----------------------------------------------------------------------------------


def load_data(arguments):
    """Features, target and task: of the digits, or of the CSV file that was named."""
    if arguments.folds < 2:
        raise BadInput(f"--folds must be 2 or more, got {arguments.folds}")
    if arguments.max_iter < 1:
        raise BadInput(f"--max-iter must be 1 or more, got {arguments.max_iter}")
    if not all(0 < rate < np.inf for rate in arguments.learning_rates):
        raise BadInput("--learning-rates must be positive numbers")
    if arguments.csv is None:
        if arguments.target is not None or arguments.task is not None:
            raise BadInput("--target and --task are for a CSV file, and none was named")
        X, y = load_digits(return_X_y=True)
        task = "classification"
    else:
        X, y, task = load_csv(arguments.csv, arguments.target, arguments.task)
    check_folds(y, task, arguments.folds)
    return X, y, task


def load_csv(path, target, task=None):
    """Features, target and task of a CSV file, or what is wrong with it."""
    import pandas as pd

    if target is None:
        raise BadInput("name the column to predict: --target NAME")
    try:
        with warnings.catch_warnings():
            # Rows longer than the header would be cut, or shift the columns.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            table = pd.read_csv(path, low_memory=False, index_col=False)
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror or error}") from error
    except pd.errors.ParserWarning as error:
        raise BadInput(f"cannot read {path}: rows have more fields than the header") from error
    except ValueError as error:  # empty, not text, rows of different lengths
        raise BadInput(f"cannot read {path}: {last_line(error)}") from error
    if target not in table.columns:
        names = ", ".join(str(name) for name in table.columns[:10])
        more = ", ..." if len(table.columns) > 10 else ""
        raise BadInput(f"{path} has no column {target!r}; it has {names}{more}")
    if len(table) == 0:
        raise BadInput(f"{path} has a header and no rows")
    y = table.pop(target)
    if table.shape[1] == 0:
        raise BadInput(f"{path} has no column beside the target {target!r}")
    for name in table.columns:
        if not pd.api.types.is_numeric_dtype(table[name]):
            raise BadInput(f"column {name!r} is not numeric; encode it or leave it out")
        if table[name].isna().any():
            raise BadInput(f"column {name!r} has {table[name].isna().sum()} missing value(s)")
        if not np.isfinite(table[name]).all():
            raise BadInput(f"column {name!r} has infinite values")
    if y.isna().any():
        raise BadInput(f"the target {target!r} has {y.isna().sum()} missing value(s)")
    is_numeric = pd.api.types.is_numeric_dtype(y)
    is_float = pd.api.types.is_float_dtype(y)
    if is_float and not np.isfinite(y).all():
        raise BadInput(f"the target {target!r} has infinite values")
    has_fractions = is_float and (y % 1 != 0).any()
    if task is None:
        many = is_float and y.nunique() > 20
        task = "regression" if has_fractions or many else "classification"
    if task == "regression" and not is_numeric:
        raise BadInput(f"the target {target!r} is not numeric, which a regression needs")
    if task == "classification" and has_fractions:
        raise BadInput(f"the target {target!r} has fractions, which are no classes")
    if task == "regression":
        y = y.astype(float)
    elif not is_numeric:
        y = y.astype(str)
    return table.to_numpy(dtype=float), y.to_numpy(), task


def check_folds(y, task, folds):
    """Refuse a target that cannot be split into so many folds."""
    values, counts = np.unique(y, return_counts=True)
    if len(values) < 2:
        raise BadInput(f"the target has one value only, {values[0]!s}")
    if task == "regression" and len(y) < 2 * folds:
        raise BadInput(f"{len(y)} rows are too few for {folds} folds of 2 rows")
    if task == "classification" and counts.min() < folds:
        rarest = values[counts.argmin()]
        hint = "" if y.dtype.kind in "OUSb" else ", or is this a --task regression?"
        raise BadInput(
            f"class {rarest!s} has {counts.min()} row(s), too few for {folds} folds{hint}"
        )


def checked_figure(file):
    """The figure's full name; finds out before the search that it cannot be written."""
    path = Path(file)
    if not path.parent.is_dir():
        raise BadInput(f"cannot write {file}: there is no directory {path.parent}")
    if path.is_dir():
        raise BadInput(f"cannot write {file}: it is a directory")
    if not path.suffix:
        path = path.with_name(path.name + ".png")
    formats = Figure().canvas.get_supported_filetypes()
    if path.suffix and path.suffix[1:].lower() not in formats:
        raise BadInput(f"cannot write {file}: the formats are {', '.join(sorted(formats))}")
    return str(path)


def last_line(error):
    return (str(error).strip() or type(error).__name__).splitlines()[-1]


if __name__ == "__main__":
    main()

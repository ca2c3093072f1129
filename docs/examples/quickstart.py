"""
==================================================
Quickstart: a first look, on digits or on your CSV
==================================================

Batch normalization makes the learning rate matter less. Run the script on scikit-learn's digits,
or on a CSV file with a header::

    python docs/examples/quickstart.py
    python docs/examples/quickstart.py houses.csv --target price

The script cross-validates one network with and without batch normalization, at learning rates
that span several decades. A table on the terminal and a figure show the scores. Then it
cross-validates the estimator with its default parameters beside two simple models. Up to 10,000
rows the comparison has the default ensemble too. The script says which model is best, and prints
the code that fits the estimator.

A CSV file needs a second script in the same directory,
:download:`csv_tables.py </examples/csv_tables.py>`. This script reads the file, fills gaps, encodes
categories, and names the columns that it leaves out. A target of fractions, or of more than 20
different floats, makes it a regression. Any other target holds classes, which may be strings.
"""

import argparse
import pprint
import textwrap
import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from matplotlib.figure import Figure
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.exceptions import ConvergenceWarning, FitFailedWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, KFold, StratifiedKFold, cross_validate
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from skbn import (
    BatchNormTransformer,
    MLPEnsembleWithBatchNormClassifier,
    MLPEnsembleWithBatchNormRegressor,
    MLPWithBatchNormClassifier,
    MLPWithBatchNormRegressor,
    SensitivityDisplay,
)

LEARNING_RATES = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0]
BATCH_NORM = {None: "without batch norm", "before": "with batch norm"}
SCORE = {"classification": "accuracy", "regression": "R2"}
UNIT = {"accuracy": "fraction of the rows", "R2": "fraction of the variance"}
MANY_ROWS = 50_000
ENSEMBLE_ROWS = 10_000  # an ensemble of more rows takes a while


class BadInput(Exception):
    """What is wrong with the input, in one line."""


def main(argv=None):
    """Run the search; ``argv`` are the arguments of the command line."""
    parser = argument_parser()
    arguments = parser.parse_args(argv)
    try:
        check_arguments(arguments)
        figure = checked_figure(arguments.figure)
        table = read_table(arguments)
        name = arguments.csv or "digits"
        describe(name, table)
        if arguments.jobs is None:  # processes take seconds to start, which few rows are not worth
            arguments.jobs = 1 if len(table.y) < 10_000 else 2
        folds = make_folds(table.task, arguments.folds)
        search = search_learning_rates(table, folds, arguments)
        print_search(search, SCORE[table.task])
        draw_figure(search, SCORE[table.task], name, figure)
        scores = compare_defaults(table, folds, arguments.jobs)
        print_verdict(scores, search)
    except BadInput as error:
        parser.exit(2, f"{parser.prog}: error: {error}\n")
    print_code(table, arguments)
    print(f"\nfigure written to {figure}")


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
        "--drop", metavar="NAME", nargs="+", default=[], help="columns to leave out"
    )
    parser.add_argument(
        "--rows", metavar="N", type=int, help="use a random sample of N rows (default: all)"
    )
    parser.add_argument(
        "--figure", metavar="FILE", default="quickstart.png", help="default: %(default)s"
    )
    parser.add_argument(
        "--learning-rates", metavar="RATE", type=float, nargs="+", default=LEARNING_RATES
    )
    parser.add_argument("--folds", type=int, default=3, help="default: %(default)s")
    parser.add_argument("--max-iter", type=int, default=20, help="epochs, default: %(default)s")
    parser.add_argument("--jobs", type=int, help="processes (default: 1, or 2 for 10000 rows)")
    return parser


# The data ----------------------------------------------------------------------------------


def read_table(arguments):
    """The digits or the CSV file, without classes that are too rare for the folds."""
    if arguments.csv is None:
        X, y = load_digits(return_X_y=True)
        return SimpleNamespace(
            X=X, y=y, task="classification", columns="passthrough", notes=[], steps=[]
        )
    try:
        import csv_tables
    except ModuleNotFoundError as error:
        raise BadInput(
            "a CSV file needs csv_tables.py in the same directory as quickstart.py;"
            " the page of the quickstart has a link to it"
        ) from error
    try:
        table = csv_tables.load_table(
            arguments.csv, arguments.target, arguments.task, arguments.drop, arguments.rows
        )
    except csv_tables.BadInput as error:
        raise BadInput(str(error)) from error
    values, counts = np.unique(table.y, return_counts=True)
    if len(values) < 2:
        raise BadInput(f"the target has one value only, {values[0]!s}")
    if table.task == "regression" and len(table.y) < 2 * arguments.folds:
        raise BadInput(f"{len(table.y)} rows are too few for {arguments.folds} folds of 2 rows")
    if table.task == "classification" and counts.min() < arguments.folds:
        leave_out_rare_classes(table, values, counts, arguments.folds)
        name = arguments.target
        table.steps.append(
            f"table = table[table.groupby({name!r})[{name!r}].transform('size')"
            f" >= {arguments.folds}]"
        )
    return table


def leave_out_rare_classes(table, values, counts, folds):
    """Keep the classes that have a row for every fold."""
    from csv_tables import shortened

    common = counts >= folds
    is_number = table.y.dtype.kind in "iuf"
    if common.sum() < 2 or counts[common].sum() < 0.5 * len(table.y):
        hint = "; is this a --task regression?" if is_number else ""
        raise BadInput(
            f"{(~common).sum()} of {len(values)} classes have fewer rows than there are folds,"
            f" {folds}{hint}"
        )
    kept = np.isin(table.y, values[common])
    table.notes.append(
        f"left out: {(~kept).sum()} row(s) of the classes {shortened(values[~common], 6)},"
        f" which have fewer rows than there are folds, {folds}"
    )
    table.X, table.y = table.X[kept], table.y[kept]


def describe(name, table):
    """Print the size of the table, and the columns and rows that are left out."""
    n_classes = len(np.unique(table.y))
    target = "a number" if table.task == "regression" else f"{n_classes} classes"
    print(f"{name}: {table.X.shape[0]} rows, {table.X.shape[1]} features, the target is {target}")
    for note in table.notes:
        print(f"  {note}")
    if table.task == "classification" and table.y.dtype.kind in "iuf" and n_classes > 20:
        print("  hint: --task regression takes the whole numbers of the target as a quantity")
    if len(table.y) > MANY_ROWS:
        print("  hint: so many rows take a while; --rows 20000 looks at a random sample")


# The search --------------------------------------------------------------------------------


def make_folds(task, n_folds):
    kind = StratifiedKFold if task == "classification" else KFold
    return kind(n_folds, shuffle=True, random_state=0)


def search_learning_rates(table, folds, arguments):
    """Cross-validate every learning rate, with and without batch normalization."""
    estimator = {
        "classification": MLPWithBatchNormClassifier,
        "regression": MLPWithBatchNormRegressor,
    }[table.task]
    pipeline = Pipeline(
        [
            ("columns", table.columns),
            ("normalize", BatchNormTransformer()),
            (
                "mlp",
                estimator(
                    hidden_layer_sizes=(64, 64, 64),
                    solver="sgd",
                    batch_size=min(64, len(table.y) // 2),
                    n_epochs=arguments.max_iter,
                    random_state=0,
                ),
            ),
        ]
    )
    search = GridSearchCV(
        pipeline,
        {
            "mlp__batch_norm": list(BATCH_NORM),
            "mlp__learning_rate_init": sorted(set(arguments.learning_rates)),
        },
        cv=folds,
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
            search.fit(table.X, table.y)
        except ValueError as error:
            raise BadInput(f"no fit succeeded: {last_line(error)}") from error
    return search


def last_line(error):
    return (str(error).strip() or type(error).__name__).splitlines()[-1]


def show_progress(search):
    """Add a progress bar, which needs scikit-learn 1.9 or later and rich."""
    try:
        from sklearn.callback import ProgressBar

        search.set_callbacks(ProgressBar(max_propagation_depth=0))
    except ImportError:
        pass


def results_of(search, batch_norm):
    """Learning rates, means and deviations of the score, and fit times, as four arrays."""
    results = search.cv_results_
    chosen = [p["mlp__batch_norm"] == batch_norm for p in results["params"]]
    rates = np.array([p["mlp__learning_rate_init"] for p in results["params"]])
    columns = ("mean_test_score", "std_test_score", "mean_fit_time")
    return [rates[chosen], *(results[column][chosen] for column in columns)]


def print_search(search, score):
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


# The figure --------------------------------------------------------------------------------


def draw_figure(search, score, name, file):
    """Draw the score over the learning rate and write it to a file."""
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    SensitivityDisplay.from_search(
        search, param_name="mlp__learning_rate_init", group_by="mlp__batch_norm", ax=axes
    )
    n_folds = search.cv.get_n_splits()
    axes.set(
        title=Path(name).name,
        xlabel="learning rate (SGD)",
        ylabel=f"test {score} ({UNIT[score]})\nmean ± standard deviation over {n_folds} folds",
        xscale="log",
    )
    low, high = axes.get_ylim()
    axes.set_ylim(max(low, -0.05), min(high, 1.05))  # R2 may be any number below 0
    axes.grid(alpha=0.3)
    try:
        figure.savefig(file, dpi=100)
    except OSError as error:
        raise BadInput(f"cannot write {file}: {error.strerror or error}") from error


# The estimator with its defaults ------------------------------------------------------------


def compare_defaults(table, folds, jobs):
    """Cross-validate the default estimator beside two simple models; the scores by fold."""
    if table.task == "classification":
        models = {
            "the most frequent class": DummyClassifier(),
            "logistic regression": make_pipeline(
                StandardScaler(), LogisticRegression(max_iter=1000)
            ),
            "MLPWithBatchNormClassifier()": MLPWithBatchNormClassifier(random_state=0),
            "MLPEnsembleWithBatchNormClassifier()": MLPEnsembleWithBatchNormClassifier(
                random_state=0
            ),
        }
    else:
        models = {
            "the mean": DummyRegressor(),
            "ridge regression": make_pipeline(StandardScaler(), Ridge()),
            "MLPWithBatchNormRegressor()": MLPWithBatchNormRegressor(random_state=0),
            "MLPEnsembleWithBatchNormRegressor()": MLPEnsembleWithBatchNormRegressor(
                random_state=0
            ),
        }
    if len(table.y) > ENSEMBLE_ROWS:
        models.popitem()
    print(f"\n{'model':36}{SCORE[table.task]:>14}{'fit time':>12}")
    scores = {}
    for title, model in models.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            warnings.simplefilter("ignore", FitFailedWarning)
            try:
                result = cross_validate(
                    Pipeline([("columns", table.columns), ("model", model)]),
                    table.X,
                    table.y,
                    cv=folds,
                    n_jobs=jobs,
                )
            except ValueError as error:
                raise BadInput(f"{title} cannot be fitted: {last_line(error)}") from error
        scores[title] = result["test_score"]
        score = format_score(result["test_score"].mean())
        print(f"{title:36}{score:>14}{result['fit_time'].mean():>10.2f} s")
    return scores


# The verdict --------------------------------------------------------------------------------


def print_verdict(scores, search):
    """Say which model is best, and what to try where a simple model is as good as the network."""
    means = {title: np.nan_to_num(np.mean(values), nan=-np.inf) for title, values in scores.items()}
    simple = max(list(means)[:2], key=means.get)
    network = list(means)[2]
    ensemble = network.replace("MLP", "MLPEnsemble")
    best = max(means, key=means.get)
    verdict = f"The best of these models is {best}."
    lead, error = lead_of(scores[network], scores[simple])
    as_good = not lead > error
    if as_good:
        relation = "better than" if lead < -error else "as good as"
        verdict += f" {simple[0].upper()}{simple[1:]} is {relation} {network}"
        if np.isfinite(lead):
            verdict += f" (difference {-lead:.4f}, standard error {error:.4f})"
        verdict += "."
    print("\n" + textwrap.fill(verdict, 100))
    if as_good:
        tries = {
            simple: "the simple model",
            ensemble: "three networks, three times the time",
            f"{network[:-1]}n_epochs=5)": "or 10: fewer epochs, against overfitting",
            f"{network[:-1]}dropout=0.3)": "against overfitting too",
        }
        if means.get(ensemble, np.inf) <= means[simple]:
            del tries[ensemble]
        print("What to try:")
        for title, why in tries.items():
            print(f"  {title:42}{why}")
        print("  the pages 'Choosing an estimator' and 'Choosing parameters' of the user guide")
    print_best_row(search, scores[best])


def lead_of(model, other):
    """Mean and standard error of the differences of two models' scores on the same folds."""
    differences = model - other
    return differences.mean(), differences.std(ddof=1) / np.sqrt(len(differences))


def print_best_row(search, scores):
    """Print the network of the first table, if it is better than a model with these scores."""
    results = search.cv_results_
    means = results["mean_test_score"]
    if not np.isfinite(means).any():
        return
    row = np.nanargmax(means)
    lead, error = lead_of(
        np.array([results[f"split{k}_test_score"][row] for k in range(len(scores))]), scores
    )
    if not lead > error:
        return
    network = clone(search.estimator).set_params(**results["params"][row]).named_steps["mlp"]
    print(
        f"The first table has a higher score, {format_score(means[row])}, the best of"
        f" {len(means)}, so expect a little less. Its model:"
    )
    code = f"make_pipeline(BatchNormTransformer(), {' '.join(repr(network).split())})"
    code = textwrap.fill(code, 90, break_on_hyphens=False, subsequent_indent="  ")
    print(textwrap.indent(code, "  "))


# The code -----------------------------------------------------------------------------------


def print_code(table, arguments):
    """Print the code that fits the default estimator to all rows."""
    name = {
        "classification": "MLPWithBatchNormClassifier",
        "regression": "MLPWithBatchNormRegressor",
    }[table.task]
    print("\nTo fit the estimator to all rows:\n")
    if arguments.csv is None:
        print("from sklearn.datasets import load_digits")
        print(f"from skbn import {name}\n")
        print("X, y = load_digits(return_X_y=True)")
        print(f"model = {name}().fit(X, y)")
        return
    (_, _, numbers), (_, _, categories) = table.columns.transformers
    options = ", ".join(f"{key}={value!r}" for key, value in table.options.items())
    lines = [
        "import pandas as pd",
        "from sklearn.compose import make_column_transformer",
        "from sklearn.impute import SimpleImputer" if numbers else None,
        "from sklearn.pipeline import make_pipeline",
        "from sklearn.preprocessing import OneHotEncoder" if categories else None,
        f"from skbn import {name}",
        "",
        "table = pd.read_csv(",
        f"    {arguments.csv!r},",
        textwrap.indent(textwrap.fill(options, 90, break_on_hyphens=False), "    ") + ",",
        ")",
        *table.steps,
        assigned("numbers", numbers) if numbers else None,
        assigned("categories", categories) if categories else None,
        *table.number_steps,
        "columns = make_column_transformer(",
        *(IMPUTER if numbers else ()),
        *(ENCODER if categories else ()),
        ")",
        f"model = make_pipeline(columns, {name}())",
        f"model.fit(table, table[{arguments.target!r}])",
    ]
    print("\n".join(line for line in lines if line is not None))


IMPUTER = [
    "    (SimpleImputer(strategy='median', add_indicator=True, keep_empty_features=True), numbers),"
]
ENCODER = [
    "    (OneHotEncoder(handle_unknown='infrequent_if_exist', min_frequency=5,",
    "                   max_categories=50, sparse_output=False), categories),",
]


def assigned(variable, names):
    """The code that assigns a list, in lines of less than 100 characters."""
    start = f"{variable} = "
    text = pprint.pformat(names, width=99 - len(start), compact=True)
    return start + text.replace("\n", "\n" + " " * len(start))


# The arguments ------------------------------------------------------------------------------


def check_arguments(arguments):
    """Refuse arguments that cannot work, before anything is read."""
    if arguments.folds < 2:
        raise BadInput(f"--folds must be 2 or more, got {arguments.folds}")
    if arguments.max_iter < 1:
        raise BadInput(f"--max-iter must be 1 or more, got {arguments.max_iter}")
    if arguments.rows is not None and arguments.rows < 1:
        raise BadInput(f"--rows must be 1 or more, got {arguments.rows}")
    if not all(0 < rate < np.inf for rate in arguments.learning_rates):
        raise BadInput("--learning-rates must be positive numbers")
    of_csv = {name: getattr(arguments, name) for name in ("target", "task", "drop", "rows")}
    given = [f"--{name}" for name, value in of_csv.items() if value]
    if arguments.csv is None and given:
        raise BadInput(f"name a CSV file with {', '.join(given)}")
    if arguments.csv is not None and arguments.target is None:
        raise BadInput("name the column to predict: --target NAME")


def checked_figure(file):
    """The figure's full name; finds out before the search that it cannot be written."""
    path = Path(file)
    if not path.suffix:
        path = path.with_name(path.name + ".png") if path.name else path
    formats = Figure().canvas.get_supported_filetypes()
    try:
        if Path(file).is_dir():
            raise BadInput(f"cannot write {file}: it is a directory")
        if not path.parent.is_dir():
            raise BadInput(f"cannot write {file}: there is no directory {path.parent}")
        if path.suffix[1:].lower() not in formats:
            raise BadInput(f"cannot write {file}: the formats are {', '.join(sorted(formats))}")
        is_new = not path.exists()
        path.open("ab").close()
        if is_new:
            path.unlink()
    except OSError as error:
        raise BadInput(f"cannot write {file}: {error.strerror or error}") from error
    return str(path)


if __name__ == "__main__":
    main()

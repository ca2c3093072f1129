"""The quickstart does its whole job on a small grid, and refuses bad input in one line."""

import gzip
import importlib.util
import re
import runpy
import subprocess
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "docs" / "examples"
SMALL = ["--learning-rates", "0.01", "0.1", "--folds", "2", "--max-iter", "3", "--jobs", "1"]
NUMBER = r"-?\d+\.\d+(?:e[+-]\d+)?|diverged"
ROW = re.compile(rf"^(0\.01|0\.1) +({NUMBER}) +(\d+\.\d\d) s +({NUMBER}) +(\d+\.\d\d) s$", re.M)


def example(name):
    """An example as a module."""
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


load_table = example("csv_tables").load_table


@pytest.fixture(scope="module")
def quickstart():
    """The module, with the directory of the examples on the path, as in a script."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(EXAMPLES)
        yield example("quickstart")


@pytest.fixture
def write_csv(tmp_path):
    def write(columns, name="table.csv"):
        path = tmp_path / name
        rows = zip(*columns.values(), strict=True)
        lines = [",".join(columns), *(",".join(map(str, row)) for row in rows)]
        path.write_text("\n".join(lines) + "\n")
        return str(path)

    return write


def run(quickstart, capsys, tmp_path, *argv):
    """Run on a small grid; the scores by learning rate, without and with batch norm."""
    figure = tmp_path / "figure.png"
    quickstart.main([*argv, *SMALL, "--figure", str(figure)])
    output = capsys.readouterr()
    assert output.err == ""
    assert f"figure written to {figure}" in output.out
    height, width = imread(figure).shape[:2]
    assert width > 600
    assert height > 400
    rows = ROW.findall(output.out)
    assert [row[0] for row in rows] == ["0.01", "0.1"], output.out
    return output.out, {row[0]: (float(row[1]), float(row[3])) for row in rows}


def mixed(n=60):
    """A column of every kind, and a target that depends on three of them."""
    rng = np.random.RandomState(0)
    size, town = rng.lognormal(size=n), rng.choice(["Aix", "Bonn", "Cork"], n)
    garden = rng.choice([True, False], n)
    days = rng.permutation(n)
    return {
        "Unnamed: 0": range(n),
        "size": [f"{x:.3f}" if i % 7 else "" for i, x in enumerate(size)],
        "town": [name if i % 9 else "?" for i, name in enumerate(town)],
        "garden": garden,
        "customer_id": 1000 + 7 * rng.permutation(n),
        "code": [f"x{i:04d}" for i in rng.permutation(n)],
        "sold": [f"{1 + day % 28:02d}/{1 + day // 28:02d}/2021" for day in days],
        "seen": [f"2021-03-{1 + day % 28:02d} 10:0{day % 10}" for day in days],
        "remark": [f"the house number {i} is very nice" for i in rng.permutation(n)],
        "fee": [f"{1000 + i} EUR" for i in rng.permutation(n)],
        "country": ["IE"] * n,
        "empty": [""] * n,
        "floors": rng.randint(1, 4, n),
        "price": np.round(size * 100 + 50 * (town == "Bonn") + 20 * garden + 0.5, 2),
    }


def numbers(n=60):
    rng = np.random.RandomState(0)
    a, b = rng.normal(size=n), rng.normal(5, 100, size=n)
    return {"a": a, "b": b, "price": a + b / 100}


def test_digits(quickstart, capsys, tmp_path):
    out, scores = run(quickstart, capsys, tmp_path)
    assert "1797 rows, 64 features, the target is 10 classes" in out
    assert all(0 <= score <= 1 for pair in scores.values() for score in pair)
    # Far above chance after three epochs, with and without batch norm.
    assert min(scores["0.1"]) > 0.5
    assert re.search(r"best: accuracy 0\.\d{4} at learning rate 0\.", out)


def test_regression(quickstart, capsys, tmp_path, write_csv):
    path = write_csv(numbers())
    out, scores = run(quickstart, capsys, tmp_path, path, "--target", "price")
    assert "60 rows, 2 features, the target is a number" in out
    assert " R2 " in out
    assert all(score <= 1 for pair in scores.values() for score in pair)


def test_strings_are_classes(quickstart, capsys, tmp_path, write_csv):
    table = numbers()
    table["kind"] = ["low" if price < 0 else "high" for price in table.pop("price")]
    out, _ = run(quickstart, capsys, tmp_path, write_csv(table), "--target", "kind")
    assert "the target is 2 classes" in out
    assert "best: accuracy" in out


@pytest.mark.parametrize(
    ("target", "task", "dtype"),
    [
        ([0, 1, 2] * 20, "classification", "int64"),
        (list(range(60)), "classification", "int64"),
        ([0.0, 1.0, 2.0] * 20, "classification", "float64"),
        ([0.5, 1.0, 2.0] * 20, "regression", "float64"),
        ([float(i) for i in range(60)], "regression", "float64"),
        ([True, False] * 30, "classification", "bool"),
        (["1", "x", "y"] * 20, "classification", "object"),
    ],
)
def test_task_follows_from_the_target(write_csv, target, task, dtype):
    path = write_csv({"a": numbers()["a"], "t": target})
    table = load_table(path, "t")
    assert (table.task, table.y.dtype) == (task, np.dtype(dtype))
    np.testing.assert_array_equal(table.y, target)


def test_task_can_be_told(write_csv):
    path = write_csv({"a": numbers()["a"], "t": range(60)})
    assert load_table(path, "t", "regression").task == "regression"


# The files that people have


def test_every_kind_of_column(quickstart, capsys, tmp_path, write_csv):
    path = write_csv(mixed())
    out, _ = run(quickstart, capsys, tmp_path, path, "--target", "price")
    assert "60 rows, 4 features, the target is a number" in out
    assert "  columns: 3 of numbers, 1 of categories\n" in out
    (line,) = (line for line in out.splitlines() if "left out" in line)
    assert line == (
        "  left out: 'Unnamed: 0' (row numbers); 'customer_id', 'code' (identifiers);"
        " 'sold', 'seen' (dates and times); 'remark' (free text);"
        f" 'fee' (numbers written as '{mixed()['fee'][0]}');"
        " 'country' (one value only); 'empty' (no values)"
    )
    assert "  gaps are filled and marked: size (9), town (7)\n" in out


def test_features_of_mixed_columns(write_csv):
    table = load_table(write_csv(mixed()), "price")
    assert list(table.X.columns) == ["size", "garden", "floors", "town"]
    found = table.columns.fit_transform(table.X, table.y)
    # Three numbers, the mark of a gap in the first one, three towns and a missing town.
    assert found.shape == (60, 3 + 1 + 4)
    source = mixed()
    gap = np.array([text == "" for text in source["size"]])
    sizes = np.array([float(text) for text in source["size"] if text])
    np.testing.assert_array_equal(found[:, 3], gap)
    np.testing.assert_allclose(found[~gap, 0], sizes)
    np.testing.assert_allclose(found[gap, 0], np.median(sizes))
    np.testing.assert_array_equal(found[:, 1], source["garden"])
    for column, town in enumerate(["Aix", "Bonn", "Cork", "?"], start=4):
        np.testing.assert_array_equal(found[:, column], np.array(source["town"]) == town)


def test_nothing_is_learned_from_the_rows_of_other_folds(write_csv):
    source = mixed()
    source["town"][-1] = "only in the last row"
    table = load_table(write_csv(source), "price")
    columns = table.columns.fit(table.X[:40])
    found = columns.transform(table.X[40:])
    size = np.array([float(text) for text in source["size"][:40] if text])
    np.testing.assert_allclose(columns.transformers_[0][1].statistics_[0], np.median(size))
    np.testing.assert_array_equal(found[-1, 4:], 0)  # a town that the training rows do not have


@pytest.mark.parametrize("separator", [";", "\t", "|", ","])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
def test_separators_and_encodings(tmp_path, separator, encoding):
    rows = [["größe, m², netto €" if separator == ";" else "größe €", "Ort", "preis"]]
    rows += [[f"{0.5 + i}", ["Köln", "Łódź" if "utf" in encoding else "Paris"][i % 2], f"{i}.25"]
             for i in np.random.RandomState(0).permutation(30)]  # fmt: skip
    path = tmp_path / "table.csv"
    path.write_bytes("\n".join(map(separator.join, rows)).encode(encoding))
    table = load_table(str(path), "preis")
    assert list(table.X.columns) == rows[0][:2]
    assert table.task == "regression"
    np.testing.assert_array_equal(table.y, [float(row[2]) for row in rows[1:]])
    np.testing.assert_array_equal(table.X["Ort"], [row[1] for row in rows[1:]])
    note = table.notes[0]
    assert ("separator" in note) == (separator != ",")
    assert ("encoding" in note) == (not encoding.startswith("utf-8"))


@pytest.mark.parametrize("separator", [";", "\t"])
def test_decimal_commas(tmp_path, separator):
    rng = np.random.RandomState(0)
    values = rng.normal(size=(40, 2)).round(3)
    lines = [separator.join(f"{x:.3f}".replace(".", ",") for x in row) for row in values]
    path = tmp_path / "table.csv"
    path.write_text("\n".join([f"a{separator}t", *lines]))
    table = load_table(str(path), "t")
    np.testing.assert_allclose(np.c_[table.X["a"], table.y], values)
    assert "decimal comma" in table.notes[0]


def test_compressed_file_with_trailing_separators_and_blanks(tmp_path):
    path = tmp_path / "table.csv.gz"
    rows = [f"{i * i % 17}, low ,{i % 5}.5," for i in range(30)] + ["3, high ,?,"]
    path.write_bytes(gzip.compress(("a, level , t,\n" + "\n".join(rows)).encode()))
    table = load_table(str(path), "t")
    assert list(table.X.columns) == ["a", "level"]
    assert set(table.X["level"]) == {"low"}
    assert "left out: 'Unnamed: 3' (no values)" in table.notes
    assert table.notes[-1] == "1 row(s) without a value of 't' are left out"


def test_words_among_numbers_and_infinite_numbers_are_gaps(write_csv):
    table = numbers()
    table["a"] = ["inf", "-1e300", *table["a"][2:]]
    table["b"] = ["unknown", *table["b"][1:]]
    found = load_table(write_csv(table), "price")
    assert found.X.isna().sum().tolist() == [2, 1]
    assert (
        "counted as gaps among numbers: a (infinite, or above 1e+30), b ('unknown')" in found.notes
    )
    assert np.isfinite(found.columns.fit_transform(found.X)).all()


def test_numbers_beyond_64_bits(write_csv):
    big = 10**25
    table = load_table(write_csv(numbers() | {"a": [i * i % 59 * big for i in range(60)]}), "price")
    np.testing.assert_allclose(table.X["a"], [i * i % 59 * 1e25 for i in range(60)])


def test_more_categories_than_columns_share_one(write_csv):
    rng = np.random.RandomState(0)
    towns = [f"town {i}" for i in np.r_[np.repeat(np.arange(60), 6), rng.randint(60, 90, 60)]]
    path = write_csv({"town": towns, "a": rng.normal(size=420), "t": [0, 1] * 210})
    table = load_table(path, "t")
    assert table.columns.fit_transform(table.X).shape == (420, 1 + 50)


def test_rare_categories_share_a_column(write_csv):
    towns = ["Aix"] * 30 + ["Bonn"] * 22 + ["Cork"] * 4 + ["Dole"] * 4
    table = load_table(write_csv(numbers() | {"a": towns}), "price")
    found = table.columns.fit_transform(table.X)
    np.testing.assert_array_equal(found[:, 1:].sum(axis=0), [30, 22, 8])


def test_whole_numbers_named_as_identifiers_are_categories_when_few(write_csv):
    table = numbers() | {
        "shop_id": [3, 5, 8] * 20,
        "paid": np.arange(60) * 2 % 59,
        "has_key": [True, False] * 30,
    }
    found = load_table(write_csv(table), "price")
    assert set(found.X["shop_id"]) == {"3", "5", "8"}
    assert found.X.dtypes[["paid", "has_key"]].eq(float).all()


def test_limits_between_kinds_of_columns(write_csv):
    words = [f"w{i}" for i in range(60)]
    days = [f"2021-03-{1 + i % 28:02d}" for i in range(60)]
    table = numbers() | {
        "repeated": [*words[:25], *words[:25], *words[:10]],
        "some_days": [*days[:12] * 4, *words[:6] * 2],
        "some_numbers": [*words[:8], *range(52)],
        "four": [f"a word and number{i}" for i in range(60)],
        "three": [f"some words {i}" for i in range(25)] * 2 + ["some words 0"] * 10,
    }
    found = load_table(write_csv(table), "price")
    assert list(found.X.columns) == ["a", "b", "repeated", "some_days", "three"]
    assert "'some_numbers' (identifiers)" in found.notes[1]
    assert "'four' (free text)" in found.notes[1]


@pytest.mark.parametrize("n", [100, 101])
def test_a_hundred_whole_numbers_may_be_classes(quickstart, capsys, write_csv, n):
    path = write_csv({"a": range(3, 3 + 2 * n), "t": [*range(n)] * 2, "b": [0.5] * n + [1.5] * n})
    if n == 100:
        assert load_table(path, "t").task == "classification"
    else:
        refused(quickstart, capsys, [path, "--target", "t"], "has 101 different whole numbers")


def test_commas_in_a_header_do_not_separate(tmp_path):
    path = tmp_path / "commas.csv"
    path.write_text("size, width, height;t\n" + "".join(f"{i * i};{i % 2}\n" for i in range(30)))
    table = load_table(str(path), "t")
    assert list(table.X.columns) == ["size, width, height"]


def test_zeros_are_not_text(quickstart, capsys, tmp_path):
    path = tmp_path / "zeros.csv"
    path.write_bytes(bytes(1000))
    refused(quickstart, capsys, [str(path), "--target", "t"], "it is not text")


def test_dropped_columns(quickstart, capsys, write_csv):
    path = write_csv(numbers() | {"c": ["x", "y"] * 30})
    assert list(load_table(path, "price", drop=["a", "c"]).X.columns) == ["b"]
    refused(quickstart, capsys, [path, "--target", "price", "--drop", "price"], "names the target")
    argv = [path, "--target", "PRISE", "--drop", "a", "q", "z"]
    refused(quickstart, capsys, argv, "no column 'PRISE', 'q', 'z'; did you mean 'price'?")


def test_a_sample_of_the_rows(quickstart, capsys, tmp_path, write_csv):
    table = numbers(90)
    path = write_csv(table)
    argv = [path, "--target", "price", "--rows", "50"]
    out, _ = run(quickstart, capsys, tmp_path, *argv)
    assert "50 rows, 2 features" in out
    assert "  a random sample of 50 of 90 rows\n" in out
    found = load_table(path, "price", rows=50)
    rows = [np.abs(table["price"] - value).argmin() for value in found.y]
    np.testing.assert_allclose(found.y, table["price"][rows])
    assert len(set(rows)) == 50
    assert max(rows) > 60
    np.testing.assert_allclose(found.X["a"], table["a"][rows])
    assert len(load_table(path, "price", rows=91).y) == 90


def test_many_rows_bring_a_hint(quickstart, capsys, tmp_path, write_csv, monkeypatch):
    path = write_csv(numbers())
    assert "--rows" not in run(quickstart, capsys, tmp_path, path, "--target", "price")[0]
    monkeypatch.setattr(quickstart, "MANY_ROWS", 59)
    assert "hint: so many rows" in run(quickstart, capsys, tmp_path, path, "--target", "price")[0]


def test_rare_classes_and_gaps_in_the_target(quickstart, capsys, tmp_path, write_csv):
    kinds = ["p", "q"] * 27 + ["rare", "", "?", "rarer", "two", "two"]
    path = write_csv(numbers() | {"price": kinds})
    out, _ = run(quickstart, capsys, tmp_path, path, "--target", "price")
    assert "56 rows, 2 features, the target is 3 classes" in out
    assert "  2 row(s) without a value of 'price' are left out\n" in out
    assert "  left out: 2 row(s) of the classes rare, rarer, which have fewer rows" in out


def test_truth_values_with_gaps_are_two_classes(write_csv):
    kinds = [True, False] * 29 + ["", ""]
    table = load_table(write_csv(numbers() | {"price": kinds}), "price")
    assert set(table.y) == {"True", "False"}
    assert len(table.y) == 58


def test_defaults_beside_simple_models(quickstart, capsys, tmp_path, write_csv):
    path = write_csv(numbers(200))
    out, _ = run(quickstart, capsys, tmp_path, path, "--target", "price")
    scores = dict(re.findall(rf"^(the mean|ridge.*?|MLP\w+\(\)) +({NUMBER}) +\d", out, re.M))
    assert float(scores["the mean"]) < 0.05
    assert float(scores["ridge regression"]) > 0.99  # the target is linear
    assert float(scores["MLPWithBatchNormRegressor()"]) > 0.8


def printed_code(out):
    return out.split("To fit the estimator to all rows:\n")[1].split("figure written")[0]


def test_the_code_for_the_digits_runs(quickstart, capsys, tmp_path):
    out, _ = run(quickstart, capsys, tmp_path)
    names = {}
    exec(printed_code(out), names)
    assert len(names["model"].classes_) == 10


def to_csv(**options):
    return lambda frame, path: frame.to_csv(path, **{"index": False} | options)


def with_columns(**columns):
    return lambda frame, path: frame.assign(**columns).to_csv(path, index=False)


def with_blanks_around_names(frame, path):
    frame.columns = [f" {name} " for name in frame.columns]
    frame.to_csv(path, index=False)


FILES = {
    "plain": to_csv(),
    "blanks around names": with_blanks_around_names,
    "semicolons, decimal commas": to_csv(sep=";", decimal=","),
    "tabs, decimal commas, UTF-16": to_csv(sep="\t", decimal=",", encoding="utf-16"),
    "bars, Windows": to_csv(sep="|", encoding="cp1252"),
    "row numbers": to_csv(index=True),
    "words among numbers": with_columns(measured=[*range(100, 177), "none", 1e35, np.nan]),
    "numbers beyond 64 bits": with_columns(a=[i * i % 79 * 10**25 for i in range(80)]),
    "infinite numbers": with_columns(a=[np.inf, -np.inf, *range(3, 159, 2)]),
    "truth values with gaps": with_columns(a=[True, False, None, False] * 20),
    "blanks around categories": with_columns(town=["Aix", "Aix ", "Bonn", " Bonn", "  "] * 16),
    "numbers that name": with_columns(shop_id=[3, 5, 10, None] * 20),
    "gaps in the target": with_columns(price=[0.5, 1.5, 2.5, None] * 20),
    "infinite target": with_columns(price=[0.5, 1.5, 2.5, np.inf] * 20),
    "classes": with_columns(price=["low", "high"] * 40),
    "classes with blanks and gaps": with_columns(price=["low", "low ", "high", None] * 20),
    "rare classes": with_columns(price=["low", "high"] * 38 + ["rare", "rarer", "two", "two"]),
    "whole numbers with gaps": with_columns(price=[0, 1, 2, None] * 20),
    "truth values with gaps in the target": with_columns(price=[True, False, None, False] * 20),
}


@pytest.mark.parametrize("kind", FILES)
def test_the_printed_code_reads_the_same_table(quickstart, capsys, tmp_path, monkeypatch, kind):
    frame = pd.DataFrame(mixed(80)).rename(columns={"code": "größe 'x'"})
    path = tmp_path / "table.csv"
    FILES[kind](frame, path)
    argv = [str(path), "--target", "price", "--drop", "größe 'x'"]
    compared = []
    compare = quickstart.compare_defaults
    monkeypatch.setattr(
        quickstart, "compare_defaults", lambda *given: compared.append(given) or compare(*given)
    )
    out, _ = run(quickstart, capsys, tmp_path, *argv)
    ((table, _, _),) = compared
    code = printed_code(out)
    assert len(code.strip().splitlines()) <= 28
    assert max(len(line) for line in code.splitlines() if str(tmp_path) not in line) < 100
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    script = code + (
        "\nimport numpy as np\n"
        "model.predict(table.drop(columns='price'))\n"
        "np.savez('found', X=columns.fit_transform(table), y=table['price'])\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, timeout=300
    )
    assert (done.returncode, done.stderr) == (0, "")
    with np.load("found.npz", allow_pickle=True) as file:
        found = dict(file)
    np.testing.assert_array_equal(found["y"], table.y)
    # Categories that are numbers have another order than the same numbers as strings.
    expected = table.columns.fit_transform(table.X)
    if kind == "numbers that name":
        found["X"], expected = (sorted(X.T.tolist()) for X in (found["X"], expected))
    np.testing.assert_array_equal(found["X"], expected)


def test_the_printed_code_of_one_kind_of_columns(quickstart, capsys, tmp_path, write_csv):
    towns = {"town": ["Aix", "Bonn"] * 30, "price": numbers()["price"]}
    truths = {"garden": [True, False] * 30, "price": numbers()["price"]}
    for columns, absent in [(towns, "numbers"), (truths, "categories")]:
        path = write_csv(columns)
        out, _ = run(quickstart, capsys, tmp_path, path, "--target", "price")
        code = printed_code(out)
        assert absent not in code
        names = {}
        exec(code, names)
        assert names["model"].predict(names["table"]).shape == (60,)


NETWORK = "MLPWithBatchNormClassifier()"
ENSEMBLE = "MLPEnsembleWithBatchNormClassifier()"
GUIDE = "'Choosing an estimator' and 'Choosing parameters'"
LOW, MIDDLE, HIGH = [0.70, 0.72, 0.71], [0.80, 0.81, 0.79], [0.90, 0.92, 0.91]
UNSURE = [0.90, 0.78, 0.76]  # ahead of MIDDLE by 0.013, less than the standard error of 0.043


class Search:
    """What the verdict takes of a search: two models and their scores on three folds."""

    def __init__(self, quickstart, scores):
        mlp = quickstart.MLPWithBatchNormClassifier(solver="sgd", n_epochs=3)
        self.estimator = quickstart.Pipeline([("mlp", mlp)])
        self.cv_results_ = {f"split{k}_test_score": np.array([0.1, scores[k]]) for k in range(3)}
        self.cv_results_["mean_test_score"] = np.array([0.1, np.mean(scores)])
        self.cv_results_["params"] = [{"mlp__learning_rate_init": rate} for rate in (0.1, 0.3)]


def verdict(quickstart, capsys, logistic, network, ensemble=None, search=LOW):
    scores = {"the most frequent class": [0.5] * 3, "logistic regression": logistic}
    scores |= {NETWORK: network} | ({} if ensemble is None else {ENSEMBLE: ensemble})
    scores = {name: np.array(values) for name, values in scores.items()}
    quickstart.print_verdict(scores, Search(quickstart, search))
    return " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("scores", "best", "relation"),
    [
        ((MIDDLE, HIGH), NETWORK, None),
        ((MIDDLE, HIGH, [0.95] * 3), ENSEMBLE, None),
        ((MIDDLE, LOW), "logistic regression", "better than"),
        ((MIDDLE, LOW, HIGH), ENSEMBLE, "better than"),
        ((MIDDLE, LOW, LOW), "logistic regression", "better than"),
        ((MIDDLE, UNSURE), NETWORK, "as good as"),
        ((MIDDLE, MIDDLE), "logistic regression", "as good as"),
        ((MIDDLE, [np.nan] * 3), "logistic regression", "as good as"),
    ],
)
def test_the_verdict_follows_from_the_scores(quickstart, capsys, scores, best, relation):
    out = verdict(quickstart, capsys, *scores)
    assert out.startswith(f"The best of these models is {best}.")
    if relation is None:
        assert out == f"The best of these models is {best}."
        return
    assert f"Logistic regression is {relation} {NETWORK}" in out
    tries = out.split("What to try:")[1]
    assert "logistic regression the simple model" in tries
    # The ensemble, unless the table shows that it is no better than the simple model.
    assert (ENSEMBLE in tries) == (len(scores) == 2 or scores[2] is HIGH)
    assert "MLPWithBatchNormClassifier(n_epochs=5) or 10" in tries
    assert "MLPWithBatchNormClassifier(dropout=0.3)" in tries
    assert GUIDE in tries


def test_the_verdict_has_the_difference_and_its_standard_error(quickstart, capsys):
    out = verdict(quickstart, capsys, MIDDLE, [0.70, 0.72, 0.74])
    differences = np.array([0.10, 0.09, 0.05])
    error = np.std(differences, ddof=1) / np.sqrt(3)
    assert f"(difference 0.0800, standard error {error:.4f})" in out


@pytest.mark.parametrize(("search", "is_shown"), [(HIGH, True), (MIDDLE, False), (UNSURE, False)])
def test_a_better_row_of_the_search_is_shown(quickstart, capsys, search, is_shown):
    out = verdict(quickstart, capsys, LOW, MIDDLE, search=search)
    assert ("The first table has a higher score" in out) == is_shown
    if is_shown:
        assert "a higher score, 0.9100, the best of 2" in out
        code = out.split("Its model: ")[1]
        names = dict(vars(quickstart))
        mlp = eval(code, names)[-1]
        assert (mlp.solver, mlp.n_epochs, mlp.learning_rate_init) == ("sgd", 3, 0.3)


def test_the_ensemble_of_many_rows_is_not_compared(quickstart, capsys, tmp_path, monkeypatch):
    row = re.compile(rf"^MLPEnsembleWithBatchNormRegressor\(\) +{NUMBER} +\d", re.M)
    path = tmp_path / "table.csv"
    pd.DataFrame(numbers()).to_csv(path, index=False)
    for limit, is_compared in [(60, True), (59, False)]:
        monkeypatch.setattr(quickstart, "ENSEMBLE_ROWS", limit)
        out, _ = run(quickstart, capsys, tmp_path, str(path), "--target", "price")
        assert bool(row.search(out)) == is_compared
        assert "The best of these models is ridge regression" in out  # the target is linear


def test_the_axis_names_the_learning_rate(quickstart, capsys, tmp_path, monkeypatch):
    figures = []
    monkeypatch.setattr(
        quickstart, "Figure", lambda **kw: figures.append(Figure(**kw)) or figures[-1]
    )
    run(quickstart, capsys, tmp_path)
    assert figures[-1].axes[0].get_xlabel() == "learning rate (SGD)"


def test_only_a_csv_file_needs_the_reader(tmp_path, write_csv):
    copy = tmp_path / "alone" / "quickstart.py"
    copy.parent.mkdir()
    copy.write_bytes((EXAMPLES / "quickstart.py").read_bytes())

    def runs(*argv):
        command = [sys.executable, str(copy), *argv, *SMALL]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
        return done.returncode, done.stderr

    assert runs() == (0, "")
    code, error = runs(write_csv(numbers()), "--target", "price")
    assert code == 2
    assert error.startswith("quickstart.py: error: a CSV file needs csv_tables.py in the same")
    assert error.count("\n") == 1


def test_the_page_has_a_link_to_the_reader(quickstart):
    (target,) = re.findall(r":download:`csv_tables.py <(.*?)>`", quickstart.__doc__)
    assert (ROOT / "docs" / target.lstrip("/")).is_file()


def test_runs_as_a_script_from_another_directory(tmp_path, write_csv):
    path = write_csv(numbers())
    script = ROOT / "docs" / "examples" / "quickstart.py"
    command = [sys.executable, str(script), Path(path).name, "--target", "price", *SMALL]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "quickstart.png").is_file()
    done = subprocess.run(
        [*command, "--drop", "c"], cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)


def test_the_figure_is_checked_before_the_file_is_read(quickstart, capsys, tmp_path):
    argv = ["none.csv", "--target", "t", "--figure", str(tmp_path / "no" / "figure.png")]
    refused(quickstart, capsys, argv, "there is no directory")


def test_the_check_of_the_figure_leaves_files_as_they_are(quickstart, tmp_path):
    old, new = tmp_path / "old.png", tmp_path / "new"
    old.write_bytes(b"old")
    assert quickstart.checked_figure(str(old)) == str(old)
    assert quickstart.checked_figure(str(new)) == f"{new}.png"
    assert old.read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["old.png"]


def test_diverged_fits_are_shown(quickstart, capsys, tmp_path, monkeypatch):
    class Fragile(quickstart.MLPWithBatchNormClassifier):
        def fit(self, X, y):
            if self.learning_rate_init == 0.1 and self.batch_norm is None:
                raise ValueError("the loss is not finite")
            return super().fit(X, y)

    monkeypatch.setattr(quickstart, "MLPWithBatchNormClassifier", Fragile)
    figure = tmp_path / "figure.png"
    quickstart.main([*SMALL, "--figure", str(figure)])
    output = capsys.readouterr()
    assert output.err == ""
    assert re.search(r"^0\.1 +diverged +\d", output.out, re.M)
    assert figure.stat().st_size > 1000


def test_no_fit_succeeds(quickstart, capsys, tmp_path, monkeypatch):
    class Broken(quickstart.MLPWithBatchNormClassifier):
        def fit(self, X, y):
            raise ValueError("the loss is not finite")

    monkeypatch.setattr(quickstart, "MLPWithBatchNormClassifier", Broken)
    refused(quickstart, capsys, [*SMALL, "--figure", str(tmp_path / "f.png")], "is not finite")


def refused(quickstart, capsys, argv, message):
    with pytest.raises(SystemExit) as exit_info:
        quickstart.main(argv)
    assert exit_info.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("quickstart.py: error: ")
    assert error.count("\n") == 1
    assert message in error


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"price": [1] * 60}, "one value only, 1"),
        ({"price": [""] * 60}, "the target 'price' has no values"),
        (
            {"price": ["x"] * 59 + ["rare"]},
            "1 of 2 classes have fewer rows than there are folds, 3",
        ),
        ({"price": range(60)}, "--task regression?"),
        ({"price": ["", *[1.0] * 59]}, "one value only, 1"),
        ({"price": [f"${i}" for i in range(60)]}, "has numbers that are not written plainly: '$0'"),
        (
            {"price": [*["n/k"] * 2, *(f"{i}.5" for i in range(58))]},
            "has numbers that are not written plainly: 'n/k'",
        ),
        (
            {"a": ["x"] * 60, "b": range(60)},
            "has no column that can be used: 'a' (one value only); 'b' (row numbers)",
        ),
    ],
)
def test_bad_columns(quickstart, capsys, write_csv, change, message):
    path = write_csv(numbers() | change)
    refused(quickstart, capsys, [path, "--target", "price"], message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "No columns to parse"),
        ("a,price\n", "has a header and no rows"),
        ("price\n1\n2\n", "no column beside the target"),
        ("a,b\n1,2\n", "no column 'price'; it has a, b"),
        ("7,-2.5\n1,2\n", "no column 'price'; a header is missing: the first line is 7, -2.5"),
        ("a,price\n1,2\n1,2,3,4\n", "Expected 2 fields"),
        ('a,price\n1,"2\n', "EOF inside string"),
        ("a,price\n1,2,3\n4,5,6\n", "rows have more fields than the header"),
        ("a,price\n1,0.5\n2,1.5\n3,2.5\n", "3 rows are too few for 3 folds"),
    ],
)
def test_bad_files(quickstart, capsys, tmp_path, text, message):
    path = tmp_path / "table.csv"
    path.write_text(text)
    refused(quickstart, capsys, [str(path), "--target", "price"], message)


def test_file_that_is_no_text(quickstart, capsys, tmp_path):
    path = tmp_path / "table.csv"
    path.write_bytes(bytes(range(256)))
    refused(quickstart, capsys, [str(path), "--target", "price"], f"cannot read {path}")


def test_missing_file(quickstart, capsys, tmp_path):
    path = str(tmp_path / "none.csv")
    refused(quickstart, capsys, [path, "--target", "price"], "No such file or directory")


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["table.csv"], "name the column to predict"),
        (["--target", "price"], "name a CSV file with --target"),
        (["--task", "regression", "--rows", "9"], "name a CSV file with --task, --rows"),
        (["--rows", "0"], "--rows must be 1 or more"),
        (["--folds", "1"], "--folds must be 2 or more"),
        (["--max-iter", "0"], "--max-iter must be 1 or more"),
        (["--learning-rates", "0"], "--learning-rates must be positive"),
        (["--figure", "nowhere/figure.png"], "there is no directory nowhere"),
        (["--figure", "figure.xyz"], "the formats are"),
        (["--figure", "."], "it is a directory"),
        (["--figure", "x" * 300 + ".png"], "File name too long"),
        (["--figure", f"{__file__}/figure.png"], "there is no directory"),
    ],
)
def test_bad_arguments(quickstart, capsys, argv, message):
    refused(quickstart, capsys, argv, message)


@pytest.mark.parametrize(
    ("target", "task", "message"),
    [
        (["x", "y"] * 30, "regression", "is not numeric"),
        ([0.5, 1.5] * 30, "classification", "has fractions"),
    ],
)
def test_task_that_does_not_fit(quickstart, capsys, write_csv, target, task, message):
    path = write_csv({"a": numbers()["a"], "t": target})
    refused(quickstart, capsys, [path, "--target", "t", "--task", task], message)


def test_whole_numbers_of_hundreds_of_values_need_a_task(quickstart, capsys, write_csv):
    path = write_csv({"a": numbers(120)["a"], "t": range(120)})
    refused(quickstart, capsys, [path, "--target", "t"], "120 different whole numbers; say --task")
    table = load_table(path, "t", "regression")
    np.testing.assert_array_equal(table.y, np.arange(120.0))
    assert load_table(path, "t", "classification").task == "classification"


def outcome(name, monkeypatch):
    """The variables that an example of the gallery leaves behind."""
    monkeypatch.setattr("matplotlib.pyplot.show", lambda: None)
    try:
        return runpy.run_path(str(ROOT / "docs" / "examples" / f"{name}.py"))
    finally:
        plt.close("all")


def test_the_example_of_a_table_learns(monkeypatch, capsys):
    assert (outcome("plot_tables", monkeypatch)["scores"] > 0.95).all()
    assert "R2 of 5 folds" in capsys.readouterr().out


def test_the_example_of_sequences_learns(monkeypatch):
    names = outcome("plot_sequences", monkeypatch)
    assert names["search"].score(names["X_test"], names["y_test"]) > 0.95

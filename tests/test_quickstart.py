"""The quickstart does its whole job on a small grid, and refuses bad input in one line."""

import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

ROOT = Path(__file__).resolve().parents[1]
SMALL = ["--learning-rates", "0.01", "0.1", "--folds", "2", "--max-iter", "3", "--jobs", "1"]
NUMBER = r"-?\d+\.\d+(?:e[+-]\d+)?|diverged"
ROW = re.compile(rf"^(0\.01|0\.1) +({NUMBER}) +(\d+\.\d\d) s +({NUMBER}) +(\d+\.\d\d) s$", re.M)


@pytest.fixture(scope="module")
def quickstart():
    path = ROOT / "docs" / "examples" / "quickstart.py"
    spec = importlib.util.spec_from_file_location("quickstart", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


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
def test_task_follows_from_the_target(quickstart, write_csv, target, task, dtype):
    path = write_csv({"a": range(60), "t": target})
    X, y, found = quickstart.load_csv(path, "t")
    assert (found, y.dtype) == (task, np.dtype(dtype))
    assert X.dtype == np.float64
    np.testing.assert_array_equal(y, target)


def test_task_can_be_told(quickstart, write_csv):
    path = write_csv({"a": range(60), "t": range(60)})
    assert quickstart.load_csv(path, "t", "regression")[2] == "regression"


def test_diverged_fits_are_shown(quickstart, capsys, tmp_path, monkeypatch):
    class Fragile(quickstart.MLPWithBatchNormClassifier):
        def fit(self, X, y):
            if self.learning_rate_init > 0.05 and self.batch_norm is None:
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
        ({"a": ["x"] * 60}, "column 'a' is not numeric"),
        ({"a": ["", *range(59)]}, "column 'a' has 1 missing value"),
        ({"a": ["inf", *range(59)]}, "column 'a' has infinite values"),
        ({"price": ["", *range(59)]}, "the target 'price' has 1 missing value"),
        ({"price": ["inf", *range(59)]}, "the target 'price' has infinite values"),
        ({"price": [1] * 60}, "one value only, 1"),
        ({"price": ["x"] * 59 + ["rare"]}, "class rare has 1 row(s), too few for 5 folds"),
        ({"price": range(60)}, "--task regression?"),
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
        ("a,price\n1,2\n1,2,3,4\n", "Expected 2 fields"),
        ("a,price\n1,2,3\n4,5,6\n", "rows have more fields than the header"),
        ("a,price\n1,0.5\n2,1.5\n3,2.5\n", "3 rows are too few for 5 folds"),
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
        (["--target", "price"], "none was named"),
        (["--task", "regression"], "none was named"),
        (["--folds", "1"], "--folds must be 2 or more"),
        (["--max-iter", "0"], "--max-iter must be 1 or more"),
        (["--learning-rates", "0"], "--learning-rates must be positive"),
        (["--figure", "nowhere/figure.png"], "there is no directory nowhere"),
        (["--figure", "figure.xyz"], "the formats are"),
        (["--figure", "."], "it is a directory"),
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
    path = write_csv({"a": range(60), "t": target})
    refused(quickstart, capsys, [path, "--target", "t", "--task", task], message)


def example(name):
    path = ROOT / "docs" / "examples" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_example_of_a_table_learns(capsys):
    assert (example("tables").main() > 0.95).all()
    assert "R2 of 5 folds" in capsys.readouterr().out


def test_the_example_of_sequences_learns(capsys):
    assert example("sequences").main() > 0.95
    assert "accuracy" in capsys.readouterr().out


def test_sequences_of_the_example_go_there_and_back():
    sequences = example("sequences")
    cases, _ = sequences.waves(20)
    X = sequences.from_aeon(cases)
    assert X.shape == (20, max(case.shape[1] for case in cases), 2)
    for case, row, back in zip(cases, X, sequences.to_aeon(X), strict=True):
        np.testing.assert_array_equal(row[: case.shape[1]], case.T)
        assert np.isnan(row[case.shape[1] :]).all()
        np.testing.assert_array_equal(back, case)
    equal = np.random.default_rng(0).standard_normal((4, 2, 7))
    np.testing.assert_array_equal(sequences.to_aeon(sequences.from_aeon(equal)), equal)
    assert sequences.from_aeon(equal).shape == (4, 7, 2)

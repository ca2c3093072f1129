"""The comparison of scores: data, resuming, ranks. Whose score is best is not looked at."""

import json
import warnings

import numpy as np
import pandas as pd
import pytest

from benchmarks import accuracy, accuracy_report, tables
from benchmarks.models import MODELS, Model
from benchmarks.work import LeftOut


@pytest.fixture
def directory(tmp_path):
    """A table with codes, gaps, and classes in order of their rows."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200, 4)).astype(np.float32)
    X[:, 1] = rng.integers(0, 3, 200)
    X[::7, 2] = np.nan
    y = np.repeat([0, 1], 100)
    np.savez(tmp_path / "sorted.npz", X=X, y=y, task="classification", categorical=[1])
    np.savez(tmp_path / "real.npz", X=X, y=X[:, 0] * 2.0, task="regression")
    return tmp_path


def test_split_is_stratified_numeric_and_the_seed_s(directory):
    table = tables.find(directory, "sorted")
    X_train, X_test, _, y_test = tables.split(table, 0)
    assert X_train.shape == (150, 6)
    assert X_test.shape == (50, 6)
    assert np.isfinite(X_train).all()
    assert np.isfinite(X_test).all()
    assert y_test.mean() == 0.5
    np.testing.assert_array_equal(X_train[:, :3].sum(axis=1), 1.0)
    np.testing.assert_array_equal(tables.split(table, 0)[1], X_test)
    assert not np.array_equal(tables.split(table, 1)[1], X_test)


def test_what_is_filled_in_comes_from_the_training_rows(directory):
    table = tables.find(directory, "real")
    train = tables.split(table, 0)[0]
    values, counts = np.unique(train[:, 2], return_counts=True)
    filled = values[counts.argmax()]
    assert counts.max() > 5
    others = np.delete(train[:, 2], np.flatnonzero(train[:, 2] == filled))
    assert filled == pytest.approx(np.median(others), abs=0.05)


def test_many_rows_are_cut(directory, monkeypatch):
    monkeypatch.setattr(tables, "MOST_TRAINING_ROWS", 40)
    X_train, X_test, _, _ = tables.split(tables.find(directory, "sorted"), 0)
    assert (len(X_train), len(X_test)) == (40, 50)


def test_openml_is_asked_where_there_is_no_file(directory, monkeypatch):
    frame = pd.DataFrame({"number": [1.0, 2.0, np.nan], "kind": pd.Categorical(["a", "b", None])})

    def fetch(name, **options):
        assert name == "remote"
        return frame, pd.Series(pd.Categorical(["yes", "no", "yes"]))

    monkeypatch.setattr(tables, "fetch_openml", fetch)
    table = tables.find(directory, "remote")
    assert table.is_classification
    assert table.categorical == [0]
    np.testing.assert_array_equal(table.y, [1, 0, 1])
    np.testing.assert_array_equal(table.X, [[0, 1], [1, 2], [-1, np.nan]])


def test_a_set_that_is_nowhere_is_left_out(directory, monkeypatch):
    def fetch(name, **options):
        raise OSError("no network")

    monkeypatch.setattr(tables, "fetch_openml", fetch)
    with pytest.raises(LeftOut, match="no network"):
        tables.find(directory, "nowhere")


def run(directory, *arguments):
    options = ["--data", str(directory), "--output", str(directory / "out"), "--splits", "2"]
    return accuracy.main([*options, *arguments])


def test_measures_prints_and_resumes(directory, capsys, monkeypatch):
    arguments = ["--sets", "sorted", "real", "--models", "linear", "HistGradientBoosting"]
    assert run(directory, *arguments) == 0
    lines = (directory / "out" / "accuracy.jsonl").read_text().splitlines()
    assert len(lines) == 8
    assert "linear" in capsys.readouterr().out

    def no_more(*_):
        raise AssertionError("measured again")

    monkeypatch.setattr(accuracy, "measured", no_more)
    assert run(directory, *arguments) == 0
    content = json.loads((directory / "out" / "accuracy.json").read_text())
    assert len(content["results"]) == 8
    assert content["cells"]["real"]["linear"]["score"] == pytest.approx(1.0)
    assert content["cells"]["real"]["linear"]["splits"] == 2


def test_a_failure_is_told_and_tried_again(directory, capsys, monkeypatch):
    def fails(is_classification, seed):
        raise RuntimeError("no such thing")

    monkeypatch.setitem(MODELS, "broken", Model("broken", fails))
    arguments = ["--sets", "real", "--models", "linear", "broken"]
    assert run(directory, *arguments) == 1
    assert "broken on real: RuntimeError: no such thing" in capsys.readouterr().out
    monkeypatch.setitem(MODELS, "broken", Model("broken", MODELS["linear"].build))
    assert run(directory, *arguments) == 0


def test_a_torn_line_is_measured_again(directory):
    arguments = ["--sets", "real", "--models", "linear"]
    assert run(directory, *arguments) == 0
    path = directory / "out" / "accuracy.jsonl"
    whole = path.read_text()
    path.write_text(whole[:-20])
    assert run(directory, *arguments) == 0
    lines = path.read_text().splitlines()
    assert len(lines) == 2
    assert {json.loads(line)["split"] for line in lines} == {0, 1}


@pytest.mark.parametrize("labels", [["a", "b"], [-1, 1], [0.5, 2.5]])
def test_classes_of_any_kind(directory, labels):
    np.savez(
        directory / "labels.npz",
        X=np.arange(80.0).reshape(40, 2),
        y=np.repeat(labels, 20),
        task="classification",
    )
    _, _, y_train, y_test = tables.split(tables.find(directory, "labels"), 0)
    assert set(y_train) == set(y_test) == {0, 1}


def test_a_perfect_score_is_no_error(tmp_path):
    results = [result("easy", 0, model, 1.0) for model in ("a", "b")]
    report = accuracy_report.summarized(results, "a")
    assert report["relative_error"] == {"a": 1.0, "b": 1.0}
    accuracy_report.draw(tmp_path / "figure.png", report, "a")


def test_a_model_that_is_not_installed_is_left_out(capsys, monkeypatch):
    monkeypatch.setitem(MODELS, "absent", Model("absent", None, ("no_such_module",)))
    assert accuracy.chosen(["absent", "linear"]) == ["linear"]
    assert "absent is left out: no_such_module not installed" in capsys.readouterr().out


def test_an_unknown_model_is_refused():
    with pytest.raises(SystemExit, match="no model is called 'x'"):
        accuracy.chosen(["x"])


def result(name, split, model, score):
    return {
        "set": name,
        "split": split,
        "model": model,
        "score": score,
        "fit_seconds": 1.0,
        "predict_seconds": 0.1,
    }


def test_ranks_and_relative_errors(tmp_path):
    results = [
        *(result("one", split, "a", 0.8 + 0.02 * split) for split in range(2)),
        *(result("one", split, "b", 0.9) for split in range(2)),
        *(result("two", split, "a", 0.5) for split in range(2)),
        *(result("two", split, "b", 0.5) for split in range(2)),
        result("one", 0, "only here", 1.0),
    ]
    report = accuracy_report.summarized(results, "a")
    cell = report["cells"]["one"]["a"]
    assert cell["score"] == pytest.approx(0.81)
    assert cell["error"] == pytest.approx(0.01)
    # Rank 2 and 1 on the first set, 1.5 each on the second, where they are equal.
    assert report["rank"] == {"a": 1.75, "b": 1.25}
    assert report["relative_error"] == pytest.approx({"a": 1.0, "b": (0.1 / 0.19) ** 0.5})
    assert "only here" in accuracy_report.text(report)
    accuracy_report.draw(tmp_path / "figure.png", report, "a")
    assert (tmp_path / "figure.png").stat().st_size > 1000


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("is_classification", [True, False])
def test_every_model_is_built(name, is_classification):
    if MODELS[name].missing:
        pytest.skip(f"{name} is not installed")
    with warnings.catch_warnings():
        # What other packages warn of when they are imported.
        warnings.simplefilter("ignore")
        model = MODELS[name].build(is_classification, 0)
    assert callable(model.fit)
    assert callable(model.predict)

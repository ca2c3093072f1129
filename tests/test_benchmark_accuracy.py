"""The comparison of scores: data, resuming, ranks. Whose score is best is not looked at."""

import json
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import brier_score_loss, log_loss

from benchmarks import accuracy, accuracy_report, fits, models, probabilities, tables
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
    assert models.chosen(["absent", "linear"]) == [MODELS["linear"]]
    assert "absent is left out: no_such_module not installed" in capsys.readouterr().out


def test_an_unknown_model_is_refused():
    with pytest.raises(SystemExit, match="no model is called 'x'"):
        models.chosen(["x"])


def result(name, split, model, score, **probabilities):
    return {
        "task": "classification" if probabilities else "regression",
        "set": name,
        "split": split,
        "model": model,
        "score": score,
        "fit_seconds": 1.0,
        "predict_seconds": 0.1,
        **probabilities,
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


def test_ratios_of_tasks_and_of_probabilities():
    def of_classes(split, model, score, loss, excess):
        return result(
            "classes", split, model, score,
            log_loss=loss, brier=loss / 2, prior_log_loss=loss - excess, excess=excess,
            excess_error=0.5,
        )  # fmt: skip

    results = [
        *(of_classes(split, "a", 0.5, 1.0, 0.2) for split in range(2)),
        *(of_classes(split, "b", 0.6, 0.5, -0.1 * split) for split in range(2)),
        *(result("real", split, "a", 0.5) for split in range(2)),
        *(result("real", split, "b", 0.9) for split in range(2)),
    ]
    report = accuracy_report.summarized(results, "a")
    assert report["relative_error"]["b"] == pytest.approx((0.8 * 0.2) ** 0.5)
    assert report["relative_error_classification"]["b"] == pytest.approx(0.8)
    assert report["relative_error_regression"]["b"] == pytest.approx(0.2)
    assert report["relative_log_loss"]["b"] == pytest.approx(0.5)
    assert report["relative_brier"]["b"] == pytest.approx(0.5)
    assert report["relative_fit_seconds"] == {"a": 1.0, "b": 1.0}
    assert report["log_loss_rank"] == {"a": 2.0, "b": 1.0}
    assert report["worse_than_prior"] == [("classes", "a")]
    text = accuracy_report.text(report)
    assert "1.0000 0.0000!" in text
    assert "class prior" in text


def test_one_split_has_the_error_of_its_rows():
    numbers = {"log_loss": 1.0, "brier": 0.5, "prior_log_loss": 0.8, "excess": 0.2}
    for error, flagged in ((0.1, True), (0.3, False)):
        value = accuracy_report.cell([result("a", 0, "m", 0.5, **numbers, excess_error=error)])
        assert accuracy_report.is_worse_than_prior(value) == flagged


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_classes", [2, 5])
def test_probabilities_are_scored_as_by_scikit_learn(dtype, n_classes):
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.full(n_classes, 0.3), 200).astype(dtype)
    p[:2] = np.eye(n_classes)[:2]
    y = rng.integers(0, n_classes, 200)
    y[:2] = 1
    labels = np.arange(n_classes)
    with warnings.catch_warnings():
        # Rows of single precision do not sum to 1 exactly.
        warnings.simplefilter("ignore")
        expected = log_loss(y, p, labels=labels)
    assert probabilities.log_losses(y, p).mean() == pytest.approx(expected, rel=1e-5)
    expected = brier_score_loss(y == 1, p[:, 1], scale_by_half=False) if n_classes == 2 else None
    if n_classes > 2:
        expected = np.square(np.eye(n_classes)[y] - p).sum(axis=1).mean()
    assert probabilities.brier_scores(y, p).mean() == pytest.approx(expected, rel=1e-5)


def test_a_class_without_training_rows_has_probability_0():
    X = np.arange(12.0).reshape(-1, 1)
    y = np.array([0, 2] * 6)
    y_test = np.array([0, 1, 2])
    measured = fits.measured(MODELS["linear"], True, 0, X, X[:3], y, y_test, n_classes=4)
    epsilon = np.finfo(np.float64).eps
    prior = (2 * np.log(2.0) - np.log(epsilon)) / 3
    assert measured["prior_log_loss"] == pytest.approx(prior)
    assert measured["log_loss"] - measured["prior_log_loss"] == pytest.approx(measured["excess"])
    assert 0.0 < measured["brier"] <= 2.0


def test_lines_without_probabilities_are_measured_again(directory):
    arguments = ["--sets", "sorted", "--models", "linear"]
    assert run(directory, *arguments) == 0
    path = directory / "out" / "accuracy.jsonl"
    new = [json.loads(line) for line in path.read_text().splitlines()]
    assert all(line["log_loss"] > 0.0 for line in new)
    old = [{name: line[name] for name in ("set", "split", "model", "score")} for line in new]
    path.write_text("".join(f"{json.dumps(line)}\n" for line in old))
    assert run(directory, *arguments) == 0
    assert len(path.read_text().splitlines()) == 4


def test_variants_of_ours(directory, monkeypatch):
    variants = {"the defaults": {"max_iter": 1}, "other": {"n_epochs": 2}}
    monkeypatch.setattr(models, "ABLATION", variants)
    monkeypatch.setitem(models.ABLATIONS, "network", variants)
    arguments = ["--ablation", "network", "--sets", "sorted", "real"]
    assert run(directory, *arguments) == 0
    content = json.loads((directory / "out" / "ablation-network.json").read_text())
    assert content["relative_error"].keys() == {"the defaults", "other"}
    assert content["reference"] == "the defaults"
    # Another variant under the same name is another.
    models.ABLATION["other"] = {"n_epochs": 1}
    assert run(directory, *arguments) == 0
    lines = (directory / "out" / "accuracy.jsonl").read_text().splitlines()
    assert len(lines) == 8 + 4


def test_parameters_of_an_ensemble_go_where_they_belong():
    parameters = {"periodic_embeddings": (None,), "class_weight": "balanced", "loss": "huber"}
    classifier = models.ensemble_variant("any", parameters).build(True, 3)
    regressor = models.ensemble_variant("any", parameters).build(False, 3)
    for built in (classifier, regressor):
        assert built.periodic_embeddings == (None,)
        assert (built.n_jobs, built.random_state) == (1, 3)
    assert classifier.estimator.class_weight == "balanced"
    assert regressor.estimator.loss == "huber"


def test_a_variant_leaves_out_what_the_other_kind_knows():
    model = models.variant("any", {"class_weight": "balanced", "loss": "huber", "alpha": 0.5})
    classifier, regressor = model.build(True, 3), model.build(False, 3)
    assert (classifier.class_weight, classifier.alpha) == ("balanced", 0.5)
    assert (regressor.loss, regressor.alpha, regressor.random_state) == ("huber", 0.5, 3)
    with pytest.raises(TypeError, match="no_such"):
        models.variant("any", {"no_such": 1}).build(True, 0)


@pytest.mark.parametrize("name", [*models.ABLATION, *models.ENSEMBLE_ABLATION])
@pytest.mark.parametrize("is_classification", [True, False])
def test_every_variant_is_fitted(name, is_classification):
    # So many that 200 are left where a tenth is held out.
    X = np.random.default_rng(0).standard_normal((230, 3))
    model = models.known()[name].build(is_classification, 0)
    member = getattr(model, "estimator", model).set_params(max_iter=2)
    if isinstance(member.n_epochs, int):
        member.set_params(n_epochs=2)
    y = np.arange(230) % 2 if is_classification else X[:, 0]
    model.fit(X, y)


@pytest.mark.parametrize("name", MODELS)
def test_probabilities_can_be_sure(name):
    if MODELS[name].missing or name.startswith("RealMLP"):
        pytest.skip(f"{name} is not installed, or takes long")
    rng = np.random.default_rng(0)
    y = np.arange(600) % 2
    X = 4.0 * y[:, np.newaxis] + rng.standard_normal((600, 2))
    measured = fits.measured(MODELS[name], True, 0, X, X, y, y, n_classes=2)
    # A softmax of probabilities, for one, would be above 0.31 throughout.
    assert measured["log_loss"] < 0.1
    assert measured["score"] > 0.95


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
    assert hasattr(model, "predict_proba") or not is_classification

"""The figures of the pages show the numbers of the pages."""

import csv
import json
import re
import sys

import matplotlib as mpl
import numpy as np
import pytest
from docs_extensions import ROOT, load

RESULTS = ROOT / "docs" / "results"


@pytest.fixture(scope="module")
def figures():
    return load("figures")


def results(name):
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))


def page(name):
    return (ROOT / "docs" / f"{name}.rst").read_text(encoding="utf-8")


def csv_tables(text):
    """The csv-tables of a page, each a list of dicts."""
    for block in re.findall(r"\.\. csv-table::\n((?: {3}.*\n|\n)+)", text):
        lines = [line.strip() for line in block.splitlines() if line.strip()]
        (head,) = (line for line in lines if line.startswith(":header: "))
        rows = [line for line in lines if not line.startswith(":")]
        yield list(csv.DictReader([head.removeprefix(":header: "), *rows]))


def without_error(cell):
    return float(cell.split(" ")[0])


def test_scores_on_tables_are_those_of_the_page():
    text = page("defaults")
    scores, losses = list(csv_tables(text[text.index("Splits 35 to 39") :]))[:2]
    content = results("tables")
    assert [row["model"] for row in scores] == [model["name"] for model in content["models"]]
    for score, loss, model in zip(scores, losses, content["models"], strict=True):
        assert score["model"] == loss["model"] == model["name"]
        assert len(model["score"]) == 9
        assert len(model["log_loss"]) == 5
        for name, value in model["score"].items():
            assert without_error(score[name]) == value
        for name, value in model["log_loss"].items():
            assert without_error(loss[name]) == value
        assert float(score["error"]) == model["relative_error"]
        assert float(loss["log loss"]) == model["relative_log_loss"]
        assert float(loss["Brier score"]) == model["relative_brier_score"]
        assert float(loss["time"]) == model["relative_time"]


def test_diamonds_are_the_means_of_the_dots():
    models = {model["name"]: model for model in results("tables")["models"]}
    reference = models["sklearn"]
    for model in models.values():
        error = [(1 - model["score"][k]) / (1 - reference["score"][k]) for k in reference["score"]]
        loss = [model["log_loss"][k] / reference["log_loss"][k] for k in reference["log_loss"]]
        # The scores of the page have three decimals: an error of 0.02 is known to 2.5 %.
        assert np.exp(np.log(error).mean()) == pytest.approx(model["relative_error"], rel=0.02)
        assert np.exp(np.log(loss).mean()) == pytest.approx(model["relative_log_loss"], rel=0.02)


FRONT_PAGE = {
    "skbn ensemble": "skbn, ensemble of three networks",
    "skbn": "skbn, one network",
    "HistGradientBoosting": "scikit-learn's gradient boosting",
    "skorch": "a network of skorch with ``BatchNorm1d``, standardized inputs and target",
    "sklearn": "scikit-learn's network, standardized inputs and target",
}


def test_the_front_page_has_the_same_scores():
    rows = re.findall(r"   \* - (.*)\n     - (.*)\n     - (.*)\n     - (.*)\n", page("index"))
    assert rows[0] == ("model", "error", "log loss", "seconds")
    models = {model["name"]: model for model in results("tables")["models"]}
    assert [row[0] for row in rows[1:]] == list(FRONT_PAGE.values())
    for name, row in zip(FRONT_PAGE, rows[1:], strict=True):
        model = models[name]
        expected = (model["relative_error"], model["relative_log_loss"], model["seconds"])
        assert tuple(map(float, row[1:])) == expected


def test_learning_rates_are_drawn_as_they_were_measured(figures):
    content = results("learning_rates")
    figure = figures.learning_rates(content)
    (axes,) = figure.axes
    labels = {line.get_label(): line for line in axes.lines}
    for name, (_, _, label) in figures.NETWORKS.items():
        folds = content["accuracy"][name]
        rates, means = labels[label].get_data()
        kept = [rate for rate, scores in zip(content["rates"], folds, strict=True) if scores]
        np.testing.assert_array_equal(rates, kept)
        np.testing.assert_allclose(means, [np.mean(scores) for scores in folds if scores])
    crosses = [line for line in axes.lines if line.get_marker() == "x"]
    diverged = sum(scores is None for folds in content["accuracy"].values() for scores in folds)
    assert sum(len(line.get_xdata()) for line in crosses) == diverged > 0
    assert all((line.get_ydata() < 0).all() for line in crosses)


def test_the_front_page_says_what_the_learning_rates_show():
    accuracy = results("learning_rates")["accuracy"]
    ours = accuracy["MLPWithBatchNormClassifier"]
    plain = accuracy["MLPWithBatchNormClassifier(batch_norm=None)"]
    # Low rates: far ahead. High rates: the plain network has diverged, ours still learns.
    for i in range(2):
        assert np.mean(ours[i]) > np.mean(plain[i]) + 0.2
    first = next(i for i, scores in enumerate(plain) if scores is None)
    assert np.mean(ours[first]) > 0.8
    assert all(scores is None for scores in plain[first:])


def accuracies(text):
    """Of the table whose columns are data sets of sequences: label of a row -> set -> numbers."""
    rows = re.findall(r" {3}\* - ?(.*)\n {5}- ?(.*)\n {5}- ?(.*)\n {5}- ?(.*)\n", text)
    sets = results("recurrent")["sets"]
    first = next(i for i, (_, *cells) in enumerate(rows) if cells == sets)
    return {
        label: {name: re.findall(r"\.\d+", cell) for name, cell in zip(sets, cells, strict=True)}
        for label, *cells in rows[first + 1 :]
    }


LABELS = {
    "skbn": "**our default network**",
    "skbn, batch_norm=None": "**our default network, without batch norm**",
}


def test_accuracies_on_sequences_are_those_of_the_page():
    content = results("recurrent")
    cells = accuracies(page("recurrent"))
    cells.pop("1-NN Euclidean, measured here")  # stands beside the published one
    for name, values in (content["measured"] | content["published"]).items():
        # A published method is named first in its row, or behind the kind of network that it is.
        pattern = re.escape(LABELS[name]) + "$" if name in LABELS else rf"(.* )?{name}(,| \[)"
        (row,) = (cells[label] for label in cells if re.match(pattern, label))
        for data in content["sets"]:
            found = [float(number) for number in row[data]]
            assert found == values.get(data, [])


def test_accuracies_on_sequences_are_drawn(figures):
    content = results("recurrent")
    axes = figures.recurrent(content).axes
    assert [panel.get_title() for panel in axes] == content["sets"]
    for panel in axes:
        grey = [line.get_xdata() for line in panel.lines if line.get_color() == figures.GREY]
        published = [entry.get(panel.get_title(), []) for entry in content["published"].values()]
        np.testing.assert_array_equal(np.concatenate(grey), np.concatenate(published))
        for entry, container in zip(content["measured"].values(), panel.containers, strict=True):
            mean, error = entry[panel.get_title()]
            (segment,) = container.lines[2][0].get_segments()
            np.testing.assert_allclose(segment[:, 0], [mean - error, mean + error])


def test_every_figure_is_written_anew_with_the_same_bytes(figures, tmp_path):
    docs = tmp_path / "docs"
    (docs / "results").mkdir(parents=True)
    for name in figures.FIGURES:
        (docs / "results" / f"{name}.json").write_text(json.dumps(results(name)))
    before = dict(mpl.rcParams)
    files = [docs / "images" / "generated" / f"{name}.svg" for name in figures.FIGURES]
    written = []
    for _ in range(2):
        figures.draw_all(docs)
        written.append([file.read_bytes() for file in files])
    assert written[0] == written[1]
    assert dict(mpl.rcParams) == before
    # Without claims.json nothing else is drawn.
    assert sorted(docs.rglob("*.svg")) == sorted(files)


def test_pages_show_every_figure(figures):
    pages = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "docs").rglob("*.rst"))
    for name in figures.FIGURES:
        assert f"/images/generated/{name}.svg" in pages


def test_figures_of_claims_get_their_numbers_and_the_directory(figures, tmp_path, monkeypatch):
    docs = tmp_path / "docs"
    (docs / "results").mkdir(parents=True)
    (docs / "results" / "claims.json").write_text('{"answer": 42}')
    figures.draw_claims(docs, tmp_path)  # no module yet: nothing to draw
    benchmarks = tmp_path / "benchmarks"
    benchmarks.mkdir()
    (benchmarks / "__init__.py").write_text("")
    (benchmarks / "claims_figures.py").write_text(
        "def draw(results, directory):\n"
        "    (directory / 'claims-x.svg').write_text(str(results['answer']))\n"
    )
    for name in ("benchmarks", "benchmarks.claims_figures"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    path = list(sys.path)
    figures.draw_claims(docs, tmp_path)
    assert (tmp_path / "claims-x.svg").read_text() == "42"
    assert sys.path == path
    for name in ("benchmarks", "benchmarks.claims_figures"):
        sys.modules.pop(name, None)

"""The tables of the page about files larger than memory are the tables that were measured."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from docs_extensions import load

from benchmarks.larger_than_memory import WAYS

DOCS = Path(__file__).resolve().parents[1] / "docs"
MEASURED = json.loads((DOCS / "results" / "larger_than_memory.json").read_text(encoding="utf-8"))
PAGE = (DOCS / "guide" / "larger_than_memory.rst").read_text(encoding="utf-8")


def rows_of_table(first_cell):
    """The cells of the csv-table whose header begins with two cells."""
    block = PAGE[PAGE.index(f':header: "Way", "{first_cell}"') :].split("\n\n")[1]
    return [re.findall(r'"([^"]*)"', line) for line in block.splitlines()]


def test_memory():
    content = MEASURED["memory"]
    assert f"The file has {content['size']} MB, {content['features']} columns" in PAGE
    assert f"more than {content['limit']} MB of private memory" in PAGE
    expected = []
    for row in content["rows"]:
        numbers = [f"{row[name]:.0f}" for name in ("private", "of_file", "seconds", "cpu_seconds")]
        expected.append([row["way"], *([row["error"], "", "", ""] if row["error"] else numbers)])
    assert rows_of_table("memory") == expected
    assert [way for way, *_ in expected] == list(WAYS)


def test_the_limit_is_below_the_file_and_above_the_need():
    content = MEASURED["memory"]
    assert content["size"] > 3 * content["limit"]
    for row in content["rows"]:
        whole = "in memory" in row["way"]
        assert (row["error"] == "MemoryError") == (whole and "no limit" not in row["way"])
        if not whole:
            assert row["private"] < content["limit"]


def test_scores():
    names = list(dict.fromkeys(row["set"] for row in MEASURED["scores"]))
    cells = {(row["set"], row["way"]): row for row in MEASURED["scores"]}
    ways = {way for _, way in cells}
    shown = rows_of_table(names[0])
    assert len(shown) == len(ways)
    for label, *numbers in shown:
        plain = label.replace("`", "")
        (way,) = (
            way
            for way in ways
            if plain in (way, f"{way} on a mapped file, or in memory")
            or plain == way.replace("fit, shuffle=False", "fit with shuffle=False")
            or plain == way.replace("sorted file", "file sorted by target")
        )
        for name, number in zip(names, numbers, strict=True):
            row = cells[name, way]
            assert number == f"{row['score']:.3f} ± {row['error']:.3f}"


def test_the_figure_shows_the_courses():
    figures = load("figures")
    (axes,) = figures.larger_than_memory(MEASURED).axes
    labels = {line.get_label(): line for line in axes.lines}
    rows = {row["way"]: row for row in MEASURED["memory"]["rows"]}
    for way, (_, _, label) in figures.COURSES.items():
        heights = labels[label].get_ydata()
        assert heights.max() == pytest.approx(rows[way]["private"], abs=0.1)
        np.testing.assert_array_equal(heights, [private for _, private, _ in rows[way]["course"]])

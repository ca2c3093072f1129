"""The table of differences between runtimes is the table that was measured."""

import json
import re
from pathlib import Path

DOCS = Path(__file__).resolve().parents[1] / "docs"
MEASURED = json.loads((DOCS / "results" / "runtimes.json").read_text(encoding="utf-8"))
RUNTIMES = "ONNX float32", "ONNX float64", "PyTorch"


def test_the_table_has_the_measured_differences():
    page = (DOCS / "guide" / "onnx.rst").read_text(encoding="utf-8")
    rows = re.findall(r'^   "(\w+)", "(\d[^"]*)", "([^"]*)", "([^"]*)"$', page, re.MULTILINE)
    shown = {
        name: [[float(number) for number in re.findall(r"\d\S*e-\d+", cell)] for cell in cells]
        for name, *cells in rows
    }
    measured = {row["set"]: [[], [], []] for row in MEASURED["rows"]}
    for row in MEASURED["rows"]:
        rounded = float(f"{row['difference']:.1e}")
        measured[row["set"]][RUNTIMES.index(row["runtime"])].append(rounded)
    assert shown == measured
    assert len(shown) == 12


def test_no_difference_is_above_the_bound():
    for row in MEASURED["rows"]:
        assert row["difference"] <= MEASURED["bound"] == 1e-5
        assert row["labels"] == 0

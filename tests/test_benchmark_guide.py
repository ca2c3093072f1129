"""The tables of the user guide: their commands exist, and a small table runs."""

import re
from pathlib import Path

from benchmarks import guide

PAGES = sorted((Path(__file__).parents[1] / "docs" / "guide").glob("*.rst"))


def rows(text):
    """The printed rows: {name: [mean, ...]}."""
    found = {}
    for line in text.splitlines():
        name, *cells = re.split(r"\s{2,}|(?<=\d) (?=-?\d+\.\d+ ±)", line)
        found[name] = [float(cell.split(" ± ")[0]) for cell in cells]
    return found


def test_commands_of_the_pages_are_tables():
    commands = [
        name
        for page in PAGES
        for name in re.findall(r"benchmarks\.guide\s+(\w+)", page.read_text(encoding="utf-8"))
    ]
    assert len(commands) >= 5
    assert set(commands) <= set(guide.TABLES)


def test_a_row_has_means_and_standard_errors(capsys):
    guide.print_row("name", [[1.0, 4.0], [3.0, 4.0]])
    assert capsys.readouterr().out.split() == ["name", "2.000", "±", "1.000", "4.000", "±", "0.000"]


def test_a_normalizer_that_forgets_follows_a_drifting_stream(capsys):
    guide.streams(n_seeds=1, n_batches=80)
    found = rows(capsys.readouterr().out)
    forgets = "behind BatchNormTransformer(momentum=0.1), rate 0.003"
    for drift in ("0.05", "0.20"):
        assert found[f"drift {drift} {forgets}"][1] > 0.85
    assert found["drift 0.20 bn_momentum=0.02"][1] < found[f"drift 0.20 {forgets}"][1] - 0.1


def test_frozen_statistics_bear_batches_of_one_class(capsys):
    guide.frozen(n_seeds=1, n_calls=300)
    found = rows(capsys.readouterr().out)
    for size in (4, 8):
        frozen, running = (
            found[f"batches of {size} one class bn_frozen={choice}"][0] for choice in (True, False)
        )
        assert frozen > running + 0.08

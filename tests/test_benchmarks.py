"""The benchmarks run and count right; how long anything takes is not looked at."""

import ast
import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import rows, timing, versus
from benchmarks.growth import exponent
from benchmarks.networks import LARGE, SMALL
from benchmarks.report import Row, line
from benchmarks.rows.training_step import same_partial_fit
from benchmarks.work import OWN, Check, Goal, Measurement

ROOT = Path(__file__).resolve().parents[1]


class Clock:
    """Time that passes only where a side lets it."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now

    def side(self, seconds, calls):
        """A run that takes these seconds, call by call, the last of them from then on."""
        remaining = list(seconds)

        def run():
            calls.append(seconds)
            self.now += remaining.pop(0) if len(remaining) > 1 else remaining[0]

        return run


def test_names_of_rows_resolve():
    names = rows.names()
    assert len(names) == len(set(names))
    for name in names:
        ((work, (peer,)),) = rows.chosen([name])
        assert f"{work.name}/{peer}" == name


def test_patterns_pick_rows_in_the_order_of_the_table():
    picked = rows.chosen(["step/*/products", "step/*/torch"])
    assert all(peers == ["torch", "products"] for _, peers in picked)
    assert len(picked) == 7
    assert rows.names() == [f"{work.name}/{peer}" for work, ps in rows.chosen(["*"]) for peer in ps]


@pytest.mark.parametrize("training", [*SMALL, LARGE[0]], ids=lambda training: training.name)
def test_estimators_that_are_compared_train_the_same_but_for_batch_norm(training):
    assert same_partial_fit(training, np.float32).holds


def test_unknown_row_is_refused(capsys):
    with pytest.raises(SystemExit):
        versus.main(["--rows", "no/such"])
    assert "no row is called 'no/such'" in capsys.readouterr().err


def test_samples_alternate_and_a_short_run_is_repeated():
    clock, calls = Clock(), []
    long, short = [1.0, 1.0, 1.0, 5.0, 3.0], [0.25]
    runs = {"long": clock.side(long, calls), "short": clock.side(short, calls)}
    samples = timing.alternate(runs, 3, at_least=1.0, clock=clock)
    assert samples == {"long": [1.0, 5.0, 3.0], "short": [0.25] * 3}
    assert timing.medians(samples) == {"long": 3.0, "short": 0.25}
    # Five calls a sample of the short one, the twenty per cent to spare included.
    assert calls[-18:] == ([long] + [short] * 5) * 3


def test_a_long_run_is_not_made_again_before_it_counts():
    clock, calls = Clock(), []
    assert timing.alternate({"long": clock.side([30.0], calls)}, 2, 1.0, clock) == {
        "long": [30.0] * 2
    }
    assert len(calls) == 3


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
def test_exponent_of_a_power_law(power):
    sizes = np.array([1, 2, 8, 64])
    assert exponent(sizes, 3e-5 * sizes**power) == pytest.approx(power)


def test_exponent_is_that_of_least_squares():
    # Logarithms 0, 1, 2 and 0, 2, 1: the slope is their covariance over the first's variance.
    assert exponent(np.exp([0, 1, 2]), np.exp([0, 2, 1])) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("goal", "ratio", "verdict"),
    [
        (Goal("faster", 4), 4.0, "met"),
        (Goal("faster", 4.5), 4.0, "missed"),
        (Goal("within", 0.25), 0.25, "met"),
        (Goal("within", 0.2), 0.25, "missed"),
        (Goal("faster"), 4.0, "-"),
    ],
)
def test_verdict_is_that_of_the_medians_on_the_first_threads(goal, ratio, verdict):
    row = Row("work/peer", "peer", goal, "s")
    row.add(1, [Measurement({OWN: [1.0, 9.0, 2.0], "peer": [8.0, 1.0, 100.0]})])
    row.add(2, [Measurement({OWN: [1.0], "peer": [1.0]})])
    assert row.ratio == ratio
    assert row.spread is None
    assert row.verdict == verdict


@pytest.mark.parametrize(
    ("goal", "ratio", "spread", "verdict"),
    [
        # Ratios of 2, 4 and 4, of all samples together 4; the other way around 1/2, 1/4 and 1/4.
        (Goal("faster", 6.0), 4.0, 2.0, "met"),
        (Goal("faster", 6.5), 4.0, 2.0, "missed"),
        (Goal("within", 0.0), 0.25, 0.25, "met"),
        (Goal("within", 0.125), 0.25, 0.25, "met"),
        (Goal("within", -0.125), 0.25, 0.25, "missed"),
        (Goal("within"), 0.25, 0.25, "-"),
    ],
)
def test_a_goal_may_be_missed_by_the_spread_of_the_passes(goal, ratio, spread, verdict):
    row = Row("work/peer", "peer", goal, "s")
    row.add(1, [Measurement({OWN: [1.0] * 3, "peer": [peer] * 3}) for peer in (2.0, 4.0, 4.0)])
    assert (row.ratio, row.spread) == (ratio, spread)
    assert row.verdict == verdict
    assert f"{ratio:.2f}" in line(row)
    assert f"{spread:.2f}" in line(row)


def test_a_pass_whose_sides_differ_is_not_forgotten():
    row = Row("work/peer", "peer", Goal("faster", 1), "s")
    for difference in (0.0, 1.0, 0.0):
        checks = {"peer": Check("loss", difference, 1e-3)}
        row.add(1, [Measurement({OWN: [1.0], "peer": [2.0]}, checks)])
    assert row.verdict == "not the same"


def test_sides_that_differ_have_no_verdict():
    row = Row("work/peer", "peer", Goal("faster", 1), "s", Check("loss", float("nan"), 1e-3))
    row.add(1, [Measurement({OWN: [1.0], "peer": [2.0]})])
    assert row.verdict == "not the same"


def test_smallest_row_from_end_to_end(tmp_path, capsys):
    name = "step/20-100-2@200/products"
    arguments = ["--rows", name, "--repeats", "1", "--output", str(tmp_path)]
    assert versus.main(arguments) == 0
    assert name in capsys.readouterr().out
    content = json.loads((tmp_path / "versus.json").read_text(encoding="utf-8"))
    (row,) = content["rows"]
    assert row["name"] == name
    assert row["check"][1] <= row["check"][2]
    assert all(len(samples) == 1 for samples in row["threads"]["1"]["samples"].values())
    assert (tmp_path / "versus.png").stat().st_size > 0


def test_no_data_and_no_wheel_leave_rows_out(tmp_path, capsys):
    arguments = ["--rows", "wheel/*", "time-to-score/*", "--output", str(tmp_path)]
    arguments += ["--data", str(tmp_path)]
    assert versus.main(arguments) == 0
    assert "left out: wheel: no --wheel was given" in capsys.readouterr().out
    content = json.loads((tmp_path / "versus.json").read_text(encoding="utf-8"))
    assert content["rows"] == []
    assert len(content["left_out"]) == 5


@pytest.mark.parametrize("path", sorted((ROOT / "benchmarks" / "suite").glob("*.py")), ids=str)
def test_suite_imports_no_other_library(path):
    modules = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            modules.add(node.module.partition(".")[0])
        elif isinstance(node, ast.Import):
            modules |= {alias.name.partition(".")[0] for alias in node.names}
    assert modules <= {"numpy", "scipy", "sklearn", "skbn"}

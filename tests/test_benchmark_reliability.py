"""Reliability curves: the error, runs under labels, the figure. Whose is best is not looked at."""

import json

import numpy as np
import pytest
from sklearn.calibration import calibration_curve

from benchmarks import reliability


@pytest.fixture
def directory(tmp_path):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((300, 3))
    y = (X[:, 0] + rng.standard_normal(300) > 0).astype(int)
    np.savez(tmp_path / "two.npz", X=X, y=y, task="classification")
    np.savez(tmp_path / "real.npz", X=X, y=X[:, 0], task="regression")
    return tmp_path


def run(directory, *arguments):
    output = directory / "out"
    reliability.main(
        ["--data", str(directory), "--output", str(output), "--models", "linear", *arguments]
    )
    return json.loads((output / "reliability.json").read_text())["runs"]


def test_calibration_error_of_numbers_by_hand():
    p = np.repeat([0.05, 0.95], 50)
    y = np.concatenate([np.arange(50) < 10, np.arange(50) < 45]).astype(int)
    # A fifth instead of a twentieth; nine tenths instead of 19 twentieths.
    assert reliability.calibration_error(y, p) == pytest.approx((0.15 + 0.05) / 2)


def test_calibration_error_is_the_curve_s():
    rng = np.random.default_rng(1)
    p = rng.random(1000)
    y = rng.random(1000) < p**2
    share, probability = calibration_curve(y, p, n_bins=reliability.BINS, strategy="quantile")
    expected = np.abs(share - probability).mean()
    assert reliability.calibration_error(y, p) == pytest.approx(expected)


def test_chance_is_told_beside_the_error():
    rng = np.random.default_rng(2)
    p = rng.random(500)
    right = reliability.curve((rng.random(500) < p).astype(int), p)
    wrong = reliability.curve((rng.random(500) < p**3).astype(int), p)
    assert right["calibration_error"] < 2.0 * right["calibration_error_by_chance"]
    assert wrong["calibration_error"] > 3.0 * wrong["calibration_error_by_chance"]


def test_runs_are_kept_by_label_and_drawn(directory, capsys):
    arguments = ["--sets", "two", "--splits", "2"]
    before = run(directory, *arguments, "--label", "before")
    assert before["before"]["two"]["linear"]["rows"] == 150
    runs = run(directory, *arguments, "--label", "after")
    assert list(runs) == ["before", "after"]
    assert "after, two, linear" in capsys.readouterr().out
    assert (directory / "out" / "reliability.png").stat().st_size > 1000
    # The file of another directory, and nothing that is measured.
    file = directory / "elsewhere.json"
    file.write_text(json.dumps({"runs": {"elsewhere": before["before"]}}))
    runs = run(directory, "--stored", "--with", str(file))
    assert set(runs) == {"before", "after", "elsewhere"}


def test_sets_of_real_targets_are_refused(directory):
    with pytest.raises(SystemExit, match="real has not two classes"):
        run(directory, "--sets", "real")

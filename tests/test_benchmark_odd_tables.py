"""Awkward tables and the class prior: data, resuming, flags. Who is best is not looked at."""

import json

import numpy as np
import pytest

from benchmarks import awkward, odd_tables
from benchmarks.models import MODELS, Model


@pytest.mark.parametrize("name", [*awkward.TABLES, *awkward.NOISY])
def test_tables_are_finite_and_the_seed_s(name):
    make = (awkward.TABLES | awkward.NOISY)[name]
    X, y, is_classification = make(3)
    assert np.isfinite(X).all()
    assert len(X) == len(y)
    np.testing.assert_array_equal(make(3)[0], X)
    if is_classification:
        # Five folds can be stratified.
        assert np.bincount(y).min() >= odd_tables.FOLDS


def test_awkwardness_is_there():
    tables = {name: make(0)[0] for name, make in awkward.TABLES.items()}
    assert np.sum(np.ptp(tables["constant columns"], axis=0) == 0.0) == 10
    assert tables["500 rows, 1,000 columns"].shape == (500, 1000)
    assert tables["offsets of 1e6, float32"].dtype == np.float32
    assert tables["offsets of 1e6, float64"].mean() == pytest.approx(1e6, rel=1e-5)
    assert set(np.unique(tables["one-hot categories"])) == {0.0, 1.0}
    assert all(len(np.unique(column)) == 2 for column in tables["two-valued columns"].T)
    assert np.unique(tables["duplicate columns"], axis=1).shape[1] == 10
    noise = tables["columns of Cauchy noise"][:, -5:]
    assert np.abs(noise).max() > 100 * np.median(np.abs(noise))


def run(directory, *arguments):
    return odd_tables.main([*arguments, "--output", str(directory)])


def test_tables_from_end_to_end_and_again(tmp_path, capsys, monkeypatch):
    arguments = ["tables", "--tables", "iris", "friedman1, 40*", "--models", "linear"]
    assert run(tmp_path, *arguments) == 0
    table = capsys.readouterr().out
    assert "linear" in table
    assert "prior or mean" in table
    assert len((tmp_path / "odd_tables.jsonl").read_text().splitlines()) == 20
    monkeypatch.setattr(odd_tables, "measured", None)
    assert run(tmp_path, *arguments) == 0
    assert capsys.readouterr().out == table
    content = json.loads((tmp_path / "odd-tables.json").read_text())
    prior = content["cells"]["iris"]["prior or mean"]
    assert prior["score"] == pytest.approx(1 / 3)
    assert prior["log_loss"] == pytest.approx(np.log(3.0))
    assert "log_loss" not in content["cells"]["friedman1, 40 rows"]["linear"]


def test_what_is_worse_than_the_prior_is_flagged(tmp_path, capsys, monkeypatch):
    name = odd_tables.BASELINE.name
    monkeypatch.setitem(MODELS, name, odd_tables.BASELINE)
    arguments = ["prior", "--tables", "pure noise, 400*", "--models", "sklearn", name]
    assert run(tmp_path, *arguments, "--seeds", "1") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].startswith("pure noise, 400 rows")
    # A network that has learned noise by heart; the prior itself.
    assert lines[2].count("!") == 1
    assert "sklearn: 1 of 1 tables worse than the class prior" in lines
    assert f"{name}: 0 of 1 tables worse than the class prior" in lines
    cells = json.loads((tmp_path / "odd-prior.json").read_text())["cells"]
    assert cells["pure noise, 400 rows"][name]["excess"] == 0.0


def test_a_failure_is_told_and_tried_again(tmp_path, capsys, monkeypatch):
    def fails(is_classification, seed):
        raise RuntimeError("no such thing")

    arguments = ["tables", "--tables", "iris", "--models", "broken"]
    monkeypatch.setitem(MODELS, "broken", Model("broken", fails))
    assert run(tmp_path, *arguments) == 1
    assert "broken on iris: RuntimeError: no such thing" in capsys.readouterr().out
    monkeypatch.setitem(MODELS, "broken", Model("broken", MODELS["linear"].build))
    assert run(tmp_path, *arguments) == 0

"""The comparison of recurrent networks: data, resuming, report. Scores are not looked at."""

import json

import numpy as np
import pytest

from benchmarks import recurrent, recurrent_report, sequence_sets
from benchmarks.work import LeftOut


@pytest.fixture
def directory(tmp_path):
    """Sequences padded by zeros with their lengths, and small pictures."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((40, 6, 2)).astype(np.float32)
    lengths = rng.integers(2, 7, 40)
    X[np.arange(6) >= lengths[:, np.newaxis]] = 0.0
    y = np.arange(40) % 3
    np.savez(
        tmp_path / "japanese_vowels.npz",
        X_train=X[:30], X_test=X[30:], y_train=y[:30], y_test=y[30:],
        lengths_train=lengths[:30], lengths_test=lengths[30:],
    )  # fmt: skip
    pictures = rng.integers(0, 256, (400, 4, 4)).astype(np.uint8)
    labels = np.arange(400) % 10
    np.savez(
        tmp_path / "fashion_mnist.npz",
        X_train=pictures, X_test=pictures[:20], y_train=labels, y_test=labels[:20],
    )  # fmt: skip
    return tmp_path


def test_padding_becomes_nan(directory):
    X, _, y, _ = sequence_sets.load(directory, "japanese_vowels")
    with np.load(directory / "japanese_vowels.npz") as file:
        lengths = file["lengths_train"]
    assert (X.shape, y.shape) == ((30, 6, 2), (30,))
    np.testing.assert_array_equal((~np.isnan(X)).all(axis=2).sum(axis=1), lengths)


def test_pictures_become_sequences():
    pictures = np.arange(2 * 16, dtype=np.uint8).reshape(2, 4, 4)
    assert sequence_sets.rows_of(pictures).shape == (2, 4, 4)
    pixels, permuted = sequence_sets.pixels_of(pictures), sequence_sets.permuted_pixels_of(pictures)
    assert pixels.shape == permuted.shape == (2, 16, 1)
    np.testing.assert_allclose(pixels[1, :, 0] * 255, np.arange(16, 32), rtol=1e-6)
    # A permutation, the same in all pictures.
    np.testing.assert_array_equal(np.sort(permuted, axis=1), pixels)
    assert not np.array_equal(permuted, pixels)
    np.testing.assert_allclose((permuted[1] - permuted[0]) * 255, 16, rtol=1e-5)


def test_what_is_not_there_is_left_out(directory, capsys):
    with pytest.raises(LeftOut, match=r"ecg5000\.npz is not in the directory"):
        sequence_sets.load(directory, "ecg5000")
    with pytest.raises(LeftOut, match="no directory of data sets"):
        sequence_sets.load(None, "ecg5000")
    recurrent.main(["sets", "--sets", "ecg5000", "--data", str(directory),
                    "--output", str(directory / "out")])  # fmt: skip
    assert "ecg5000 is left out" in capsys.readouterr().out


def test_sets_from_end_to_end_and_again(directory, capsys, monkeypatch):
    output = directory / "out"
    arguments = ["sets", "--sets", "japanese_vowels", "--seeds", "2", "--data", str(directory)]
    monkeypatch.setattr(recurrent, "POOLED", {"BN-LSTM": {}, "LSTM": {"batch_norm": None}})
    recurrent.main([*arguments, "--output", str(output)])
    table = capsys.readouterr().out
    assert all(kind in table for kind in ("BN-LSTM", "LSTM", recurrent.NEIGHBOUR))
    content = json.loads((output / "recurrent-sets.json").read_text(encoding="utf-8"))
    assert len(content["results"]) == 5
    assert all(0.0 <= run["score"] <= 1.0 for run in content["results"])
    assert all(run["log_loss"] > 0.0 for run in content["results"])
    # Nothing is measured twice; what was written in part is.
    path = output / "recurrent.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join([*lines[:-1], lines[-1][:20]]), encoding="utf-8")
    recurrent.main([*arguments, "--output", str(output)])
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_curves_from_end_to_end(directory):
    output = directory / "out"
    recurrent.main(
        ["curves", "--tasks", "rows", "permuted", "--seeds", "1", "--updates", "4", "--points", "2",
         "--data", str(directory), "--output", str(output)]
    )  # fmt: skip
    content = json.loads((output / "recurrent-curves.json").read_text(encoding="utf-8"))
    assert [(run["set"], run["kind"], run["steps"]) for run in content["results"]] == [
        ("rows", "BN-LSTM", 4),
        ("rows", "LSTM", 4),
        ("permuted", "BN-LSTM", 16),
        ("permuted", "LSTM", 16),
    ]
    for run in content["results"]:
        assert run["curve"]["updates"] == [2, 4]
        assert np.isfinite(run["curve"]["loss"]).all()
    assert (output / "recurrent-curves.png").stat().st_size > 0


def test_runs_are_summed_up():
    runs = [
        {"set": "a", "kind": "LSTM", "seed": seed, "score": score, "log_loss": score + 0.1}
        | {"fit_seconds": 1.0}
        for seed, score in enumerate([0.5, 0.7])
    ]
    line = recurrent_report.text(runs).splitlines()[1].split()
    # Mean 0.6; the standard deviation 0.1414 over the root of 2.
    assert line == ["a", "LSTM", "2", "0.6000", "0.1000", "0.7000", "1.0", "0.5000", "0.7000"]

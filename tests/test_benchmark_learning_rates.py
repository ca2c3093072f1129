"""The benchmark of learning rates trains what it says, and keeps diverged fits apart."""

import json

import numpy as np

from benchmarks import learning_rates


def test_a_small_run(tmp_path, capsys):
    file = tmp_path / "rates.json"
    learning_rates.main(
        ["--output", str(file), "--rates", "0.01", "10000", "--epochs", "2", "--jobs", "1"]
    )
    content = json.loads(file.read_text())
    assert content["rates"] == [0.01, 10000.0]
    assert content["epochs"] == 2
    assert set(content["accuracy"]) == {name for name, _ in learning_rates.networks(0.1, 1)}
    for name, (small, huge) in content["accuracy"].items():
        assert len(small) == learning_rates.FOLDS
        # One tenth is chance.
        assert np.mean(small) > 0.3
        assert huge is None, name
    ours = np.mean(content["accuracy"]["MLPWithBatchNormClassifier"][0])
    plain = np.mean(content["accuracy"]["MLPWithBatchNormClassifier(batch_norm=None)"][0])
    assert ours > plain
    assert capsys.readouterr().out.count("\n") == 6


def test_networks_differ_in_nothing_but_batch_norm():
    _, (_, plain), (_, ours) = learning_rates.networks(0.3, 7)
    difference = {
        key for key, value in ours.get_params().items() if plain.get_params()[key] != value
    }
    assert difference == {"batch_norm"}
    assert ours.learning_rate_init == 0.3
    assert ours.max_iter == 7


def test_one_diverged_fold_is_a_diverged_rate(monkeypatch):
    scores = np.array([0.9, 0.9, np.nan, 0.9, 0.9])
    monkeypatch.setattr(learning_rates, "cross_val_score", lambda *args, **kwargs: scores)
    accuracy = learning_rates.measure([0.1], 1, 1)["accuracy"]
    assert list(accuracy.values()) == [[None]] * 3

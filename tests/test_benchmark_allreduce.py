"""The benchmark of the all-reduce runs; how long anything takes is not looked at."""

import pytest

pytest.importorskip("distributed")

from benchmarks import allreduce


def test_all_sizes_are_timed_on_the_workers(client, monkeypatch):
    monkeypatch.setattr(allreduce, "SECONDS", 0.0)
    seconds = allreduce.on_dask(client, [24, 80_000])
    assert len(seconds) == 2
    assert min(seconds) > 0.0


def test_table_and_file(tmp_path, capsys, monkeypatch):
    rows = [{"way": "dask", "processes": 2, "bytes": 4_000_000, "seconds": 0.008}]
    monkeypatch.setattr(allreduce, "measured", lambda workers, sizes: rows)
    output = tmp_path / "folder" / "allreduce.json"
    assert allreduce.main(["--output", str(output)]) == 0
    assert capsys.readouterr().out.split()[-5:] == ["dask", "2", "4000000", "8.000", "500.0"]
    assert '"seconds": 0.008' in output.read_text()

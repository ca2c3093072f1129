"""What the documentation says about the checkout is so."""

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted(
    path.relative_to(ROOT).as_posix()
    for suffix in ("py", "pyx", "pxd")
    for path in (ROOT / "skbn").rglob(f"*.{suffix}")
    if path.stem != "__init__" and (suffix != "pxd" or not path.with_suffix(".pyx").is_file())
)


@pytest.mark.parametrize("source", SOURCES)
def test_tour_names_every_source_file(source):
    tour = (ROOT / "docs" / "contributing.rst").read_text(encoding="utf-8")
    directory, name = source.rsplit("/", 1)
    assert f"``{directory}``" in tour or f"``{source}``" in tour
    assert f"``{name}``" in tour or f"``{source}``" in tour


def test_set_up_commands_of_the_readme_are_those_of_ci():
    readme = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    commands = [line for line in readme if line.startswith("pip install")]
    assert len(commands) == 2
    for command in commands:
        assert f"'{command}'" in script

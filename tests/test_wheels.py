"""Versions of Python, oldest versions and tests: pyproject.toml and the workflows have one list."""

import fnmatch
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
WHEELS = PYPROJECT["tool"]["cibuildwheel"]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
COMMANDS = [*WHEELS["test-command"], *WHEELS["overrides"][0]["test-command"]]


def jobs(name):
    text = (ROOT / ".github" / "workflows" / f"{name}.yml").read_text(encoding="utf-8")
    return yaml.safe_load(text)["jobs"]


def versions_of_classifiers():
    pattern = r"Programming Language :: Python :: (3\.\d+)$"
    matches = [re.match(pattern, line) for line in PYPROJECT["project"]["classifiers"]]
    return [match[1] for match in matches if match]


def printed_by_requirements(*arguments):
    command = [sys.executable, str(ROOT / ".ci" / "requirements.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def test_each_version_of_python_has_wheels_and_a_job():
    builds = [pattern.removesuffix("-*") for pattern in WHEELS["build"]]
    assert jobs("wheels")["wheels"]["strategy"]["matrix"]["python"] == builds
    assert builds.pop() == "cp314t"  # free-threaded
    versions = jobs("tests")["tests"]["strategy"]["matrix"]["python"]
    assert builds == [f"cp{version.replace('.', '')}" for version in versions]
    # A classifier needs a run of the tests, a job of the workflow does not prove one.
    assert set(versions_of_classifiers()) <= set(versions)
    assert versions[0] == PYPROJECT["project"]["requires-python"].removeprefix(">=")


def test_overrides_select_wheels_that_are_built():
    for override in WHEELS["overrides"]:
        assert override["select"] in WHEELS["build"]


def test_wheels_are_tested_by_files_that_exist():
    named = [word for command in COMMANDS for word in command.split() if word.startswith("tests/")]
    assert len(named) > 10
    for name in named:
        assert (ROOT / name).is_file(), name


def test_free_threaded_wheels_are_tested_without_the_libraries_of_the_extra():
    (command,) = [part for part in WHEELS["overrides"][0]["test-command"] if "pytest" in part]
    extra = PYPROJECT["project"]["optional-dependencies"]["test"]
    names = {re.match(r"[a-z0-9_-]+", line)[0] for line in extra} - {"pytest"}
    names |= {"yaml", "Cython"}
    imports = re.compile(rf"^(?:import|from) (?:{'|'.join(sorted(names))})\b", re.MULTILINE)
    for name in command.split():
        if name.startswith("tests/"):
            text = (ROOT / name).read_text(encoding="utf-8")
            assert not imports.search(text), name


def test_the_oldest_versions_are_those_of_the_dependencies():
    dependencies = PYPROJECT["project"]["dependencies"]
    oldest = dict(line.split("==") for line in printed_by_requirements("--oldest"))
    assert oldest == dict(line.split(">=") for line in dependencies)
    dask = dict(line.split("==") for line in printed_by_requirements("--oldest", "dask"))
    of_extra = [line.replace("[array,dataframe]", "") for line in printed_by_requirements("dask")]
    assert dask == oldest | dict(line.split(">=") for line in of_extra)
    (command,) = [step["run"] for step in jobs("tests")["oldest"]["steps"] if "run" in step]
    assert "requirements.py --oldest dask > oldest.txt" in command
    assert 'pip install -c oldest.txt -e ".[test]"' in command
    build_needs = {line.split(">=")[0]: line for line in PYPROJECT["build-system"]["requires"]}
    assert build_needs["scipy"] in dependencies


def test_requirements_of_extras_are_printed():
    extras = PYPROJECT["project"]["optional-dependencies"]
    assert printed_by_requirements("lint") == extras["lint"]
    assert printed_by_requirements("lint", "oracles") == [*extras["lint"], *extras["oracles"]]
    assert printed_by_requirements("--build") == PYPROJECT["build-system"]["requires"]


def test_the_workflow_runs_the_command_of_the_readme():
    (command,) = [step["run"] for step in jobs("tests")["tests"]["steps"] if "run" in step]
    assert f"\n{command}\n" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_only_a_tag_that_was_checked_is_published():
    publish = jobs("wheels")["publish"]
    assert "github.event_name == 'push'" in publish["if"]
    assert "startsWith(github.ref, 'refs/tags/v')" in publish["if"]
    assert publish["needs"] == ["check"]
    assert set(jobs("wheels")["check"]["needs"]) == {"wheels", "sdist"}
    runs = [step.get("run") for step in jobs("wheels")["check"]["steps"]]
    assert 'test -f "dist/skbn-${GITHUB_REF_NAME#v}.tar.gz"' in runs
    text = (ROOT / "docs" / "releasing.rst").read_text(encoding="utf-8")
    assert f"the environment ``{publish['environment']['name']}``" in text


def test_oracles_that_are_skipped_fail(tmp_path):
    runs = [step.get("run") for step in jobs("tests")["oracles"]["steps"]]
    assert runs[-1] == "python .ci/none_skipped.py oracles.xml"
    report = tmp_path / "oracles.xml"
    for tests, skipped, status in ((3, 0, 0), (3, 1, 1), (0, 0, 1)):
        report.write_text(
            f'<testsuites><testsuite tests="{tests}" skipped="{skipped}"/></testsuites>'
        )
        command = [sys.executable, str(ROOT / ".ci" / "none_skipped.py"), str(report)]
        assert subprocess.run(command, capture_output=True).returncode == status


@pytest.mark.parametrize("name", ["aarch64", "free-threaded"])
def test_scripts_name_tests_that_exist_and_that_collect(name):
    script = (ROOT / ".ci" / name).read_text(encoding="utf-8")
    named = set(re.findall(r"tests/\S+\.py", script))
    paths = [path for pattern in named for path in ROOT.glob(pattern)]
    assert len(paths) >= len(named) > 0
    imports = re.compile(r"^(?:import|from) (pandas|polars|skops|rich|matplotlib)\b", re.MULTILINE)
    needed = {match for path in paths for match in imports.findall(path.read_text("utf-8"))}
    assert needed <= ({"pandas"} if name == "free-threaded" else set())


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_jobs_have_no_more_rights_than_they_need(path):
    workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert workflow["permissions"] in ({}, {"contents": "read"})
    for name, job in workflow["jobs"].items():
        rights = job.get("permissions", {}).copy()
        publishes = rights.pop("id-token", None) == "write"
        assert publishes == (path.stem == "wheels" and name == "publish")
        assert rights in ({}, {"contents": "read"})
        assert job["timeout-minutes"] <= 90
        for step in job["steps"]:
            if "uses" in step:
                action, version = step["uses"].split("@")
                assert fnmatch.fnmatch(version, "v[0-9]*")
                if action == "actions/checkout":
                    assert step["with"]["persist-credentials"] is False

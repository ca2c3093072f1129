"""What stands in two files of the checkout is the same in both."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

from skbn.estimators.state import STATE_FORMAT

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))


def read(*parts):
    return (ROOT / Path(*parts)).read_text(encoding="utf-8")


def hooks():
    (local,) = yaml.safe_load(read(".pre-commit-config.yaml"))["repos"]
    return local["hooks"]


def test_hooks_have_the_linters_of_the_extra():
    needed = {part for hook in hooks() for part in hook["additional_dependencies"]}
    (numpy,) = [part for part in PROJECT["dependencies"] if part.startswith("numpy")]
    assert needed == {*PROJECT["optional-dependencies"]["lint"], numpy}


def test_hooks_run_what_they_install():
    for hook in hooks():
        tool = hook["entry"].split()[0]
        assert any(part.startswith(f"{tool}==") for part in hook["additional_dependencies"]), hook
        assert hook["language"] == "python"


def test_there_is_one_list_of_changes():
    changelog = read("CHANGELOG.md")
    assert "docs/whats_new.rst" in changelog
    assert PROJECT["urls"]["Changelog"] in changelog
    assert not re.search(r"^#+ .*\d+\.\d+", changelog, re.MULTILINE)


def test_the_newest_list_of_changes_is_that_of_the_version():
    newest = re.search(r"^Version (\S+) \((.+)\)\n=+$", read("docs", "whats_new.rst"), re.MULTILINE)
    release, _, development = PROJECT["version"].partition(".dev")
    assert newest[1] == release
    assert (newest[2] == "in development") == bool(development)


def test_the_citation_is_of_this_version():
    citation = yaml.safe_load(read("CITATION.cff"))
    assert citation["version"] == PROJECT["version"]
    assert citation["license"] == PROJECT["license"]
    assert citation["repository-code"] == PROJECT["urls"]["Source"]
    assert citation["url"] == PROJECT["urls"]["Documentation"]
    assert [author["name"] for author in citation["authors"]] == [
        author["name"] for author in PROJECT["authors"]
    ]
    assert ("date-released" in citation) == (".dev" not in PROJECT["version"])


def test_addresses_have_the_bases_that_are_claimed():
    bases = (PROJECT["urls"]["Homepage"], PROJECT["urls"]["Documentation"])
    assert all(url.startswith(bases) for url in PROJECT["urls"].values())
    for name in ("SECURITY.md", "CHANGELOG.md", ".github/ISSUE_TEMPLATE/config.yml"):
        links = re.findall(r"https://[^\s)]*skbn[^\s)]*", read(name))
        assert links
        assert all(link.startswith(bases) for link in links)
    for base in bases:
        assert base in read("docs", "releasing.rst")


def test_classifiers_of_python_begin_at_the_oldest_that_is_supported():
    pattern = r"Programming Language :: Python :: 3\.(\d+)$"
    matches = [re.match(pattern, classifier) for classifier in PROJECT["classifiers"]]
    minors = [int(match[1]) for match in matches if match]
    assert PROJECT["requires-python"] == f">=3.{minors[0]}"
    assert minors == sorted(set(minors))
    # The license is an SPDX expression, and classifiers must not repeat it.
    assert not any(classifier.startswith("License") for classifier in PROJECT["classifiers"])


def test_the_policy_names_the_oldest_versions():
    rows = re.findall(r"^   \* - (\S+)\n     - (\S+) and later$", read("docs", "policy.rst"), re.M)
    floors = dict(part.split(">=") for part in PROJECT["dependencies"] if ">=" in part)
    floors["python"] = PROJECT["requires-python"].removeprefix(">=")
    assert {name for name, _ in rows} == {"Python", "NumPy", "SciPy", "scikit-learn"}
    for name, oldest in rows:
        assert floors[name.lower()] == oldest


def test_the_state_format_is_the_number_in_the_decisions():
    numbers = re.findall(r"\*\*The state format\*\* is (\d+)", read("docs", "decisions.rst"))
    assert numbers == [str(STATE_FORMAT)]


@pytest.mark.parametrize("form", FORMS, ids=lambda path: path.stem)
def test_issue_forms_are_whole(form):
    data = yaml.safe_load(form.read_text(encoding="utf-8"))
    if form.stem == "config":
        assert data.keys() == {"blank_issues_enabled", "contact_links"}
        assert all(link.keys() == {"name", "url", "about"} for link in data["contact_links"])
        return
    assert data.keys() == {"name", "description", "labels", "body"}
    ids = [part["id"] for part in data["body"]]
    assert len(ids) == len(set(ids))
    for part in data["body"]:
        assert part["type"] in ("input", "textarea", "dropdown", "checkboxes")
        assert part["attributes"]["label"]


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"])
def test_links_to_files_lead_to_files(name):
    targets = re.findall(r"\]\(([^)#]+)\)", read(name))
    files = [target for target in targets if not target.startswith("https://")]
    for target in files:
        assert (ROOT / target).is_file(), target
    assert files or name == "SECURITY.md"


def test_the_types_are_in_the_package():
    with (ROOT / "pyproject.toml").open("rb") as file:
        patterns = tomllib.load(file)["tool"]["setuptools"]["package-data"]["*"]
    assert {"*.pyi", "py.typed"} <= set(patterns)

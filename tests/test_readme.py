"""The examples of the README run as they stand, and print no more than they mean to."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```python\n(.*?)^```", README, re.M | re.S)

# Links are absolute, since package indexes show the README without the files beside it.
HOST = "https://github.com/skbn-dev/skbn"
FILES = re.compile(
    r"https://(?:github\.com/skbn-dev/skbn/blob|raw\.githubusercontent\.com/skbn-dev/skbn)/main/(.+)"
)
PROSE = re.sub(r"^```.*?^```|`[^`\n]*`", "", README, flags=re.M | re.S)
LINKS = [
    *re.findall(r"\]\(([^)\s]+)\)", PROSE),
    *re.findall(r"^\[[^\]]+\]: *(\S+)$", PROSE, re.M),
    *re.findall(r"https://\S+?(?=[)>,\s])", README),
]


def run(example, capsys):
    """The names that an example leaves behind."""
    # Warnings are errors here: of fits that fail a search warns.
    names = {"__name__": "__main__"}
    exec(compile(example, "README.md", "exec"), names)
    output = capsys.readouterr()
    assert output.err == ""
    assert output.out.count("\n") <= 8
    return names


@pytest.mark.parametrize(
    "example", [example for example in EXAMPLES if "GridSearchCV" not in example]
)
def test_example(example, capsys):
    run(example, capsys)


def test_the_search_shows_that_batch_norm_bears_more_learning_rates(capsys):
    (search,) = (example for example in EXAMPLES if "GridSearchCV" in example)
    results = run(search, capsys)["results"]
    scores = {None: [], "before": []}
    for params, score in zip(results["params"], results["mean_test_score"], strict=True):
        scores[params["batch_norm"]].append(score)
    assert min(scores["before"]) > 0.8
    # At two of the four rates the plain network is usable.
    assert sorted(scores[None])[1] < 0.5
    assert sorted(scores[None])[2] > 0.9


def anchors(path):
    """The anchors that a code host gives to the headings of a page of Markdown."""
    headings = re.findall(r"^#+ +(.+?) *$", path.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def missing(link):
    """What a link points to and the checkout does not have, or None."""
    address, _, anchor = link.partition("#")
    if address and address != HOST:
        found = FILES.fullmatch(address)
        if found is None:
            return f"{address} is relative, or on another host"
        path = ROOT / found[1]
    else:
        path = ROOT / "README.md"
    if not path.is_file():
        return f"there is no file {path.relative_to(ROOT)}"
    if anchor and anchor not in anchors(path):
        return f"{path.relative_to(ROOT)} has no heading #{anchor}"
    return None


@pytest.mark.parametrize("link", sorted(set(LINKS)))
def test_link(link):
    assert missing(link) is None


def test_every_reference_is_defined_and_used():
    used = set(re.findall(r"\]\[([^\]]+)\]", PROSE))
    defined = re.findall(r"^\[([^\]]+)\]: ", PROSE, re.M)
    assert len(used) > 5
    assert used == set(defined)
    assert len(defined) == len(used)


@pytest.mark.parametrize(
    ("link", "message"),
    [
        ("docs/defaults.rst", "is relative"),
        (f"{HOST}/blob/main/docs/nowhere.rst", "no file docs/nowhere.rst"),
        (f"{HOST}/blob/main/benchmarks/README.md#nowhere", "no heading #nowhere"),
        ("#nowhere", "README.md has no heading #nowhere"),
        ("https://example.org/x", "on another host"),
    ],
)
def test_dead_links_are_found(link, message):
    assert message in missing(link)


def test_the_figure_is_small_and_in_the_checkout():
    (figure,) = re.findall(r"^\[figure\]: (\S+)$", README, re.M)
    path = ROOT / FILES.fullmatch(figure)[1]
    assert 5_000 < path.stat().st_size < 80_000
    assert path.read_bytes().startswith(b"\x89PNG")
    assert f"--figure {path.relative_to(ROOT).as_posix()}`" in README

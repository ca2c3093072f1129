"""The examples of the README run as they stand, and print no more than they mean to."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = re.findall(
    r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(encoding="utf-8"), re.M | re.S
)


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
    assert sorted(scores[None])[0] < 0.5
    assert sorted(scores[None])[2] > 0.9

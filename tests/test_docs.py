"""What the documentation says about the checkout is so, and docstrings say one thing once."""

import ast
import inspect
from pathlib import Path

import pytest

import skbn

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


# Entries that two classes document in their own words, because they mean different things there.
RECURRENT_WORDS = {
    "hidden_layer_sizes", "solver", "batch_size", "learning_rate_init", "max_iter",
    "n_epochs", "random_state", "early_stopping", "batch_norm", "normalize_input", "dropout",
    "weight_decay", "max_grad_norm", "class_weight",
    "loss", "classes_", "coefs_", "intercepts_", "gammas_", "betas_",
    "running_means_", "running_vars_", "input_mean_", "input_var_", "n_features_in_",
    "feature_names_in_",
}  # fmt: skip


def entries(cls):
    """The entries of the sections Parameters and Attributes, by what stands before the colon."""
    found = {}
    sections = inspect.cleandoc(cls.__doc__).split("\n\n")
    for block in sections:
        lines = [line for line in block.splitlines() if not set(line) <= set("-")]
        lines = [line for line in lines if line not in ("Parameters", "Attributes")]
        if lines and " : " in lines[0] and not lines[0].startswith((" ", ".", ">")):
            found[lines[0].split(" : ")[0]] = "\n".join(lines)
    return found


@pytest.mark.parametrize(
    ("one", "other", "own_words"),
    [
        ("MLPWithBatchNormClassifier", "MLPWithBatchNormRegressor", set()),
        ("RNNWithBatchNormClassifier", "RNNWithBatchNormRegressor", set()),
        ("MLPWithBatchNormClassifier", "RNNWithBatchNormClassifier", RECURRENT_WORDS),
        ("MLPWithBatchNormRegressor", "RNNWithBatchNormRegressor", RECURRENT_WORDS),
        (
            "MLPEnsembleWithBatchNormClassifier",
            "MLPEnsembleWithBatchNormRegressor",
            {"estimator", "estimators_"},
        ),
    ],
)
def test_entries_that_two_classes_share_read_alike(one, other, own_words):
    one, other = entries(getattr(skbn, one)), entries(getattr(skbn, other))
    shared = (one.keys() & other.keys()) - own_words
    assert len(shared) > 12
    for name in shared:
        assert one[name] == other[name]


@pytest.mark.parametrize("name", [name for name in skbn.__all__ if name[0].isupper()])
def test_editors_that_read_the_source_show_the_docstring(name):
    cls = getattr(skbn, name)
    tree = ast.parse(Path(inspect.getsourcefile(cls)).read_text(encoding="utf-8"))
    (node,) = (n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == cls.__name__)
    assert ast.get_docstring(node) == inspect.cleandoc(cls.__doc__)
    assert "{" + "shared}" not in cls.__doc__


@pytest.mark.parametrize("name", [name for name in skbn.__all__ if name[0].isupper()])
def test_every_parameter_of_a_constructor_is_documented(name):
    cls = getattr(skbn, name)
    documented = {part for entry in entries(cls) for part in entry.split(", ")}
    assert set(inspect.signature(cls).parameters) <= documented

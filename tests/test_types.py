"""Types of the public methods: true at run time, and seen by a type checker."""

import ast
import importlib
import inspect
import re
import subprocess
import sys
import textwrap
import typing
from pathlib import Path
from types import UnionType

import pytest
from sklearn.utils._param_validation import StrOptions

import skbn
import skbn.sequences
from skbn.kernels.activations import ACTIVATIONS

ROOT = Path(__file__).resolve().parents[1]
CLASSES = [cls for cls in map(skbn.__dict__.get, skbn.__all__) if isinstance(cls, type)]
ESTIMATORS = sorted(
    {cls for cls in CLASSES if hasattr(cls, "get_params")}, key=lambda c: c.__name__
)
STUBS = sorted((ROOT / "skbn").rglob("*.pyi"))


def literals_of(annotation):
    """The strings that an annotation allows by ``Literal``."""
    if typing.get_origin(annotation) is typing.Literal:
        return {value for value in typing.get_args(annotation) if isinstance(value, str)}
    if typing.get_origin(annotation) in (typing.Union, UnionType):
        return set().union(*map(literals_of, typing.get_args(annotation)))
    return set()


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_constructors_allow_the_strings_that_are_checked_at_run_time(cls):
    annotations = typing.get_type_hints(cls.__init__)
    assert annotations.keys() - {"return"} == inspect.signature(cls).parameters.keys()
    for name, annotation in annotations.items():
        constraints = cls._parameter_constraints.get(name, [])
        options = [part.options for part in constraints if isinstance(part, StrOptions)]
        if name == "scoring":  # a name of any scorer
            continue
        assert literals_of(annotation) == set().union(*options), name


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_none_is_allowed_where_it_is_allowed_at_run_time(cls):
    for name, annotation in typing.get_type_hints(cls.__init__).items():
        if name in ("return", "random_state", "gamma", "beta"):
            continue
        constraints = cls._parameter_constraints[name]
        assert (type(None) in typing.get_args(annotation)) == (None in constraints), name


def public_methods(cls):
    for name, method in inspect.getmembers(cls):
        if inspect.isroutine(method) and not name.startswith("_"):
            method = inspect.unwrap(getattr(method, "__func__", method))
            if method.__module__.startswith("skbn."):
                yield method


def assert_annotated(function):
    named = inspect.signature(function).parameters.keys() - {"self", "cls"}
    assert typing.get_type_hints(function).keys() == named | {"return"}, function


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_every_public_method_is_annotated(cls):
    methods = list(public_methods(cls))
    assert len(methods) >= 4
    for method in methods:
        assert_annotated(method)


@pytest.mark.parametrize("cls", sorted(set(CLASSES) - set(ESTIMATORS), key=lambda c: c.__name__))
def test_displays_are_annotated(cls):
    methods = list(public_methods(cls))
    assert len(methods) >= 2
    for method in (cls.__init__, *methods):
        assert_annotated(method)


@pytest.mark.parametrize("name", skbn.sequences.__all__)
def test_functions_are_annotated(name):
    assert_annotated(getattr(skbn.sequences, name))


def declared(cls):
    """Names of the properties of a class, and of the attributes under ``if TYPE_CHECKING``."""
    names = set()
    for base in cls.__mro__:
        if not base.__module__.startswith("skbn."):
            continue
        names |= {name for name, value in vars(base).items() if isinstance(value, property)}
        for statement in ast.parse(textwrap.dedent(inspect.getsource(base))).body[0].body:
            if isinstance(statement, ast.If) and ast.unparse(statement.test) == "TYPE_CHECKING":
                names |= {part.target.id for part in statement.body}
    return {name for name in names if not name.startswith("_")}


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_documented_attributes_are_those_that_are_declared(cls):
    section = inspect.cleandoc(cls.__doc__).split("Attributes\n----------\n")[1]
    section = re.split(r"\n\w[\w ]*\n-+\n", section)[0]
    entries = re.findall(r"^(\w[\w, ]*) : ", section, re.MULTILINE)
    documented = {name for entry in entries for name in entry.split(", ")}
    assert len(documented) >= 8
    assert documented <= declared(cls)


@pytest.mark.parametrize("stub", STUBS, ids=lambda path: path.stem)
def test_stubs_agree_with_the_extensions(stub):
    module = importlib.import_module(".".join(stub.relative_to(ROOT).with_suffix("").parts))
    tree = ast.parse(stub.read_text(encoding="utf-8"))
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    real = {
        name: function
        for name, function in vars(module).items()
        if not name.startswith("_")
        and callable(function)
        and getattr(function, "__module__", None) == module.__name__
    }
    assert functions.keys() == real.keys()
    for name, function in real.items():
        arguments = functions[name].args
        defaults = [ast.literal_eval(value) for value in arguments.defaults]
        parameters = inspect.signature(function).parameters.values()
        assert [part.arg for part in arguments.args] == [part.name for part in parameters]
        assert defaults == [part.default for part in parameters if part.default is not part.empty]
    constants = {node.target.id for node in tree.body if isinstance(node, ast.AnnAssign)}
    assert {name for name in constants if not name.startswith("_")} == {
        name for name in vars(module) if name.isupper() and not name.startswith("_")
    }


def test_the_stub_allows_the_activations_that_there_are():
    tree = ast.parse((ROOT / "skbn" / "kernels" / "activations.pyi").read_text(encoding="utf-8"))
    strings = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    assert {value for value in strings if isinstance(value, str)} == ACTIVATIONS.keys()


# A comment is the error of its line, or begins the type that is revealed.
USES = """
import numpy as np
from scipy.sparse import csr_matrix

import skbn
from skbn import sequences
from skbn.kernels import activations, batchnorm

X, y = np.eye(3), ["a", "b", "b"]
clf = skbn.MLPWithBatchNormClassifier((20,), "relu", class_weight={"a": 2.0}, random_state=0)
reveal_type(clf.fit(X, y))  # is: skbn.estimators.mlp_classifier.MLPWithBatchNormClassifier
reveal_type(clf.partial_fit([[1.0]], ["a"], classes=["a", "b"]))  # is: skbn.estimators.mlp_clas
reveal_type(clf.fit(csr_matrix(X), y, X_val=X, y_val=y).predict(X))  # is: numpy.ndarray
reveal_type(clf.predict_proba(X))  # is: numpy.ndarray
reveal_type(clf.score(X, y))  # is: float
reveal_type(clf.loss_curve_)  # is: list[float]
reveal_type(clf.validation_scores_)  # is: list[float] | None
reveal_type(clf.coefs_[0])  # is: numpy.ndarray
clf.coefs_ = [np.eye(3), [[1, 2]]]
skbn.MLPWithBatchNorm(batch_norm="after", early_stopping=True, calibrate=False, dtype=None)
skbn.MLPWithBatchNorm(activation="sigmoid")  # error: arg-type
skbn.MLPWithBatchNorm(max_iter="auto")  # error: arg-type
skbn.MLPWithBatchNorm(calibrate=True)  # error: arg-type
skbn.MLPWithBatchNorm(n_units=3)  # error: call-arg
skbn.MLPWithBatchNorm((3,), "relu", "adam")  # error: call-arg
clf.fit(X)  # error: call-arg
clf.fit(X, y, None, X)  # error: call-arg

reg = skbn.MLPWithBatchNormRegressor(loss="quantile", quantile=0.9)
reveal_type(type(reg).from_sklearn(reg.to_sklearn()))  # is: skbn.estimators.mlp_regressor.MLPWi
skbn.MLPWithBatchNormRegressor("log_loss")  # error: arg-type

rnn = skbn.RNNWithBatchNormClassifier(cell="gru", batch_norm="full")
reveal_type(rnn.fit([[[1.0], [2.0]]], [0]).running_means_[0])  # is: numpy.ndarray
skbn.RNNWithBatchNormRegressor(batch_norm="before")  # error: arg-type

ensemble = skbn.MLPEnsembleWithBatchNormClassifier(clf, n_jobs=2)
reveal_type(ensemble.fit(X, y).estimators_[0].t_)  # is: int
reveal_type(ensemble.predict_members(X))  # is: numpy.ndarray
skbn.MLPEnsembleWithBatchNormRegressor("mlp")  # error: arg-type

bn = skbn.BatchNormTransformer(momentum=0.1, gamma=[1, 2, 3])
reveal_type(bn.partial_fit(X).merge(bn).transform(X))  # is: numpy.ndarray
skbn.BatchNormTransformer(0.1)  # error: call-arg
skbn.BatchNormTransformer(time_statistics=True)  # error: arg-type

reveal_type(skbn.TrainingCurveDisplay.from_estimator(clf, quantity=["loss", "score"]))  # is: skbn.d
skbn.TrainingCurveDisplay.from_estimator(clf, quantity="accuracy")  # error: arg-type
skbn.TrainingCurveDisplay.from_estimators([clf])  # error: arg-type
recorder = skbn.ActivationRecorder(X, units=1)
reveal_type(recorder.records_[0].epochs)  # is: list
reveal_type(skbn.ActivationDriftDisplay.from_recorder({"a": recorder}))  # is: skbn.displays.activ
skbn.ActivationDriftDisplay.from_estimator("mlp", X, y)  # error: arg-type
reveal_type(skbn.SensitivityDisplay.from_search(clf, group_by=[]).plot())  # is: skbn.displays.sens
reveal_type(sequences.padded([X, X[:2]]))  # is: numpy.ndarray
reveal_type(sequences.from_long_frame({}, "id", "time")[1])  # is: numpy.ndarray

reveal_type(batchnorm.forward(X, [1, 1, 1], [0, 0, 0]))  # is: tuple[numpy.ndarray
batchnorm.forward(X, gamma=[1, 1, 1])  # error: call-arg
activations.forward(X, "sigmoid")  # error: arg-type
skbn.show_versions(1)  # error: call-arg
reveal_type(skbn.__version__)  # is: str
"""


LINE = re.compile(r'.*uses\.py:(\d+): (?:error: .*\[([\w-]+)\]|note: Revealed type is "(.*)")')


def test_a_type_checker_sees_them(tmp_path):
    pytest.importorskip("mypy")
    uses = tmp_path / "uses.py"
    uses.write_text(USES, encoding="utf-8")
    command = [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml")]
    command += ["--cache-dir", str(tmp_path / "cache"), "--no-pretty", str(uses)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    found = {}
    for line in done.stdout.splitlines():
        match = LINE.match(line)
        if match:
            found[int(match[1])] = (match[2], match[3] or "")
        else:
            assert ": error: " not in line, line
    for number, line in enumerate(USES.splitlines(), 1):
        _, _, comment = line.partition("  # ")
        error, revealed = found.pop(number, (None, ""))
        if comment.startswith("error: "):
            assert error == comment.removeprefix("error: "), line
        else:
            assert error is None, (line, error)
            assert revealed.startswith(comment.removeprefix("is: ")), (line, revealed)
    assert not found, done.stdout + done.stderr


def test_the_package_says_that_it_has_types():
    assert (ROOT / "skbn" / "py.typed").is_file()

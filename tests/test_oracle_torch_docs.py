"""The page and the docstrings about modules of PyTorch run as they stand; types are complete."""

import doctest
import importlib
import inspect

import pytest
from test_docs_code import DOCS, blocks, empty_directory  # noqa: F401
from test_types import assert_annotated, public_methods

torch = pytest.importorskip("torch")

import skbn.torch  # noqa: E402

PAGE = "guide/pytorch.rst"
FUNCTIONS = [skbn.torch.to_torch, skbn.torch.from_torch]
CLASSES = [cls for cls in map(skbn.torch.__dict__.get, skbn.torch.__all__) if isinstance(cls, type)]


def test_the_page(empty_directory):  # noqa: F811
    found = blocks((DOCS / PAGE).read_text(encoding="utf-8"))
    assert len(found) >= 6
    namespace = {"__name__": "__main__"}
    for block in found:
        exec(compile("\n" * (block.line - 1) + block.code, PAGE, "exec"), namespace)
    rows = torch.from_numpy(namespace["X_test"][:5])
    module = namespace["module"]
    program = torch.export.load("probabilities.pt2").module()
    torch.testing.assert_close(program(rows), namespace["Probabilities"](module)(rows))
    assert namespace["calibrated"].temperature_ == pytest.approx(float(module.decode.temperature))


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
def test_examples(function):
    module = importlib.import_module(function.__module__)
    (test,) = [
        test
        for test in doctest.DocTestFinder().find(function, globs=vars(module).copy())
        if test.examples
    ]
    assert doctest.DocTestRunner().run(test).failed == 0


def test_every_public_function_is_annotated():
    assert len(CLASSES) == 6
    for function in FUNCTIONS:
        assert_annotated(function)
    for cls in CLASSES:
        methods = [m for m in public_methods(cls) if m.__qualname__.startswith(cls.__name__)]
        for method in methods:
            assert_annotated(method)
            assert inspect.getdoc(method)

"""Files of earlier versions: this version loads them, predicts the same, and trains on.

``tests/saved/format-N`` holds what ``write_saved.py`` wrote when N was the format.
"""

import pickle
import re
import warnings
from pathlib import Path

import joblib
import numpy as np
import pytest
import skops.io as skops
from sklearn.base import clone
from write_saved import FOLDER, MODELS, outputs

from skbn.estimators.saved import parameter_defaults
from skbn.estimators.state import STATE_FORMAT
from skbn.estimators.upgrades import UPGRADES

FILES = sorted(path for path in FOLDER.glob("format-*/*") if path.suffix != ".npz")
each_file = pytest.mark.parametrize(
    "path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}"
)


def loaded(path):
    if path.suffix == ".pickle":
        return pickle.loads(path.read_bytes())
    if path.suffix == ".joblib":
        return joblib.load(path)
    cls = type(MODELS[path.stem][0])
    own = [f"{cls.__module__}.{cls.__name__}"]
    trusted = skops.get_untrusted_types(file=path)
    if path.parent.name == "format-5":  # where an ensemble needs the type of its members, too
        assert set(own) <= set(trusted)
    else:
        assert trusted == own
    return skops.load(path, trusted=trusted)


def expected_of(path):
    with np.load(path.with_name("expected.npz")) as arrays:
        rows = arrays["S" if np.ndim(MODELS[path.stem][1]) == 3 else "X"]
        return rows, arrays[path.stem]


class Dictionary(dict):
    """Stands for an estimator: keeps the state as it is in a file."""

    def __setstate__(self, state):
        self.update(state)


class Raw(pickle.Unpickler):
    """Reads states without skbn's classes."""

    def find_class(self, module, name):
        return Dictionary if module.startswith("skbn.") else super().find_class(module, name)


def test_each_format_has_files():
    formats = {int(path.name.removeprefix("format-")) for path in FOLDER.iterdir()}
    assert formats == {*UPGRADES, STATE_FORMAT}
    names = {path.name for path in FILES if path.parent.name == f"format-{STATE_FORMAT}"}
    assert {name.removesuffix(".pickle") for name in names if ".pickle" in name} == MODELS.keys()
    kinds = {type(MODELS[path.stem][0]).__name__[:3] for path in FILES}
    for suffix in (".pickle", ".joblib", ".skops"):
        stored = {
            type(MODELS[path.stem][0]).__name__[:3] for path in FILES if path.suffix == suffix
        }
        assert stored == kinds


@each_file
def test_it_predicts_what_it_predicted(path):
    rows, expected = expected_of(path)
    model = loaded(path)
    np.testing.assert_allclose(outputs(model, path.stem, rows), expected, rtol=1e-6, atol=1e-6)
    if hasattr(model, "classes_"):
        assert set(np.unique(model.predict(rows)).tolist()) <= set(model.classes_.tolist())


@each_file
def test_it_has_all_parameters(path):
    model = loaded(path)
    assert type(model) is type(MODELS[path.stem][0])
    parameters = model.get_params(deep=False)
    defaults = type(model)().get_params(deep=False)
    assert parameters.keys() == defaults.keys()
    assert type(model).__name__ in repr(model)
    copied = clone(model)
    assert repr(copied) == repr(model)
    assert model.set_params(**parameters) is model
    model._validate_params()
    for member in getattr(model, "estimators_", ()):
        assert member.get_params().keys() == type(member)().get_params().keys()


@pytest.mark.parametrize(
    "path", [path for path in FILES if path.suffix == ".pickle"], ids=lambda path: path.stem
)
def test_a_parameter_that_the_file_lacks_has_its_default(path):
    with path.open("rb") as file:
        stored = Raw(file).load()
    assert re.fullmatch(r"format-(\d+)", path.parent.name)
    model = loaded(path)
    defaults = parameter_defaults(type(model))
    for name, value in model.get_params(deep=False).items():
        if name not in stored:
            assert value is defaults[name]
        elif isinstance(stored[name], (bool, int, float, str, tuple)):
            assert value == stored[name]


@each_file
def test_it_trains_on(path):
    model = loaded(path)
    _, rows, targets, _ = MODELS[path.stem]
    before = outputs(model, path.stem)
    seen = getattr(model, "t_", None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.partial_fit(rows, *([] if targets is None else [targets]))
    after = outputs(model, path.stem)
    assert np.isfinite(after).all()
    assert np.abs(after - before).max() < 2.0
    if seen is not None:
        assert model.t_ == seen + len(rows)
    # Saved again, it is a file of this version.
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(outputs(again, path.stem), after)
    if "transform" in path.stem:
        assert model.n_batches_seen_ > 1
    else:
        assert np.abs(after - before).max() > 0.0


def test_a_stream_goes_on_with_its_optimizer():
    for path in FILES:
        if path.stem == "stream":
            model = loaded(path)
            assert model._optimizer["step"] > 0
            assert model._moments.any()
            assert len(model.loss_curve_) == 3


def test_files_stay_small():
    files = [path for path in Path(FOLDER).rglob("*") if path.is_file()]
    assert len(files) > len(MODELS)
    assert max(path.stat().st_size for path in files) < 25_000

"""What all displays have in common: late imports, subclasses, examples, one Axes a panel."""

import doctest
import importlib
import subprocess
import sys

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest

import skbn
import skbn.displays
from skbn.displays.panels import axes_of, panels_for, spans

DISPLAYS = ("ActivationDriftDisplay", "SensitivityDisplay", "TrainingCurveDisplay")
MODULES = ("activation_drift", "activation_recorder", "sensitivity", "training_curve")


@pytest.fixture(autouse=True)
def _agg():
    before = matplotlib.get_backend()
    matplotlib.use("Agg")
    yield
    plt.close("all")
    matplotlib.use(before)


@pytest.mark.parametrize("module", ["skbn", "skbn.displays"])
def test_matplotlib_is_imported_late(module):
    code = f"import sys, {module}; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("name", [*DISPLAYS, "ActivationRecorder"])
def test_exported_twice(name):
    assert getattr(skbn, name) is getattr(skbn.displays, name)
    assert name in skbn.__all__
    assert name in skbn.displays.__all__


@pytest.mark.parametrize("module", MODULES)
def test_examples(module):
    result = doctest.testmod(importlib.import_module(f"skbn.displays.{module}"))
    assert result.failed == 0
    assert result.attempted > 4


@pytest.mark.parametrize(
    "call",
    [
        lambda: skbn.TrainingCurveDisplay.from_estimator(None),
        lambda: skbn.TrainingCurveDisplay.from_estimators({}),
        lambda: skbn.TrainingCurveDisplay(curves={"a": skbn.displays.TrainingCurves([1.0])}).plot(),
        lambda: skbn.ActivationDriftDisplay.from_recorder(None),
        lambda: skbn.ActivationDriftDisplay.from_estimator(None, None, None),
        lambda: skbn.SensitivityDisplay.from_search(None),
        lambda: skbn.SensitivityDisplay(curves={}, param_name="alpha").plot(),
    ],
)
def test_without_matplotlib(call, monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "matplotlib"]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=r"Display\.\w+ requires matplotlib"):
        call()


class TestPanels:
    def test_new_figures(self):
        panels = panels_for(self, None, 2, 3)
        assert panels.shape == (2, 3)
        assert len({panel.figure for panel in panels.ravel()}) == 1
        assert panels[0, 0].figure is not panels_for(self, None)[0, 0].figure

    def test_given_axes_are_used(self):
        _, ax = plt.subplots()
        assert panels_for(self, ax)[0, 0] is ax
        _, axes = plt.subplots(2, 2)
        for given in (axes, axes.ravel(), list(axes.ravel())):
            np.testing.assert_array_equal(panels_for(self, given, 2, 2), axes)

    def test_another_number_of_axes(self):
        _, axes = plt.subplots(1, 3)
        with pytest.raises(ValueError, match=r"TestPanels draws 2 panel.*has 3 .*subplots\(1, 2\)"):
            panels_for(self, axes, 1, 2)

    def test_another_shape_of_axes(self):
        # Columns and rows would be mixed up. A single row may stand as a column.
        _, axes = plt.subplots(2, 3, squeeze=False)
        with pytest.raises(ValueError, match=r"6 panel.*has the shape \(2, 3\).*subplots\(3, 2\)"):
            panels_for(self, axes, 3, 2)
        np.testing.assert_array_equal(panels_for(self, axes[:, :1], 1, 2), axes[:, :1].T)

    def test_one_panel_is_no_array(self):
        _, axes = plt.subplots(2, 2)
        assert axes_of(axes[:1, :1]) is axes[0, 0]
        assert axes_of(axes[:, :1]).shape == (2,)
        assert axes_of(axes).shape == (2, 2)

    @pytest.mark.parametrize(
        ("values", "expected"),
        [
            ([1.0, 20.0], False),
            ([1.0, 20.1], True),
            ([0.0, 100.0], False),
            ([-1.0, 100.0], False),
            ([1.0, np.nan, 30.0], True),
            ([1.0, np.inf], False),
            ([], False),
        ],
    )
    def test_spans(self, values, expected):
        assert spans(values, 20.0) == expected

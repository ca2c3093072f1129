"""Displays of trained networks, with the interface of scikit-learn's displays."""

from skbn.displays.activation_drift import ActivationDriftDisplay
from skbn.displays.activation_recorder import ActivationRecord, ActivationRecorder
from skbn.displays.curves import TrainingCurves
from skbn.displays.sensitivity import SensitivityCurve, SensitivityDisplay
from skbn.displays.training_curve import TrainingCurveDisplay

__all__ = [
    "ActivationDriftDisplay",
    "ActivationRecord",
    "ActivationRecorder",
    "SensitivityCurve",
    "SensitivityDisplay",
    "TrainingCurveDisplay",
    "TrainingCurves",
]

"""Batch normalization for scikit-learn."""

try:
    from skbn.displays.activation_drift import ActivationDriftDisplay
    from skbn.displays.activation_recorder import ActivationRecorder
    from skbn.displays.sensitivity import SensitivityDisplay
    from skbn.displays.training_curve import TrainingCurveDisplay
    from skbn.estimators.ensemble_classifier import MLPEnsembleWithBatchNormClassifier
    from skbn.estimators.ensemble_regressor import MLPEnsembleWithBatchNormRegressor
    from skbn.estimators.mlp_classifier import MLPWithBatchNormClassifier
    from skbn.estimators.mlp_regressor import MLPWithBatchNormRegressor
    from skbn.estimators.rnn_classifier import RNNWithBatchNormClassifier
    from skbn.estimators.rnn_regressor import RNNWithBatchNormRegressor
    from skbn.estimators.transformer import BatchNormTransformer
    from skbn.versions import __version__, show_versions
except ImportError as error:
    from skbn.unbuilt import explain

    explain(error)
    raise

# The classifier under the package's short name.
MLPWithBatchNorm = MLPWithBatchNormClassifier

__all__ = [
    "ActivationDriftDisplay",
    "ActivationRecorder",
    "BatchNormTransformer",
    "MLPEnsembleWithBatchNormClassifier",
    "MLPEnsembleWithBatchNormRegressor",
    "MLPWithBatchNorm",
    "MLPWithBatchNormClassifier",
    "MLPWithBatchNormRegressor",
    "RNNWithBatchNormClassifier",
    "RNNWithBatchNormRegressor",
    "SensitivityDisplay",
    "TrainingCurveDisplay",
    "__version__",
    "show_versions",
]

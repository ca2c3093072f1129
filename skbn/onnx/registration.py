"""Converters of all estimators, registered with skl2onnx."""

from types import ModuleType

from skbn.estimators.ensemble_classifier import MLPEnsembleWithBatchNormClassifier
from skbn.estimators.ensemble_regressor import MLPEnsembleWithBatchNormRegressor
from skbn.estimators.mlp_classifier import MLPWithBatchNormClassifier
from skbn.estimators.mlp_regressor import MLPWithBatchNormRegressor
from skbn.estimators.rnn_classifier import RNNWithBatchNormClassifier
from skbn.estimators.rnn_regressor import RNNWithBatchNormRegressor
from skbn.estimators.transformer import BatchNormTransformer


def register() -> None:
    """Teach skl2onnx to convert the estimators of skbn to ONNX.

    Call this function once, before ``skl2onnx.to_onnx`` or ``skl2onnx.convert_sklearn``. A second
    call changes nothing. The converters serve estimators that stand alone, and estimators inside of
    scikit-learn's :class:`~sklearn.pipeline.Pipeline` and other models that skl2onnx converts.

    Raises
    ------
    ImportError
        If skl2onnx is not installed.

    Notes
    -----
    A graph computes in float32, or in float64 if its input is a ``DoubleTensorType``. It does not
    check its rows: NaN and infinity give outputs without a meaning instead of an error. It needs
    ``target_opset=13`` or a larger number.

    skl2onnx reads a model several times during a conversion. Do not fit the model in another thread
    meanwhile.

    Examples
    --------
    >>> from skbn.onnx import register
    >>> register()  # doctest: +SKIP
    >>> from skl2onnx import to_onnx  # doctest: +SKIP
    >>> onnx = to_onnx(model, X[:1].astype("float32"))  # doctest: +SKIP
    """
    try:
        from skl2onnx import update_registered_converter
    except ImportError as error:
        raise ImportError(
            'skbn.onnx needs skl2onnx, which is not installed: pip install "skbn[onnx]"'
        ) from error
    # These files import skl2onnx, so they are imported late.
    from skbn.onnx import ensemble, mlp, recurrent, transformer
    from skbn.onnx.outputs import CLASSIFIER_OPTIONS
    from skbn.onnx.parsers import parse, parse_classifier

    files: dict[type, ModuleType] = {
        BatchNormTransformer: transformer,
        MLPWithBatchNormClassifier: mlp,
        MLPWithBatchNormRegressor: mlp,
        MLPEnsembleWithBatchNormClassifier: ensemble,
        MLPEnsembleWithBatchNormRegressor: ensemble,
        RNNWithBatchNormClassifier: recurrent,
        RNNWithBatchNormRegressor: recurrent,
    }
    for cls, file in files.items():
        is_classifier = hasattr(cls, "predict_proba")
        update_registered_converter(
            cls,
            f"Skbn{cls.__name__}",
            file.shapes,
            file.convert,
            parser=parse_classifier if is_classifier else parse,
            options=CLASSIFIER_OPTIONS if is_classifier else None,
        )

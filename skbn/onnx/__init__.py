"""Converters from the estimators of skbn to ONNX, for skl2onnx (``pip install "skbn[onnx]"``)."""

from skbn.onnx.registration import register

__all__ = ["register"]

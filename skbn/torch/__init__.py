"""Fitted networks as modules of PyTorch, and back. Needs the extra ``torch``."""

try:
    import torch  # noqa: F401
except ImportError as error:
    raise ImportError('skbn.torch needs PyTorch: pip install "skbn[torch]"') from error

from skbn.torch.ensemble import EnsembleClassifierModule, EnsembleModule, EnsembleRegressorModule
from skbn.torch.export import to_torch
from skbn.torch.mlp import MLPClassifierModule, MLPModule, MLPRegressorModule
from skbn.torch.restore import from_torch

__all__ = [
    "EnsembleClassifierModule",
    "EnsembleModule",
    "EnsembleRegressorModule",
    "MLPClassifierModule",
    "MLPModule",
    "MLPRegressorModule",
    "from_torch",
    "to_torch",
]

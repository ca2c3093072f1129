"""From the raw outputs of a network to skbn's predictions."""

import numpy as np
import torch
from torch import Tensor, nn

from skbn.torch.rounding import in_two_parts, rounded


class ClassOutputs(nn.Module):
    """Probabilities and classes from raw outputs.

    Parameters
    ----------
    targets : ClassTargets
        The targets of a fitted classifier.
    dtype : torch.dtype
        The dtype of the network.
    """

    prior: Tensor
    temperature: Tensor

    def __init__(self, targets, dtype):
        super().__init__()
        self.n_classes = len(targets.classes)
        self.is_multilabel = targets.is_multilabel
        self.is_calibrated = targets.temperature is not None
        if self.is_calibrated:
            self.register_buffer("prior", rounded("The class prior", targets.prior, dtype))
            self.register_buffer("temperature", torch.tensor(targets.temperature, dtype=dtype))

    def calibrated(self, z: Tensor) -> Tensor:
        if not self.is_calibrated:
            return z
        return self.prior + (z - self.prior) / self.temperature

    def probabilities(self, z: Tensor) -> Tensor:
        z = self.calibrated(z)
        if self.is_multilabel:
            return torch.sigmoid(z)
        if z.shape[1] > 1:
            return torch.softmax(z, dim=1)
        if self.n_classes == 1:
            return torch.ones_like(z)
        return torch.cat([torch.sigmoid(-z), torch.sigmoid(z)], dim=1)

    def forward(self, z: Tensor) -> Tensor:
        z = self.calibrated(z)
        if self.is_multilabel:
            return (z > 0).long()
        if z.shape[1] > 1:
            return z.argmax(dim=1)
        return (z[:, 0] > 0).long().clamp(max=self.n_classes - 1)

    def extra_repr(self) -> str:
        return f"n_classes={self.n_classes}, calibrated={self.is_calibrated}"


class RealOutputs(nn.Module):
    """Predictions in the unit of the target from raw outputs.

    The prediction is ``scale * z + shift``, or ``exp(slope * z) * scale`` for the Poisson loss. The
    slope is 1, and 0 for a target that was the same in all rows.

    Parameters
    ----------
    targets : RealTargets
        The targets of a fitted regressor.
    dtype : torch.dtype
        The dtype of the network.
    """

    scale: Tensor
    shift: Tensor
    shift_rest: Tensor
    slope: Tensor

    def __init__(self, targets, dtype):
        super().__init__()
        self.is_exponential = targets.out_activation == "exp"
        mean, var = np.zeros(targets.n_outputs), np.ones(targets.n_outputs)
        if targets.moments is not None:
            mean, var, _ = targets.moments
        elif self.is_exponential:
            mean = np.ones(targets.n_outputs)
        scale = mean if self.is_exponential else np.sqrt(var)
        self.register_buffer("scale", rounded("The target", scale, dtype))
        if self.is_exponential:
            self.register_buffer("slope", torch.from_numpy(1.0 * (var > 0.0)).to(dtype))
        else:
            shift, rest = in_two_parts("The target", mean, dtype)
            self.register_buffer("shift", shift)
            self.register_buffer("shift_rest", rest)

    def forward(self, z: Tensor) -> Tensor:
        if self.is_exponential:
            return torch.exp(self.slope * z) * self.scale
        return (z * self.scale + self.shift_rest) + self.shift

    def normalized(self, y: Tensor) -> Tensor:
        """Targets of shape (n, n_outputs) as the network learns them."""
        divisor = torch.where(self.scale > 0.0, self.scale, 1.0)
        if self.is_exponential:
            return y / divisor
        return ((y - self.shift) - self.shift_rest) / divisor

    def extra_repr(self) -> str:
        return f"{len(self.scale)}, link={'exp' if self.is_exponential else 'identity'}"

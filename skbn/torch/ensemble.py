"""An ensemble of perceptrons as a module of PyTorch."""

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from skbn.torch.mlp import MLPModule, PredictingModule
from skbn.torch.outputs import ClassOutputs
from skbn.torch.rounding import in_two_parts


class EnsembleModule(PredictingModule):
    """Base of :class:`EnsembleClassifierModule` and :class:`EnsembleRegressorModule`.

    Attributes
    ----------
    members : torch.nn.ModuleList of MLPModule
        The perceptrons. Each member can be trained by itself, as skbn trains it.
    """

    def __init__(self, members: list[MLPModule]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)


class EnsembleClassifierModule(EnsembleModule):
    """An ensemble of perceptrons for classes, made by :func:`to_torch`.

    Attributes
    ----------
    members : torch.nn.ModuleList of MLPClassifierModule
        The perceptrons.
    decode : ClassOutputs
        The temperature of the mean of the members' raw outputs, in buffers.
    classes_ : ndarray of shape (n_classes,)
        The classes. :meth:`predict` gives their numbers.
    """

    classes_: NDArray[Any]

    def __init__(self, members: list[MLPModule], decode: ClassOutputs) -> None:
        super().__init__(members)
        self.decode = decode

    def forward(self, x: Tensor) -> Tensor:
        """The mean of the members' raw outputs: logits before the temperature.

        Parameters
        ----------
        x : Tensor of shape (n, n_features), floating point
            The rows.

        Returns
        -------
        z : Tensor of shape (n, n_outputs)
        """
        return torch.stack([member(x) for member in self.members]).mean(dim=0)

    def predict_proba(self, x: Tensor) -> Tensor:
        """skbn's probabilities, as in :meth:`MLPClassifierModule.predict_proba`.

        Parameters
        ----------
        x : Tensor of shape (n, n_features), floating point
            The rows.

        Returns
        -------
        probabilities : Tensor of shape (n, n_classes)
        """
        return self._decoded(x, self.decode.probabilities)

    def predict(self, x: Tensor) -> Tensor:
        """skbn's predictions, as in :meth:`MLPModule.predict`.

        Parameters
        ----------
        x : Tensor of shape (n, n_features), floating point
            The rows.

        Returns
        -------
        y : Tensor of shape (n,) or (n, n_labels)
        """
        return self._decoded(x, self.decode)


class EnsembleRegressorModule(EnsembleModule):
    """An ensemble of perceptrons for real targets, made by :func:`to_torch`.

    Attributes
    ----------
    members : torch.nn.ModuleList of MLPRegressorModule
        The perceptrons.
    target_range, target_range_rest : Tensor of shape (2, n_outputs)
        Their sum is the smallest and the largest training target of each output. Predictions of the
        members are clipped to this range.
    """

    target_range: Tensor
    target_range_rest: Tensor

    if TYPE_CHECKING:
        members: Any

    def __init__(
        self, members: list[MLPModule], target_range: NDArray[np.float64], dtype: torch.dtype
    ) -> None:
        super().__init__(members)
        # Two parts keep the digits of targets far from 0.
        bounds, rest = in_two_parts("The range of the target", target_range, dtype)
        self.register_buffer("target_range", bounds)
        self.register_buffer("target_range_rest", rest)

    def forward(self, x: Tensor) -> Tensor:
        """The mean of the members' predictions in the unit of the target, which are not clipped.

        The raw outputs of the members have different units, because each member has its own rows.

        Parameters
        ----------
        x : Tensor of shape (n, n_features), floating point
            The rows.

        Returns
        -------
        y : Tensor of shape (n, n_outputs)
        """
        return torch.stack([member.decode(member(x)) for member in self.members]).mean(dim=0)

    def predict(self, x: Tensor) -> Tensor:
        """skbn's predictions: the mean of the members' predictions, which are clipped.

        Parameters
        ----------
        x : Tensor of shape (n, n_features), floating point
            The rows.

        Returns
        -------
        y : Tensor of shape (n,) or (n, n_outputs)
        """
        predictions = [member._decoded(x, member.decode) for member in self.members]
        dtype = predictions[0].dtype
        least, most = self.target_range.to(dtype) + self.target_range_rest.to(dtype)
        y = torch.stack([one.clamp(least, most) for one in predictions]).mean(dim=0)
        return y.squeeze(1) if y.shape[1] == 1 else y

"""The transformer as PyTorch's batch norm."""

import numpy as np
import torch
from torch import Tensor, nn

from skbn.estimators.columns import divisor


class RowNorm(nn.BatchNorm1d):
    """``BatchNorm1d`` of rows of two dimensions.

    For three dimensions ``BatchNorm1d`` takes the features from the axis in the middle, and a
    transformer takes them from the last axis.
    """

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim != 2:
            raise ValueError(
                f"x has the shape {tuple(x.shape)}, but must have two dimensions. Flatten time "
                "steps that share their statistics: module(x.flatten(0, 1)).view_as(x)."
            )
        return super().forward(x)


def batch_norm_of(model):
    """``BatchNorm1d`` in evaluation mode, in float64, with the outputs of ``model.transform``.

    The divisor of a constant column is 1, so its running variance becomes ``1 - epsilon``.

    Raises
    ------
    ValueError
        If each time step has its own statistics, or if the fitted state is damaged.
    NotFittedError
        If the transformer is not fitted.
    """
    fitted = model._look()
    fitted._check_state()
    mean, var = fitted.running_mean_, fitted.running_var_
    if mean.ndim > 1:
        raise ValueError(
            "BatchNorm1d has no statistics for each time step. A transformer with "
            "time_statistics='shared' can be converted."
        )
    spread = divisor(mean, var, fitted.n_samples_seen_, fitted.epsilon)
    state = {
        "weight": fitted.gamma_,
        "bias": fitted.beta_,
        "running_mean": mean,
        "running_var": np.where(spread == 1.0, 1.0 - fitted.epsilon, var),
        "num_batches_tracked": np.array(fitted.n_batches_seen_),
    }
    norm = RowNorm(fitted.n_features_in_, fitted.epsilon, fitted.momentum, dtype=torch.float64)
    norm.load_state_dict({name: torch.tensor(array) for name, array in state.items()})
    return norm.eval()

"""The layers in front of the first linear map: normalization, embedding, factors of the inputs."""

import numpy as np
import torch
from torch import Tensor, nn

from skbn.kernels.periodic import EMBEDDED, FREQUENCIES
from skbn.torch.rounding import in_two_parts, rounded

# The smooth clip of skbn.kernels.gather: numbers beyond FARTHEST are set to it, and results lie
# between -LIMIT and LIMIT.
FARTHEST, LIMIT = 1e6, 3.0


class InputMap(nn.Module):
    """The fixed normalization of the columns: ``(x - center) * factor``, then the smooth clip.

    Parameters
    ----------
    center, factor : ndarray of shape (n_features,), float64
    clipped : bool
        Whether the smooth clip follows.
    dtype : torch.dtype
        The dtype of the network.

    Notes
    -----
    ``center + center_rest`` is the center. Two tensors keep the digits of a center that is far from
    0, in float32 and after ``module.float()``, too.
    """

    center: Tensor
    center_rest: Tensor
    factor: Tensor

    def __init__(self, center, factor, clipped, dtype):
        super().__init__()
        center, rest = in_two_parts("The center of a column", center, dtype)
        self.register_buffer("center", center)
        self.register_buffer("center_rest", rest)
        self.register_buffer("factor", rounded("The factor of a column", factor, dtype))
        self.clipped = clipped

    def forward(self, x: Tensor) -> Tensor:
        x = (((x - self.center) - self.center_rest) * self.factor).to(self.factor.dtype)
        if self.clipped:
            x = x.clamp(-FARTHEST, FARTHEST)
            x = x / torch.sqrt(1.0 + (x / LIMIT) ** 2)
        return x

    def extra_repr(self) -> str:
        return f"{len(self.factor)}, clipped={self.clipped}"


class PeriodicEmbedding(nn.Module):
    """The periodic embedding of numeric columns: ``[cos(x w + b) W + a, x]`` for each column x.

    Parameters
    ----------
    n_columns : int
        Columns of a row.
    columns : list of int
        The columns that are embedded, in ascending order. The other columns stay as they are.
    dtype : torch.dtype
        The dtype of the network.
    """

    columns: Tensor
    order: Tensor

    def __init__(self, n_columns, columns, dtype):
        super().__init__()
        n, n_new = len(columns), EMBEDDED - 1
        self.frequencies = nn.Parameter(torch.empty(n, FREQUENCIES, dtype=dtype))
        self.phases = nn.Parameter(torch.empty(n, FREQUENCIES, dtype=dtype))
        self.weight = nn.Parameter(torch.empty(n, FREQUENCIES, n_new, dtype=dtype))
        self.bias = nn.Parameter(torch.empty(n, n_new, dtype=dtype))
        self.register_buffer("columns", torch.tensor(columns))
        # The new numbers of a column stand in front of the column. `forward` computes all columns
        # first, and then all new numbers, so it sorts them.
        places = np.concatenate([np.arange(n_columns), np.repeat(columns, n_new) - 0.5])
        order = torch.from_numpy(np.argsort(places, kind="stable"))
        self.register_buffer("order", order, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        own = x[:, self.columns]
        cosines = torch.cos(own[:, :, None] * self.frequencies + self.phases)
        new = torch.einsum("nmf,mfe->nme", cosines, self.weight) + self.bias
        return torch.cat([x, new.flatten(1)], dim=1)[:, self.order]

    def extra_repr(self) -> str:
        return f"columns={len(self.columns)}"


class InputScale(nn.Module):
    """A trained factor for each input of the first linear map."""

    def __init__(self, n_inputs, dtype):
        super().__init__()
        self.factor = nn.Parameter(torch.empty(n_inputs, dtype=dtype))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor

    def extra_repr(self) -> str:
        return f"{len(self.factor)}"

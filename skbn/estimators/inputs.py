"""The fixed normalization of the columns in front of a network."""

import numpy as np
from scipy.sparse import issparse

from skbn.kernels.gather import gather
from skbn.network.table import Table

# normalize_input, beside None: whether what is far out is drawn in.
CLIPPED = {"standard": False, "smooth_clip": True}


def input_table(X, mean, invstd, clipped, y=None, sample_weight=None):
    """Checked data as the table that a network takes.

    Dense rows are normalized when they are gathered. Of a sparse table t_ij = (x_ij - m_j) s_j,
    whose zeros are at z_j = -m_j s_j, a network takes the affine part by itself; through the
    smooth clip f the zeros are at f(z_j), so its entries are f(t_ij) - f(z_j), less -f(z_j).
    """
    if clipped and issparse(X):
        zeros = -mean * invstd
        at_entries = (X.data - mean[X.indices]) * invstd[X.indices]
        X = X.copy()
        X.data = smooth_clip(at_entries) - smooth_clip(zeros)[X.indices]
        mean, invstd, clipped = -smooth_clip(zeros), np.ones_like(invstd), False
    return Table(X, y, sample_weight, mean, invstd, clipped)


def smooth_clip(values):
    """t / sqrt(1 + (t / 3)^2) of a vector, float64."""
    return gather(values.reshape(1, -1), dtype=float, clipped=True)[0]

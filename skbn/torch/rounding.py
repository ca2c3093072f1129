"""Numbers in float64 as tensors of the dtype of a module."""

import numpy as np
import torch

# The largest relative error that rounding may cause. Numbers too small to be normal numbers of
# float32 have larger errors.
ROUNDING = 1e-6


def rounded(name, values, dtype):
    """The tensor of numbers in float64 that are rounded to `dtype`.

    Raises
    ------
    ValueError
        If a number leaves the range of `dtype`. The message calls the numbers `name`.
    """
    exact = torch.from_numpy(np.array(values, np.float64))
    tensor = exact.to(dtype)
    if not torch.isfinite(tensor).all() or (tensor - exact).abs().gt(ROUNDING * exact.abs()).any():
        raise ValueError(
            f"{name} has a number that leaves the range of {dtype}. Fit the network with "
            "dtype='float64', or give the data in other units."
        )
    return tensor


def in_two_parts(name, values, dtype):
    """Numbers as the sum of two tensors: the numbers in float32, and their rounding errors.

    In float32 a center far from 0 would lose digits, and `x - center` would be wrong. Tensors of
    float64 are split in the same place, so that ``module.float()`` keeps the digits.
    """
    exact = torch.from_numpy(np.array(values, np.float64))
    short = exact.float().double()
    short = torch.where(torch.isfinite(short), short, exact)
    return rounded(name, short.numpy(), dtype), (exact - short).to(dtype)

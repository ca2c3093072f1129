from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

_Floats: TypeAlias = NDArray[np.floating[Any]]
_Float64: TypeAlias = NDArray[np.float64]

def forward(
    x: ArrayLike,
    gamma: ArrayLike,
    beta: ArrayLike,
    epsilon: float = 1e-5,
    sample_weight: ArrayLike | None = None,
) -> tuple[_Floats, _Float64, _Float64, _Float64]: ...
def relu_forward(
    x: ArrayLike,
    gamma: ArrayLike,
    beta: ArrayLike,
    epsilon: float = 1e-5,
    sample_weight: ArrayLike | None = None,
) -> tuple[_Floats, _Float64, _Float64, _Float64]: ...
def backward(
    dy: ArrayLike,
    x: ArrayLike,
    gamma: ArrayLike,
    batch_mean: ArrayLike,
    batch_invstd: ArrayLike,
    sample_weight: ArrayLike | None = None,
) -> tuple[_Floats, _Floats, _Floats]: ...
def relu_backward(
    dy: ArrayLike,
    y: ArrayLike,
    x: ArrayLike,
    gamma: ArrayLike,
    batch_mean: ArrayLike,
    batch_invstd: ArrayLike,
    sample_weight: ArrayLike | None = None,
) -> tuple[_Floats, _Floats, _Floats]: ...
def infer(
    x: ArrayLike,
    gamma: ArrayLike,
    beta: ArrayLike,
    running_mean: ArrayLike,
    running_var: ArrayLike,
    epsilon: float = 1e-5,
) -> _Floats: ...

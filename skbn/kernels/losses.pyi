from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

_Floats: TypeAlias = NDArray[np.floating[Any]]

LOSSES: dict[str, int]
MEAN_OVER_OUTPUTS: set[str]
WITH_PARAMETER: set[str]

def softmax_log_loss(
    z: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
) -> tuple[float, _Floats]: ...
def logistic_log_loss(
    z: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
) -> tuple[float, _Floats]: ...
def squared_error(
    z: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
) -> tuple[float, _Floats]: ...
def absolute_error(
    z: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
) -> tuple[float, _Floats]: ...
def poisson(
    z: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
) -> tuple[float, _Floats]: ...
def quantile(
    z: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None, quantile: float = 0.5
) -> tuple[float, _Floats]: ...

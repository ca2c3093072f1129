from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

_Floats: TypeAlias = NDArray[np.floating[Any]]
_Activation: TypeAlias = Literal[
    "identity", "logistic", "tanh", "relu", "silu", "gelu", "mish", "leaky_relu"
]

ACTIVATIONS: dict[str, int]
IN_PLACE: set[str]

def forward(x: ArrayLike, activation: _Activation) -> _Floats: ...
def backward(dy: ArrayLike, x: ArrayLike, y: ArrayLike, activation: _Activation) -> _Floats: ...

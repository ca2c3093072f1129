from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

_Floats: TypeAlias = NDArray[np.floating[Any]]

OPTIMIZERS: dict[str, int]

def sgd(
    parameters: _Floats,
    velocity: _Floats,
    gradient: _Floats,
    learning_rate: float,
    momentum: float = 0.0,
    nesterov: bool = False,
) -> None: ...
def adam(
    parameters: _Floats,
    first_moment: _Floats,
    second_moment: _Floats,
    gradient: _Floats,
    learning_rate: float,
    step: int,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-8,
) -> None: ...
def adamw(
    parameters: _Floats,
    first_moment: _Floats,
    second_moment: _Floats,
    gradient: _Floats,
    learning_rate: float,
    step: int,
    weight_decay: float,
    n_weights: int,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-8,
) -> None: ...
def rmsprop(
    parameters: _Floats,
    velocity: _Floats,
    square_average: _Floats,
    gradient: _Floats,
    learning_rate: float,
    decay: float = 0.99,
    momentum: float = 0.0,
    epsilon: float = 1e-8,
) -> None: ...
def clip(
    gradient: _Floats,
    max_norm: float,
) -> float: ...

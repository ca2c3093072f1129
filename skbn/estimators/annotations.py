"""Types of the public methods, and decorators that keep the type of a method.

Editors and type checkers read the annotations. Nothing reads them at run time.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import sparray, spmatrix

__all__ = [
    "Activation",
    "Cell",
    "ClassWeight",
    "Floats",
    "LayerSizes",
    "LearningRate",
    "Loss",
    "MatrixLike",
    "Pooling",
    "RandomState",
    "Result",
    "Scoring",
    "Solver",
    "available_if",
    "fit_context",
]

# A table, dense or sparse, or targets.
MatrixLike: TypeAlias = ArrayLike | spmatrix | sparray

Floats: TypeAlias = NDArray[np.floating[Any]]

# An array, or a sparse matrix for sparse labels, or a data frame after ``set_output``. With Any,
# type checkers accept the methods of all of these.
Result: TypeAlias = NDArray[Any] | Any

Activation: TypeAlias = Literal[
    "identity", "logistic", "tanh", "relu", "silu", "gelu", "mish", "leaky_relu"
]
Cell: TypeAlias = Literal["lstm", "gru", "tanh"]
ClassWeight: TypeAlias = dict[Any, Any] | list[dict[Any, Any]] | Literal["balanced"] | None
LayerSizes: TypeAlias = int | Sequence[int] | NDArray[np.integer[Any]]
LearningRate: TypeAlias = Literal["constant", "invscaling", "adaptive", "cosine", "one_cycle"]
Loss: TypeAlias = Literal["squared_error", "absolute_error", "quantile", "poisson"]
Pooling: TypeAlias = Literal["last", "mean", "max", "mean_max"]
RandomState: TypeAlias = int | np.random.RandomState | None
Scoring: TypeAlias = str | Callable[..., float] | None
Solver: TypeAlias = Literal["lbfgs", "sgd", "adam", "rmsprop"]

if TYPE_CHECKING:
    Method = TypeVar("Method", bound=Callable[..., Any])

    # scikit-learn's decorators have no annotations, so the type of a decorated method is lost.
    def fit_context(*, prefer_skip_nested_validation: bool) -> Callable[[Method], Method]: ...
    def available_if(check: Callable[[Any], bool]) -> Callable[[Method], Method]: ...

else:
    from sklearn.base import _fit_context as fit_context
    from sklearn.utils.metaestimators import available_if

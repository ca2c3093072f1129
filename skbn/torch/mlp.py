"""A perceptron as a module of PyTorch."""

from typing import TYPE_CHECKING, Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from skbn.network.plan import PARAMETERS
from skbn.torch.inputs import InputScale
from skbn.torch.outputs import ClassOutputs, RealOutputs

# The factor on the learning rate of the factors of the inputs.
SCALE_RATE = next(rate for names, rate, _ in PARAMETERS if names == ("scale",))


def check_rows(x: Tensor, n_features: int) -> None:
    """Refuse integers, which PyTorch would round to float32, and columns that it would repeat.

    Raises
    ------
    TypeError
        If `x` is no tensor of floating-point numbers.
    ValueError
        If `x` has another shape than (n, n_features).
    """
    if not isinstance(x, Tensor):
        raise TypeError(f"x is a {type(x).__name__}: give a tensor, torch.from_numpy(x)")
    if not x.is_floating_point():
        raise TypeError(f"x is a tensor of {x.dtype}: give floating-point numbers, x.double()")
    if x.ndim != 2 or x.shape[1] != n_features:
        raise ValueError(f"x has the shape {tuple(x.shape)}, but must have {n_features} columns")


class PredictingModule(nn.Module):
    """Base of the modules that :func:`to_torch` makes; not to be used by itself."""

    def _decoded(self, x: Tensor, decode: Any) -> Tensor:
        """``decode`` of the raw outputs, in the wider of the dtypes of `x` and of the network."""
        if self.training:
            raise RuntimeError(
                "The module is in training mode, in which batch norm normalizes by the present "
                "rows: call module.eval() before a prediction."
            )
        z = self(x)
        return decode(z.to(torch.promote_types(x.dtype, z.dtype)))


class MLPModule(PredictingModule):
    """Base of :class:`MLPClassifierModule` and :class:`MLPRegressorModule`.

    :func:`to_torch` makes modules of this class.

    Attributes
    ----------
    n_features_in_ : int
        Number of columns of a row.
    normalize : InputMap or torch.nn.Identity
        The fixed normalization of the columns, in buffers.
    embed : PeriodicEmbedding or torch.nn.Identity
        The periodic embedding of the columns.
    scale : InputScale or torch.nn.Identity
        The trained factors of the inputs.
    hidden : torch.nn.Sequential
        An entry for each hidden layer. The entry is a :class:`torch.nn.Sequential` with the layers
        ``linear`` (:class:`torch.nn.Linear`), ``norm`` (:class:`torch.nn.BatchNorm1d`),
        ``activation`` and ``dropout``. It has the layers that the network has, in their order.
    output : torch.nn.Linear
        The output layer.
    decode : ClassOutputs or RealOutputs
        From raw outputs to predictions: the temperature, or the moments of the target, in buffers.
    """

    def __init__(
        self,
        normalize: nn.Module,
        embed: nn.Module,
        scale: nn.Module,
        hidden: nn.Sequential,
        output: nn.Linear,
        decode: nn.Module,
        n_features: int,
    ) -> None:
        super().__init__()
        self.n_features_in_ = n_features
        self.normalize = normalize
        self.embed = embed
        self.scale = scale
        self.hidden = hidden
        self.output = output
        self.decode = decode

    def forward(self, x: Tensor) -> Tensor:
        """Raw outputs of the network.

        Parameters
        ----------
        x : Tensor of shape (n, n_features), floating point
            The rows, with the columns that the estimator was fitted to.

        Returns
        -------
        z : Tensor of shape (n, n_outputs), dtype of the parameters
            Of a classifier: logits before the temperature, one for two classes. Of a regressor:
            the standardized target; for the Poisson loss, the logarithm of the target divided by
            its mean.

        Raises
        ------
        TypeError
            If `x` is a tensor of integers.
        ValueError
            If `x` has another shape.
        """
        check_rows(x, self.n_features_in_)
        x = self.normalize(x).to(self.output.weight.dtype)
        return self.output(self.hidden(self.scale(self.embed(x))))

    def predict(self, x: Tensor) -> Tensor:
        """skbn's predictions.

        Parameters
        ----------
        x : Tensor of shape (n, n_features), floating point
            The rows.

        Returns
        -------
        y : Tensor
            Of a classifier: the numbers of the classes in ``classes_``, of shape (n,), or 0 and 1
            for each label, of shape (n, n_labels). Of a regressor: predictions in the unit of the
            target, of shape (n,) or (n, n_outputs).

        Raises
        ------
        RuntimeError
            If the module is in training mode.
        TypeError
            If `x` is a tensor of integers.
        ValueError
            If `x` has another shape.
        """
        y = self._decoded(x, self.decode)
        return y.squeeze(1) if y.ndim == 2 and y.shape[1] == 1 else y

    def parameter_groups(
        self, learning_rate: float, weight_decay: float = 0.0
    ) -> list[dict[str, Any]]:
        """Groups for an optimizer of PyTorch, which then treats the parameters as skbn does.

        Parameters
        ----------
        learning_rate : float
            The learning rate of all parameters but the factors of the inputs, whose rate is six
            times as large.
        weight_decay : float, default=0.0
            The weight decay of the weights of linear layers. The other parameters have none.

        Returns
        -------
        groups : list of dict
            The first argument of an optimizer such as :class:`torch.optim.AdamW`.
        """
        weights = [layer.weight for layer in self.modules() if isinstance(layer, nn.Linear)]
        factors = [layer.factor for layer in self.modules() if isinstance(layer, InputScale)]
        apart = {id(parameter) for parameter in [*weights, *factors]}
        others = [parameter for parameter in self.parameters() if id(parameter) not in apart]
        groups = [
            {"params": weights, "lr": learning_rate, "weight_decay": weight_decay},
            {"params": others, "lr": learning_rate, "weight_decay": 0.0},
            {"params": factors, "lr": SCALE_RATE * learning_rate, "weight_decay": 0.0},
        ]
        return [group for group in groups if group["params"]]


class MLPClassifierModule(MLPModule):
    """A perceptron for classes, made by :func:`to_torch`.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The classes. :meth:`predict` gives their numbers. The attribute is no part of the state
        dict.

    See Also
    --------
    MLPModule : The layers.
    """

    if TYPE_CHECKING:
        decode: ClassOutputs

    classes_: NDArray[Any]

    def predict_proba(self, x: Tensor) -> Tensor:
        """skbn's probabilities, after the temperature.

        Parameters
        ----------
        x : Tensor of shape (n, n_features), floating point
            The rows.

        Returns
        -------
        probabilities : Tensor of shape (n, n_classes)
            Columns are in the order of ``classes_``.

        Raises
        ------
        RuntimeError
            If the module is in training mode.
        TypeError
            If `x` is a tensor of integers.
        ValueError
            If `x` has another shape.
        """
        return self._decoded(x, self.decode.probabilities)


class MLPRegressorModule(MLPModule):
    """A perceptron for real targets, made by :func:`to_torch`.

    See Also
    --------
    MLPModule : The layers.
    """

    if TYPE_CHECKING:
        decode: RealOutputs

    def normalized_target(self, y: Tensor) -> Tensor:
        """Targets as the network learns them, for a loss of the raw outputs.

        Parameters
        ----------
        y : Tensor of shape (n,) or (n, n_outputs), floating point
            Targets in their own unit.

        Returns
        -------
        target : Tensor of shape (n, n_outputs), dtype of the parameters
            Standardized targets; for the Poisson loss, targets divided by their mean. They are `y`
            for an estimator with ``normalize_target=False``.

        Raises
        ------
        TypeError
            If `y` is no tensor of floating-point numbers.
        ValueError
            If `y` has another shape.
        """
        if not isinstance(y, Tensor) or not y.is_floating_point():
            kind = y.dtype if isinstance(y, Tensor) else type(y).__name__
            raise TypeError(f"y is of {kind}: give a tensor of floating-point numbers")
        n_outputs = len(self.decode.scale)
        if y.ndim == 1 and n_outputs == 1:
            y = y[:, None]
        if y.ndim != 2 or y.shape[1] != n_outputs:
            raise ValueError(f"y has the shape {tuple(y.shape)}, but must have {n_outputs} columns")
        target = self.decode.normalized(y)
        return target.to(self.output.weight.dtype)

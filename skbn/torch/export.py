"""From a fitted estimator to a module of PyTorch."""

# Annotations are strings, because the documentation is built without PyTorch.
from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np
import torch
from torch import nn

from skbn.estimators.ensemble import BaseMLPEnsembleWithBatchNorm
from skbn.estimators.inputs import input_normalization
from skbn.estimators.mlp import BaseMLPWithBatchNorm
from skbn.estimators.transformer import BatchNormTransformer
from skbn.kernels.activations import ACTIVATIONS
from skbn.network.operations.registry import KINDS
from skbn.network.plan import (
    ACTIVATION,
    BATCH_NORM,
    DROPOUT,
    INPUTS,
    LINEAR,
    PERIODIC,
    embedded_of,
    embedded_units,
    is_scaled,
)
from skbn.torch.batch_norm import BatchNorm
from skbn.torch.ensemble import EnsembleClassifierModule, EnsembleModule, EnsembleRegressorModule
from skbn.torch.inputs import InputMap, InputScale, PeriodicEmbedding
from skbn.torch.mlp import MLPClassifierModule, MLPModule, MLPRegressorModule
from skbn.torch.outputs import ClassOutputs, RealOutputs
from skbn.torch.tensors import arrays_of
from skbn.torch.transformer import batch_norm_of

# The defaults of these layers are skbn's: the exact gelu, and the slope 0.01 of leaky_relu.
LAYERS = {
    "identity": nn.Identity,
    "logistic": nn.Sigmoid,
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
    "silu": nn.SiLU,
    "gelu": nn.GELU,
    "mish": nn.Mish,
    "leaky_relu": nn.LeakyReLU,
}


def to_torch(model: Any) -> MLPModule | EnsembleModule | nn.BatchNorm1d:
    """Convert a fitted estimator to a module of PyTorch.

    Parameters
    ----------
    model : MLPWithBatchNormClassifier, MLPWithBatchNormRegressor, \
            MLPEnsembleWithBatchNormClassifier, MLPEnsembleWithBatchNormRegressor or \
            BatchNormTransformer
        The fitted estimator. It does not change, and shares no memory with the module.

    Returns
    -------
    module : MLPClassifierModule, MLPRegressorModule, EnsembleClassifierModule, \
            EnsembleRegressorModule or torch.nn.BatchNorm1d
        The module in evaluation mode, in the dtype of the network (a transformer: float64).
        ``predict`` and ``predict_proba`` give skbn's predictions, and ``forward`` gives raw
        outputs, on which a loss of PyTorch trains the module. A transformer becomes a
        :class:`torch.nn.BatchNorm1d`, whose outputs are the transformed rows.

    Raises
    ------
    TypeError
        If `model` is another estimator, such as a recurrent network.
    ValueError
        If the module cannot have a part of the model; the message names the part. If the fitted
        state is damaged, or a number of it leaves the range of float32.
    NotFittedError
        If `model` is not fitted.

    See Also
    --------
    from_torch : The way back.

    Examples
    --------
    >>> import torch
    >>> from sklearn.datasets import load_digits
    >>> from skbn import MLPWithBatchNormClassifier
    >>> from skbn.torch import to_torch
    >>> X, y = load_digits(return_X_y=True)
    >>> mlp = MLPWithBatchNormClassifier(n_epochs=5, random_state=0).fit(X, y)
    >>> module = to_torch(mlp)
    >>> with torch.inference_mode():
    ...     probabilities = module.predict_proba(torch.from_numpy(X))
    >>> bool(abs(probabilities.numpy() - mlp.predict_proba(X)).max() < 1e-5)
    True
    """
    if isinstance(model, BaseMLPWithBatchNorm):
        fitted = model._look()
        fitted._check_state(numbers=True)
        return _perceptron(fitted)
    if isinstance(model, BaseMLPEnsembleWithBatchNorm):
        ensemble = model._look()
        ensemble._check_state()
        for member in ensemble.estimators_:
            member._check_state(numbers=True)
        return _ensemble(ensemble)
    if isinstance(model, BatchNormTransformer):
        return batch_norm_of(model)
    raise TypeError(
        "to_torch takes a fitted perceptron (MLPWithBatchNorm*), an ensemble of perceptrons "
        f"(MLPEnsembleWithBatchNorm*) or a BatchNormTransformer, got {type(model).__name__}."
    )


def _perceptron(fitted):
    dtype = torch.from_numpy(fitted._parameters[:0].copy()).dtype
    plan = fitted._plan
    n_columns = int(plan["n_out"][0])
    normalize, embed, scale = nn.Identity(), nn.Identity(), nn.Identity()
    center, factor, is_clipped = input_normalization(fitted)
    if center is not None:
        normalize = InputMap(center, factor, is_clipped, dtype)
    runs = embedded_of(plan)
    if runs:
        columns = [column for start, n in runs for column in range(start, start + n)]
        embed = PeriodicEmbedding(n_columns, columns, dtype)
    if is_scaled(plan):
        scale = InputScale(embedded_units(n_columns, runs), dtype)
    *hidden, output = _layers(plan, dtype)
    is_classifier = hasattr(fitted, "classes_")
    cls, outputs = (
        (MLPClassifierModule, ClassOutputs) if is_classifier else (MLPRegressorModule, RealOutputs)
    )
    module = cls(
        normalize,
        embed,
        scale,
        nn.Sequential(*(nn.Sequential(layer) for layer in hidden)),
        output["linear"],
        outputs(fitted._targets, dtype),
        n_columns,
    )
    if is_classifier:
        module.classes_ = fitted.classes_.copy()
    _load(module, fitted)
    return module.eval()


def _layers(plan, dtype):
    """The layers of PyTorch of each linear map and of the operations behind it, by their names."""
    names = {code: name for name, code in KINDS.items()}
    activations = {code: name for name, code in ACTIVATIONS.items()}
    layers = []
    for row in plan:
        kind, n_in, n_out = (int(row[name]) for name in ("kind", "n_in", "n_out"))
        if kind in (INPUTS, PERIODIC):
            continue  # these are no part of a layer
        if kind == LINEAR:
            linear = nn.Linear(n_in, n_out, bias=bool(row["bias"] >= 0), dtype=dtype)
            layers.append(OrderedDict(linear=linear))
        elif kind == BATCH_NORM:
            layers[-1]["norm"] = BatchNorm(
                n_out, eps=float(row["epsilon"]), momentum=float(row["momentum"]), dtype=dtype
            )
        elif kind == ACTIVATION:
            name = activations[int(row["activation"])]
            if name not in LAYERS:
                raise ValueError(f"to_torch does not know the activation {name!r}.")
            layers[-1]["activation"] = LAYERS[name]()
        elif kind == DROPOUT:
            layers[-1]["dropout"] = nn.Dropout(float(row["rate"]))
        else:
            raise ValueError(f"to_torch does not know the operation {names.get(kind, kind)!r}.")
    return layers


def _load(module, fitted):
    """Copy the parameters and the running statistics of a network to its module."""
    target = module.state_dict()
    with torch.no_grad():
        for name, array in arrays_of(fitted).items():
            target[name].copy_(torch.from_numpy(np.array(array)))
        for name, tensor in target.items():
            if name.endswith(".num_batches_tracked"):
                tensor.fill_(fitted._n_batches_tracked)


def _ensemble(fitted):
    members = [_perceptron(member) for member in fitted.estimators_]
    dtype = members[0].output.weight.dtype
    if hasattr(fitted, "classes_"):
        module = EnsembleClassifierModule(members, ClassOutputs(fitted._targets, dtype))
        module.classes_ = fitted.classes_.copy()
    else:
        module = EnsembleRegressorModule(members, fitted._target_range, dtype)
    return module.eval()

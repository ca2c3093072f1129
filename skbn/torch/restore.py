"""From the state of a module of PyTorch back to a fitted estimator."""

# Annotations are strings, because the documentation is built without PyTorch.
from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from torch import nn

from skbn.estimators.ensemble import BaseMLPEnsembleWithBatchNorm
from skbn.estimators.mlp import BaseMLPWithBatchNorm
from skbn.estimators.temperature import FLATTEST, STEEPEST
from skbn.estimators.training_run import TRAINING
from skbn.torch.export import to_torch
from skbn.torch.tensors import arrays_of

Model = TypeVar("Model", BaseMLPWithBatchNorm, BaseMLPEnsembleWithBatchNorm)

# Ends of the names of tensors that training does not change.
FIXED = (
    "normalize.center",
    "normalize.center_rest",
    "normalize.factor",
    "embed.columns",
    "decode.scale",
    "decode.shift",
    "decode.shift_rest",
    "decode.slope",
    "target_range",
    "target_range_rest",
)


def from_torch(state: nn.Module | Mapping[str, Any], model: Model) -> Model:
    """Convert a module of :func:`to_torch`, or its state dict, back to a fitted estimator.

    Parameters
    ----------
    state : torch.nn.Module or mapping of str to Tensor or ndarray
        The module, or its state dict. The tensors may be on any device, and may have any
        floating-point dtype. A mapping of arrays, as safetensors gives it, will do.
    model : MLPWithBatchNormClassifier, MLPWithBatchNormRegressor, \
            MLPEnsembleWithBatchNormClassifier or MLPEnsembleWithBatchNormRegressor
        The fitted estimator that the module was made from, or an estimator with the same layers
        and the same normalization of inputs and targets. It does not change.

    Returns
    -------
    estimator : estimator of the class of `model`
        A copy of `model` with the parameters, the running statistics and the temperature of the
        state. Its predictions are the predictions of the module. ``partial_fit`` and a warm start
        train it further, with a new optimizer.

    Raises
    ------
    TypeError
        If `state` is no module and no mapping of tensors, or if `model` is another estimator.
    ValueError
        If ``to_torch(model)`` has other names, shapes or dtypes of tensors, if a module has other
        classes or activations, if a number is not finite or a running variance is negative, if the
        temperature is out of range, or if the model has another normalization of the inputs or of
        the target. The message names the tensor.
    NotFittedError
        If `model` is not fitted.

    Notes
    -----
    A number of the state that is the number of `model` in the dtype of the state does not change
    the number of `model`. So a state without training gives the same estimator, bit by bit, and its
    running statistics keep float64.

    The temperature belongs to the parameters with which it was fitted. After training in PyTorch it
    is too low or too high for the new parameters. Set ``module.decode.temperature`` to a better
    number, or to 1.

    The curves, ``loss_`` and ``n_iter_`` of the result tell the training in skbn alone.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from skbn import MLPWithBatchNormClassifier
    >>> from skbn.torch import from_torch, to_torch
    >>> X, y = load_digits(return_X_y=True)
    >>> mlp = MLPWithBatchNormClassifier(n_epochs=5, random_state=0).fit(X, y)
    >>> same = from_torch(to_torch(mlp).state_dict(), mlp)
    >>> bool(np.array_equal(same.predict_proba(X), mlp.predict_proba(X)))
    True
    """
    module = state if isinstance(state, nn.Module) else None
    if module is not None:
        state = module.state_dict()
    if not isinstance(state, Mapping):
        raise TypeError(f"from_torch takes a module or its state dict, got {type(state).__name__}.")
    if not isinstance(model, (BaseMLPWithBatchNorm, BaseMLPEnsembleWithBatchNorm)):
        raise TypeError(
            "from_torch gives a perceptron (MLPWithBatchNorm*) or an ensemble of perceptrons "
            f"(MLPEnsembleWithBatchNorm*), but model is a {type(model).__name__}."
        )
    fitted = model._look()
    same = to_torch(fitted)
    tensors = _checked(state, same.state_dict())
    if module is not None:
        _check_module(module, same)
    if isinstance(fitted, BaseMLPEnsembleWithBatchNorm):
        fitted.estimators_ = [
            _renewed(member, _of_member(tensors, number))
            for number, member in enumerate(fitted.estimators_)
        ]
        _take_temperature(fitted, tensors)
        _begin_training(fitted)
        fitted._check_state()
        return fitted
    return _renewed(fitted, tensors)


def _check_module(module, expected):
    """Refuse a module with other classes or activations, which a state dict does not tell."""
    classes = getattr(module, "classes_", None)
    if classes is not None and not np.array_equal(classes, getattr(expected, "classes_", None)):
        raise ValueError(
            f"The classes of the module are {classes}, but the classes of the model are "
            f"{getattr(expected, 'classes_', None)}. Give the estimator that the module was made "
            "from."
        )
    found, wanted = (
        [type(layer).__name__ for name, layer in one.named_modules() if name.endswith("activation")]
        for one in (module, expected)
    )
    if found != wanted:
        raise ValueError(
            f"The activations of the module are {found}, but the activations of the model are "
            f"{wanted}. Give the estimator that the module was made from."
        )


class Given(NamedTuple):
    """A checked tensor of a state."""

    values: torch.Tensor  # on the CPU
    is_old: torch.Tensor  # where the values are the values of the model, in the dtype of the state


def _checked(state, expected):
    """The tensors of a state as `Given`, if they fit the `expected` tensors."""
    missing, unknown = expected.keys() - state.keys(), state.keys() - expected.keys()
    if missing or unknown:
        found = [f"{min(missing)!r} is missing"] if missing else []
        found += [f"{min(unknown, key=str)!r} is not known"] if unknown else []
        raise ValueError(
            f"The state is not the state of to_torch(model): {', and '.join(found)}. Give the "
            "estimator that the module was made from."
        )
    tensors = {name: _checked_form(name, state[name], expected[name]) for name in expected}
    return {name: _checked_numbers(name, tensors[name], expected[name]) for name in expected}


def _checked_form(name, value, expected):
    try:
        if not isinstance(value, torch.Tensor):
            # A copy, because PyTorch warns of arrays that are read-only.
            value = torch.from_numpy(np.array(value))
        tensor = value.detach().cpu()
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(f"{name} is no tensor and no array of numbers: {error}") from None
    if tensor.shape != expected.shape:
        raise ValueError(
            f"{name} has the shape {tuple(tensor.shape)}, but the model has "
            f"{tuple(expected.shape)}."
        )
    is_count = not expected.is_floating_point()
    kind = "integers" if is_count else "floating-point numbers"
    if tensor.is_complex() or tensor.dtype == torch.bool or tensor.is_floating_point() == is_count:
        raise ValueError(f"{name} is of {tensor.dtype}, but the model has {kind} there.")
    return tensor


def _checked_numbers(name, tensor, expected):
    if not torch.isfinite(tensor).all():
        raise ValueError(f"{name} has numbers that are not finite.")
    if name.endswith((".running_var", ".num_batches_tracked")) and (tensor < 0).any():
        raise ValueError(f"{name} has a negative number.")
    is_old = tensor == expected.to(tensor.dtype)
    if name.endswith(FIXED) and not is_old.all():
        raise ValueError(
            f"{name} is not the {name} of to_torch(model), and training does not change it: give "
            "the estimator that the module was made from."
        )
    return Given(tensor, is_old)


def _of_member(tensors, number):
    start = f"members.{number}."
    return {
        name.removeprefix(start): given for name, given in tensors.items() if name.startswith(start)
    }


def _renewed(fitted, tensors):
    """A copy of a fitted perceptron with the numbers of a checked state."""
    renewed = copy(fitted)
    for name, array in arrays_of(renewed).items():
        array[...] = _kept_or_new(name, array, tensors[name])
    counts = [
        int(given.values)
        for name, given in tensors.items()
        if name.endswith(".num_batches_tracked")
    ]
    if counts:
        # A layer in evaluation mode does not count, so the counts may differ.
        renewed._n_batches_tracked = max(counts)
        renewed._n_steps_tracked = min(1, max(counts))
    _take_temperature(renewed, tensors)
    _begin_training(renewed)
    renewed._check_state(numbers=True)
    return renewed


def _kept_or_new(name, array, given):
    """The numbers of a state. Where they are `array` after rounding, the numbers of `array`."""
    old = torch.from_numpy(np.array(array))
    new = torch.where(given.is_old, old, given.values.to(old.dtype)).numpy()
    if not np.isfinite(new).all():
        raise ValueError(f"{name} has a number that leaves the range of {array.dtype}.")
    return new


def _take_temperature(fitted, tensors):
    if "decode.temperature" not in tensors:
        return
    old, prior = np.array(fitted.temperature_), fitted._prior_outputs
    temperature = float(_kept_or_new("decode.temperature", old, tensors["decode.temperature"]))
    if not 1.0 / STEEPEST <= temperature <= 1.0 / FLATTEST:
        raise ValueError(
            f"decode.temperature is {temperature:g}, not a number from {1.0 / STEEPEST:g} to "
            f"{1.0 / FLATTEST:g}."
        )
    fitted.temperature_ = temperature
    fitted._prior_outputs = _kept_or_new("decode.prior", prior, tensors["decode.prior"])


def _begin_training(fitted):
    """Forget the optimizer, whose moments belong to other parameters."""
    for name in TRAINING:
        vars(fitted).pop(name, None)
    fitted._n_without_improvement = 0
    # A warm start must not compare its losses with losses of other parameters.
    if getattr(fitted, "best_loss_", None) is not None:
        fitted.best_loss_ = np.inf

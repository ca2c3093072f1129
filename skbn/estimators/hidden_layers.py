"""The hidden layers of a fitted perceptron at inference: inputs of the activations, and outputs."""

from numbers import Integral

from sklearn.utils import check_scalar

from skbn.estimators.arguments import refuse_masked
from skbn.estimators.fitted import refuse_non_finite
from skbn.network.plan import hidden_layers_of


def number_of_layer(layer, n_layers):
    """The number of a hidden layer, counted from 0.

    Parameters
    ----------
    layer : int
        Number of the layer. Negative numbers count from the last hidden layer.
    n_layers : int
        Number of hidden layers.

    Raises
    ------
    IndexError
        If the network has no such layer.
    TypeError
        If `layer` is not an integer.
    """
    check_scalar(layer, "layer", Integral)
    if not -n_layers <= layer < n_layers:
        there = "no hidden layer"
        if n_layers:
            there = f"{n_layers} hidden layer{'s' if n_layers > 1 else ''}"
            there += f" (0 to {n_layers - 1}, or -{n_layers} to -1)"
        raise IndexError(f"layer={layer} is not there: the network has {there}.")
    return int(layer) % n_layers


def outputs_of_layer(fitted, X, layer):
    """Outputs of a hidden layer, an array of shape (n_samples, n_units).

    Parameters
    ----------
    fitted : estimator
        A ``_look()`` at a multi-layer perceptron.
    X : array-like or sparse matrix of shape (n_samples, n_features)
    layer : int
    """
    network = fitted._fitted_network()
    _, outputs = hidden_layers_of(network.plan)
    n_operations = outputs[number_of_layer(layer, len(outputs))]
    refuse_masked(X=X)
    activations = network.infer(fitted._input_table(fitted._checked_rows(X)), None, n_operations)
    refuse_non_finite(activations)
    return activations


def inputs_of_activations(fitted, X):
    """Inputs of the activation of each hidden layer, arrays of shape (n_samples, n_units).

    Under ``batch_norm="before"`` they are the outputs of batch norm, otherwise the outputs of the
    linear map.

    Parameters
    ----------
    fitted : estimator
        A ``_look()`` at a multi-layer perceptron.
    X : array-like or sparse matrix of shape (n_samples, n_features)
    """
    network = fitted._fitted_network()
    refuse_masked(X=X)
    table = fitted._input_table(fitted._checked_rows(X))
    inputs, _ = hidden_layers_of(network.plan)
    # One layer after the other: the values of all layers together would take more memory.
    for n_operations in inputs:
        yield network.infer(table, None, n_operations)

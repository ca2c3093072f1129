"""The names of the tensors of a module, and the arrays of a fitted network that they are made of.

Both directions of the conversion read this table.
"""

import numpy as np

from skbn.kernels.periodic import COLUMN_PARAMETERS, FREQUENCIES
from skbn.network import views
from skbn.network.plan import EMBEDDED_COLUMNS, LINEAR, is_scaled


def arrays_of(fitted):
    """The parameters and the running statistics of a fitted perceptron, by their names.

    Parameters
    ----------
    fitted : estimator
        A fitted perceptron.

    Returns
    -------
    arrays : dict of str to ndarray
        Views in the orientation of PyTorch. Writing to a view writes to the network.
    """
    plan, parameters, statistics = fitted._plan, fitted._parameters, fitted._statistics
    arrays = {}
    linear = plan[plan["kind"] == LINEAR]
    weights, biases = views.weights(plan, parameters), views.biases(plan, parameters)
    for k, (row, weight, bias) in enumerate(zip(linear, weights, biases, strict=True)):
        layer = "output" if k == len(linear) - 1 else f"hidden.{k}.linear"
        arrays[f"{layer}.weight"] = weight.T
        # A layer in front of a batch norm has no bias.
        if row["bias"] >= 0:
            arrays[f"{layer}.bias"] = bias
    norms = {
        "weight": views.gammas(plan, parameters),
        "bias": views.betas(plan, parameters),
        # A feed-forward network has one time step.
        "running_mean": [mean[0] for mean in views.running_means(plan, statistics)],
        "running_var": [var[0] for var in views.running_vars(plan, statistics)],
    }
    for name, layers in norms.items():
        arrays |= {f"hidden.{k}.norm.{name}": array for k, array in enumerate(layers)}
    if is_scaled(plan):
        arrays["scale.factor"] = views.input_scales(plan, parameters)[0]
    return arrays | _embedding(plan, parameters)


def _embedding(plan, parameters):
    runs = plan[plan["part"] == EMBEDDED_COLUMNS]
    if not len(runs):
        return {}
    # The parameters of all runs lie side by side, in the order of the columns.
    n_columns = int(runs["n_in"].sum())
    flat = parameters[runs["embedding"][0] :][: n_columns * COLUMN_PARAMETERS]
    columns = flat.reshape(n_columns, COLUMN_PARAMETERS)
    frequencies, phases, weight, bias = np.split(
        columns, [FREQUENCIES, 2 * FREQUENCIES, COLUMN_PARAMETERS - 3], axis=1
    )
    return {
        "embed.frequencies": frequencies,
        "embed.phases": phases,
        "embed.weight": weight.reshape(n_columns, FREQUENCIES, 3),
        "embed.bias": bias,
    }

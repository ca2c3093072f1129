"""Check whether the memory of the machine can hold a network of the given sizes."""

import os

import numpy as np

from skbn.estimators import solvers
from skbn.network.plan import Layout

# Number of arrays of the size of the parameters during training: the parameters, the copy that
# training changes, the gradient, and the two moments of the optimizer.
COPIES = 5


def physical_memory():
    """Size of the memory of this machine in bytes; infinity if the size is unknown."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return np.inf


def initial_plan(estimator, rows, call):
    """The plan of a new network, before anything of its size is allocated.

    Raises
    ------
    ValueError
        If BLAS cannot count the weights, or if this machine has too little memory for the training.
        The message names `hidden_layer_sizes`.
    """
    _, *steps, n_features = rows.X.shape
    asked = (
        f"hidden_layer_sizes={estimator.hidden_layer_sizes} is too large: with {n_features} "
        f"features and {estimator.n_outputs_} outputs it makes"
    )
    try:
        plan = estimator._initial_plan(rows, call)
        sizes = Layout.of(plan)
    except OverflowError:
        raise ValueError(f"{asked} more weights than BLAS can count.") from None
    except ValueError as error:
        if "BLAS" not in str(error):
            raise
        raise ValueError(f"{asked} {error}.") from None
    # Fused layers need more memory, but only for small batches, which need little memory anyway.
    run = sizes.dense.plain
    columns = run.work_columns + sizes.state_columns + 2 * run.widest
    batch = solvers.rows_per_step(estimator, call.count(rows), call.processes)
    # Each of several processes has its share of a mini-batch.
    rows_at_once = -(-batch // call.processes.size) * int(np.prod(steps))
    itemsize = estimator._network_dtype(rows.X).itemsize
    needed = itemsize * (COPIES * sizes.n_parameters + rows_at_once * columns)
    with call.processes.agreement():
        if needed > physical_memory():
            raise ValueError(
                f"{asked} {sizes.n_parameters} parameters, and training them in batches of "
                f"{batch} rows needs {needed / 1e9:.0f} GB of memory, of which this machine has "
                f"{physical_memory() / 1e9:.0f}."
            )
    return plan

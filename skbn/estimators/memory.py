"""Whether a network of the sizes that are asked for can be held in memory."""

import os

import numpy as np

from skbn.estimators import solvers
from skbn.network.plan import Layout

# Arrays as long as the parameters while a network is trained: these, their copy that training
# changes, their gradient, and the two moments of the optimizer.
COPIES = 5


def physical_memory():
    """Bytes of memory that this machine has; infinite where it does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return np.inf


def initial_plan(estimator, rows, incremental):
    """The plan of a new network, before anything of its size is allocated.

    Raises
    ------
    ValueError
        If BLAS cannot count its weights, or this machine cannot hold what training needs; the
        message names `hidden_layer_sizes`.
    """
    n, *steps, n_features = rows.X.shape
    asked = (
        f"hidden_layer_sizes={estimator.hidden_layer_sizes} is too large: with {n_features} "
        f"features and {estimator.n_outputs_} outputs it makes"
    )
    try:
        plan = estimator._initial_plan(rows, incremental)
        sizes = Layout.of(plan)
    except OverflowError:
        raise ValueError(f"{asked} more weights than BLAS can count.") from None
    except ValueError as error:
        if "BLAS" not in str(error):
            raise
        raise ValueError(f"{asked} {error}.") from None
    # Fused layers keep more, but only for batches that are small beside the memory of a machine.
    run = sizes.dense.plain
    columns = run.work_columns + sizes.state_columns + 2 * run.widest
    rows_at_once = solvers.rows_per_step(estimator, n) * int(np.prod(steps))
    itemsize = estimator._network_dtype(rows.X).itemsize
    needed = itemsize * (COPIES * sizes.n_parameters + rows_at_once * columns)
    if needed > physical_memory():
        raise ValueError(
            f"{asked} {sizes.n_parameters} parameters, and training them in batches of "
            f"{solvers.rows_per_step(estimator, n)} rows needs {needed / 1e9:.0f} GB of memory, of "
            f"which this machine has {physical_memory() / 1e9:.0f}."
        )
    return plan

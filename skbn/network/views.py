"""Views of the flat memory of a network as the arrays that a user knows, one entry per layer.

Writing to a view writes to the network.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from skbn.kernels.periodic import COLUMN_PARAMETERS
from skbn.network.plan import BATCH_NORM, EMBEDDED_COLUMNS, LINEAR


class Views(list[NDArray[np.floating[Any]]]):
    """Views of a network's memory; an array assigned to an entry is written to the memory."""

    def __setitem__(self, index: Any, value: Any) -> None:
        if isinstance(index, slice):
            chosen, values = self[index], list(value)
            if len(chosen) != len(values):
                raise ValueError(f"{len(values)} arrays for {len(chosen)} layers")
        else:
            chosen, values = [self[index]], [value]
        values = [np.asarray(value) for value in values]
        for view, value in zip(chosen, values, strict=True):
            if view.shape != value.shape:
                raise ValueError(f"expected shape {view.shape}, got {value.shape}")
        for view, value in zip(chosen, values, strict=True):
            # A layer below a batch norm has no intercepts. If zeros are assigned to them, nothing
            # is written.
            if view.flags.writeable or value.any():
                view[...] = value


def weights(plan, parameters):
    """Weights of each linear map, shape (n_in, n_out)."""
    return Views(
        parameters[row["weights"] : row["weights"] + row["n_in"] * row["n_out"]].reshape(
            row["n_in"], row["n_out"]
        )
        for row in plan[plan["kind"] == LINEAR]
    )


def biases(plan, parameters):
    """Intercepts of each linear map, shape (n_out,).

    A map without intercepts (below a batch norm) has read-only zeros, which are not parameters. The
    recurrent map of a GRU has intercepts of the candidate only, shape (n_out / 3,).
    """
    result = Views()
    for row in plan[plan["kind"] == LINEAR]:
        if row["bias"] >= 0:
            end = row["bias"] + row["n_out"] - row["first_biased"]
            result.append(parameters[row["bias"] : end])
        else:
            result.append(_zeros(row["n_out"], parameters.dtype))
    return result


def _zeros(size, dtype):
    return _constants(0.0, size, dtype)


def _constants(value, size, dtype):
    # These read-only arrays stand for parameters that a layer does not have.
    constants = np.full(size, value, dtype=dtype)
    constants.flags.writeable = False
    return constants


def input_scales(plan, parameters):
    """Factors of the inputs of each linear map, shape (n_in,).

    A map without factors has read-only ones, which are not parameters.
    """
    return Views(
        parameters[row["scale"] : row["scale"] + row["n_in"]]
        if row["scale"] >= 0
        else _constants(1.0, row["n_in"], parameters.dtype)
        for row in plan[plan["kind"] == LINEAR]
    )


def embeddings(plan, parameters):
    """Parameters of the periodic embedding of each run of columns, shape (n_columns, 83).

    A row has the parameters of a column: frequencies (16,), phases (16,), a linear map (16, 3) and
    its intercept (3,).
    """
    return Views(
        parameters[row["embedding"] :][: row["n_in"] * COLUMN_PARAMETERS].reshape(
            row["n_in"], COLUMN_PARAMETERS
        )
        for row in plan[plan["part"] == EMBEDDED_COLUMNS]
    )


def positions_of_norms(plan):
    """Positions in the plan of the normalized layers, in the order of their views."""
    return np.flatnonzero(plan["kind"] == BATCH_NORM)


def gammas(plan, parameters):
    """Scale of each normalized layer, shape (d,)."""
    return _of_normalized(plan, parameters, "gamma")


def betas(plan, parameters):
    """Shift of each normalized layer, shape (d,).

    The normalization of the state before has no shift, so its entry is read-only zeros.
    """
    return _of_normalized(plan, parameters, "beta")


def _of_normalized(plan, parameters, name):
    return Views(
        parameters[row[name] : row[name] + row["n_out"]]
        if row[name] >= 0
        else _zeros(row["n_out"], parameters.dtype)
        for row in plan[plan["kind"] == BATCH_NORM]
    )


def running_means(plan, statistics):
    """Running mean of each normalized layer, shape (t, d)."""
    return Views(pair[0] for pair in _running(plan, statistics))


def running_vars(plan, statistics):
    """Running biased variance of each normalized layer, shape (t, d)."""
    return Views(pair[1] for pair in _running(plan, statistics))


def _running(plan, statistics):
    return [
        statistics[row["statistics"] :][: 2 * row["n_steps"] * row["n_out"]].reshape(
            2, row["n_steps"], row["n_out"]
        )
        for row in plan[plan["kind"] == BATCH_NORM]
    ]

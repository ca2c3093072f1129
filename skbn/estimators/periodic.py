"""Periodic embeddings of the numeric columns of a table: which columns, and initial parameters."""

import numpy as np

from skbn.estimators.quartiles import of_many_values
from skbn.kernels.periodic import FREQUENCIES
from skbn.network import views


def embedded_columns(X):
    """The columns of a dense table that are embedded, as a plan has them.

    A column of two values is left out: a linear map makes of it all that an embedding could.

    Returns
    -------
    runs : list of (int, int)
        First column and number of columns of each run of neighbouring columns.
    """
    edges = np.diff(of_many_values(X).astype(np.int8), prepend=0, append=0)
    starts, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    return [(int(start), int(end - start)) for start, end in zip(starts, ends, strict=True)]


def draw_embedding(network, constant, random_state):
    """Draw the initial parameters of the embedding of a network, if it has one.

    Frequencies from a normal distribution of the deviation 2 pi c / sqrt(p), where c is `constant`
    and p the number of columns of the table: more columns need less detail of each. Phases are
    uniform in a period, and the linear map and its intercept are uniform within the reciprocal root
    of the number of frequencies (Holzmüller, Grinsztajn and Steinwart 2024, "Better by default",
    section 3, PBLD; without its activation).
    """
    bound = 1.0 / np.sqrt(FREQUENCIES)
    for parameters in views.embeddings(network.plan, network.parameters):
        shape = len(parameters), FREQUENCIES
        deviation = 2.0 * np.pi * constant / np.sqrt(network.layout.n_inputs)
        parameters[:, :FREQUENCIES] = deviation * random_state.standard_normal(shape)
        phases = random_state.uniform(-np.pi, np.pi, shape)
        parameters[:, FREQUENCIES : 2 * FREQUENCIES] = phases
        rest = parameters[:, 2 * FREQUENCIES :]
        rest[:] = random_state.uniform(-bound, bound, rest.shape)

"""Periodic embeddings of the numeric columns of a table: which columns, and initial parameters."""

import numpy as np

from skbn.estimators.quartiles import of_many_values
from skbn.kernels.periodic import FREQUENCIES
from skbn.network import views
from skbn.network.processes import ONE_PROCESS


def embedded_columns(X, processes=ONE_PROCESS):
    """The columns of a dense table that have an embedding, in the form of a plan.

    A column of one or two values has no embedding, because each function of two values is affine.

    Parameters
    ----------
    X : ndarray of shape (n, d)
    processes : OneProcess or Processes, default=ONE_PROCESS
        The processes whose rows count together.

    Returns
    -------
    runs : list of (int, int)
        First column and number of columns of each run of neighbouring columns.
    """
    edges = np.diff(of_many_values(X, processes).astype(np.int8), prepend=0, append=0)
    starts, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    return [(int(start), int(end - start)) for start, end in zip(starts, ends, strict=True)]


def draw_embedding(network, constant, random_state):
    """Draw the initial parameters of the embedding of a network, if it has one.

    The frequencies come from a normal distribution with the standard deviation 2 pi c / sqrt(p).
    Here c is `constant` and p the number of columns of the table: more columns need less detail of
    each column. The phases are uniform in one period. The linear map and its intercept are uniform
    in [-b, b], where b is 1 / sqrt(number of frequencies). This is the embedding PBLD of
    Holzmüller, Grinsztajn and Steinwart (2024), "Better by default", section 3, without its
    activation.
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

"""Rows that a network trains on or predicts."""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import issparse


@dataclass
class Table:
    """Rows to train on, and the fixed normalization of their columns.

    Attributes
    ----------
    X : ndarray of shape (n_samples, n_features), any strides, or CSR matrix or array
        float32 or float64; it need not be the dtype of the network. The three arrays of a sparse
        matrix are contiguous, and both index arrays have one dtype. For a recurrent network, `X`
        holds sequences: a C-ordered ndarray of shape (n_samples, n_steps, n_features).
    y : ndarray of shape (n_samples, n_targets), C-ordered, or None
        Targets in the dtype of the network. For a softmax, one column of class numbers.
    sample_weight : ndarray of shape (n_samples,), float64, or None
        Weights of the rows in the loss.
    input_mean, input_invstd : ndarray of shape (n_features,), float64, or None
        A column is normalized as ``(x - input_mean) * input_invstd``.
    input_clipped : bool
        Whether the normalized columns go through the smooth clip of ``skbn.kernels.gather``.
        Not for a sparse table: the clip would have to know the zeros.
    lengths : ndarray of shape (n_samples,), intp, or None
        Steps of each sequence, at least 1. Values behind the last step are never read. ``None``:
        `X` has no sequences.
    statistics_weight : ndarray of shape (n_samples,), float64, or None
        Weights of the rows in the statistics of batch norm. They are positive where `sample_weight`
        is positive, and are given only together with `sample_weight`. ``None``: the statistics are
        weighted by `sample_weight`.
    rows : ndarray of shape (n,), intp, or None
        The rows that are trained on and whose exact statistics are collected, or the rows that are
        scored. ``None``: all rows.
    """

    X: object
    y: np.ndarray | None = None
    sample_weight: np.ndarray | None = None
    input_mean: np.ndarray | None = None
    input_invstd: np.ndarray | None = None
    input_clipped: bool = False
    lengths: np.ndarray | None = None
    statistics_weight: np.ndarray | None = None
    rows: np.ndarray | None = None

    @property
    def trained_rows(self):
        """The numbers of the rows that are trained on."""
        return np.arange(self.n_rows) if self.rows is None else self.rows

    @property
    def n_trained_rows(self):
        return self.n_rows if self.rows is None else len(self.rows)

    @property
    def n_rows(self):
        return self.X.shape[0]

    @property
    def is_sparse(self):
        return issparse(self.X)

    @property
    def weight_in_statistics(self):
        """Weights of the rows in the statistics: by default the weights in the loss."""
        return self.sample_weight if self.statistics_weight is None else self.statistics_weight

    @property
    def n_steps(self):
        """Steps that a sequence has room for; 1 if there are no sequences."""
        return 1 if self.lengths is None else self.X.shape[1]


def check_rows(table, n_features, recurrent):
    """Refuse a table that loops over pointers cannot walk for a network.

    Raises
    ------
    ValueError
        The message says what does not fit.
    """
    if recurrent != (table.lengths is not None):
        raise ValueError("a recurrent network takes sequences, and no other network does")
    if table.lengths is not None:
        check_sequences(table)
    elif table.X.ndim != 2:
        raise ValueError(f"X has {table.X.ndim} dimensions, not 2")
    if table.X.shape[-1] != n_features:
        raise ValueError(f"X has {table.X.shape[-1]} columns, the network {n_features} inputs")
    if (table.input_mean is None) != (table.input_invstd is None):
        raise ValueError("input_mean and input_invstd belong together: give both or none")
    if table.is_sparse and table.input_clipped:
        raise ValueError("the inputs of a sparse table are never gathered, nor clipped")
    for moments in (table.input_mean, table.input_invstd):
        if moments is not None and moments.shape != (n_features,):
            raise ValueError(f"moments of shape {moments.shape} for {n_features} inputs")
    if table.is_sparse and not (
        all(a.flags.c_contiguous for a in (table.X.data, table.X.indices, table.X.indptr))
        and table.X.indices.dtype == table.X.indptr.dtype
    ):
        raise ValueError("the arrays of a sparse table must be contiguous, the indices alike")


def check_sequences(table):
    """Refuse sequences whose steps are not where a recurrent network reads them."""
    if table.X.ndim != 3 or not table.X.flags.c_contiguous:
        raise ValueError("sequences must be of shape (n_samples, n_steps, n_features), C-ordered")
    lengths = table.lengths
    if lengths.shape != (table.n_rows,) or lengths.dtype != np.intp:
        raise ValueError(f"lengths of shape {lengths.shape} for {table.n_rows} sequences")
    if len(lengths) and not 1 <= lengths.min() <= lengths.max() <= table.X.shape[1]:
        raise ValueError(f"lengths must be in 1 to {table.X.shape[1]}, the steps of X")


def check_targets(table, n_targets, dtype):
    """Refuse targets and weights that a loss with so many columns cannot read."""
    if table.y.shape != (table.n_rows, n_targets):
        raise ValueError(f"y has shape {table.y.shape}, not {(table.n_rows, n_targets)}")
    if table.y.dtype != dtype:
        raise ValueError(f"y of {table.y.dtype} for a network of {dtype}")
    if table.sample_weight is None and table.statistics_weight is not None:
        raise ValueError("statistics_weight belongs to sample_weight: give both or none")
    for weight in (table.sample_weight, table.statistics_weight):
        if weight is not None and weight.shape != (table.n_rows,):
            raise ValueError(f"{len(weight)} weights for {table.n_rows} rows")

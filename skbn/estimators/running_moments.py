"""The moments that a transformer learns from rows, and how two sets of moments are merged.

A set of moments never changes; it is only replaced. So after a failed update nothing has to be
undone.
"""

from dataclasses import dataclass, replace
from functools import reduce

import numpy as np

from skbn.estimators.row_parts import fixed_parts, side_by_side
from skbn.kernels.merging import merge_pairs, update_running
from skbn.kernels.moments import batch_moment_pairs, weighted_moments


def as_matrices(X, shared, contiguous):
    """Views of rows as matrices, each with the numbers of the statistics of its columns.

    Parameters
    ----------
    X : ndarray of shape (n, d) or (n, t, d)
    shared : bool
        Whether the time steps share their statistics.
    contiguous : bool
        Whether `X` is C-ordered, so that steps can be viewed as more rows or more columns.

    Yields
    ------
    matrix : ndarray of shape (rows, columns)
        A view of `X`.
    columns : slice
        The numbers of the columns of `matrix` among the d or t * d statistics.
    """
    if X.ndim == 2:
        yield X, slice(None)
        return
    n, t, d = X.shape
    if contiguous:
        yield (X.reshape(n * t, d) if shared else X.reshape(n, t * d)), slice(None)
        return
    for step in range(t):
        yield X[:, step], (slice(None) if shared else slice(step * d, (step + 1) * d))


# A column is far from 0 if the square of its mean is so many variances.
FAR = 1e6


@dataclass(frozen=True)
class RunningMoments:
    """Mean, biased variance and weight of each of m columns.

    Parameters
    ----------
    mean, var : ndarray of shape (2, m)
        Pairs of float64: the numbers, and the parts of the numbers that rounding has lost.
    weight : ndarray of shape (m,)
        Total weight of the entries of each column; 0 for a column without entries.
    weighted : bool
        Whether there were weights other than 1, so that the total weight is not a count.
    exact : bool
        True for the moments of all rows, False for exponential averages.
    """

    mean: np.ndarray
    var: np.ndarray
    weight: np.ndarray
    weighted: bool = False
    exact: bool = True

    @classmethod
    def of_rows(cls, X, shared, sample_weight=None):
        """Moments of one batch. NaN are ignored.

        An infinite entry makes the moments of its column not finite.
        """
        contiguous = X.flags.c_contiguous
        m = X.shape[-1] if X.ndim == 2 or shared else X.shape[1] * X.shape[2]
        moments = cls.empty(m)
        for matrix, columns in as_matrices(X, shared, contiguous):
            weight = sample_weight
            if weight is not None and matrix.shape[0] != weight.shape[0]:
                weight = np.repeat(weight, X.shape[1])
            piece = cls._of_parts(matrix, weight)
            if piece.weight.shape[0] == m:
                # A single matrix, or time steps that share the same columns.
                moments = moments.merged(piece)
            else:
                moments.mean[:, columns] = piece.mean
                moments.var[:, columns] = piece.var
                moments.weight[columns] = piece.weight
        return replace(moments, weighted=sample_weight is not None)

    @classmethod
    def _of_parts(cls, X, sample_weight):
        def of_rows(rows):
            return cls._of_matrix(X[rows], None if sample_weight is None else sample_weight[rows])

        pieces = side_by_side(of_rows, fixed_parts(X.shape[0], X.nbytes))
        return reduce(cls.merged, pieces)

    @classmethod
    def _of_matrix(cls, X, sample_weight):
        if sample_weight is None:
            mean, var = batch_moment_pairs(X)
            if np.isfinite(mean).all() and np.isfinite(var).all():
                return cls(mean, _pair(var), np.full(X.shape[1], float(X.shape[0])))
        # With NaN, infinity or a sum beyond the largest double: entry by entry.
        mean, var, weight = weighted_moments(X, sample_weight)
        lost = np.zeros_like(mean)
        with np.errstate(over="ignore"):
            far = mean * mean > FAR * var
        if far.any():
            # The rounding of such a mean is visible beside the spread when moments are merged.
            rest = X[:, far].astype(np.float64) - mean[far]
            lost[far], var[far], _ = weighted_moments(rest, sample_weight)
        return cls(np.stack([mean, lost]), _pair(var), weight)

    @classmethod
    def empty(cls, m):
        """Moments of zero rows."""
        return cls(np.zeros((2, m)), np.zeros((2, m)), np.zeros(m))

    @property
    def is_finite(self):
        """Whether every column's mean and variance is a number."""
        return bool(np.isfinite(self.mean[0]).all() and np.isfinite(self.var[0]).all())

    def merged(self, other):
        """Moments of the rows of both sets together (Chan et al. 1983)."""
        m = other.weight.shape[0]
        mean, var, weight = self.mean.copy(), self.var.copy(), self.weight.copy()
        head = mean[:, :m].copy(), var[:, :m].copy(), weight[:m].copy()
        merge_pairs(*head, other.mean, other.var, other.weight)
        mean[:, :m], var[:, :m], weight[:m] = head
        return RunningMoments(
            mean, var, weight, self.weighted or other.weighted, self.exact and other.exact
        )

    def averaged(self, batch, momentum):
        """Exponential running averages with one more batch, whose weight is `momentum`.

        The first batch of a column sets its averages. A batch without an entry in a column does not
        change the averages of the column.
        """
        m = batch.weight.shape[0]
        mean, var = self.mean[0, :m].copy(), self.var[0, :m].copy()
        update_running(mean, var, batch.mean[0], batch.var[0], momentum)
        first, none = self.weight[:m] == 0.0, batch.weight == 0.0
        result = RunningMoments(
            self.mean.copy(),
            self.var.copy(),
            self.weight.copy(),
            self.weighted or batch.weighted,
            exact=False,
        )
        for running, old, new, averaged in (
            (result.mean, self.mean, batch.mean, mean),
            (result.var, self.var, batch.var, var),
        ):
            averaged = np.where(first, new[0], averaged)
            running[0, :m] = np.where(none, old[0, :m], averaged)
            running[1, :m] = np.where(none, old[1, :m], 0.0)
        result.weight[:m] += batch.weight
        return result

    def running_mean(self):
        """The means, shape (m,); NaN in a column without any entry."""
        return np.where(self.weight > 0.0, self.mean[0], np.nan)

    def running_var(self):
        """The biased variances, shape (m,); NaN in a column without any entry."""
        return np.where(self.weight > 0.0, np.maximum(self.var[0], 0.0), np.nan)

    def n_samples_seen(self):
        """Number of rows seen; an array of shape (m,) if the columns have different numbers."""
        seen = self.weight if self.weighted else self.weight.astype(np.int64)
        return seen[0].item() if (seen == seen[0]).all() else seen


def _pair(values):
    return np.stack([values, np.zeros_like(values)])

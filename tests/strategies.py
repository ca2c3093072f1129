"""Dtypes with their tolerances; Hypothesis strategies of shapes, memory orders and weights."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from scipy.sparse import csr_array, csr_matrix

# For what is continuous or many; the few values of an option are parametrized, so that each is
# met. Derandomized: what fails in continuous integration fails in the same way on a desk.
drawn = settings(deadline=None, max_examples=20, derandomize=True)


@dataclass(frozen=True)
class Precision:
    """A dtype, and how close a result computed in it has to come."""

    dtype: type
    tolerance: float

    def __str__(self):
        return self.dtype.__name__

    def assert_close(self, actual, expected, scale=1.0):
        """Relatively close, or close in units of `scale`, what cancelled on the way."""
        np.testing.assert_allclose(
            actual, expected, rtol=self.tolerance, atol=self.tolerance * scale
        )


# Some ten, and some hundred, units in the last place.
FLOAT32 = Precision(np.float32, 1e-6)
FLOAT64 = Precision(np.float64, 1e-13)
BOTH = (FLOAT32, FLOAT64)

each_precision = pytest.mark.parametrize("precision", BOTH, ids=str)

ORDERS = ("C", "F", "strided", "reversed", "read-only", "packed")
CONTIGUOUS = ("C", "read-only")

SPARSE = (csr_array, csr_matrix)
each_sparse = pytest.mark.parametrize("kind", SPARSE, ids=lambda kind: kind.__name__)
each_index = pytest.mark.parametrize("index", [np.int32, np.int64], ids=["int32", "int64"])


def in_order(array, order):
    """A copy of `array` (1-D or more) in a memory order.

    ``"packed"`` is a field of records without padding: it is not aligned, and its strides
    are no multiples of its item size.
    """
    if order == "packed":
        fields = [("flag", np.int8), ("value", array.dtype, array.shape[1:])]
        copy = np.zeros(array.shape[0], dtype=fields)["value"]
    elif order == "strided":
        every_other = (slice(None, None, 2),) * array.ndim
        copy = np.zeros([2 * length for length in array.shape], array.dtype)[every_other]
    elif order == "reversed":
        copy = np.zeros_like(array)[(slice(None, None, -1),) * array.ndim]
    else:
        copy = np.zeros(array.shape, array.dtype, order="F" if order == "F" else "C")
    copy[...] = array
    copy.flags.writeable = order != "read-only"
    return copy


def lengths(smallest=1, largest=7):
    return st.integers(smallest, largest)


shapes = st.lists(lengths(), min_size=1, max_size=3).map(tuple)


@st.composite
def arrays(draw, shape, dtype, orders=ORDERS, offset=0.0):
    """Normal deviates about `offset`; half of the arrays rounded, so that ties occur."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    values = offset + rng.standard_normal(shape)
    if draw(st.booleans()):
        values = np.round(values)
    return in_order(values.astype(dtype), draw(st.sampled_from(orders)))


def weights(n, positive=2):
    """Weights of `n` rows, at least `positive` of them above zero."""
    return (
        st.lists(st.sampled_from([0.0, 0.5, 1.0, 2.0, 3.0]), min_size=n, max_size=n)
        .filter(lambda weight: np.count_nonzero(weight) >= positive)
        .map(np.array)
    )


def in_csr(kind, data, indices, indptr, shape, index=np.int32):
    """A CSR table with indexes of a dtype: SciPy would narrow them."""
    X = kind((data, indices, indptr), shape=shape)
    X.indices, X.indptr = X.indices.astype(index), X.indptr.astype(index)
    return X


@st.composite
def sparse_tables(draw, shape, dtype, kind, index):
    """Rows empty or full, with entries in any order, some of them stored in parts."""
    n, d = shape
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    entries = rng.integers(0, draw(st.sampled_from([1, d + 1, 2 * d + 1])), size=n)
    indptr = np.concatenate([[0], np.cumsum(entries)])
    indices = rng.integers(0, d, size=indptr[-1])
    data = rng.standard_normal(indptr[-1]).astype(dtype)
    return in_csr(kind, data, indices, indptr, shape, index)

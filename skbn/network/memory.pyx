"""NumPy arrays made into the structs that loops without the GIL use: ``Memory`` and ``Source``.

An object of these classes holds the arrays that its struct points into. The callers check shapes.
This file checks dtype, contiguity and alignment.
"""

from cpython.buffer cimport (
    PyBUF_C_CONTIGUOUS, PyBUF_FORMAT, PyBUF_STRIDES, PyBuffer_Release, PyObject_GetBuffer,
)
from libc.stdint cimport uintptr_t

import numpy as np

from skbn.network import aligned
from skbn.network.operation cimport (
    BATCH_NORM, LAYER, RECURRENT, SPARSE_LINEAR, Operation,
)

cdef bint _fits(Py_buffer* view, char kind) noexcept:
    cdef char found = view.format[0]
    if kind == SIZES:
        return found in (b"l"[0], b"q"[0], b"n"[0]) and view.itemsize == sizeof(Py_ssize_t)
    return found == kind and view.format[1] == 0


cdef void* address_of(object array, char kind, str name) except? NULL:
    """The first element of a C-contiguous array; NULL for ``None`` and for an empty array.

    Raises
    ------
    ValueError
        If the numbers of the array have another type, are not contiguous or are not aligned.
    """
    cdef Py_buffer view
    cdef void* address
    cdef bint fits
    if array is None:
        return NULL
    PyObject_GetBuffer(array, &view, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT)
    fits = _fits(&view, kind) and (<uintptr_t> view.buf) % view.itemsize == 0
    # The caller holds the array, so the memory of the array stays where it is.
    address = view.buf if view.len > 0 else NULL
    PyBuffer_Release(&view)
    if not fits:
        raise ValueError(f"{name} of {getattr(array, 'dtype', type(array))} do not fit the network")
    return address


cdef class RunMemory:
    """A plan and the arrays that its operations work on.

    Parameters
    ----------
    plan : ndarray of dtype `OPERATION`
        Checked.
    parameters : ndarray of shape (n_parameters,)
        float32 or float64: the dtype of the network.
    statistics : ndarray of shape (n_statistics,), float64
        Running means and variances.
    capacity, state_capacity, most_rows : int
        Rows of the work memory, of the state memory, and of a batch. The first two numbers are
        rounded up, so that every block of columns begins at a cache line.
    columns, state_columns, scratch : int
        Columns of the work memory and of the state memory; doubles of scratch.
    n_packing : int, default=0
        Integers that the packing of a batch of sequences needs.
    widest, n_targets : int, default=0
        For training: columns of the widest gradient of data, and of the targets.
    """

    def __init__(
        self, plan, parameters, statistics, *, capacity, state_capacity, most_rows, columns,
        state_columns, scratch, n_packing=0, widest=0, n_targets=0,
    ):
        cdef const Operation[::1] operations = plan
        cdef Py_ssize_t o
        cdef char kind = FLOAT64 if parameters.dtype == np.float64 else FLOAT32
        dtype = parameters.dtype
        trains = widest > 0
        capacity = aligned.rounded_up(capacity, dtype)
        state_capacity = aligned.rounded_up(state_capacity, dtype)
        work = aligned.empty(capacity * columns, dtype)
        state = aligned.empty(state_capacity * state_columns, dtype)
        doubles = aligned.empty(scratch, np.float64)
        packing = np.empty(n_packing, np.intp)
        gradient = aligned.empty(len(parameters), dtype) if trains else None
        data_gradients = aligned.empty(2 * capacity * widest, dtype) if trains else None
        targets = aligned.empty(most_rows * n_targets, dtype) if trains else None
        weights = np.empty(2 * most_rows)
        self.arrays = (
            plan, parameters, statistics, work, state, doubles, packing, gradient, data_gradients,
            targets, weights,
        )
        self.memory.plan = &operations[0]
        self.memory.n_operations = operations.shape[0]
        self.memory.is_double = kind == FLOAT64
        self.memory.normalized = False
        self.memory.replaces = True
        for o in range(operations.shape[0]):
            if operations[o].kind in (BATCH_NORM, LAYER) and operations[o].gamma >= 0:
                self.memory.normalized = True
            # The gradients of their weights are sums of many parts.
            if operations[o].kind in (RECURRENT, SPARSE_LINEAR):
                self.memory.replaces = False
        self.memory.parameters = address_of(parameters, kind, "parameters")
        self.memory.statistics = <double*> address_of(statistics, FLOAT64, "statistics")
        self.memory.work = address_of(work, kind, "work")
        self.memory.state = address_of(state, kind, "state")
        self.memory.scratch = <double*> address_of(doubles, FLOAT64, "scratch")
        self.memory.packing = <Py_ssize_t*> address_of(packing, SIZES, "packing")
        self.memory.gradient = address_of(gradient, kind, "gradient")
        self.memory.data_gradients = address_of(data_gradients, kind, "data_gradients")
        self.memory.targets = address_of(targets, kind, "targets")
        self.memory.weights = <double*> address_of(weights, FLOAT64, "weights")
        self.memory.exchange = NULL
        self.memory.n_parameters = len(parameters)
        self.memory.capacity = capacity
        self.memory.state_capacity = state_capacity
        self.memory.most_rows = most_rows
        self.memory.gradient_size = capacity * widest

    @property
    def gradient(self):
        """The gradient of the last batch. The next batch overwrites the array."""
        return self.arrays[7]

    @property
    def most_rows(self):
        return self.memory.most_rows

    @property
    def capacity(self):
        return self.memory.capacity

    def make_room_for_sums(self):
        """Room for the numbers of a batch that are added up over processes."""
        exchange = np.empty(self.memory.n_parameters + 2)
        self.arrays = (*self.arrays[:11], exchange)
        self.memory.exchange = <double*> address_of(exchange, FLOAT64, "exchange")


cdef class RunSource:
    """The arrays of a ``skbn.network.table.Table``, checked by the network that reads it.

    Parameters
    ----------
    table : Table
    targets, weights : bool
        Whether the targets are read, and the weights of the rows.
    """

    def __init__(self, table, *, targets=False, weights=False):
        cdef Py_buffer view
        cdef bint fits
        X, indices, indptr = table.X, None, None
        if table.is_sparse:
            X, indices, indptr = X.data, X.indices, X.indptr
        y = table.y if targets else None
        sample_weight = table.sample_weight if weights else None
        statistics_weight = table.weight_in_statistics if weights else None
        mean, invstd, lengths = table.input_mean, table.input_invstd, table.lengths
        self.arrays = (
            X, indices, indptr, y, sample_weight, statistics_weight, mean, invstd, lengths,
        )
        PyObject_GetBuffer(X, &view, PyBUF_STRIDES | PyBUF_FORMAT)
        self.source.is_double = _fits(&view, FLOAT64)
        fits = self.source.is_double or _fits(&view, FLOAT32)
        self.source.X = view.buf if view.len > 0 else NULL
        self.source.row_stride = view.strides[0] // view.itemsize
        self.source.column_stride = view.strides[view.ndim - 1] // view.itemsize
        PyBuffer_Release(&view)
        if not fits:
            raise ValueError(f"X of {X.dtype} does not fit a network")
        self.source.longest = table.X.shape[1] if lengths is not None else 1
        self.source.n_features = table.X.shape[table.X.ndim - 1]
        self.source.is_long = indices is not None and indices.itemsize == 8
        self.source.indices = _integers(indices)
        # An empty sparse table still has the end of its first row.
        self.source.indptr = _integers(indptr)
        if table.is_sparse and self.source.indices == NULL:
            self.source.indices = self.source.indptr
        self.source.lengths = <const Py_ssize_t*> address_of(lengths, SIZES, "lengths")
        self.source.mean = <const double*> address_of(mean, FLOAT64, "input_mean")
        self.source.invstd = <const double*> address_of(invstd, FLOAT64, "input_invstd")
        self.source.clipped = table.input_clipped
        self.source.y = NULL
        self.source.n_targets = 0
        if y is not None:
            self.source.y = address_of(y, FLOAT64 if y.dtype == np.float64 else FLOAT32, "y")
            self.source.n_targets = y.shape[1]
        self.source.sample_weight = (
            <const double*> address_of(sample_weight, FLOAT64, "sample_weight")
        )
        self.source.statistics_weight = (
            <const double*> address_of(statistics_weight, FLOAT64, "statistics_weight")
        )


cdef const void* _integers(object array) except? NULL:
    # int32 or int64, contiguous: checked by the network.
    cdef Py_buffer view
    cdef const void* address
    if array is None:
        return NULL
    PyObject_GetBuffer(array, &view, PyBUF_C_CONTIGUOUS)
    address = view.buf if view.len > 0 else NULL
    PyBuffer_Release(&view)
    return address

"""The beginning of a batch: which rows it has, their weights, the packing of its sequences."""

from skbn.kernels.sequences cimport sequences_pack
from skbn.network.operations.normalization cimport norm_set_own_steps
from skbn.network.run cimport TRAINING


cdef void batch_begin(
    Batch* batch, const Memory* memory, const Source* source, const Py_ssize_t* rows,
    Py_ssize_t first, Py_ssize_t n, int mode,
) noexcept nogil:
    """Set a batch of the n rows `rows` of a source. If `rows` is NULL, the rows from `first` on.

    Sequences are sorted by their lengths and packed. Sums depend on their order only by rounding.
    """
    cdef Py_ssize_t i
    batch.source = source
    batch.rows = rows
    batch.first = first
    batch.n = batch.n_rows = n
    batch.weights = batch.statistics_weights = NULL
    batch.total_weight = batch.statistics_total = n
    batch.steps = NULL
    batch.packed.n_own = 1
    batch.unread = -1
    batch.mode = mode
    # A single row has no variance: it is normalized by the running statistics.
    batch.frozen = mode == TRAINING and memory.normalized and n < 2
    batch.dy = memory.data_gradients
    batch.spare = memory.data_gradients
    batch.sums = NULL
    if memory.is_double:
        batch.spare = <double*> memory.data_gradients + memory.gradient_size
    else:
        batch.spare = <float*> memory.data_gradients + memory.gradient_size
    if source.lengths != NULL:
        sequences_pack(&batch.packed, memory.packing, memory.packing + n, source.lengths, rows, n,
                       source.longest)
        batch.rows = memory.packing
        batch.steps = &batch.packed
        batch.n_rows = batch.packed.n_rows
        batch.first_step = 0
        batch.last_step = batch.packed.n_steps
    if source.sample_weight != NULL:
        batch.weights = memory.weights
        batch.statistics_weights = memory.weights + memory.most_rows
        batch.total_weight = batch.statistics_total = 0.0
        for i in range(n):
            memory.weights[i] = source.sample_weight[batch.rows[i]]
            memory.weights[memory.most_rows + i] = source.statistics_weight[batch.rows[i]]
            batch.total_weight += memory.weights[i]
            batch.statistics_total += memory.weights[memory.most_rows + i]
    batch.own_weight = batch.total_weight
    batch.own_statistics = batch.statistics_total
    if batch.steps != NULL:
        norm_set_own_steps(&batch.packed, batch.statistics_weights)

# The structs of a run: a source of rows, the memory of a network, a batch on its way.

from libc.stdint cimport uint64_t

from skbn.kernels.sequences cimport Steps
from skbn.network.operation cimport Operation

# Where rows are read from: a table, its fixed normalization, its targets and weights.
cdef struct Source:
    const void* X               # dense: rows; sparse: the numbers of a CSR table
    const void* indices         # of a CSR table; NULL: X is dense
    const void* indptr
    const Py_ssize_t* lengths   # steps of each sequence; NULL: the rows are no sequences
    const double* mean          # NULL: the columns are not normalized
    const double* invstd
    const void* y               # in the dtype of the network; NULL: none
    const double* sample_weight     # in the loss; NULL: all 1
    const double* statistics_weight  # in the statistics of batch norm
    bint clipped                # whether normalized columns go through the smooth clip
    bint is_double              # X
    bint is_long                # the indices
    Py_ssize_t n_features
    Py_ssize_t n_targets        # columns of y: 1 for the number of a class
    Py_ssize_t row_stride       # of a dense X, in elements
    Py_ssize_t column_stride
    Py_ssize_t longest          # steps that the rows have room for: 1 without sequences

# A plan and the memory that its operations work on. ``void`` stands for the dtype of the network.
cdef struct Memory:
    const Operation* plan
    Py_ssize_t n_operations
    bint is_double              # float64, otherwise float32
    bint normalized             # whether any operation is a batch norm
    bint replaces               # whether all operations can replace the gradient of their weights
    void* parameters            # (n_parameters,)
    void* gradient              # (n_parameters,)
    void* work                  # column c of width d: (n, d) from element c * capacity on
    void* state                 # the same of recurrent operations, with state_capacity
    void* data_gradients        # (2, capacity * widest)
    void* targets               # (most_rows, n_targets) of a batch
    double* statistics          # running means and variances
    double* scratch             # statistics of the current batch, and sums for its gradient
    double* weights             # (2, most_rows): in the loss, in the statistics
    double* exchange            # (n_parameters + 2,) where numbers are added up over processes
    Py_ssize_t* packing         # the order of sequences, their lengths, and their steps
    Py_ssize_t n_parameters
    Py_ssize_t capacity         # largest number of rows, or of packed time steps, of a batch
    Py_ssize_t state_capacity
    Py_ssize_t most_rows        # rows or sequences of a batch at most
    Py_ssize_t gradient_size    # capacity * widest

# Numbers added up over processes that train one network together, each on its part of a batch.
# `add` replaces n numbers by their sums over all processes. It takes the GIL if it needs it.
cdef struct Sums:
    void (*add)(void* context, double* values, Py_ssize_t n) noexcept nogil
    void* context

cdef enum Mode:
    TRAINING = 0        # statistics of the batch; values for the backward pass are kept
    INFERENCE = 1       # running statistics, no dropout
    COLLECTING = 2      # statistics of the batch, no dropout; nothing is kept

# Some rows of a source on their way through a network.
cdef struct Batch:
    const Source* source
    const Py_ssize_t* rows      # numbers in the source; NULL: from row `first` on
    Py_ssize_t first
    Py_ssize_t n                # rows, or sequences
    Py_ssize_t n_rows           # rows of the current operation: packed time steps, or n
    const double* weights       # (n,) in the loss; NULL: all 1
    const double* statistics_weights  # (n,) in the statistics
    double total_weight         # over all processes, as the next
    double statistics_total
    double own_weight           # of this process
    double own_statistics
    const Steps* steps          # NULL: the rows are no sequences
    Steps packed                # memory of `steps`
    Py_ssize_t first_step       # the recurrent operations go through steps first_step to
    Py_ssize_t last_step        # last_step - 1
    Py_ssize_t unread           # of COLLECTING: a column of outputs that nobody reads, or -1
    int mode
    bint frozen                 # the running statistics serve, and stay as they are
    uint64_t seed               # of the dropout masks, with `step`
    uint64_t step
    bint adds                   # whether the gradient of weights is added to what is there
    void* dy                    # gradient of the output of the current operation
    void* spare                 # memory for the gradient of its input
    const Sums* sums            # NULL: this process alone

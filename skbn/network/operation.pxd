from libc.stdint cimport uint64_t

cdef enum OperationKind:
    LINEAR = 0
    BATCH_NORM = 1
    ACTIVATION = 2
    DROPOUT = 3
    RECURRENT = 4
    LAST = 5

# What an operation behind a RECURRENT one is to it; NO_PART stands by itself in the chain.
cdef enum Part:
    NO_PART = 0
    INPUT_MAP = 1
    INPUT_NORM = 2
    RECURRENT_MAP = 3
    RECURRENT_NORM = 4
    CELL_NORM = 5

# Mirrors ``skbn.network.plan.OPERATION``: Cython compares the types and places of all fields
# whenever a plan is passed. Offsets of -1 stand for "none".
cdef struct Operation:
    int kind                # an OperationKind
    int part                # a Part
    int activation          # an Activation, of ACTIVATION
    int cell                # a Cell, of RECURRENT
    int direction           # of RECURRENT: 0 forward, 1 backward in time
    int n_directions        # of RECURRENT, and of LAST: side by side in the columns of y
    Py_ssize_t n_in         # columns of x
    Py_ssize_t n_out        # columns of y
    Py_ssize_t x            # input, in columns of the work memory
    Py_ssize_t y            # output, in columns of the work memory; x for one in place
    Py_ssize_t state        # of RECURRENT: what it keeps, in columns of the state memory
    Py_ssize_t weights      # (n_in, n_out), in elements of the parameters
    Py_ssize_t bias         # (n_out - first_biased,)
    Py_ssize_t first_biased  # first column with a bias
    Py_ssize_t gamma        # (n_out,)
    Py_ssize_t beta         # (n_out,)
    Py_ssize_t n_steps      # t, the time steps of the statistics: 1 in a feed-forward network
    Py_ssize_t shared       # of BATCH_NORM: whether all time steps have one set of statistics
    Py_ssize_t statistics   # running mean (t, n_out), then running variance (t, n_out)
    Py_ssize_t scratch      # of BATCH_NORM, doubles: norm_scratch(t) * n_out
    double epsilon
    double momentum
    double rate             # of DROPOUT

# What distinguishes one training-mode pass from another, beside its rows.
cdef struct Pass:
    bint frozen             # too few rows for a variance: the running statistics serve
    double total_weight     # of the rows
    uint64_t seed           # of the dropout masks, with `step`
    uint64_t step

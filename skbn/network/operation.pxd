cdef enum OperationKind:
    INPUTS = 0
    LINEAR = 1
    BATCH_NORM = 2
    ACTIVATION = 3
    DROPOUT = 4
    RECURRENT = 5
    POOLING = 6
    SPARSE_LINEAR = 7
    PERIODIC = 8
    LAYER = 9
    N_KINDS = 10

# The role of an operation as a part of the RECURRENT or PERIODIC operation before it. NO_PART: the
# operation is not a part.
cdef enum Part:
    NO_PART = 0
    INPUT_MAP = 1
    INPUT_NORM = 2
    RECURRENT_MAP = 3
    RECURRENT_NORM = 4
    CELL_NORM = 5
    EMBEDDED_COLUMNS = 6

# Mirrors ``skbn.network.plan.OPERATION``: Cython compares the types and places of all fields
# whenever a plan is passed. Offsets of -1 stand for "none".
cdef struct Operation:
    int kind                # an OperationKind
    int part                # a Part
    int activation          # code of an activation; of LAYER a code of ``kernels/layer.h``
    int cell                # a Cell, of RECURRENT
    int direction           # of RECURRENT: 0 forward, 1 backward in time
    int n_directions        # of RECURRENT, and of POOLING: side by side in the columns
    Py_ssize_t n_in         # columns of x
    Py_ssize_t n_out        # columns of y
    Py_ssize_t x            # input, in columns of the work memory
    Py_ssize_t y            # output, in columns of the work memory; x for one in place
    Py_ssize_t x_stride     # of LAYER and LINEAR above: numbers from row to row of x
    Py_ssize_t y_stride     # of LAYER: the same of y
    Py_ssize_t z            # of LAYER: x W, in columns of the work memory
    Py_ssize_t side         # of LAYER: derivatives of silu, in columns; -1: none
    Py_ssize_t state        # of RECURRENT: kept values, in columns of the state memory
    Py_ssize_t weights      # (n_in, n_out), in elements of the parameters
    Py_ssize_t bias         # (n_out - first_biased,)
    Py_ssize_t first_biased  # first column with a bias
    Py_ssize_t gamma        # (n_out,)
    Py_ssize_t beta         # (n_out,)
    Py_ssize_t embedding    # of EMBEDDED_COLUMNS: (n_in, COLUMN_PARAMETERS)
    Py_ssize_t scale        # of LINEAR: a factor for each input, (n_in,)
    Py_ssize_t n_steps      # t, the time steps of the statistics: 1 in a feed-forward network
    Py_ssize_t shared       # of BATCH_NORM: whether all time steps have one set of statistics
    Py_ssize_t pooling      # of POOLING: a Pooling
    Py_ssize_t statistics   # running mean (t, n_out), then running variance (t, n_out)
    Py_ssize_t scratch      # doubles: the ``sizes`` of the kind say how many
    # Doubles of scratch for the numbers of the columns: of LAYER, and of BATCH_NORM in a recurrent
    # layer, where -1 says that the norm has other loops.
    Py_ssize_t columns
    # Doubles of scratch for packed weights: of LAYER, and of LINEAR above a layer or in a recurrent
    # one, where -1 says that BLAS does the products.
    Py_ssize_t packed
    Py_ssize_t key          # of DROPOUT: the masks of two operations differ by their keys
    double epsilon
    double momentum
    double rate             # of DROPOUT

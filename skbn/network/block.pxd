cdef enum OptimizerKind:
    SGD = 0
    ADAM = 1
    RMSPROP = 2

# Mirrors ``skbn.network.optimizer.OPTIMIZER``: Cython compares the types and places of all
# fields whenever a record is passed.
cdef struct Optimizer:
    int kind
    int nesterov
    double momentum
    double beta_1
    double beta_2
    double epsilon
    double alpha
    double weight_decay
    double max_grad_norm    # infinity: no clipping
    long long step
    long long seed          # of the dropout masks

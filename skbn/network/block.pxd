cdef enum OptimizerKind:
    SGD = 0
    ADAM = 1

# Mirrors ``skbn.network.optimizer.OPTIMIZER``, field by field (a test compares them).
cdef struct Optimizer:
    int kind
    int nesterov
    double momentum
    double beta_1
    double beta_2
    double epsilon
    double alpha
    double weight_decay
    long long step

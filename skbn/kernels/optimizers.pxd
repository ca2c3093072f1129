from cython cimport floating

cdef enum OptimizerKind:
    SGD = 0
    ADAM = 1
    RMSPROP = 2

# Mirrors ``skbn.network.optimizer.OPTIMIZER``: Cython compares the types and places of all
# fields whenever a record is passed.
cdef struct Optimizer:
    int kind                # an OptimizerKind
    int nesterov
    double momentum
    double beta_1
    double beta_2
    double epsilon
    double weight_decay
    double max_grad_norm    # infinity: no clipping
    long long step          # steps so far

cdef void optimizer_begin(
    Optimizer* optimizer, floating* gradient, Py_ssize_t size,
) noexcept nogil

cdef void optimizer_step(
    floating* parameters, floating* first_moment, floating* second_moment,
    const floating* gradient,
    Py_ssize_t size,
    double learning_rate, double decay, const Optimizer* optimizer,
) noexcept nogil

cdef void sgd_step "skbn_sgd_step"(
    floating* parameters, floating* velocity,
    const floating* gradient,
    Py_ssize_t size,
    double learning_rate, double momentum, bint nesterov,
) noexcept nogil

cdef void adam_step "skbn_adam_step"(
    floating* parameters, floating* first_moment, floating* second_moment,
    const floating* gradient,
    Py_ssize_t size,
    double learning_rate, double beta_1, double beta_2, double epsilon, long long step,
) noexcept nogil

cdef void rmsprop_step "skbn_rmsprop_step"(
    floating* parameters, floating* velocity, floating* square_average,
    const floating* gradient,
    Py_ssize_t size,
    double learning_rate, double decay, double momentum, double epsilon,
) noexcept nogil

cdef void decay_step "skbn_decay_step"(
    floating* parameters, Py_ssize_t size, double learning_rate, double weight_decay,
) noexcept nogil

cdef double clip_norm(
    floating* gradient, Py_ssize_t size, double max_norm,
) noexcept nogil

from cython cimport floating

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

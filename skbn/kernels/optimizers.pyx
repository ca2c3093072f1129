"""Optimizers: one loop over one flat vector of parameters, changed in place.

SGD and Adam compute as in scikit-learn. The momentum of SGD is ``v' = m v - lr g``. Adam adds
epsilon to ``sqrt(v)`` before the bias correction (Kingma and Ba 2015, end of section 2). So an
epsilon of this Adam corresponds to the epsilon ``epsilon / sqrt(1 - beta_2^t)`` of PyTorch's Adam
at step t. scikit-learn has no RMSProp, so RMSProp computes as in PyTorch: epsilon is added to the
root, and no bias is corrected. The velocity is kept without the learning rate, and the learning
rate multiplies the velocity in each step.

References
----------
Kingma and Ba (2015), "Adam: a method for stochastic optimization".
Pascanu, Mikolov and Bengio (2013), "On the difficulty of training recurrent neural networks"
(gradient clipping).
Loshchilov and Hutter (2019), "Decoupled weight decay regularization" (AdamW).
Sutskever et al. (2013), "On the importance of initialization and momentum in deep learning".
Tieleman and Hinton (2012), "Neural networks for machine learning", Lecture 6.5 (RMSProp).
"""

from cython cimport floating
from libc.math cimport INFINITY, isfinite, sqrt, sqrtf

from skbn.kernels._operands import check_at_least_zero, check_share

# Name -> code in an optimizer's record.
OPTIMIZERS = {"sgd": SGD, "adam": ADAM, "rmsprop": RMSPROP}


cdef extern from *:
    """
    #include "simd.h"
    #define SGD(T) (T*, T*, const T*, Py_ssize_t, double, double, int)
    #define ADAM(T) \
        (T*, T*, T*, const T*, Py_ssize_t, double, double, double, double, long long)
    #define RMSPROP(T) \
        (T*, T*, T*, const T*, Py_ssize_t, double, double, double, double)
    #define DECAY(T) (T*, Py_ssize_t, double, double)
    SKBN_CLONE_BOTH(void, skbn_sgd_step, SGD)
    SKBN_CLONE_BOTH(void, skbn_adam_step, ADAM)
    SKBN_CLONE_BOTH(void, skbn_rmsprop_step, RMSPROP)
    SKBN_CLONE_BOTH(void, skbn_decay_step, DECAY)
    """


cdef void sgd_step "skbn_sgd_step"(
    floating* parameters, floating* velocity,
    const floating* gradient,
    Py_ssize_t size,
    double learning_rate, double momentum, bint nesterov,
) noexcept nogil:
    """v' = m v - lr g; p' = p + v', with Nesterov p' = p + m v' - lr g."""
    cdef Py_ssize_t i
    cdef floating rate = <floating> learning_rate, m = <floating> momentum
    if nesterov:
        for i in range(size):
            velocity[i] = m * velocity[i] - rate * gradient[i]
            parameters[i] += m * velocity[i] - rate * gradient[i]
    else:
        for i in range(size):
            velocity[i] = m * velocity[i] - rate * gradient[i]
            parameters[i] += velocity[i]


cdef double _power(double base, long long exponent) noexcept nogil:
    cdef double result = 1.0
    while exponent > 0:
        if exponent & 1:
            result *= base
        base *= base
        exponent >>= 1
    return result


cdef void adam_step "skbn_adam_step"(
    floating* parameters, floating* first_moment, floating* second_moment,
    const floating* gradient,
    Py_ssize_t size,
    double learning_rate, double beta_1, double beta_2, double epsilon, long long step,
) noexcept nogil:
    """m' = b1 m + (1 - b1) g, v' = b2 v + (1 - b2) g^2, p' = p - lr_t m' / (sqrt(v') + eps)

    with lr_t = lr sqrt(1 - b2^t) / (1 - b1^t) at step t = 1, 2, ...
    """
    cdef Py_ssize_t i
    cdef floating b1 = <floating> beta_1, b2 = <floating> beta_2
    cdef floating c1 = <floating> (1.0 - beta_1), c2 = <floating> (1.0 - beta_2)
    cdef floating eps = <floating> epsilon
    cdef floating rate = <floating> (
        learning_rate * sqrt(1.0 - _power(beta_2, step)) / (1.0 - _power(beta_1, step))
    )
    for i in range(size):
        first_moment[i] = b1 * first_moment[i] + c1 * gradient[i]
        second_moment[i] = b2 * second_moment[i] + c2 * gradient[i] * gradient[i]
        if floating is float:
            parameters[i] -= rate * first_moment[i] / (sqrtf(second_moment[i]) + eps)
        else:
            parameters[i] -= rate * first_moment[i] / (sqrt(second_moment[i]) + eps)


cdef void rmsprop_step "skbn_rmsprop_step"(
    floating* parameters, floating* velocity, floating* square_average,
    const floating* gradient,
    Py_ssize_t size,
    double learning_rate, double decay, double momentum, double epsilon,
) noexcept nogil:
    """v' = decay v + (1 - decay) g^2, u' = m u + g / (sqrt(v') + eps), p' = p - lr u'."""
    cdef Py_ssize_t i
    cdef floating kept = <floating> decay, added = <floating> (1.0 - decay)
    cdef floating m = <floating> momentum, eps = <floating> epsilon
    cdef floating rate = <floating> learning_rate
    for i in range(size):
        square_average[i] = kept * square_average[i] + added * gradient[i] * gradient[i]
        if floating is float:
            velocity[i] = m * velocity[i] + gradient[i] / (sqrtf(square_average[i]) + eps)
        else:
            velocity[i] = m * velocity[i] + gradient[i] / (sqrt(square_average[i]) + eps)
        parameters[i] -= rate * velocity[i]


cdef void decay_step "skbn_decay_step"(
    floating* parameters, Py_ssize_t size, double learning_rate, double weight_decay,
) noexcept nogil:
    """p' = (1 - lr weight_decay) p. The step of the optimizer comes afterwards."""
    cdef Py_ssize_t i
    cdef floating factor = <floating> (1.0 - learning_rate * weight_decay)
    for i in range(size):
        parameters[i] *= factor


cdef double clip_norm(
    floating* gradient, Py_ssize_t size, double max_norm,
) noexcept nogil:
    """Scale a gradient down to the Euclidean norm max_norm if the gradient is longer.

    Returns the norm before the scaling. A gradient that is not finite stays as it is.
    """
    cdef Py_ssize_t i
    cdef double total = 0.0, norm
    cdef floating factor
    for i in range(size):
        total += <double> gradient[i] * gradient[i]
    norm = sqrt(total)
    if norm > max_norm and isfinite(norm):
        factor = <floating> (max_norm / norm)
        for i in range(size):
            gradient[i] *= factor
    return norm


cdef void optimizer_begin(
    Optimizer* optimizer, floating* gradient, Py_ssize_t size,
) noexcept nogil:
    """Begin a step: count it, and clip the gradient of all parameters."""
    optimizer.step += 1
    if optimizer.max_grad_norm != INFINITY:
        clip_norm(gradient, size, optimizer.max_grad_norm)


cdef void optimizer_step(
    floating* parameters, floating* first_moment, floating* second_moment,
    const floating* gradient,
    Py_ssize_t size,
    double learning_rate, double decay, const Optimizer* optimizer,
) noexcept nogil:
    """One step of some of the parameters; `decay` is a factor on the weight decay."""
    if optimizer.weight_decay * decay > 0.0:
        decay_step(parameters, size, learning_rate, optimizer.weight_decay * decay)
    if optimizer.kind == ADAM:
        adam_step(parameters, first_moment, second_moment, gradient, size, learning_rate,
                  optimizer.beta_1, optimizer.beta_2, optimizer.epsilon, optimizer.step)
    elif optimizer.kind == RMSPROP:
        rmsprop_step(parameters, first_moment, second_moment, gradient, size, learning_rate,
                     optimizer.beta_2, optimizer.momentum, optimizer.epsilon)
    else:
        sgd_step(parameters, first_moment, gradient, size, learning_rate, optimizer.momentum,
                 optimizer.nesterov)


def _check_sizes(*vectors):
    if len({vector.shape[0] for vector in vectors}) != 1:
        raise ValueError("the vectors must have one size, got "
                         + ", ".join(str(vector.shape[0]) for vector in vectors))


def _check_adam(learning_rate, beta_1, beta_2, epsilon, step):
    check_at_least_zero("learning_rate", learning_rate)
    for name, beta in (("beta_1", beta_1), ("beta_2", beta_2)):
        if not 0.0 <= beta < 1.0:
            raise ValueError(f"{name} must be in [0, 1), got {beta}")
    check_at_least_zero("epsilon", epsilon)
    if step < 1:
        raise ValueError(f"step counts from 1, got {step}")


def sgd(
    floating[::1] parameters, floating[::1] velocity, const floating[::1] gradient,
    double learning_rate, double momentum=0.0, bint nesterov=False,
):
    """One step of stochastic gradient descent with momentum, in place.

    Parameters
    ----------
    parameters, velocity : ndarray of shape (size,), C-ordered
        Changed in place; `velocity` starts at 0.
    gradient : ndarray of shape (size,), C-ordered
        Gradient of the loss, of the same dtype.
    learning_rate : float
        Step size.
    momentum : float, default=0.0
        Factor of the velocity, in [0, 1].
    nesterov : bool, default=False
        Whether to look ahead by the velocity.

    Raises
    ------
    ValueError
        If sizes or dtypes differ, or a number is out of its range.
    """
    check_at_least_zero("learning_rate", learning_rate)
    check_share("momentum", momentum)
    _check_sizes(parameters, velocity, gradient)
    if parameters.shape[0] > 0:
        sgd_step(&parameters[0], &velocity[0], &gradient[0], parameters.shape[0],
                 learning_rate, momentum, nesterov)


def adam(
    floating[::1] parameters, floating[::1] first_moment, floating[::1] second_moment,
    const floating[::1] gradient,
    double learning_rate, long long step,
    double beta_1=0.9, double beta_2=0.999, double epsilon=1e-8,
):
    """One step of Adam, in place.

    Parameters
    ----------
    parameters, first_moment, second_moment : ndarray of shape (size,), C-ordered
        Changed in place; the moments start at 0.
    gradient : ndarray of shape (size,), C-ordered
        Gradient of the loss, of the same dtype.
    learning_rate : float
        Step size.
    step : int
        Number of this step, from 1, for the bias correction.
    beta_1, beta_2 : float, default=0.9, 0.999
        Decay of the first and second moment, in [0, 1).
    epsilon : float, default=1e-8
        Added to the root of the second moment, before the bias correction.

    Raises
    ------
    ValueError
        If sizes or dtypes differ, `step` is below 1, or another number is out of its range.
    """
    _check_adam(learning_rate, beta_1, beta_2, epsilon, step)
    _check_sizes(parameters, first_moment, second_moment, gradient)
    if parameters.shape[0] > 0:
        adam_step(&parameters[0], &first_moment[0], &second_moment[0], &gradient[0],
                  parameters.shape[0], learning_rate, beta_1, beta_2, epsilon, step)


def adamw(
    floating[::1] parameters, floating[::1] first_moment, floating[::1] second_moment,
    const floating[::1] gradient,
    double learning_rate, long long step, double weight_decay, Py_ssize_t n_weights,
    double beta_1=0.9, double beta_2=0.999, double epsilon=1e-8,
):
    """One step of Adam with decoupled weight decay, in place.

    Parameters
    ----------
    parameters, first_moment, second_moment : ndarray of shape (size,), C-ordered
        Changed in place; the moments start at 0.
    gradient : ndarray of shape (size,), C-ordered
        Gradient of the loss without any penalty, of the same dtype.
    learning_rate : float
        Step size.
    step : int
        Number of this step, from 1, for the bias correction.
    weight_decay : float
        Rate of the decay; a weight shrinks by ``learning_rate * weight_decay`` a step.
    n_weights : int
        The first so many parameters decay: the weights. Intercepts, gammas and betas do not decay.
    beta_1, beta_2 : float, default=0.9, 0.999
        Decay of the first and second moment, in [0, 1).
    epsilon : float, default=1e-8
        Added to the root of the second moment, before the bias correction.

    Raises
    ------
    ValueError
        If sizes or dtypes differ, `step` is below 1, `n_weights` is not in 0 to size, or
        another number is out of its range.
    """
    _check_adam(learning_rate, beta_1, beta_2, epsilon, step)
    _check_sizes(parameters, first_moment, second_moment, gradient)
    check_at_least_zero("weight_decay", weight_decay)
    if not 0 <= n_weights <= parameters.shape[0]:
        raise ValueError(f"n_weights must be in 0 to {parameters.shape[0]}, got {n_weights}")
    if parameters.shape[0] > 0:
        decay_step(&parameters[0], n_weights, learning_rate, weight_decay)
        adam_step(&parameters[0], &first_moment[0], &second_moment[0], &gradient[0],
                  parameters.shape[0], learning_rate, beta_1, beta_2, epsilon, step)


def rmsprop(
    floating[::1] parameters, floating[::1] velocity, floating[::1] square_average,
    const floating[::1] gradient,
    double learning_rate, double decay=0.99, double momentum=0.0, double epsilon=1e-8,
):
    """One step of RMSProp with momentum, in place.

    Parameters
    ----------
    parameters, velocity, square_average : ndarray of shape (size,), C-ordered
        Changed in place; `velocity` and `square_average` start at 0.
    gradient : ndarray of shape (size,), C-ordered
        Gradient of the loss, of the same dtype.
    learning_rate : float
        Step size.
    decay : float, default=0.99
        Decay of the average of the squared gradient, in [0, 1).
    momentum : float, default=0.0
        Factor of the velocity, in [0, 1].
    epsilon : float, default=1e-8
        Added to the root of `square_average`.

    Raises
    ------
    ValueError
        If sizes or dtypes differ, or a number is out of its range.
    """
    check_at_least_zero("learning_rate", learning_rate)
    check_share("decay", decay)
    check_share("momentum", momentum)
    check_at_least_zero("epsilon", epsilon)
    _check_sizes(parameters, velocity, square_average, gradient)
    if parameters.shape[0] > 0:
        rmsprop_step(&parameters[0], &velocity[0], &square_average[0], &gradient[0],
                     parameters.shape[0], learning_rate, decay, momentum, epsilon)


def clip(floating[::1] gradient, double max_norm):
    """Scale a gradient down to a Euclidean norm, in place, if the gradient is longer.

    Parameters
    ----------
    gradient : ndarray of shape (size,), C-ordered
        Changed in place. A gradient that is not finite stays as it is.
    max_norm : float
        The largest norm that a gradient may have without being scaled.

    Returns
    -------
    norm : float
        The norm before the scaling.

    Raises
    ------
    ValueError
        If `max_norm` is not positive.
    """
    if not max_norm > 0.0:
        raise ValueError(f"max_norm must be positive, got {max_norm}")
    if gradient.shape[0] == 0:
        return 0.0
    return clip_norm(&gradient[0], gradient.shape[0], max_norm)

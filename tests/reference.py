"""Reference implementations of the array functions of the kernels, in plain NumPy.

The reference implementation of an array function is called its *twin*. A twin is the formula,
written as plainly as possible. Each kernel module has a class here, and each array function of
the module has a static method of the same name and signature (``test_reference.py`` checks it).

A twin computes in float64, and moments in long double. A twin checks no argument. A twin changes
the same arguments in place as its array function.
"""

import numpy as np
from scipy.special import ndtr, xlogy

from skbn.kernels import _simd


class blas:
    @staticmethod
    def matmul(a, b, transpose_a=False, transpose_b=False):
        return (a.T if transpose_a else a) @ (b.T if transpose_b else b)

    @staticmethod
    def inner(x, y):
        return np.sum(x * y)


class linear:
    @staticmethod
    def forward(x, weights, bias=None):
        return x @ weights + (0.0 if bias is None else bias)

    @staticmethod
    def backward(dy, x, weights):
        return dy @ weights.T, x.T @ dy, np.sum(dy, axis=0)


class input_scale:
    @staticmethod
    def forward(weights, scale):
        return scale[:, np.newaxis] * weights

    @staticmethod
    def backward(dscaled, weights, scale):
        return scale[:, np.newaxis] * dscaled, np.sum(weights * dscaled, axis=1)


class moments:
    @staticmethod
    def batch_moments(x):
        mean, var = moments.batch_moment_pairs(x)
        return mean[0], var

    @staticmethod
    def batch_moment_pairs(x):
        # Deviations are from the first row, so that the variance of a constant column is exactly 0
        # even if long double is double.
        x = np.asarray(x, dtype=np.longdouble)
        rest = np.mean(x - x[0], axis=0)
        mean = x[0] + rest
        var = np.mean((x - mean) ** 2, axis=0)
        rounded = mean.astype(np.float64)
        lost = ((x[0] - rounded) + rest).astype(np.float64)
        return np.stack([rounded, lost]), var.astype(np.float64)

    @staticmethod
    def weighted_moments(x, sample_weight=None):
        x = np.asarray(x, dtype=np.longdouble)
        n, d = x.shape
        sample_weight = np.ones(n) if sample_weight is None else np.asarray(sample_weight)
        mean, var, weight = np.zeros((3, d))
        for j in range(d):
            counts = (sample_weight > 0) & ~np.isnan(x[:, j])
            if not counts.any():
                continue
            column, share = x[counts, j], sample_weight[counts] / np.sum(sample_weight[counts])
            exact_mean = column[0] + np.sum(share * (column - column[0]))
            mean[j] = exact_mean
            var[j] = np.sum(share * (column - exact_mean) ** 2)
            weight[j] = np.sum(sample_weight[counts])
        return mean, var, weight

    @staticmethod
    def without_rounding(mean, var, dtype):
        bound = (16 * np.finfo(dtype).eps) ** 2 * (mean**2 + np.mean(mean**2))
        return np.where(var <= bound, 0.0, var)


class merging:
    @staticmethod
    def merge(mean, var, weight, batch_mean, batch_var, batch_weight):
        seen = weight + batch_weight > 0
        mean_a, mean_b = mean[seen].astype(np.longdouble), batch_mean[seen]
        total = weight[seen] + batch_weight[seen]
        share_a, share_b = weight[seen] / total, batch_weight[seen] / total
        merged = mean_a + share_b * (mean_b - mean_a)
        var[seen] = share_a * (var[seen] + (mean_a - merged) ** 2) + share_b * (
            batch_var[seen] + (mean_b - merged) ** 2
        )
        mean[seen] = merged
        weight[seen] = total

    @staticmethod
    def merge_pairs(mean, var, weight, batch_mean, batch_var, batch_weight):
        seen = weight + batch_weight > 0
        mean_a, mean_b, var_a, var_b = (
            np.sum(pair[:, seen], axis=0, dtype=np.longdouble)
            for pair in (mean, batch_mean, var, batch_var)
        )
        total = weight[seen].astype(np.longdouble) + batch_weight[seen]
        share_a, share_b = weight[seen] / total, batch_weight[seen] / total
        merged_mean = share_a * mean_a + share_b * mean_b
        merged_var = share_a * var_a + share_b * var_b + share_a * share_b * (mean_a - mean_b) ** 2
        for pair, value in ((mean, merged_mean), (var, merged_var)):
            pair[0, seen] = value
            pair[1, seen] = value - pair[0, seen]
        weight[seen] = total

    @staticmethod
    def update_running(running_mean, running_var, batch_mean, batch_var, momentum):
        running_mean[:] = (1 - momentum) * running_mean + momentum * batch_mean
        running_var[:] = (1 - momentum) * running_var + momentum * batch_var


def inverse_std(var, epsilon):
    """1 / sqrt(var + epsilon); 0 for a column without variance."""
    return np.divide(1.0, np.sqrt(var + epsilon), out=np.zeros_like(var), where=var > 0)


class batchnorm:
    @staticmethod
    def forward(x, gamma, beta, epsilon=1e-5, sample_weight=None):
        if sample_weight is None:
            mean, var = moments.batch_moments(x)
        else:
            mean, var, _ = moments.weighted_moments(x, sample_weight)
        invstd = inverse_std(var, epsilon)
        return gamma * (x - mean) * invstd + beta, mean, var, invstd

    @staticmethod
    def backward(dy, x, gamma, batch_mean, batch_invstd, sample_weight=None):
        n = x.shape[0]
        weight = np.ones(n) if sample_weight is None else np.asarray(sample_weight)
        share = (weight / np.sum(weight))[:, np.newaxis]
        xhat = (x - batch_mean) * batch_invstd
        dxhat = dy * gamma
        through_statistics = np.sum(dxhat, axis=0) + xhat * np.sum(dxhat * xhat, axis=0)
        dx = batch_invstd * (dxhat - share * through_statistics)
        return dx, np.sum(dy * xhat, axis=0), np.sum(dy, axis=0)

    @staticmethod
    def relu_forward(x, gamma, beta, epsilon=1e-5, sample_weight=None):
        y, *statistics = batchnorm.forward(x, gamma, beta, epsilon, sample_weight)
        return activations.forward(y, "relu"), *statistics

    @staticmethod
    def relu_backward(dy, y, x, gamma, batch_mean, batch_invstd, sample_weight=None):
        dy = activations.backward(dy, None, y, "relu")
        return batchnorm.backward(dy, x, gamma, batch_mean, batch_invstd, sample_weight)

    @staticmethod
    def infer(x, gamma, beta, running_mean, running_var, epsilon=1e-5):
        return gamma * (x - running_mean) * inverse_std(running_var, epsilon) + beta


class affine:
    @staticmethod
    def affine(x, mean, scale, shift, out=None):
        y = (x - mean) * scale + shift
        if out is not None:
            out[...] = y
        return y, not np.isinf(y).any()


class normalized_sum:
    @staticmethod
    def combine(y, x, gamma=None, beta=None, batch_mean=None, batch_invstd=None, add=True):
        if batch_mean is not None:
            x = (x - batch_mean) * batch_invstd
        part = x * (1.0 if gamma is None else gamma) + (0.0 if beta is None else beta)
        y[...] = y + part if add else part


class activations:
    @staticmethod
    def forward(x, activation):
        with np.errstate(over="ignore"):  # if exp(-x) is infinite, the quotient is 0
            return {
                "identity": lambda x: +x,
                "logistic": lambda x: 1 / (1 + np.exp(-x)),
                "tanh": np.tanh,
                "relu": lambda x: np.maximum(x, 0),
                "silu": lambda x: x / (1 + np.exp(-x)),
                "gelu": lambda x: x * ndtr(x),
                "mish": lambda x: x * np.tanh(np.logaddexp(0, x)),
                "leaky_relu": lambda x: np.where(x > 0, x, 0.01 * x),
            }[activation](x)

    @staticmethod
    def backward(dy, x, y, activation):
        with np.errstate(over="ignore"):
            derivative = {
                "identity": lambda: np.ones_like(y),
                "logistic": lambda: y * (1 - y),
                "tanh": lambda: 1 - y**2,
                "relu": lambda: y > 0,
                "silu": lambda: (1 + x / (1 + np.exp(x))) / (1 + np.exp(-x)),
                "gelu": lambda: ndtr(x) + x * np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi),
                "mish": lambda: (
                    np.tanh(np.logaddexp(0, x))
                    + x / np.cosh(np.logaddexp(0, x)) ** 2 / (1 + np.exp(-x))
                ),
                "leaky_relu": lambda: np.where(y > 0, 1.0, 0.01),
            }[activation]()
        return dy * derivative


class layer:
    @staticmethod
    def lanes():
        return {"x86-64-v4": 16, "x86-64-v3": 8}.get(_simd.level(), 0)

    @staticmethod
    def panel_width():
        return {"x86-64-v4": 64, "x86-64-v3": 16}.get(_simd.level(), 0)

    @staticmethod
    def product(a, b, transpose_b=False, packed=False):
        return blas.matmul(a, b, transpose_b=transpose_b)

    @staticmethod
    def forward(x, weights, gamma, beta, activation, epsilon=1e-5):
        z = x @ weights
        normalized, *statistics = batchnorm.forward(z, gamma, beta, epsilon)
        return *activated(normalized, activation, z), *statistics

    @staticmethod
    def linear_forward(x, weights, bias, activation):
        return activated(linear.forward(x, weights, bias), activation)

    @staticmethod
    def activation_gradient(dy, z, side, batch_mean, activation, weights=None):
        dy = dy if weights is None else dy @ weights.T
        derivative = {"identity": 1.0, "relu": side > 0, "silu": side}[activation]
        g = dy * derivative
        return g, np.sum(g, axis=0), np.sum(g * (z - batch_mean), axis=0)

    @staticmethod
    def data_gradient(g, z, sum_g, sum_g_z, gamma, batch_mean, batch_invstd, share=None):
        share = np.full(len(z), 1.0 / len(z)) if share is None else share
        xhat = (z - batch_mean) * batch_invstd
        # The sums are about the mean that ``activation_gradient`` has rounded to float32.
        rounded = batch_mean.astype(np.float32)
        sum_g_xhat = (sum_g_z - (batch_mean - rounded) * sum_g) * batch_invstd
        through_statistics = share[:, np.newaxis] * (sum_g + xhat * sum_g_xhat)
        return gamma * batch_invstd * (g - through_statistics), sum_g_xhat, sum_g

    @staticmethod
    def weight_gradient(x, dz):
        return x.T @ dz


def activated(x, activation, *between):
    """The output of a layer, what stands `between`, and what its backward pass needs."""
    y = activations.forward(x, activation)
    side = {
        "identity": lambda: np.zeros_like(y),
        "relu": lambda: y,
        "silu": lambda: activations.backward(np.ones_like(y), x, y, "silu"),
    }[activation]()
    return y, *between, side


class periodic:
    @staticmethod
    def forward(x, parameters):
        w, b, W2, b2 = periodic_parts(parameters)
        cosines = np.cos(x[:, :, np.newaxis] * w + b)
        e = np.einsum("nmk,mke->nme", cosines, W2) + b2
        return np.concatenate([e, x[:, :, np.newaxis]], axis=2).reshape(len(x), 4 * x.shape[1])

    @staticmethod
    def backward(dy, x, parameters):
        w, b, W2, _ = periodic_parts(parameters)
        z = x[:, :, np.newaxis] * w + b
        de = dy.reshape(*x.shape, 4)[:, :, :3]
        dz = -np.sin(z) * np.einsum("nme,mke->nmk", de, W2)
        dw, db = np.einsum("nmk,nm->mk", dz, x), np.sum(dz, axis=0)
        dW2, db2 = np.einsum("nmk,nme->mke", np.cos(z), de), np.sum(de, axis=0)
        return np.hstack([dw, db, dW2.reshape(x.shape[1], 48), db2])

    @staticmethod
    def cosine(x):
        return np.cos(x)


def periodic_parts(parameters):
    """The parts w, b, W2 and b2 of the parameters of columns, each with an entry for a column."""
    w, b, W2, b2 = np.split(parameters, [16, 32, 80], axis=1)
    return w, b, W2.reshape(len(parameters), 16, 3), b2


class cells:
    @staticmethod
    def lstm(z, c_previous=None):
        i, f, g, o = np.split(z, 4, axis=1)
        i, f, o = (activations.forward(gate, "logistic") for gate in (i, f, o))
        g = np.tanh(g)
        c = f * (0.0 if c_previous is None else c_previous) + i * g
        return np.hstack([i, f, g, o]), c

    @staticmethod
    def lstm_output(gates, c):
        *_, o = np.split(gates, 4, axis=1)
        return o * np.tanh(c), np.tanh(c)

    @staticmethod
    def lstm_output_gradient(dh, gates, tanh_c):
        i, f, g, o = np.split(gates, 4, axis=1)
        dc = activations.backward(dh * o, None, tanh_c, "tanh")
        dz_o = activations.backward(dh * tanh_c, None, o, "logistic")
        return dc, np.hstack([i, f, g, dz_o])

    @staticmethod
    def lstm_gradient(dc, gates, c_previous=None):
        i, f, g, dz_o = np.split(gates, 4, axis=1)
        dz_i = activations.backward(dc * g, None, i, "logistic")
        dz_g = activations.backward(dc * i, None, g, "tanh")
        if c_previous is None:
            return np.hstack([dz_i, np.zeros_like(f), dz_g, dz_o]), dc
        dz_f = activations.backward(dc * c_previous, None, f, "logistic")
        return np.hstack([dz_i, dz_f, dz_g, dz_o]), dc * f

    @staticmethod
    def gru(z, u, h_previous=None):
        r, z, a = np.split(z, 3, axis=1)
        r, z = (activations.forward(gate, "logistic") for gate in (r, z))
        n = np.tanh(a + r * u)
        h = (1 - z) * n + z * (0.0 if h_previous is None else h_previous)
        return np.hstack([r, z, n]), h

    @staticmethod
    def gru_gradient(dh, gates, u, h_previous=None):
        r, z, n = np.split(gates, 3, axis=1)
        h_previous = np.zeros_like(dh) if h_previous is None else h_previous
        da = activations.backward(dh * (1 - z), None, n, "tanh")
        dz_r = activations.backward(da * u, None, r, "logistic")
        dz_z = activations.backward(dh * (h_previous - n), None, z, "logistic")
        return np.hstack([dz_r, dz_z, da * r]), da, dh * z


def normalized(x, norm):
    """A part of pre-activations by its norm (mean, invstd, gamma, beta); ``None``: as it is."""
    if x is None or norm is None:
        return 0.0 if x is None else x
    mean, invstd, gamma, beta = norm
    return gamma * (x - mean) * invstd + beta


def with_later(x, later):
    """Rows, with what the next time step adds to the first of them."""
    result = np.array(x)
    if later is not None:
        result[: len(later)] += later
    return result


class fused_cells:
    @staticmethod
    def lstm(part_a, part_u=None, c_previous=None, a_norm=None, u_norm=None):
        return cells.lstm(normalized(part_a, a_norm) + normalized(part_u, u_norm), c_previous)

    @staticmethod
    def lstm_output(gates, c, norm=None):
        return cells.lstm_output(gates, normalized(c, norm))

    @staticmethod
    def gru(part_a, part_u=None, bias=0.0, h_previous=None, a_norm=None, u_norm=None):
        d = part_a.shape[1] // 3
        a, u = normalized(part_a, a_norm), normalized(part_u, u_norm) + np.zeros_like(part_a)
        candidate = u[:, 2 * d :] + bias
        z = np.hstack([(a + u)[:, : 2 * d], a[:, 2 * d :]])
        gates, h = cells.gru(z, candidate, h_previous)
        return gates, candidate, h

    @staticmethod
    def tanh(part_a, part_u=None, a_norm=None, u_norm=None):
        return np.tanh(normalized(part_a, a_norm) + normalized(part_u, u_norm))

    @staticmethod
    def lstm_output_gradient(dh, gates, tanh_c, dh_later=None):
        return cells.lstm_output_gradient(with_later(dh, dh_later), gates, tanh_c)

    @staticmethod
    def lstm_gradient(dc, gates, c_previous=None, dc_later=None, dh=None, dh_later=None):
        if dh is not None:
            dc, gates = fused_cells.lstm_output_gradient(dh, gates, dc, dh_later)
        return cells.lstm_gradient(with_later(dc, dc_later), gates, c_previous)

    @staticmethod
    def gru_gradient(dh, gates, candidate, h_previous=None, dh_later=None):
        return cells.gru_gradient(with_later(dh, dh_later), gates, candidate, h_previous)

    @staticmethod
    def norm_moments(x):
        return moments.batch_moments(x)

    @staticmethod
    def norm_gradient(dy, x, mean, invstd, gamma):
        xhat = (x - mean) * invstd
        dgamma, dbeta = np.sum(dy * xhat, axis=0), np.sum(dy, axis=0)
        return gamma * invstd * (dy - (dbeta + xhat * dgamma) / len(x)), dgamma, dbeta


def rows_of_sequences(lengths):
    """The row numbers of every sequence of a packed matrix, a list of lists."""
    _, _, starts = sequences.pack(lengths)
    return [[starts[step] + i for step in range(length)] for i, length in enumerate(lengths)]


class sequences:
    @staticmethod
    def pack(lengths):
        order = sorted(range(len(lengths)), key=lambda i: -lengths[i])  # stable
        counts = [sum(length > step for length in lengths) for step in range(max(lengths))]
        starts = [sum(counts[:step]) for step in range(len(counts))]
        return tuple(np.array(numbers, np.intp) for numbers in (order, counts, starts))

    @staticmethod
    def reverse(x, lengths):
        y = np.empty_like(x)
        for rows in rows_of_sequences(lengths):
            y[rows] = x[rows[::-1]]
        return y

    @staticmethod
    def write(y, x, lengths, reverse=False):
        y[...] = sequences.reverse(x, lengths) if reverse else x


class pooling:
    @staticmethod
    def forward(x, lengths, pooling, n_directions=1):
        d = x.shape[1] // n_directions
        of_sequence = {
            "last": lambda x: np.concatenate([x[-1, :d], x[0, d:]]),
            "mean": lambda x: np.mean(x, axis=0),
            "max": lambda x: np.max(x, axis=0),
            "mean_max": lambda x: np.concatenate([np.mean(x, axis=0), np.max(x, axis=0)]),
        }[pooling]
        return np.array([of_sequence(x[rows]) for rows in rows_of_sequences(lengths)])

    @staticmethod
    def backward(dy, x, y, lengths, pooling, n_directions=1):
        width = x.shape[1]
        d = width // n_directions
        dx = np.zeros((sum(lengths), width))
        for i, rows in enumerate(rows_of_sequences(lengths)):
            if pooling == "last":
                dx[rows[-1], :d] = dy[i, :d]
                dx[rows[0], d:] = dy[i, d:]
            if pooling in ("mean", "mean_max"):
                dx[rows] += dy[i, :width] / len(rows)
            if pooling in ("max", "mean_max"):
                # The first of equal steps.
                first = np.argmax(x[rows], axis=0)
                dx[np.array(rows)[first], np.arange(width)] += dy[i, -width:]
        return dx


def splitmix64(state, count):
    """The number `count` of the SplitMix64 generator with the seed `state`.

    Every number adds the golden gamma to the state, and is a finalizer's mix of the sum;
    number 0 is that of the state itself.
    """
    with np.errstate(over="ignore"):  # all numbers are modulo 2^64
        gamma = np.uint64(0x9E3779B97F4A7C15)
        z = np.asarray(state).astype(np.uint64) + np.asarray(count).astype(np.uint64) * gamma
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            z = (z ^ (z >> np.uint64(shift))) * np.uint64(factor)
        return z ^ (z >> np.uint64(31))


class dropout:
    @staticmethod
    def apply(x, rate, seed, step, operation):
        # The first number of the seed's generator seeds the generator of the steps. The number
        # `step` of this generator seeds the generator of the operations.
        key = splitmix64(splitmix64(splitmix64(seed, 1), step), operation + 1)
        numbers = splitmix64(key, np.arange(1, x.size + 1)).reshape(x.shape)
        kept = numbers >= np.uint64(int(rate * 2.0**64))
        return x * kept / (1 - rate)


def weighted_mean(loss, gradient, sample_weight):
    """Weighted mean of the losses of the rows, and the gradient of this mean."""
    weight = np.ones(len(loss)) if sample_weight is None else np.asarray(sample_weight)
    share = weight / np.sum(weight)
    return np.sum(share * loss), share[:, np.newaxis] * gradient


class losses:
    @staticmethod
    def softmax_log_loss(z, y, sample_weight=None):
        one_hot = np.eye(z.shape[1])[np.asarray(y, dtype=np.intp)]
        largest = np.max(z, axis=1, keepdims=True)
        normalizer = largest + np.log(np.sum(np.exp(z - largest), axis=1, keepdims=True))
        loss = np.sum(one_hot * (normalizer - z), axis=1)
        return weighted_mean(loss, np.exp(z - normalizer) - one_hot, sample_weight)

    @staticmethod
    def logistic_log_loss(z, y, sample_weight=None):
        loss = np.sum(np.logaddexp(0, z) - y * z, axis=1)
        return weighted_mean(loss, activations.forward(z, "logistic") - y, sample_weight)

    @staticmethod
    def squared_error(z, y, sample_weight=None):
        return weighted_mean(np.sum((z - y) ** 2, axis=1) / 2, z - y, sample_weight)

    @staticmethod
    def absolute_error(z, y, sample_weight=None):
        return weighted_mean(np.sum(np.abs(z - y), axis=1), np.sign(z - y), sample_weight)

    @staticmethod
    def quantile(z, y, sample_weight=None, quantile=0.5):
        slope = np.where(z > y, 1 - quantile, np.where(z < y, -quantile, 0.0))
        return weighted_mean(np.sum(slope * (z - y), axis=1), slope, sample_weight)

    @staticmethod
    def poisson(z, y, sample_weight=None):
        loss = np.sum(xlogy(y, y) - y * z - y + np.exp(z), axis=1)
        return weighted_mean(loss, np.exp(z) - y, sample_weight)


class optimizers:
    @staticmethod
    def sgd(parameters, velocity, gradient, learning_rate, momentum=0.0, nesterov=False):
        velocity[:] = momentum * velocity - learning_rate * gradient
        parameters += momentum * velocity - learning_rate * gradient if nesterov else velocity

    @staticmethod
    def adam(
        parameters, first_moment, second_moment, gradient, learning_rate, step,
        beta_1=0.9, beta_2=0.999, epsilon=1e-8,
    ):  # fmt: skip
        first_moment[:] = beta_1 * first_moment + (1 - beta_1) * gradient
        second_moment[:] = beta_2 * second_moment + (1 - beta_2) * gradient**2
        rate = learning_rate * np.sqrt(1 - beta_2**step) / (1 - beta_1**step)
        parameters -= rate * first_moment / (np.sqrt(second_moment) + epsilon)

    @staticmethod
    def adamw(
        parameters, first_moment, second_moment, gradient, learning_rate, step,
        weight_decay, n_weights, beta_1=0.9, beta_2=0.999, epsilon=1e-8,
    ):  # fmt: skip
        parameters[:n_weights] *= 1 - learning_rate * weight_decay
        optimizers.adam(
            parameters, first_moment, second_moment, gradient, learning_rate, step,
            beta_1, beta_2, epsilon,
        )  # fmt: skip

    @staticmethod
    def rmsprop(
        parameters, velocity, square_average, gradient, learning_rate,
        decay=0.99, momentum=0.0, epsilon=1e-8,
    ):  # fmt: skip
        square_average[:] = decay * square_average + (1 - decay) * gradient**2
        velocity[:] = momentum * velocity + gradient / (np.sqrt(square_average) + epsilon)
        parameters -= learning_rate * velocity

    @staticmethod
    def clip(gradient, max_norm):
        norm = np.sqrt(np.sum(gradient**2))
        if np.isfinite(norm) and norm > max_norm:
            gradient *= max_norm / norm
        return float(norm)


class gather:
    @staticmethod
    def gather(x, rows=None, mean=None, invstd=None, dtype=np.float32, clipped=False):
        y = x if rows is None else x[np.asarray(rows, dtype=np.intp)]
        if mean is not None:
            y = (y - mean) * invstd
        if clipped:
            y = y / np.sqrt(1.0 + (y / 3.0) ** 2)
        return y.astype(dtype)


def dense_rows(X, rows, mean, invstd):
    return gather.gather(X.astype(float).toarray(), rows, mean, invstd, float)


class sparse_gather:
    @staticmethod
    def gather(X, rows=None, mean=None, invstd=None, dtype=np.float32):
        return dense_rows(X, rows, mean, invstd).astype(dtype)


class sparse_linear:
    @staticmethod
    def forward(X, weights, bias=None, rows=None, mean=None, invstd=None):
        return linear.forward(dense_rows(X, rows, mean, invstd), weights, bias)

    @staticmethod
    def backward(dy, X, rows=None, mean=None, invstd=None):
        return dense_rows(X, rows, mean, invstd).T @ dy, np.sum(dy, axis=0)

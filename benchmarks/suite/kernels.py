"""The array functions of the kernels, one batch at a time."""

import numpy as np

from skbn.kernels import activations, batchnorm, linear, losses, optimizers

SHAPES = [(32, 64), (200, 100), (256, 256)]


class BatchNorm:
    """Normalization of a batch."""

    params = [SHAPES, ["float32", "float64"]]
    param_names = ["shape", "dtype"]

    def setup(self, shape, dtype):
        rng = np.random.default_rng(0)
        self.x, self.dy = rng.standard_normal((2, *shape)).astype(dtype)
        self.gamma, self.beta = rng.standard_normal((2, shape[1])).astype(dtype)
        _, self.mean, self.var, self.invstd = batchnorm.forward(self.x, self.gamma, self.beta)

    def time_forward(self, shape, dtype):
        batchnorm.forward(self.x, self.gamma, self.beta)

    def time_backward(self, shape, dtype):
        batchnorm.backward(self.dy, self.x, self.gamma, self.mean, self.invstd)

    def time_infer(self, shape, dtype):
        batchnorm.infer(self.x, self.gamma, self.beta, self.mean, self.var)

    def track_mean_error(self, shape, dtype):
        """Largest distance of the mean of a normalized column from beta."""
        y = batchnorm.forward(self.x, self.gamma, self.beta)[0]
        return float(np.abs(y.mean(axis=0, dtype=np.float64) - self.beta).max())


class Layer:
    """The other parts of a layer, and of a step."""

    params = [SHAPES]
    param_names = ["shape"]

    def setup(self, shape):
        rng = np.random.default_rng(0)
        self.x, self.dy = rng.standard_normal((2, *shape), dtype=np.float32)
        self.weights = rng.standard_normal((shape[1], shape[1]), dtype=np.float32)
        self.labels = rng.integers(0, shape[1], shape[0]).astype(np.float32)
        self.parameters, self.first, self.gradient = rng.standard_normal(
            (3, self.weights.size), dtype=np.float32
        )
        self.second = self.first**2

    def time_linear_forward(self, shape):
        linear.forward(self.x, self.weights)

    def time_linear_backward(self, shape):
        linear.backward(self.dy, self.x, self.weights)

    def time_relu(self, shape):
        activations.forward(self.x, "relu")

    def time_gelu(self, shape):
        activations.forward(self.x, "gelu")

    def time_softmax_log_loss(self, shape):
        losses.softmax_log_loss(self.x, self.labels)

    def time_adam(self, shape):
        optimizers.adam(self.parameters, self.first, self.second, self.gradient, 0.001, step=1)

"""Batch norm of one batch, forward and backward. No side has running averages."""

import numpy as np

from benchmarks.work import OWN, Goal, Sides, Work, compared, timed
from skbn.kernels import batchnorm

SHAPES = ((200, 100), (256, 256))


def sides(shape, options, peers):
    """The array functions of our kernels; PyTorch's ``batch_norm`` with its autograd gradient."""
    import torch

    rng = np.random.default_rng(0)
    x, dy = rng.standard_normal((2, *shape), dtype=np.float32)
    gamma, beta = rng.standard_normal((2, shape[1]), dtype=np.float32)
    leaves = [torch.from_numpy(array.copy()).requires_grad_() for array in (x, gamma, beta)]
    torch_dy = torch.from_numpy(dy)

    def own():
        y, mean, _, invstd = batchnorm.forward(x, gamma, beta)
        return y, *batchnorm.backward(dy, x, gamma, mean, invstd)

    def theirs():
        x, gamma, beta = leaves
        y = torch.nn.functional.batch_norm(x, None, None, gamma, beta, training=True)
        return y, *torch.autograd.grad(y, leaves, torch_dy)

    expected = [tensor.detach().numpy() for tensor in theirs()]
    check = compared("y, dx, dgamma, dbeta", own(), expected, 1e-5)
    return Sides({OWN: own, "torch": theirs}, checks={"torch": check})


WORKS = [
    Work(f"batchnorm/{n}x{d}", {"torch": Goal("faster", 5)}, timed(sides, (n, d)))
    for n, d in SHAPES
]

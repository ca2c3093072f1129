"""One training step: forward, loss, backward, Adam, running statistics.

``step/...`` is a step of the loop that ``fit`` runs, with the gathering of the rows of a batch, but
without shuffling. The peers are a loop of PyTorch over tensors that were split into batches before,
and the bare matrix products of the same step.

``partial_fit/...`` is the time of one call of ``partial_fit`` over many batches, divided by the
number of batches, on both sides. The checks of the data are included, and shuffling is switched
off. scikit-learn's network has no batch norm. With two classes both sides have one logistic output.
X is float32. In ``partial_fit-float64/...`` X is float64; then scikit-learn computes in float64,
and skbn computes in float32.
"""

from itertools import pairwise

import numpy as np
from scipy.linalg.blas import sgemm
from sklearn.neural_network import MLPClassifier

from benchmarks.networks import AS_UPSTREAM, DEEP, LARGE, SMALL, OwnTraining, glorot_network
from benchmarks.peers import TorchTraining, compiling
from benchmarks.work import OWN, Goal, LeftOut, Sides, Work, compared, timed
from skbn import MLPWithBatchNormClassifier
from skbn.kernels import blas

# So many steps that a wrong gradient or optimizer shows in the loss.
CHECKED_BATCHES, CHECKED_EPOCHS = 3, 10
SAME = f"loss of {CHECKED_BATCHES} batches after {CHECKED_EPOCHS} epochs"


def step_sides(training, options, peers):
    """The loop of ``fit``, the loop of PyTorch, and the bare products."""
    X, y = training.rows()
    own = OwnTraining(glorot_network(training), X, y, training.batch_size)
    sides = Sides({OWN: own.epoch}, steps=training.n_batches)
    for peer in peers:
        if peer == "products":
            add_products(sides, training)
            continue
        try:
            with compiling(peer):
                sides.checks[peer] = same_training(training, peer)
        except LeftOut as reason:
            sides.left_out[peer] = str(reason)
            continue
        network = glorot_network(training)
        sides.runs[peer] = TorchTraining(network, X, y, training.batch_size, peer).epoch
    return sides


def same_training(training, peer):
    """Whether training on a few batches, from the same weights, ends at the same loss."""
    n = CHECKED_BATCHES * training.batch_size
    X, y = (array[:n] for array in training.rows())
    arguments = X, y, training.batch_size
    own = OwnTraining(glorot_network(training), *arguments)
    theirs = TorchTraining(glorot_network(training), *arguments, peer)
    losses = [[side.epoch() for _ in range(CHECKED_EPOCHS)][-1:] for side in (own, theirs)]
    return compared(SAME, *losses, 1e-3)


def add_products(sides, training):
    """Products of a step: forward, gradient of weights, gradient of data except in the first layer.

    SciPy's ``sgemm`` writes the results into existing memory. It is the BLAS that the kernels call.
    `skbn.kernels.blas.matmul` would make a new array for each result, which training does not do.
    The cost of the calls from Python is measured with as many matrices of one element, and
    subtracted.
    """
    rng = np.random.default_rng(0)
    factors = []
    for layer, (n_in, n_out) in enumerate(pairwise(training.units)):
        x = rng.standard_normal((training.batch_size, n_in), dtype=np.float32)
        w = rng.standard_normal((n_in, n_out), dtype=np.float32)
        dz = rng.standard_normal((training.batch_size, n_out), dtype=np.float32)
        factors += [(x, w), (x.T, dz)] + ([(dz, w.T)] if layer else [])
    products, results = column_major(factors)
    one = np.ones((1, 1), np.float32)
    calls, _ = column_major([(one, one)] * len(factors))

    def run(all_operands):
        for _ in range(training.n_batches):
            for operands in all_operands:
                sgemm(*operands)

    sides.runs |= {"products": lambda: run(products), "calls": lambda: run(calls)}
    sides.deducted["products"] = "calls"
    for operands in products:
        sgemm(*operands)
    expected = [blas.matmul(a, b) for a, b in factors]
    sides.checks["products"] = compared("products", results, expected, 1e-5)


def column_major(factors):
    """Arguments of `sgemm` for row-major products, and the arrays that receive the results.

    The memory of a row-major matrix is also the column-major memory of its transpose, so ``C' = B'
    A'`` is computed.
    """
    arguments, results = [], []
    for a, b in factors:
        c = np.empty((a.shape[0], b.shape[1]), np.float32)
        left, transposed_left = as_stored(b.T)
        right, transposed_right = as_stored(a.T)
        arguments.append((1.0, left, right, 0.0, c.T, transposed_left, transposed_right, True))
        results.append(c)
    return arguments, results


def as_stored(matrix):
    """A matrix in column-major order, and whether it must be transposed then."""
    return (matrix, False) if matrix.flags.f_contiguous else (matrix.T, True)


def partial_fit_sides(training, dtype, options, peers):
    """``partial_fit`` of both estimators on the same rows, in their order."""
    X, y = training.rows(dtype)
    classes = np.unique(y)
    own, theirs = estimators(training)
    sides = Sides(
        {
            OWN: lambda: own.partial_fit(X, y, classes=classes),
            "sklearn": lambda: theirs.partial_fit(X, y, classes=classes),
        },
        steps=training.n_batches,
    )
    sides.checks["sklearn"] = same_partial_fit(training, dtype)
    return sides


def same_partial_fit(training, dtype):
    """Whether our network without batch norm ends at scikit-learn's loss, from the same weights."""
    n = CHECKED_BATCHES * training.batch_size
    X, y = training.rows(dtype)
    plain, twin = estimators(training, batch_norm=None)
    for _ in range(CHECKED_EPOCHS):
        for estimator in (plain, twin):
            estimator.partial_fit(X[:n], y[:n], classes=np.unique(y))
    return compared(f"{SAME}, without batch norm", [plain.loss_], [twin.loss_], 1e-3)


def estimators(training, shuffle=False, **own):
    """Our estimator with some further parameters, and scikit-learn's of the same sizes."""
    common = {
        "hidden_layer_sizes": training.units[1:-1],
        "batch_size": training.batch_size,
        "shuffle": shuffle,
        "random_state": 0,
    }
    return (
        MLPWithBatchNormClassifier(**AS_UPSTREAM | {"normalize_input": None} | common | own),
        MLPClassifier(**common),
    )


def step_work(training, torch, products):
    """The work of one step, with its goals."""
    report = Goal("faster")
    return Work(
        f"step/{training.name}",
        {
            "torch": Goal("faster", torch),
            "torch-fused": report,
            "torch-compiled": report,
            "products": Goal("within", products),
        },
        timed(step_sides, training),
    )


def works(training, sklearn, sklearn_float64, torch, products):
    """The works of one network against scikit-learn, with the goals."""
    return [
        step_work(training, torch, products),
        Work(
            f"partial_fit/{training.name}",
            {"sklearn": Goal("faster", sklearn)},
            timed(partial_fit_sides, training, np.float32),
        ),
        Work(
            f"partial_fit-float64/{training.name}",
            {"sklearn": Goal("faster", sklearn_float64)},
            timed(partial_fit_sides, training, np.float64),
        ),
    ]


WORKS = [
    *works(SMALL[0], sklearn=6.5, sklearn_float64=7, torch=14, products=1.6),
    *works(SMALL[1], sklearn=8, sklearn_float64=8, torch=28, products=1.3),
    *works(LARGE[0], sklearn=2, sklearn_float64=3.2, torch=2, products=0.95),
    *works(LARGE[1], sklearn=1.9, sklearn_float64=3.3, torch=1.8, products=0.95),
    step_work(DEEP[0], torch=None, products=None),
    step_work(DEEP[1], torch=None, products=1.0),
    step_work(DEEP[2], torch=None, products=None),
]

"""Claim 6, second part: gamma and beta trained, or fixed at 1 and 0.

The estimator always trains them. Here the same plan is trained through ``skbn.network`` and
``skbn.training``: a network steps its parameters by segments, each with a factor on the learning
rate, and the segment of gamma and beta gets the factor 0.
"""

from time import process_time

import numpy as np

from benchmarks.claims_runs import pictures
from benchmarks.claims_sensitivity import (
    ACTIVATIONS,
    LAYERS,
    budget,
    curve,
    rates_of,
    settings,
    side_summary,
)
from skbn.network import optimizer as optimizers
from skbn.network import views
from skbn.network.network import Network
from skbn.network.plan import SEGMENT, feed_forward
from skbn.network.statistics import set_exact_statistics
from skbn.network.table import Table
from skbn.training.batches import Batches
from skbn.training.epochs import NonFiniteLoss, Trainer
from skbn.training.schedules import Constant

KINDS = {"gamma and beta trained": True, "gamma and beta fixed": False}
CLASSES = 10


def runs(options):
    """The fits, by SGD over the rates of the sensitivity experiment that train at all."""
    networks = [(3, "relu")] if options.quick else [(n, a) for n in LAYERS for a in ACTIVATIONS]
    rates = [rate for rate in rates_of("sgd", options) if rate >= 1e-3]
    return [
        settings(layers, activation, "sgd", "before", rate, **budget(options), seed=seed)
        | {"trained_affine": trained_affine}
        for layers, activation in networks
        for trained_affine in KINDS.values()
        for rate in rates
        for seed in range(options.seeds)
    ]


def measured(run, directory):
    """Test accuracy by exact statistics, as after ``fit``."""
    X_train, X_test, y_train, y_test = pictures(directory, run)
    rng = np.random.RandomState(run["seed"])
    net = network_of(run, X_train.shape[1], rng)
    train = Table(X_train, y_train[:, np.newaxis].astype(np.float32))
    trainer = Trainer(
        net,
        train,
        optimizers.Training(optimizers.sgd(momentum=0.0, nesterov=False), net.new_moments()),
        Constant(run["rate"]),
        Batches(run["batch_size"], 2, True, rng),
    )
    result = {"seconds": 0.0, "finite": True, "score": None, "loss": None}
    begin = process_time()
    try:
        for _ in range(run["epochs"]):
            for _ in trainer.epoch():
                pass
            trainer.record_epoch()
    except NonFiniteLoss:
        return result | {"finite": False, "seconds": process_time() - begin}
    set_exact_statistics(net, train)
    result["seconds"] = process_time() - begin
    predicted = net.infer(Table(X_test)).argmax(axis=1)
    return result | {"loss": trainer.loss, "score": float(np.mean(predicted == y_test))}


def network_of(run, n_inputs, rng):
    """A new network with Glorot's uniform weights, whose gamma and beta may be fixed."""
    units = [n_inputs, *[run["units"]] * run["layers"], CLASSES]
    plan = feed_forward(units, run["activation"], "before")
    net = Network.initial(plan, "softmax_log_loss", np.float32)
    factor = 2.0 if run["activation"] == "logistic" else 6.0
    for weights in views.weights(plan, net.parameters):
        bound = np.sqrt(factor / sum(weights.shape))
        weights[:] = rng.uniform(-bound, bound, weights.shape)
    if not run["trained_affine"]:
        segments = without_affine(net.layout.segments, plan)
        net.layout = net.layout._replace(segments=segments)
    return net


def without_affine(segments, plan):
    """Segments of the parameters in which gamma and beta, side by side, are not stepped.

    Parameters
    ----------
    segments : ndarray of dtype `SEGMENT`
    plan : ndarray of dtype `OPERATION`
        With a batch norm that has both.

    Returns
    -------
    segments : ndarray of dtype `SEGMENT`
    """
    norms = plan[plan["gamma"] >= 0]
    start = int(norms["gamma"].min())
    stop = start + 2 * int(norms["n_out"].sum())
    result = []
    for segment in segments:
        edges = [int(segment["start"]), start, stop, int(segment["stop"])]
        edges = np.clip(edges, segment["start"], segment["stop"])
        for first, last, factor in zip(edges[:-1], edges[1:], (1.0, 0.0, 1.0), strict=True):
            if last > first:
                result.append((first, last, factor * segment["rate"], segment["decay"]))
    return np.array(result, SEGMENT)


def summary(done):
    """Per network and kind: mean scores over the rates, the best one and the plateau."""
    result = []
    for layers, activation in dict.fromkeys((run["layers"], run["activation"]) for run, _ in done):
        of_kind = {
            kind: curve(
                [
                    (run, one)
                    for run, one in done
                    if (run["layers"], run["activation"]) == (layers, activation)
                    and run["trained_affine"] == trained_affine
                ],
                "rate",
            )
            for kind, trained_affine in KINDS.items()
        }
        best = max(scores.mean(axis=0).max() for _, scores, _, _ in of_kind.values())
        sides = {kind: side_summary(*one, best) for kind, one in of_kind.items()}
        result.append({"layers": layers, "activation": activation, "solver": "sgd", "sides": sides})
    return result

"""Two halves of a batch in two threads, added up by a C function: the step of the whole batch."""

import ctypes
import threading
from itertools import pairwise

import numpy as np
import pytest
from networks import as_sparse, random_network, random_table
from skbn.kernels.layer import lanes

from skbn.network import network as network_module
from skbn.network import optimizer as optimizers
from skbn.network import views

UNITS = [5, 7, 6, 3]
ADD = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.POINTER(ctypes.c_double), ctypes.c_ssize_t)


class Exchange:
    """Adds up numbers of threads, which wait for each other; it counts what it has added."""

    def __init__(self, n_members):
        self.barrier = threading.Barrier(n_members, timeout=60)
        self.lock = threading.Lock()
        self.total, self.sizes = None, []
        self.function = ADD(self.add)

    def add(self, context, values, n):
        own = np.ctypeslib.as_array(values, shape=(n,))
        with self.lock:
            self.total = own.copy() if self.total is None else self.total + own
        if self.barrier.wait() == 0:
            self.sizes.append(n)
        self.barrier.wait()
        own[:] = self.total
        if self.barrier.wait() == 0:
            self.total = None
        self.barrier.wait()

    @property
    def address(self):
        return ctypes.cast(self.function, ctypes.c_void_p).value, 0


PENALTY = {"alpha": 0.3}


@pytest.fixture(autouse=True, params=[0.3, 0.0])
def penalty(request, monkeypatch):
    """With a penalty the gradient of weights is added to it, without one it is written."""
    monkeypatch.setitem(PENALTY, "alpha", request.param)


def trained(network, table, rows, bounds, optimizer, sums=None):
    moments = network.new_moments()
    rates = np.linspace(0.1, 0.05, len(bounds) - 1)
    return network.train(
        table, optimizer, moments, rows, bounds, rates, seed=5, sums=sums, **PENALTY
    )


def side_by_side(make_network, table, parts, make_optimizer):
    """Networks that are trained together, each on its part of every mini-batch, and the sums."""
    exchange = Exchange(len(parts))
    networks = [make_network() for _ in parts]
    losses = [None] * len(parts)

    def work(number):
        rows, bounds = parts[number]
        losses[number] = trained(
            networks[number], table, rows, bounds, make_optimizer(), exchange.address
        )

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(parts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return networks, losses, exchange.sizes


@pytest.mark.parametrize("batch_norm", ["before", "after", None])
@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("sizes", [(20, 20), (29, 11), (1, 39), (0, 40), (13, 14, 13)])
def test_parts_of_a_batch_give_the_step_of_the_whole(
    batch_norm, activation, weighted, sparse, sizes
):
    n, n_batches, loss = sum(sizes), 3, "softmax_log_loss"
    table = random_table(n * n_batches, UNITS, loss, weighted=weighted, seed=1)
    table = as_sparse(table) if sparse else table
    if weighted:
        table.sample_weight[::n] = 1.0  # the part of one row has a weight
        table.statistics_weight = table.sample_weight + 0.5

    def make_network():
        network = random_network(UNITS, activation, batch_norm, loss)
        for mean in views.running_means(network.plan, network.statistics):
            mean[:] = 0.0  # near the means of a batch, also in a unit that is always 0
        return network

    def make_optimizer():
        return optimizers.adam(max_grad_norm=0.5, weight_decay=0.01)

    rows = np.arange(n * n_batches).reshape(n_batches, n)
    edges = np.cumsum([0, *sizes])
    parts = [
        (rows[:, start:stop].ravel(), (stop - start) * np.arange(n_batches + 1))
        for start, stop in pairwise(edges)
    ]
    whole = make_network()
    expected = trained(whole, table, rows.ravel(), n * np.arange(n_batches + 1), make_optimizer())
    networks, losses, exchanged = side_by_side(make_network, table, parts, make_optimizer)
    for network, loss_of_part in zip(networks, losses, strict=True):
        np.testing.assert_allclose(loss_of_part, expected, rtol=1e-10)
        np.testing.assert_allclose(network.parameters, whole.parameters, rtol=1e-7, atol=1e-10)
        np.testing.assert_allclose(network.statistics, whole.statistics, rtol=1e-9, atol=1e-12)
        np.testing.assert_array_equal(network.parameters, networks[0].parameters)
        assert network.n_batches_tracked == whole.n_batches_tracked
    # Totals; of each batch norm three sums for mean and variance, later two sums of gradients; all
    # gradients.
    norms = [] if batch_norm is None else UNITS[1:-1]
    of_batch = [3 * d for d in norms] + [2 * d for d in norms[::-1]]
    expected = [3 * n_batches, *n_batches * [*of_batch, whole.layout.n_parameters + 2]]
    assert exchanged == expected


@pytest.mark.parametrize("batch_norm", ["before", "after"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_frozen_statistics_are_not_added_up(monkeypatch, batch_norm, dtype):
    monkeypatch.setattr(network_module, "LEAST_LAYER_ROWS", 0)
    loss = "squared_error"
    table = random_table(40, UNITS, loss, dtype=dtype)

    def make_network():
        network = random_network(UNITS, "silu", batch_norm, loss, dtype=dtype, scale=0.4)
        network.is_frozen = True
        return network

    parts = [(np.arange(0, 29), np.array([0, 29])), (np.arange(29, 40), np.array([0, 11]))]
    whole = make_network()
    expected = trained(whole, table, np.arange(40), np.array([0, 40]), optimizers.sgd())
    networks, losses, exchanged = side_by_side(make_network, table, parts, optimizers.sgd)
    rounding = 1e-10 if dtype == np.float64 else 1e-5
    for network, loss_of_part in zip(networks, losses, strict=True):
        np.testing.assert_allclose(loss_of_part, expected, rtol=rounding)
        np.testing.assert_allclose(
            network.parameters, whole.parameters, rtol=rounding, atol=rounding
        )
        np.testing.assert_array_equal(network.statistics, make_network().statistics)
    assert exchanged == [3, whole.layout.n_parameters + 2]


@pytest.mark.skipif(lanes() == 0, reason="there are no loops of fused layers")
@pytest.mark.parametrize("batch_norm", ["before", "after", None])
@pytest.mark.parametrize("activation", ["relu", "silu", "gelu"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("sizes", [(20, 20), (29, 11), (1, 39), (0, 40), (13, 14, 13)])
def test_parts_of_a_batch_that_are_run_in_layers(
    monkeypatch, batch_norm, activation, weighted, sizes
):
    monkeypatch.setattr(network_module, "LEAST_LAYER_ROWS", 0)
    units, loss, n, n_batches = [5, 37, 18, 3], "softmax_log_loss", sum(sizes), 3
    table = random_table(n * n_batches, units, loss, dtype=np.float32, weighted=weighted, seed=1)
    if weighted:
        table.sample_weight[::n] = 1.0  # the part of one row has a weight
        table.statistics_weight = table.sample_weight + 0.5

    def make_network():
        return random_network(units, activation, batch_norm, loss, dtype=np.float32, scale=0.4)

    rows = np.arange(n * n_batches).reshape(n_batches, n)
    parts = [
        (rows[:, start:stop].ravel(), (stop - start) * np.arange(n_batches + 1))
        for start, stop in pairwise(np.cumsum([0, *sizes]))
    ]
    whole = make_network()
    if batch_norm == "before" or activation != "gelu":
        assert whole.run_plan(table, 1) is whole.layout.dense.layered
    bounds = n * np.arange(n_batches + 1)
    expected = trained(whole, table, rows.ravel(), bounds, optimizers.sgd(momentum=0.5))
    networks, losses, exchanged = side_by_side(
        make_network, table, parts, lambda: optimizers.sgd(momentum=0.5)
    )
    for network, loss_of_part in zip(networks, losses, strict=True):
        np.testing.assert_allclose(loss_of_part, expected, rtol=1e-5)
        np.testing.assert_allclose(network.parameters, whole.parameters, rtol=1e-4, atol=2e-5)
        np.testing.assert_allclose(network.statistics, whole.statistics, rtol=1e-4, atol=2e-5)
        np.testing.assert_array_equal(network.parameters, networks[0].parameters)
        assert network.n_batches_tracked == whole.n_batches_tracked
    norms = [] if batch_norm is None else units[1:-1]
    of_batch = [3 * d for d in norms] + [2 * d for d in norms[::-1]]
    expected = [3 * n_batches, *n_batches * [*of_batch, whole.layout.n_parameters + 2]]
    assert exchanged == expected


@pytest.mark.parametrize("offset", [0.0, 3.0, 1e3, 1e6])
@pytest.mark.parametrize("batch_norm", ["before", "after"])
def test_running_means_far_from_the_means_of_a_batch(batch_norm, offset):
    table = random_table(40, UNITS, "squared_error")
    parts = [(np.arange(0, 29), np.array([0, 29])), (np.arange(29, 40), np.array([0, 11]))]

    def make_network():
        network = random_network(UNITS, "tanh", batch_norm, "squared_error")
        for mean in views.running_means(network.plan, network.statistics):
            mean[:] = offset
        return network

    whole = make_network()
    trained(whole, table, np.arange(40), np.array([0, 40]), optimizers.sgd())
    networks, _, exchanged = side_by_side(make_network, table, parts, optimizers.sgd)
    for network in networks:
        np.testing.assert_allclose(network.parameters, whole.parameters, rtol=1e-10, atol=1e-12)
    # From far away each batch norm needs a second message.
    n_messages = 2 if offset > 100.0 else 1
    forward = [3, *(3 * d for d in UNITS[1:-1] for _ in range(n_messages))]
    assert exchanged[: len(forward)] == forward
    assert len(exchanged) == len(forward) + len(UNITS[1:-1]) + 1


@pytest.mark.parametrize("mean", [0.0, 0.25, 0.1])
def test_a_unit_without_variance_has_none_over_processes(mean):
    loss = "squared_error"
    table = random_table(40, UNITS, loss)
    parts = [(np.arange(0, 29), np.array([0, 29])), (np.arange(29, 40), np.array([0, 11]))]

    def make_network():
        network = random_network(UNITS, "tanh", "before", loss)
        # Unit 2 of the first layer is its intercept, up to rounding of the running mean.
        views.weights(network.plan, network.parameters)[0][:, 2] = 0.0
        views.running_means(network.plan, network.statistics)[0][:, 2] = mean
        return network

    whole = make_network()
    trained(whole, table, np.arange(40), np.array([0, 40]), optimizers.sgd())
    networks, _, _ = side_by_side(make_network, table, parts, optimizers.sgd)
    for network in networks:
        np.testing.assert_allclose(network.parameters, whole.parameters, rtol=1e-10, atol=1e-12)
        assert views.running_vars(network.plan, network.statistics)[0][0, 2] == pytest.approx(
            views.running_vars(whole.plan, whole.statistics)[0][0, 2], rel=1e-14
        )


def test_a_loss_that_is_not_finite_stops_all():
    loss = "squared_error"
    table = random_table(40, UNITS, loss)
    table.y[25] = np.inf
    parts = [(np.arange(0, 20), np.array([0, 10, 20])), (np.arange(20, 40), np.array([0, 10, 20]))]
    networks, losses, _ = side_by_side(
        lambda: random_network(UNITS, "relu", "before", loss), table, parts, optimizers.adam
    )
    assert [len(of_part) for of_part in losses] == [0, 0]
    before = random_network(UNITS, "relu", "before", loss)
    for network in networks:
        np.testing.assert_array_equal(network.parameters, before.parameters)
        np.testing.assert_array_equal(network.statistics, before.statistics)


def test_two_rows_in_two_processes_have_a_variance():
    loss = "squared_error"
    table = random_table(2, UNITS, loss)
    parts = [(np.array([0]), np.array([0, 1])), (np.array([1]), np.array([0, 1]))]
    whole = random_network(UNITS, "tanh", "before", loss)
    expected = trained(whole, table, np.arange(2), np.array([0, 2]), optimizers.sgd())
    networks, losses, _ = side_by_side(
        lambda: random_network(UNITS, "tanh", "before", loss), table, parts, optimizers.sgd
    )
    np.testing.assert_allclose(losses[0], expected, rtol=1e-9)
    np.testing.assert_allclose(networks[0].statistics, whole.statistics, rtol=1e-9, atol=1e-12)


def test_not_for_sequences():
    from sequences import random_recurrent, random_sequences

    network = random_recurrent([3, 4, 2], "lstm", "full", 5, "squared_error")
    table = random_sequences(10, 5, 3, "squared_error", 2)
    with pytest.raises(ValueError, match="not implemented for sequences"):
        trained(network, table, np.arange(10), np.array([0, 10]), optimizers.sgd(), (1, 0))

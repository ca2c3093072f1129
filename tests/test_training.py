"""Batches, schedules, stopping, and the loop over epochs."""

import numpy as np
import pytest
from networks import as_sparse, random_network, random_table

from skbn.network import optimizer as optimizers
from skbn.training import batches, schedules
from skbn.training.epochs import NonFiniteLoss, Progress, Trainer, Trainers, run_epochs
from skbn.training.stopping import LossPlateau

UNITS = [4, 6, 3]
LOSS = "softmax_log_loss"


class TestBatchBounds:
    @pytest.mark.parametrize(
        ("n_rows", "batch_size", "smallest", "expected"),
        [
            (10, 5, 2, [0, 5, 10]),
            (11, 5, 1, [0, 5, 10, 11]),
            (11, 5, 2, [0, 5, 11]),
            (12, 5, 2, [0, 5, 10, 12]),
            (3, 5, 2, [0, 3]),
            (1, 5, 2, [0, 1]),
        ],
    )
    def test_a_tail_too_small_joins_the_batch_before(self, n_rows, batch_size, smallest, expected):
        np.testing.assert_array_equal(batches.batch_bounds(n_rows, batch_size, smallest), expected)

    @pytest.mark.parametrize("flops_per_row", [1, 10**6, 10**12])
    def test_blocks_are_every_batch_once_in_order(self, flops_per_row):
        bounds = batches.batch_bounds(1003, 10, 2)
        blocks = list(batches.blocks(bounds, flops_per_row))
        covered = np.concatenate([np.arange(b.start, b.stop) for b in blocks])
        np.testing.assert_array_equal(covered, np.arange(len(bounds) - 1))
        assert all(b.stop > b.start for b in blocks)


class TestSchedules:
    def test_constant(self, capsys):
        schedule = schedules.Constant(0.1)
        schedule.epoch_ended(1000)
        np.testing.assert_array_equal(schedule.rates(3), [0.1, 0.1, 0.1])
        assert schedule.plateau("Message.", verbose=True)
        assert capsys.readouterr().out == "Message. Stopping.\n"

    def test_inverse_scaling(self):
        schedule = schedules.InverseScaling(0.1, 0.5)
        np.testing.assert_array_equal(schedule.rates(1), [0.1])
        schedule.epoch_ended(99)
        np.testing.assert_allclose(schedule.rates(2), [0.01, 0.01])

    def test_adaptive(self, capsys):
        schedule = schedules.Adaptive(2e-6)
        assert not schedule.plateau("Message.", verbose=True)
        assert schedule.learning_rate == pytest.approx(4e-7)
        assert schedule.plateau("Message.", verbose=True)
        assert capsys.readouterr().out == (
            "Message. Setting learning rate to 0.000000\n"
            "Message. Learning rate too small. Stopping.\n"
        )


def test_loss_plateau():
    stopping = LossPlateau(tol=0.1, n_iter_no_change=2)
    losses = [3.0, 2.0, 1.95, 1.92, 1.91, 1.5, 1.5, 1.5, 1.5]
    ended = [stopping.epoch_ended(epoch, loss) for epoch, loss in enumerate(losses, 1)]
    assert ended == [False, False, False, False, True, False, False, False, True]
    assert stopping.best_loss == 1.5
    assert "tol=0.100000 for 2 consecutive epochs" in stopping.message


def train(network, table, *, optimizer=None, max_epochs=5, learning_rate=0.05, **options):
    order = {"batch_size": 8, "smallest_batch": 2, "shuffle": True} | {
        name: options.pop(name)
        for name in ("batch_size", "smallest_batch", "shuffle", "random_state")
        if name in options
    }
    order = {"random_state": np.random.RandomState(0)} | order
    optimizer = optimizers.adam() if optimizer is None else optimizer
    trainer = Trainer(
        network,
        table,
        optimizers.Training(optimizer, network.new_moments(), seed=options.pop("seed", 0)),
        schedules.Constant(learning_rate),
        batches.Batches(
            order["batch_size"], order["smallest_batch"], order["shuffle"], order["random_state"]
        ),
    )
    trainer.progress = Progress()
    run_epochs(
        Trainers([trainer]),
        LossPlateau(0.0, np.inf),
        trainer.progress,
        max_epochs=max_epochs,
        **{"verbose": False} | options,
    )
    return trainer


@pytest.mark.parametrize("batch_norm", ["before", "after", None])
@pytest.mark.parametrize("dropout", [0.0, 0.4])
@pytest.mark.parametrize("sparse", [False, True])
def test_blocks_change_no_bit(batch_norm, dropout, sparse, monkeypatch):
    table = random_table(83, UNITS, LOSS, dtype=np.float32, sparse=sparse)
    table = as_sparse(table) if sparse else table
    results = []
    for flops in (1, 10**4, 10**12):
        monkeypatch.setattr(batches, "BLOCK_FLOPS", flops)
        monkeypatch.setattr(batches, "BATCH_FLOPS", 0)
        network = random_network(UNITS, "tanh", batch_norm, LOSS, dtype=np.float32, dropout=dropout)
        history = train(network, table, seed=3)
        results.append((network.parameters, network.statistics, history.loss_curve))
    for parameters, statistics, loss_curve in results[1:]:
        np.testing.assert_array_equal(parameters, results[0][0])
        np.testing.assert_array_equal(statistics, results[0][1])
        assert loss_curve == results[0][2]


def test_no_row_is_dropped():
    table = random_table(17, UNITS, LOSS)
    network = random_network(UNITS, "tanh", "before", LOSS)
    history = train(network, table, max_epochs=3)
    assert history.n_rows_seen == 51
    # Batches of 8 and 9: the tail of one row has joined the second.
    assert network.n_batches_tracked == 6


def test_a_loss_that_is_not_finite_stops_before_its_step():
    table = random_table(32, UNITS, LOSS, normalized=False)
    network = random_network(UNITS, "identity", None, LOSS)
    table.X[20] = np.inf
    with pytest.raises(NonFiniteLoss, match="mini-batch 3"):
        train(network, table, shuffle=False)
    assert np.isfinite(network.parameters).all()


def test_ctrl_c_leaves_the_network_of_the_last_complete_block(monkeypatch):
    table = random_table(64, UNITS, LOSS)
    network = random_network(UNITS, "tanh", "before", LOSS)
    complete = []
    original = type(network).train

    def interrupted(self, *arguments):
        if len(complete) == 3:
            raise KeyboardInterrupt
        losses = original(self, *arguments)
        complete.append(self.parameters.copy())
        return losses

    monkeypatch.setattr(type(network), "train", interrupted)
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        history = train(network, table)
    assert history.progress.interrupted
    assert history.progress.n_epochs == 3
    np.testing.assert_array_equal(network.parameters, complete[-1])


def test_weight_decay_shrinks_weights_alone():
    # With a gradient of 0 (targets equal to the outputs) a step is the decay and nothing else.
    network = random_network(UNITS, "tanh", "before", "squared_error")
    table = random_table(2, UNITS, "squared_error")
    table.y[:] = 0.0
    for array in (network.parameters[network.layout.n_weights :],):
        array[:] = 0.0
    weights = network.parameters[: network.layout.n_weights].copy()
    train(
        network,
        table,
        optimizer=optimizers.sgd(momentum=0.0, weight_decay=0.5),
        max_epochs=1,
        learning_rate=0.1,
    )
    # gamma and beta are 0, so the hidden layer is 0, the outputs are 0: no gradient.
    np.testing.assert_allclose(
        network.parameters[: network.layout.n_weights], weights * 0.95, rtol=1e-12
    )
    np.testing.assert_array_equal(network.parameters[network.layout.n_weights :], 0.0)

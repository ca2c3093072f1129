"""The calculation for many workers: a fit sends its messages, and the guide has its tables."""

from collections import Counter
from pathlib import Path

import pytest
from communicators import in_threads, split
from test_data_parallel import network_of, rows_of

from benchmarks import scaling_model
from benchmarks.scaling_model import Rabenseifner, Star, Work
from skbn.data_parallel import fit

PAGE = Path(__file__).parents[1] / "docs" / "guide" / "cluster.rst"


def test_the_messages_are_the_messages_of_a_fit():
    X, y, _ = rows_of("classes")
    parts = split((X, y), [300, 300])
    sent, sizes = {}, {}
    for n_epochs in (5, 9):

        def work(communicator, n_epochs=n_epochs):
            network = network_of("classes", n_epochs=n_epochs, early_stopping=False)
            fit(network, *parts[communicator.rank], communicator=communicator)
            return communicator.sent, network

        sent[n_epochs], network = in_threads(work, 2)[0]
        sizes[n_epochs] = Counter(8 * n for n in sent[n_epochs])
    steps = 4 * -(-len(X) // 64)
    more = sizes[9] - sizes[5]
    messages = Work((16, 8), network._parameters.size, 64).messages()
    for size, often in messages:
        assert more.pop(size) == steps * often
    # The total weights of the mini-batches, once an epoch.
    assert set(more.values()) <= {4}


@pytest.mark.parametrize(
    ("communicator", "workers", "seconds"),
    [
        (Star(latency=1.0, handling=0.5, rate=100.0), 2, 2.0 + 0.5 + 6.0),
        (Star(latency=1.0, handling=0.5, rate=100.0), 5, 2.0 + 4 * (0.5 + 6.0)),
        (Rabenseifner(latency=1.0, rate=100.0), 2, 2.0 + 3.0),
        (Rabenseifner(latency=1.0, rate=100.0), 4, 4.0 + 4.5),
        (Rabenseifner(latency=1.0, rate=100.0), 5, 6.0 + 4.8),
    ],
)
def test_seconds_of_a_sum(communicator, workers, seconds):
    assert communicator.seconds(300, workers) == pytest.approx(seconds)


def test_speed_by_hand():
    # Compute: 6 * 1e6 * 1000 / 1e11 s. Messages of 8e6 + 16, of 240 and of 160 bytes.
    work = Work((10,), 1_000_000, 1000)
    assert work.compute() == pytest.approx(0.06)
    communicator = Star(latency=1e-3, handling=0.0, rate=1e9)
    messages = 3 * 2e-3 + 2 * (8_000_016 + 400) / 1e9
    assert scaling_model.exchange(work, communicator, 2) == pytest.approx(messages)
    assert scaling_model.speed(work, communicator, 1) == 1.0
    assert scaling_model.speed(work, communicator, 2) == pytest.approx(0.06 / (0.03 + messages))
    most = scaling_model.most_efficient(work, communicator)
    speeds = [scaling_model.speed(work, communicator, n) / n for n in (most, most + 1)]
    assert speeds[0] >= 0.5 > speeds[1]


def test_the_guide_has_the_tables(capsys):
    scaling_model.main()
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith(" ")]
    assert len(lines) == 22
    page = PAGE.read_text(encoding="utf-8").splitlines()
    assert [line for line in page if line in lines] == lines

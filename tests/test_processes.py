"""Sums over processes, and the parts that processes have of mini-batches."""

import pickle

import numpy as np
import pytest
from communicators import fitted_together, in_threads, merged_order, split
from hypothesis import given, settings
from hypothesis import strategies as st

from skbn import MLPWithBatchNormClassifier
from skbn.data_parallel import fit
from skbn.network.processes import ONE_PROCESS, Processes, first_rows


def over_processes(function, size):
    """``function(processes)`` in each of `size` threads."""
    answers = in_threads(lambda communicator: function(Processes(communicator)), size)
    for answer in answers:
        if isinstance(answer, Exception):
            raise answer
    return answers


def agree(processes, error):
    with processes.agreement():
        if error is not None:
            raise error


@settings(deadline=None)
@given(
    st.lists(st.integers(0, 40), min_size=1, max_size=6).filter(any),
    st.lists(st.floats(0, 1), max_size=8),
)
def test_first_rows_follow_the_merged_order(counts, shares):
    totals = np.array([0, *(int(share * sum(counts)) for share in shares), sum(counts)])
    order = [process for process, _ in merged_order(counts)]
    expected = [np.bincount(order[:total], minlength=len(counts)) for total in totals]
    np.testing.assert_array_equal(first_rows(np.array(counts), totals), expected)


@pytest.mark.parametrize(
    ("counts", "total", "expected"),
    # Two rows have the same place, which has no exact number in float64.
    [((11, 33), 30, (8, 22)), ((350, 550), 315, (123, 192)), ((33, 11), 30, (23, 7))],
)
def test_of_equal_places_the_first_process_comes_first(counts, total, expected):
    chosen = first_rows(np.array(counts), np.array([total]))[0]
    np.testing.assert_array_equal(chosen, expected)
    order = [process for process, _ in merged_order(counts)]
    np.testing.assert_array_equal(chosen, np.bincount(order[:total]))


def test_first_rows_of_more_rows_than_int64_can_multiply():
    counts = np.array([3, 1]) << 40
    first = first_rows(counts, np.array([2**41 + 1]))
    assert first.dtype == np.intp
    np.testing.assert_array_equal(first, [[3 * 2**39 + 1, 2**39]])


def test_first_rows_of_many_rows_have_the_right_sums():
    counts = np.array([1_000_003, 7, 0, 123_456, 1_000_003])
    totals = np.arange(0, counts.sum(), 4099)
    first = first_rows(counts, totals)
    np.testing.assert_array_equal(first.sum(axis=1), totals)
    assert (np.diff(first, axis=0) >= 0).all()
    # In proportion, up to one row.
    assert np.abs(first - np.outer(totals, counts / counts.sum())).max() < 1.5


@pytest.mark.parametrize("size", [1, 2, 3])
class TestOverProcesses:
    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_units_of_small_variance_keep_it(self, size, dtype):
        """Saturated units: their variance is far below the square of their mean."""
        rng = np.random.default_rng(0)
        X = rng.normal(10.0, 1.0, (200, 4))
        y = (X[:, 0] > 10.0).astype(int)
        options = {"batch_size": 200, "shuffle": False, "n_epochs": 60, "learning_rate_init": 0.01}
        options |= {"activation": "tanh", "batch_norm": "after", "bn_epsilon": 1e-2}
        options |= {"early_stopping": False, "normalize_input": None, "dtype": dtype}

        def make():
            return MLPWithBatchNormClassifier(
                (16,), periodic_embedding=None, random_state=0, **options
            )

        counts = {1: [200], 2: [120, 80], 3: [120, 50, 30]}[size]
        expected = make().fit(X, y).predict_proba(X)
        answers = fitted_together(make, split((X, y), counts))
        rtol = 1e-4 if dtype == "float32" else 1e-9
        np.testing.assert_allclose(answers[0].predict_proba(X), expected, rtol=rtol)

    def test_columns_that_differ_only_between_processes(self, size):
        """Their numbers are so small that the squares of the differences are 0."""
        X = np.column_stack([np.repeat([1e-170, 2e-170, 3e-170], 10), np.arange(30.0)])
        answers = in_threads(
            lambda communicator: fit(
                MLPWithBatchNormClassifier(),
                np.array_split(X, size)[communicator.rank],
                np.arange(30 // size) % 2,
                communicator=communicator,
            ),
            size,
        )
        for answer in answers:
            assert "X has numbers in column 0 that are too small" in str(answer)

    def test_units_of_no_variance_have_none(self, size):
        """All values of a unit are equal, and far from the running mean."""
        y = np.arange(30) % 2
        X = np.column_stack([np.full(30, 7.7), y, np.arange(30)])

        def make():
            return MLPWithBatchNormClassifier(
                (3,), n_epochs=4, normalize_input="standard", early_stopping=False, random_state=0,
                batch_size=30, shuffle=False, periodic_embedding=None, dtype="float64",
                activation="relu", batch_norm="after", warm_start=True,
            )  # fmt: skip

        def work(communicator):
            part = slice(communicator.rank, None, size)
            model = make()
            # Dead units: the output of relu is 0 in all rows.
            model.fit(X, y)
            model.intercepts_[0][:2] = -50.0
            return fit(model, X[part], y[part], communicator=communicator)

        expected = make().fit(X, y)
        expected.intercepts_[0][:2] = -50.0
        expected.fit(X, y)
        answer = in_threads(work, size)[0]
        np.testing.assert_allclose(answer.coefs_[0], expected.coefs_[0], rtol=1e-9, atol=1e-12)

    def test_totals(self, size):
        def work(processes):
            own = processes.rank + 1
            numbers = processes.total(own), processes.total([[own, 2.5]]), processes.total(True)
            return *numbers, processes.largest(np.array([own, -own]))

        ranks = np.arange(1, size + 1)
        for total, array, count, largest in over_processes(work, size):
            assert isinstance(total, float)
            assert total == ranks.sum()
            np.testing.assert_array_equal(array, [[ranks.sum(), 2.5 * size]])
            assert count == size
            np.testing.assert_array_equal(largest, [size, -1])

    def test_objects_of_all_in_their_order(self, size):
        def work(processes):
            return processes.gathered(lambda: {"rank": processes.rank, "text": "x" * 1000})

        for answer in over_processes(work, size):
            assert answer == [{"rank": rank, "text": "x" * 1000} for rank in range(size)]

    def test_an_error_of_one_is_raised_in_all(self, size):
        def work(processes):
            error = ValueError("bad rows") if processes.rank == size - 1 else None
            with pytest.raises(ValueError, match="bad rows") as caught:
                agree(processes, error)
            # All are at the same place again.
            return getattr(caught.value, "__notes__", None), processes.total(1.0)

        answers = over_processes(work, size)
        assert answers[-1] == (None, size)
        for notes, total in answers[:-1]:
            assert notes == [f"This is an error of process {size - 1}."]
            assert total == size

    def test_an_error_that_cannot_be_pickled(self, size):
        class Local(Exception):
            pass

        def work(processes):
            error = Local("bad rows") if processes.rank == 0 else None
            with pytest.raises(Exception, match="bad rows") as caught:
                agree(processes, error)
            return type(caught.value)

        answers = over_processes(work, size)
        assert answers == [Local, *[RuntimeError] * (size - 1)]

    def test_averages_and_conditions(self, size):
        def work(processes):
            # The last process has no rows.
            n = 4 if processes.rank < size - 1 or size == 1 else 0
            values = 10.0 * processes.rank + np.arange(n)
            weights = 1.0 + np.arange(n)
            return (
                processes.average(values, weights),
                processes.average(values),
                processes.combined(lambda: values.mean(), n),
                processes.all(processes.rank < size),
                processes.all(processes.rank > 0),
            )

        n_with_rows = max(1, size - 1)
        values = np.concatenate([10.0 * rank + np.arange(4) for rank in range(n_with_rows)])
        weighted = np.average(values, weights=np.tile(1.0 + np.arange(4), n_with_rows))
        for answer in over_processes(work, size):
            expected = weighted, values.mean(), values.mean(), True, False
            assert answer == pytest.approx(expected, rel=1e-14)

    def test_moments(self, size):
        rng = np.random.default_rng(0)
        rows = [1e4 + rng.standard_normal((5 + 3 * rank, 4)) for rank in range(size)]

        def work(processes):
            own = rows[processes.rank]
            weight = np.full(4, float(len(own)))
            return processes.merged(lambda: (own.mean(axis=0), own.var(axis=0), weight))

        together = np.concatenate(rows)
        for mean, var, weight in over_processes(work, size):
            np.testing.assert_allclose(mean, together.mean(axis=0), rtol=1e-14)
            np.testing.assert_allclose(var, together.var(axis=0), rtol=1e-10)
            np.testing.assert_array_equal(weight, len(together))

    def test_parts_of_mini_batches(self, size):
        counts = [11, 5, 0][:size]
        bounds = np.array([0, 4, 9, sum(counts)])

        def work(processes):
            n = counts[processes.rank]
            return processes.parts(n, bounds), processes.share(n, 7)

        answers = over_processes(work, size)
        parts, shares = zip(*answers, strict=True)
        np.testing.assert_array_equal(np.sum(parts, axis=0), bounds)
        assert sum(shares) == 7
        np.testing.assert_array_equal(np.array(parts).T, first_rows(np.array(counts), bounds))


class Failing:
    """A communicator whose connection breaks."""

    rank, size = 0, 2

    def __init__(self, n_good):
        self.n_good = n_good

    def Allreduce(self, sendbuf, recvbuf):
        self.n_good -= 1
        if self.n_good < 0:
            raise ConnectionError("the other process is gone")
        recvbuf[...] = sendbuf


def test_the_c_function_writes_nan_after_a_failure():
    import ctypes

    processes = Processes(Failing(1))
    address, context = processes.sums
    add = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_ssize_t)(address)
    values = np.arange(5.0)
    add(context, values.ctypes.data, 5)
    np.testing.assert_array_equal(values, np.arange(5.0))
    processes.check()
    add(context, values.ctypes.data, 4)
    np.testing.assert_array_equal(values, [*[np.nan] * 4, 4.0])
    with pytest.raises(ConnectionError, match="gone"):
        processes.check()
    # It does not ask again.
    processes.communicator.n_good = 100
    add(context, values.ctypes.data, 5)
    assert np.isnan(values).all()


def test_one_process_gives_back_what_it_gets():
    values = np.arange(3.0)
    assert ONE_PROCESS.total(values) is values
    assert ONE_PROCESS.largest(values) is values
    assert ONE_PROCESS.gathered(lambda: values)[0] is values
    with pytest.raises(ValueError, match="bad"):
        agree(ONE_PROCESS, ValueError("bad"))
    assert ONE_PROCESS.merged(lambda: values) is values
    assert ONE_PROCESS.parts(9, values) is values
    assert ONE_PROCESS.share(9, 4) == 4
    assert ONE_PROCESS.combined(lambda: 2.5, 9) == 2.5
    assert ONE_PROCESS.average(values, np.array([1.0, 0.0, 1.0])) == 1.0
    assert ONE_PROCESS.sums is None
    assert pickle.loads(pickle.dumps(ONE_PROCESS)).rank == 0

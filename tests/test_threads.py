"""The threads of the BLAS while networks are trained: who lowers their count, who restores it."""

import os
import subprocess
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import numpy as np
import pytest
from processes import environment
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import ThreadpoolController, threadpool_limits

from skbn import (
    MLPWithBatchNormClassifier,
    MLPWithBatchNormRegressor,
    RNNWithBatchNormClassifier,
)
from skbn.estimators import base
from skbn.estimators import rnn as recurrent
from skbn.network.network import SEQUENCE_ROWS, Network
from skbn.training import threads
from skbn.training.threads import LARGE_STEP_FLOPS, ThreadLimit, openblas_libraries

SMALL, LARGE = LARGE_STEP_FLOPS - 1, LARGE_STEP_FLOPS

with_openblas = pytest.mark.skipif(
    not openblas_libraries(), reason="no OpenBLAS with threads of its own"
)


class FakeBlas:
    """A library whose count is a number; it may be interrupted when it is set."""

    def __init__(self, count):
        self.count = count
        self.interrupted = False

    def set_count(self, count):
        if self.interrupted:
            self.interrupted = False
            raise KeyboardInterrupt
        self.count = count

    def limit(self):
        return ThreadLimit(lambda: [(lambda: self.count, self.set_count)])


class TestThreadLimit:
    @pytest.mark.parametrize(("step_flops", "inside"), [(0, 1), (SMALL, 1), (LARGE, 4)])
    def test_small_steps_have_one_thread_and_large_ones_all(self, step_flops, inside):
        blas = FakeBlas(4)
        with blas.limit().training(step_flops):
            assert blas.count == inside
        assert blas.count == 4

    def test_a_count_is_never_raised(self):
        blas = FakeBlas(1)
        limit = blas.limit()
        for step_flops in (SMALL, LARGE):
            with limit.training(step_flops):
                assert blas.count == 1
            assert blas.count == 1

    @pytest.mark.parametrize("first", [SMALL, LARGE])
    @pytest.mark.parametrize("second", [SMALL, LARGE])
    @pytest.mark.parametrize("first_leaves_first", [False, True])
    def test_two_at_once_have_one_thread_each(self, first, second, first_leaves_first):
        blas = FakeBlas(4)
        limit = blas.limit()
        visits = [limit.training(first), limit.training(second)]
        for visit in visits:
            visit.__enter__()
        assert blas.count == 1
        order = [0, 1] if first_leaves_first else [1, 0]
        visits[order[0]].__exit__(None, None, None)
        assert blas.count == (4 if [first, second][order[1]] == LARGE else 1)
        visits[order[1]].__exit__(None, None, None)
        assert blas.count == 4

    def test_many_in_threads_leave_the_count_as_it_was(self):
        blas = FakeBlas(4)
        limit = blas.limit()

        def visit(step_flops):
            with limit.training(step_flops):
                return blas.count

        with ThreadPoolExecutor(8) as pool:
            counts = list(pool.map(visit, [SMALL, LARGE] * 500))
        assert set(counts[::2]) == {1}
        assert set(counts[1::2]) <= {1, 4}
        assert blas.count == 4

    @pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
    def test_restored_after_an_exception(self, error):
        blas = FakeBlas(4)
        with pytest.raises(error), blas.limit().training(SMALL):
            raise error
        assert blas.count == 4

    def test_restored_after_ctrl_c_on_the_way_in_or_out(self):
        blas = FakeBlas(4)
        limit = blas.limit()
        blas.interrupted = True
        with pytest.raises(KeyboardInterrupt), limit.training(SMALL):
            pass
        assert blas.count == 4
        with pytest.raises(KeyboardInterrupt), limit.training(SMALL):
            blas.interrupted = True
        assert blas.count == 4
        with limit.training(LARGE):
            assert blas.count == 4  # nobody has been forgotten inside

    def test_an_interrupted_search_for_libraries_is_made_up_for(self):
        blas = FakeBlas(4)
        answers = [KeyboardInterrupt, [(lambda: blas.count, blas.set_count)]]

        def find():
            answer = answers.pop(0)
            if answer is KeyboardInterrupt:
                raise answer
            return answer

        limit = ThreadLimit(find)
        with pytest.raises(KeyboardInterrupt), limit.training(SMALL):
            pass
        with limit.training(SMALL):
            assert blas.count == 1
        assert blas.count == 4

    def test_an_abandoned_context_is_left(self):
        blas = FakeBlas(4)
        visit = blas.limit().training(SMALL)
        visit.__enter__()
        del visit
        assert blas.count == 4

    def test_a_count_set_by_somebody_else_meanwhile_stays(self):
        blas = FakeBlas(4)
        limit = blas.limit()
        with limit.training(SMALL):
            blas.count = 3
            with limit.training(SMALL):
                assert blas.count == 3
        assert blas.count == 3
        # The next one begins with what there is.
        with limit.training(SMALL):
            assert blas.count == 1
        assert blas.count == 3

    def test_a_limit_of_one_set_meanwhile_cannot_be_told_from_ours(self):
        blas = FakeBlas(4)
        with blas.limit().training(SMALL):
            blas.count = 1
        assert blas.count == 4

    def test_a_limit_lifted_meanwhile_does_not_come_back(self):
        blas = FakeBlas(2)  # a user's limit, 4 before
        with blas.limit().training(SMALL):
            blas.count = 4
        assert blas.count == 4

    def test_without_such_a_library_nothing_happens(self):
        limit = ThreadLimit(list)
        with limit.training(SMALL), limit.training(LARGE):
            pass

    def test_a_child_starts_anew(self):
        blas = FakeBlas(4)
        limit = blas.limit()
        with ExitStack() as parent:
            parent.enter_context(limit.training(SMALL))
            limit.after_fork()
            assert blas.count == 4
            with limit.training(LARGE):
                assert blas.count == 4
            with limit.training(SMALL):
                assert blas.count == 1
        assert blas.count == 4


def counts():
    """The thread counts of the libraries that are limited, seen by threadpoolctl."""
    return {
        library["num_threads"]
        for library in ThreadpoolController().info()
        if library["internal_api"] == "openblas" and library["threading_layer"] == "pthreads"
    }


@pytest.fixture
def two_threads():
    """Two threads, whatever the machine and its environment variables have."""
    with threadpool_limits(2, user_api="blas"):
        yield
        assert counts() == {2}


@pytest.fixture
def at_blocks(monkeypatch):
    """A list of what to call before the blocks of all training."""
    calls = []
    train = Network.train

    def observed(self, *arguments):
        for call in calls:
            call()
        return train(self, *arguments)

    monkeypatch.setattr(Network, "train", observed)
    return calls


def large_steps(monkeypatch):
    monkeypatch.setattr(threads, "LARGE_STEP_FLOPS", 0)


def data():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((120, 5))
    return X, (X[:, 0] > 0).astype(int)


def small(cls=MLPWithBatchNormClassifier, **parameters):
    return cls(**{"hidden_layer_sizes": (8,), "max_iter": 3, "random_state": 0} | parameters)


def quietly(method, *arguments):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return method(*arguments)


@with_openblas
@pytest.mark.usefixtures("two_threads")
class TestFits:
    @pytest.mark.parametrize("is_large", [False, True])
    @pytest.mark.parametrize("method", ["fit", "partial_fit"])
    @pytest.mark.parametrize("cls", [MLPWithBatchNormClassifier, MLPWithBatchNormRegressor])
    def test_counts_inside_and_after(self, monkeypatch, at_blocks, cls, method, is_large):
        if is_large:
            large_steps(monkeypatch)
        seen = []
        at_blocks.append(lambda: seen.append(counts()))
        X, y = data()
        estimator = small(cls)
        if method == "fit":
            quietly(estimator.fit, X, y)
        elif cls is MLPWithBatchNormClassifier:
            estimator.partial_fit(X, y, classes=[0, 1])
        else:
            estimator.partial_fit(X, y)
        assert seen == [{2 if is_large else 1}] * (3 if method == "fit" else 1)
        assert counts() == {2}

    def test_lbfgs_and_the_exact_statistics(self, monkeypatch):
        seen = []

        def observed(function):
            def call(*arguments, **options):
                seen.append(counts())
                return function(*arguments, **options)

            return call

        for owner, name in ((Network, "loss_and_gradient"), (base, "set_exact_statistics")):
            monkeypatch.setattr(owner, name, observed(getattr(owner, name)))
        quietly(small(solver="lbfgs", max_iter=200, tol=1e-2).fit, *data())
        assert len(seen) > 2
        assert all(count == {1} for count in seen)

    def test_restored_after_an_exception(self, at_blocks):
        def fail():
            raise RuntimeError("in a block")

        at_blocks.append(fail)
        with pytest.raises(RuntimeError, match="in a block"):
            small().fit(*data())
        assert counts() == {2}

    def test_restored_after_ctrl_c(self, at_blocks):
        def interrupt():
            raise KeyboardInterrupt

        at_blocks.append(interrupt)
        with pytest.warns(UserWarning, match="interrupted by user"):
            small().fit(*data())
        assert counts() == {2}

    def test_a_users_limit_is_honoured(self, monkeypatch, at_blocks):
        large_steps(monkeypatch)
        seen = []
        at_blocks.append(lambda: seen.append(counts()))
        with threadpool_limits(1):
            quietly(small().fit, *data())
            assert counts() == {1}
        assert seen == [{1}] * 3

    def test_a_limit_within_training_is_honoured(self, at_blocks):
        seen = []

        def limited():
            with threadpool_limits(2):
                seen.append(counts())
            seen.append(counts())

        at_blocks.append(limited)
        quietly(small().fit, *data())
        assert seen == [{2}, {1}] * 3

    def test_overlapping_fits_of_large_networks(self, monkeypatch, at_blocks):
        large_steps(monkeypatch)
        both_inside, both_seen = threading.Barrier(2, timeout=60), threading.Barrier(2, timeout=60)
        one_is_done = threading.Event()
        seen = {"first": [], "last": []}
        my = threading.local()

        def at_block():
            my.n = getattr(my, "n", 0) + 1
            if my.n == 1:
                both_inside.wait()
            if my.n == 2 and my.name == "last":
                assert one_is_done.wait(60)
            seen[my.name].append(counts())
            if my.n == 1:
                both_seen.wait()

        def run(name):
            my.name = name
            small(max_iter=2).fit(*data())
            if name == "first":
                one_is_done.set()

        at_blocks.append(at_block)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            with ThreadPoolExecutor(2) as pool:
                for done in [pool.submit(run, name) for name in seen]:
                    done.result()
        assert seen["first"][0] == seen["last"][0] == {1}
        assert seen["last"][1] == {2}  # alone again
        assert counts() == {2}

    def test_overlapping_fits_give_the_bits_of_single_ones(self, at_blocks):
        X, y = data()
        alone = [quietly(small(random_state=seed).fit, X, y) for seed in range(2)]
        every_block = threading.Barrier(2, timeout=60)
        at_blocks.append(every_block.wait)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            with ThreadPoolExecutor(2) as pool:
                fits = [pool.submit(small(random_state=seed).fit, X, y) for seed in range(2)]
                together = [fit.result() for fit in fits]
        for one, other in zip(alone, together, strict=True):
            np.testing.assert_array_equal(one._parameters, other._parameters)
            np.testing.assert_array_equal(one._statistics, other._statistics)

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
    @pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
    def test_a_child_forked_within_a_fit_is_not_limited(self, at_blocks):
        codes = []

        def fork():
            assert counts() == {1}
            child = os.fork()
            if child == 0:
                code = 1
                try:
                    at_blocks.clear()
                    with threads.blas_limit.training(SMALL):
                        limited = counts() == {1}
                    code = 0 if limited and counts() == {2} else 2
                finally:
                    os._exit(code)
            codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))

        at_blocks.append(fork)
        quietly(small(max_iter=1).fit, *data())
        assert codes == [0]

    def test_the_libraries_are_searched_once(self, monkeypatch):
        searches = []

        def search():
            searches.append(None)
            return ThreadpoolController()

        monkeypatch.setattr(threads, "ThreadpoolController", search)
        monkeypatch.setattr(base, "blas_limit", ThreadLimit(openblas_libraries))
        X, y = data()
        for _ in range(3):
            estimator = quietly(small().fit, X, y)
            for _ in range(3):
                estimator.partial_fit(X, y)
                estimator.predict(X)
                estimator.score(X, y)
        assert len(searches) == 1


@with_openblas
@pytest.mark.parametrize("variable", ["OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"])
def test_environment_variables_are_honoured(variable):
    program = (
        "import test_threads as t\n"
        "t.threads.LARGE_STEP_FLOPS = 0\n"
        "with t.threads.blas_limit.training(1):\n"
        "    assert t.counts() == {1}\n"
        "assert t.counts() == {1}\n"
    )
    variables = {
        name: value for name, value in environment().items() if not name.endswith("_NUM_THREADS")
    }
    variables[variable] = "1"
    subprocess.run([sys.executable, "-c", program], env=variables, check=True)


def test_a_recurrent_network_hands_over_the_work_of_a_time_step(monkeypatch):
    handed = []

    class Recorder(ThreadLimit):
        def training(self, step_flops):
            handed.append(step_flops)
            return super().training(step_flops)

    recorder = Recorder(list)
    monkeypatch.setattr(base, "blas_limit", recorder)
    monkeypatch.setattr(recurrent, "blas_limit", recorder)
    rng = np.random.default_rng(0)
    X = rng.standard_normal((700, 5, 3))
    rnn = RNNWithBatchNormClassifier((8,), pooling="last", batch_size=50, max_iter=1)
    rnn.fit(X, X[:, 0, 0] > 0).predict(X)
    per_row = 6 * (3 * 32 + 8 * 32 + 8)
    assert handed == [50 * per_row, SEQUENCE_ROWS[1] * per_row]


@pytest.mark.parametrize(
    ("hidden_layer_sizes", "batch_size", "is_large"),
    [((100,), "auto", False), ((100,), 500, False), ((2000, 2000), 500, True)],
)
def test_a_fit_hands_over_the_work_of_its_steps(
    monkeypatch, hidden_layer_sizes, batch_size, is_large
):
    handed = []

    class Recorder(ThreadLimit):
        def training(self, step_flops):
            handed.append(step_flops)
            return super().training(step_flops)

    monkeypatch.setattr(base, "blas_limit", Recorder(list))
    monkeypatch.setattr(base.TrainingRun, "run", lambda run: False)
    rng = np.random.default_rng(0)
    X = rng.standard_normal((600, 54))
    MLPWithBatchNormClassifier(hidden_layer_sizes, batch_size=batch_size).fit(X, X[:, 0] > 0)
    # The embedding makes four inputs of each column.
    units = [4 * 54, *hidden_layer_sizes, 1]
    rows = 32 if batch_size == "auto" else batch_size
    assert handed == [6 * rows * sum(np.multiply(units[:-1], units[1:]))]
    assert (handed[0] >= LARGE_STEP_FLOPS) == is_large

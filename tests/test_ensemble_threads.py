"""Members side by side: threads, workers of a search, callbacks and Ctrl-C."""

import _thread
import signal
import threading

import numpy as np
import pytest
import sklearn
from joblib import Parallel, delayed, parallel_config
from sklearn import config_context, get_config
from sklearn.model_selection import GridSearchCV
from sklearn.utils.fixes import parse_version
from test_ensemble import CLASSIFIER, KINDS, REGRESSOR, data, ensemble
from threadpoolctl import threadpool_info, threadpool_limits

from skbn.estimators import jobs
from skbn.network.network import Network
from skbn.training.epochs import Trainer
from skbn.training.side_by_side import available_threads, in_turns

HAS_CALLBACKS = parse_version(sklearn.__version__) >= parse_version("1.9")


class TestInTurns:
    @pytest.mark.parametrize("n_threads", [1, 2, 3, 8])
    def test_every_step_is_taken_once(self, n_threads):
        taken = [[], [], []]

        def work(number):
            for step in range(40 + number):
                taken[number].append(step)
                yield

        in_turns([work(number) for number in range(3)], n_threads)
        assert taken == [list(range(40 + number)) for number in range(3)]

    def test_two_threads_share_three_works(self):
        # A thread that is through with its own work would leave the last third to the other one.
        at_work, together, most = threading.Lock(), [], []
        barrier = threading.Barrier(2)

        def work(number):
            for step in range(4):
                with at_work:
                    together.append((number, step))
                barrier.wait(timeout=60)
                yield

        in_turns([work(number) for number in range(3)], 2)
        most.extend(together)
        # 12 steps in pairs: the barrier would wait for ever if a thread were alone.
        assert len(most) == 12

    @pytest.mark.parametrize("n_threads", [1, 2])
    def test_an_error_ends_all(self, n_threads):
        taken = []

        def work(number):
            for step in range(1000):
                taken.append(number)
                if number == 1 and step == 3:
                    raise ValueError("in the second")
                yield

        with pytest.raises(ValueError, match="in the second"):
            in_turns([work(0), work(1)], n_threads)
        assert len(taken) < 1100

    def test_ctrl_c_waits_for_the_steps_of_others(self):
        begun, done = threading.Event(), []

        def patient():
            for _ in range(1000):
                begun.set()
                threading.Event().wait(0.05)
                done.append(threading.get_ident())
                yield

        def interrupted():
            begun.wait(60)
            yield
            raise KeyboardInterrupt

        def work(number):
            # Whoever is the caller's thread is interrupted.
            if threading.current_thread() is threading.main_thread():
                yield from interrupted()
            else:
                yield from patient()

        with pytest.raises(KeyboardInterrupt):
            in_turns([work(0), work(1)], 2)
        n = len(done)
        threading.Event().wait(0.2)
        assert len(done) == n < 10

    def test_ctrl_c_while_a_thread_starts_waits_for_the_thread(self, monkeypatch):
        start, steps = threading.Thread.start, []

        def interrupted(thread):
            start(thread)
            raise KeyboardInterrupt

        def work():
            for _ in range(1000):
                threading.Event().wait(0.02)
                steps.append(1)
                yield

        monkeypatch.setattr(threading.Thread, "start", interrupted)
        with pytest.raises(KeyboardInterrupt):
            in_turns([work(), work()], 2)
        n = len(steps)
        threading.Event().wait(0.1)
        assert len(steps) == n < 10


class TestThreads:
    def test_as_many_as_the_process_may_use(self):
        assert jobs.n_threads(None, 100) == available_threads()
        assert jobs.n_threads(None, 1) == 1
        assert jobs.n_threads(3, 100) == 3
        assert jobs.n_threads(3, 2) == 2
        with threadpool_limits(1):
            assert jobs.n_threads(None, 3) == 1
        with parallel_config(n_jobs=2):
            assert jobs.n_threads(None, 3) == 2

    @pytest.mark.parametrize("backend", ["loky", "threading", "multiprocessing"])
    def test_one_in_a_worker(self, backend):
        with parallel_config(backend=backend, n_jobs=2):
            assert Parallel()(delayed(jobs.n_threads)(None, 3) for _ in range(2)) == [1, 1]

    def test_in_a_worker_a_number_is_bounded(self):
        counts = Parallel(2)(delayed(limit_and_number)() for _ in range(2))
        assert all(number == min(3, limit) for limit, number in counts)

    @pytest.mark.parametrize("n_jobs", [1, 2])
    def test_each_member_has_one_thread_of_the_blas(self, n_jobs, monkeypatch):
        X, y = data(CLASSIFIER)
        counts, original = [], Network.train

        def train(network, *arguments):
            counts.append((
                threading.get_ident(),
                max(one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"),
            ))  # fmt: skip
            return original(network, *arguments)

        monkeypatch.setattr(Network, "train", train)
        ensemble(CLASSIFIER, n_jobs=n_jobs).fit(X, y)
        assert {count for _, count in counts} == {1}
        assert len({thread for thread, _ in counts}) <= 6 * (n_jobs - 1) + 1

    def test_a_search_does_not_oversubscribe(self):
        X, y = data(CLASSIFIER)
        search = GridSearchCV(
            ensemble(CLASSIFIER),
            {"estimator__n_epochs": [2, 3]},
            scoring=score_and_threads,
            refit=False,
            cv=2,
            n_jobs=2,
        ).fit(X, y)
        # In each worker one thread trains the members.
        assert search.cv_results_["mean_test_threads"].tolist() == [1.0, 1.0]

    @pytest.mark.parametrize("kind", KINDS)
    def test_scorers_are_called_by_the_main_thread_with_its_configuration(self, kind):
        X, y = data(kind, 1200)
        seen = []

        def scorer(member, X, y):
            seen.append((threading.get_ident(), get_config()["assume_finite"]))
            return 0.5

        model = ensemble(kind, {"scoring": scorer, "n_epochs": 3}, n_jobs=3)
        with config_context(assume_finite=True):
            model.fit(X, y).partial_fit(X, y, X_val=X[:50], y_val=y[:50])
        assert len(seen) > 9
        assert set(seen) == {(threading.get_ident(), True)}

    def test_a_stream_has_one_thread_of_the_blas_for_each_member(self, monkeypatch):
        X, y = data(REGRESSOR)
        counts, original = [], Network.train

        def train(network, *arguments):
            libraries = [one for one in threadpool_info() if one["user_api"] == "blas"]
            counts.extend(one["num_threads"] for one in libraries)
            return original(network, *arguments)

        monkeypatch.setattr(Network, "train", train)
        # A step so large that one network would have all threads.
        monkeypatch.setattr("skbn.training.threads.LARGE_STEP_FLOPS", 1)
        ensemble(REGRESSOR).partial_fit(X, y)
        assert set(counts) == {1}

    def test_no_thread_can_be_started(self, monkeypatch):
        X, y = data(REGRESSOR)
        expected = ensemble(REGRESSOR, n_jobs=1).fit(X, y).predict(X)

        def refused(thread):
            raise RuntimeError("can't start new thread")

        monkeypatch.setattr(threading.Thread, "start", refused)
        np.testing.assert_array_equal(ensemble(REGRESSOR, n_jobs=3).fit(X, y).predict(X), expected)


def limit_and_number():
    return available_threads(), jobs.n_threads(3, 3)


def score_and_threads(fitted, X, y):
    return {
        "threads": jobs.n_threads(fitted.n_jobs, len(fitted.estimators_)),
        "score": fitted.score(X, y),
    }


class TestCtrlC:
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("n_jobs", [1, 2])
    def test_all_members_end_and_the_ensemble_is_usable(self, kind, n_jobs, monkeypatch):
        # A process in the background of a shell may ignore the signal.
        handler = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            self.interrupted(kind, n_jobs, monkeypatch)
        finally:
            signal.signal(signal.SIGINT, handler)

    def interrupted(self, kind, n_jobs, monkeypatch):
        X, y = data(kind, 1500)
        calls, original = [], Network.train

        def train(network, *arguments):
            calls.append(threading.get_ident())
            if len(calls) == 20:
                # Comes in the main thread, whichever thread this is.
                _thread.interrupt_main()
            return original(network, *arguments)

        monkeypatch.setattr(Network, "train", train)
        fitted = ensemble(kind, {"n_epochs": 500}, n_jobs=n_jobs)
        with pytest.warns(UserWarning, match="Training interrupted") as caught:
            fitted.fit(X, y)
        assert [warning.filename for warning in caught] == [__file__]
        assert 2 <= fitted.n_iter_ <= 10
        assert len(calls) < 60
        assert {len(member.loss_curve_) for member in fitted.estimators_} == {fitted.n_iter_}
        assert fitted.score(X, y) > 0.3
        # The network as it was left is looked at, too.
        assert len(fitted.validation_scores_) == 1

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("n_jobs", [1, 2])
    def test_in_a_stream_all_members_end(self, kind, n_jobs, monkeypatch):
        X, y = data(kind, 600)
        classes = {"classes": [0, 1, 2]} if kind is CLASSIFIER else {}
        stream = ensemble(kind, n_jobs=n_jobs).partial_fit(X, y, **classes)
        calls, original = [], Network.train

        def train(network, *arguments):
            calls.append(1)
            if len(calls) == 2:
                raise KeyboardInterrupt
            return original(network, *arguments)

        monkeypatch.setattr(Network, "train", train)
        with pytest.warns(UserWarning, match="Training interrupted") as caught:
            stream.partial_fit(X, y)
        assert [warning.filename for warning in caught] == [__file__]
        assert [len(member.loss_curve_) for member in stream.estimators_] == [1, 1, 1]
        assert len(stream.loss_curve_) == 1
        monkeypatch.undo()
        assert len(stream.partial_fit(X, y).loss_curve_) == 2

    def test_between_the_records_of_two_members(self, monkeypatch):
        X, y = data(REGRESSOR)
        calls, original = [], Trainer.record_epoch

        def record_epoch(trainer):
            calls.append(1)
            if len(calls) == 8:
                raise KeyboardInterrupt
            original(trainer)

        monkeypatch.setattr(Trainer, "record_epoch", record_epoch)
        fitted = ensemble(REGRESSOR)
        with pytest.warns(UserWarning, match="Training interrupted"):
            fitted.fit(X, y)
        assert len(fitted.loss_curve_) == 2
        # The first member has the rate of the third epoch, and the ensemble has not its loss.
        rates = fitted.estimators_[0].learning_rate_curve_
        assert len(rates) == 3
        assert fitted.learning_rate_curve_ == rates[:2]
        assert fitted.score(X, y) > 0.3

    def test_in_the_preparation_the_ensemble_is_as_it_was(self, monkeypatch):
        X, y = data(CLASSIFIER)
        fitted = ensemble(CLASSIFIER).fit(X, y)
        before = vars(fitted).copy()

        def interrupted(*arguments):
            raise KeyboardInterrupt

        monkeypatch.setattr(Network, "initial", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fitted.fit(X, y)
        assert vars(fitted) == before


if HAS_CALLBACKS:
    from sklearn.callback import ProgressBar

    class Spy:
        """Writes down the tasks, their threads and what the ensemble predicts by then."""

        def __init__(self, stop_after=None):
            self.stop_after = stop_after
            self.tasks, self.threads, self.predictions = [], set(), []

        def setup(self, estimator, context):
            pass

        def on_fit_task_begin(self, estimator, context):
            self.tasks.append((type(estimator).__name__, context.task_name))

        def on_fit_task_end(self, estimator, context, *, X, fitted_estimator):
            self.threads.add(threading.get_ident())
            if context.task_name != "epoch":
                return False
            self.predictions.append(fitted_estimator.predict(X))
            return len(self.predictions) == self.stop_after

        def teardown(self, estimator, context):
            pass

    @pytest.mark.parametrize("kind", KINDS)
    def test_callbacks_see_the_ensemble_from_the_main_thread(kind):
        X, y = data(kind)
        spy = Spy()
        fitted = ensemble(kind, {"early_stopping": False}, n_jobs=2).set_callbacks(spy).fit(X, y)
        name = kind.__name__
        assert spy.tasks == [(name, "fit")] + [(name, "epoch")] * 6
        assert spy.threads == {threading.get_ident()}
        np.testing.assert_array_equal(spy.predictions[-1], fitted.predict(X))
        alone = ensemble(kind, {"early_stopping": False}).fit(X, y)
        np.testing.assert_array_equal(alone.predict(X), fitted.predict(X))

    @pytest.mark.parametrize("kind", KINDS)
    def test_a_callback_stops_all_members(kind):
        X, y = data(kind, 1200)
        fitted = ensemble(kind, {"n_epochs": 50}).set_callbacks(Spy(3)).fit(X, y)
        assert fitted.n_iter_ == 3
        assert [len(member.loss_curve_) for member in fitted.estimators_] == [3, 3, 3]
        assert fitted.score(X, y) > 0.5

    def test_one_progress_bar(capsys, monkeypatch):
        monkeypatch.setenv("COLUMNS", "200")
        X, y = data(CLASSIFIER)
        ensemble(CLASSIFIER).set_callbacks(ProgressBar()).fit(X, y)
        out = capsys.readouterr().out
        assert "MLPEnsembleWithBatchNormClassifier" in out
        assert "MLPWithBatchNormClassifier" not in out

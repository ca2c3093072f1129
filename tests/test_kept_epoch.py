"""``kept_epoch_``: the epoch whose network predicts, in all networks."""

import pickle
import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier, MLPRegressor

from skbn import (
    MLPEnsembleWithBatchNormClassifier,
    MLPEnsembleWithBatchNormRegressor,
    MLPWithBatchNormClassifier,
    MLPWithBatchNormRegressor,
    RNNWithBatchNormClassifier,
    RNNWithBatchNormRegressor,
)
from skbn.estimators.pooled_validation import PooledValidation
from skbn.estimators.scoring import Validation
from skbn.training.epochs import NonFiniteLoss, Trainer
from skbn.training.validation_record import Evaluation

NETWORKS = (
    MLPWithBatchNormClassifier,
    MLPWithBatchNormRegressor,
    RNNWithBatchNormClassifier,
    RNNWithBatchNormRegressor,
)
ENSEMBLES = {
    MLPEnsembleWithBatchNormClassifier: MLPWithBatchNormClassifier,
    MLPEnsembleWithBatchNormRegressor: MLPWithBatchNormRegressor,
}
ALL = (*NETWORKS, *ENSEMBLES)
N_VALIDATION = 60


def data(cls, seed=0, n=300):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, 3))
    score = X[:, 0] + X[:, 1] + rng.standard_normal(n)
    y = (score > 0).astype(int) if "Classifier" in cls.__name__ else score
    return (X[:, :, np.newaxis] if "RNN" in cls.__name__ else X), y


def given(cls):
    X_val, y_val = data(cls, seed=1, n=N_VALIDATION)
    return {"X_val": X_val, "y_val": y_val}


def network(cls, **parameters):
    parameters = {
        "hidden_layer_sizes": (4,),
        "learning_rate": "constant",
        "learning_rate_init": 0.02,
        "n_iter_no_change": np.inf,
        "max_iter": 8,
        "n_epochs": 8,
        "early_stopping": True,
    } | parameters
    if cls in ENSEMBLES:
        return cls(ENSEMBLES[cls](**parameters), random_state=0)
    return cls(**parameters, random_state=0)


def planned(cls, **parameters):
    return network(cls, **{"learning_rate": "one_cycle", "early_stopping": "auto"} | parameters)


def fitted(estimator, method="fit", **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        X, y = data(type(estimator))
        if method == "partial_fit" and "Classifier" in type(estimator).__name__:
            options["classes"] = [0, 1]
        return getattr(estimator, method)(X, y, **options)


def members_of(estimator):
    return getattr(estimator, "estimators_", [estimator])


def parameters_of(estimator):
    return [member._parameters.copy() for member in members_of(estimator)]


def assert_equal_parameters(one, other):
    for first, second in zip(one, other, strict=True):
        np.testing.assert_array_equal(first, second)


def assert_kept(estimator, epoch):
    assert type(estimator.kept_epoch_) is int
    assert estimator.kept_epoch_ == epoch
    assert [member.kept_epoch_ for member in members_of(estimator)] == [epoch] * len(
        members_of(estimator)
    )


def scored_by(monkeypatch, scores):
    """Give these scores to the networks one after the other; returns their parameters."""
    looked = []

    def evaluate(validation, exact=True):
        single = getattr(validation, "validations", [validation])
        looked.append([one.network.parameters.copy() for one in single])
        return Evaluation(scores[len(looked) - 1], 0.5)

    monkeypatch.setattr(Validation, "evaluate", evaluate)
    monkeypatch.setattr(PooledValidation, "evaluate", evaluate)
    return looked


@pytest.mark.parametrize("cls", ALL)
def test_a_fit_of_as_many_epochs_has_the_same_network(cls):
    # Targets by chance: the best epoch is somewhere in the middle.
    rng = np.random.default_rng(2)
    X_val, y_val = data(cls, seed=1, n=N_VALIDATION)
    validation = {"X_val": X_val, "y_val": rng.permutation(y_val)}
    estimator = fitted(network(cls, scoring="loss"), **validation)
    kept = estimator.kept_epoch_
    assert kept == 1 + int(np.argmax(estimator.validation_scores_))
    assert_kept(estimator, kept)
    assert len(estimator.loss_curve_) == 8
    short = fitted(network(cls, early_stopping=False, max_iter=kept))
    assert_kept(short, kept)
    assert_equal_parameters(parameters_of(estimator), parameters_of(short))
    one_more = fitted(network(cls, early_stopping=False, max_iter=kept + 1))
    assert not np.array_equal(parameters_of(estimator)[0], parameters_of(one_more)[0])


@pytest.mark.parametrize("cls", NETWORKS)
def test_the_same_held_out_rows(cls):
    estimator = fitted(network(cls, scoring="loss", learning_rate_init=0.1, max_iter=20))
    kept = estimator.kept_epoch_
    assert 1 < kept < 20
    short = fitted(network(cls, scoring="loss", learning_rate_init=0.1, max_iter=kept))
    assert_kept(short, kept)
    for one, other in zip(estimator.coefs_, short.coefs_, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("cls", ALL)
@pytest.mark.parametrize("best", [1, 2, 7, 8])
def test_the_best_epoch(cls, best, monkeypatch):
    scores = [0.0] * 8
    scores[best - 1] = 1.0
    looked = scored_by(monkeypatch, scores)
    estimator = fitted(network(cls), **given(cls))
    assert_kept(estimator, best)
    assert_equal_parameters(parameters_of(estimator), looked[best - 1])


@pytest.mark.parametrize("cls", ALL)
def test_the_first_of_equal_scores(cls, monkeypatch):
    scored_by(monkeypatch, [0.0, 0.5, 0.5, 0.5, 0.0, 0.0, 0.0, 0.0])
    assert_kept(fitted(network(cls), **given(cls)), 2)


@pytest.mark.parametrize("cls", NETWORKS)
def test_the_last_network_if_no_score_is_a_number(cls, monkeypatch):
    scored_by(monkeypatch, [np.nan] * 8)
    assert_kept(fitted(network(cls), **given(cls)), 8)


@pytest.mark.parametrize("cls", ALL)
def test_checkpoints(cls, monkeypatch):
    # A plain mean of scores, so the better checkpoint is kept and a tie is the last one's.
    n_looks = 8 if cls in ENSEMBLES else 7
    for best, tie in ((3, False), (n_looks - 1, False), (3, True), (n_looks, False)):
        with monkeypatch.context() as patch:
            scores = [0.0] * n_looks
            scores[best - 1] = 1.0
            if tie:
                scores[-1] = 1.0
            looked = scored_by(patch, scores)
            estimator = fitted(planned(cls), **given(cls))
            kept = n_looks if tie else best
            assert len(looked) == len(estimator.validation_epochs_) == n_looks
            assert_kept(estimator, estimator.validation_epochs_[kept - 1])
            assert_equal_parameters(parameters_of(estimator), looked[kept - 1])
            assert estimator.best_validation_score_ == 1.0


def row_losses_that_lead_by(monkeypatch, ahead):
    """The second checkpoint is better than the others by so many standard errors."""
    looked = []

    def evaluate(validation, exact=True):
        looked.append(validation.network.parameters.copy())
        losses = np.full(100, 10.0)
        if len(looked) == 2:
            losses -= ahead + 10.0 * np.sign(np.arange(100) % 2 - 0.5)
        return Evaluation(-losses.mean(), 0.5, losses)

    monkeypatch.setattr(Validation, "evaluate", evaluate)
    return looked


@pytest.mark.parametrize("cls", NETWORKS)
@pytest.mark.parametrize(("ahead", "look"), [(2.1, 1), (1.9, -1)])
def test_the_best_checkpoint_need_not_be_the_kept_one(cls, ahead, look, monkeypatch):
    looked = row_losses_that_lead_by(monkeypatch, ahead)
    estimator = fitted(planned(cls), **given(cls))
    assert np.argmax(estimator.validation_scores_) == 1
    assert_kept(estimator, estimator.validation_epochs_[look])
    np.testing.assert_array_equal(estimator._parameters, looked[look])


@pytest.mark.parametrize("cls", ALL)
@pytest.mark.parametrize("early_stopping", [False, "auto"])
def test_without_validation_rows_it_is_the_last(cls, early_stopping):
    # "auto" with a constant rate, or with given rows that are too few, has no checkpoints.
    estimator = fitted(network(cls, early_stopping=early_stopping))
    assert_kept(estimator, 8)
    few = {name: value[:19] for name, value in given(cls).items()}
    assert_kept(fitted(planned(cls, early_stopping=early_stopping), **few), 8)


@pytest.mark.parametrize("cls", ALL)
def test_a_stream_keeps_the_last(cls, monkeypatch):
    estimator = network(cls)
    for number in (1, 2):
        fitted(estimator, "partial_fit", **given(cls))
        assert_kept(estimator, number)
    # A fit begins again, and a stream behind it goes on counting after all of its epochs.
    scored_by(monkeypatch, [0.0, 1.0, *[0.0] * 6, -1.0])
    assert_kept(fitted(estimator, **given(cls)), 2)
    assert_kept(fitted(estimator, "partial_fit", **given(cls)), 9)
    assert len(estimator.loss_curve_) == 9


class TestWarmStarts:
    @pytest.mark.parametrize("cls", NETWORKS)
    def test_a_better_epoch_of_the_second_round(self, cls, monkeypatch):
        # The first score of the second round is the score of the network that it begins with.
        scored_by(monkeypatch, [0.0, 1.0, *[0.0] * 6, 0.4, 0.0, 0.0, 0.5, *[0.0] * 5])
        estimator = fitted(network(cls, warm_start=True), **given(cls))
        assert_kept(estimator, 2)
        assert_kept(fitted(estimator, **given(cls)), 11)
        assert estimator.validation_epochs_ == list(range(1, 17))

    @pytest.mark.parametrize("cls", NETWORKS)
    def test_the_network_of_an_earlier_round(self, cls, monkeypatch):
        looked = scored_by(monkeypatch, [0.0, 1.0, *[0.0] * 6, 0.4, *[0.4] * 8])
        estimator = fitted(network(cls, warm_start=True), **given(cls))
        before = parameters_of(estimator)
        fitted(estimator, **given(cls))
        assert_kept(estimator, 2)
        assert len(looked) == 17
        assert len(estimator.loss_curve_) == 16
        assert_equal_parameters(parameters_of(estimator), before)

    @pytest.mark.parametrize("cls", NETWORKS)
    def test_checkpoints(self, cls, monkeypatch):
        scored_by(monkeypatch, [0.0, 1.0, *[0.0] * 5, *[0.0] * 4, 0.5, 0.0, 0.0])
        estimator = fitted(planned(cls, warm_start=True), **given(cls))
        assert_kept(estimator, estimator.validation_epochs_[1])
        fitted(estimator, **given(cls))
        assert_kept(estimator, estimator.validation_epochs_[7 + 4])
        assert estimator.kept_epoch_ > 8

    @pytest.mark.parametrize("cls", NETWORKS)
    def test_without_early_stopping(self, cls):
        estimator = network(cls, warm_start=True, early_stopping=False)
        assert_kept(fitted(fitted(estimator)), 16)

    def test_a_plain_network_has_to_exceed_the_best_earlier_score(self, monkeypatch):
        cls = MLPWithBatchNormClassifier
        for second, kept in (([0.9, 0.0], 4), ([1.1, 0.0], 3)):
            with monkeypatch.context() as patch:
                scored_by(patch, [1.0, 0.0, *second])
                plain = cls.from_sklearn(
                    MLPClassifier((4,), early_stopping=True, max_iter=2, warm_start=True)
                )
                fitted(plain, **given(cls))
                assert_kept(plain, 1)
                assert_kept(fitted(plain, **given(cls)), kept)


class TestInterruption:
    def interrupt(self, monkeypatch, estimator, number):
        """Ctrl-C comes at the beginning of this epoch, from 1, of the last member."""
        calls, original = [], Trainer.epoch
        n_members = 3 if type(estimator) in ENSEMBLES else 1

        def epoch(trainer):
            calls.append(1)
            if len(calls) == number * n_members:
                raise KeyboardInterrupt
            return original(trainer)

        monkeypatch.setattr(Trainer, "epoch", epoch)

    @pytest.mark.parametrize("cls", ALL)
    @pytest.mark.parametrize("early_stopping", [False, True, "auto"])
    def test_the_last_complete_epoch(self, cls, early_stopping, monkeypatch):
        estimator = planned(cls, early_stopping=early_stopping)
        self.interrupt(monkeypatch, estimator, 4)
        # Each score is better than the score before.
        scored_by(monkeypatch, range(9))
        with pytest.warns(UserWarning, match="interrupted"):
            estimator.fit(*data(cls), **(given(cls) if early_stopping else {}))
        assert len(estimator.loss_curve_) == 3
        assert_kept(estimator, 3)

    @pytest.mark.parametrize("cls", ALL)
    @pytest.mark.parametrize("early_stopping", [True, "auto"])
    def test_an_earlier_epoch(self, cls, early_stopping, monkeypatch):
        estimator = planned(cls, early_stopping=early_stopping)
        self.interrupt(monkeypatch, estimator, 6)
        looked = scored_by(monkeypatch, [0.0, 1.0, *[0.0] * 8])
        with pytest.warns(UserWarning, match="interrupted"):
            estimator.fit(*data(cls), **given(cls))
        assert len(estimator.loss_curve_) == 5
        assert_kept(estimator, estimator.validation_epochs_[1])
        assert_equal_parameters(parameters_of(estimator), looked[1])

    @pytest.mark.parametrize("cls", ALL)
    def test_in_the_first_epoch(self, cls, monkeypatch):
        estimator = network(cls, early_stopping=False)
        self.interrupt(monkeypatch, estimator, 1)
        with pytest.warns(UserWarning, match="interrupted"):
            estimator.fit(*data(cls))
        assert_kept(estimator, 0)

    @pytest.mark.parametrize("cls", ALL)
    def test_in_the_first_epoch_of_a_later_call(self, cls, monkeypatch):
        scored_by(monkeypatch, [0.0, 1.0, *[0.0] * 6])
        estimator = fitted(network(cls), **given(cls))
        self.interrupt(monkeypatch, estimator, 1)
        with pytest.warns(UserWarning, match="interrupted"):
            estimator.partial_fit(*data(cls), **given(cls))
        # The network of the second epoch was trained a little, or not at all.
        assert_kept(estimator, 2)

    def test_between_an_epoch_and_its_record(self, monkeypatch):
        cls, calls, original = MLPEnsembleWithBatchNormRegressor, [], Trainer.record_epoch

        def record_epoch(trainer):
            calls.append(1)
            if len(calls) == 8:
                raise KeyboardInterrupt
            original(trainer)

        monkeypatch.setattr(Trainer, "record_epoch", record_epoch)
        estimator = network(cls, early_stopping=False)
        with pytest.warns(UserWarning, match="interrupted"):
            estimator.fit(*data(cls))
        assert [len(member.loss_curve_) for member in estimator.estimators_] == [3, 2, 2]
        assert [member.kept_epoch_ for member in estimator.estimators_] == [3, 2, 2]
        assert len(estimator.loss_curve_) == estimator.kept_epoch_ == 2
        monkeypatch.undo()
        fitted(estimator, "partial_fit")
        assert [member.kept_epoch_ for member in estimator.estimators_] == [4, 3, 3]
        assert len(estimator.loss_curve_) == estimator.kept_epoch_ == 3

    @pytest.mark.parametrize("cls", [MLPWithBatchNormClassifier, *ENSEMBLES])
    @pytest.mark.parametrize("restored", [True, False])
    def test_while_the_best_network_is_restored(self, cls, restored, monkeypatch):
        from skbn.training.epochs import Trainers

        name = "set_exact_statistics" if restored else "restore"
        looked = scored_by(monkeypatch, [0.0, 1.0, *[0.0] * 6])

        def interrupted(*arguments):
            raise KeyboardInterrupt

        monkeypatch.setattr(Trainers, name, interrupted)
        estimator = network(cls)
        with pytest.warns(UserWarning, match="interrupted"):
            estimator.fit(*data(cls), **given(cls))
        assert_kept(estimator, 2 if restored else 8)
        assert_equal_parameters(parameters_of(estimator), looked[1 if restored else 7])


class TestNonFiniteLosses:
    def diverge(self, monkeypatch, estimator, number):
        calls, original = [], Trainer.epoch
        n_members = 3 if type(estimator) in ENSEMBLES else 1

        def epoch(trainer):
            calls.append(1)
            if len(calls) == number * n_members:
                raise NonFiniteLoss("mini-batch 1")
            return original(trainer)

        monkeypatch.setattr(Trainer, "epoch", epoch)

    @pytest.mark.parametrize("cls", ALL)
    @pytest.mark.parametrize("early_stopping", [True, "auto"])
    @pytest.mark.parametrize("best", [2, 3])
    def test_the_best_epoch_before(self, cls, early_stopping, best, monkeypatch):
        estimator = planned(cls, early_stopping=early_stopping)
        self.diverge(monkeypatch, estimator, 6)
        scores = [0.0] * 8
        scores[best - 1] = 1.0
        looked = scored_by(monkeypatch, scores)
        with pytest.warns(ConvergenceWarning, match="best epoch before is restored"):
            estimator.fit(*data(cls), **given(cls))
        assert len(estimator.loss_curve_) == 5
        assert_kept(estimator, estimator.validation_epochs_[best - 1])
        assert_equal_parameters(parameters_of(estimator), looked[best - 1])

    @pytest.mark.parametrize("cls", NETWORKS)
    def test_the_network_of_an_earlier_round(self, cls, monkeypatch):
        scored_by(monkeypatch, [0.0, 1.0, *[0.0] * 6, 0.5])
        estimator = fitted(network(cls, warm_start=True), **given(cls))
        before = parameters_of(estimator)
        self.diverge(monkeypatch, estimator, 1)
        with pytest.warns(ConvergenceWarning, match="best epoch before is restored"):
            estimator.fit(*data(cls), **given(cls))
        assert_kept(estimator, 2)
        assert_equal_parameters(parameters_of(estimator), before)

    def test_a_fit_that_fails_leaves_it(self, monkeypatch):
        cls = MLPWithBatchNormClassifier
        scored_by(monkeypatch, [0.0, 1.0, *[0.0] * 6])
        estimator = fitted(network(cls), **given(cls))
        self.diverge(monkeypatch, estimator, 1)
        with pytest.raises(ValueError, match="not finite"):
            estimator.fit(*data(cls), **given(cls))
        assert_kept(estimator, 2)


class TestCallbacks:
    class Callback:
        """Notes the epochs of the fitted copies, and stops after some epochs."""

        def __init__(self, stop_after):
            self.stop_after, self.seen = stop_after, []

        def setup(self, estimator, context):
            pass

        def teardown(self, estimator, context):
            pass

        def on_fit_task_begin(self, estimator, context):
            pass

        def on_fit_task_end(self, estimator, context, *, fitted_estimator):
            if context.task_name != "epoch":
                return False
            now = fitted_estimator
            assert len(now.loss_curve_) == now.n_iter_
            self.seen.append(now.kept_epoch_)
            assert [one.kept_epoch_ for one in members_of(now)] == [now.kept_epoch_] * len(
                members_of(now)
            )
            return len(self.seen) == self.stop_after

    @pytest.mark.parametrize("cls", ALL)
    @pytest.mark.parametrize("early_stopping", [False, True, "auto"])
    @pytest.mark.parametrize("stop_after", [3, 4])
    def test_stop(self, cls, early_stopping, stop_after, monkeypatch):
        pytest.importorskip("sklearn.callback")
        callback = self.Callback(stop_after)
        estimator = planned(cls, early_stopping=early_stopping).set_callbacks(callback)
        scores = [0.0, 1.0, *[0.0] * 6]
        scored_by(monkeypatch, scores)
        estimator.fit(*data(cls), **(given(cls) if early_stopping else {}))
        assert callback.seen == list(range(1, stop_after + 1))
        assert len(estimator.loss_curve_) == stop_after
        kept = estimator.validation_epochs_[1] if early_stopping else stop_after
        assert_kept(estimator, kept)

    @pytest.mark.parametrize("cls", ALL)
    def test_a_checkpoint_is_the_network_of_a_fit_that_is_stopped_there(self, cls):
        pytest.importorskip("sklearn.callback")
        # Targets of the opposite sign: the more is learned, the worse the score.
        X_val, y_val = data(cls, seed=1, n=N_VALIDATION)
        parameters = {"n_epochs": 20, "weight_decay": 0.0, "learning_rate_init": 0.05}
        opposite = -y_val
        if "Classifier" in cls.__name__:
            opposite = 1 - y_val
            parameters["calibrate"] = False
        estimator = fitted(planned(cls, **parameters), X_val=X_val, y_val=opposite)
        kept = estimator.kept_epoch_
        assert kept in estimator.validation_epochs_
        assert kept < len(estimator.loss_curve_) == 20
        stopped = planned(cls, early_stopping=False, **parameters)
        stopped.set_callbacks(self.Callback(kept)).fit(*data(cls))
        assert_kept(stopped, kept)
        assert_equal_parameters(parameters_of(estimator), parameters_of(stopped))
        X, _ = data(cls, seed=3)
        np.testing.assert_array_equal(estimator.predict(X), stopped.predict(X))

    def test_an_end_between_two_checkpoints(self, monkeypatch):
        pytest.importorskip("sklearn.callback")
        cls = MLPWithBatchNormRegressor
        estimator = planned(cls, n_epochs=20).set_callbacks(self.Callback(7))
        looked = scored_by(monkeypatch, [0.0, 1.0])
        estimator.fit(*data(cls), **given(cls))
        assert estimator.validation_epochs_ == [6, 7]
        assert_kept(estimator, 7)
        np.testing.assert_array_equal(estimator._parameters, looked[1][0])


@pytest.mark.parametrize("cls", NETWORKS)
def test_none_after_lbfgs(cls):
    estimator = fitted(network(cls))
    estimator.set_params(
        solver="lbfgs", weight_decay=0.0, max_grad_norm=None, max_iter=3, early_stopping=False
    )
    assert not hasattr(fitted(estimator), "kept_epoch_")


@pytest.mark.parametrize("cls", ALL)
def test_a_state_without_it_predicts_and_is_trained(cls, monkeypatch):
    estimator = fitted(network(cls), **given(cls))
    kept = estimator.kept_epoch_
    assert_kept(pickle.loads(pickle.dumps(estimator)), kept)
    for model in {estimator, *members_of(estimator)}:
        del model.kept_epoch_
    loaded = pickle.loads(pickle.dumps(estimator))
    X, y = data(cls)
    np.testing.assert_array_equal(loaded.predict(X), estimator.predict(X))
    # Ctrl-C in the first epoch: nothing tells the epoch of the loaded network.
    with monkeypatch.context() as patch:
        TestInterruption().interrupt(patch, loaded, 1)
        with pytest.warns(UserWarning, match="interrupted"):
            loaded.partial_fit(X, y, **given(cls))
    assert not hasattr(loaded, "kept_epoch_")
    assert_kept(fitted(loaded, "partial_fit", **given(cls)), 9)


class TestFromSklearn:
    def of(self, plain):
        cls = (
            MLPWithBatchNormClassifier
            if isinstance(plain, MLPClassifier)
            else MLPWithBatchNormRegressor
        )
        return cls.from_sklearn(plain)

    def fitted(self, plain):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            return plain.fit(*data(type(plain)))

    def plain(self, cls, **parameters):
        parameters = {"learning_rate_init": 0.05, "max_iter": 12} | parameters
        return cls(hidden_layer_sizes=(6,), random_state=0, **parameters)

    def test_the_last(self):
        assert_kept(self.of(self.fitted(self.plain(MLPClassifier))), 12)

    @pytest.mark.parametrize("cls", [MLPClassifier, MLPRegressor])
    def test_the_best_epoch_has_the_same_network(self, cls):
        plain = self.fitted(self.plain(cls, early_stopping=True))
        ours = self.of(plain)
        kept = ours.kept_epoch_
        assert 1 < kept < 12
        # Fewer epochs end with another network, unless the last one is the kept one.
        for n_epochs in (kept - 1, kept):
            short = self.fitted(self.plain(cls, early_stopping=True, max_iter=n_epochs))
            same = np.array_equal(short.coefs_[0], plain.coefs_[0])
            assert same is (n_epochs == kept)
        # A stream behind it, which scikit-learn refuses without a best loss: no score.
        plain.best_loss_ = np.inf
        plain.set_params(early_stopping=False).partial_fit(*data(cls))
        assert_kept(self.of(plain), 13)
        plain.set_params(early_stopping=True)
        assert_kept(self.of(plain), 13)

    @pytest.mark.parametrize(("second", "kept"), [(0.9, 4), (1.0, 4), (1.1, 3)])
    def test_a_warm_start(self, second, kept):
        plain = self.plain(MLPClassifier, early_stopping=True, max_iter=2)
        plain = self.fitted(self.fitted(plain.set_params(warm_start=True)))
        assert plain.n_iter_ == 2
        assert len(plain.loss_curve_) == 4
        plain.validation_scores_ = [0.5, 1.0, second, np.nan]
        assert_kept(self.of(plain), kept)

    @pytest.mark.parametrize("seed", range(4))
    def test_the_warm_starts_of_scikit_learn(self, seed):
        X, y = data(MLPRegressor)
        plain = self.plain(MLPRegressor, early_stopping=True, max_iter=5, warm_start=True)
        plain.set_params(random_state=seed)
        networks, original = [], plain._update_no_improvement_count

        def noted(*arguments):
            networks.append(plain.coefs_[0].copy())
            return original(*arguments)

        plain._update_no_improvement_count = noted
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            for _ in range(3):
                plain.fit(X, y)
                kept = self.of(plain).kept_epoch_
                np.testing.assert_array_equal(networks[kept - 1], plain.coefs_[0])

    def test_none_after_lbfgs(self):
        plain = self.fitted(self.plain(MLPClassifier, solver="lbfgs", max_iter=500))
        assert not hasattr(self.of(plain), "kept_epoch_")

    def test_scores_that_did_not_choose(self):
        cls = MLPWithBatchNormClassifier
        estimator = self.of(self.plain(MLPClassifier))
        fitted(estimator, **given(cls))
        assert np.argmax(estimator.validation_scores_) < 11
        assert len(estimator.validation_scores_) == 12
        assert_kept(estimator, 12)
        assert_kept(cls.from_sklearn(estimator.to_sklearn()), 12)

    def test_no_scores(self):
        plain = self.fitted(self.plain(MLPClassifier)).set_params(early_stopping=True)
        assert_kept(self.of(plain), 12)

    def test_ctrl_c_in_the_first_epoch(self, monkeypatch):
        def interrupted(*arguments):
            raise KeyboardInterrupt

        monkeypatch.setattr(MLPClassifier, "_backprop", interrupted)
        with pytest.warns(UserWarning, match="interrupted"):
            plain = self.plain(MLPClassifier, early_stopping=True).fit(*data(MLPClassifier))
        assert plain.loss_curve_ == plain.validation_scores_ == []
        assert_kept(self.of(plain), 0)

    def test_back_and_forth(self):
        cls = MLPWithBatchNormClassifier
        estimator = self.of(self.plain(MLPClassifier, early_stopping=True))
        fitted(estimator, **given(cls))
        assert estimator.kept_epoch_ < 12
        assert_kept(cls.from_sklearn(estimator.to_sklearn()), estimator.kept_epoch_)

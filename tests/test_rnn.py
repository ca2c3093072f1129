"""The recurrent networks with batch norm as estimators."""

import copy
import inspect
import io
import pickle
import re
import signal
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import pytest
from rnns import (
    BOTH,
    LAYERS,
    PLAIN_LAYERS,
    assert_same_state,
    classes_for,
    data_for,
    fitted,
    named,
    quietly,
    sequences,
    small,
    state,
)
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, cross_val_score, cross_validate
from sklearn.pipeline import make_pipeline

import skbn
from skbn import BatchNormTransformer, RNNWithBatchNormClassifier, RNNWithBatchNormRegressor
from skbn.network.network import Network
from skbn.training import epochs

MODES = [
    {"batch_norm": "full"},
    {"batch_norm": "input"},
    {"batch_norm": "full", "time_statistics": "shared"},
    {"batch_norm": None},
]


def signs(n=300, n_steps=20, seed=0):
    """Noise, but for the first step: its sign is the class."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, n_steps, 2))
    y = rng.integers(0, 2, n)
    X[:, 0, 0] = 3.0 * (2 * y - 1)
    return X, y


def indicated_sums(n=400, n_steps=8, seed=0):
    """The sum of the steps that the second channel marks, of sequences of different length."""
    rng = np.random.default_rng(seed)
    X = np.stack([rng.uniform(0, 1, (n, n_steps)), rng.random((n, n_steps)) < 0.4], axis=2)
    lengths = rng.integers(4, n_steps + 1, n)
    X[np.arange(n_steps) >= lengths[:, np.newaxis]] = np.nan
    return X, np.nansum(X[:, :, 0] * X[:, :, 1], axis=1)


def learner(cls, **parameters):
    parameters = {
        "hidden_layer_sizes": (10,),
        "max_iter": 40,
        "learning_rate_init": 0.03,
        "batch_size": 32,
        "random_state": 0,
    } | parameters
    return cls(**parameters)


class TestPublicNames:
    def test_they_are_exported(self):
        assert {cls.__name__ for cls in BOTH} <= set(skbn.__all__) <= set(dir(skbn))

    def test_regressor_takes_the_loss_first(self):
        reg = RNNWithBatchNormRegressor("squared_error", (5,), "gru")
        assert (reg.hidden_layer_sizes, reg.cell) == ((5,), "gru")

    @pytest.mark.parametrize("cls", BOTH)
    def test_docstring_names_every_parameter(self, cls):
        assert not re.search(r"\{[a-z_]+\}", cls.__doc__)
        section = re.search(
            r"Parameters\n-+\n(.*?)\nAttributes\n-+", inspect.getdoc(cls), re.DOTALL
        )[1]
        headings = re.findall(r"^(\w+(?:, \w+)*) : ", section, re.MULTILINE)
        documented = [name for heading in headings for name in heading.split(", ")]
        assert sorted(documented) == sorted(cls().get_params())

    @pytest.mark.parametrize("cls", BOTH)
    def test_docstring_names_the_fitted_attributes(self, cls):
        X, y = data_for(cls)
        estimator = fitted(small(cls, early_stopping=True, validation_fraction=0.5), X, y)
        public = {name for name in vars(estimator) if name.endswith("_") and name[0] != "_"}
        public |= {name for name in dir(cls) if name.endswith("_") and name[0] != "_"}
        section = re.search(r"Attributes\n-+\n(.*?)\nSee Also\n-+", inspect.getdoc(cls), re.DOTALL)[
            1
        ]
        headings = re.findall(r"^(\w+(?:, \w+)*) : ", section, re.MULTILINE)
        documented = {name for heading in headings for name in heading.split(", ")}
        assert documented == public | {"feature_names_in_"}


class TestLearning:
    @pytest.mark.parametrize("cell", ["lstm", "gru", "tanh"])
    @pytest.mark.parametrize("mode", MODES, ids=named)
    def test_what_the_first_step_was(self, cell, mode):
        X, y = signs()
        clf = learner(RNNWithBatchNormClassifier, cell=cell, **mode).fit(X, y)
        assert clf.score(*signs(seed=1)) > 0.9

    @pytest.mark.parametrize("cell", ["lstm", "gru", "tanh"])
    @pytest.mark.parametrize("more", [{"bidirectional": True}, {"hidden_layer_sizes": (8, 6)}])
    def test_with_more_layers(self, cell, more):
        X, y = signs()
        clf = learner(RNNWithBatchNormClassifier, cell=cell, **more).fit(X, y)
        assert clf.score(*signs(seed=1)) > 0.9

    def test_a_backward_direction_reads_the_real_end(self):
        # The class is in the first step, next to which the backward direction ends; in
        # reversed sequences it is in the last, where the forward one does.
        X, y = signs(n_steps=8)
        X = X[:, ::-1].copy()
        lengths = np.random.default_rng(0).integers(3, 9, len(X))
        for i, length in enumerate(lengths):
            X[i, :length] = X[i, 8 - length :].copy()
            X[i, length:] = np.nan
        clf = learner(RNNWithBatchNormClassifier, bidirectional=True, max_iter=15).fit(X, y)
        assert clf.score(X, y) > 0.95

    @pytest.mark.parametrize("cell", ["lstm", "gru", "tanh"])
    @pytest.mark.parametrize("loss", ["squared_error", "absolute_error"])
    def test_sums_of_marked_steps(self, cell, loss):
        X, y = indicated_sums()
        reg = learner(RNNWithBatchNormRegressor, cell=cell, loss=loss, max_iter=60)
        assert reg.fit(X, 1e3 * y + 7).score(*self.in_units(indicated_sums(seed=1))) > 0.7

    def in_units(self, data):
        X, y = data
        return X, 1e3 * y + 7

    def test_counts(self):
        X, y = indicated_sums()
        counts = np.random.default_rng(0).poisson(50 * np.exp(y))
        reg = learner(RNNWithBatchNormRegressor, loss="poisson").fit(X, counts)
        prediction = reg.predict(X)
        assert (prediction > 0).all()
        assert np.corrcoef(np.log(prediction), y)[0, 1] > 0.9
        assert reg.out_activation_ == "exp"
        with pytest.raises(ValueError, match="needs targets >= 0"):
            learner(RNNWithBatchNormRegressor, loss="poisson").fit(X, y - 100)

    def test_several_outputs(self):
        X, y = indicated_sums()
        both = np.column_stack([1e4 * y, np.nanmax(X[:, :, 0], axis=1), np.full(len(y), 3.0)])
        reg = learner(RNNWithBatchNormRegressor).fit(X, both)
        prediction = reg.predict(X)
        assert prediction.shape == (400, 3)
        errors = (prediction - both).std(axis=0)
        assert (errors[:2] < 0.5 * both.std(axis=0)[:2]).all()
        np.testing.assert_allclose(prediction[:, 2], 3.0, atol=0.3)

    def test_targets_in_another_unit(self):
        X, y = indicated_sums(100)
        near = fitted(small(RNNWithBatchNormRegressor, dtype="float64"), X, y)
        far = fitted(small(RNNWithBatchNormRegressor, dtype="float64"), X, 1e6 * y + 1e9)
        np.testing.assert_allclose(far.predict(X), 1e6 * near.predict(X) + 1e9, rtol=1e-9)
        np.testing.assert_allclose(far.loss_curve_, near.loss_curve_, rtol=1e-6)
        off = fitted(small(RNNWithBatchNormRegressor, normalize_target=False), X, y)
        assert off._target_moments is None

    def test_labels(self):
        X = sequences(200)
        y = (X[:, 0] > X[:, 0].mean(axis=0)).astype(int)
        clf = learner(RNNWithBatchNormClassifier).fit(X, y)
        assert clf.predict(X).shape == y.shape
        assert clf.score(X, y) > 0.8
        assert (clf.predict_proba(X) <= 1).all()

    def test_three_classes_with_names(self):
        X, y = signs()
        names = np.array(["left", "none", "right"])
        y[::3] = 2
        X[::3, 0, 0] = 0
        clf = learner(RNNWithBatchNormClassifier).fit(X, names[[0, 2, 1]][y])
        np.testing.assert_array_equal(clf.classes_, names)
        assert clf.score(X, names[[0, 2, 1]][y]) > 0.9
        np.testing.assert_array_equal(
            clf.classes_[clf.predict_proba(X).argmax(axis=1)], clf.predict(X)
        )
        np.testing.assert_allclose(clf.predict_proba(X).sum(axis=1), 1)
        np.testing.assert_allclose(clf.predict_log_proba(X), np.log(clf.predict_proba(X)))
        assert (clf.out_activation_, clf.n_outputs_) == ("softmax", 3)

    def test_two_classes_with_names(self):
        X, y = signs()
        clf = learner(RNNWithBatchNormClassifier, max_iter=15).fit(X, np.array(["no", "yes"])[y])
        assert set(clf.predict(X)) == {"no", "yes"}
        assert (clf.out_activation_, clf.n_outputs_) == ("logistic", 1)

    @pytest.mark.parametrize("cls", BOTH)
    def test_a_stream(self, cls):
        X, y = signs() if cls is RNNWithBatchNormClassifier else indicated_sums()
        # Running averages of small mini-batches would lag behind weights that move so fast.
        estimator = learner(cls, batch_size=100)
        for _ in range(45):
            for start in range(0, len(X), 100):
                rows = slice(start, start + 100)
                estimator.partial_fit(X[rows], y[rows], **classes_for(cls))
        assert estimator.score(X, y) > 0.8
        assert estimator.t_ == 45 * len(X)
        assert len(estimator.loss_curve_) == 45 * len(X) // 100


class TestInitialWeights:
    """With a learning rate of next to nothing they are what a fit ends with."""

    START = {"learning_rate_init": 1e-30, "solver": "sgd", "alpha": 0.0, "dtype": "float64"}

    def start(self, **parameters):
        X, y = data_for(RNNWithBatchNormClassifier)
        return fitted(small(**(self.START | parameters)), X, y)

    @pytest.mark.parametrize(("cell", "gates"), [("lstm", 4), ("gru", 3), ("tanh", 1)])
    def test_recurrent_weights_are_orthogonal_in_each_gate(self, cell, gates):
        clf = self.start(cell=cell, bidirectional=True, hidden_layer_sizes=(5, 3))
        recurrent = clf.coefs_[1:8:2]
        assert [array.shape[0] for array in recurrent] == [5, 5, 3, 3]
        blocks = [block for array in recurrent for block in np.split(array, gates, axis=1)]
        for block in blocks:
            np.testing.assert_allclose(block.T @ block, np.eye(len(block)), atol=1e-12)
        assert len({block[0, 0] for block in blocks}) == len(blocks)

    def test_input_weights_are_glorot_s_in_each_gate(self):
        clf = self.start(hidden_layer_sizes=(50,))
        bound = np.sqrt(6 / (3 + 50))
        assert 0.95 * bound < np.abs(clf.coefs_[0]).max() <= bound
        assert np.abs(clf.coefs_[-1]).max() <= np.sqrt(6 / 51)

    @pytest.mark.parametrize("batch_norm", ["full", "input", None])
    def test_forget_gates_are_open(self, batch_norm):
        clf = self.start(batch_norm=batch_norm, bidirectional=True)
        expected = np.repeat([0.0, 1.0, 0.0, 0.0], 4)
        arrays = clf.intercepts_ if batch_norm is None else clf.betas_
        first = [array for array in arrays if array.size == 16 and array.flags.writeable]
        assert len(first) == 2
        np.testing.assert_allclose(first, [expected, expected], atol=1e-20)

    @pytest.mark.parametrize("cell", ["gru", "tanh"])
    def test_other_cells_have_none(self, cell):
        clf = self.start(cell=cell)
        for array in (*clf.betas_, *clf.intercepts_[:-1]):
            np.testing.assert_allclose(array, 0, atol=1e-20)

    @pytest.mark.parametrize(("value", "expected"), [({}, 0.1), ({"bn_gamma_init": 0.7}, 0.7)])
    def test_gammas(self, value, expected):
        clf = self.start(bidirectional=True, **value)
        assert len(clf.gammas_) == 6
        for gamma in clf.gammas_:
            np.testing.assert_array_equal(gamma, expected)

    def test_init_scale(self):
        one, ten = self.start(), self.start(init_scale=10.0)
        for small_weights, large in zip(one.coefs_, ten.coefs_, strict=True):
            np.testing.assert_allclose(large, 10 * small_weights, rtol=1e-12)
        for before, after in zip(one.betas_, ten.betas_, strict=True):
            np.testing.assert_allclose(after, before, atol=1e-20)


class TestFittedArrays:
    @pytest.mark.parametrize(
        "name", ["coefs_", "intercepts_", "gammas_", "betas_", "running_means_", "running_vars_"]
    )
    def test_assignment_writes_through(self, name):
        X, y = data_for(RNNWithBatchNormClassifier)
        batch_norm = None if name == "intercepts_" else "full"
        clf = fitted(small(batch_norm=batch_norm), X, y)
        before = clf.predict_proba(X)
        kept = [array.copy() for array in getattr(clf, name)]
        getattr(clf, name)[0] = kept[0] + 1.0
        np.testing.assert_array_equal(getattr(clf, name)[0], kept[0] + 1)
        assert (clf.predict_proba(X) != before).any()
        setattr(clf, name, kept)
        np.testing.assert_array_equal(clf.predict_proba(X), before)

    @pytest.mark.parametrize("layers", LAYERS, ids=named)
    @pytest.mark.parametrize("name", ["coefs_", "gammas_"])
    def test_every_view_is_of_the_network(self, layers, name):
        X, y = data_for(RNNWithBatchNormRegressor)
        reg = fitted(small(RNNWithBatchNormRegressor, **layers), X, y)
        before = reg.predict(X)
        for array in getattr(reg, name):
            kept = array.copy()
            array *= -1.5
            assert (reg.predict(X) != before).any()
            array[:] = kept
        np.testing.assert_array_equal(reg.predict(X), before)

    def test_the_outputs_are_a_linear_map_of_the_last_state(self):
        X, y = data_for(RNNWithBatchNormRegressor)
        reg = fitted(small(RNNWithBatchNormRegressor, normalize_target=False), X, y / 1e5)
        reg.coefs_[-1][:] = 0
        reg.intercepts_[-1][:] = 3
        np.testing.assert_array_equal(reg.predict(X), 3)

    def test_what_is_no_parameter_takes_zeros_alone(self):
        X, y = data_for(RNNWithBatchNormClassifier)
        clf = fitted(small(), X, y)
        clf.intercepts_ = [array.copy() for array in clf.intercepts_]
        clf.betas_ = [array.copy() for array in clf.betas_]
        for array in (clf.intercepts_[0], clf.intercepts_[1], clf.betas_[1]):
            np.testing.assert_array_equal(array, 0)
            with pytest.raises(ValueError, match="read-only"):
                array[:] = 1.0

    def test_other_shapes_are_refused(self):
        X, y = data_for(RNNWithBatchNormClassifier)
        clf = fitted(small(), X, y)
        with pytest.raises(ValueError, match=r"expected shape \(3, 16\), got \(3, 1\)"):
            clf.coefs_[0] = np.zeros((3, 1))
        with pytest.raises(ValueError, match=r"expected shape \(6, 16\), got \(16,\)"):
            clf.running_means_[0] = np.zeros(16)

    @pytest.mark.parametrize("batch_norm", ["full", "input"])
    def test_all_of_gamma_and_beta_is_trained(self, batch_norm):
        X, y = data_for(RNNWithBatchNormClassifier)
        clf = fitted(small(batch_norm=batch_norm), X, y)
        for gamma in clf.gammas_:
            assert (gamma != np.float32(0.1)).all()
        for beta in clf.betas_:
            assert (beta != 0).all() == beta.flags.writeable

    def test_none(self):
        X, y = data_for(RNNWithBatchNormClassifier)
        clf = fitted(small(batch_norm=None), X, y)
        assert clf.gammas_ == clf.betas_ == clf.running_means_ == clf.running_vars_ == []
        assert (clf.intercepts_[0] != 0).all()

    @pytest.mark.parametrize("cls", BOTH)
    def test_state_is_plain_arrays_and_numbers(self, cls):
        X, y = data_for(cls)
        estimator = fitted(small(cls, early_stopping=True), X, y)
        plain = (np.ndarray, np.generic, int, float, str, bool, list, tuple, dict, type(None))
        for name, value in vars(estimator).items():
            assert isinstance(value, plain), name
            if isinstance(value, list | tuple):
                assert all(isinstance(item, plain) for item in value), name

    @pytest.mark.parametrize("name", ["_parameters", "_statistics"])
    def test_a_damaged_state_is_refused(self, name):
        X, y = data_for(RNNWithBatchNormClassifier)
        clf = fitted(small(), X, y)
        setattr(clf, name, getattr(clf, name)[:4].copy())
        with pytest.raises(ValueError, match="for a plan of"):
            clf.predict(X)

    @pytest.mark.parametrize("dtype", [np.int8, np.uint8])
    def test_small_integers_as_sizes(self, dtype):
        X, y = data_for(RNNWithBatchNormClassifier)
        of_numpy = small(hidden_layer_sizes=np.array([40], dtype), max_iter=1)
        fitted(of_numpy, X, y)
        same = fitted(small(hidden_layer_sizes=40, max_iter=1), X, y)
        np.testing.assert_array_equal(of_numpy._parameters, same._parameters)


class TestAParameterAfterwards:
    """A network is made of what it was given, whatever the parameters say now."""

    CHANGES = {
        "hidden_layer_sizes": (9, 9),
        "cell": "tanh",
        "bidirectional": True,
        "pooling": "mean_max",
        "batch_norm": None,
        "time_statistics": "shared",
        "bn_gamma_init": 0.9,
        "normalize_input": None,
        "init_scale": 3.0,
        "dtype": "float64",
    }

    @pytest.mark.parametrize("cls", BOTH)
    @pytest.mark.parametrize("name", CHANGES)
    def test_changes_nothing(self, cls, name):
        X, y = data_for(cls, ragged=True)
        estimator = fitted(small(cls), X, y)
        kept = copy.deepcopy(estimator)
        estimator.set_params(**{name: self.CHANGES[name]})
        np.testing.assert_array_equal(estimator.predict(X), kept.predict(X))
        for one in (estimator, kept):
            one.partial_fit(X, y)
            fitted(one.set_params(warm_start=True), X, y)
        np.testing.assert_array_equal(estimator.predict(X), kept.predict(X))
        # A fresh fit makes another network.
        fitted(estimator.set_params(warm_start=False), X, y)
        assert not np.array_equal(estimator._parameters, kept._parameters)

    def test_what_is_read_anew(self):
        X, y = data_for(RNNWithBatchNormRegressor)
        reg = fitted(small(RNNWithBatchNormRegressor), X, y)
        before = reg.predict(X)
        reg.set_params(bn_epsilon=1.0, bn_momentum=1.0)
        np.testing.assert_array_equal(reg.predict(X), before)
        reg.partial_fit(X, y)
        norms = reg._plan[reg._plan["n_steps"] > 1]
        assert set(norms["epsilon"]) == {1.0}
        assert set(norms["momentum"]) == {1.0}


class TestCopies:
    @pytest.mark.parametrize("cls", BOTH)
    @pytest.mark.parametrize(
        "copied",
        [lambda estimator: pickle.loads(pickle.dumps(estimator)), copy.deepcopy, copy.copy],
        ids=["pickle", "deepcopy", "copy"],
    )
    def test_they_predict_and_go_on(self, cls, copied):
        X, y = data_for(cls, ragged=True)
        estimator = fitted(small(cls), X[:, :5], y)
        twin = copied(estimator)
        np.testing.assert_array_equal(twin.predict(X), estimator.predict(X))
        estimator.partial_fit(X, y)
        twin.partial_fit(X, y)
        np.testing.assert_array_equal(twin.predict(X), estimator.predict(X))
        assert np.shares_memory(twin.coefs_[0], twin._parameters)

    def test_joblib(self):
        X, y = data_for(RNNWithBatchNormClassifier)
        clf = fitted(small(), X, y)
        file = io.BytesIO()
        joblib.dump(clf, file)
        file.seek(0)
        np.testing.assert_array_equal(joblib.load(file).predict_proba(X), clf.predict_proba(X))

    @pytest.mark.parametrize("cls", BOTH)
    def test_clone(self, cls):
        X, y = data_for(cls)
        estimator = fitted(small(cls, bn_gamma_init=0.3, cell="gru"), X, y)
        fresh = clone(estimator)
        assert fresh.get_params() == estimator.get_params()
        assert not fresh.__sklearn_is_fitted__()


class TestInterruption:
    def test_ctrl_c_between_epochs(self, monkeypatch):
        X, y = data_for(RNNWithBatchNormClassifier, ragged=True)
        calls = []
        original = Network.train

        def interrupted(self, *arguments):
            calls.append(1)
            if len(calls) == 3:
                raise KeyboardInterrupt
            return original(self, *arguments)

        monkeypatch.setattr(Network, "train", interrupted)
        parameters = {"dtype": "float64", "learning_rate": "constant"}
        clf = small(**parameters)
        with pytest.warns(UserWarning, match="Training interrupted by user"):
            clf.fit(X, y)
        assert clf.n_iter_ == 2
        # A whole model, exact statistics included.
        monkeypatch.undo()
        two = fitted(small(**parameters, max_iter=2), X, y)
        np.testing.assert_array_equal(clf.predict_proba(X), two.predict_proba(X))

    def test_a_signal(self):
        # A real one, while blocks run. A shell's background jobs ignore it by default.
        previous = signal.signal(signal.SIGINT, signal.default_int_handler)
        X, y = signs(n=400)
        clf = small(n_epochs=10**6, learning_rate_init=0.01)
        timer = threading.Timer(0.5, signal.raise_signal, [signal.SIGINT])
        try:
            timer.start()
            with pytest.warns(UserWarning, match="Training interrupted by user"):
                clf.fit(X, y)
            timer.join()
        finally:
            signal.signal(signal.SIGINT, previous)
        assert np.isfinite(clf.predict_proba(X)).all()

    def test_ctrl_c_in_the_exact_statistics_leaves_the_running_averages(self, monkeypatch):
        X, y = data_for(RNNWithBatchNormClassifier, ragged=True)

        def interrupted(*arguments):
            raise KeyboardInterrupt

        monkeypatch.setattr(epochs, "set_exact_statistics", interrupted)
        clf = small()
        with pytest.warns(UserWarning, match="Training interrupted by user"):
            clf.fit(X, y)
        assert clf.n_iter_ == 4
        assert np.isfinite(clf.predict_proba(X)).all()

    def test_second_ctrl_c_leaves_the_estimator_as_it_was(self, monkeypatch):
        X, y = data_for(RNNWithBatchNormClassifier)
        clf = fitted(small(), X, y)
        before = state(clf)

        def interrupted(*arguments):
            raise KeyboardInterrupt

        monkeypatch.setattr(epochs, "set_exact_statistics", interrupted)
        monkeypatch.setattr(Network, "train", interrupted)
        with (
            pytest.warns(UserWarning, match="Training interrupted by user"),
            pytest.raises(KeyboardInterrupt),
        ):
            clf.fit(X[:40], y[:40])
        assert_same_state(vars(clf), before)

    def test_lbfgs(self, monkeypatch):
        X, y = data_for(RNNWithBatchNormClassifier)
        original, calls = Network.loss_and_gradient, []

        def interrupted(*arguments, **keywords):
            calls.append(1)
            if len(calls) == 4:
                raise KeyboardInterrupt
            return original(*arguments, **keywords)

        monkeypatch.setattr(Network, "loss_and_gradient", interrupted)
        clf = small(pooling="last", solver="lbfgs", max_grad_norm=None, max_iter=100)
        with pytest.warns(UserWarning, match="Training interrupted by user"):
            clf.fit(X, y)
        assert 1 <= clf.n_iter_ <= 3
        assert np.isfinite(clf.predict_proba(X)).all()

    @pytest.mark.parametrize("cls", BOTH)
    @pytest.mark.parametrize("cell", ["lstm", "gru", "tanh"])
    def test_a_loss_that_is_not_finite(self, cls, cell):
        X, y = data_for(cls)
        estimator = small(
            cls,
            cell=cell,
            batch_norm=None,
            learning_rate_init=1e38,
            learning_rate="constant",
            solver="sgd",
            max_grad_norm=None,
        )
        with pytest.raises(ValueError, match=r"non-finite parameter weights.*learning_rate_init"):
            estimator.fit(X, y)
        assert not estimator.__sklearn_is_fitted__()
        rate = estimator.learning_rate_init
        fitted(estimator.set_params(learning_rate_init=1e-3), X, y)
        before = state(estimator)
        estimator.set_params(learning_rate_init=rate)
        with pytest.raises(ValueError, match="non-finite"):
            quietly(estimator.fit, X, y)
        assert_same_state(vars(estimator), before | {"learning_rate_init": rate})

    @pytest.mark.parametrize("cls", BOTH)
    def test_warnings_name_the_callers_line(self, cls):
        X, y = data_for(cls)
        for parameters, match in (
            ({"learning_rate": "constant"}, "Maximum iterations"),
            ({"batch_size": 1000}, "clipped"),
        ):
            with pytest.warns(UserWarning, match=match) as caught:
                small(cls, **parameters).fit(X, y)
            assert {warning.filename for warning in caught} == {__file__}


class TestAtHome:
    @pytest.mark.parametrize("ragged", [False, True])
    def test_behind_a_transformer_in_a_pipeline(self, ragged):
        X, y = data_for(RNNWithBatchNormRegressor, n=200, ragged=ragged)
        model = learner(RNNWithBatchNormRegressor, normalize_input=None, cell="gru")
        pipeline = make_pipeline(BatchNormTransformer(), model).fit(X[:150], y[:150])
        assert pipeline.score(X[150:], y[150:]) > 0.7
        assert model.running_means_[0].shape == (6, 30)

    def test_behind_a_transformer_that_gives_frames(self):
        X, y = data_for(RNNWithBatchNormRegressor, n_features=1, ragged=True)
        pipeline = make_pipeline(BatchNormTransformer(), small(RNNWithBatchNormRegressor))
        plain = clone(pipeline).fit(X[:, :, 0], y)
        pipeline.set_output(transform="pandas").fit(X[:, :, 0], y)
        np.testing.assert_array_equal(pipeline.predict(X[:, :, 0]), plain.predict(X[:, :, 0]))
        np.testing.assert_array_equal(pipeline[-1].feature_names_in_, [f"x{t}" for t in range(6)])

    @pytest.mark.parametrize("ragged", [False, True])
    def test_grid_search_over_learning_rates(self, ragged):
        X, y = data_for(RNNWithBatchNormClassifier, n=150, ragged=ragged)
        pipeline = make_pipeline(
            BatchNormTransformer(), small(solver="sgd", max_iter=20, cell="tanh", batch_size=8)
        )
        name = "rnnwithbatchnormclassifier__learning_rate_init"
        search = GridSearchCV(pipeline, {name: [1e-5, 1e-1]}, cv=3)
        quietly(search.fit, X, y)
        assert search.best_params_[name] == 1e-1
        assert search.score(X, y) > 0.7

    @pytest.mark.parametrize("cls", BOTH)
    def test_cross_validation(self, cls):
        X, y = data_for(cls, n=150, ragged=True)
        scores = cross_val_score(learner(cls, cell="gru"), X, y, cv=3)
        assert (scores > 0.5).all()

    def test_routed_sample_weights(self):
        X, y = data_for(RNNWithBatchNormClassifier, ragged=True)
        weight = np.random.default_rng(0).integers(0, 3, 60).astype(float)
        with config_context(enable_metadata_routing=True):
            model = small(max_iter=1, learning_rate="cosine")
            model.set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
            pipeline = make_pipeline(
                BatchNormTransformer().set_fit_request(sample_weight=False), model
            )
            routed = pipeline.fit(X, y, sample_weight=weight)[-1]
            Z = pipeline[:-1].transform(X)
            direct = clone(model).fit(Z, y, sample_weight=weight)
            np.testing.assert_array_equal(routed._parameters, direct._parameters)
            without = clone(model).fit(Z, y)
            assert (routed._parameters != without._parameters).any()
            # Of the network by itself: not every version's pipeline takes weights to score.
            scores = cross_validate(
                model, X, y, params={"sample_weight": weight}, cv=2, error_score="raise"
            )
            assert np.isfinite(scores["test_score"]).all()

    def test_two_threads_give_the_bits_of_one(self):
        X, y = data_for(RNNWithBatchNormClassifier, n=200, ragged=True)
        many = [*LAYERS, *PLAIN_LAYERS[:1]]
        parameters = {"learning_rate": "cosine", "dropout": 0.1, "max_iter": 6}
        alone = [small(**layers, **parameters).fit(X, y) for layers in many]
        with ThreadPoolExecutor(2) as pool:
            together = list(pool.map(lambda layers: small(**layers, **parameters).fit(X, y), many))
        for one, other in zip(alone, together, strict=True):
            np.testing.assert_array_equal(one._parameters, other._parameters)
            np.testing.assert_array_equal(one._statistics, other._statistics)

    def test_predictions_beside_a_fit(self):
        # Another thread sees the network of before or that of after, whole.
        X, y = data_for(RNNWithBatchNormClassifier, ragged=True)
        clf = small(max_iter=1, learning_rate="cosine").fit(X, y)
        failures, done = [], threading.Event()

        def predict():
            while not done.is_set():
                try:
                    clf.predict_proba(X)
                except Exception as error:
                    failures.append(error)

        reader = threading.Thread(target=predict)
        try:
            reader.start()
            for k in range(30):
                units = (3,) if k % 2 else (6, 6)
                clf.set_params(hidden_layer_sizes=units, cell=("gru", "lstm")[k % 2])
                clf.fit(X[:, : 3 + k % 4], y)
        finally:
            done.set()
            reader.join()
        assert failures == []

    def test_no_convergence_warning_where_the_plan_is_run(self):
        X, y = data_for(RNNWithBatchNormClassifier)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            small().fit(X, y)
        with pytest.warns(ConvergenceWarning, match=r"Maximum iterations \(4\) reached"):
            small(learning_rate="constant").fit(X, y)

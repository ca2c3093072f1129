"""Fitted state that is damaged, or of another version: an error that says so, never a crash."""

import copy
import pickle
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import skops.io as skops
from processes import environment

from skbn import (
    BatchNormTransformer,
    MLPWithBatchNormClassifier,
    MLPWithBatchNormRegressor,
    RNNWithBatchNormClassifier,
    RNNWithBatchNormRegressor,
)
from skbn.estimators.checksum import checksum
from skbn.network.plan import ACTIVATION, Layout

NETWORKS = [
    MLPWithBatchNormClassifier,
    MLPWithBatchNormRegressor,
    RNNWithBatchNormClassifier,
    RNNWithBatchNormRegressor,
]
each_network = pytest.mark.parametrize("cls", NETWORKS)
each_class = pytest.mark.parametrize("cls", [*NETWORKS, BatchNormTransformer])

# Without these a state is whole: that of a network without such a normalization.
WHOLE_WITHOUT = {"_target_moments: None"}


def rows_for(cls):
    return np.random.default_rng(0).standard_normal(
        (30, 4, 3) if "RNN" in cls.__name__ else (30, 3)
    )


def fitted(cls, **parameters):
    X = rows_for(cls)
    if cls is BatchNormTransformer:
        return cls().fit(X), X
    model = cls(**{"hidden_layer_sizes": (4, 3), "max_iter": 1, "random_state": 0} | parameters)
    return model.fit(X, np.arange(30) % 3), X


def use(model, X):
    return model.predict(X) if hasattr(model, "predict") else model.transform(X)


def test_no_damage_crashes():
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("fuzz_state.py"))],
        capture_output=True, text=True, env=environment(OMP_NUM_THREADS="1"), timeout=900,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-300:] + done.stderr[-3000:]
    counts = {
        kind: [int(number) for number in re.findall(r"\d+", numbers)]
        for kind, numbers in re.findall(r"^counts of (\w+): (.*)$", done.stdout, re.MULTILINE)
    }
    # States; refused; the same predictions; other predictions.
    states, refused, same, others = counts["plans"]
    assert states > 5000
    assert (refused, same, others) == (states, 0, 0)
    assert counts["attributes"][0] > 1000
    silent = re.findall(r"^other predictions of attributes: .*?, (.*)$", done.stdout, re.MULTILINE)
    assert set(silent) <= WHOLE_WITHOUT
    # A checksum finds any change. Without the checksum, the other checks are reached.
    states, refused, _, others = counts["pickles"]
    assert refused > 0.9 * states > 300
    assert others == 0
    assert counts["unchecked"][0] > 300
    assert counts["unchecked"][3] > 0


@each_network
@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda p: p[::-1].copy(), "the plan of the network is damaged"),
        (lambda p: p[:0], "it has no operation"),
        (lambda p: p.view(np.uint8), "no vector of operations"),
        (lambda p: None, "no vector of operations"),
    ],
)
def test_plans(cls, damage, message):
    model, X = fitted(cls)
    model._plan = damage(model._plan)
    for call in (
        model.predict,
        lambda X: model.coefs_,
        lambda X: model.partial_fit(X, [0, 1, 2] * 10),
    ):
        with pytest.raises(ValueError, match=message):
            call(X)


@pytest.mark.parametrize("table", ["dense", "sparse"])
@pytest.mark.parametrize("run", ["plain", "layered"])
def test_a_plan_as_it_is_run(table, run):
    model, X = fitted(MLPWithBatchNormClassifier, activation="relu", periodic_embedding=None)
    run = getattr(getattr(Layout.of(model._plan), table), run)
    if run is None:
        pytest.skip("this processor has no fused layers")
    model._plan = run.operations
    with pytest.raises(ValueError, match="the plan of the network is damaged"):
        model.predict(X)


@each_network
@pytest.mark.parametrize(("field", "other"), [("epsilon", 1e-4), ("momentum", 0.2)])
def test_another_plan_that_is_whole(cls, field, other):
    model, X = fitted(cls)
    model._plan[field][model._plan[field] >= 0] = other
    for call in (
        model.predict,
        lambda X: model.coefs_,
        lambda X: model.partial_fit(X, [0, 1, 2] * 10),
        lambda X: pickle.loads(pickle.dumps(model)),
    ):
        with pytest.raises(ValueError, match="its plan is not the plan that was fitted"):
            call(X)


def test_another_activation():
    model, X = fitted(MLPWithBatchNormClassifier, activation="tanh")
    chosen = model._plan["kind"] == ACTIVATION
    model._plan["activation"][chosen] -= 1
    with pytest.raises(ValueError, match="its plan is not the plan that was fitted"):
        model.predict(X)


@each_network
@pytest.mark.parametrize("field", ["kind", "part", "activation", "cell", "pooling"])
def test_unknown_codes(cls, field):
    model, X = fitted(cls)
    plan = model._plan
    if field == "activation" and (plan["kind"] == ACTIVATION).sum() == 0:
        pytest.skip("no activation of its own")
    used = plan[field] >= 0
    if field in ("cell", "pooling") and not used.any():
        pytest.skip(f"no {field}")
    plan[field][used] = 77
    with pytest.raises(ValueError, match="damaged"):
        model.predict(X)


@each_network
@pytest.mark.parametrize(
    ("field", "value"), [("epsilon", np.nan), ("epsilon", -1.0), ("momentum", 2.0)]
)
def test_numbers_of_a_plan_are_in_range(cls, field, value):
    model, X = fitted(cls)
    model._plan[field][model._plan[field] >= 0] = value
    with pytest.raises(ValueError, match=f"damaged: {field} is {value}"):
        model.predict(X)


@each_network
def test_unknown_losses_and_optimizers(cls):
    model, X = fitted(cls)
    kept = model._optimizer.copy()
    model._optimizer["kind"] = 9
    with pytest.raises(ValueError, match="the code 9 of an optimizer is unknown"):
        model.partial_fit(X, np.arange(30) % 3)
    model._optimizer = kept
    model._loss = "hinge"
    for call in (model.predict, lambda X: model.partial_fit(X, np.arange(30) % 3)):
        with pytest.raises(ValueError, match="hinge"):
            call(X)


@pytest.mark.parametrize("cls", [MLPWithBatchNormClassifier, RNNWithBatchNormClassifier])
def test_class_numbers_beyond_the_outputs(cls):
    model, X = fitted(cls)
    model.classes_ = np.arange(200)
    for call in (model.predict, lambda X: model.partial_fit(X, np.full(30, 199))):
        with pytest.raises(ValueError, match="the number of classes is 200, but the network has 3"):
            call(X)


@pytest.mark.parametrize("number", [-1.0, 3.0, np.nan])
def test_targets_are_bounded_where_they_enter_a_network(number):
    from networks import random_network, random_table

    from skbn.network import optimizer

    units, loss = [4, 6, 3], "softmax_log_loss"
    network = random_network(units, "tanh", "before", loss)
    table = random_table(20, units, loss)
    table.y[5] = number
    with pytest.raises(ValueError, match="must be in 0 to 2"):
        network.loss_and_gradient(table)
    with pytest.raises(ValueError, match="must be in 0 to 2"):
        network.train(
            table, optimizer.adam(), network.new_moments(), np.arange(20), np.array([0, 20]),
            np.ones(1),
        )  # fmt: skip


class TestFormat:
    @each_class
    @pytest.mark.parametrize("number", [1, 2, 3, 4, 5, 7, "6", None])
    def test_another_one_is_refused(self, cls, number):
        model, X = fitted(cls)
        before = use(model, X)
        np.testing.assert_array_equal(use(pickle.loads(pickle.dumps(model)), X), before)
        model._state_format = number
        if number is None:
            del model._state_format
        words = "no format number" if number is None else f"the format {number!r}"
        with pytest.raises(ValueError, match=rf"this {cls.__name__} has {words}, .* format 6"):
            use(model, X)
        message = rf"state of this {cls.__name__} has {words} .* reads the formats 5 to 6"
        if number == 5:  # this format had no checksum
            message = f"state of this {cls.__name__} is damaged: its checksum"
        stored = pickle.dumps(model)
        with pytest.raises(ValueError, match=message):
            pickle.loads(stored)
        stored = skops.dumps(model)
        with pytest.raises(ValueError, match=message):
            skops.loads(stored, trusted=skops.get_untrusted_types(data=stored))

    @each_class
    def test_an_estimator_that_is_not_fitted_has_none(self, cls):
        loaded = pickle.loads(pickle.dumps(cls()))
        assert not hasattr(loaded, "_state_format")

    def test_one_from_scikit_learn_has_it(self):
        from sklearn.neural_network import MLPRegressor

        X = rows_for(MLPWithBatchNormRegressor)
        theirs = MLPRegressor(hidden_layer_sizes=(4,), solver="lbfgs", max_iter=20, tol=1.0).fit(
            X, X[:, 0]
        )
        ours = MLPWithBatchNormRegressor.from_sklearn(theirs)
        loaded = pickle.loads(pickle.dumps(ours))
        np.testing.assert_array_equal(loaded.predict(X), ours.predict(X))


class TestLoading:
    """What comes from a file is looked at number by number."""

    @each_network
    @pytest.mark.parametrize(
        ("name", "place", "value", "message"),
        [
            ("_parameters", 3, np.nan, "weights are not finite"),
            ("_statistics", 1, np.inf, "statistics of batch norm has numbers that are not finite"),
            ("input_mean_", 0, np.nan, "input_mean_ has numbers that are not finite"),
            ("input_var_", 1, -1.0, "input_var_ has numbers that are below 0"),
        ],
    )
    def test_numbers(self, cls, name, place, value, message):
        model, _ = fitted(cls, normalize_input="smooth_clip")
        vars(model)[name][place] = value
        stored = pickle.dumps(model)
        with pytest.raises(ValueError, match=message):
            pickle.loads(stored)

    @pytest.mark.parametrize("cls", [MLPWithBatchNormClassifier, MLPWithBatchNormRegressor])
    @pytest.mark.parametrize(
        ("name", "value", "message"),
        [
            ("input_center_", np.inf, "input_center_ has numbers that are not finite"),
            ("input_spread_", -1.0, "input_spread_ has numbers that are below 0"),
        ],
    )
    def test_quartiles(self, cls, name, value, message):
        model, _ = fitted(cls)
        vars(model)[name][1] = value
        stored = pickle.dumps(model)
        with pytest.raises(ValueError, match=message):
            pickle.loads(stored)

    @each_network
    @pytest.mark.parametrize("kind", [None, "standard", "robust", "clip", 3])
    def test_another_normalization_of_the_inputs(self, cls, kind):
        # Moments are read as moments, with the clip or without, and quartiles as quartiles.
        if kind == "standard":
            model, _ = fitted(MLPWithBatchNormClassifier)
        else:
            model, _ = fitted(cls, normalize_input="smooth_clip")
        model._input_kind = kind
        stored = pickle.dumps(model)
        with pytest.raises(ValueError, match=f"damaged: _input_kind is {kind!r}"):
            pickle.loads(stored)

    @each_network
    def test_targets_that_are_gone(self, cls):
        model, X = fitted(cls)
        for name in model._targets.attributes():
            damaged = copy.copy(model)
            delattr(damaged, name)
            with pytest.raises(ValueError, match=f"damaged: it has no {name}"):
                damaged.predict(X)
            with pytest.raises(ValueError, match=f"damaged: it has no {name}"):
                pickle.loads(pickle.dumps(damaged))

    @each_network
    def test_names_can_be_listed(self, cls):
        # scikit-learn's ``__dir__``, which completion by Tab calls, asks for each attribute.
        assert "predict" in dir(cls())
        model, _ = fitted(cls)
        assert {"coefs_", "n_outputs_"} <= set(dir(model))
        for name in model._targets.attributes():
            damaged = copy.copy(model)
            delattr(damaged, name)
            assert name not in dir(damaged)

    @pytest.mark.parametrize("cls", [MLPWithBatchNormClassifier, RNNWithBatchNormClassifier])
    @pytest.mark.parametrize("name", ["temperature_", "_prior_outputs"])
    @pytest.mark.parametrize("is_gone", [False, True])
    def test_half_of_a_calibration(self, cls, name, is_gone):
        model, X = fitted(cls, early_stopping=True, validation_fraction=0.7)
        assert hasattr(model, "temperature_")
        setattr(model, name, None)
        if is_gone:
            delattr(model, name)
        with pytest.raises(ValueError, match=r"damaged: .*_prior_outputs"):
            model.predict_proba(X)
        stored = pickle.dumps(model)
        with pytest.raises(ValueError, match=r"damaged: .*_prior_outputs"):
            pickle.loads(stored)

    @each_network
    def test_variances_are_none_below_zero(self, cls):
        model, _ = fitted(cls)
        model.running_vars_[-1][...] = -1.0
        stored = pickle.dumps(model)
        with pytest.raises(ValueError, match="running_vars_ has numbers that are below 0"):
            pickle.loads(stored)

    @each_network
    def test_what_is_missing_is_named(self, cls):
        for name in ("_loss", "_parameters", "n_outputs_", "_statistics"):
            model, _ = fitted(cls)
            delattr(model, name)
            stored = pickle.dumps(model)
            with pytest.raises(ValueError, match=f"it has no {name}"):
                pickle.loads(stored)

    @each_network
    @pytest.mark.parametrize("name", ["_plan", "_optimizer"])
    def test_records_of_another_length(self, cls, name):
        model, _ = fitted(cls)
        state = model.__getstate__()
        assert state[name].dtype == np.uint8
        state[name] = state[name][:-1]
        state["_checksum"] = checksum(state)
        with pytest.raises(ValueError, match=f"{name} is no vector of records"):
            cls.__new__(cls).__setstate__(state)

    def test_arrays_of_a_transformer(self):
        model, X = fitted(BatchNormTransformer)
        for name in ("running_mean_", "running_var_", "gamma_", "beta_"):
            damaged = copy.copy(model)
            vars(damaged)[name] = vars(model)[name][:-1]
            with pytest.raises(ValueError, match="damaged"):
                pickle.loads(pickle.dumps(damaged))
            with pytest.raises(ValueError, match="damaged"):
                damaged.partial_fit(X)

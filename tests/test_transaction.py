"""What a fit does to an estimator happens in one step, and to nothing else."""

import copy
import itertools
import warnings

import numpy as np
import pytest
import sklearn
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.fixes import parse_version
from tracing import at_lines

from skbn import (
    BatchNormTransformer,
    MLPWithBatchNormClassifier,
    MLPWithBatchNormRegressor,
    RNNWithBatchNormClassifier,
    RNNWithBatchNormRegressor,
)
from skbn.estimators.transaction import publish

HAS_CALLBACKS = parse_version(sklearn.__version__) >= parse_version("1.9")
RNG = np.random.default_rng(0)
X = RNG.standard_normal((40, 6))
SEQUENCES = RNG.standard_normal((40, 3, 2))
SMALL = {"hidden_layer_sizes": (5,), "max_iter": 2, "tol": 10.0, "random_state": 0}
NETWORKS = [
    MLPWithBatchNormClassifier,
    MLPWithBatchNormRegressor,
    RNNWithBatchNormClassifier,
    RNNWithBatchNormRegressor,
]

# The functions of a fit, from the first look at the estimator to its change.
STAGES = {
    "_fit", "_check_call", "_initialize", "_network_to_train", "_train", "published", "publish",
}  # fmt: skip


def data_for(cls):
    rows = SEQUENCES if cls.__name__.startswith("RNN") else X
    score = rows.reshape(len(rows), -1)[:, 0]
    return rows, (score > 0).astype(int) if "Classifier" in cls.__name__ else 10.0 * score


def estimator_for(cls):
    return cls() if cls is BatchNormTransformer else cls(**SMALL)


def quietly(call, *arguments, **keywords):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return call(*arguments, **keywords)


def answer(estimator, rows):
    return (estimator.transform if hasattr(estimator, "transform") else estimator.predict)(rows)


def same(one, other):
    return np.array_equal(one, other)


@pytest.mark.parametrize("cls", [*NETWORKS, BatchNormTransformer])
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_ctrl_c_at_any_line_of_publishing(cls, method):
    rows, y = data_for(cls)
    old = quietly(estimator_for(cls).fit, rows, y)
    parameters = old.get_params()
    old_answer = answer(old, rows)
    other_rows = rows * 2.0 + 1.0
    new = copy.deepcopy(old)
    quietly(getattr(new, method), other_rows, y)
    new_answer = answer(new, rows)
    assert not same(old_answer, new_answer)
    seen = set()
    for line in itertools.count():
        estimator = copy.deepcopy(old)
        interrupted = False

        def interrupt(n, line=line):
            nonlocal interrupted
            if n == line:
                interrupted = True
                raise KeyboardInterrupt

        functions = {"_fit", "_fitting", "published", "publish", "draft_of", "_store"}
        try:
            with at_lines(interrupt, functions):
                quietly(getattr(estimator, method), other_rows, y)
        except KeyboardInterrupt:
            pass
        assert estimator.get_params() == parameters
        names = vars(estimator).keys() - {"_callback_fit_ctx", "_skl_callbacks_to_teardown"}
        values = answer(estimator, rows)
        if same(values, old_answer):
            assert names == vars(old).keys()
            seen.add("old")
        else:
            np.testing.assert_array_equal(values, new_answer)
            assert names == vars(new).keys()
            seen.add("new")
        if not interrupted:
            break
    assert seen == {"old", "new"}
    assert line > 15


@pytest.mark.parametrize("cls", NETWORKS)
def test_of_two_fits_that_overlap_the_last_stays_as_a_whole(cls):
    rows, y = data_for(cls)
    old = quietly(cls(**SMALL | {"normalize_input": None}).fit, rows, y)
    # The other model has another number of outputs, which this fit leaves as it was, and moments of
    # the inputs, which it has not.
    other = cls(**SMALL | {"hidden_layer_sizes": (3, 4)})
    if "Classifier" in cls.__name__:
        quietly(other.fit, rows, np.arange(len(y)) % 3)
    else:
        quietly(other.fit, rows, np.stack([y, -y], axis=1))
    alone = [
        (answer(estimator, rows).tolist(), vars(estimator).keys())
        for estimator in (quietly(copy.deepcopy(old).fit, rows, y), other)
    ]
    seen = []
    for line in itertools.count():
        estimator, reached = copy.deepcopy(old), False

        def fit_the_other(n, line=line, estimator=estimator):
            nonlocal reached
            if n == line:
                reached = True
                publish(estimator, vars(estimator).copy(), vars(other).copy())

        with at_lines(fit_the_other, STAGES):
            quietly(estimator.fit, rows, y)
        # An overlap before the fit has looked changes the parameters that it looks at.
        seen.append((answer(estimator, rows).tolist(), vars(estimator).keys()))
        if not reached:
            break
    looked = seen.index(alone[0])
    assert all(one in alone for one in seen[looked:])
    assert seen.count(alone[0]) > 40


@pytest.mark.parametrize("cls", [*NETWORKS, BatchNormTransformer])
def test_attributes_of_others_are_left_alone(cls):
    rows, y = data_for(cls)
    estimator = quietly(estimator_for(cls).fit, rows, y)
    estimator.note_ = "kept"
    quietly(estimator.fit, rows, y)
    assert estimator.note_ == "kept"


if HAS_CALLBACKS:

    class Meddling:
        """A callback that writes to the estimator while it is fitted."""

        def __init__(self, fails=False):
            self.fails = fails

        def setup(self, estimator, context):
            pass

        def on_fit_task_begin(self, estimator, context):
            if context.task_name == "fit":
                estimator.begun_ = "now"

        def on_fit_task_end(self, estimator, context):
            if context.task_name == "epoch":
                estimator.epochs_seen_ = getattr(estimator, "epochs_seen_", 0) + 1
                estimator.set_params(alpha=0.5)
                vars(estimator).pop("note_", None)
            elif self.fails:
                estimator.ended_ = "now"
                raise RuntimeError("no more")
            else:
                estimator.ended_ = "now"

        def teardown(self, estimator, context):
            pass

    @pytest.mark.parametrize("cls", NETWORKS)
    def test_what_a_callback_sets_survives_the_fit(cls):
        rows, y = data_for(cls)
        estimator = estimator_for(cls).set_params(learning_rate="constant")
        estimator.set_callbacks(Meddling())
        for fits in (1, 2):
            estimator.note_ = "to be taken away"
            quietly(estimator.fit, rows, y)
            assert estimator.epochs_seen_ == 2 * fits
            assert estimator.begun_ == estimator.ended_ == "now"
            assert estimator.alpha == 0.5
            assert not hasattr(estimator, "note_")

    @pytest.mark.parametrize("cls", [*NETWORKS, BatchNormTransformer])
    def test_a_callback_that_raises_at_the_end_takes_back_the_fit_alone(cls):
        rows, y = data_for(cls)
        estimator = quietly(estimator_for(cls).fit, rows, y)
        before = answer(estimator, rows)
        names = set(vars(estimator))
        estimator.set_callbacks(Meddling(fails=True))
        with pytest.raises(RuntimeError, match="no more"):
            quietly(estimator.fit, rows * 2.0, y)
        np.testing.assert_array_equal(answer(estimator, rows), before)
        assert estimator.ended_ == "now"
        mine = {"begun_", "ended_", "epochs_seen_", "_skl_callbacks"}
        assert set(vars(estimator)) - mine == names


class TestShallowCopies:
    @pytest.mark.parametrize("cls", NETWORKS)
    @pytest.mark.parametrize(
        "name", ["coefs_", "intercepts_", "gammas_", "betas_", "running_means_", "running_vars_"]
    )
    @pytest.mark.parametrize("in_place", [True, False])
    def test_written_to(self, cls, name, in_place):
        rows, y = data_for(cls)
        first = quietly(estimator_for(cls).fit, rows, y)
        kept = copy.deepcopy(vars(first))
        copied = copy.copy(first)
        np.testing.assert_array_equal(copied.predict(rows), first.predict(rows))
        old = getattr(first, name)[-1].copy()
        if in_place:
            getattr(copied, name)[-1][...] = 7.0
        else:
            setattr(
                copied,
                name,
                [
                    array * 0.0 + 7.0 if array.flags.writeable else array
                    for array in getattr(first, name)
                ],
            )
        np.testing.assert_array_equal(getattr(copied, name)[-1], 7.0)
        np.testing.assert_array_equal(getattr(first, name)[-1], old)
        np.testing.assert_equal(vars(first), kept)

    @pytest.mark.parametrize("cls", [*NETWORKS, BatchNormTransformer])
    def test_trained_on(self, cls):
        rows, y = data_for(cls)
        first = quietly(estimator_for(cls).fit, rows, y)
        kept = copy.deepcopy(vars(first))
        copied = copy.copy(first)
        copied.partial_fit(rows * 3.0, y)
        assert not same(answer(copied, rows), answer(first, rows))
        np.testing.assert_equal(vars(first), kept)
        if cls is BatchNormTransformer:
            copy.copy(first).merge(copied)
            np.testing.assert_equal(vars(first), kept)

    @pytest.mark.parametrize("cls", NETWORKS)
    def test_not_fitted(self, cls):
        copied = copy.copy(estimator_for(cls))
        assert copied.get_params() == estimator_for(cls).get_params()
        assert not hasattr(copied, "coefs_")

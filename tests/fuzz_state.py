"""Fitted states damaged in one place, each used in every way; run by ``test_state.py``.

It runs in a process of its own, since what it looks for ends the process. What is about to be tried
is printed before, so that the last line tells what did.
"""

import copy
import io
import pickle
import sys
import warnings
from contextlib import suppress
from unittest import mock

import numpy as np

from skbn import (
    BatchNormTransformer,
    MLPWithBatchNormClassifier,
    MLPWithBatchNormRegressor,
    RNNWithBatchNormClassifier,
    RNNWithBatchNormRegressor,
)
from skbn.estimators import saved
from skbn.network.plan import OPERATION

REFUSALS = (ValueError, TypeError, AttributeError, IndexError, KeyError, OverflowError)

warnings.simplefilter("ignore")
rng = np.random.default_rng(0)
X, S = rng.standard_normal((24, 4)), rng.standard_normal((24, 5, 3))
y, Y = np.arange(24) % 3, rng.standard_normal((24, 2))
SMALL = {"hidden_layer_sizes": (5, 4), "max_iter": 1, "random_state": 0}
MODELS = {
    "before": MLPWithBatchNormClassifier(**SMALL),
    "after": MLPWithBatchNormRegressor(**SMALL, batch_norm="after", dropout=0.2),
    "relu": MLPWithBatchNormClassifier(**SMALL, activation="relu", normalize_input="standard"),
    "none": MLPWithBatchNormRegressor(**SMALL, batch_norm=None, loss="poisson"),
    "no hidden layer": MLPWithBatchNormClassifier((), max_iter=1),
    "lstm": RNNWithBatchNormClassifier(**SMALL, dropout=0.2),
    "gru": RNNWithBatchNormRegressor(**SMALL, cell="gru", batch_norm="input", bidirectional=True),
    "tanh": RNNWithBatchNormClassifier(**SMALL, cell="tanh", time_statistics="shared"),
    "pooled": RNNWithBatchNormRegressor(**SMALL, cell="gru", pooling="mean_max", dropout=0.2),
    "plain": RNNWithBatchNormRegressor(**SMALL, batch_norm=None),
}


def data_for(name):
    model = MODELS[name]
    rows = S if isinstance(model, RNNWithBatchNormClassifier | RNNWithBatchNormRegressor) else X
    targets = y if hasattr(model, "predict_proba") else Y
    return rows, abs(targets) if name == "none" else targets


def uses(model, rows, targets):
    """Everything that reads a fitted state: pairs of a name and a function."""
    yield "predict", lambda: model.predict(rows)
    if hasattr(model, "predict_proba"):
        yield "predict_proba", lambda: model.predict_proba(rows)
    if hasattr(model, "to_sklearn"):
        yield "to_sklearn", lambda: model.to_sklearn().predict(rows)
        # So many that batch norm is folded into the weights.
        yield "many rows", lambda: model.predict(np.repeat(rows, 450, axis=0))
    yield "coefs_", lambda: [array.sum() for array in (*model.coefs_, *model.running_vars_)]
    yield "partial_fit", lambda: copy.copy(model).partial_fit(rows, targets)
    yield (
        "warm start",
        lambda: copy.copy(model).set_params(warm_start=True).fit(rows, targets),
    )


class Counts:
    """How the tries ended, by what they were."""

    def __init__(self, kind):
        self.kind, self.refused, self.same, self.other = kind, 0, 0, []
        self.tried = 0

    def add(self, model, name, what, expected, *, in_turn=False):
        """Try all uses of a model, or `predict` and, in turn, one of the others."""
        print(f"trying {self.kind}: {name}, {what}", flush=True)
        rows, targets = data_for(name)
        refusals, differences = 0, 0
        first, *others = uses(model, rows, targets)
        if in_turn:
            others = [others[self.tried % len(others)]]
        self.tried += 1
        for use, function in (first, *others):
            try:
                result = function()
            except REFUSALS:
                # Later than where it could be said well, but not silent.
                refusals += 1
            else:
                if use == "predict" and not np.array_equal(result, expected):
                    differences += 1
        if differences:
            self.other.append(f"{name}, {what}")
        elif refusals:
            self.refused += 1
        else:
            self.same += 1

    def report(self):
        print(
            f"counts of {self.kind}: {self.refused + self.same + len(self.other)} states, "
            f"{self.refused} refused, {self.same} the same predictions, {len(self.other)} others"
        )
        for what in self.other:
            print(f"other predictions of {self.kind}: {what}")


def changed_plans(model):
    """Plans with one field of one operation changed."""
    plan = model._plan
    for position in range(len(plan)):
        for field in OPERATION.names:
            value = plan[field][position]
            if plan[field].dtype.kind == "f":
                others = [np.nan, np.inf, -2.5, np.nextafter(value, 1.0)]
            else:
                others = [value + 1, -(10**9), 2**62 if plan[field].dtype.itemsize == 8 else 10**9]
            for other in others:
                if other != value:
                    changed = plan.copy()
                    changed[field][position] = other
                    yield f"{field} of {position} is {other}", changed
    yield "reversed", plan[::-1].copy()
    yield "shorter", plan[:-1].copy()
    yield "empty", plan[:0].copy()
    yield "twice", np.concatenate([plan, plan])
    yield "a list", plan.tolist()
    yield "another dtype", plan.view(np.uint8)


def changed_arrays(model):
    """Attributes of another shape, dtype or layout, or gone."""
    for name, value in vars(model).copy().items():
        if name.startswith("_") or name.endswith("_"):
            if isinstance(value, np.ndarray) and name != "_plan":
                others = {
                    "shorter": value[:-1],
                    "longer": np.concatenate([value, value]),
                    "a column": value.reshape(-1, 1),
                    "strided": np.repeat(value, 2, axis=-1)[..., ::2],
                    "nothing": value[:0],
                    "a list": list(value),
                }
                if value.dtype.kind == "f":
                    others["float16"] = value.astype(np.float16)
                    others["integers"] = value.astype(int)
                    others["complex"] = value.astype(complex)
                    others["other bytes"] = value.astype(value.dtype.newbyteorder())
                for what, other in others.items():
                    yield name, what, other
            elif isinstance(value, int) and not isinstance(value, bool):
                for other in (-1, 0, value + 100, 10**12):
                    yield name, str(other), other
            for other in (None, "nonsense", np.arange(200)):
                yield name, repr(other)[:10], other


def main():
    plans, arrays, pickles = Counts("plans"), Counts("attributes"), Counts("pickles")
    # Pickles loaded without the checksum, so that the damage comes to the other checks. Weights are
    # numbers like any others: what they predict is what they say.
    unchecked = Counts("unchecked")
    for name, model in MODELS.items():
        rows, targets = data_for(name)
        model.fit(rows, targets)
        expected = model.predict(rows)
        for what, plan in changed_plans(model):
            damaged = copy.deepcopy(model)
            damaged._plan = plan
            # A plan has thousands of changes, and one check in front of all uses refuses them.
            plans.add(damaged, name, what, expected, in_turn=True)
        model.partial_fit(rows, targets)
        expected = model.predict(rows)
        for attribute, what, other in changed_arrays(model):
            damaged = copy.deepcopy(model)
            setattr(damaged, attribute, other)
            arrays.add(damaged, name, f"{attribute}: {what}", expected)
        stored = pickle.dumps(model)
        # From the numbers of the plan on. NumPy itself crashes on a damaged description of them.
        start = stored.index(model._plan.tobytes())
        for _ in range(60):
            damaged = bytearray(stored)
            # Half of them in the plan.
            place = int(rng.integers(start, len(stored) if rng.random() < 0.5 else start + 2000))
            damaged[min(place, len(stored) - 1)] ^= int(rng.integers(1, 256))
            for counts, check in ((pickles, saved.refuse_changes), (unchecked, lambda *_: None)):
                print(f"trying {counts.kind}: {name}, byte {place}", flush=True)
                try:
                    with mock.patch.object(saved, "refuse_changes", check):
                        loaded = pickle.load(io.BytesIO(bytes(damaged)))
                except MemoryError:
                    continue
                except Exception:
                    counts.refused += 1
                    continue
                if type(loaded) is type(model):
                    counts.add(loaded, name, f"byte {place}", expected)
    transformer = BatchNormTransformer().fit(X)
    for attribute, what, other in changed_arrays(transformer):
        damaged = copy.deepcopy(transformer)
        setattr(damaged, attribute, other)
        print(f"trying transformer: {attribute}: {what}", flush=True)
        for function in (
            damaged.transform,
            damaged.inverse_transform,
            damaged.partial_fit,
            damaged.partial_fit_transform,
            lambda _, damaged=damaged: BatchNormTransformer().fit(X).merge(damaged),
        ):
            with suppress(*REFUSALS):
                function(X)
    for counts in (plans, arrays, pickles, unchecked):
        counts.report()


if __name__ == "__main__":
    main()
    sys.stdout.flush()

"""The stored state of an estimator: its format, its version, its checksum and its parameters."""

import copy
import pickle
import pickletools
from contextlib import suppress

import joblib
import numpy as np
import pytest
import skops.io as skops
from sklearn.base import clone
from write_saved import MODELS, fitted, outputs

from skbn import BatchNormTransformer, MLPWithBatchNormClassifier, __version__
from skbn.estimators import saved, state, upgrades
from skbn.estimators.checksum import checksum

each_model = pytest.mark.parametrize("name", MODELS)
# One of each way to hold a state.
KINDS = ["classifier", "rnn_regressor", "transformer", "ensemble_classifier"]
each_kind = pytest.mark.parametrize("name", KINDS)


def opened(model, change):
    """The estimator of the stored state of a model, after a change of the state."""
    stored = copy.deepcopy(model.__getstate__())
    change(stored)
    stored["_checksum"] = checksum(stored)
    return saved.rebuilt(type(model), stored)


def by_skops(model):
    stored = skops.dumps(model)
    return skops.loads(stored, trusted=skops.get_untrusted_types(data=stored))


def by_joblib(model, path):
    joblib.dump(model, path / "model.joblib", compress=3)
    return joblib.load(path / "model.joblib")


@each_kind
def test_what_a_state_says_of_itself(name):
    for model in (fitted(name), clone(fitted(name))):
        stored = model.__getstate__()
        assert stored["_state_format"] == state.STATE_FORMAT
        assert stored["_skbn_version"] == __version__
        assert stored["_checksum"] == checksum(stored)
        loaded = pickle.loads(pickle.dumps(model))
        assert vars(loaded).keys() == vars(model).keys()
        assert not {"_skbn_version", "_checksum"} & vars(loaded).keys()


@each_kind
def test_a_state_of_a_later_version(name):
    for model in (fitted(name), clone(fitted(name))):
        with pytest.raises(
            ValueError,
            match=r"has the format 7 and was saved by skbn 9\.1, .*: a later version saved it, "
            r"so load it with that version or a later one",
        ):
            opened(model, lambda s: s.update(_state_format=7, _skbn_version="9.1"))
        with pytest.raises(ValueError, match=r"has the format 4 .* load it with the version that"):
            opened(model, lambda s: s.update(_state_format=4))


@each_kind
def test_a_parameter_of_a_later_version_gets_its_default(name):
    for model in (fitted(name), clone(fitted(name))):
        defaults = type(model)().get_params(deep=False)
        for parameter in defaults:
            loaded = opened(model, lambda s, gone=parameter: s.pop(gone))
            assert loaded.get_params(deep=False).keys() == defaults.keys()
            assert getattr(loaded, parameter) is defaults[parameter]
            repr(loaded)
            clone(loaded)


def test_a_parameter_that_is_there_stays():
    model = MLPWithBatchNormClassifier(dropout=0.25, alpha=0.5)
    loaded = opened(model, lambda s: s.pop("solver"))
    assert (loaded.dropout, loaded.alpha, loaded.solver) == (0.25, 0.5, "adam")


def renamed(stored):
    """An upgrade as a later version may have it: a parameter has another name."""
    stored = dict(stored)
    stored["dropout"] = stored.pop("drop")
    return stored


def test_upgrades_follow_one_another(monkeypatch):
    monkeypatch.setitem(upgrades.UPGRADES, 6, renamed)
    monkeypatch.setitem(upgrades.UPGRADES, 7, lambda s: s | {"alpha": 2 * s["alpha"]})
    for module in (state, saved):
        monkeypatch.setattr(module, "STATE_FORMAT", 8)

    def as_format_6(stored):
        stored["drop"] = stored.pop("dropout") + 0.5
        stored["_state_format"] = 6

    model = fitted("classifier")
    for one in (model, clone(model)):
        loaded = opened(one, as_format_6)
        assert loaded.dropout == 0.5
        assert loaded.alpha == 2 * one.alpha
        assert not hasattr(loaded, "drop")
        assert vars(loaded).get("_state_format") == (8 if one is model else None)


@pytest.mark.parametrize("name", MODELS)
def test_no_upgrade_changes_the_state_that_it_gets(name):
    stored = fitted(name).__getstate__()
    for upgrade in upgrades.UPGRADES.values():
        given = dict(stored)
        upgrade(given)
        assert given.keys() == stored.keys()
        assert all(given[key] is stored[key] for key in stored)


def test_upgrades_have_no_gap():
    assert sorted(upgrades.UPGRADES) == list(range(5, state.STATE_FORMAT))


@each_model
def test_the_checksum_is_the_same_in_all_formats(name, tmp_path):
    model = fitted(name)
    expected = outputs(model, name)
    for loaded in (
        pickle.loads(pickle.dumps(model)),
        pickle.loads(pickle.dumps(model, protocol=2)),
        by_joblib(model, tmp_path),
        by_skops(model),
        copy.deepcopy(model),
    ):
        np.testing.assert_array_equal(outputs(loaded, name), expected)


@pytest.mark.parametrize(
    "parameters",
    [
        {"hidden_layer_sizes": [3, 4]},
        {"hidden_layer_sizes": np.array([3, 4])},
        {"hidden_layer_sizes": (np.int64(3),)},
        {"hidden_layer_sizes": range(3, 5)},
        {"alpha": np.float32(0.1), "tol": np.float64(1e-5), "shuffle": np.bool_(True)},
        {"learning_rate_init": np.array(0.1)[()], "n_iter_no_change": np.inf},
        {"class_weight": {0: 1.0, np.int64(1): np.float64(2.0)}},
        {"scoring": np.str_("accuracy")},
        {"random_state": np.random.RandomState(3)},
        {"hidden_layer_sizes": (), "verbose": True},
    ],
    ids=str,
)
def test_odd_parameters_have_a_checksum(parameters, tmp_path):
    model = MLPWithBatchNormClassifier(**parameters)
    for loaded in (pickle.loads(pickle.dumps(model)), by_joblib(model, tmp_path), by_skops(model)):
        assert (
            str(loaded.get_params()).split(" at 0x")[0]
            == str(model.get_params()).split(" at 0x")[0]
        )


@pytest.mark.parametrize(
    "values",
    [
        np.arange(6.0).reshape(2, 3),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.arange(12.0)[::2],
        np.array(["a", "bc"]),
        np.array(["a", None, 3.5], dtype=object),
        np.array([], dtype=np.float32),
        np.array(3.5),
        np.array([True, False]),
        [0.5, np.nan, np.inf],
        (1, "two", [3.0, None]),
        {"a": {"b": np.arange(3)}, 2: 1 + 1},
        "\ud800",
    ],
    ids=repr,
)
def test_each_kind_of_value_counts(values):
    def crc(value):
        return checksum({"x": value})

    assert crc(values) == crc(copy.deepcopy(values)) == crc(pickle.loads(pickle.dumps(values)))
    others = [None, "other", 7, [values], {"x": values}]
    assert len({crc(values), *map(crc, others)}) == 1 + len(others)
    if isinstance(values, np.ndarray) and values.size:
        other = values.copy()
        other[...] = values.ravel()[-1]
        assert values.size == 1 or crc(other) != crc(values)
        assert values.ndim < 2 or crc(values) != crc(values.T)
    assert checksum({"x": values}) != checksum({"y": values})


def test_an_edited_model_is_saved_as_it_is():
    model = fitted("classifier")
    model = copy.copy(model)
    model.coefs_[0][0, 0] += 1.0
    loaded = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(loaded.coefs_[0], model.coefs_[0])


@each_kind
def test_one_changed_attribute_is_noticed(name):
    """Each entry of a state is under the checksum; entries of the members have their own."""
    model = fitted(name)
    stored = model.__getstate__()
    for entry, value in stored.items():
        other = "another" if not isinstance(value, np.ndarray) else value[:-1]
        for changed in (
            stored | {entry: other},
            {key: value for key, value in stored.items() if key != entry},
        ):
            message = r"its checksum" if entry == "_checksum" else r"its checksum|format"
            with pytest.raises(ValueError, match=message):
                saved.rebuilt(type(model), changed)


def fills_memory(stored):
    """Whether Python's own list of remembered objects would get millions of entries."""
    with suppress(Exception):
        for opcode, argument, _ in pickletools.genops(bytes(stored)):
            if opcode.name == "LONG_BINPUT" and argument > 2**20:
                return True
    return False


@each_kind
def test_flipped_bits_of_a_pickle(name):
    """A flip is refused, or it changes nothing: it may hit what a pickle says twice."""
    model = fitted(name)
    expected, stored = outputs(model, name), pickle.dumps(model)
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(200):
        damaged = bytearray(stored)
        damaged[rng.integers(len(stored))] ^= 1 << int(rng.integers(8))
        if fills_memory(damaged):
            continue
        try:
            loaded = pickle.loads(bytes(damaged))
        except (Exception, MemoryError):
            refused += 1
            continue
        # A changed opcode may end in something that is no estimator.
        if type(loaded) is type(model):
            np.testing.assert_array_equal(outputs(loaded, name), expected)
    assert refused > 170


@each_kind
def test_the_other_checks_are_behind_the_checksum(name):
    """A wrong number with its own right checksum."""
    damage = {"_parameters": np.array([np.nan]), "running_var_": np.zeros(1), "n_outputs_": 9}
    damage |= {"temperature_": -1.0}

    def change(stored):
        stored.update({key: value for key, value in damage.items() if key in stored})

    with pytest.raises(ValueError, match=r"fitted state is damaged|for a plan of"):
        opened(fitted(name), change)


def referred(stored):
    """The modules and names that a pickle refers to."""
    found, strings, memo, last = set(), [], [], None
    for code, argument, _ in pickletools.genops(stored):
        if code.name in ("SHORT_BINUNICODE", "BINUNICODE"):
            last = argument
            strings.append(last)
        elif code.name == "MEMOIZE":
            memo.append(last)
        elif code.name in ("BINGET", "LONG_BINGET"):
            last = memo[argument]
            strings.append(last)
        elif code.name == "STACK_GLOBAL":
            last = None
            found.add(".".join(strings[-2:]))
        else:
            last = None
    return found


# The path of a class in the files of users: a class that moves leaves its name at its old place.
PATHS = {
    "BatchNormTransformer": "skbn.estimators.transformer",
    "MLPEnsembleWithBatchNormClassifier": "skbn.estimators.ensemble_classifier",
    "MLPEnsembleWithBatchNormRegressor": "skbn.estimators.ensemble_regressor",
    "MLPWithBatchNormClassifier": "skbn.estimators.mlp_classifier",
    "MLPWithBatchNormRegressor": "skbn.estimators.mlp_regressor",
    "RNNWithBatchNormClassifier": "skbn.estimators.rnn_classifier",
    "RNNWithBatchNormRegressor": "skbn.estimators.rnn_regressor",
}


@each_model
def test_what_files_refer_to(name):
    model = fitted(name)
    cls = type(model).__name__
    own = f"{PATHS[cls]}.{cls}"
    assert skops.get_untrusted_types(data=skops.dumps(model)) == [own]
    names = referred(pickle.dumps(model, protocol=4)) | referred(pickle.dumps(model, protocol=5))
    assert names - {own} == {
        "numpy._core.multiarray._reconstruct",
        "numpy._core.numeric._frombuffer",
        "numpy.dtype",
        "numpy.ndarray",
    }


def test_all_classes_are_saved_in_a_test():
    assert {type(model).__name__ for model, *_ in MODELS.values()} == PATHS.keys()


def test_a_shallow_copy_of_an_ensemble_shares_its_members():
    ensemble = fitted("ensemble_classifier")
    copied = copy.copy(ensemble)
    assert copied is not ensemble
    assert copied.estimators_ is ensemble.estimators_
    copied.n_jobs = 7
    assert ensemble.n_jobs != 7


def test_members_and_template_of_an_ensemble():
    template = MLPWithBatchNormClassifier((3,), max_iter=2, dropout=0.25)
    ensemble = fitted("ensemble_classifier", estimator=template)
    for loaded in (pickle.loads(pickle.dumps(ensemble)), by_skops(ensemble)):
        assert type(loaded.estimator) is MLPWithBatchNormClassifier
        assert loaded.estimator.get_params() == template.get_params()
        assert [one.get_params() for one in loaded.estimators_] == [
            one.get_params() for one in ensemble.estimators_
        ]
    # Saving changes nothing.
    assert ensemble.estimator is template
    assert all(isinstance(one, MLPWithBatchNormClassifier) for one in ensemble.estimators_)


class Own(MLPWithBatchNormClassifier):
    """A class of a user."""


def test_members_of_a_class_of_a_user():
    ensemble = fitted("ensemble_classifier", estimator=Own((3,), max_iter=2))
    stored = skops.dumps(ensemble)
    own = [f"{Own.__module__}.Own"]
    assert set(skops.get_untrusted_types(data=stored)) > set(own)
    for loaded in (pickle.loads(pickle.dumps(ensemble)), by_skops(ensemble)):
        assert {type(one) for one in (loaded.estimator, *loaded.estimators_)} == {Own}
        expected = outputs(ensemble, "ensemble_classifier")
        np.testing.assert_array_equal(outputs(loaded, "ensemble_classifier"), expected)


def test_a_damaged_member_of_an_ensemble():
    ensemble = fitted("ensemble_classifier")
    stored = copy.deepcopy(ensemble.__getstate__())
    stored["estimators_"][1]["_parameters"][0] += 1.0
    with pytest.raises(ValueError, match="MLPWithBatchNormClassifier is damaged: its checksum"):
        saved.rebuilt(type(ensemble), stored)
    stored = ensemble.__getstate__()
    stored["estimators_"] = stored["estimators_"][::-1]
    with pytest.raises(ValueError, match="EnsembleWithBatchNormClassifier is damaged"):
        saved.rebuilt(type(ensemble), stored)


@pytest.mark.parametrize("name", ["classifier", "transformer"])
def test_arrays_that_are_mapped_into_memory(name, tmp_path):
    model = fitted(name)
    joblib.dump(model, tmp_path / "model.joblib")
    loaded = joblib.load(tmp_path / "model.joblib", mmap_mode="r")
    np.testing.assert_array_equal(outputs(loaded, name), outputs(model, name))
    if name == "classifier":
        assert isinstance(loaded._parameters, np.memmap)
    again = pickle.loads(pickle.dumps(loaded))
    np.testing.assert_array_equal(outputs(again, name), outputs(model, name))


def test_a_file_that_has_changed_under_a_map(tmp_path):
    model, path = fitted("classifier"), tmp_path / "model.joblib"
    joblib.dump(model, path)
    data = bytearray(path.read_bytes())
    start = data.index(model._parameters.tobytes())
    data[start + 2] ^= 1
    path.write_bytes(data)
    for mode in (None, "r"):
        with pytest.raises(ValueError, match="its checksum"):
            joblib.load(path, mmap_mode=mode)


def test_transformers_of_two_formats_in_one_process():
    model = BatchNormTransformer().fit(np.arange(6.0).reshape(3, 2))
    loaded = pickle.loads(pickle.dumps(model)).merge(model)
    assert loaded.n_samples_seen_ == 6


def test_a_subclass_with_keywords_has_no_defaults_for_them():
    class Keywords(MLPWithBatchNormClassifier):
        def __init__(self, hidden_layer_sizes=(3,), **others):
            super().__init__(hidden_layer_sizes, **others)

        @classmethod
        def _get_param_names(cls):
            return MLPWithBatchNormClassifier._get_param_names()

    assert saved.parameter_defaults(Keywords) == {"hidden_layer_sizes": (3,)}

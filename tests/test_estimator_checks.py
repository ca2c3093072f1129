"""scikit-learn's own checks, and those it keeps from third parties."""

import warnings

import pytest
from sklearn.base import clone
from sklearn.exceptions import SkipTestWarning
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.utils import estimator_checks as checks
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import parametrize_with_checks

from skbn import (
    BatchNormTransformer,
    MLPEnsembleWithBatchNormClassifier,
    MLPEnsembleWithBatchNormRegressor,
    MLPWithBatchNormClassifier,
    MLPWithBatchNormRegressor,
    RNNWithBatchNormClassifier,
    RNNWithBatchNormRegressor,
)

# copy=False is not among them: checks transform one X twice and want the same result, which
# StandardScaler(copy=False) does not give either.
# batch_size is, but with exact averages only: there a weight of 2 is the row twice wherever
# the mini-batches end.
TRANSFORMERS = [
    BatchNormTransformer(),
    BatchNormTransformer(momentum=0.1),
    BatchNormTransformer(momentum=1.0, epsilon=0.0),
    BatchNormTransformer(batch_size=4, epsilon=0.0),
    BatchNormTransformer(time_statistics="shared", gamma=2.0, beta=-1.0),
]

# Checks set max_iter themselves. So n_epochs keeps plans for Adam short, but in one variant.
NETWORKS = [
    cls(max_iter=30, **{"n_epochs": 30} | parameters)
    for cls in (MLPWithBatchNormClassifier, MLPWithBatchNormRegressor)
    for parameters in (
        {},
        {"n_epochs": "auto"},
        {"dtype": "float64"},
        {"batch_norm": "after", "solver": "sgd", "n_epochs": "auto", "dtype": "float64"},
        {"batch_norm": None, "dtype": "float64"},
        {"hidden_layer_sizes": (10,), "dtype": "float64"},
    )
]

# A row of a table is a sequence of one feature. A larger classifier learns by heart what
# check_class_weight_classifiers lets overlap, as the largest of those above does; a smaller
# regressor does not learn in 30 epochs what check_regressors_train wants.
RECURRENT_NETWORKS = [
    estimator.set_params(**{"max_iter": 30} | parameters)
    for parameters in (
        {"cell": "gru", "max_iter": 60},
        {"cell": "lstm", "dtype": "float64"},
        {"cell": "gru", "bidirectional": True, "dtype": "float64"},
        {"cell": "tanh", "time_statistics": "shared", "dtype": "float64"},
        {"cell": "gru", "pooling": "mean_max", "bidirectional": True, "dtype": "float64"},
        {"cell": "tanh", "batch_norm": "input", "hidden_layer_sizes": (6, 4), "dtype": "float64"},
        {"cell": "tanh", "batch_norm": None, "dtype": "float64"},
    )
    for estimator in (
        RNNWithBatchNormClassifier((4,)),
        RNNWithBatchNormRegressor("squared_error", (8,), learning_rate_init=0.03),
    )
]

# Checks cannot set max_iter of the members, so a plan of 30 epochs is what they get.
ENSEMBLES = [
    ensemble(member(n_epochs=30, dtype=dtype), n_jobs=1)
    for ensemble, member in (
        (MLPEnsembleWithBatchNormClassifier, MLPWithBatchNormClassifier),
        (MLPEnsembleWithBatchNormRegressor, MLPWithBatchNormRegressor),
    )
    for dtype in ("float32", "float64")
] + [MLPEnsembleWithBatchNormClassifier(), MLPEnsembleWithBatchNormRegressor()]


def expected_failures(estimator):
    failures = {}
    # Upstream's networks are excused from these two, too. Ours pass them in float64 (the
    # variants above run them), where a weight of 2 and the row twice differ by less than the
    # checks' 1e-7.
    if dtype_of(estimator) == "float32" and not hasattr(estimator, "cell"):
        for kind in ("dense", "sparse"):
            failures[f"check_sample_weight_equivalence_on_{kind}_data"] = IN_FLOAT32
    return failures


def dtype_of(estimator):
    """What the networks of an estimator compute in; None for a transformer."""
    if isinstance(estimator, ENSEMBLE_CLASSES):
        return "float32" if estimator.estimator is None else estimator.estimator.dtype
    return getattr(estimator, "dtype", None)


ENSEMBLE_CLASSES = (MLPEnsembleWithBatchNormClassifier, MLPEnsembleWithBatchNormRegressor)
IN_FLOAT32 = "sums of another order in float32"
# They want a row's prediction to be the same to 1e-7 wherever it stands. Whether it is in float32
# depends on the kernels of the BLAS; in float64 it is, in the variants above.
PLACE_OF_A_ROW = ("check_methods_sample_order_invariance", "check_methods_subset_invariance")
# So it is with weights and rows repeated in a small recurrent network.
WEIGHTS_OF_SEQUENCES = ("check_sample_weight_equivalence_on_dense_data",)

UPSTREAM_ONLY = [
    checks.check_param_validation,
    checks.check_set_output_transform,
    checks.check_set_output_transform_pandas,
    checks.check_set_output_transform_polars,
    checks.check_global_output_transform_pandas,
    checks.check_global_set_output_transform_polars,
    checks.check_transformer_get_feature_names_out,
    checks.check_transformer_get_feature_names_out_pandas,
    checks.check_dataframe_column_names_consistency,
]


@parametrize_with_checks(
    [*TRANSFORMERS, *NETWORKS, *RECURRENT_NETWORKS, *ENSEMBLES],
    expected_failed_checks=expected_failures,
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_scikit_learn_checks(estimator, check):
    excused = (*PLACE_OF_A_ROW, *(WEIGHTS_OF_SEQUENCES if hasattr(estimator, "cell") else ()))
    if dtype_of(estimator) == "float32" and check.func.__name__ in excused:
        pytest.xfail(IN_FLOAT32)
    with warnings.catch_warnings():
        # Checks that do not apply (array API) say so by a warning.
        warnings.simplefilter("ignore", SkipTestWarning)
        check(estimator)


@pytest.mark.parametrize("estimator", TRANSFORMERS, ids=repr)
@pytest.mark.parametrize("check", UPSTREAM_ONLY, ids=lambda check: check.__name__)
@pytest.mark.filterwarnings("ignore:X (has|does not have valid) feature names:UserWarning")
def test_checks_upstream_keeps_to_itself(estimator, check):
    check(type(estimator).__name__, clone(estimator))


@pytest.mark.parametrize("estimator", [*NETWORKS, *RECURRENT_NETWORKS, *ENSEMBLES], ids=repr)
@pytest.mark.parametrize(
    "check",
    [checks.check_param_validation, checks.check_dataframe_column_names_consistency],
    ids=lambda check: check.__name__,
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore:X (has|does not have valid) feature names:UserWarning")
def test_checks_of_networks_upstream_keeps_to_itself(estimator, check):
    check(type(estimator).__name__, clone(estimator))


@pytest.mark.parametrize("copy", [False, True])
def test_read_only_input_is_never_written_to(copy):
    checks.check_inplace_ensure_writeable("BatchNormTransformer", BatchNormTransformer(copy=copy))


def test_no_check_is_switched_off():
    tags = BatchNormTransformer().__sklearn_tags__()
    assert tags.input_tags.two_d_array
    assert tags.input_tags.three_d_array
    assert tags.input_tags.allow_nan
    assert not tags.input_tags.sparse
    assert not tags.non_deterministic
    assert not tags.no_validation
    assert sorted(tags.transformer_tags.preserves_dtype) == ["float16", "float32", "float64"]


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (MLPWithBatchNormClassifier(), MLPClassifier()),
        (MLPWithBatchNormRegressor(), MLPRegressor()),
    ],
)
def test_tags_are_upstream_s(ours, theirs):
    ours, theirs = get_tags(ours), get_tags(theirs)
    # Upstream's regressor does not say that it takes several outputs, though it does.
    theirs.target_tags.multi_output = ours.target_tags.multi_output
    assert ours == theirs


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (RNNWithBatchNormClassifier(), MLPWithBatchNormClassifier()),
        (RNNWithBatchNormRegressor(), MLPWithBatchNormRegressor()),
    ],
)
def test_tags_of_recurrent_networks(ours, theirs):
    ours, theirs = get_tags(ours), get_tags(theirs)
    assert ours.input_tags.three_d_array
    assert ours.input_tags.two_d_array
    assert not ours.input_tags.sparse
    # It means the end of a sequence, and nothing else: what upstream tries is refused.
    assert not ours.input_tags.allow_nan
    assert not ours.non_deterministic
    assert not ours.no_validation
    theirs.input_tags.three_d_array, theirs.input_tags.sparse = True, False
    assert ours == theirs

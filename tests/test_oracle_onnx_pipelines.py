"""Models inside of other models as ONNX graphs, and the options of skl2onnx's classifiers."""

import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_diabetes, load_iris, load_wine
from sklearn.ensemble import (
    BaggingClassifier,
    BaggingRegressor,
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skbn import (
    BatchNormTransformer,
    MLPEnsembleWithBatchNormClassifier,
    MLPWithBatchNormClassifier,
    MLPWithBatchNormRegressor,
)

graphs = pytest.importorskip("onnx_graphs")
types = pytest.importorskip("skl2onnx.common.data_types")

IRIS, SPECIES = load_iris(return_X_y=True)
NAMES = load_iris().target_names[SPECIES]
WINE, CULTIVAR = load_wine(return_X_y=True)
DIABETES, PROGRESSION = load_diabetes(return_X_y=True, scaled=False)


def classifier(**parameters):
    small = {"hidden_layer_sizes": (12, 8), "n_epochs": 6, "random_state": 0}
    return MLPWithBatchNormClassifier(**(small | parameters))


def regressor():
    return MLPWithBatchNormRegressor(hidden_layer_sizes=(12, 8), n_epochs=6, random_state=0)


@pytest.mark.parametrize("dtype", graphs.DTYPES)
@pytest.mark.parametrize(
    "model",
    [
        make_pipeline(StandardScaler(), classifier()),
        make_pipeline(BatchNormTransformer(), classifier()),
        make_pipeline(BatchNormTransformer(gamma=0.5), LogisticRegression()),
        GridSearchCV(classifier(), {"alpha": [0.1, 1.0]}, cv=2),
        GridSearchCV(
            make_pipeline(StandardScaler(), classifier()),
            {"mlpwithbatchnormclassifier__alpha": [0.1, 1.0]},
            cv=2,
        ),
        CalibratedClassifierCV(classifier(), cv=2),
        CalibratedClassifierCV(classifier(), cv=2, ensemble=False),
        VotingClassifier(
            [("a", classifier()), ("b", classifier(batch_norm=None))],
            voting="soft",
            flatten_transform=False,
        ),
        StackingClassifier([("a", classifier())], LogisticRegression(C=0.1), cv=2),
        BaggingClassifier(classifier(), n_estimators=2, random_state=0),
        OneVsRestClassifier(classifier()),
    ],
    ids=lambda model: type(model).__name__,
)
def test_classifiers_around_it(model, dtype):
    graphs.assert_classifies_alike(model.fit(IRIS, NAMES), IRIS.astype(dtype))


@pytest.mark.parametrize("dtype", graphs.DTYPES)
@pytest.mark.parametrize(
    "model",
    [
        make_pipeline(StandardScaler(), regressor()),
        GridSearchCV(regressor(), {"alpha": [0.1, 1.0]}, cv=2),
        VotingRegressor([("a", regressor()), ("b", Ridge())]),
        StackingRegressor([("a", regressor()), ("b", Ridge())], cv=2),
        BaggingRegressor(regressor(), n_estimators=2, random_state=0),
    ],
    ids=lambda model: type(model).__name__,
)
def test_regressors_around_it(model, dtype):
    model.fit(DIABETES, PROGRESSION)
    graphs.assert_predicts_alike(model, DIABETES.astype(dtype), PROGRESSION)


def test_a_regressor_for_each_target():
    y = np.column_stack([PROGRESSION, DIABETES[:, 2]])
    model = MultiOutputRegressor(regressor()).fit(DIABETES, y)
    graphs.assert_predicts_alike(model, DIABETES, y)


@pytest.mark.parametrize("search", [False, True])
def test_encoded_and_imputed_columns(search):
    rng = np.random.default_rng(0)
    table = pd.DataFrame(WINE[:, :4].astype(np.float32), columns=["a", "b", "c", "d"])
    table.loc[rng.random(len(table)) < 0.1, "b"] = np.nan
    table["kind"] = np.where(WINE[:, 6] > 2.0, "rich", np.where(WINE[:, 9] > 5.0, "deep", "light"))
    columns = make_column_transformer(
        (make_pipeline(SimpleImputer(), StandardScaler()), ["a", "b", "c", "d"]),
        (OneHotEncoder(sparse_output=False), ["kind"]),
    )
    model = make_pipeline(columns, MLPEnsembleWithBatchNormClassifier(classifier(), random_state=0))
    if search:
        grid = {"mlpensemblewithbatchnormclassifier__estimator__alpha": [0.1, 1.0]}
        model = GridSearchCV(model, grid, cv=2)
    model.fit(table, CULTIVAR)
    if search:
        model = model.best_estimator_
    graph = graphs.converted(model, table)
    inputs = {name: table[[name]].to_numpy() for name in table}
    labels, probabilities = graphs.session(graph).run(None, inputs)
    expected = model.predict_proba(table)
    np.testing.assert_allclose(probabilities, expected, rtol=0, atol=graphs.AGREEMENT)
    np.testing.assert_array_equal(labels, model.predict(table))


@pytest.mark.parametrize(
    "dtypes",
    [[np.float32] * 4, [np.float64] * 4, [np.int64, np.float64, np.float32, np.float64]],
    ids=["float32", "float64", "mixed"],
)
def test_a_table_with_names_has_an_input_for_each_column(dtypes):
    columns = dict(zip("abcd", dtypes, strict=True))
    table = pd.DataFrame(IRIS + 2**30, columns=[*columns]).astype(columns)
    inputs = {name: table[[name]].to_numpy() for name in table}
    model = classifier().fit(table, SPECIES)
    _, probabilities = graphs.session(graphs.converted(model, table)).run(None, inputs)
    np.testing.assert_allclose(probabilities, model.predict_proba(table), rtol=0, atol=1e-5)
    # The first column decides, as it does in skl2onnx.
    assert probabilities.dtype == (np.float64 if dtypes[0] == np.float64 else np.float32)
    model = BatchNormTransformer().fit(table)
    (transformed,) = graphs.session(graphs.converted(model, table)).run(None, inputs)
    np.testing.assert_allclose(transformed, model.transform(table), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [
        (types.Int64TensorType, np.int64),
        (types.Int32TensorType, np.int32),
        (types.UInt8TensorType, np.uint8),
        (types.Int8TensorType, np.int8),
        (types.BooleanTensorType, np.bool_),
    ],
)
def test_inputs_of_whole_numbers(kind, dtype):
    offset = 2**40 if dtype == np.int64 else 0
    X = ((IRIS.mean(axis=0) < IRIS) if dtype == np.bool_ else np.round(IRIS * 10)).astype(dtype)
    X = X + offset if offset else X
    initial_types = [("X", kind([None, 4]))]
    model = classifier().fit(X, SPECIES)
    assert model.score(X, SPECIES) > 0.6
    labels, probabilities = graphs.run(graphs.converted(model, X, initial_types=initial_types), X)
    np.testing.assert_allclose(probabilities, model.predict_proba(X), rtol=0, atol=1e-5)
    np.testing.assert_array_equal(labels, model.predict(X))
    columns = BatchNormTransformer().fit(X)
    (transformed,) = graphs.run(graphs.converted(columns, X, initial_types=initial_types), X)
    np.testing.assert_allclose(transformed, columns.transform(X), rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", ["one network", "ensemble", "pipeline"])
def test_option_zipmap(kind):
    model = {
        "one network": classifier(),
        "ensemble": MLPEnsembleWithBatchNormClassifier(classifier(), random_state=0),
        "pipeline": make_pipeline(StandardScaler(), classifier()),
    }[kind].fit(IRIS, NAMES)
    X = IRIS.astype(np.float32)
    expected = model.predict_proba(X)
    for options in (None, {id(model): {"zipmap": True}}):
        labels, rows = graphs.run(graphs.converted(model, X, options=options), X)
        np.testing.assert_array_equal(labels, model.predict(X))
        assert list(rows[0]) == ["setosa", "versicolor", "virginica"]
        np.testing.assert_allclose(
            [[row[name] for name in model.classes_] for row in rows], expected, rtol=0, atol=1e-5
        )
    for dtype in graphs.DTYPES:
        columns = graphs.converted(
            model, IRIS.astype(dtype), options={id(model): {"zipmap": "columns"}}
        )
        labels, *columns = graphs.run(columns, IRIS.astype(dtype))
        np.testing.assert_array_equal(labels, model.predict(X))
        np.testing.assert_allclose(np.stack(columns, axis=1), expected, rtol=0, atol=1e-5)


def test_options_of_labels():
    model = classifier().fit(IRIS, NAMES)
    options = {id(model): {"zipmap": False, "nocl": True}}
    labels, _ = graphs.run(graphs.converted(model, IRIS, options=options), IRIS)
    np.testing.assert_array_equal(model.classes_[labels], model.predict(IRIS))
    options = {id(model): {"zipmap": False, "output_class_labels": True}}
    _, _, classes = graphs.run(graphs.converted(model, IRIS, options=options), IRIS)
    assert classes.tolist() == ["setosa", "versicolor", "virginica"]


def test_registering_again_changes_nothing():
    graphs.register()
    model = classifier().fit(IRIS, NAMES)
    graphs.assert_classifies_alike(model, IRIS)

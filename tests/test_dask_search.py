"""Searches of scikit-learn on a Dask cluster, through joblib, against searches in this process."""

import joblib
import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix
from sklearn.exceptions import FitFailedWarning
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from test_ensemble import KINDS, REGRESSOR, data, ensemble

da = pytest.importorskip("dask.array")
distributed = pytest.importorskip("distributed")

from searches import score_and_threads  # noqa: E402

from skbn import (  # noqa: E402
    BatchNormTransformer,
    MLPWithBatchNormClassifier,
    MLPWithBatchNormRegressor,
    RNNWithBatchNormClassifier,
)
from skbn.dask import DaskMLPWithBatchNormClassifier  # noqa: E402
from skbn.estimators import jobs  # noqa: E402
from skbn.training.side_by_side import available_threads  # noqa: E402

NETWORK = {"hidden_layer_sizes": (12, 8), "n_epochs": 4, "random_state": 0}


def steps_of_rows(n=150):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, 6, 3))
    return X, (X[:, :, 0].sum(axis=1) > 0.0).astype(int)


def cases():
    X, y = data(KINDS[0])
    target = data(REGRESSOR)[1]
    classifier = MLPWithBatchNormClassifier(**NETWORK)
    normalized = make_pipeline(
        BatchNormTransformer(momentum=0.1, batch_size=32),
        MLPWithBatchNormClassifier(normalize_input=None, **NETWORK),
    )
    recurrent = RNNWithBatchNormClassifier(n_epochs=2, random_state=0)
    return {
        "classes": (classifier, {"alpha": [0.0, 0.1], "dropout": [0.0, 0.2]}, X, y),
        "numbers": (MLPWithBatchNormRegressor(**NETWORK), {"alpha": [0.0, 0.1]}, X, target),
        "held out": (
            MLPWithBatchNormClassifier(early_stopping=True, **NETWORK),
            {"learning_rate_init": [0.001, 0.01]},
            X,
            y,
        ),
        "strings in a DataFrame": (
            classifier,
            {"alpha": [0.0, 0.1]},
            pd.DataFrame(X).add_prefix("column"),
            np.array(["a", "b", "c"])[y],
        ),
        "sparse": (classifier, {"alpha": [0.0, 0.1]}, csr_matrix(np.where(X < 0.0, 0.0, X)), y),
        "pipeline": (
            normalized,
            {
                "batchnormtransformer__momentum": [0.1, None],
                "mlpwithbatchnormclassifier__alpha": [0.0, 0.1],
            },
            X,
            y,
        ),
        "ensemble": (ensemble(KINDS[0], n_jobs=2), {"estimator__alpha": [0.0, 0.1]}, X, y),
        "time steps": (recurrent, {"hidden_layer_sizes": [(4,), (6,)]}, *steps_of_rows()),
    }


CASES = cases()


def scores_of(search):
    """The scores of all candidates and splits."""
    scores = {name: values for name, values in search.cv_results_.items() if "score" in name}
    return {name: values for name, values in scores.items() if "time" not in name}


def assert_same(search, other, X):
    for name, scores in scores_of(other).items():
        np.testing.assert_array_equal(scores_of(search)[name], scores, err_msg=name)
    assert search.best_params_ == other.best_params_
    method = "predict_proba" if hasattr(other, "predict_proba") else "predict"
    np.testing.assert_array_equal(getattr(search, method)(X), getattr(other, method)(X))


@pytest.mark.parametrize("case", CASES)
def test_a_search_gives_the_same_bits(case, client):
    estimator, grid, X, y = CASES[case]
    search = GridSearchCV(estimator, grid, cv=3)
    with joblib.parallel_config("dask"):
        on_cluster = search.fit(X, y)
    assert np.isfinite(scores_of(on_cluster)["mean_test_score"]).all()
    assert_same(on_cluster, GridSearchCV(estimator, grid, cv=3).fit(X, y), X)


def test_rows_that_are_on_the_workers_already(client):
    estimator, grid, X, y = CASES["classes"]
    search = RandomizedSearchCV(estimator, grid, n_iter=3, cv=3, random_state=0)
    with joblib.parallel_config("dask", scatter=[X, y]):
        on_cluster = search.fit(X, y)
    local = RandomizedSearchCV(estimator, grid, n_iter=3, cv=3, random_state=0).fit(X, y)
    assert_same(on_cluster, local, X)


def test_scores_of_splits(client):
    estimator, _, X, y = CASES["numbers"]
    with joblib.parallel_config("dask"):
        scores = cross_val_score(estimator, X, y, cv=4)
    np.testing.assert_array_equal(scores, cross_val_score(estimator, X, y, cv=4))


def test_a_candidate_that_fails_has_no_score(client):
    estimator, _, X, y = CASES["classes"]
    search = GridSearchCV(estimator, {"alpha": [0.0, -1.0]}, cv=2)
    with (
        joblib.parallel_config("dask"),
        pytest.warns(FitFailedWarning, match="The 'alpha' parameter of MLPWithBatchNormClassifier"),
        pytest.warns(UserWarning, match="non-finite"),
    ):
        search.fit(X, y)
    assert np.isnan(search.cv_results_["mean_test_score"]).tolist() == [False, True]


def test_the_error_of_a_candidate_is_raised(client):
    estimator, _, X, y = CASES["classes"]
    search = GridSearchCV(estimator, {"alpha": [0.0, -1.0]}, cv=2, error_score="raise")
    with joblib.parallel_config("dask"), pytest.raises(ValueError, match="'alpha' parameter of"):
        search.fit(X, y)
    # The workers go on with other work.
    with joblib.parallel_config("dask"):
        assert GridSearchCV(estimator, {"alpha": [0.0]}, cv=2).fit(X, y).best_score_ > 0.3


@pytest.mark.parametrize("backend", ["dask", "sequential"])
def test_candidates_that_all_workers_train(backend, client):
    # Within tasks of a search, too: these must not hold the threads that train.
    X, y = data(KINDS[0])
    rows, labels = da.from_array(X, chunks=(100, 5)), da.from_array(y, chunks=100)
    model = DaskMLPWithBatchNormClassifier(**NETWORK)
    search = GridSearchCV(model, {"alpha": [0.0, 0.1]}, cv=3, error_score="raise")
    with joblib.parallel_config(backend):
        search.fit(rows, labels)
    assert (search.cv_results_["mean_test_score"] > 0.4).all()
    assert isinstance(search.predict(rows), da.Array)


class TestThreadsOfAnEnsemble:
    def test_one_in_a_worker(self, client):
        estimator, _, X, y = CASES["classes"]
        search = GridSearchCV(
            estimator, {"alpha": [0.0, 0.1]}, scoring=score_and_threads, refit=False, cv=2
        )
        with joblib.parallel_config("dask"):
            search.fit(X, y)
        threads = {
            name: set(search.cv_results_[f"mean_test_{name}"])
            for name in ("default", "two", "all", "cluster")
        }
        # Dask's workers leave one thread to BLAS. The cluster has three processors.
        assert threads == {"default": {1.0}, "two": {1.0}, "all": {1.0}, "cluster": {3.0}}

    def test_outside_of_workers_the_processors_of_the_cluster_do_not_count(self, client):
        with joblib.parallel_config("dask"):
            assert joblib.effective_n_jobs(2) == 3
            assert jobs.n_threads(None, 99) == available_threads()
            assert jobs.n_threads(1, 99) == 1
            assert jobs.n_threads(2, 99) == 2
            assert jobs.n_threads(-1, 99) == joblib.cpu_count()
            assert jobs.n_threads(5, 4) == 4
            with pytest.raises(ValueError, match="n_jobs == 0"):
                jobs.n_threads(0, 4)

    def test_a_number_for_the_cluster_is_no_number_of_threads(self, client):
        with joblib.parallel_config("dask", n_jobs=77):
            assert jobs.n_threads(None, 99) == available_threads()

    def test_one_in_a_worker_that_is_a_thread(self, monkeypatch):
        # Such workers share one BLAS, which leaves all its threads to each of them.
        monkeypatch.setattr(jobs, "available_threads", lambda: 4)
        with (
            distributed.Client(
                n_workers=1, threads_per_worker=3, processes=False, dashboard_address=":0"
            ),
            joblib.parallel_config("dask"),
        ):
            counts = joblib.Parallel()(joblib.delayed(jobs.n_threads)(None, 3) for _ in range(3))
            assert counts == [1, 1, 1]
            counts = joblib.Parallel()(joblib.delayed(jobs.n_threads)(5, 9) for _ in range(3))
            assert counts == [4, 4, 4]
            assert jobs.n_threads(None, 9) == 4
            assert jobs.n_threads(5, 9) == 5

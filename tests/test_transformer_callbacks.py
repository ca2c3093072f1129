"""scikit-learn's callbacks on the transformer: when StandardScaler calls them."""

import numpy as np
import pytest
import sklearn
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.fixes import parse_version

from skbn import BatchNormTransformer

HAS_CALLBACKS = parse_version(sklearn.__version__) >= parse_version("1.9")
X = np.random.default_rng(0).standard_normal((30, 3))


class Spy:
    """A callback that writes down its calls."""

    def __init__(self):
        self.calls = []

    def setup(self, estimator, context):
        self.calls.append(("setup", context.task_name, context.max_subtasks))

    def on_fit_task_begin(self, estimator, context, *, X, metadata):
        self.calls.append(("begin", context.task_name, X.shape, list(metadata)))

    def on_fit_task_end(self, estimator, context, *, X, metadata, fitted_estimator):
        # By now the estimator itself is fitted, too.
        values = np.concatenate([estimator.transform(X), fitted_estimator.transform(X)])
        self.calls.append(("end", context.task_name, X.shape, list(metadata), values.shape))
        self.estimator = fitted_estimator

    def teardown(self, estimator, context):
        self.calls.append(("teardown", context.task_name))


def test_offered_where_scikit_learn_has_them():
    assert hasattr(BatchNormTransformer, "set_callbacks") == HAS_CALLBACKS


if HAS_CALLBACKS:
    from sklearn.callback import ProgressBar

    @pytest.mark.parametrize("method", ["fit", "partial_fit"])
    @pytest.mark.parametrize("weighted", [False, True])
    def test_called_as_by_standard_scaler(method, weighted):
        weight = {"sample_weight": np.arange(1.0, 31.0)} if weighted else {}
        spies = []
        for transformer in (StandardScaler(), BatchNormTransformer()):
            spies.append(Spy())
            transformer.set_callbacks(spies[-1])
            getattr(transformer, method)(X, **weight)
            getattr(transformer, method)(X[:10])
            assert [name for name in vars(transformer) if "_ctx" in name] == []
        assert spies[1].calls == spies[0].calls
        assert [call[0] for call in spies[1].calls] == 2 * ["setup", "begin", "end", "teardown"]

    def test_called_in_partial_fit_transform():
        spy = Spy()
        transformer = BatchNormTransformer().set_callbacks(spy)
        transformer.partial_fit_transform(X)
        assert [call[0] for call in spy.calls] == ["setup", "begin", "end", "teardown"]

    def test_the_fitted_estimator_is_that_of_the_call():
        spy = Spy()
        transformer = BatchNormTransformer().set_callbacks(spy)
        transformer.partial_fit(X[:10])
        first = spy.estimator
        transformer.partial_fit(X[10:])
        assert (first.n_samples_seen_, spy.estimator.n_samples_seen_) == (10, 30)
        np.testing.assert_allclose(first.running_mean_, X[:10].mean(axis=0), atol=1e-15)

    @pytest.mark.parametrize("method", ["fit", "partial_fit", "partial_fit_transform"])
    def test_a_failed_fit_is_torn_down(method):
        spy = Spy()
        transformer = BatchNormTransformer().set_callbacks(spy)
        with pytest.raises(ValueError, match="infinity"):
            getattr(transformer, method)(np.array([[1.0], [np.inf]]))
        assert [call[0] for call in spy.calls] == ["setup", "begin", "teardown"]
        assert not hasattr(transformer, "running_mean_")

    def test_a_progress_bar_of_a_pipeline(capsys, monkeypatch):
        monkeypatch.setenv("COLUMNS", "400")
        pipeline = make_pipeline(BatchNormTransformer(), StandardScaler())
        pipeline.set_callbacks(ProgressBar(max_propagation_depth=3)).fit(X)
        assert "BatchNormTransformer" in capsys.readouterr().out

"""ActivationRecorder and ActivationDriftDisplay: quantiles against NumPy, lines against records."""

import copy
import pickle
import warnings

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import sklearn
from scipy.sparse import csr_array
from scipy.special import expit
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.fixes import parse_version

from skbn import (
    ActivationDriftDisplay,
    ActivationRecorder,
    MLPEnsembleWithBatchNormClassifier,
    MLPWithBatchNormClassifier,
    MLPWithBatchNormRegressor,
    RNNWithBatchNormClassifier,
)
from skbn.displays import ActivationRecord, activation_drift

HAS_CALLBACKS = parse_version(sklearn.__version__) >= parse_version("1.9")
RNG = np.random.default_rng(0)
X = RNG.standard_normal((200, 4))
Y = (X[:, 0] + X[:, 1] > 0).astype(int)
ROWS = RNG.standard_normal((50, 4))


@pytest.fixture(autouse=True)
def _agg():
    before = matplotlib.get_backend()
    matplotlib.use("Agg")
    yield
    plt.close("all")
    matplotlib.use(before)


def network(cls=MLPWithBatchNormClassifier, **parameters):
    """A network whose first linear map reads the columns as they are."""
    return cls(
        **{
            "hidden_layer_sizes": (7, 5),
            "activation": "logistic",
            "normalize_input": None,
            "trained_input_scale": False,
            "periodic_embedding": None,
            "n_epochs": 6,
            "learning_rate_init": 0.05,
            "random_state": 0,
        }
        | parameters
    )


def fitted(estimator, X=X, y=Y):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return estimator.fit(X, y)


def activation_inputs(mlp, rows):
    """Inputs of the logistic activation of each hidden layer, in float64."""
    found, h = [], rows
    for layer, (W, b) in enumerate(zip(mlp.coefs_[:-1], mlp.intercepts_[:-1], strict=True)):
        z = h @ W.astype(float) + b

        def normalized(z, layer=layer):
            z = (z - mlp.running_means_[layer]) / np.sqrt(mlp.running_vars_[layer] + 1e-5)
            return z * mlp.gammas_[layer].astype(float) + mlp.betas_[layer]

        z = normalized(z) if mlp.batch_norm == "before" else z
        found.append(z)
        h = expit(z)
        h = normalized(h) if mlp.batch_norm == "after" else h
    return found


def assert_look(record, number, mlp, layer, units, rows=ROWS):
    inputs = activation_inputs(mlp, rows)
    expected = np.quantile(inputs[layer][:, units], [0.15, 0.5, 0.85], axis=0).T
    np.testing.assert_allclose(record.quantiles[number], expected, rtol=1e-4, atol=1e-5)
    means, stds = [z.mean() for z in inputs], [z.std() for z in inputs]
    np.testing.assert_allclose(record.means[number], means, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(record.stds[number], stds, rtol=1e-4)


class TestByHand:
    @pytest.mark.parametrize("batch_norm", ["before", "after", None])
    @pytest.mark.parametrize(("layer", "number"), [(-1, 1), (0, 0), (np.int64(-2), 0)])
    def test_a_stream(self, batch_norm, layer, number):
        recorder = ActivationRecorder(ROWS, layer=layer, units=[4, 0])
        mlp = network(batch_norm=batch_norm, dropout=0.3)
        for epoch in range(3):
            recorder.record(mlp.partial_fit(X, Y, classes=[0, 1]))
            (record,) = recorder.records_
            assert_look(record, epoch, mlp, number, [4, 0])
        assert (record.layer, record.units) == (number, (4, 0))
        assert record.epochs == [1, 2, 3]
        assert record.rows_seen == [200, 400, 600]
        assert [len(values) for values in (record.quantiles, record.means, record.stds)] == [3] * 3

    def test_one_unit_as_a_number(self):
        recorder = ActivationRecorder(ROWS, units=3)
        mlp = fitted(network(MLPWithBatchNormRegressor, early_stopping=False))
        recorder.record(mlp)
        assert recorder.units == (3,)
        assert recorder.records_[0].epochs == [6]
        assert_look(recorder.records_[0], 0, mlp, 1, [3])

    def test_each_estimator_has_a_record(self):
        recorder = ActivationRecorder(ROWS)
        one, other = network(), network(random_state=1)
        for _ in range(2):
            recorder.record(one.partial_fit(X, Y, classes=[0, 1]))
            recorder.record(other.partial_fit(X, Y, classes=[0, 1]))
        assert [record.epochs for record in recorder.records_] == [[1, 2], [1, 2]]
        assert_look(recorder.records_[0], 1, one, 1, [0])
        assert_look(recorder.records_[1], 1, other, 1, [0])

    def test_an_estimator_that_is_fitted_anew_begins_a_record(self):
        recorder = ActivationRecorder(ROWS)
        mlp = network()
        recorder.record(fitted(mlp))
        recorder.record(mlp.partial_fit(X, Y))
        recorder.record(fitted(mlp))
        recorder.record(mlp)
        recorder.record(fitted(mlp.set_params(hidden_layer_sizes=(3,), n_epochs=20)))
        # More epochs alone do not make it the same training.
        recorder.record(fitted(mlp.set_params(n_epochs=25)))
        epochs = [record.epochs for record in recorder.records_]
        assert epochs == [[6, 7], [6], [6], [20], [25]]

    def test_other_solvers_count_iterations(self):
        recorder = ActivationRecorder(ROWS)
        mlp = fitted(network(solver="lbfgs", weight_decay=0.0, max_iter=4))
        recorder.record(mlp)
        assert recorder.records_[0].epochs == [mlp.n_iter_]
        # Numbers of a network in float32 are recorded in float64.
        for numbers in ("quantiles", "means", "stds"):
            assert getattr(recorder.records_[0], numbers)[0].dtype == np.float64
        recorder.record(fitted(mlp.set_params(max_iter=9)))
        assert [record.epochs for record in recorder.records_] == [[4], [9]]

    def test_sparse_rows_and_data_frames(self):
        mlp = fitted(network(normalize_input="standard"))
        of_array, of_sparse = ActivationRecorder(ROWS), ActivationRecorder(csr_array(ROWS))
        of_array.record(mlp)
        of_sparse.record(mlp)
        np.testing.assert_allclose(
            of_array.records_[0].quantiles, of_sparse.records_[0].quantiles, rtol=1e-4, atol=1e-5
        )
        columns = list("abcd")
        mlp = fitted(network(), pd.DataFrame(X, columns=columns))
        recorder = ActivationRecorder(pd.DataFrame(ROWS, columns=columns))
        recorder.record(mlp)
        assert_look(recorder.records_[0], 0, mlp, 1, [0])

    def test_what_does_not_fit(self):
        mlp = fitted(network())
        with pytest.raises(IndexError, match=r"layer=2 is not there"):
            ActivationRecorder(ROWS, layer=2).record(mlp)
        with pytest.raises(IndexError, match=r"unit 5 is not there: layer 1 has 5 units \(0 to 4"):
            ActivationRecorder(ROWS, units=(0, 5)).record(mlp)
        with pytest.raises(ValueError, match="3 features"):
            ActivationRecorder(ROWS[:, :3]).record(mlp)
        recorder = ActivationRecorder(ROWS)
        with pytest.raises(NotFittedError):
            recorder.record(network())
        for other in (
            fitted(LogisticRegression()),
            fitted(make_pipeline(StandardScaler(), network())),
            RNNWithBatchNormClassifier(),
            MLPEnsembleWithBatchNormClassifier(),
        ):
            with pytest.raises(TypeError, match=f"got {type(other).__name__}"):
                recorder.record(other)
        # What has failed leaves no record.
        assert recorder.records_ == []

    @pytest.mark.parametrize(
        ("parameters", "error"),
        [
            ({"layer": 0.0}, TypeError),
            ({"every": 0}, ValueError),
            ({"every": 1.0}, TypeError),
            ({"units": (-1,)}, ValueError),
            ({"units": ("a",)}, TypeError),
            ({"units": ()}, ValueError),
        ],
    )
    def test_parameters(self, parameters, error):
        with pytest.raises(error, match=f"{next(iter(parameters)).removesuffix('s')}"):
            ActivationRecorder(ROWS, **parameters)

    def test_pickles_and_copies(self):
        recorder = ActivationRecorder(ROWS, units=(1,), every=2)
        mlp = network().partial_fit(X, Y, classes=[0, 1])
        recorder.record(mlp)
        for copied in (pickle.loads(pickle.dumps(recorder)), copy.deepcopy(recorder)):
            assert (copied.units, copied.every, copied.layer) == ((1,), 2, -1)
            np.testing.assert_array_equal(copied.X, ROWS)
            assert copied.records_[0].epochs == [1]
            assert copied.records_[0] is not recorder.records_[0]
            copied.record(clone(mlp).partial_fit(X, Y, classes=[0, 1]))
            assert len(copied.records_) == 2
        assert len(recorder.records_) == 1


if HAS_CALLBACKS:

    class TestAsACallback:
        @pytest.mark.parametrize("batch_norm", ["before", "after", None])
        def test_each_epoch(self, batch_norm):
            recorder = ActivationRecorder(ROWS, units=(0, 2))
            mlp = network(batch_norm=batch_norm, early_stopping=False, learning_rate="constant")
            mlp.set_params(max_iter=4).set_callbacks(recorder)
            fitted(mlp)
            (record,) = recorder.records_
            assert record.epochs == [1, 2, 3, 4]
            assert record.rows_seen == [200, 400, 600, 800]
            # The last look is at the network that fit ends with; earlier ones at shorter fits.
            assert_look(record, 3, mlp, 1, [0, 2])
            short = fitted(clone(mlp).set_callbacks().set_params(max_iter=2))
            assert_look(record, 1, short, 1, [0, 2])

        def test_every_few_epochs(self):
            recorder = ActivationRecorder(ROWS, every=3)
            fitted(network(n_epochs=8).set_callbacks(recorder))
            assert recorder.records_[0].epochs == [3, 6]

        def test_nothing_is_changed(self):
            watched = fitted(network().set_callbacks(ActivationRecorder(ROWS)))
            np.testing.assert_array_equal(watched._parameters, fitted(network())._parameters)

        def test_warm_starts_and_streams(self):
            recorder = ActivationRecorder(ROWS)
            mlp = network(warm_start=True, n_epochs=2).set_callbacks(recorder)
            fitted(fitted(mlp))
            recorder.record(mlp.partial_fit(X, Y))
            assert [record.epochs for record in recorder.records_] == [[1, 2], [3, 4, 5]]

        @pytest.mark.parametrize("backend", ["sequential", "threading"])
        def test_a_search_has_a_record_for_each_fit(self, backend):
            from joblib import parallel_config

            recorder = ActivationRecorder(ROWS)
            mlp = network(n_epochs=3).set_callbacks(recorder)
            with parallel_config(backend, n_jobs=2):
                grid = {"batch_norm": ["before", None]}
                search = fitted(GridSearchCV(mlp, grid, cv=2, error_score="raise"))
            assert [record.epochs for record in recorder.records_] == [[1, 2, 3]] * 5
            spreads = [record.stds[-1][1] for record in recorder.records_]
            assert len(set(spreads)) == 5
            # The last fit is of the best parameters on all rows.
            alone = ActivationRecorder(ROWS)
            fitted(clone(search.best_estimator_).set_callbacks(alone))
            np.testing.assert_array_equal(
                alone.records_[0].quantiles, recorder.records_[-1].quantiles
            )
            assert recorder._fits == {}

        def test_in_a_pipeline_the_rows_are_transformed_ones(self):
            scaler = StandardScaler().fit(3.0 * X + 5.0)
            recorder = ActivationRecorder(scaler.transform(3.0 * ROWS + 5.0))
            pipeline = make_pipeline(StandardScaler(), network().set_callbacks(recorder))
            fitted(pipeline, 3.0 * X + 5.0)
            np.testing.assert_array_equal(recorder.records_[0].epochs, range(1, 7))

        def test_with_other_networks_a_fit_fails(self):
            for estimator in (
                MLPEnsembleWithBatchNormClassifier().set_callbacks(ActivationRecorder(ROWS)),
                RNNWithBatchNormClassifier().set_callbacks(ActivationRecorder(ROWS)),
            ):
                with pytest.raises(TypeError, match="ActivationRecorder looks at"):
                    estimator.fit(X, Y)

        def test_an_error_ends_the_fit(self):
            recorder = ActivationRecorder(ROWS, layer=5)
            with pytest.raises(IndexError, match="layer=5"):
                network().set_callbacks(recorder).fit(X, Y)
            assert recorder._fits == {}

        def test_a_watched_model_is_pickled(self):
            mlp = fitted(network().set_callbacks(ActivationRecorder(ROWS)))
            loaded = pickle.loads(pickle.dumps(mlp))
            np.testing.assert_array_equal(loaded.predict_proba(X), mlp.predict_proba(X))
            (recorder,) = loaded._skl_callbacks
            fitted(loaded)
            assert [record.epochs[-1] for record in recorder.records_] == [6, 6]


def record(shift=0.0, units=(0, 4), n_looks=3, n_layers=2):
    rng = np.random.default_rng(0)
    return ActivationRecord(
        layer=1,
        units=units,
        epochs=list(range(2, 2 + n_looks)),
        rows_seen=[0] * n_looks,
        quantiles=list(np.sort(rng.standard_normal((n_looks, len(units), 3))) + shift),
        means=list(rng.standard_normal((n_looks, n_layers)) + shift),
        stds=list(1.0 + rng.random((n_looks, n_layers))),
    )


def band(panel, number):
    """Lower and upper edge of a band by its horizontal places."""
    (path,) = panel.collections[number].get_paths()
    edges = {}
    for x, y in path.vertices:
        edges.setdefault(float(x), []).append(y)
    return [(x, min(ys), max(ys)) for x, ys in sorted(edges.items())]


def assert_column(panels, of):
    quantiles, means, stds = map(np.array, (of.quantiles, of.means, of.stds))
    for number in range(len(of.units)):
        panel = panels[number]
        for line, values in zip(panel.lines, quantiles[:, number].T, strict=True):
            np.testing.assert_array_equal(line.get_xdata(), of.epochs)
            np.testing.assert_array_equal(line.get_ydata(), values)
        assert [line.get_linestyle() for line in panel.lines] == [":", "-", "--"]
        assert len({line.get_color() for line in panel.lines}) == 1
        low, _, high = quantiles[:, number].T
        np.testing.assert_allclose(band(panel, 0), np.array([of.epochs, low, high]).T)
    panel = panels[-1]
    assert len(panel.lines) == len(panel.collections) == means.shape[1]
    for layer, line in enumerate(panel.lines):
        np.testing.assert_array_equal(line.get_ydata(), means[:, layer])
        low, high = means[:, layer] - stds[:, layer], means[:, layer] + stds[:, layer]
        np.testing.assert_allclose(band(panel, layer), np.array([of.epochs, low, high]).T)


class TestDisplay:
    def test_two_trainings(self):
        records = {"with": record(), "without": record(5.0)}
        display = ActivationDriftDisplay.from_recorder(records)
        assert display.ax_.shape == (3, 2)
        for column, of in enumerate(records.values()):
            assert_column(display.ax_[:, column], of)
        assert [panel.get_title() for panel in display.ax_[0]] == ["with", "without"]
        labels = [panel.get_ylabel().replace("\n", " ") for panel in display.ax_[:, 0]]
        assert labels == [
            "Input of the activation, unit 0 of layer 1",
            "Input of the activation, unit 4 of layer 1",
            "Inputs of activations, mean ± standard deviation",
        ]
        labels = [panel.get_xlabel() for panel in display.ax_[-1]]
        assert labels == ["Epoch, or call of partial_fit"] * 2
        texts = display.ax_[-1, 0].get_legend().get_texts()
        assert [text.get_text() for text in texts] == ["layer 0", "layer 1"]
        texts = display.ax_[0, 0].get_legend().get_texts()
        assert [text.get_text() for text in texts] == ["15 %", "median", "85 %"]
        title = display.ax_[-1, 0].get_legend().get_title().get_text()
        assert title == "hidden layer (from 0)"
        # Legends cover no panel and no label.
        display.figure_.canvas.draw()
        for panel in (display.ax_[0, 0], display.ax_[-1, 0]):
            place = panel.get_legend().get_window_extent()
            for other in display.ax_.flat:
                assert not place.overlaps(other.get_window_extent())
                axis = other.xaxis.get_tightbbox()  # None without ticks and labels
                assert axis is None or not place.overlaps(axis)
            assert display.figure_.bbox.ymin < place.ymin
        # Columns can be compared.
        for row in display.ax_:
            assert row[0].get_ylim() == row[1].get_ylim()
        assert [len(lines) for lines in display.quantile_lines_] == [6, 6]
        assert [len(lines) for lines in display.layer_lines_] == [2, 2]
        assert display.figure_ is display.ax_[0, 0].figure

    def test_one_recorder(self):
        recorder = ActivationRecorder(ROWS)
        recorder.record(fitted(network()))
        recorder.record(fitted(network(n_epochs=4)))
        display = ActivationDriftDisplay.from_recorder(recorder)
        assert display.ax_.shape == (2,)
        assert_column(display.ax_, recorder.records_[1])
        # A single point is seen.
        assert {line.get_marker() for line in display.ax_[0].lines} == {"o"}
        assert {
            line.get_marker()
            for line in ActivationDriftDisplay.from_recorder(record()).ax_[0].lines
        } == {"None"}

    def test_a_record_without_a_look_is_not_the_last(self):
        recorder = ActivationRecorder(ROWS)
        recorder.record(fitted(network()))
        recorder.records_.append(ActivationRecord(-1, (0,)))
        display = ActivationDriftDisplay.from_recorder({"a": recorder})
        assert display.records == {"a": recorder.records_[0]}

    def test_other_layers_are_named(self):
        other = record(units=(0, 3), n_layers=3)
        display = ActivationDriftDisplay.from_recorder({"a": record(), "b": other})
        labels = [panel.get_ylabel() for panel in display.ax_[:, 1]]
        assert labels == ["", "Input of the activation,\nunit 3 of layer 1", ""]
        assert len(display.ax_[-1, 1].get_legend().get_texts()) == 3

    def test_short_names_of_properties(self):
        display = ActivationDriftDisplay.from_recorder(
            record(), line_kw={"lw": 3, "c": "k", "ls": "-."}, band_kw={"lw": 2}
        )
        for panel in display.ax_:
            assert {line.get_linewidth() for line in panel.lines} == {3}
            assert {line.get_color() for line in panel.lines} == {"k"}
            assert {line.get_linestyle() for line in panel.lines} == {"-."}
            assert {float(band.get_linewidth()[0]) for band in panel.collections} == {2}

    def test_given_axes_and_plot_twice(self):
        _, axes = plt.subplots(3, 2)
        display = ActivationDriftDisplay(records={"a": record(), "b": record(1.0)})
        assert display.plot(axes, line_kw={"linewidth": 4}) is display
        np.testing.assert_array_equal(display.ax_, axes)
        assert axes[0, 0].lines[1].get_linewidth() == 4
        display.plot()
        assert display.ax_[0, 0] is not axes[0, 0]
        with pytest.raises(ValueError, match=r"draws 6 panel.* 1 Axes.*subplots\(3, 2\)"):
            display.plot(axes[0, 0])

    def test_what_cannot_be_drawn(self):
        with pytest.raises(ValueError, match="The recorder 'a' has recorded nothing"):
            ActivationDriftDisplay.from_recorder({"a": ActivationRecorder(ROWS)})
        recorder = ActivationRecorder(ROWS)
        recorder.records_ += [ActivationRecord(-1, (0,)), ActivationRecord(-1, (0,))]
        with pytest.raises(ValueError, match=r"no epoch of 2 training\(s\).*lbfgs.*every"):
            ActivationDriftDisplay.from_recorder(recorder)
        with pytest.raises(TypeError, match="got list"):
            ActivationDriftDisplay.from_recorder([])
        with pytest.raises(ValueError, match=r"one number of recorded units.*'a': 2, 'b': 1"):
            ActivationDriftDisplay.from_recorder({"a": record(), "b": record(units=(0,))})
        with pytest.raises(ValueError, match="nothing to draw"):
            ActivationDriftDisplay.from_recorder({})

    def test_subclasses(self):
        class Own(ActivationDriftDisplay):
            pass

        assert type(Own.from_recorder(record())) is Own
        assert type(Own.from_estimator(network(), X, Y, n_epochs=1)) is Own


class TestFromEstimator:
    @pytest.mark.parametrize("batch_norm", ["before", "after", None])
    def test_both_trainings(self, batch_norm):
        mlp = network(batch_norm=batch_norm)
        display = ActivationDriftDisplay.from_estimator(mlp, X, Y, n_epochs=3, units=(1, 2))
        assert list(display.records) == ["with batch norm", "without batch norm"]
        for of, value in zip(display.records.values(), (batch_norm or "before", None), strict=True):
            alone = clone(mlp).set_params(batch_norm=value)
            for epoch in range(3):
                alone.partial_fit(X, Y, classes=[0, 1])
                assert_look(of, epoch, alone, 1, [1, 2], X)
            assert of.epochs == [1, 2, 3]
        for column, of in enumerate(display.records.values()):
            assert_column(display.ax_[:, column], of)
        assert not hasattr(mlp, "coefs_")
        assert mlp.batch_norm == batch_norm

    @pytest.mark.parametrize("state", [None, np.random.RandomState(0), np.int64(3)])
    def test_one_seed_for_both(self, state, monkeypatch):
        seeds = []
        original = MLPWithBatchNormClassifier.partial_fit

        def partial_fit(self, *data, **options):
            seeds.append(self.random_state)
            return original(self, *data, **options)

        monkeypatch.setattr(MLPWithBatchNormClassifier, "partial_fit", partial_fit)
        ActivationDriftDisplay.from_estimator(network(random_state=state), X, Y, n_epochs=1)
        assert seeds[0] == seeds[1]
        assert isinstance(seeds[0], int | np.integer)

    def test_other_targets(self):
        labels = np.column_stack([Y, 1 - Y])
        for mlp, y in (
            (network(), labels),
            (network(MLPWithBatchNormRegressor), X[:, :2]),
            (network(), np.where(Y, "yes", "no")),
        ):
            display = ActivationDriftDisplay.from_estimator(mlp, X, y, n_epochs=2)
            assert display.ax_.shape == (2, 2)

    @pytest.mark.parametrize(("n", "n_seen"), [(2000, 2000), (4000, 2000)])
    def test_many_rows_are_drawn_from(self, n, n_seen, monkeypatch):
        seen = []

        class Spy(ActivationRecorder):
            def __init__(self, X, **options):
                seen.append(X)
                super().__init__(X, **options)

        monkeypatch.setattr(activation_drift, "ActivationRecorder", Spy)
        many = pd.DataFrame(np.tile(X, (n // 200, 1)), columns=list("abcd"))
        labels = np.tile(Y, n // 200)
        display = ActivationDriftDisplay.from_estimator(network(), many, labels, n_epochs=1)
        # Each row is taken once, and both networks see the same rows.
        assert len(seen[0].index.unique()) == len(seen[0]) == n_seen
        assert seen[1] is seen[0]
        assert (seen[0] is many) == (n == n_seen)
        mlp = network().partial_fit(many, labels, classes=[0, 1])
        inputs = activation_inputs(mlp, seen[0].to_numpy())[1][:, 0]
        found = display.records["with batch norm"].quantiles[0][0]
        np.testing.assert_allclose(found, np.quantile(inputs, [0.15, 0.5, 0.85]), atol=1e-4)

    def test_what_does_not_fit(self):
        from_estimator = ActivationDriftDisplay.from_estimator
        with pytest.raises(TypeError, match=r"got Pipeline.*give the last step"):
            from_estimator(make_pipeline(StandardScaler(), network()), X, Y)
        with pytest.raises(ValueError, match=r"trains by partial_fit.*solver='lbfgs' has not"):
            from_estimator(network(solver="lbfgs", weight_decay=0.0), X, Y)
        with pytest.raises(ValueError, match="n_epochs"):
            from_estimator(network(), X, Y, n_epochs=0)
        with pytest.raises(IndexError, match="layer=7"):
            from_estimator(network(), X, Y, layer=7)

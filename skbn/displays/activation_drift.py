"""How the inputs of activations change while a network is trained."""

from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone, is_classifier
from sklearn.utils import check_random_state, check_scalar, resample
from sklearn.utils._optional_dependencies import check_matplotlib_support
from sklearn.utils.multiclass import unique_labels
from sklearn.utils.validation import _num_samples

from skbn.displays.activation_recorder import ActivationRecord, ActivationRecorder
from skbn.displays.panels import Keywords, Panels, axes_of, marker_of, panels_for, styles
from skbn.estimators.annotations import MatrixLike
from skbn.estimators.mlp import BaseMLPWithBatchNorm

# Most rows that `from_estimator` records on. Quantiles of more rows look the same.
MOST_ROWS = 2000

# The lines of the quantiles, in the order of ``activation_recorder.QUANTILES``.
STYLES = (
    {"label": "15 %", "linestyle": ":", "linewidth": 1.2},
    {"label": "median", "linestyle": "-"},
    {"label": "85 %", "linestyle": "--", "linewidth": 1.2},
)

# Distance in inches of a legend below a panel: below ticks alone, and below ticks and a label.
TICKS, LABELS = 0.3, 0.55


class ActivationDriftDisplay:
    """Inputs of activations over the epochs of a training, with one column for each training.

    An activation is the nonlinear function of a hidden unit. Each upper panel shows one unit: the
    median of the inputs of its activation over fixed rows, and the band from the 15 % quantile to
    the 85 % quantile. Ioffe and Szegedy (2015) call the drift of these inputs internal covariate
    shift. The lowest panel shows all hidden layers: for each layer the mean of the inputs of its
    activations over rows and units, and the band of one standard deviation around the mean.

    In a new figure the panels of one row share their vertical axis, so the columns can be compared.

    Use :meth:`from_recorder` or :meth:`from_estimator` to make a display.

    Parameters
    ----------
    records : dict of str or None to ActivationRecord
        The record of each training. The keys are the titles of the columns.

    Attributes
    ----------
    ax_ : ndarray of Axes, of shape (n_units + 1,) or (n_units + 1, n_trainings)
        The panels.

    figure_ : matplotlib.figure.Figure
        The figure of the panels.

    quantile_lines_ : list of list of matplotlib.lines.Line2D
        For each training the lines of the 15, 50 and 85 % quantiles, unit by unit.

    layer_lines_ : list of list of matplotlib.lines.Line2D
        For each training the lines of the means, layer by layer.

    See Also
    --------
    ActivationRecorder : Records the inputs of activations.
    TrainingCurveDisplay : Loss, score and learning rate over epochs.

    References
    ----------
    Ioffe and Szegedy (2015), "Batch normalization: accelerating deep network training by reducing
    internal covariate shift", figure 1 (b, c).

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skbn import ActivationDriftDisplay, MLPWithBatchNormClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> mlp = MLPWithBatchNormClassifier((30, 30), activation="logistic", random_state=0)
    >>> display = ActivationDriftDisplay.from_estimator(mlp, X, y, n_epochs=5)
    >>> display.ax_.shape
    (2, 2)
    >>> display.figure_.savefig("drift.png")  # doctest: +SKIP
    """

    def __init__(self, *, records: Mapping[str | None, ActivationRecord]) -> None:
        self.records = records

    @classmethod
    def from_recorder(
        cls,
        recorder: (
            ActivationRecorder
            | ActivationRecord
            | Mapping[Any, ActivationRecorder | ActivationRecord]
        ),
        *,
        ax: Panels = None,
        line_kw: Keywords | None = None,
        band_kw: Keywords | None = None,
    ) -> Self:
        """Draw the records of recorders.

        Parameters
        ----------

        recorder : ActivationRecorder, ActivationRecord, or dict of str to one of them
            The recorded trainings. A dict makes one column for each entry, with the key as the
            title. A recorder stands for its last training; its other trainings are in `records_`.

        ax : array of matplotlib.axes.Axes, default=None
            The Axes to draw on, of shape (n_units + 1, n_trainings) for a dict. None: a new figure.

        line_kw, band_kw : dict, default=None
            Keywords for :meth:`matplotlib.axes.Axes.plot` and
            :meth:`matplotlib.axes.Axes.fill_between`.

        Returns
        -------

        display : ActivationDriftDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        TypeError
            If `recorder` has another type.
        ValueError
            If nothing was recorded, or if the numbers of units differ.
        """
        check_matplotlib_support(f"{cls.__name__}.from_recorder")
        recorders = recorder if isinstance(recorder, dict) else {None: recorder}
        records = {name: _record_of(given, name) for name, given in recorders.items()}
        return cls(records=records).plot(ax, line_kw=line_kw, band_kw=band_kw)

    @classmethod
    def from_estimator(
        cls,
        estimator: BaseMLPWithBatchNorm,
        X: MatrixLike,
        y: ArrayLike,
        *,
        n_epochs: int = 20,
        layer: int = -1,
        units: int | Sequence[int] = (0,),
        ax: Panels = None,
        line_kw: Keywords | None = None,
        band_kw: Keywords | None = None,
    ) -> Self:
        """Train two clones of a perceptron, with and without batch norm, and draw both.

        The clones differ in `batch_norm` alone. One clone has the `batch_norm` of `estimator`, or
        ``"before"`` if `estimator` has None. The other clone has None. Both clones have the same
        `random_state`, so both begin with the same weights.

        Each clone is trained by `n_epochs` calls of ``partial_fit`` on all rows. So the learning
        rate is constant; ``learning_rate_init='auto'`` is 0.001. No rows are held out, and
        predictions use running averages. To see the training of ``fit``, with its schedule and
        its held-out rows, give an :class:`ActivationRecorder` to ``set_callbacks``.

        Parameters
        ----------

        estimator : MLPWithBatchNormClassifier or MLPWithBatchNormRegressor
            The network to clone. It need not be fitted.

        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training rows. The inputs of activations are recorded on the same rows, or on 2000
            random rows if there are more than 2000.

        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.

        n_epochs : int, default=20
            Number of epochs of each training.

        layer : int, default=-1
            Number of the hidden layer with the units, counted from 0. Negative numbers count from
            the last hidden layer.

        units : int or sequence of int, default=(0,)
            Numbers of the units, counted from 0. Each unit has one panel.

        ax : array of matplotlib.axes.Axes, default=None
            The Axes to draw on, of shape (n_units + 1, 2). None: a new figure.

        line_kw, band_kw : dict, default=None
            Keywords for :meth:`matplotlib.axes.Axes.plot` and
            :meth:`matplotlib.axes.Axes.fill_between`.

        Returns
        -------

        display : ActivationDriftDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        IndexError
            If the network has no such layer or unit.
        TypeError
            If `estimator` is no perceptron of this package, for example if it is a pipeline. Give
            the last step of the pipeline instead, and the `X` that the earlier steps return.
        ValueError
            For the reasons of ``partial_fit``, and for ``solver="lbfgs"``, which has none.
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimator")
        if not isinstance(estimator, BaseMLPWithBatchNorm):
            raise TypeError(
                f"{cls.__name__}.from_estimator takes a MLPWithBatchNormClassifier or a "
                f"MLPWithBatchNormRegressor, got {type(estimator).__name__}. Of a Pipeline give "
                "the last step, and X as the steps before transform it."
            )
        if not hasattr(estimator, "partial_fit"):
            raise ValueError(
                f"{cls.__name__}.from_estimator trains by partial_fit, which a network with "
                f"solver={estimator.solver!r} has not."
            )
        check_scalar(n_epochs, "n_epochs", Integral, min_val=1)
        seed = estimator.random_state
        if not isinstance(seed, Integral):
            # A generator would give the second clone other numbers.
            seed = check_random_state(seed).randint(np.iinfo(np.int32).max)
        rows = X
        if _num_samples(X) > MOST_ROWS:
            rows = resample(X, replace=False, n_samples=MOST_ROWS, random_state=seed)
        classes = {"classes": unique_labels(y)} if is_classifier(estimator) else {}
        records: dict[str | None, ActivationRecord] = {}
        for name, batch_norm in (
            ("with batch norm", estimator.batch_norm or "before"),
            ("without batch norm", None),
        ):
            network = clone(estimator).set_params(batch_norm=batch_norm, random_state=seed)
            recorder = ActivationRecorder(rows, layer=layer, units=units)
            for _ in range(n_epochs):
                recorder.record(network.partial_fit(X, y, **classes))
            records[name] = recorder.records_[-1]
        return cls(records=records).plot(ax, line_kw=line_kw, band_kw=band_kw)

    def plot(
        self,
        ax: Panels = None,
        *,
        line_kw: Keywords | None = None,
        band_kw: Keywords | None = None,
    ) -> Self:
        """Draw the inputs of the activations.

        Parameters
        ----------

        ax : array of matplotlib.axes.Axes, default=None
            The Axes to draw on, of shape (n_units + 1, n_trainings). None: a new figure.

        line_kw, band_kw : dict, default=None
            Keywords for :meth:`matplotlib.axes.Axes.plot` and
            :meth:`matplotlib.axes.Axes.fill_between`.

        Returns
        -------

        display : ActivationDriftDisplay
            This display.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If there is no record, if the numbers of units differ, or if `ax` has another number of
            Axes.
        """
        records = list(self.records.values())
        if not records:
            raise ValueError("There is nothing to draw: give a recorder at least.")
        if len({len(record.units) for record in records}) != 1:
            counts = {name: len(record.units) for name, record in self.records.items()}
            raise ValueError(f"The trainings need one number of recorded units, got {counts}.")
        n_units = len(records[0].units)
        panels = panels_for(self, ax, n_units + 1, len(records), sharex="col", sharey="row")
        line_kw, band_kw = styles(line_kw, band_kw)
        band_kw = {"alpha": 0.2, "linewidth": 0.0} | band_kw
        self.quantile_lines_, self.layer_lines_ = [], []
        for column, (name, record) in enumerate(self.records.items()):
            is_first = column == 0
            lines = []
            for number, unit in enumerate(record.units):
                panel = panels[number, column]
                lines += _draw_unit(panel, record, number, line_kw, band_kw)
                if is_first or (record.layer, unit) != (records[0].layer, records[0].units[number]):
                    panel.set_ylabel(
                        f"Input of the activation,\nunit {unit} of layer {record.layer}"
                    )
            self.quantile_lines_.append(lines)
            panel = panels[n_units, column]
            self.layer_lines_.append(_draw_layers(panel, record, line_kw, band_kw))
            if is_first:
                _legend_below(panels[0, column], lines)
                panel.set_ylabel("Inputs of activations,\nmean ± standard deviation")
            panel.set_xlabel("Epoch, or call of partial_fit")
            if is_first or len(record.means[0]) != len(records[0].means[0]):
                _legend_below(panel, self.layer_lines_[-1], title="hidden layer (from 0)")
            if name is not None:
                panels[0, column].set_title(name)
        self.ax_ = axes_of(panels)
        self.figure_ = panels[0, 0].figure
        return self


def _record_of(given, name):
    """The record to draw: the last record of a recorder that has epochs."""
    whose = "The recorder" if name is None else f"The recorder {name!r}"
    if isinstance(given, ActivationRecord):
        records = [given]
    elif isinstance(given, ActivationRecorder):
        records = given.records_
    else:
        raise TypeError(
            f"An ActivationRecorder is needed, an ActivationRecord or a dict of them, "
            f"got {type(given).__name__}."
        )
    looked = [record for record in records if record.epochs]
    if records and not looked:
        raise ValueError(
            f"{whose} has looked at no epoch of {len(records)} training(s): solver='lbfgs' has no "
            "epochs, and a recorder skips the epochs that are no multiple of its parameter every."
        )
    if not looked:
        raise ValueError(
            f"{whose} has recorded nothing: set it by mlp.set_callbacks(recorder) before fit "
            "(scikit-learn 1.9 or later), or call recorder.record(mlp) after each partial_fit."
        )
    return looked[-1]


def _draw_unit(panel, record, number, line_kw, band_kw):
    quantiles = np.array([of[number] for of in record.quantiles])
    style = marker_of(record.epochs) | line_kw
    lines = []
    for values, of_quantile in zip(quantiles.T, STYLES, strict=True):
        lines += panel.plot(record.epochs, values, **of_quantile | style)
        style = {"color": lines[0].get_color()} | style
    colored = {"color": lines[0].get_color()} | band_kw
    panel.fill_between(record.epochs, quantiles[:, 0], quantiles[:, 2], **colored)
    _whole_epochs(panel)
    return lines


def _draw_layers(panel, record, line_kw, band_kw):
    means, stds = np.array(record.means), np.array(record.stds)
    lines = []
    for layer in range(means.shape[1]):
        mean, std = means[:, layer], stds[:, layer]
        style = marker_of(record.epochs) | {"label": f"layer {layer}"} | line_kw
        (line,) = panel.plot(record.epochs, mean, **style)
        colored = {"color": line.get_color()} | band_kw
        panel.fill_between(record.epochs, mean - std, mean + std, **colored)
        lines.append(line)
    _whole_epochs(panel)
    return lines


def _legend_below(panel, lines, title=None):
    """Draw a legend below a panel and its labels; inside, if no layout makes room for it."""
    from matplotlib.transforms import ScaledTranslation

    if panel.figure.get_layout_engine() is None:
        panel.legend(title=title)
        return
    inches = LABELS if panel.get_xlabel() else TICKS
    root = panel.figure.figure
    below = panel.transAxes + ScaledTranslation(0.0, -inches, root.dpi_scale_trans)
    panel.legend(
        title=title,
        loc="upper center",
        bbox_to_anchor=(0.5, 0.0),
        bbox_transform=below,
        borderaxespad=0.0,
        ncols=min(len(lines), 3),
    )


def _whole_epochs(panel):
    from matplotlib.ticker import MaxNLocator

    panel.xaxis.set_major_locator(MaxNLocator(integer=True))

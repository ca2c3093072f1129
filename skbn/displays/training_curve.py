"""Loss, score and learning rate over the epochs of a training."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self, TypeAlias

import numpy as np
from sklearn.utils._optional_dependencies import check_matplotlib_support

from skbn.displays.curves import TrainingCurves
from skbn.displays.panels import Keywords, Panels, axes_of, marker_of, panels_for, spans, styles

Quantity: TypeAlias = Literal["loss", "score", "learning_rate"]
QUANTITIES: tuple[Quantity, ...] = ("loss", "score", "learning_rate")

# The axis of learning rates is logarithmic if the median rate of a model is below the highest rate
# of all models by more than this factor. The axis of a single 'one_cycle' training stays linear.
LOG_FACTOR = 10.0

# Style of the lines of an ensemble's members, which are drawn beside the line of their mean.
MEMBERS = {"alpha": 0.35, "linewidth": 0.8}

# Curves of up to this number of epochs have a marker at each epoch.
FEW_EPOCHS = 30


class TrainingCurveDisplay:
    """Curves of a training: loss, score and learning rate over the epochs.

    A solid line is the training loss. A dashed line with markers is the loss on validation rows
    after the epochs ``validation_epochs_``. A vertical dotted line marks the epoch whose network
    predicts (``kept_epoch_``), unless this is the last epoch.

    The validation loss can lie below the training loss, for three reasons. The training loss
    includes the L2 penalty; the validation loss does not. The training loss is the mean over the
    mini-batches of an epoch; the validation loss is computed after the epoch. In training the
    network uses dropout and batch statistics; for the validation loss it is used as in a
    prediction.

    The parameter `scoring` of the model chooses the score. By default the score is minus the loss
    if ``early_stopping="auto"`` chooses among checkpoints, and otherwise the accuracy or R².

    Use :meth:`from_estimator` or :meth:`from_estimators` to make a display.

    Parameters
    ----------
    curves : dict of str or None to TrainingCurves
        The curves of each model. The keys are the names of the models; None is the key of a single
        model without a name.

    quantity : {"loss", "score", "learning_rate"} or list of them, default="loss"
        The curves to draw. Each quantity has one panel.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes or ndarray of Axes
        The panels. Several panels are an array.

    figure_ : matplotlib.figure.Figure
        The figure of the panels.

    lines_ : dict of str to list of matplotlib.lines.Line2D
        The lines of each quantity, model by model. "loss" has the line of the training loss and the
        line of the validation loss, if there is a validation loss.

    See Also
    --------
    ActivationDriftDisplay : How the inputs of activations change during training.
    sklearn.model_selection.LearningCurveDisplay : Scores over the number of training rows.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skbn import MLPWithBatchNormClassifier, TrainingCurveDisplay
    >>> X, y = load_digits(return_X_y=True)
    >>> clf = MLPWithBatchNormClassifier(n_epochs=10, random_state=0).fit(X, y)
    >>> display = TrainingCurveDisplay.from_estimator(clf, quantity=["loss", "learning_rate"])
    >>> len(display.lines_["loss"])
    2
    >>> display.figure_.savefig("curves.png")  # doctest: +SKIP
    """

    def __init__(
        self,
        *,
        curves: Mapping[str | None, TrainingCurves],
        quantity: Quantity | Sequence[Quantity] = "loss",
    ) -> None:
        self.curves = curves
        self.quantity = quantity

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        quantity: Quantity | Sequence[Quantity] = "loss",
        name: str | None = None,
        ax: Panels = None,
        line_kw: Keywords | None = None,
    ) -> Self:
        """Draw the curves of one model.

        Parameters
        ----------

        estimator : estimator
            A fitted network or ensemble of this package, or a fitted network of scikit-learn
            (:class:`~sklearn.neural_network.MLPClassifier`). For a
            :class:`~sklearn.pipeline.Pipeline` the last step is drawn, for a search the
            `best_estimator_`, and for a :class:`~sklearn.compose.TransformedTargetRegressor` the
            `regressor_`.

        quantity : {"loss", "score", "learning_rate"} or list of them, default="loss"
            The curves to draw. "loss": the training loss and the validation loss. "score": the
            score on validation rows. "learning_rate": the learning rate. A list: one panel for each
            quantity.

        name : str, default=None
            Name of the model in the legend.

        ax : matplotlib.axes.Axes or array of Axes, default=None
            The Axes to draw on, one for each quantity. None: a new figure.

        line_kw : dict, default=None
            Keywords for :meth:`matplotlib.axes.Axes.plot`.

        Returns
        -------

        display : TrainingCurveDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        NotFittedError
            If nothing was fitted before.
        ValueError
            If the model does not have the curve. The message says what to do.
        """
        return cls.from_estimators({name: estimator}, quantity=quantity, ax=ax, line_kw=line_kw)

    @classmethod
    def from_estimators(
        cls,
        estimators: Mapping[Any, Any],
        *,
        quantity: Quantity | Sequence[Quantity] = "loss",
        ax: Panels = None,
        line_kw: Keywords | None = None,
    ) -> Self:
        """Draw the curves of several models in one figure, with one colour for each model.

        Parameters
        ----------

        estimators : dict of str to estimator
            The fitted models, as in :meth:`from_estimator`. The keys are the names of the models.

        quantity : {"loss", "score", "learning_rate"} or list of them, default="loss"
            The curves to draw, as in :meth:`from_estimator`. Each quantity has one panel.

        ax : matplotlib.axes.Axes or array of Axes, default=None
            The Axes to draw on, one for each quantity. None: a new figure.

        line_kw : dict, default=None
            Keywords for :meth:`matplotlib.axes.Axes.plot`.

        Returns
        -------

        display : TrainingCurveDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        NotFittedError
            If nothing was fitted before.
        TypeError
            If `estimators` is no dict.
        ValueError
            If a model does not have the curve. The message says what to do.
        """
        check_matplotlib_support(f"{cls.__name__}.from_estimators")
        if not isinstance(estimators, Mapping):
            raise TypeError(
                f"{cls.__name__}.from_estimators takes a dict of names to fitted models, got "
                f"{type(estimators).__name__}. from_estimator takes one model."
            )
        curves = {name: TrainingCurves.of(model, name) for name, model in estimators.items()}
        return cls(curves=curves, quantity=quantity).plot(ax, line_kw=line_kw)

    def plot(
        self,
        ax: Panels = None,
        *,
        quantity: Quantity | Sequence[Quantity] | None = None,
        line_kw: Keywords | None = None,
    ) -> Self:
        """Draw the curves.

        Parameters
        ----------

        ax : matplotlib.axes.Axes or array of Axes, default=None
            The Axes to draw on, one for each quantity. None: a new figure.

        quantity : {"loss", "score", "learning_rate"} or list of them, default=None
            The curves to draw. None: the `quantity` of the display.

        line_kw : dict, default=None
            Keywords for :meth:`matplotlib.axes.Axes.plot`.

        Returns
        -------

        display : TrainingCurveDisplay
            This display.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If a model does not have the curve, if a quantity is given twice, or if `ax` has another
            number of Axes.
        """
        quantities = self._quantities(self.quantity if quantity is None else quantity)
        panels = panels_for(self, ax, 1, len(quantities))
        line_kw, _ = styles(line_kw)
        draw = {"loss": _draw_losses, "score": _draw_scores, "learning_rate": _draw_rates}
        self.lines_ = {}
        for panel, shown in zip(panels[0], quantities, strict=True):
            self.lines_[shown] = draw[shown](panel, self.curves, line_kw)
            _finish(panel, self.curves)
        self.ax_ = axes_of(panels)
        self.figure_ = panels[0, 0].figure
        return self

    def _quantities(self, quantity):
        quantities = [quantity] if isinstance(quantity, str) else list(quantity)
        for shown in quantities:
            if shown not in QUANTITIES:
                raise ValueError(f"quantity must be one or some of {QUANTITIES}, got {shown!r}.")
        if len(set(quantities)) < len(quantities):
            raise ValueError(f"Each quantity is drawn once, got {quantities}.")
        if not quantities or not self.curves:
            raise ValueError("There is nothing to draw: give a quantity and a model at least.")
        for name, curves in self.curves.items():
            whose = "The model" if name is None else f"The model {name!r}"
            if "score" in quantities and curves.validation_score is None:
                raise ValueError(
                    f"{whose} has no validation_scores_: give X_val and y_val to fit, or fit with "
                    "early_stopping=True (in skbn early_stopping='auto', too, where the table has "
                    "rows enough)."
                )
            if "learning_rate" in quantities and curves.learning_rate is None:
                raise ValueError(
                    f"{whose} has no learning_rate_curve_: the networks of skbn record learning "
                    "rates, scikit-learn's do not."
                )
        return quantities


def _label(name, what):
    return what if name is None else f"{name}, {what}"


def _draw_losses(panel, curves, line_kw):
    lines = []
    for name, of in curves.items():
        several = len(curves) > 1
        epochs = np.arange(1, len(of.loss) + 1)
        label = name if several else _label(name, "training")
        style = marker_of(epochs) | {"label": label, "linestyle": "-"} | line_kw
        (line,) = panel.plot(epochs, of.loss, **style)
        lines.append(line)
        for losses in of.member_losses:
            # Ctrl-C may have left a member one epoch ahead of the others.
            member = dict(MEMBERS, color=line.get_color(), zorder=line.get_zorder() - 0.5)
            panel.plot(np.arange(1, len(losses) + 1), losses, **member)
        if of.validation_loss is not None:
            n = len(of.validation_loss)
            epochs = of.validation_epochs[-n:]
            style = _dashed(line, n) | ({} if several else {"label": _label(name, "validation")})
            lines.extend(panel.plot(epochs, of.validation_loss, **style | _without_label(line_kw)))
        _mark_kept(panel, of, line.get_color(), None if several else _label(name, "kept"))
    if len(curves) > 1:
        if any(of.validation_loss is not None for of in curves.values()):
            _add_entry(panel, "dashed: validation", "--")
        if any(map(_kept_an_earlier_epoch, curves.values())):
            _add_entry(panel, "dotted: kept", ":")
    panel.set_ylabel("Loss")
    return lines


def _dashed(line, n):
    marker = {"marker": "o", "markersize": 3} if n <= FEW_EPOCHS else {}
    return marker | {"color": line.get_color(), "linestyle": "--"}


def _without_label(line_kw):
    # The style applies to all lines, but a dashed line stays dashed.
    return {key: value for key, value in line_kw.items() if key not in ("label", "linestyle")}


def _draw_scores(panel, curves, line_kw):
    lines = []
    for name, of in curves.items():
        n = len(of.validation_score)
        marker = {"marker": "o", "markersize": 3} if n <= FEW_EPOCHS else {}
        style = marker | {"label": _label(name, "validation") if len(curves) == 1 else name}
        style |= {"linestyle": "--"} | line_kw
        (line,) = panel.plot(of.validation_epochs, of.validation_score, **style)
        lines.append(line)
        kept = None if len(curves) > 1 else _label(name, "kept")
        _mark_kept(panel, of, line.get_color(), kept)
    if len(curves) > 1 and any(map(_kept_an_earlier_epoch, curves.values())):
        _add_entry(panel, "dotted: kept", ":")
    names = {of.score_name for of in curves.values()}
    name = names.pop() if len(names) == 1 else None
    panel.set_ylabel("Validation score" + (f" ({name})" if name else ""))
    return lines


def _mark_kept(panel, of, color, label):
    """Mark the kept epoch of a model by a vertical line, unless it is the last epoch."""
    if _kept_an_earlier_epoch(of):
        panel.axvline(of.kept_epoch, color=color, linestyle=":", linewidth=1.0, label=label)


def _kept_an_earlier_epoch(of):
    return of.kept_epoch is not None and of.kept_epoch < len(of.loss)


def _add_entry(panel, label, linestyle):
    """Add one entry to the legend, for the lines of all models in this style."""
    if label not in [line.get_label() for line in panel.lines]:
        panel.plot([], [], color="gray", linestyle=linestyle, label=label)


def _draw_rates(panel, curves, line_kw):
    lines = []
    for name, of in curves.items():
        n = len(of.learning_rate)
        epochs = len(of.loss) + np.arange(1 - n, 1)
        style = marker_of(epochs) | {"label": name or ""} | line_kw
        lines.extend(panel.plot(epochs, of.learning_rate, **style))
    typical = [np.median(of.learning_rate) for of in curves.values()]
    highest = max(of.learning_rate.max() for of in curves.values())
    if spans([*typical, highest], LOG_FACTOR):
        panel.set_yscale("log")
    panel.set_ylabel("Learning rate")
    return lines


def _finish(panel, curves):
    from matplotlib.ticker import MaxNLocator

    panel.set_xlabel("Epoch")
    panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    if panel.get_legend_handles_labels()[1]:
        panel.legend()

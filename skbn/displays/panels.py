"""Helpers of all displays: the Axes of their panels, and the choice of a logarithmic axis.

matplotlib is imported when a picture is drawn.
"""

from typing import Any, TypeAlias

import numpy as np
from sklearn.utils._optional_dependencies import check_matplotlib_support

# An Axes or an array of Axes, and keywords of matplotlib, which is imported late.
Panels: TypeAlias = Any
Keywords: TypeAlias = dict[str, Any]

# Width and height of a panel in inches.
PANEL = (4.8, 3.4)


def panels_for(caller, ax, n_rows=1, n_columns=1, *, sharex=False, sharey=False):
    """Return the Axes to draw on: the given Axes, or the Axes of a new figure.

    Parameters
    ----------
    caller : object
        The display. Errors name its class.

    ax : Axes, array of Axes or None
    n_rows, n_columns : int, default=1
        Number of rows and columns of panels.

    sharex, sharey : bool or str, default=False
        Parameters of :func:`matplotlib.pyplot.subplots` for a new figure.

    Returns
    -------
    panels : ndarray of shape (n_rows, n_columns)
        One Axes for each panel.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    ValueError
        If `ax` has another number of Axes, or another shape.
    """
    check_matplotlib_support(f"{type(caller).__name__}.plot")
    import matplotlib.pyplot as plt

    if ax is None:
        size = (PANEL[0] * n_columns, PANEL[1] * n_rows)
        _, panels = plt.subplots(
            n_rows,
            n_columns,
            squeeze=False,
            sharex=sharex,
            sharey=sharey,
            # The style sheet of matplotlib sets the size of a figure with one panel.
            figsize=None if n_rows == n_columns == 1 else size,
            layout="constrained",
        )
        return panels
    panels = np.asarray(ax, dtype=object)
    # Axes in one row or column may be given in any shape.
    is_grid = min(n_rows, n_columns) > 1 and panels.ndim > 1
    if panels.size != n_rows * n_columns or (is_grid and panels.shape != (n_rows, n_columns)):
        found = f"{panels.size} Axes"
        if panels.size == n_rows * n_columns:
            found = f"the shape {panels.shape}"
        raise ValueError(
            f"{type(caller).__name__} draws {n_rows * n_columns} panel(s), but ax has {found}: "
            f"give the second value of plt.subplots({n_rows}, {n_columns}), or ax=None for a new "
            "figure."
        )
    return panels.reshape(n_rows, n_columns)


def axes_of(panels):
    """The attribute ``ax_`` of a display: an Axes, or an array of several Axes."""
    panels = np.squeeze(panels)
    return panels.item() if panels.ndim == 0 else panels


def styles(line_kw=None, band_kw=None):
    """Keywords for lines and bands under their full names, so that "lw" overrides "linewidth".

    Parameters
    ----------
    line_kw, band_kw : dict or None
        As :meth:`matplotlib.axes.Axes.plot` and :meth:`matplotlib.axes.Axes.fill_between` take
        them.

    Returns
    -------
    line_kw, band_kw : dict

    Raises
    ------
    TypeError
        If one property has two names.
    """
    from matplotlib.cbook import normalize_kwargs
    from matplotlib.collections import PolyCollection
    from matplotlib.lines import Line2D

    return normalize_kwargs(line_kw, Line2D), normalize_kwargs(band_kw, PolyCollection)


def marker_of(values):
    """A marker for a line through one point, which is invisible without a marker."""
    return {"marker": "o"} if len(values) == 1 else {}


def spans(values, factor):
    """Whether numbers are positive and the largest is more than `factor` times the smallest."""
    values = np.asarray(values, dtype=float)
    values = values[np.isfinite(values)]
    return values.size > 0 and values.min() > 0.0 and values.max() > factor * values.min()

"""Batch normalization of columns, as a transformer."""

import warnings
from contextlib import contextmanager
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import issparse
from sklearn import config_context
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils import assert_all_finite, check_array
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils._set_output import _get_output_config, _wrap_data_with_container
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from skbn.estimators.annotations import Floats, Result, fit_context
from skbn.estimators.arguments import refuse_masked
from skbn.estimators.callbacks import CallbackSupportMixin, FitCallbacks
from skbn.estimators.columns import divisor, lost, may_be_too_small, too_small
from skbn.estimators.documentation import DocumentationLinkMixin
from skbn.estimators.row_parts import a_part_for_each_thread, side_by_side
from skbn.estimators.rows import weights_need_no_check
from skbn.estimators.running_moments import RunningMoments, as_matrices
from skbn.estimators.saved import SavedState
from skbn.estimators.state import STATE_FORMAT, check_numbers, refuse_other_format
from skbn.estimators.transaction import draft_of, fitted_draft, published
from skbn.kernels.affine import affine

# The dtypes that the result keeps. Other dtypes become the first of these dtypes.
FLOATS = (np.float64, np.float32, np.float16)


class BatchNormTransformer(
    DocumentationLinkMixin,
    CallbackSupportMixin,
    OneToOneFeatureMixin,
    TransformerMixin,
    SavedState,
    BaseEstimator,
):
    """Normalize columns by running averages of their mean and variance.

    ``y = gamma * (x - running_mean) / sqrt(running_var + epsilon) + beta``

    With ``momentum=None`` the running averages are the exact mean and variance of all rows seen so
    far, in whatever order and portions the rows came.
    :class:`~sklearn.preprocessing.StandardScaler` computes the same. With a number as `momentum`
    the running averages are exponential averages over mini-batches, as in the batch normalization
    layers of neural networks.

    A constant column is divided by 1, so it becomes `beta`, and a new value of the column is not
    blown up. A column counts as constant if rounding alone could have caused its variance (the
    bound of StandardScaler).

    Parameters
    ----------
    momentum : float in (0, 1], default=None
        Weight of the **newest** mini-batch in the running averages, as in PyTorch. Keras's
        ``momentum`` is one minus this weight. None: the running averages are the exact mean and
        variance of all rows seen. A number: the running averages are exponential averages over
        mini-batches. The first mini-batch sets the averages, so they are not biased towards 0 and
        1. The variance of a mini-batch of one row is 0.

    epsilon : float >= 0, default=1e-5
        Small number that is added to the variance. 0 is allowed, and gives the values of
        StandardScaler.

    gamma : float or array-like of shape (n_features,), default=1.0
        Scale of each feature, multiplied after normalizing.

    beta : float or array-like of shape (n_features,), default=0.0
        Shift of each feature, added after scaling.

    batch_size : int, default=None
        Number of rows in a mini-batch of :meth:`fit`. None: all rows are one mini-batch. With
        exponential averages a last mini-batch of one row joins the mini-batch before it, because
        one row has no variance.

    time_statistics : {"per_step", "shared"}, default="per_step"
        Whether the time steps of an `X` of shape (n_samples, n_steps, n_features) share their
        statistics. ``"per_step"``: each time step has its own statistics, of shape (n_steps,
        n_features). A later `X` may have fewer steps, which count as the first steps, but not more.
        ``"shared"``: one set of statistics, of shape (n_features,), is taken over rows and time
        steps together. Shared statistics also fit any other number of steps, and rows of shape
        (n_samples, n_features).

    copy : bool, default=True
        Whether the result is a new array. False: :meth:`transform`, :meth:`partial_fit_transform`
        and :meth:`inverse_transform` write into `X`, if `X` is a writable array of floats.

    Attributes
    ----------
    running_mean_ : ndarray of shape (n_features,) or (n_steps, n_features), float64
        Running averages of the means, in the unit of the column. NaN for a column without any
        entry.

    running_var_ : ndarray of shape (n_features,) or (n_steps, n_features), float64
        Running averages of the biased variances (divided by n, not n - 1), in the squared unit of
        the column. NaN for a column without any entry.

    gamma_ : ndarray of shape (n_features,), float64
        Scale of each feature.

    beta_ : ndarray of shape (n_features,), float64
        Shift of each feature.

    n_samples_seen_ : int, float or ndarray of the shape of `running_mean_`
        Number of entries behind each statistic. It is an array if the columns have different
        numbers of entries, because of NaN or of sequences of different lengths. With
        `sample_weight` it is the sum of the weights. With shared time statistics every time step of
        a row is an entry.

    n_batches_seen_ : int
        Number of mini-batches seen.

    n_features_in_ : int
        Number of features: the length of the last axis of `X`.

    feature_names_in_ : ndarray of shape (n_features,)
        Names of the features. Exists if `X` had column names that are all strings.

    See Also
    --------
    sklearn.preprocessing.StandardScaler : Exact mean and variance, without gamma and beta.

    Notes
    -----
    NaN are missing values: the statistics ignore NaN, and :meth:`transform` keeps NaN. Infinity is
    refused.

    Arrays of float16, float32 and float64 keep their dtype; other arrays become float64. Statistics
    are always float64. For a float32 value the mean is subtracted as a pair of float32, so columns
    far from 0 lose no digits. float16 is computed in float32 and rounded once.

    References
    ----------
    Ioffe and Szegedy (2015), "Batch normalization: accelerating deep network training by
    reducing internal covariate shift", https://arxiv.org/abs/1502.03167.

    Chan, Golub and LeVeque (1983), "Algorithms for computing the sample variance: analysis
    and recommendations", The American Statistician 37(3), 242-247.

    Examples
    --------
    >>> import numpy as np
    >>> from skbn import BatchNormTransformer
    >>> X = np.array([[1.0, 10.0], [2.0, 10.0], [3.0, 10.0]])
    >>> transformer = BatchNormTransformer(epsilon=0.0).fit(X)
    >>> transformer.running_mean_
    array([ 2., 10.])
    >>> transformer.transform([[4.0, 12.0]])
    array([[2.44948974, 2.        ]])

    Rows may come in portions, of any size:

    >>> stream = BatchNormTransformer(epsilon=0.0)
    >>> for row in X:
    ...     stream = stream.partial_fit(row.reshape(1, -1))
    >>> stream.n_samples_seen_
    3
    >>> bool(np.allclose(stream.running_var_, transformer.running_var_))
    True
    """

    _fitted_attribute = "_moments"

    if TYPE_CHECKING:
        running_mean_: Floats
        running_var_: Floats
        gamma_: Floats
        beta_: Floats
        n_samples_seen_: int | float | NDArray[Any] | Any
        n_batches_seen_: int
        n_features_in_: int
        feature_names_in_: NDArray[np.object_]

    _parameter_constraints = {
        "momentum": [Interval(Real, 0, 1, closed="right"), None],
        "epsilon": [Interval(Real, 0, None, closed="left")],
        "gamma": [Interval(Real, None, None, closed="neither"), "array-like"],
        "beta": [Interval(Real, None, None, closed="neither"), "array-like"],
        "batch_size": [Interval(Integral, 1, None, closed="left"), None],
        "time_statistics": [StrOptions({"per_step", "shared"})],
        "copy": ["boolean"],
    }

    def __init__(
        self,
        *,
        momentum: float | None = None,
        epsilon: float = 1e-5,
        gamma: ArrayLike = 1.0,
        beta: ArrayLike = 0.0,
        batch_size: int | None = None,
        time_statistics: Literal["per_step", "shared"] = "per_step",
        copy: bool = True,
    ) -> None:
        self.momentum = momentum
        self.epsilon = epsilon
        self.gamma = gamma
        self.beta = beta
        self.batch_size = batch_size
        self.time_statistics = time_statistics
        self.copy = copy

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: ArrayLike, y: object = None, sample_weight: ArrayLike | None = None) -> Self:
        """Compute new running averages, in mini-batches of `batch_size` rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, n_steps, n_features)
            The rows. The statistics ignore NaN.

        y : None
            Ignored.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, >= 0. A row of weight 2 counts like two equal rows in its
            mini-batch.

        Returns
        -------
        self : BatchNormTransformer

        Raises
        ------
        ValueError
            If `X` is sparse, holds infinity, or has neither two nor three dimensions; if `gamma` or
            `beta` does not fit the features of `X`; if a weight is negative or all weights are 0.
            The transformer is then as before the call.
        InvalidParameterError
            If a parameter of the constructor is out of its range.
        """
        with self._fitting(X, y, sample_weight) as draft:
            draft._update(X, sample_weight, first=True, batch_size=draft.batch_size)
        return self

    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self, X: ArrayLike, y: object = None, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Update the running averages with one mini-batch.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, n_steps, n_features)
            The mini-batch. The statistics ignore NaN.

        y : None
            Ignored.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, >= 0. A row of weight 2 counts like two equal rows.

        Returns
        -------
        self : BatchNormTransformer

        Raises
        ------
        ValueError
            For the reasons of :meth:`fit`, and if `X` has other features or more time steps than
            the earlier mini-batches.
        InvalidParameterError
            If a parameter of the constructor is out of its range.
        """
        with self._fitting(X, y, sample_weight) as draft:
            draft._update(X, sample_weight, first=not hasattr(draft, "_moments"))
        return self

    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit_transform(
        self, X: ArrayLike, y: object = None, sample_weight: ArrayLike | None = None
    ) -> Result:
        """Normalize a mini-batch by its own statistics, and update the running averages.

        This is the forward pass of a batch normalization layer in training.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, n_steps, n_features)
            The mini-batch. The statistics ignore NaN, and the result keeps NaN.

        y : None
            Ignored.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows in the statistics, >= 0.

        Returns
        -------
        X_new : ndarray or DataFrame of the shape of `X`

        Raises
        ------
        ValueError
            For the reasons of :meth:`partial_fit`; if the mini-batch has only one row (of positive
            weight), because one row has no variance; if `X` is three-dimensional and the output is
            to be a DataFrame.
        InvalidParameterError
            If a parameter of the constructor is out of its range.
        """
        with self._fitting(X, y, sample_weight) as draft:
            rows, batch = draft._update(
                X, sample_weight, first=not hasattr(draft, "_moments"), training=True
            )
            mean, var = batch.running_mean(), batch.running_var()
            spread = divisor(mean, var, batch.weight, draft.epsilon)
            scale = draft._tiled(draft.gamma_, mean) / spread
            result = draft._affine(rows, mean, scale, draft._tiled(draft.beta_, mean))
        return _wrap_data_with_container("transform", result, X, draft)

    def transform(self, X: ArrayLike) -> Result:
        """Normalize rows by the running averages.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, n_steps, n_features)
            The rows. The result keeps NaN.

        Returns
        -------
        X_new : ndarray or DataFrame of the shape of `X`
            Dtype float16, float32 or float64 if `X` has this dtype, otherwise float64.

        Raises
        ------
        NotFittedError
            If nothing was fitted before.
        ValueError
            If `X` has other features or more time steps than the fitted rows; if `X` is sparse or
            holds infinity; if `X` is three-dimensional and the output is to be a DataFrame.
        """
        fitted = self._look()
        rows = fitted._validated(X, first=False, written=True)
        fitted._refuse_data_frame(rows)
        mean, spread = fitted._running(rows)
        scale = fitted._tiled(fitted.gamma_, mean) / spread
        result = fitted._affine(rows, mean, scale, fitted._tiled(fitted.beta_, mean))
        return _wrap_data_with_container("transform", result, X, fitted)

    def inverse_transform(self, X: ArrayLike) -> Floats:
        """Undo :meth:`transform`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, n_steps, n_features)
            Normalized rows. The result keeps NaN.

        Returns
        -------
        X_original : ndarray of the shape of `X`
            Dtype float16, float32 or float64 if `X` has this dtype, otherwise float64.

        Raises
        ------
        NotFittedError
            If nothing was fitted before.
        ValueError
            If gamma of a feature is 0, because the feature has then lost its values; if `X` does
            not fit, as in :meth:`transform`.
        """
        fitted = self._look()
        lost = np.flatnonzero(fitted.gamma_ == 0.0)
        if lost.size > 0:
            raise ValueError(
                "transform cannot be undone where gamma is 0, which is the case in the "
                f"feature(s) {', '.join(map(str, lost[:5]))}{', ...' if lost.size > 5 else ''}."
            )
        rows = fitted._validated(X, first=False, written=True, named=False)
        mean, spread = fitted._running(rows)
        scale = spread / fitted._tiled(fitted.gamma_, mean)
        return fitted._affine(rows, fitted._tiled(fitted.beta_, mean), scale, mean)

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> NDArray[np.object_]:
        """Names of the columns of the result of :meth:`transform`: the names of the input columns.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the input columns. None: the names of the fitted rows, or ``x0``, ``x1`` ...

        Returns
        -------
        feature_names_out : ndarray of str objects
        """
        return super(BatchNormTransformer, self._look()).get_feature_names_out(input_features)

    def merge(self, other: "BatchNormTransformer") -> Self:
        """Add the rows that another transformer has seen to this transformer.

        The merged statistics are exact, and this transformer changes in place. `gamma_` and `beta_`
        do not change, and neither does `other`.

        Parameters
        ----------
        other : BatchNormTransformer
            A transformer with ``momentum=None`` that was fitted on other rows of the same features.

        Returns
        -------
        self : BatchNormTransformer

        Raises
        ------
        NotFittedError
            If one of the two transformers is not fitted.
        TypeError
            If `other` is not a BatchNormTransformer.
        ValueError
            If one of the two transformers holds exponential running averages, which depend on the
            order of the mini-batches; if the features or the time steps of the two differ.

        Examples
        --------
        >>> import numpy as np
        >>> from functools import reduce
        >>> from skbn import BatchNormTransformer
        >>> X = np.arange(12.0).reshape(6, 2)
        >>> parts = [BatchNormTransformer().fit(part) for part in np.split(X, 3)]
        >>> merged = reduce(BatchNormTransformer.merge, parts)
        >>> bool(np.allclose(merged.running_var_, X.var(axis=0)))
        True
        """
        if not isinstance(other, BatchNormTransformer):
            raise TypeError(
                f"only a BatchNormTransformer can be merged, got {type(other).__name__}."
            )
        with fitted_draft(self) as draft:
            draft._merge(other._look())
        return self

    def _merge(self, other):
        for one in (self, other):
            check_is_fitted(one)
            one._check_state()
            if one.momentum is not None or not one._running_moments().exact:
                raise ValueError(
                    "Exponential running averages cannot be merged: they depend on the order "
                    "of the mini-batches. Only exact ones can, with momentum=None in both."
                )
        if self.n_features_in_ != other.n_features_in_:
            raise ValueError(
                f"Different features cannot be merged: {self.n_features_in_} features here, "
                f"{other.n_features_in_} in the other."
            )
        names = getattr(self, "feature_names_in_", None)
        other_names = getattr(other, "feature_names_in_", None)
        if names is not None and other_names is not None and list(names) != list(other_names):
            raise ValueError(
                f"Different features cannot be merged: {list(names)} here, "
                f"{list(other_names)} in the other."
            )
        if self.running_mean_.shape != other.running_mean_.shape:
            raise ValueError(
                "Statistics of different time steps cannot be merged: shape "
                f"{self.running_mean_.shape} here, {other.running_mean_.shape} in the other."
            )
        before = self._running_moments()
        moments = before.merged(other._running_moments())
        _warn_of_extremes(moments, _lost(moments, before), stacklevel=4)
        self._store(moments, self.running_mean_.shape, self.n_batches_seen_ + other.n_batches_seen_)

    def _look(self):
        """A copy of the present state, which a later fit does not change."""
        fitted = draft_of(self)
        check_is_fitted(fitted)
        refuse_other_format(type(self).__name__, vars(fitted))
        return fitted

    def _check_loaded(self):
        self._check_state()

    def _check_state(self):
        """Refuse a damaged fitted state.

        Raises
        ------
        ValueError
            The message names the damage.
        """
        refuse_other_format(type(self).__name__, vars(self))
        mean, moments, d = self.running_mean_, self._moments, self.n_features_in_
        shape = np.shape(mean)
        if len(shape) not in (1, 2) or shape[-1] != d:
            raise ValueError(
                f"The fitted state is damaged: running_mean_ has shape {shape} for {d} features."
            )
        arrays = {
            "running_mean_": (mean, shape),
            "running_var_": (self.running_var_, shape),
            "gamma_": (self.gamma_, (d,)),
            "beta_": (self.beta_, (d,)),
        }
        m = int(np.prod(shape))
        for name, pair in (("mean", (2, m)), ("var", (2, m)), ("weight", (m,))):
            arrays[f"the moments' {name}"] = moments.get(name), pair
        for name, (values, expected) in arrays.items():
            # NaN means that a column had no entry. Infinity comes with a warning of the fit.
            if getattr(values, "dtype", None) != np.float64 or values.shape != expected:
                check_numbers(name, values, expected)

    @contextmanager
    def _fitting(self, X, y, sample_weight):
        """A draft to be fitted, published at the end of the block, and the callbacks around it."""
        callbacks = FitCallbacks(self, 0, X, y, {"sample_weight": sample_weight})
        draft = draft_of(self)
        before = vars(draft).copy()
        yield draft
        with published(self, draft, before):
            callbacks.end()

    def _validated(self, X, *, first, written=False, finite=False, named=True):
        """`X` as an array of floats, with checked shape and feature names.

        `written`: the array is going to be overwritten, if the user allows that.
        `finite`: infinity is refused here. Otherwise the kernels find infinity while they compute,
        because another pass over `X` would double the time.
        """
        refuse_masked(X=X)
        if issparse(X):
            raise ValueError(
                "Cannot center sparse matrices: centering would make them dense. Pass "
                "`X.toarray()` instead, or scale without centering, for instance by "
                "sklearn.preprocessing.MaxAbsScaler."
            )
        if not self._needs_no_check(X, written, named):
            X = self._checked(X, first, written, named)
        if finite:
            self._refuse_infinity(X)
        if first:
            self.n_features_in_ = X.shape[-1]
        else:
            self._check_shape(X)
        return X

    def _needs_no_check(self, X, written, named):
        # Whether ``_checked`` would return `X` itself, without a warning. The checks take several
        # times as long as the moments of a mini-batch.
        return (
            type(X) is np.ndarray
            and X.dtype in FLOATS
            and X.ndim in (2, 3)
            and X.size > 0
            and X.flags.aligned
            and (X.flags.writeable or self.copy or not written)
            and not (named and hasattr(self, "feature_names_in_"))
        )

    def _checked(self, X, first, written, named):
        if named:
            # Checks names alone: the number of features is the last axis, not always the second.
            validate_data(self, X, reset=first, skip_check_array=True, ensure_2d=False)
        # The kernels work on memory of this process, so tensors become arrays, or raise an error.
        with config_context(array_api_dispatch=False):
            X = check_array(
                X,
                dtype=FLOATS,
                force_writeable=written and not self.copy,
                ensure_all_finite=False,
                allow_nd=True,
                estimator=self,
                input_name="X",
            )
        if X.ndim > 3:
            raise ValueError(
                f"Found array with dim {X.ndim}, while {type(self).__name__} expects 2 "
                "(n_samples, n_features) or 3 (n_samples, n_steps, n_features)."
            )
        if X.size == 0:
            raise ValueError(
                f"Found array with 0 feature(s) or 0 step(s) (shape={X.shape}) while a "
                f"minimum of 1 is required by {type(self).__name__}."
            )
        # A field of packed records is not aligned, and kernels step over whole numbers.
        return np.require(X, requirements=["ALIGNED"])

    def _refuse_data_frame(self, X):
        container = _get_output_config("transform", self)["dense"]
        if X.ndim == 3 and container != "default":
            raise ValueError(
                f"Three-dimensional output does not fit into a {container} DataFrame. Use "
                "set_output(transform='default') for X of shape (n_samples, n_steps, "
                "n_features)."
            )

    def _refuse_infinity(self, X):
        # scikit-learn sums the numbers first. The sum of both infinities is NaN, with a warning.
        with np.errstate(invalid="ignore"):
            assert_all_finite(X, allow_nan=True, estimator_name=type(self).__name__, input_name="X")

    def _check_shape(self, X):
        name = type(self).__name__
        if X.shape[-1] != self.n_features_in_:
            raise ValueError(
                f"X has {X.shape[-1]} features, but {name} is expecting "
                f"{self.n_features_in_} features as input."
            )
        if self.running_mean_.ndim == 2:
            if X.ndim == 2:
                raise ValueError(
                    f"X has shape (n_samples, n_features), but {name} was fitted with "
                    "statistics for each time step and expects (n_samples, n_steps, "
                    "n_features). With time_statistics='shared' both are possible."
                )
            if X.shape[1] > self.running_mean_.shape[0]:
                raise ValueError(
                    f"X has {X.shape[1]} time steps, but {name} was fitted on "
                    f"{self.running_mean_.shape[0]}: there are no statistics for the others."
                )
        elif X.ndim == 3 and self.time_statistics != "shared":
            raise ValueError(
                f"X has shape (n_samples, n_steps, n_features), but {name} was fitted on "
                "(n_samples, n_features). With time_statistics='shared' the same statistics "
                "serve every time step."
            )

    def _update(self, X, sample_weight, *, first, batch_size=None, training=False):
        """Update the running averages; return the validated rows and the last mini-batch.

        `training`: the caller is going to normalize the mini-batch by its own moments.
        """
        X = self._validated(X, first=first, written=training, finite=sample_weight is not None)
        n = X.shape[0]
        refuse_masked(sample_weight=sample_weight)
        if sample_weight is not None and not weights_need_no_check(sample_weight, n):
            with config_context(array_api_dispatch=False):
                sample_weight = _check_sample_weight(
                    sample_weight, X, dtype=np.float64, ensure_non_negative=True
                )
            if not sample_weight.any():
                raise ValueError("Sample weights must contain at least one non-zero number.")
        shared = self._is_shared(X, first)
        if training:
            self._refuse_data_frame(X)
            positive = n if sample_weight is None else np.count_nonzero(sample_weight)
            if positive * (X.shape[1] if X.ndim == 3 and shared else 1) < 2:
                raise ValueError(
                    f"partial_fit_transform got 1 sample{'' if n == 1 else ' of positive weight'}"
                    ", which has no variance to normalize by: at least 2 are needed."
                )
        if not first:
            self._check_state()
        if first:
            self.gamma_ = self._per_feature("gamma")
            self.beta_ = self._per_feature("beta")
            shape = X.shape[-1:] if X.ndim == 2 or shared else X.shape[1:]
            moments, n_batches = RunningMoments.empty(int(np.prod(shape))), 0
        else:
            shape = self.running_mean_.shape
            moments, n_batches = self._running_moments(), self.n_batches_seen_
        before = moments
        for rows in self._batches(n, batch_size):
            weight = None if sample_weight is None else sample_weight[rows]
            if weight is not None and not weight.any():
                continue
            batch = RunningMoments.of_rows(_computable(X[rows]), shared, weight)
            if not batch.is_finite:
                self._refuse_infinity(X)
            if self.momentum is None:
                moments = moments.merged(batch)
            else:
                moments = moments.averaged(batch, self.momentum)
            n_batches += 1
        tiny = _lost(moments, before) or _has_tiny_numbers(moments, X, shared)
        _warn_of_extremes(moments, tiny, stacklevel=5)
        self._store(moments, shape, n_batches)
        return X, batch

    def _is_shared(self, X, first):
        # A fitted transformer keeps the layout of its statistics.
        if first:
            return self.time_statistics == "shared"
        return self.running_mean_.ndim == 1

    def _batches(self, n, batch_size):
        if batch_size is None or batch_size >= n:
            return [slice(0, n)]
        starts = list(range(0, n, batch_size))
        if self.momentum is not None and n - starts[-1] == 1:
            # One row has no variance and would pull the running average towards 0.
            starts.pop()
        return [slice(a, b) for a, b in zip(starts, [*starts[1:], n], strict=True)]

    def _per_feature(self, name):
        value = np.array(getattr(self, name), dtype=np.float64)
        d = self.n_features_in_
        if value.shape not in ((), (d,)):
            raise ValueError(
                f"{name} has shape {value.shape}, expected a float or an array of shape "
                f"({d},), one number for each feature of X."
            )
        assert_all_finite(value, input_name=name)
        return np.full(d, value) if value.ndim == 0 else value

    def _running_moments(self):
        return RunningMoments(**self._moments)

    def _store(self, moments, shape, n_batches):
        seen = moments.n_samples_seen()
        vars(self).update(
            _state_format=STATE_FORMAT,
            # Plain arrays, so that loading the state needs no other class.
            _moments=dict(vars(moments)),
            running_mean_=moments.running_mean().reshape(shape),
            running_var_=moments.running_var().reshape(shape),
            n_samples_seen_=seen.reshape(shape) if isinstance(seen, np.ndarray) else seen,
            n_batches_seen_=n_batches,
        )

    def _running(self, X):
        """Mean and divisor of each column of the matrices that `X` is viewed as."""
        m = X.shape[-1] if self.running_mean_.ndim == 1 else X.shape[1] * X.shape[2]
        mean, var = self.running_mean_.ravel()[:m], self.running_var_.ravel()[:m]
        seen = self.n_samples_seen_
        if isinstance(seen, np.ndarray):
            seen = seen.ravel()[:m]
        return mean, divisor(mean, var, seen, self.epsilon)

    def _tiled(self, values, mean):
        # gamma and beta of every time step.
        if values.shape != (self.n_features_in_,):
            raise ValueError(
                f"The fitted state is damaged: gamma_ or beta_ has shape {values.shape} for "
                f"{self.n_features_in_} features."
            )
        return np.tile(values, mean.shape[0] // values.shape[0])

    def _affine(self, X, mean, scale, shift):
        """(X - mean) * scale + shift, in `X` itself if the user allows it."""
        if not self.copy:
            # `X` is checked before it is overwritten.
            self._refuse_infinity(X)
        given, X = X, _computable(X)
        result = np.empty_like(X) if self.copy else X
        contiguous = X.flags.c_contiguous and result.flags.c_contiguous
        shared = mean.shape[0] == X.shape[-1]
        finite = True
        for (rows, columns), (out, _) in zip(
            as_matrices(X, shared, contiguous),
            as_matrices(result, shared, contiguous),
            strict=True,
        ):
            finite &= _affine(rows, mean[columns], scale[columns], shift[columns], out)
        if not finite:
            self._refuse_infinity(X)
        if given is X:
            return result
        if self.copy:
            return result.astype(given.dtype)
        given[...] = result
        return given

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.three_d_array = True
        tags.input_tags.sparse = False
        tags.transformer_tags.preserves_dtype = ["float64", "float32", "float16"]
        return tags


def _computable(X):
    # No kernel computes in float16. float32 holds all numbers of float16.
    return X.astype(np.float32) if X.dtype == np.float16 else X


def _has_tiny_numbers(moments, X, shared):
    """Whether a column of `X` varies by numbers so small that their squares are 0."""
    mean, var = moments.mean[0], moments.var[0]
    # The reshaped matrix is a copy in general, so it is made for suspicious columns alone.
    if not may_be_too_small(mean, var, X.dtype).any():
        return False
    columns = X.reshape(-1, X.shape[-1]) if shared else X.reshape(X.shape[0], -1)
    m = columns.shape[1]
    return bool(too_small(mean[:m], var[:m], columns).any())


def _lost(moments, before):
    """Whether rows of later calls differ from earlier rows by numbers whose squares are 0."""
    if not moments.exact:
        return False
    mask = lost(moments.mean[0], moments.var[0], before.mean[0])
    return bool((mask & (before.weight > 0.0)).any())


def _warn_of_extremes(moments, tiny, stacklevel):
    """Warn of columns whose squares leave the range of float64.

    `tiny`: the squares of some columns are too small.
    """
    if not moments.is_finite:
        warnings.warn(
            "Mean or variance of a column is beyond the largest float64: transform gives beta "
            "or NaN for it. Scale the column, or the weights, first.",
            RuntimeWarning,
            stacklevel=stacklevel,
        )
    if tiny:
        warnings.warn(
            "Numbers of a column are so small that their squares are none: transform gives "
            "beta for it. Scale the column first.",
            RuntimeWarning,
            stacklevel=stacklevel,
        )


def _affine(X, mean, scale, shift, out):
    """Write ``(X - mean) * scale + shift`` to `out`; return whether all of `X` is finite."""

    def map_rows(rows):
        return affine(X[rows], mean, scale, shift, out=out[rows])[1]

    return all(side_by_side(map_rows, a_part_for_each_thread(X.shape[0], X.nbytes)))


# scikit-learn's wrapper would read the column names at a later moment, after another thread may
# have fitted the transformer anew.
_wrapped: Any = BatchNormTransformer.transform
BatchNormTransformer.transform = _wrapped.__wrapped__  # type: ignore[method-assign]

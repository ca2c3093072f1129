"""Base of the ensembles: members, one training for all members, and the outputs of the members.

A member is a perceptron with its own periodic embedding of the columns, its own initial weights and
order of rows, and its own held-out rows. One `TrainingRun` trains the members side by side, epoch
by epoch. So all members have the same checkpoint, the same end and one progress bar.
"""

import warnings
from collections.abc import Sequence
from contextlib import contextmanager
from itertools import chain
from numbers import Integral
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, column_or_1d

from skbn.estimators import jobs, solvers, training_run
from skbn.estimators.alike import refuse_other_rows
from skbn.estimators.annotations import RandomState
from skbn.estimators.arguments import checker_of, in_the_name_of, refuse_masked
from skbn.estimators.call import Call
from skbn.estimators.callbacks import CallbackSupportMixin, FitCallbacks
from skbn.estimators.documentation import DocumentationLinkMixin
from skbn.estimators.mlp import BaseMLPWithBatchNorm
from skbn.estimators.pooled_validation import PooledValidation, pooled
from skbn.estimators.rows import checked_table
from skbn.estimators.saved import SavedState, rebuilt
from skbn.estimators.state import STATE_FORMAT, check_count, refuse_other_format
from skbn.estimators.training_run import NetworkTraining, TrainingRun
from skbn.estimators.transaction import draft_of, published
from skbn.network.processes import ONE_PROCESS
from skbn.training.threads import blas_limit


class BaseMLPEnsembleWithBatchNorm(
    DocumentationLinkMixin, CallbackSupportMixin, MetaEstimatorMixin, SavedState, BaseEstimator
):
    """Base of the ensembles; not to be used by itself.

    An ensemble defines:

    - ``_kind``: the class of its members;
    - ``_pooled_targets(fits, is_calibrated)``: the targets of all rows, from the `Preparation` of
      each member. `is_calibrated`: whether there will be a temperature;
    - ``_target_attributes(targets, rows)``: attributes that predictions need beside the members;
    - ``_check_target_attributes()``: refuses these attributes if they are damaged.
    """

    # Attributes that a fit sets. Type checkers read these types; nothing reads them at run time.
    if TYPE_CHECKING:
        loss_curve_: list[float]
        learning_rate_curve_: list[float]
        best_loss_: float | None
        validation_scores_: list[float] | None
        validation_loss_curve_: list[float] | None
        validation_epochs_: list[int] | None
        best_validation_score_: float | None
        kept_epoch_: int
        n_iter_: int
        n_epochs_: int
        n_outputs_: int
        n_features_in_: int
        feature_names_in_: NDArray[np.object_]

    _fitted_attribute = "estimators_"

    # Attributes of a fit whose names do not end in an underscore.
    _private = (
        "_n_without_improvement",
        "_is_multilabel",
        "_predicts_sparse",
        "_prior_outputs",
        "_target_range",
    )

    _parameter_constraints: dict = {
        "periodic_embeddings": ["array-like"],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        estimator: BaseMLPWithBatchNorm | None = None,
        *,
        periodic_embeddings: Sequence[float | None] = (None, 1.0, 2.5),
        n_jobs: int | None = None,
        random_state: RandomState = None,
        verbose: bool | int = False,
    ) -> None:
        self.estimator = estimator
        self.periodic_embeddings = periodic_embeddings
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    def set_params(self, **params: Any) -> Self:
        """Set parameters of this ensemble, or ``estimator__*`` of its members.

        Parameters
        ----------
        **params : dict
            If `estimator` is None, a parameter of the members replaces None by the default
            perceptron, which gets the parameter.

        Returns
        -------
        self : object
            This ensemble.
        """
        nested = {
            name.removeprefix("estimator__"): value
            for name, value in params.items()
            if name.startswith("estimator__")
        }
        if nested and params.get("estimator", self.estimator) is None:
            others = {name: params[name] for name in params if not name.startswith("estimator__")}
            params = others | {"estimator": self._kind().set_params(**nested)}
        return super().set_params(**params)

    # A fit. Warnings name the line that has called ``fit`` or ``partial_fit``. So the `stacklevel`
    # of a warning counts the functions in between, as many as in the fit of a perceptron.

    def _fit(
        self,
        X,
        y,
        sample_weight,
        given_validation,
        *,
        incremental,
        classes=None,
        processes=ONE_PROCESS,
    ):
        draft = draft_of(self)
        before = vars(draft).copy()
        fresh = not (incremental and self.__sklearn_is_fitted__())
        if fresh:
            draft._forget()
        template = self._template()
        # An error of one process is raised in all, so that no process waits for the others.
        with processes.agreement():
            X, y, given = draft._checked(
                X, y, sample_weight, given_validation, template, fresh, incremental
            )
            members = draft._new_members(template) if fresh else draft._present_members(template)
        if processes.is_parallel:
            members = _members_of(processes, members)
        fits = []
        with processes.agreement():
            for member in members:
                with told_once(fits):
                    fit = member._prepared(X, y, sample_weight, given, incremental, classes)
                fits.append(fit)
        # Here, because an error about the rows says more than a difference of the rows.
        refuse_other_rows(processes, X, y, sample_weight)
        # With few rows some members may have held out no row.
        stopping = [fit.call.early_stopping for fit in fits if fit.validation is not None]
        # The numbers of held-out rows may differ by one. So the first member gives the number.
        n_epochs = 1 if incremental else solvers.n_epochs(fits[0].estimator, fits[0].rows.n)
        n_epochs, *_ = processes.gathered(lambda: n_epochs)
        call = Call(
            incremental=incremental,
            is_given=fits[0].call.is_given,
            fresh=fresh,
            smallest=fits[0].call.smallest,
            goes_on=not fresh,
            random_state=None,
            early_stopping=next(chain.from_iterable(processes.gathered(lambda: stopping)), False),
        )
        if not (incremental or processes.is_parallel):
            call.callbacks = FitCallbacks(self, n_epochs, X, y, {"sample_weight": sample_weight})
        unconverged = draft._train(fits, call, n_epochs, processes)
        with published(self, draft, before):
            if call.callbacks is not None:
                call.callbacks.end()
        if unconverged:
            warnings.warn(
                f"Stochastic Optimizer: Maximum iterations ({n_epochs}) reached "
                "and the optimization hasn't converged yet.",
                ConvergenceWarning,
                stacklevel=4,
            )
        return self

    def _forget(self):
        """Remove the attributes of an earlier fit."""
        for name in list(vars(self)):
            if name in self._private or (name.endswith("_") and not name.startswith("_")):
                del vars(self)[name]
        training_run.begin_records(self)
        self.n_iter_ = self._n_without_improvement = 0
        self._state_format = STATE_FORMAT

    def _checked(self, X, y, sample_weight, given_validation, template, fresh, incremental):
        """Check the data. Errors name this ensemble. The members check the arrays again."""
        X_val, y_val, sample_weight_val = given_validation
        refuse_masked(
            X=X,
            y=y,
            sample_weight=sample_weight,
            X_val=X_val,
            y_val=y_val,
            sample_weight_val=sample_weight_val,
        )
        smallest = 2 if template.batch_norm is not None and not incremental else 1
        X, y = checked_table(self, X, y, smallest=smallest, fresh=fresh)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if X_val is not None:
            X_val = self._checked_validation(X_val)
        return X, y, (X_val, y_val, sample_weight_val)

    def _checked_validation(self, X_val):
        # The result has no column names, so members do not warn of the names again.
        with in_the_name_of("X_val", instead_of="X"):
            return checked_table(checker_of(self, X_val, "X_val"), X_val)

    def _template(self):
        """The perceptron to clone."""
        return self._kind() if self.estimator is None else self.estimator

    def _new_members(self, template):
        """Unfitted members with their embeddings and seeds.

        Raises
        ------
        ValueError
            If there is no embedding, or if the members cannot be trained epoch by epoch.
        InvalidParameterError
            If a parameter of a member is invalid.
        """
        if not len(self.periodic_embeddings):
            raise ValueError("periodic_embeddings must have at least one entry, of one member.")
        if template.solver == "lbfgs":
            raise ValueError(
                "The members of an ensemble are trained epoch by epoch, which solver='lbfgs' has "
                "none of: use another solver, or scikit-learn's Bagging or Voting estimators."
            )
        random_state = check_random_state(self.random_state)
        members = []
        for embedding in self.periodic_embeddings:
            member = clone(template)
            member.set_params(
                periodic_embedding=embedding,
                random_state=random_state.randint(np.iinfo(np.int32).max),
            )
            member._validate_params()
            members.append(member)
        return members

    def _present_members(self, template):
        """Drafts of the members, with the present parameters of the perceptron.

        ``partial_fit`` of a perceptron reads most of its parameters in each call, and so does
        ``partial_fit`` of an ensemble. The embedding and the seed stay each member's own.

        Raises
        ------
        InvalidParameterError
            If a parameter of a member is invalid.
        """
        parameters = clone(template).get_params(deep=False)
        for name in ("periodic_embedding", "random_state"):
            del parameters[name]
        members = [draft_of(member) for member in self.estimators_]
        for member in members:
            member.set_params(**parameters)
            member._validate_params()
        return members

    def _train(self, fits, call, n_epochs, processes):
        """Train the members of this draft. Returns whether the training ran out of epochs."""
        losses_before = self.loss_curve_
        # With uneven weights the held-out rows of some members may be too few for a temperature.
        is_calibrated = processes.total(sum(fit.calibrates for fit in fits)) > 0
        targets, *_ = processes.gathered(lambda: self._pooled_targets(fits, is_calibrated))
        n_threads = jobs.n_threads(self.n_jobs, len(fits))
        self.n_epochs_ = n_epochs
        validations = [fit.validation for fit in fits if fit.validation is not None]
        # Without shuffling all members hold out the last rows.
        is_shared = call.is_given or (
            call.early_stopping == "auto" and not fits[0].estimator.shuffle
        )
        validation = None
        if processes.total(len(validations)):
            validation = PooledValidation(validations, targets, is_shared, n_threads, processes)
        vars(self).update(self._target_attributes(targets, all_rows(fits[0])))
        # One thread of the BLAS for each member, so that a network does not depend on `n_jobs`.
        with blas_limit.training(0):
            networks = []
            for fit in fits:
                with told_once(networks):
                    network = NetworkTraining(
                        fit.estimator, fit.network, fit.table, fit.call, n_epochs
                    )
                networks.append(network)

            def fitted_up_to_now(n_epochs):
                members = [draft_of(network.estimator) for network in networks]
                for member, network in zip(members, networks, strict=True):
                    vars(member).update(network.fitted_up_to_now(n_epochs))
                return vars(self) | record_of(members, losses_before)

            run = TrainingRun(
                self,
                networks,
                validation,
                call,
                n_epochs,
                fitted_up_to_now,
                n_threads,
                processes,
            )
            unconverged = run.run()
            if not call.incremental:
                if targets.prior is not None:
                    targets.set_temperature(validation.raw_outputs(), validation.rows)
                for fit in fits:
                    fit.targets.take_temperature(targets)
                if not is_shared:
                    targets.predict_means(int(processes.total(len(fits))))
        # A member may not be finite in one process alone.
        with processes.agreement():
            for fit in fits:
                fit.estimator._finish(fit)
                losses = fit.estimator.loss_curve_
                is_watched = call.early_stopping is True
                fit.estimator.best_loss_ = None if is_watched else min(losses, default=np.inf)
        vars(self).update(self._target_attributes(targets, all_rows(fits[0])))
        members = [fit.estimator for fit in fits]
        if processes.is_parallel:
            members = _of_all_processes(processes, members, self._new_members(self._template()))
        vars(self).update(record_of(members, losses_before))
        return unconverged

    # Predictions.

    def __sklearn_is_fitted__(self):
        return "estimators_" in vars(self)

    def _look(self):
        """A copy of this ensemble and of its members, which another thread does not change.

        Raises
        ------
        NotFittedError
            If this ensemble is not fitted.
        """
        fitted = draft_of(self)
        if "estimators_" not in vars(fitted):
            check_is_fitted(fitted)
        refuse_other_format(type(self).__name__, vars(fitted))
        fitted.estimators_ = [member._look() for member in fitted.estimators_]
        return fitted

    def _outputs_of_members(self, X):
        """Raw outputs of each member in float64, and the dtype of predictions.

        The ensemble must not change during the call, so call this method of a ``_look()``.
        """
        refuse_masked(X=X)
        X = checked_table(self, X)
        self._check_target_attributes()
        outputs, dtypes = zip(*(member._outputs_of(X) for member in self.estimators_), strict=True)
        return outputs, dtypes[0]

    # In a file the members are dictionaries, so that skops asks for one type. Members of a class of
    # a user stay estimators.

    def _to_saved(self, state):
        return self._with_inner(state, self._inner_state)

    def _from_saved(self, state):
        return self._with_inner(state, self._inner_estimator)

    def _with_inner(self, state, changed):
        if "estimator" in state:
            state["estimator"] = changed(state["estimator"])
        if isinstance(state.get("estimators_"), list):
            state["estimators_"] = list(map(changed, state["estimators_"]))
        return state

    def _inner_state(self, estimator):
        return estimator.__getstate__() if type(estimator) is self._kind else estimator

    def _inner_estimator(self, stored):
        return rebuilt(self._kind, stored) if isinstance(stored, dict) else stored

    def _check_loaded(self):
        self._check_state()

    def _check_state(self):
        """Refuse a damaged fitted state. The members check their own state.

        Raises
        ------
        ValueError
            The message names the damage.
        """
        refuse_other_format(type(self).__name__, vars(self))
        members = self.estimators_
        if not isinstance(members, list) or not members:
            raise ValueError("The fitted state is damaged: estimators_ is no list of estimators.")
        for member in members:
            if not isinstance(member, self._kind) or not member.__sklearn_is_fitted__():
                raise ValueError(
                    f"The fitted state is damaged: a member is no fitted {self._kind.__name__}."
                )
            check_count("n_features_in_", self.n_features_in_, member.n_features_in_)
            check_count("n_outputs_", member.n_outputs_, members[0].n_outputs_)
        self._check_target_attributes()

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def _members_of(processes, members):
    # The members of this process: neighbours, and about as many as each other process has.
    if processes.size > len(members):
        raise ValueError(
            f"{processes.size} processes cannot train {len(members)} members: each process needs "
            "a member."
        )
    edges = len(members) * np.arange(processes.size + 1) // processes.size
    return members[edges[processes.rank] : edges[processes.rank + 1]]


def _of_all_processes(processes, fitted, members):
    # All members: the unfitted ones get the fitted attributes of the processes that trained them.
    # Parameters are not sent, because a scorer may be a function that cannot be pickled.
    parameters = members[0].get_params(deep=False).keys()
    attributes = processes.gathered(
        lambda: [
            {name: value for name, value in vars(member).items() if name not in parameters}
            for member in fitted
        ]
    )
    for member, of_member in zip(members, chain.from_iterable(attributes), strict=True):
        vars(member).update(of_member)
    return members


@contextmanager
def told_once(earlier):
    """A context for the work of a member: later members do not repeat earlier warnings."""
    with warnings.catch_warnings():
        if earlier:
            warnings.simplefilter("ignore", UserWarning)
        yield


def record_of(members, losses_before):
    """The members of an ensemble, and the attributes that follow from their attributes.

    `losses_before` is the loss curve of the ensemble before the call. The call appends its losses.
    If each call of a stream computed the means of all epochs again, the calls would become slower.
    """
    n = len(losses_before)
    # After Ctrl-C some members may have one record more than others.
    curves = zip(*(member.loss_curve_[n:] for member in members), strict=False)
    losses = [*losses_before, *(float(np.mean(losses)) for losses in curves)]
    record = {
        "estimators_": members,
        "n_outputs_": members[0].n_outputs_,
        "n_iter_": members[0].n_iter_,
        "loss_curve_": losses,
        "learning_rate_curve_": members[0].learning_rate_curve_[: len(losses)],
    }
    # A state of an earlier version has none, and Ctrl-C may end its first epoch.
    if all(hasattr(member, "kept_epoch_") for member in members):
        record["kept_epoch_"] = min(member.kept_epoch_ for member in members)
    return record


def all_rows(fit):
    """Targets and weights of all rows of a member: its training rows and held-out rows."""
    is_held_out = fit.validation_rows is not None and not fit.call.is_given
    return pooled([fit.rows, fit.validation_rows] if is_held_out else [fit.rows])

"""Base of the estimators for Dask: the parameter ``client``, and the way to the local estimator."""

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import dask
from distributed import Client, get_client
from sklearn.base import BaseEstimator

from skbn.estimators.annotations import available_if
from skbn.estimators.documentation import DocumentationLinkMixin
from skbn.estimators.transaction import draft_of, fitted_draft

# Attributes of scikit-learn that are not fitted: callbacks, metadata requests, output settings.
NOT_FITTED = ("_skl", "_sklearn", "_callback", "_parent_callback", "_propagated", "_metadata")


class DaskEstimator(BaseEstimator):
    """Mixin of estimators for Dask, in front of the local estimator; not to be used by itself.

    An estimator for Dask is a subclass of the local estimator with the same parameters and fitted
    attributes. It gives ``_local_class``, the class of the local estimator.

    A client is the connection of one process. So the client is not stored in files, and copies of
    the estimator share the client.
    """

    _local_class: type
    _doc_link_template = DocumentationLinkMixin._doc_link_template.replace("skbn.{", "skbn.dask.{")

    if TYPE_CHECKING:
        client: Client | None

    def to_local(self) -> Any:
        """The estimator for arrays and DataFrames in the memory of this process.

        Returns
        -------
        estimator : object
            The local estimator with the same parameters. It is fitted if this estimator is fitted.
        """
        local = self._unfitted_local()
        vars(local).update({name: value for name, value in vars(self).items() if name != "client"})
        return local

    def _unfitted_local(self) -> Any:
        parameters = self.get_params(deep=False)
        del parameters["client"]
        return self._local_class(**parameters)

    def _take(self, fitted: Any) -> None:
        """Take over the fitted attributes of a local estimator, in one step."""
        parameters = self.get_params(deep=False)
        with fitted_draft(self) as draft:
            for name in vars(draft).keys() - parameters.keys():
                if not name.startswith(NOT_FITTED):
                    delattr(draft, name)
            for name in vars(fitted).keys() - parameters.keys():
                if not name.startswith(NOT_FITTED):
                    setattr(draft, name, vars(fitted)[name])

    def _computed(self, collection: Any) -> Any:
        """The result of a collection; any other object is itself."""
        if not dask.is_dask_collection(collection):
            return collection
        if self.client is None:
            with suppress(ValueError):  # without a client, threads of this process compute
                self._client()
            return collection.compute()
        return self._client().compute(collection, sync=True)

    @property
    def set_callbacks(self) -> None:
        """There is no such method: the workers would call callbacks in their own processes."""
        raise AttributeError(f"{type(self).__name__} does not support callbacks.")

    def _client(self) -> Client:
        """The client of the parameter, or the current client of Dask.

        Raises
        ------
        ValueError
            If there is none.
        TypeError
            If the client is asynchronous.
        """
        try:
            client = get_client() if self.client is None else self.client
        except ValueError:
            raise ValueError(
                f"{type(self).__name__} needs a Dask cluster, and there is no current client: "
                "create a dask.distributed.Client first, or pass client=."
            ) from None
        if client.asynchronous:
            raise TypeError(
                f"{type(self).__name__} waits for its results, and the client is asynchronous: "
                "pass a client that was created without asynchronous=True."
            )
        return client

    def _to_saved(self, state: dict[str, Any]) -> dict[str, Any]:
        # The method of SavedState, in the local estimator.
        return super()._to_saved(state) | {"client": None}

    def __sklearn_clone__(self) -> Any:
        # scikit-learn copies parameters deeply, and a client cannot be copied.
        draft = draft_of(self)
        draft.client = None
        copied = BaseEstimator.__sklearn_clone__(draft)
        copied.client = self.client
        return copied


def local_alone(method: Callable[..., Any]) -> Callable[..., Any]:
    """A method of the local estimator that the estimator for Dask does not have."""

    def refuse(estimator):
        raise AttributeError(
            f"{type(estimator).__name__} has no {method.__name__}: use to_local()."
        )

    return available_if(refuse)(method)

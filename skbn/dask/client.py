"""The parameter ``client`` of the estimators for Dask."""

from typing import TYPE_CHECKING, Any

from distributed import Client, get_client
from sklearn.base import BaseEstimator

from skbn.estimators.transaction import draft_of


class DaskEstimator(BaseEstimator):
    """Mixin of estimators with the parameter `client`, in front of the local estimator.

    A client is the connection of one process. So the client is not stored in files, and copies of
    the estimator share the client.
    """

    if TYPE_CHECKING:
        client: Client | None

    def _client(self) -> Client:
        """The client of the parameter, or the current client of Dask.

        Raises
        ------
        ValueError
            If there is none.
        """
        if self.client is not None:
            return self.client
        try:
            return get_client()
        except ValueError:
            raise ValueError(
                f"{type(self).__name__} needs a Dask cluster, and there is no current client: "
                "create a dask.distributed.Client first, or pass client=."
            ) from None

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

    def _local_parameters(self) -> dict[str, Any]:
        parameters = self.get_params(deep=False)
        del parameters["client"]
        return parameters

"""Which worker trains on which blocks of rows, and the rows of a worker in one piece."""

import warnings
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dask
import numpy as np
from dask.delayed import Delayed
from distributed import Client, Future
from scipy.sparse import issparse, vstack
from sklearn.utils import check_consistent_length

from skbn.dask.waiting import Changes
from skbn.estimators.arguments import refuse_masked

__all__ = ["blocks_of_workers", "checked", "computed", "together"]


@contextmanager
def computed(client: Client, blocks: list[dict[str, Delayed]]) -> Iterator[list[Future]]:
    """Compute blocks of rows, and leave each block on the worker that has computed it.

    At the end of the context the workers forget the blocks. There is a warning if the cluster has
    no workers, because Dask itself waits in silence. An adaptive cluster then starts workers.

    Parameters
    ----------
    client : distributed.Client
    blocks : list of dict
        From `aligned_blocks`: ``X``, ``y`` and possibly ``sample_weight``.

    Yields
    ------
    futures : list of Future
        Finished futures of the blocks: arguments of `together`.
    """
    futures = client.compute([dask.delayed(checked)(**block) for block in blocks])
    with _released(futures):
        _wait_for_all(client, futures)
        yield futures


def _wait_for_all(client, futures):
    """Return when no future is pending any more. Warn if the last worker has left the cluster."""
    changes = Changes(futures)
    is_silent = True
    while any(future.status == "pending" for future in futures):
        if is_silent and not client.nthreads():
            is_silent = False
            warnings.warn(
                f"The cluster at {client.scheduler.address} has no workers, so the fit waits for "
                "workers.",
                stacklevel=6,
            )
        changes.wait(1.0)


@contextmanager
def _released(futures):
    # The frames of errors that Dask has caught may refer to futures long after a fit.
    try:
        yield futures
    finally:
        for future in futures:
            future.release()


def blocks_of_workers(client: Client, futures: list[Future]) -> dict[str, list[Future]]:
    """Which worker has which blocks of rows. Workers without rows of positive weight take no part.

    Parameters
    ----------
    client : distributed.Client
    futures : list of Future
        From `computed`.

    Returns
    -------
    of_workers : dict of str to list of Future
        By the address of a worker, the blocks that it has. The worker with the first rows comes
        first, so that the order does not depend on the addresses.

    Raises
    ------
    ValueError
        If no block has a row of positive weight.
    Exception
        The error of a block that cannot be computed.
    RuntimeError
        If a worker was lost after it had computed a block.
    """
    with _released(client.map(_n_rows, futures, pure=False)) as counted:
        numbers = client.gather(counted)
    holders = client.who_has(futures)
    of_workers: dict[str, list[Future]] = defaultdict(list)
    n_present: dict[str, int] = defaultdict(int)
    for future, (n, present) in zip(futures, numbers, strict=True):
        if n > 0:
            if not holders[future.key]:
                raise RuntimeError(
                    "A worker left the cluster before the fit, so the fit has ended."
                )
            worker = min(holders[future.key], key=lambda address: (n_present[address], address))
            of_workers[worker].append(future)
            n_present[worker] += present
    if not any(n_present.values()):
        of_weight = " of positive weight" if of_workers else ""
        raise ValueError(
            f"Found array with 0 sample(s){of_weight} while a minimum of 1 is required."
        )
    return {worker: parts for worker, parts in of_workers.items() if n_present[worker]}


def checked(X: Any, y: Any, sample_weight: Any = None) -> tuple[Any, Any, Any]:
    """A block, whose X, y and weights have the same length.

    Raises
    ------
    ValueError
        If the lengths differ. The lengths of all rows of a worker could agree nevertheless.
    """
    check_consistent_length(X, y, sample_weight)
    if sample_weight is not None:
        refuse_masked(sample_weight=sample_weight)
        sample_weight = np.asarray(sample_weight)
    return X, y, sample_weight


def _n_rows(block):
    # The number of rows, and of rows whose weight is not 0. Negative weights and NaN are left to
    # the checks of the fit.
    X, _, sample_weight = block
    n = X.shape[0]
    return n, n if sample_weight is None else int(np.count_nonzero(sample_weight))


def together(blocks: tuple[tuple[Any, Any, Any], ...]) -> tuple[Any, Any, Any]:
    """The rows of several blocks, one below the other.

    Parameters
    ----------
    blocks : sequence of (X, y, sample_weight)

    Returns
    -------
    X : ndarray, sparse matrix or DataFrame
    y : ndarray, Series or DataFrame
    sample_weight : ndarray or None
    """
    blocks = tuple(block for block in blocks if block[0].shape[0]) or blocks[:1]
    X, y, sample_weight = zip(*blocks, strict=True)
    weight = None if sample_weight[0] is None else np.concatenate(sample_weight)
    return _below_each_other(X), _below_each_other(y), weight


def _below_each_other(parts):
    if len(parts) == 1:
        return parts[0]
    if issparse(parts[0]):
        return vstack(parts, format="csr")
    if isinstance(parts[0], np.ndarray):
        return np.concatenate(parts)
    import pandas as pd  # the parts are objects of pandas

    return pd.concat(parts)

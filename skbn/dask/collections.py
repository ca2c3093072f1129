"""Collections of Dask as blocks of rows, and functions of rows applied to each block.

A collection is a `dask.array.Array` or a `dask.dataframe.DataFrame`. Its blocks (chunks of an
array, partitions of a DataFrame) are pieces of rows that fit the memory of a worker.
"""

import math
from collections.abc import Callable
from typing import Any

import dask
import dask.array as da
import numpy as np
from dask.delayed import Delayed

__all__ = ["aligned_blocks", "is_frame", "map_rows", "row_of_zeros", "whole_rows"]


def is_frame(collection: Any) -> bool:
    """Whether a collection is a DataFrame or a Series of Dask.

    The module of DataFrames is not imported for this, because it needs pandas.
    """
    # A bag has partitions, too, but no ``_meta``. A delayed object has every public attribute.
    return (
        dask.is_dask_collection(collection)
        and hasattr(collection, "map_partitions")
        and hasattr(collection, "_meta")
    )


def whole_rows(collection: Any, name: str, least: int = 1, most: int = 2) -> Any:
    """A checked collection whose blocks have whole rows.

    Parameters
    ----------
    collection : dask array or dask DataFrame or Series
        Chunks along other axes than the first are joined.
    name : str
        The name of the argument in errors.
    least, most : int
        The fewest and the most dimensions. A Series has one dimension, a DataFrame has two.

    Raises
    ------
    TypeError
        If `collection` is no collection of Dask.
    ValueError
        If the collection has another number of dimensions.
    """
    if not isinstance(collection, da.Array) and not is_frame(collection):
        raise TypeError(
            f"{name} must be a dask array or a dask DataFrame, got {type(collection).__name__}. "
            "For other data, convert them with dask.array.from_array or "
            "dask.dataframe.from_pandas, or use the local estimator."
        )
    if not least <= collection.ndim <= most:
        expected = str(most) if least == most else f"{least} to {most}"
        raise ValueError(f"{name} has {collection.ndim} dimensions, expected {expected}.")
    if not is_frame(collection) and any(len(chunks) > 1 for chunks in collection.chunks[1:]):
        collection = collection.rechunk(dict.fromkeys(range(1, collection.ndim), -1))
    return collection


def aligned_blocks(**collections: Any) -> list[dict[str, Delayed]]:
    """The blocks of several collections of the same rows, block by block.

    Parameters
    ----------
    **collections : dask array, dask DataFrame, dask Series or None
        Collections by the names that errors call them. The first one sets the blocks, and is not
        None. Arrays with other chunks along the rows are rechunked. The others must have as many
        blocks as the first one.

    Returns
    -------
    blocks : list of dict
        For each block of rows, the delayed block of each collection that is not None.

    Raises
    ------
    ValueError
        If a collection has another number of rows, or other blocks that cannot be changed because
        the numbers of rows are not known.
    """
    given = {name: one for name, one in collections.items() if one is not None}
    (first_name, first), *others = given.items()
    rows = _rows_of_blocks(first)
    blocks = {first_name: _delayed(first, len(given))}
    for name, collection in others:
        own = _rows_of_blocks(collection)
        if rows is not None and own is not None:
            if sum(own) != sum(rows):
                raise ValueError(f"{name} has {sum(own)} rows, but {first_name} has {sum(rows)}.")
            if own != rows:
                collection = collection.rechunk({0: rows})
        blocks[name] = _delayed(collection, len(given))
        if len(blocks[name]) != len(blocks[first_name]):
            raise ValueError(
                f"{name} has {len(blocks[name])} blocks of rows, but {first_name} has "
                f"{len(blocks[first_name])}, and the numbers of their rows are not known: give "
                "both the same partitions, for example as columns of one DataFrame, or call "
                "compute_chunk_sizes() of the arrays."
            )
    return [
        dict(zip(blocks, of_rows, strict=True)) for of_rows in zip(*blocks.values(), strict=True)
    ]


def _rows_of_blocks(collection: Any) -> tuple[int, ...] | None:
    # Nobody has counted the rows of a DataFrame, or of an array that was made of a DataFrame.
    if is_frame(collection) or any(math.isnan(n) for n in collection.chunks[0]):
        return None
    return collection.chunks[0]


def _delayed(collection: Any, n_given: int) -> list[Delayed]:
    # Optimized one by one, collections of a common source would each compute the source. Dask would
    # also put small partitions of a Parquet file together, by the size of the columns of each
    # collection, so that the partitions of X are not the partitions of y.
    blocks = collection.to_delayed(optimize_graph=n_given == 1)
    return list(blocks) if is_frame(collection) else blocks.ravel().tolist()


def row_of_zeros(X: Any, n_features: int) -> Any:
    """One row in the form of the rows of a collection, for a first call of a function of rows.

    Parameters
    ----------
    X : dask array or dask DataFrame
        Checked by `whole_rows`.
    n_features : int
        The length of the last axis if `X` does not know it.

    Returns
    -------
    row : ndarray or DataFrame
        Zeros in the dtype of `X` if this is a dtype of numbers, otherwise in float64.
    """
    if is_frame(X):
        names, dtypes = X._meta.columns, list(X._meta.dtypes)
        return type(X._meta)(np.zeros((1, len(names)), _common(dtypes)), columns=names)
    lengths = (n_features if math.isnan(length) else length for length in X.shape[1:])
    return np.zeros((1, *lengths), _common([X.dtype]))


def _common(dtypes):
    # Other dtypes, of pandas for instance, have no common dtype in NumPy. They become float64.
    numbers = all(isinstance(dtype, np.dtype) and dtype.kind in "biuf" for dtype in dtypes)
    return np.result_type(*dtypes) if dtypes and numbers else np.float64


def map_rows(
    function: Callable[[Any, Any], Any],
    model: Any,
    X: Any,
    example: Any,
) -> Any:
    """``function(model, block)`` of each block of rows, as a lazy collection.

    Parameters
    ----------
    function : callable
        Takes the model and a block of at least one row. Returns as many rows.
    model : object
        Is sent to each worker once.
    X : dask array or dask DataFrame
        Checked by `whole_rows`.
    example : ndarray or DataFrame
        A result of no rows, which shows the dtype and the other dimensions of the result. The
        result of a DataFrame is a DataFrame if this is one, otherwise an array.

    Returns
    -------
    result : dask array or dask DataFrame
    """
    # One task holds the model, and the tasks of the blocks refer to it.
    held = dask.delayed(model)
    if not is_frame(X):
        return da.map_blocks(
            _of_block,
            X,
            function=function,
            model=held,
            example=example,
            chunks=(X.chunks[0], *((n,) for n in example.shape[1:])),
            drop_axis=list(range(example.ndim, X.ndim)),
            dtype=example.dtype,
            meta=np.empty((0,) * example.ndim, example.dtype),
        )
    if not isinstance(example, np.ndarray):
        return X.map_partitions(
            _of_block, function=function, model=held, example=example, meta=example
        )
    parts = [
        da.from_delayed(
            dask.delayed(_of_block)(block, function=function, model=held, example=example),
            (np.nan, *example.shape[1:]),
            dtype=example.dtype,
            meta=np.empty((0,) * example.ndim, example.dtype),
        )
        for block in X.to_delayed()
    ]
    return da.concatenate(parts, allow_unknown_chunksizes=True)


def _of_block(block: Any, function: Callable[[Any, Any], Any], model: Any, example: Any) -> Any:
    return function(model, block) if block.shape[0] else example

"""Check whether rows in their own order make mini-batches that are like the whole table."""

import warnings

from skbn.network.batch_variance import share_within_batches
from skbn.training.batches import batch_bounds

# The share of the variance that should lie within mini-batches. In random order it was 0.95 or
# more, in the order of time 0.06 to 0.5, sorted by class 0.3 to 0.8 (docs, "Decisions").
LEAST_SHARE_WITHIN = 0.85


def warn_of_order(network, table, batch_size, smallest):
    """Warn if mini-batches in the order of the rows are unlike the whole table.

    Parameters
    ----------
    network : Network
        A network with batch norm, with the exact statistics of the rows.
    table : Table
        The rows.
    batch_size, smallest : int
        Rows of a mini-batch, and the smallest number of rows of a last mini-batch.

    Warns
    -----
    UserWarning
        Once, at the line that has called ``fit``.
    """
    share = share_within_batches(
        network, table, batch_bounds(len(table.trained_rows), batch_size, smallest)
    )
    if share < LEAST_SHARE_WITHIN:
        warnings.warn(
            "shuffle=False, and the rows of a mini-batch are much alike: in a layer a tenth of "
            f"the units have {share:.0%} or less of their variance within mini-batches. Batch "
            "norm removes what differs from one mini-batch to the next, so predictions may be "
            "poor, on the training rows too. Rows in the order of time or sorted by class need "
            "shuffle=True; larger mini-batches or batch_norm=None may help as well.",
            UserWarning,
            stacklevel=8,
        )

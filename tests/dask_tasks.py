"""What tasks of the tests of estimators for Dask do, in a file that workers import by its name."""

import time

import numpy as np

from skbn.dask import DaskMLPWithBatchNormClassifier


def fitted_in_a_task(collections):
    """The number of classes of a fit to collections, inside a task."""
    model = DaskMLPWithBatchNormClassifier((4,), n_epochs=2, random_state=0)
    return len(model.fit(*collections).classes_)


def slow_rows(block, seconds):
    """The rows of a block, late."""
    time.sleep(seconds)
    return np.asarray(block)

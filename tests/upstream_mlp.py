"""A pytest plugin: scikit-learn's tests of its networks, run on ours.

It rebinds the two names in ``sklearn.neural_network`` before anything is collected. With
``SKBN_UPSTREAM_MODE=plain`` to classes with everything of ours off, with ``normalized`` to
ours as they are. ``test_upstream_mlp.py`` starts it.
"""

import inspect
import os

import sklearn.neural_network

from skbn import MLPWithBatchNormClassifier, MLPWithBatchNormRegressor


class PlainClassifier(MLPWithBatchNormClassifier):
    """scikit-learn's network by our means; ``get_params`` is that of the base class."""

    def __init__(self, *arguments, **parameters):
        super().__init__(*arguments, **plain_parameters(MLPWithBatchNormClassifier) | parameters)

    @classmethod
    def _get_param_names(cls):
        return MLPWithBatchNormClassifier._get_param_names()


class PlainRegressor(MLPWithBatchNormRegressor):
    """scikit-learn's network by our means; ``get_params`` is that of the base class."""

    def __init__(self, *arguments, **parameters):
        super().__init__(*arguments, **plain_parameters(MLPWithBatchNormRegressor) | parameters)

    @classmethod
    def _get_param_names(cls):
        return MLPWithBatchNormRegressor._get_param_names()


def plain_parameters(cls):
    # dtype=None keeps float32 for float32 X, as upstream does.
    assert set(cls._plain_parameters) <= set(inspect.signature(cls).parameters)
    return cls._plain_parameters | {"dtype": None}


def pytest_configure(config):
    classes = {
        "plain": (PlainClassifier, PlainRegressor),
        "normalized": (MLPWithBatchNormClassifier, MLPWithBatchNormRegressor),
    }[os.environ["SKBN_UPSTREAM_MODE"]]
    sklearn.neural_network.MLPClassifier, sklearn.neural_network.MLPRegressor = classes

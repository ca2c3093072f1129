"""A pytest plugin: runs scikit-learn's tests of its networks on ours.

``SKBN_UPSTREAM_MODE=plain`` rebinds the two names to our classes with everything of ours off,
``=normalized`` to our classes as they are. Named with ``-p`` before anything is collected.
"""

import os

import sklearn.neural_network

from skbn import MLPWithBatchNormClassifier, MLPWithBatchNormRegressor


def plain(cls):
    """A subclass whose defaults are scikit-learn's network."""

    class Plain(cls):
        def __init__(self, *arguments, **parameters):
            given = dict(zip(self._get_param_names(), arguments, strict=False)) | parameters
            super().__init__(**(cls._plain_parameters | {"dtype": None} | given))

        @classmethod
        def _get_param_names(cls_):
            return names

    names = positional_names(cls)
    Plain.__name__ = Plain.__qualname__ = cls.__name__
    return Plain


def positional_names(cls):
    import inspect

    return [name for name in inspect.signature(cls.__init__).parameters if name != "self"]


def pytest_configure(config):
    mode = os.environ["SKBN_UPSTREAM_MODE"]
    wrap = plain if mode == "plain" else (lambda cls: cls)
    sklearn.neural_network.MLPClassifier = wrap(MLPWithBatchNormClassifier)
    sklearn.neural_network.MLPRegressor = wrap(MLPWithBatchNormRegressor)

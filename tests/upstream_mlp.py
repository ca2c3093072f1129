"""A pytest plugin: scikit-learn's tests of its networks, run on ours.

It rebinds the two names in ``sklearn.neural_network`` before anything is collected, to classes
with upstream's defaults of all its parameters: the tests are about what those do. With
``SKBN_UPSTREAM_MODE=plain`` everything of ours is off, with ``normalized`` inputs are standardized
and hidden layers normalized, and nothing else stands in front of the first layer.
``test_upstream_mlp.py`` starts it.
"""

import inspect
import os

import sklearn.neural_network
from parameters import COLUMNS_ALONE
from sklearn.neural_network import MLPClassifier, MLPRegressor

from skbn import MLPWithBatchNormClassifier, MLPWithBatchNormRegressor

NORMALIZED = {"normalize_input": "standard", "weight_decay": 0.0, **COLUMNS_ALONE}


def upstream_parameters(cls, upstream, arguments, parameters):
    """Parameters as given, upstream's defaults for the others that it has."""
    defaults = {
        name: parameter.default
        for name, parameter in inspect.signature(upstream).parameters.items()
        if name in inspect.signature(cls).parameters
    }
    given = inspect.signature(cls).bind_partial(*arguments).arguments
    return defaults | given | parameters


def plain_parameters(cls):
    # dtype=None keeps float32 for float32 X, as upstream does.
    assert set(cls._plain_parameters) <= set(inspect.signature(cls).parameters)
    return cls._plain_parameters | {"dtype": None}


def with_upstream_defaults(cls, upstream, **others):
    """A subclass whose ``get_params`` is that of `cls`."""

    def __init__(self, *arguments, **parameters):
        parameters = upstream_parameters(cls, upstream, arguments, parameters)
        cls.__init__(self, **others | parameters)

    names = classmethod(lambda _: cls._get_param_names())
    return type(cls.__name__, (cls,), {"__init__": __init__, "_get_param_names": names})


def pytest_configure(config):
    plain = os.environ["SKBN_UPSTREAM_MODE"] == "plain"
    for cls, upstream in (
        (MLPWithBatchNormClassifier, MLPClassifier),
        (MLPWithBatchNormRegressor, MLPRegressor),
    ):
        others = plain_parameters(cls) if plain else NORMALIZED
        subclass = with_upstream_defaults(cls, upstream, **others)
        setattr(sklearn.neural_network, upstream.__name__, subclass)
        # Where a pickle looks for it.
        globals()[cls.__name__] = subclass

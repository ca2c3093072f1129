"""The models that are compared on tables: ours, with parts left out, and others'.

Each is built as its users would: by its defaults, with the scaling that it asks for. All get the
same plain numbers.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec

from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skbn import MLPWithBatchNormClassifier, MLPWithBatchNormRegressor


@dataclass(frozen=True)
class Model:
    """A name, and how to make an unfitted estimator of a task and a seed.

    Parameters
    ----------
    name : str
    build : callable
        ``build(is_classification, seed)``.
    modules : tuple of str
        What it needs beyond the package and scikit-learn.
    """

    name: str
    build: Callable
    modules: tuple = ()

    @property
    def missing(self):
        """Modules that are not installed."""
        return [module for module in self.modules if find_spec(module) is None]


def own(is_classification, seed, **parameters):
    kind = MLPWithBatchNormClassifier if is_classification else MLPWithBatchNormRegressor
    return kind(random_state=seed, **parameters)


def raw_mlp(is_classification, seed):
    return (MLPClassifier if is_classification else MLPRegressor)(random_state=seed)


def scaled(build, is_classification, seed):
    """Standardized inputs, and a standardized target."""
    model = make_pipeline(StandardScaler(), build(is_classification, seed))
    if is_classification:
        return model
    return TransformedTargetRegressor(model, transformer=StandardScaler())


def boosting(is_classification, seed):
    kind = HistGradientBoostingClassifier if is_classification else HistGradientBoostingRegressor
    return kind(random_state=seed)


def linear(is_classification, seed):
    return LogisticRegression(max_iter=1000) if is_classification else RidgeCV()


def skorch(is_classification, seed):
    from benchmarks.skorch_network import SkorchNetwork

    return SkorchNetwork(is_classification, seed)


def real_mlp(name, is_classification, seed):
    import pytabkit

    kind = getattr(pytabkit, f"{name}_{'Classifier' if is_classification else 'Regressor'}")
    return kind(random_state=seed, device="cpu", n_threads=1)


REFERENCE = "sklearn"

MODELS = {
    model.name: model
    for model in (
        Model("skbn", own),
        Model("skbn without batch norm", partial(own, batch_norm=None)),
        Model("skbn after activation", partial(own, batch_norm="after")),
        Model(REFERENCE, partial(scaled, raw_mlp)),
        Model("sklearn raw", raw_mlp),
        Model("skorch", partial(scaled, skorch), ("torch", "skorch")),
        Model("RealMLP-TD-S", partial(real_mlp, "RealMLP_TD_S"), ("pytabkit",)),
        Model("RealMLP-TD", partial(real_mlp, "RealMLP_TD"), ("pytabkit",)),
        Model("HistGradientBoosting", boosting),
        Model("linear", partial(scaled, linear)),
    )
}

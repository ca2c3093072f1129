"""The models that are compared on tables: ours, their variants, and models of other libraries.

Each model is built as its users would build it: with its defaults, and with the scaling that it
needs. All models get the same plain numbers. A new variant of our network is a line of
``ABLATION``.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from inspect import signature

from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skbn import (
    MLPEnsembleWithBatchNormClassifier,
    MLPEnsembleWithBatchNormRegressor,
    MLPWithBatchNormClassifier,
    MLPWithBatchNormRegressor,
)


@dataclass(frozen=True)
class Model:
    """A name, and a function that makes an unfitted estimator from a task and a seed.

    Parameters
    ----------
    name : str
    build : callable
        ``build(is_classification, seed)``.
    modules : tuple of str
        Modules that the model needs beyond this package and scikit-learn.
    parameters : dict
        Arguments of the constructor of a variant. Results with the same name but other parameters
        are not used for this model.
    """

    name: str
    build: Callable
    modules: tuple = ()
    parameters: dict = field(default_factory=dict)

    @property
    def missing(self):
        """Modules that are not installed."""
        return [module for module in self.modules if find_spec(module) is None]


def own(is_classification, seed, **parameters):
    kind = MLPWithBatchNormClassifier if is_classification else MLPWithBatchNormRegressor
    return kind(random_state=seed, **parameters)


def variant(name, parameters):
    """Our estimator with some parameters. Parameters that only the other task has are left out."""
    return Model(name, partial(own_of_a_kind, parameters), parameters=parameters)


def own_of_a_kind(parameters, is_classification, seed):
    kinds = MLPWithBatchNormClassifier, MLPWithBatchNormRegressor
    kind, other = kinds if is_classification else kinds[::-1]
    foreign = signature(other).parameters.keys() - signature(kind).parameters.keys()
    known = {name: value for name, value in parameters.items() if name not in foreign}
    return kind(**{"random_state": seed} | known)


def ensemble(parameters, is_classification, seed):
    """Our ensemble. Parameters of the perceptron go to the members, all others to the ensemble."""
    kinds = MLPEnsembleWithBatchNormClassifier, MLPEnsembleWithBatchNormRegressor
    kind = kinds[0] if is_classification else kinds[1]
    own = {name: value for name, value in parameters.items() if name in signature(kind).parameters}
    of_members = {name: value for name, value in parameters.items() if name not in own}
    member = own_of_a_kind(of_members, is_classification, None)
    return kind(member, n_jobs=1, random_state=seed).set_params(**own)


def ensemble_variant(name, parameters):
    """Our ensemble with some parameters."""
    return Model(name, partial(ensemble, parameters), parameters=parameters)


def raw_mlp(is_classification, seed):
    return (MLPClassifier if is_classification else MLPRegressor)(random_state=seed)


def scaled(build, is_classification, seed):
    """A model behind standardized inputs, with a standardized target."""
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
        Model("skbn ensemble", partial(ensemble, {})),
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

# Variants that show the contribution of each choice among the defaults. Each name has some
# parameters of the constructor; all other parameters have their defaults.
ABLATION = {
    "the defaults": {},
    "moments, not quartiles": {"normalize_input": "smooth_clip"},
    "moments, not clipped": {"normalize_input": "standard"},
    "no factors of the inputs": {"trained_input_scale": False},
    "no embedding": {"periodic_embedding": None},
    "embedding c = 0.5": {"periodic_embedding": 0.5},
    "embedding c = 2": {"periodic_embedding": 2.0},
    "128 units": {"hidden_layer_sizes": (128, 128, 128)},
    "two layers of 100": {"hidden_layer_sizes": (100, 100)},
    "no weight decay": {"weight_decay": 0.0},
    "25 epochs": {"n_epochs": 25},
    "40 epochs": {"n_epochs": 40},
    "nothing held out": {"early_stopping": False},
    "no temperature": {"calibrate": False},
    "best epoch": {"early_stopping": True},
    "without batch norm": {"batch_norm": None},
    "batch norm after": {"batch_norm": "after"},
    "relu": {"activation": "relu"},
    "cosine": {"learning_rate": "cosine"},
    "beta_2 = 0.999": {"beta_2": 0.999},
    "rate 0.02": {"learning_rate_init": 0.02},
    "batches of 64": {"batch_size": 64},
    "dropout 0.1": {"dropout": 0.1},
}
# Variants of the ensemble: other members, and other parameters of the members.
ENSEMBLE_ABLATION = {
    "the ensemble": {},
    "one member": {"periodic_embeddings": (1.0,)},
    "two members": {"periodic_embeddings": (None, 1.0)},
    "five members": {"periodic_embeddings": (None, 0.5, 1.0, 2.0, 3.0)},
    "three seeds of one view": {"periodic_embeddings": (1.0, 1.0, 1.0)},
    "three views without embedding": {"periodic_embeddings": (None, None, None)},
    "the last epoch": {"early_stopping": False},
    "the best epoch": {"early_stopping": True},
    "members without temperature": {"calibrate": False},
    "members without batch norm": {"batch_norm": None},
}
# The variants of the network and of the ensemble. The first variant of each is the reference.
ABLATIONS = {"network": ABLATION, "ensemble": ENSEMBLE_ABLATION}


def known():
    """All models by their names, the variants last."""
    return (
        MODELS
        | {name: variant(name, parameters) for name, parameters in ABLATION.items()}
        | {name: ensemble_variant(name, one) for name, one in ENSEMBLE_ABLATION.items()}
    )


def chosen(names):
    """The models of these names that are installed. Prints which models are not installed."""
    models = []
    for name in names:
        if name not in known():
            raise SystemExit(f"no model is called {name!r}: there are {', '.join(known())}")
        if known()[name].missing:
            print(f"{name} is left out: {', '.join(known()[name].missing)} not installed")
        else:
            models.append(known()[name])
    return models

"""The tables of the user guide: calibration, class imbalance, streams, parameters, kinds of models.

python -m benchmarks.guide                # all tables
python -m benchmarks.guide calibration    # one of them: see TABLES

scikit-learn generates or contains all data. Each table takes one to five minutes.
"""

import sys

import numpy as np
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import (
    load_breast_cancer,
    load_diabetes,
    make_classification,
    make_friedman1,
)
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    brier_score_loss,
    f1_score,
    log_loss,
    precision_score,
    recall_score,
)
from sklearn.model_selection import (
    KFold,
    TunedThresholdClassifierCV,
    cross_val_score,
    train_test_split,
)
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skbn import (
    BatchNormTransformer,
    MLPEnsembleWithBatchNormClassifier,
    MLPEnsembleWithBatchNormRegressor,
    MLPWithBatchNormClassifier,
    MLPWithBatchNormRegressor,
)


def network(seed, **parameters):
    return MLPWithBatchNormClassifier(random_state=seed, **parameters)


def ensemble(seed, **parameters):
    member = MLPWithBatchNormClassifier(**parameters)
    return MLPEnsembleWithBatchNormClassifier(member, random_state=seed)


def tuned(model, seed):
    return TunedThresholdClassifierCV(model, scoring="f1", cv=3, random_state=seed)


def half_noise(seed):
    """30 % of the labels are drawn at random."""
    return make_classification(4000, 20, n_informative=5, flip_y=0.3, random_state=seed)


def pure_noise(seed):
    """The columns do not depend on the class; 30 % of the rows have class 1."""
    X, _ = make_classification(
        4000, 20, n_informative=5, flip_y=1.0, weights=[0.7], random_state=seed
    )
    return X, (np.random.default_rng(seed).random(4000) < 0.3).astype(int)


def calibration(n_seeds=5):
    """Log loss and Brier score of 3,000 rows after training on 1,000."""
    models = {
        "defaults": network,
        "calibrate=False": lambda s: network(s, calibrate=False),
        "early_stopping=True": lambda s: network(s, early_stopping=True),
        "n_epochs=10": lambda s: network(s, n_epochs=10),
        "early_stopping=False": lambda s: network(s, early_stopping=False),
        "ensemble": ensemble,
        "CalibratedClassifierCV": lambda s: CalibratedClassifierCV(
            network(s, early_stopping=False), cv=5
        ),
        "scikit-learn's network": lambda s: make_pipeline(
            StandardScaler(), MLPClassifier(random_state=s)
        ),
        "class prior": None,
    }
    for table in (half_noise, pure_noise):
        for name, make in models.items():
            scores = []
            for seed in range(n_seeds):
                X_train, X_test, y_train, y_test = train_test_split(
                    *table(seed), train_size=1000, random_state=seed
                )
                if make is None:
                    p = np.full(len(y_test), y_train.mean())
                else:
                    p = make(seed).fit(X_train, y_train).predict_proba(X_test)[:, 1]
                scores.append(
                    [
                        accuracy_score(y_test, p > 0.5),
                        log_loss(y_test, p),
                        brier_score_loss(y_test, p),
                    ]
                )
            print_row(f"{table.__name__:11s} {name}", scores)


def imbalance(n_seeds=6, n_train=3000):
    """Scores of 3,000 rows, 6 % of a rare class, in the order of the computation below."""
    models = {
        "defaults": network,
        'class_weight="balanced"': lambda s: network(s, class_weight="balanced"),
        "class_weight={1: 5}": lambda s: network(s, class_weight={1: 5}),
        "calibrate=False": lambda s: network(s, calibrate=False),
        'early_stopping=True, scoring="loss"': lambda s: network(
            s, early_stopping=True, scoring="loss"
        ),
        "threshold tuned for F1": lambda s: tuned(network(s), s),
        "ensemble": ensemble,
        "ensemble, balanced": lambda s: ensemble(s, class_weight="balanced"),
        "ensemble, threshold tuned for F1": lambda s: tuned(ensemble(s), s),
        "gradient boosting": lambda s: HistGradientBoostingClassifier(random_state=s),
    }
    for name, make in models.items():
        scores = []
        for seed in range(n_seeds):
            X, y = make_classification(
                n_train + 3000,
                20,
                n_informative=6,
                weights=[0.95],
                flip_y=0.03,
                random_state=seed,
            )
            X_train, X_test, y_train, y_test = train_test_split(
                X, y, test_size=3000, random_state=seed, stratify=y
            )
            model = make(seed).fit(X_train, y_train)
            found, p = model.predict(X_test), model.predict_proba(X_test)[:, 1]
            scores.append(
                [
                    precision_score(y_test, found, zero_division=0.0),
                    recall_score(y_test, found),
                    f1_score(y_test, found),
                    average_precision_score(y_test, p),
                    log_loss(y_test, p),
                    p.mean(),
                ]
            )
        print_row(name, scores)


def imbalance_of_more_rows():
    """The scores of ``imbalance`` after training on 15,000 rows."""
    imbalance(n_seeds=2, n_train=15000)


class Behind:
    """A model of a stream behind a normalizer."""

    def __init__(self, normalizer, model):
        self.normalizer, self.model = normalizer, model

    def partial_fit(self, X, y, classes):
        self.normalizer.partial_fit(X)
        self.model.partial_fit(self.normalizer.transform(X), y, classes=classes)

    def score(self, X, y):
        return self.model.score(self.normalizer.transform(X), y)


def streams(n_seeds=4, n_batches=400, n_rows=32):
    """Accuracy on the next batch: mean of the first 50, and of the last 200."""
    models = {
        "behind BatchNormTransformer(momentum=0.1), rate 0.003": lambda s: Behind(
            BatchNormTransformer(momentum=0.1), network(s, learning_rate_init=0.003)
        ),
        "bn_momentum=0.3": lambda s: network(s, bn_momentum=0.3),
        "defaults": network,
        "batch_norm=None": lambda s: network(s, batch_norm=None),
        "bn_momentum=0.02": lambda s: network(s, bn_momentum=0.02),
        "scikit-learn's behind BatchNormTransformer(momentum=0.1)": lambda s: Behind(
            BatchNormTransformer(momentum=0.1), MLPClassifier(random_state=s)
        ),
        "scikit-learn's behind StandardScaler": lambda s: Behind(
            StandardScaler(), MLPClassifier(random_state=s)
        ),
    }
    for drift in (0.0, 0.05, 0.2):
        for name, make in models.items():
            scores = []
            for seed in range(n_seeds):
                rng, model, accuracies = np.random.default_rng(seed), make(seed), []
                for i in range(n_batches):
                    X, y = two_classes(rng, n_rows)
                    X += i * drift
                    if i:
                        accuracies.append(model.score(X, y))
                    model.partial_fit(X, y, classes=[0, 1])
                scores.append([np.mean(accuracies[:50]), np.mean(accuracies[-200:])])
            print_row(f"drift {drift:4.2f} {name}", scores)


def small_batches(n_seeds=3, n_rows=6400):
    """Accuracy on 5,000 new rows after a stream of `n_rows`, without drift."""
    networks = {
        "batch norm": {},
        "bn_momentum=0.02": {"bn_momentum": 0.02},
        "no batch norm": {"batch_norm": None},
    }
    for size in (2, 4, 8, 16, 32):
        for name, choice in networks.items():
            scores = []
            for seed in range(n_seeds):
                rng = np.random.default_rng(seed)
                model = network(seed, learning_rate_init=0.003, **choice)
                for _ in range(n_rows // size):
                    model.partial_fit(*two_classes(rng, size), classes=[0, 1])
                scores.append([model.score(*two_classes(rng, 5000))])
            print_row(f"batches of {size} {name}", scores)


def frozen(n_seeds=3, n_calls=800):
    """Accuracy after a fit and `n_calls` of partial_fit on rows of another relation."""
    for size in (2, 4, 8, 32):
        for one_class in (False, True):
            for bn_frozen in (False, True):
                scores = []
                for seed in range(n_seeds):
                    rng = np.random.default_rng(seed)
                    model = network(seed).fit(*two_classes(rng, 2000))
                    model.set_params(bn_frozen=bn_frozen)
                    for _ in range(n_calls):
                        y = np.full(size, rng.integers(0, 2)) if one_class else None
                        model.partial_fit(*two_classes(rng, size, column=2, y=y))
                    scores.append([model.score(*two_classes(rng, 5000, column=2))])
                kind = "one class" if one_class else "both classes"
                print_row(f"batches of {size} {kind} bn_frozen={bn_frozen}", scores)


def two_classes(rng, n_rows, column=0, y=None):
    """Rows of two classes, which differ in the mean of `column` and the spread of another."""
    if y is None:
        y = rng.integers(0, 2, n_rows)
    X = rng.normal(size=(n_rows, 10))
    X[:, column] += 1.5 * (2 * y - 1)
    X[:, 1] *= 1 + y
    return X, y


def parameters():
    """R2 of five folds of a small noisy table, one parameter changed at a time."""
    X, y = make_friedman1(600, noise=2.0, random_state=0)
    folds = KFold(5, shuffle=True, random_state=0)
    choices = {
        "n_epochs": (5, 10, 20, 40, 80),
        "dropout": (0.0, 0.1, 0.3, 0.5),
        "learning_rate_init": (0.001, 0.01, 0.1, 0.3, 1.0),
        "batch_norm": (None, "before", "after"),
        "periodic_embedding": (None, 0.5, 1.0, 2.0),
        "weight_decay": (0.0, 0.1, 0.3, 1.0),
        "hidden_layer_sizes": tuple((n,) * 3 for n in (20, 40, 80, 160, 320)),
    }
    for name, values in choices.items():
        for value in values:
            model = MLPWithBatchNormRegressor(random_state=0).set_params(**{name: value})
            print_row(f"{name}={value!r}", cross_val_score(model, X, y, cv=folds)[:, None])
    for rate in (0.003, 0.3):
        model = MLPWithBatchNormRegressor(batch_norm=None, learning_rate_init=rate, random_state=0)
        scores = cross_val_score(model, X, y, cv=folds)[:, None]
        print_row(f"batch_norm=None, learning_rate_init={rate}", scores)


def seeds(n_seeds=8):
    """The smallest and the largest R2 of eight seeds on the page of the guide on parameters."""
    X_train, X_test, y_train, y_test = train_test_split(
        *make_friedman1(600, noise=2.0, random_state=0), random_state=0
    )
    models = {
        "network": MLPWithBatchNormRegressor(),
        "n_epochs=10": MLPWithBatchNormRegressor(n_epochs=10),
        "early_stopping=True": MLPWithBatchNormRegressor(early_stopping=True),
        "ensemble": MLPEnsembleWithBatchNormRegressor(),
    }
    for name, model in models.items():
        scores = [
            model.set_params(random_state=seed).fit(X_train, y_train).score(X_test, y_test)
            for seed in range(n_seeds)
        ]
        print(f"{name:62s} {min(scores):.3f} {max(scores):.3f}", flush=True)


def choosing():
    """Accuracy or R2 of five folds of tables that ship with scikit-learn."""
    classifiers = {
        "network": network(0),
        "ensemble": ensemble(0),
        "boosting": HistGradientBoostingClassifier(random_state=0),
        "linear": make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
    }
    regressors = {
        "network": MLPWithBatchNormRegressor(random_state=0),
        "ensemble": MLPEnsembleWithBatchNormRegressor(random_state=0),
        "boosting": HistGradientBoostingRegressor(random_state=0),
        "linear": RidgeCV(),
    }
    for load, models in ((load_breast_cancer, classifiers), (load_diabetes, regressors)):
        X, y = load(return_X_y=True)
        for name, model in models.items():
            print_row(f"{load.__name__} {name}", cross_val_score(model, X, y, cv=5)[:, None])


def print_row(name, scores):
    """Means over the rows of `scores`, and their standard errors."""
    scores = np.asarray(scores)
    errors = scores.std(axis=0, ddof=1) / np.sqrt(len(scores)) if len(scores) > 1 else scores[0] * 0
    cells = (f"{m:.3f} ± {e:.3f}" for m, e in zip(scores.mean(axis=0), errors, strict=True))
    print(f"{name:62s}", *cells, flush=True)


TABLES = {
    table.__name__: table
    for table in (
        calibration,
        imbalance,
        imbalance_of_more_rows,
        streams,
        small_batches,
        frozen,
        parameters,
        seeds,
        choosing,
    )
}


if __name__ == "__main__":
    for wanted in sys.argv[1:] or TABLES:
        TABLES[wanted]()

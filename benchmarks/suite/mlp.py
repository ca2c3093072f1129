"""The perceptrons: fit and predict."""

import numpy as np
from scipy.sparse import random as random_sparse
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skbn import MLPWithBatchNormClassifier, MLPWithBatchNormRegressor

EPOCHS = 4
SHORT = {"max_iter": EPOCHS, "batch_size": 200, "random_state": 0}


class Fit:
    """A few epochs on 20,000 rows."""

    params = [[(100,), (64, 64, 64), (256, 256)], ["before", "after", None]]
    param_names = ["hidden_layer_sizes", "batch_norm"]

    def setup(self, hidden_layer_sizes, batch_norm):
        rng = np.random.default_rng(0)
        self.X = rng.standard_normal((20_000, 54), dtype=np.float32)
        self.y = rng.integers(0, 7, len(self.X))
        self.target = rng.standard_normal(len(self.X))
        parameters = {**SHORT, "batch_norm": batch_norm}
        self.classifier = MLPWithBatchNormClassifier(hidden_layer_sizes, **parameters)
        self.regressor = MLPWithBatchNormRegressor(
            hidden_layer_sizes=hidden_layer_sizes, **parameters
        )

    def time_classifier(self, hidden_layer_sizes, batch_norm):
        self.classifier.fit(self.X, self.y)

    def time_regressor(self, hidden_layer_sizes, batch_norm):
        self.regressor.fit(self.X, self.target)

    def peakmem_classifier(self, hidden_layer_sizes, batch_norm):
        self.classifier.fit(self.X, self.y)


class FitSparse:
    """The same on a sparse table."""

    def setup(self):
        self.X = random_sparse(
            20_000, 2000, density=0.01, format="csr", dtype=np.float32, random_state=0
        )
        self.y = np.arange(self.X.shape[0]) % 7
        self.classifier = MLPWithBatchNormClassifier((100,), **SHORT)

    def time_classifier(self):
        self.classifier.fit(self.X, self.y)

    def peakmem_classifier(self):
        self.classifier.fit(self.X, self.y)


class Predict:
    """Probabilities, from a single row on."""

    params = [1, 100, 100_000]
    param_names = ["n_rows"]

    def setup(self, n_rows):
        X = np.random.default_rng(0).standard_normal((max(n_rows, 1000), 54), dtype=np.float32)
        self.classifier = MLPWithBatchNormClassifier((256, 256), **SHORT)
        self.classifier.fit(X[:1000], np.arange(1000) % 7)
        self.X = X[:n_rows]

    def time_predict_proba(self, n_rows):
        self.classifier.predict_proba(self.X)

    def peakmem_predict_proba(self, n_rows):
        self.classifier.predict_proba(self.X)


class Digits:
    """Accuracy, which must not drop for speed."""

    def track_test_accuracy(self):
        X, y = load_digits(return_X_y=True)
        X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
        mlp = MLPWithBatchNormClassifier(random_state=0).fit(X_train, y_train)
        return mlp.score(X_test, y_test)

"""The recurrent networks: fit and predict."""

import numpy as np

from skbn import RNNWithBatchNormClassifier


class Fit:
    """A few epochs on 512 sequences of 64 steps."""

    params = [["lstm", "gru", "tanh"], ["full", "input", None]]
    param_names = ["cell", "batch_norm"]

    def setup(self, cell, batch_norm):
        rng = np.random.default_rng(0)
        self.X = rng.standard_normal((512, 64, 9), dtype=np.float32)
        self.y = np.arange(len(self.X)) % 6
        self.classifier = RNNWithBatchNormClassifier(
            cell=cell, batch_norm=batch_norm, batch_size=64, max_iter=2, random_state=0
        )

    def time_classifier(self, cell, batch_norm):
        self.classifier.fit(self.X, self.y)

    def peakmem_classifier(self, cell, batch_norm):
        self.classifier.fit(self.X, self.y)


class Predict:
    """Probabilities, from a single sequence on."""

    params = [1, 1000]
    param_names = ["n_sequences"]

    def setup(self, n_sequences):
        X = np.random.default_rng(0).standard_normal((1000, 64, 9), dtype=np.float32)
        self.classifier = RNNWithBatchNormClassifier(max_iter=1, random_state=0)
        self.classifier.fit(X[:100], np.arange(100) % 6)
        self.X = X[:n_sequences]

    def time_predict_proba(self, n_sequences):
        self.classifier.predict_proba(self.X)

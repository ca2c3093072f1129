"""The network that a user of skorch writes: two hidden layers with ``BatchNorm1d``.

Each layer has 256 units. The optimizer is Adam with mini-batches of 256. A tenth of the rows is
held out: it decides when to stop and which epoch was best.
"""

import numpy as np
import torch
from scipy.special import softmax
from sklearn.base import BaseEstimator
from sklearn.metrics import accuracy_score, r2_score
from skorch import NeuralNet
from skorch.callbacks import EarlyStopping
from skorch.dataset import ValidSplit
from torch import nn

UNITS = 256


def network(n_inputs, n_outputs):
    """Linear, batch norm, relu; twice."""
    layers = []
    for n_in in (n_inputs, UNITS):
        layers += [nn.Linear(n_in, UNITS), nn.BatchNorm1d(UNITS), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(UNITS, n_outputs))


class SkorchNetwork(BaseEstimator):
    """A classifier of class numbers or a regressor, sized by the data it is fitted on."""

    def __init__(self, is_classification, seed):
        self.is_classification = is_classification
        self.seed = seed

    def fit(self, X, y):
        torch.manual_seed(self.seed)
        self.n_outputs_ = int(y.max()) + 1 if self.is_classification else 1
        self.net_ = NeuralNet(
            network(X.shape[1], self.n_outputs_),
            nn.CrossEntropyLoss if self.is_classification else nn.MSELoss,
            optimizer=torch.optim.Adam,
            lr=1e-3,
            max_epochs=100,
            batch_size=256,
            # A single row has no variance.
            iterator_train__drop_last=True,
            train_split=ValidSplit(0.1, stratified=self.is_classification, random_state=self.seed),
            callbacks=[EarlyStopping(patience=10, load_best=True)],
            verbose=0,
        )
        y = y.astype(np.int64) if self.is_classification else y.astype(np.float32).reshape(-1, 1)
        self.net_.fit(X.astype(np.float32), y)
        return self

    @property
    def classes_(self):
        return np.arange(self.n_outputs_)

    def predict_proba(self, X):
        # The softmax of the raw outputs, in double precision. `predict_proba` of skorch gives
        # rounded probabilities.
        z = self.net_.forward(X.astype(np.float32)).numpy()
        return softmax(z.astype(np.float64), axis=1)

    def predict(self, X):
        z = self.net_.predict(X.astype(np.float32))
        return z.argmax(axis=1) if self.is_classification else z[:, 0]

    def score(self, X, y):
        return (accuracy_score if self.is_classification else r2_score)(y, self.predict(X))

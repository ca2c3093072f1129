"""
Internal covariate shift made visible
=====================================

The inputs of a hidden layer come from the layers below. While these layers are trained, the
distribution of the inputs moves. The paper on batch norm calls this *internal covariate shift*.
This example draws it for the network of the paper: three layers of 100 logistic units,
mini-batches of 60, plain SGD.
"""

# %%
# Train twice, and record
# -----------------------
# An :class:`~skbn.ActivationRecorder` sends the same rows through the network after each call
# of ``partial_fit``. It keeps quantiles of the inputs of chosen units, and the mean and the
# standard deviation of each layer.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.utils import gen_batches, shuffle

from skbn import ActivationDriftDisplay, ActivationRecorder, MLPWithBatchNormClassifier

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X / 16.0, y, random_state=0)

recorders = {}
for name, batch_norm in {"without batch norm": None, "with batch norm": "before"}.items():
    network = MLPWithBatchNormClassifier(
        (100, 100, 100),
        activation="logistic",
        solver="sgd",
        momentum=0.0,
        learning_rate_init=0.5,
        weight_decay=0.0,
        batch_norm=batch_norm,
        random_state=0,
    )
    recorder = ActivationRecorder(X_test)
    for epoch in range(12):
        rows, classes = shuffle(X_train, y_train, random_state=epoch)
        for batch in gen_batches(len(rows), 60):
            network.partial_fit(rows[batch], classes[batch], classes=np.arange(10))
            recorder.record(network)
    recorders[name] = recorder
    print(f"{name}: accuracy {network.score(X_test, y_test):.3f}")

# %%
# The inputs of one unit of the last hidden layer
# -----------------------------------------------
# The line is the median over the rows. The band reaches from the 15 % quantile to the 85 %
# quantile, as in figure 1 of the paper.

display = ActivationDriftDisplay.from_recorder(recorders)
plt.show()

# %%
# Without batch norm the inputs of the unit move by 2 in a few epochs. At first they are nearly
# the same for all rows: the unit tells the rows apart only after 200 steps. With batch norm the
# inputs of the unit stay near 0, with a deviation near 1, from the first step on. The inputs of
# all other layers do the same.
#
# Reference: Ioffe and Szegedy (2015), "Batch normalization: accelerating deep network training
# by reducing internal covariate shift", section 4.1. Later work doubts that the shift is the
# reason why batch norm helps: Santurkar et al. (2018), "How does batch normalization help
# optimization?".

"""
Hidden layers as features
=========================

``hidden_activations`` gives the outputs of a hidden layer. Another model can use them as its
features. Here the table has the pixels of the digits and many columns of noise. The noise
disturbs a nearest-neighbour classifier on all columns. On the outputs of the hidden layer the same
classifier is better.
"""

# %%
# Train a network, and take its last hidden layer
# -----------------------------------------------

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier

from skbn import MLPWithBatchNormClassifier

X, y = load_digits(return_X_y=True)
noise = np.random.default_rng(0).uniform(0.0, 16.0, (len(X), 200))
X = np.hstack([X, noise])  # 64 pixels, and 200 columns that mean nothing
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.5, random_state=0)
network = MLPWithBatchNormClassifier(random_state=0).fit(X_train, y_train)

hidden_train = network.hidden_activations(X_train)
hidden_test = network.hidden_activations(X_test)
print(f"{X_test.shape[1]} columns become {hidden_test.shape[1]} features")

# %%
# The output layer is a linear map of these features. Softmax makes probabilities of its
# outputs; the classifier then draws the probabilities a little towards the shares of the
# classes (``temperature_``).

raw = hidden_test @ network.coefs_[-1] + network.intercepts_[-1]
print(np.mean(raw.argmax(axis=1) == network.predict(X_test)), "of the predictions agree")

# %%
# Nearest neighbours
# ------------------
# The distance between two rows counts all columns alike. The network has learned which columns
# matter.

for name, train, test in (("columns", X_train, X_test), ("features", hidden_train, hidden_test)):
    score = KNeighborsClassifier().fit(train, y_train).score(test, y_test)
    print(f"nearest neighbours by {name}: accuracy {score:.3f}")

# %%
# The digits in two dimensions
# ----------------------------

figure, panels = plt.subplots(1, 2, figsize=(9, 4.2), layout="constrained")
for axes, name, table in zip(panels, ("all columns", "last hidden layer"), (X_test, hidden_test)):
    points = PCA(2).fit_transform(table)
    scatter = axes.scatter(points[:, 0], points[:, 1], c=y_test, cmap="tab10", s=8)
    axes.set(title=name, xticks=[], yticks=[])
    axes.set_xlabel("first principal component")
panels[0].set_ylabel("second principal component")
figure.colorbar(scatter, ax=panels, label="digit", ticks=range(10))
plt.show()

"""
Sequences of different length
=============================

A list of sequences becomes one array, with NaN after the end of shorter sequences. A recurrent
network with batch norm per time step learns from them, inside a pipeline and a grid search.
"""

# %%
# A list of arrays
# ----------------
# Each sequence is an array of shape (n_steps, n_features), and each has its own number of
# steps. Two channels hold a noisy wave; the class says which channel is ahead.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.model_selection import GridSearchCV, train_test_split

from skbn import RNNWithBatchNormClassifier
from skbn.sequences import from_long_frame, padded


def waves(n=240, seed=0):
    """Noisy waves, and which of their two channels is ahead."""
    rng = np.random.default_rng(seed)
    y = rng.choice(["first", "second"], n)
    series = []
    for label in y:
        time = rng.uniform(0.0, 6.0) + 0.6 * np.arange(rng.integers(12, 25))
        ahead = 0.8 if label == "second" else -0.8
        wave = np.stack([np.sin(time), np.sin(time + ahead)], axis=1)
        series.append(100.0 + 10.0 * (wave + 0.3 * rng.standard_normal(wave.shape)))
    return series, y


series, y = waves()
X = padded(series)
print(f"{len(series)} sequences of {min(map(len, series))} to {max(map(len, series))} steps")
print(f"as one array: {X.shape}")

# %%
# A long table
# ------------
# Tables often have a row for each sequence and time. :func:`~skbn.sequences.from_long_frame`
# gives the same array, and the name of each sequence.

table = pd.concat(
    pd.DataFrame(one, columns=["left", "right"]).assign(id=i, time=np.arange(len(one)))
    for i, one in enumerate(series)
)
print(table.head(3))
from_table, ids = from_long_frame(table, "id", "time")
assert np.array_equal(from_table, X, equal_nan=True)

# %%
# A search
# --------
# The network normalizes its inputs: the numbers around 100 need no scaling. Statistics are
# taken over the sequences of a mini-batch, for each time step by itself.

X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
search = GridSearchCV(
    RNNWithBatchNormClassifier((16,), max_iter=30, random_state=0),
    {"cell": ["lstm", "gru"], "batch_norm": ["full", None]},
    cv=3,
)
search.fit(X_train, y_train)
for params, score in zip(search.cv_results_["params"], search.cv_results_["mean_test_score"]):
    print(params, f"{score:.3f}")
print(f"best on test sequences: {search.score(X_test, y_test):.3f}")

# %%
# Two sequences
# -------------

figure, panels = plt.subplots(1, 2, figsize=(9, 3), layout="constrained", sharey=True)
for axes, label in zip(panels, ("first", "second")):
    axes.plot(X[y == label][0], marker=".")
    axes.set(title=f"the {label} channel is ahead", xlabel="time step")
panels[0].legend(["first channel", "second channel"])
plt.show()

# %%
# Arrays of other packages
# ------------------------
# tslearn's arrays have the same order of axes, and NaN after the end of shorter sequences.
# aeon and sktime put channels before time steps: ``X.swapaxes(1, 2)`` goes from one order to
# the other.

print(X.swapaxes(1, 2).shape)

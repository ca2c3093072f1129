"""
A stream whose columns drift
============================

The sensors of a machine are recalibrated from time to time: the zero and the unit of each
column change. The relation between rows and classes stays the same. Averages over all rows mix
several calibrations. Exponential running averages follow the newest calibration.
"""

# %%
# A stream of small batches
# -------------------------
# Each batch has 100 rows of 10 columns. After every 100 batches each column gets another zero
# and another unit.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler

from skbn import BatchNormTransformer, MLPWithBatchNormClassifier

N_BATCHES, N_ROWS, N_COLUMNS = 400, 100, 10


def stream(seed=0):
    """Yield batches of rows whose columns drift, and their classes."""
    rng = np.random.default_rng(seed)
    rule = rng.standard_normal((2, N_COLUMNS))
    for i in range(N_BATCHES):
        if i % 100 == 0:
            zero = 5.0 * rng.standard_normal(N_COLUMNS)
            unit = rng.lognormal(0.0, 1.0, N_COLUMNS)
        rows = rng.standard_normal((N_ROWS, N_COLUMNS))
        left, right = (rows @ rule.T).T
        yield unit * (rows + zero), (left * right > 0).astype(int)


# %%
# Three ways to normalize a stream
# --------------------------------
# :class:`~sklearn.preprocessing.StandardScaler` and the transformer with ``momentum=None``
# average over all rows seen so far. A transformer with ``momentum=0.1`` gives the newest batch
# the weight 0.1, so it forgets. Each batch is first predicted, and then learned. The score of a
# batch is therefore the score of unseen rows.


def accuracies(normalizer, network):
    """The accuracy on each batch, before the batch is learned."""
    scores = []
    for X, y in stream():
        if scores or hasattr(normalizer, "n_samples_seen_"):
            scores.append(np.mean(network.predict(normalizer.transform(X)) == y))
        normalizer.partial_fit(X)
        network.partial_fit(normalizer.transform(X), y, classes=[0, 1])
    return scores


plain = {"hidden_layer_sizes": (64, 64), "learning_rate_init": 0.003, "random_state": 0}
ours = plain | {"normalize_input": None}
pairs = {
    "StandardScaler, MLPClassifier": (StandardScaler(), MLPClassifier(**plain)),
    "all rows alike, with batch norm": (
        BatchNormTransformer(momentum=None), MLPWithBatchNormClassifier(**ours)
    ),
    "newest rows first, with batch norm": (
        BatchNormTransformer(momentum=0.1), MLPWithBatchNormClassifier(**ours)
    ),
}  # fmt: skip
results = {name: accuracies(*pair) for name, pair in pairs.items()}

# %%
# The scores over the stream
# --------------------------

figure, axes = plt.subplots(figsize=(7, 5), layout="constrained")
window = np.ones(20) / 20
for name, scores in results.items():
    axes.plot(np.convolve(scores, window, "valid"), label=f"{name}: {np.mean(scores):.3f}")
axes.set_xlabel("batches of 100 rows")
axes.set_ylabel("accuracy on the next batch\n(mean of 20 batches)")
axes.set_title("Sensors are recalibrated after every 100 batches")
axes.legend(title="mean of the stream", loc="upper center", bbox_to_anchor=(0.5, -0.18))
plt.show()

# %%
# Averages over all rows lag behind each recalibration. The lag grows with the length of the
# stream. The averages with ``momentum=0.1`` reach the new calibration after about 20 batches. Then
# the network has the same kind of inputs as before.

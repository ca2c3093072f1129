"""
Initial weights with and without batch norm
===========================================

Batch norm divides by the standard deviation of each unit. A factor on all weights of a layer
therefore cancels: the outputs of the layer stay the same. This example multiplies the initial
weights by factors from 0.01 to 100.
"""

# %%
# The search
# ----------

import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning, FitFailedWarning
from sklearn.model_selection import GridSearchCV

from skbn import MLPWithBatchNormClassifier, SensitivityDisplay

X, y = load_digits(return_X_y=True)
network = MLPWithBatchNormClassifier(
    (64,) * 5,
    activation="tanh",
    learning_rate="constant",
    learning_rate_init=0.001,
    batch_size=64,
    max_iter=15,
    weight_decay=0.0,
    periodic_embedding=None,
    trained_input_scale=False,
    normalize_input="standard",
    random_state=0,
)
search = GridSearchCV(
    network,
    {"batch_norm": ["before", None], "init_scale": np.logspace(-2, 2, 9)},
    cv=3,
)
with warnings.catch_warnings():
    # The number of epochs is fixed, and a fit may diverge: its score is then NaN.
    warnings.simplefilter("ignore", ConvergenceWarning)
    warnings.simplefilter("ignore", FitFailedWarning)
    warnings.filterwarnings("ignore", "One or more of the test scores are non-finite")
    search.fit(X, y)

# %%
# The picture
# -----------

display = SensitivityDisplay.from_search(search)
display.ax_.set_title("Digits, five hidden layers of tanh, 15 epochs of Adam")
plt.show()

# %%
# With batch norm small factors make no difference. Large factors lower the score. The reason: a
# step of Adam has about the same length for small and for large weights, so large weights hardly
# change their direction in 15 epochs. Without
# batch norm small weights let the signal vanish from layer to layer, and large weights drive
# tanh to -1 and 1, where its gradient is 0.

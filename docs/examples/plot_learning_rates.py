"""
Learning rates with and without batch norm
==========================================

A grid search over learning rates that span four decades, with batch norm and without.
:class:`~skbn.SensitivityDisplay` draws the scores straight from the search.
"""

# %%
# The search
# ----------
# Three hidden layers are trained by plain SGD with a constant learning rate for 15 epochs. The
# search changes two parameters only: the learning rate, and whether the hidden layers are
# normalized.

import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning, FitFailedWarning
from sklearn.model_selection import GridSearchCV

from skbn import MLPWithBatchNormClassifier, SensitivityDisplay

X, y = load_digits(return_X_y=True)
network = MLPWithBatchNormClassifier(
    (64, 64, 64),
    activation="relu",
    solver="sgd",
    learning_rate="constant",
    momentum=0.0,
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
    {"batch_norm": ["before", None], "learning_rate_init": np.logspace(-3, 1, 9)},
    cv=3,
)
with warnings.catch_warnings():
    # The number of epochs is fixed, and high rates may diverge: their score is then NaN.
    warnings.simplefilter("ignore", ConvergenceWarning)
    warnings.simplefilter("ignore", FitFailedWarning)
    warnings.filterwarnings("ignore", "One or more of the test scores are non-finite")
    search.fit(X, y)

# %%
# The picture
# -----------
# The band is one standard deviation over the folds.

display = SensitivityDisplay.from_search(search)
display.ax_.set_title("Digits, 15 epochs of SGD")
plt.show()

# %%
# With batch norm the network learns faster at low rates, and it still learns at a rate at which
# the network without batch norm diverges. At the best rates the scores are close: the gain is
# the width of the range.

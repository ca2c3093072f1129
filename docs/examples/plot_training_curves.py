"""
Training curves
===============

:class:`~skbn.TrainingCurveDisplay` draws the losses, the scores and the learning rates of
fitted networks. Several networks fit into one picture.
"""

# %%
# One network
# -----------
# The default learning rate rises for 30 % of the epochs and then falls. The default classifier
# looks at its held-out rows after eight of its epochs. The markers of the validation loss show
# when.

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skbn import MLPWithBatchNormClassifier, TrainingCurveDisplay

X, y = load_digits(return_X_y=True)
X_train, X_val, y_train, y_val = train_test_split(X, y, test_size=0.3, random_state=0)

network = MLPWithBatchNormClassifier(random_state=0).fit(X_train, y_train)
TrainingCurveDisplay.from_estimator(network, quantity=["loss", "learning_rate"])
plt.show()

# %%
# Validation rows of your own
# ---------------------------
# ``X_val`` and ``y_val`` take the place of the held-out rows. With ``early_stopping=True`` they
# are looked at after each epoch, and the best epoch is kept.

networks = {}
for dropout in (0.0, 0.2, 0.5):
    networks[f"dropout {dropout}"] = MLPWithBatchNormClassifier(
        dropout=dropout, early_stopping=True, random_state=0
    ).fit(X_train, y_train, X_val=X_val, y_val=y_val)

TrainingCurveDisplay.from_estimators(networks, quantity=["loss", "score"])
plt.show()

# %%
# If the validation loss rises while the training loss falls, the network overfits: it learns the
# noise of its training rows. Here dropout raises the training loss, and changes the validation
# loss little.

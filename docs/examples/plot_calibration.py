"""
Calibrated probabilities on noisy tables
========================================

One label in five is wrong. A network that is trained to the end learns such labels, too. Then its
probabilities are too close to 0 and 1. The default classifier holds out a tenth of the rows. These
rows choose a checkpoint, and fit a temperature, which corrects the probabilities.
"""

# %%
# The data
# --------

import matplotlib.pyplot as plt
from sklearn.calibration import CalibrationDisplay
from sklearn.datasets import make_classification
from sklearn.metrics import accuracy_score, brier_score_loss, log_loss
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skbn import MLPEnsembleWithBatchNormClassifier, MLPWithBatchNormClassifier

X, y = make_classification(
    4000, n_features=20, n_informative=10, n_redundant=2, flip_y=0.4, random_state=0
)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.5, random_state=0)

# %%
# ``flip_y=0.4`` draws the labels of 40 % of the rows by chance, so a fifth of all labels is
# wrong. The best possible accuracy is therefore about 0.8.
#
# Four models
# -----------

models = {
    "one network": MLPWithBatchNormClassifier(random_state=0),
    "three networks": MLPEnsembleWithBatchNormClassifier(random_state=0),
    "nothing held out": MLPWithBatchNormClassifier(early_stopping=False, random_state=0),
    "scikit-learn's network": make_pipeline(
        StandardScaler(), MLPClassifier(early_stopping=True, random_state=0)
    ),
}
print(f"{'':24}{'accuracy':>9}{'log loss':>10}{'Brier score':>13}")
for name, model in models.items():
    model.fit(X_train, y_train)
    probabilities = model.predict_proba(X_test)
    print(
        f"{name:24}{accuracy_score(y_test, model.predict(X_test)):9.3f}"
        f"{log_loss(y_test, probabilities):10.3f}"
        f"{brier_score_loss(y_test, probabilities[:, 1]):13.3f}"
    )
print(f"temperature of one network: {models['one network'].temperature_:.2f}")

# %%
# Reliability curves
# ------------------
# A point shows rows with about the same probability. The point lies on the diagonal where the
# probability is the share of positive rows.

figure, axes = plt.subplots(figsize=(6, 5), layout="constrained")
for name, model in models.items():
    CalibrationDisplay.from_estimator(
        model, X_test, y_test, n_bins=8, strategy="quantile", name=name, ax=axes
    )
axes.set_title("A fifth of the labels is wrong")
plt.show()

# %%
# The network that holds nothing out gives a probability near 1 to rows that are positive in 8 of
# 10 cases. Its log loss is worse than 0.69, the log loss of the probability 0.5 for every row. The
# other models stay near the diagonal. Here the checkpoint alone is enough for the default network:
# its temperature is 1, so the temperature does not change its probabilities.

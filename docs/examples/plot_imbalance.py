"""
Rare classes: weights, thresholds and probabilities
====================================================

One row in twenty is positive. Class weights change the loss of the training. So the
probabilities of the network change, too. A threshold changes the decision alone. This example
compares both, and shows when each is the better tool.
"""

# %%
# The data
# --------
# 12,000 rows of 20 columns. About 5 % of the rows are positive.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.calibration import CalibrationDisplay
from sklearn.datasets import make_classification
from sklearn.metrics import PrecisionRecallDisplay, balanced_accuracy_score, f1_score, log_loss
from sklearn.model_selection import TunedThresholdClassifierCV, train_test_split

from skbn import MLPWithBatchNormClassifier

X, y = make_classification(
    12_000, n_features=20, n_informative=8, weights=[0.95], class_sep=0.5, random_state=1
)
X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)

# %%
# Three models
# ------------
# The first model has the default parameters. The second model counts each class alike
# (``class_weight="balanced"``). The third model is the first one behind a threshold, which
# cross-validation chooses for the best F1 score.

models = {
    "default": MLPWithBatchNormClassifier(random_state=0),
    "class_weight='balanced'": MLPWithBatchNormClassifier(class_weight="balanced", random_state=0),
    "tuned threshold": TunedThresholdClassifierCV(
        MLPWithBatchNormClassifier(random_state=0), scoring="f1", cv=3
    ),
}
print(f"{'':26}{'F1':>6}{'balanced accuracy':>20}{'log loss':>10}{'positive':>10}")
for name, model in models.items():
    model.fit(X_train, y_train)
    predicted = model.predict(X_test)
    print(
        f"{name:26}{f1_score(y_test, predicted):6.2f}"
        f"{balanced_accuracy_score(y_test, predicted):20.2f}"
        f"{log_loss(y_test, model.predict_proba(X_test)):10.3f}{np.mean(predicted):10.1%}"
    )

# %%
# What the weights do to the probabilities
# ----------------------------------------
# Balanced weights move the probabilities towards one half. The model then finds more rare
# rows, so its balanced accuracy is higher. It also takes more common rows for rare rows, so its F1
# is lower. Of ten rows with a probability of 0.8, only about three are positive. The
# probabilities of the default model are close to the true shares. The right picture shows the
# order of the rows: the weights do not improve it.

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.5), layout="constrained")
for name in list(models)[:2]:
    probabilities = models[name].predict_proba(X_test)[:, 1]
    CalibrationDisplay.from_predictions(
        y_test, probabilities, n_bins=8, strategy="quantile", name=name, ax=left
    )
    PrecisionRecallDisplay.from_predictions(y_test, probabilities, name=name, ax=right)
left.set_title("Are the probabilities right?")
right.set_title("Are the rows in the right order?")
plt.show()

# %%
# Choose a threshold if you need probabilities, or if the costs of the two kinds of errors may
# change later. Choose class weights only if you use ``predict`` alone. :doc:`/guide/imbalance`
# compares more settings, and the ensemble.

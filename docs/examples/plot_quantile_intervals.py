"""
Intervals by quantile loss
==========================

A regressor with ``loss="quantile"`` predicts a quantile of the target instead of its mean. Two
regressors, of the quantiles 0.05 and 0.95, give an interval that should hold 90 % of the
targets.
"""

# %%
# A target whose noise is uneven
# ------------------------------

import matplotlib.pyplot as plt
import numpy as np

from skbn import MLPWithBatchNormRegressor

rng = np.random.default_rng(0)


def draw(n):
    x = rng.uniform(0.0, 10.0, n)
    noise = (0.1 + 0.15 * x) * rng.standard_normal(n)
    return x.reshape(-1, 1), np.sin(x) + 0.3 * x + noise


X_train, y_train = draw(3000)
X_test, y_test = draw(3000)

# %%
# Three quantiles
# ---------------

quantiles = {
    quantile: MLPWithBatchNormRegressor(
        loss="quantile", quantile=quantile, random_state=0
    ).fit(X_train, y_train)
    for quantile in (0.05, 0.5, 0.95)
}  # fmt: skip
low, median, high = (model.predict(X_test) for model in quantiles.values())
inside = np.mean((low <= y_test) & (y_test <= high))
print(f"{inside:.1%} of the test targets lie in the interval; 90 % are wanted")
for quantile, model in quantiles.items():
    below = np.mean(y_test <= model.predict(X_test))
    print(f"below the predicted quantile {quantile}: {below:.1%}")

# %%
# The interval widens where the noise grows
# -----------------------------------------

grid = np.linspace(0.0, 10.0, 300).reshape(-1, 1)
figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
axes.plot(X_test[:600, 0], y_test[:600], ".", color="0.6", markersize=3, label="test rows")
axes.fill_between(
    grid[:, 0],
    quantiles[0.05].predict(grid),
    quantiles[0.95].predict(grid),
    alpha=0.3,
    label="from quantile 0.05 to 0.95",
)
axes.plot(grid[:, 0], quantiles[0.5].predict(grid), label="median")
axes.set_xlabel("x")
axes.set_ylabel("target")
axes.legend()
plt.show()

# %%
# The three networks are trained independently. In places with few rows the curves can cross.
# The share of rows in the interval is not guaranteed: check it on rows that no network was
# trained on.

"""
A table with categories, gaps and huge numbers
==============================================

Real tables have columns of words, missing numbers and columns with a few huge values.
scikit-learn's own parts code the words and fill the gaps. The network does the scaling by
itself.
"""

# %%
# Made-up houses
# --------------
# The sizes of the gardens have a distribution without a finite variance: a few gardens are huge.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.metrics import PredictionErrorDisplay
from sklearn.model_selection import cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from skbn import MLPWithBatchNormRegressor

rng = np.random.default_rng(0)
n_rows = 1500
houses = pd.DataFrame(
    {
        "area": rng.lognormal(4.5, 0.4, n_rows),
        "garden": rng.standard_cauchy(n_rows) ** 2,
        "year": rng.integers(1900, 2025, n_rows).astype(float),
        "town": rng.choice(["Ashby", "Brook", "Cole"], n_rows),
        "heating": rng.choice(["gas", "oil", "wood", None], n_rows),
    }
)
houses.loc[rng.random(n_rows) < 0.1, "year"] = np.nan
factor = houses["town"].map({"Ashby": 1.0, "Brook": 1.4, "Cole": 2.0})
prices = 1500.0 * factor * houses["area"] * (1.0 + 0.1 * (houses["garden"] > 10.0))
prices = prices * rng.lognormal(0.0, 0.05, n_rows)
print(houses.describe().loc[["count", "mean", "max"]].round(1))

# %%
# One pipeline
# ------------
# Words become columns of 0 and 1. Gaps get the median, and a column of 0 and 1 that marks them.
# Neither the columns nor the target are scaled.

columns = make_column_transformer(
    (
        OneHotEncoder(handle_unknown="ignore", sparse_output=False),
        make_column_selector(dtype_exclude="number"),
    ),
    remainder=SimpleImputer(strategy="median", add_indicator=True),
)
model = make_pipeline(columns, MLPWithBatchNormRegressor(random_state=0))
scores = cross_val_score(model, houses, prices, cv=5)
print(f"R2 of 5 folds: {scores.mean():.3f} +- {scores.std():.3f}")

# %%
# Predicted and actual prices
# ---------------------------
# The noise of the prices is 5 %, so no model can come closer than that.

predicted = cross_val_predict(model, houses, prices, cv=5)
display = PredictionErrorDisplay.from_predictions(
    prices / 1000.0, predicted / 1000.0, kind="actual_vs_predicted"
)
display.ax_.set(xlabel="predicted price (1,000)", ylabel="actual price (1,000)")
plt.show()

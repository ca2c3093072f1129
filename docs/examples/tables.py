"""
============================================
A table with categories, gaps, huge numbers
============================================

scikit-learn's own parts encode the categories and fill the gaps. The network scales its columns
itself.
"""

import numpy as np
import pandas as pd
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from skbn import MLPWithBatchNormRegressor


def houses(n_rows=1500):
    """Prices of made-up houses."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "area": rng.lognormal(4.5, 0.4, n_rows),
            "garden": rng.standard_cauchy(n_rows) ** 2,
            "year": rng.integers(1900, 2025, n_rows).astype(float),
            "town": rng.choice(["Ashby", "Brook", "Cole"], n_rows),
            "heating": rng.choice(["gas", "oil", "wood", None], n_rows),
        }
    )
    table.loc[rng.random(n_rows) < 0.1, "year"] = np.nan
    factor = table["town"].map({"Ashby": 1.0, "Brook": 1.4, "Cole": 2.0})
    price = 1500.0 * factor * table["area"] * (1.0 + 0.1 * (table["garden"] > 10.0))
    return table, price * rng.lognormal(0.0, 0.05, n_rows)


def model():
    """Categories as columns of 0 and 1, gaps filled and marked; the network does the scaling."""
    columns = make_column_transformer(
        (
            OneHotEncoder(handle_unknown="ignore", sparse_output=False),
            make_column_selector(dtype_exclude="number"),
        ),
        remainder=SimpleImputer(strategy="median", add_indicator=True),
    )
    return make_pipeline(columns, MLPWithBatchNormRegressor(random_state=0))


def main():
    X, y = houses()
    scores = cross_val_score(model(), X, y, cv=5)
    print(f"R2 of 5 folds: {scores.mean():.3f} +- {scores.std():.3f}")
    return scores


if __name__ == "__main__":
    main()

"""BatchNormTransformer on a table."""

import numpy as np

from skbn import BatchNormTransformer


class Transformer:
    """Statistics and normalization of 100,000 rows."""

    params = [["float32", "float64"], ["C", "F"]]
    param_names = ["dtype", "order"]

    def setup(self, dtype, order):
        X = np.random.default_rng(0).standard_normal((100_000, 50))
        self.X = X.astype(dtype, order=order)
        self.fitted = BatchNormTransformer().fit(self.X)

    def time_partial_fit(self, dtype, order):
        BatchNormTransformer().partial_fit(self.X)

    def time_partial_fit_exponential(self, dtype, order):
        BatchNormTransformer(momentum=0.1).partial_fit(self.X)

    def time_transform(self, dtype, order):
        self.fitted.transform(self.X)

    def peakmem_partial_fit(self, dtype, order):
        BatchNormTransformer().partial_fit(self.X)

    def peakmem_transform(self, dtype, order):
        self.fitted.transform(self.X)

    def track_variance_error(self, dtype, order):
        """Largest relative distance of a running variance from NumPy's variance."""
        expected = self.X.var(axis=0, dtype=np.float64)
        return float(np.abs(self.fitted.running_var_ / expected - 1.0).max())

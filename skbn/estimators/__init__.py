"""Estimators: scikit-learn manners on top of the networks."""

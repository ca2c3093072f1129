"""Batch normalization for scikit-learn."""

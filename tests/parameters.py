"""Parameters for tests of one part of a network, which leave out other parts."""

# The first layer has one row of weights for each column of X, without a trained factor.
COLUMNS_ALONE = {"trained_input_scale": False, "periodic_embedding": None}

# A network that scikit-learn can express. The factors of the inputs are multiplied into weights.
EXPRESSIBLE = {"activation": "relu", "normalize_input": "standard", "periodic_embedding": None}

"""Checks of scikit-learn with errors that name the right argument."""

import re
import warnings
from contextlib import contextmanager

import numpy as np
from sklearn.utils.validation import _get_feature_names

from skbn.estimators.transaction import draft_of


def refuse_masked(**arguments):
    """Refuse masked arrays, because scikit-learn's checks would drop the mask.

    Raises
    ------
    ValueError
        If an argument is a masked array. The message has the name of the argument.
    """
    for name, value in arguments.items():
        if np.ma.isMaskedArray(value):
            raise ValueError(
                f"{name} is a masked array, whose mask scikit-learn does not look at. Where it "
                f"stands behind the end of shorter sequences, or for missing values of a "
                f"BatchNormTransformer, give {name}.filled(np.nan); otherwise leave the masked "
                "entries out, or fill them."
            )


@contextmanager
def in_the_name_of(name, instead_of):
    """Let errors in the block name the argument `name`.

    Errors of scikit-learn's checks name ``X``, ``y`` or ``sample_weight``, or nothing at all,
    whatever argument is checked. Errors of its splits name ``test_size``. In the first line of an
    error `name` replaces the word `instead_of`. If the line has neither word, `name` is put in
    front. Later lines and words in quotes are data of the user, and stay.
    """
    try:
        yield
    except (ValueError, TypeError) as error:
        first, *others = str(error).split("\n")
        first = re.sub(rf"(?<![\w'\"]){instead_of}(?![\w'\"])", name, first)
        if name not in first:
            first = f"{name}: {first}"
        error.args = ("\n".join([first, *others]),)
        raise


def checker_of(estimator, X, name):
    """An estimator that checks the argument `name` like the training rows of `estimator`.

    If only one of both has column names, scikit-learn's checks give a warning about ``X``. This
    function gives the warning with the name of the argument, and returns an estimator whose checks
    do not repeat the warning.
    """
    names = None if isinstance(X, np.ndarray) else _get_feature_names(X)
    if (names is None) == (not hasattr(estimator, "feature_names_in_")):
        return estimator
    checker = draft_of(estimator)
    if names is None:
        del checker.feature_names_in_
        message = f"{name} does not have valid feature names, but X has"
    else:
        checker.feature_names_in_ = names
        message = f"{name} has feature names, but X has none"
    warnings.warn(message, stacklevel=7)
    return checker

"""Checks of scikit-learn's whose errors are to name the argument that they are about."""

import re
import warnings
from contextlib import contextmanager

import numpy as np
from sklearn.utils.validation import _get_feature_names

from skbn.estimators.transaction import draft_of


def refuse_masked(**arguments):
    """Refuse masked arrays, given by their names: scikit-learn's checks would drop the mask.

    Raises
    ------
    ValueError
        If an argument is one.
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

    Checks of scikit-learn write ``X``, ``y`` or ``sample_weight`` whatever they look at, or
    nothing at all; splits write ``test_size``. Where
    the first line of an error has the word `instead_of`, `name` takes its place; where it has
    neither, `name` is put in front. Later lines and words in quotes are the user's data, and stay.
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
    """An estimator that checks an argument `name` like the ``X`` that `estimator` was trained on.

    Where one of both has column names and the other has not, scikit-learn's checks give a warning
    that speaks of ``X``. This function gives the warning in the name of the argument. It returns
    an estimator whose checks do not give the warning again.
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

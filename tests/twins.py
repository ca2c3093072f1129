"""An array function of the kernels and its twin, called with the same arguments.

``reference.py`` says what a twin is.
"""

import numpy as np
import reference
from scipy.sparse import issparse


def stored(argument):
    """The arrays that an argument consists of."""
    if issparse(argument):
        return [argument.data, argument.indices, argument.indptr]
    return [argument] if isinstance(argument, np.ndarray) else []


def untouched(function, *arguments, changed=0, **options):
    """Call a function; fail if it changes an argument other than the first `changed` ones."""
    inputs = [a for value in [*arguments[changed:], *options.values()] for a in stored(value)]
    before = [array.copy() for array in inputs]
    result = function(*arguments, **options)
    for array, copy in zip(inputs, before, strict=True):
        np.testing.assert_array_equal(array, copy, err_msg=f"{function.__name__} changed its input")
    return result


def widened(value):
    """A float64 copy of an array of floats; anything else as it is."""
    if isinstance(value, np.ndarray) and value.dtype.kind == "f":
        return value.astype(np.float64)
    return value


def results(returned):
    if returned is None:
        return ()
    return returned if isinstance(returned, tuple) else (returned,)


def assert_equals_twin(function, precisions, *arguments, changed=0, scale=1.0, **options):
    """Call a function and its twin, and compare the results and the changed arguments.

    `precisions` has an entry for each result: the dtype, and how close the result must come to
    the result of the twin. The first `changed` arguments are results too, and stand before the
    returned results. These arguments stay as the function left them.
    """
    twin = getattr(getattr(reference, function.__module__.rpartition(".")[2]), function.__name__)
    wide = [widened(argument) for argument in arguments]
    expected = twin(*wide, **{name: widened(value) for name, value in options.items()})
    actual = untouched(function, *arguments, changed=changed, **options)
    actual_results = (*arguments[:changed], *results(actual))
    expected_results = (*wide[:changed], *results(expected))
    pairs = zip(precisions, actual_results, expected_results, strict=True)
    for precision, value, wide_value in pairs:
        assert np.shape(value) == np.shape(wide_value)
        assert isinstance(value, float) or value.dtype == precision.dtype
        precision.assert_close(value, wide_value, scale=scale)
    return actual

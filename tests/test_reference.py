"""Every array function of the kernels has a twin, and every twin has an array function.

``reference.py`` says what a twin is. Both have the same name and the same signature.
"""

import importlib
import inspect
import pkgutil

import numpy as np
import pytest
import reference

from skbn import kernels

KERNELS = {
    info.name: importlib.import_module(f"{kernels.__name__}.{info.name}")
    for info in pkgutil.iter_modules(kernels.__path__)
    if not info.name.startswith("_")
}


def functions(module):
    """The public functions on arrays that a kernel module defines itself."""
    return {
        name: value
        for name, value in vars(module).items()
        if not name.startswith("_")
        and callable(value)
        and not inspect.isclass(value)
        and getattr(value, "__module__", None) == module.__name__
    }


def twins(kernel):
    return {
        name: value.__func__
        for name, value in vars(getattr(reference, kernel)).items()
        if isinstance(value, staticmethod)
    }


def parameters(function):
    return [(p.name, p.default) for p in inspect.signature(function).parameters.values()]


def test_every_kernel_module_has_a_class_of_twins_and_every_class_a_module():
    classes = {
        name
        for name, value in vars(reference).items()
        if inspect.isclass(value) and value.__module__ == reference.__name__
    }
    assert classes == set(KERNELS)


@pytest.mark.parametrize("kernel", sorted(KERNELS))
def test_every_function_has_a_twin_and_every_twin_a_function(kernel):
    assert set(functions(KERNELS[kernel])) == set(twins(kernel)) != set()


@pytest.mark.parametrize(
    ("kernel", "name"),
    [(kernel, name) for kernel, module in sorted(KERNELS.items()) for name in functions(module)],
)
def test_a_function_and_its_twin_have_one_signature(kernel, name):
    function, twin = functions(KERNELS[kernel])[name], twins(kernel)[name]
    assert parameters(function) == parameters(twin)
    assert function.__doc__, f"{kernel}.{name} does not say what it does"


def test_batchnorm_passes_on_the_functions_of_moments_and_of_merging():
    batchnorm = KERNELS["batchnorm"]
    passed_on = functions(KERNELS["moments"]) | functions(KERNELS["merging"])
    assert set(batchnorm.__all__) == set(functions(batchnorm)) | set(passed_on)
    assert all(getattr(batchnorm, name) is function for name, function in passed_on.items())


def test_the_twin_of_dropout_draws_the_published_numbers_of_splitmix64():
    # The numbers are of the seed 1234567. Other implementations of Vigna's splitmix64.c give them.
    np.testing.assert_array_equal(
        reference.splitmix64(1234567, np.arange(1, 6)),
        np.array(
            [
                6457827717110365317,
                3203168211198807973,
                9817491932198370423,
                4593380528125082431,
                16408922859458223821,
            ],
            np.uint64,
        ),
    )


def test_the_twins_of_the_moments_are_numpy_s():
    x = np.random.default_rng(0).normal(3.0, 2.0, size=(50, 4))
    weight = np.random.default_rng(1).integers(0, 4, size=50).astype(np.float64)
    mean, var = reference.moments.batch_moments(x)
    np.testing.assert_allclose(mean, np.mean(x, axis=0), rtol=1e-13)
    np.testing.assert_allclose(var, np.var(x, axis=0), rtol=1e-13)
    mean, var, total = reference.moments.weighted_moments(x, weight)
    np.testing.assert_allclose(mean, np.average(x, axis=0, weights=weight), rtol=1e-13)
    np.testing.assert_allclose(
        var, np.diag(np.cov(x, rowvar=False, aweights=weight, ddof=0)), rtol=1e-13
    )
    np.testing.assert_array_equal(total, np.sum(weight))

"""Kernels: loops over pointers, one noun a file, and their doors on arrays.

Every file holds pointer functions (``cdef``, no GIL, no allocation, no Python) and, below
them, *doors*: plain functions on arrays that check shapes and allocate. The doors are public.

- ``blas``: row-major matrix products.
- ``moments``: mean and variance of columns, weighted or not; running ones.
- ``batchnorm``: normalization forward, backward and at inference; the doors of ``moments`` too.
- ``activations``: identity, logistic, tanh, relu.
- ``losses``: softmax and logistic log loss, squared error, from raw outputs.
- ``optimizers``: SGD, Adam, AdamW over one flat vector.
- ``gather``: rows of a table into a mini-batch.
"""

"""Kernels: loops over pointers, one noun a file, and their doors on arrays.

Every file holds pointer functions (``cdef``, no GIL, no allocation, no Python) and, below
them, *doors*: plain functions on arrays that check shapes and allocate. The doors are public.

- ``blas``: row-major matrix products.
- ``linear``: the linear map of a layer.
- ``sparse_linear``: that of the first layer over rows of a sparse table.
- ``moments``: mean and variance of columns, with or without weights.
- ``merging``: moments of two sets of rows made one; running averages of moments.
- ``batchnorm``: the paper's batch norm, forward, backward and at inference; the array functions
  of ``moments`` and ``merging`` too.
- ``affine``: the affine map of the columns of a table.
- ``normalized_sum``: sums of parts that are normalized each by itself.
- ``activations``: identity, logistic, tanh, relu, silu, gelu.
- ``cells``: recurrent cells, one time step of an LSTM or a GRU.
- ``sequences``: sequences of different length packed without padding.
- ``dropout``: elements dropped at random.
- ``losses``: softmax and logistic log loss, squared and absolute error, Poisson deviance, from
  raw outputs.
- ``optimizers``: SGD, Adam, AdamW, RMSProp over one flat vector; clipping of gradients.
- ``gather``: rows of a table into a mini-batch.
"""

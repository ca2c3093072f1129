"""Kernels: loops over the numbers of arrays, one idea in each file.

Every file has two kinds of functions. *Pointer functions* are ``cdef`` functions on pointers.
Pointer functions do not need the GIL, do not allocate memory and do not call Python. The networks
call pointer functions. *Array functions* are plain functions on NumPy arrays. An array function
checks shapes, allocates memory and calls a pointer function. The array functions are public.

- ``blas``: row-major matrix products.
- ``linear``: the linear map of a layer.
- ``layer``: a hidden layer in one piece: linear map, batch norm and activation, in float32.
- ``input_scale``: a trained factor for each input of a linear map.
- ``sparse_linear``: the linear map of the first layer, over rows of a sparse table.
- ``moments``: mean and variance of columns, with or without weights.
- ``merging``: moments of two sets of rows made one; running averages of moments.
- ``batchnorm``: the paper's batch norm, forward, backward and at inference; the array functions
  of ``moments`` and ``merging`` too.
- ``affine``: the affine map of the columns of a table.
- ``normalized_sum``: sums of parts; each part has its own normalization.
- ``activations``: identity, logistic, tanh, relu, silu, gelu.
- ``periodic``: the periodic embedding of numeric columns.
- ``cells``: recurrent cells, one time step of an LSTM or a GRU.
- ``fused_cells``: recurrent cells that normalize the parts of their pre-activations; sums of these
  batch norms.
- ``sequences``: sequences of different length packed without padding.
- ``dropout``: elements dropped at random.
- ``losses``: softmax and logistic log loss, squared and absolute error, Poisson deviance, of raw
  outputs.
- ``optimizers``: SGD, Adam, AdamW, RMSProp over one flat vector; clipping of gradients.
- ``gather``: rows of a table into a mini-batch.
- ``sparse_gather``: rows of a sparse table into a mini-batch of dense rows.
"""

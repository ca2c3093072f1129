"""Networks: plans of operations on flat memory, and the one loop that trains them.

- ``plan``: which operations, at which offsets.
- ``recurrent_plan``: the same for recurrent networks.
- ``operations``: what each operation does, forward, backward and at inference.
- ``normalization``: that of a batch norm, time step by time step.
- ``recurrent``: that of a recurrent layer, one direction of it.
- ``optimizer``: how parameters are stepped.
- ``block``: the nogil loop over mini-batches.
- ``inference``: rows through a plan by the running statistics.
- ``network``: a plan with its memory.
- ``blas_buffer``: OpenBLAS's buffer, written to once.
- ``statistics``: exact running statistics.
- ``folding``: normalization folded into the linear maps.
- ``views``: the flat memory as arrays per layer.
"""

"""Networks: plans of operations on flat memory, and the one loop that trains them.

- ``plan``: which operations, at which offsets.
- ``recurrent_plan``: the same for recurrent networks.
- ``plan_check``: checks whether an array is a plan.
- ``operations``: a file for each kind of operation, and the registry that leads to them.
- ``run``: the structs of a run: source, memory, batch.
- ``memory``: NumPy arrays made into these structs.
- ``batch``: the beginning of a batch.
- ``chain``: the operations of a plan, one after the other.
- ``block``: the loop over mini-batches, without the GIL.
- ``inference``: rows through a plan without a backward pass.
- ``optimizer``: how an optimizer changes the parameters.
- ``table``: the rows that a network reads.
- ``network``: a plan with its parameters and statistics.
- ``blas_buffer``: the buffer of OpenBLAS, written to once for speed.
- ``statistics``: exact running statistics.
- ``folding``: normalization folded into the linear maps.
- ``views``: the flat memory as arrays per layer.
"""

"""From the kind of an operation to its functions.

Each kind has one file. The functions of a pass (``Functions``) are called by
``skbn.network.chain`` without the GIL. The functions that Python calls are found by their names in
the module of the kind (`MODULES`):

``sizes(row)``
    How much memory the operation needs. The keys are the fields that hold the places of the memory.
``collect(blocks)``
    Exact statistics of the input of the operation, over blocks of rows. Recurrent operations
    collect their statistics in their ``forward``, in the mode COLLECTING.
``fold(maps, row, arrays)``
    Merge the operation, as it is at inference, into the linear maps beside it. A network is folded
    only if all its operations have this function.
"""

from skbn.network.operation cimport (
    ACTIVATION, BATCH_NORM, CELL_NORM, DROPOUT, EMBEDDED_COLUMNS, INPUT_MAP, INPUT_NORM, INPUTS,
    LAYER, LINEAR, N_KINDS, NO_PART, PERIODIC, POOLING, RECURRENT, RECURRENT_MAP, RECURRENT_NORM,
    SPARSE_LINEAR,
)
from skbn.network.operations cimport (
    activation, batch_norm, dropout, inputs, layer, linear, periodic, pooling, recurrent,
    sparse_linear,
)

from skbn.network.operations import (
    activation, batch_norm, dropout, inputs, layer, linear, periodic, pooling, recurrent,
    sparse_linear,
)

cdef Functions[N_KINDS] FUNCTIONS

# Names of the kinds -> their codes in a plan.
KINDS = {}

# Codes of the kinds -> their modules.
MODULES = {}


cdef void _register(
    str name, int kind, object module, PassFunction forward, PassFunction backward,
    PassFunction infer, UpdateFunction update,
):
    FUNCTIONS[kind] = Functions(forward, backward, infer, update)
    KINDS[name] = kind
    MODULES[kind] = module


_register("inputs", INPUTS, inputs, inputs.forward, NULL, inputs.forward, NULL)
_register("linear", LINEAR, linear, linear.forward, linear.backward, linear.forward, NULL)
_register("batch_norm", BATCH_NORM, batch_norm, batch_norm.forward, batch_norm.backward,
          batch_norm.infer, batch_norm.update)
_register("activation", ACTIVATION, activation, activation.forward, activation.backward,
          activation.forward, NULL)
_register("dropout", DROPOUT, dropout, dropout.forward, dropout.backward, dropout.infer, NULL)
_register("recurrent", RECURRENT, recurrent, recurrent.forward, recurrent.backward,
          recurrent.forward, NULL)
_register("pooling", POOLING, pooling, pooling.forward, pooling.backward, pooling.forward, NULL)
_register("sparse_linear", SPARSE_LINEAR, sparse_linear, sparse_linear.forward,
          sparse_linear.backward, sparse_linear.forward, NULL)

_register("periodic", PERIODIC, periodic, periodic.forward, periodic.backward, periodic.forward,
          NULL)
_register("layer", LAYER, layer, layer.forward, layer.backward, layer.infer, layer.update)

PARTS = {
    "none": NO_PART, "input_map": INPUT_MAP, "input_norm": INPUT_NORM,
    "recurrent_map": RECURRENT_MAP, "recurrent_norm": RECURRENT_NORM, "cell_norm": CELL_NORM,
    "embedded_columns": EMBEDDED_COLUMNS,
}


cdef const Functions* functions_of(int kind) noexcept nogil:
    return &FUNCTIONS[kind]

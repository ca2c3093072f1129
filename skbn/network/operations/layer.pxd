from skbn.network.operation cimport Operation
from skbn.network.run cimport Batch, Memory

cdef void forward(
    const Operation* operation, const Memory* memory, Batch* batch,
) noexcept nogil

cdef void backward(
    const Operation* operation, const Memory* memory, Batch* batch,
) noexcept nogil

cdef void infer(
    const Operation* operation, const Memory* memory, Batch* batch,
) noexcept nogil

cdef void update(
    const Operation* operation, const Memory* memory, Batch* batch, Py_ssize_t n_tracked,
) noexcept nogil

cdef void layer_data_gradient(
    const Operation* operation, const Memory* memory, Batch* batch, const float* dz,
    Py_ssize_t dz_stride, const float* weights,
) noexcept nogil

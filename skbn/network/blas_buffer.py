"""The buffer of OpenBLAS for packed operands, written to once so that small products are fast.

A *panel* is a packed block of an operand. The float32 kernel of OpenBLAS for AVX2 prefetches three
panels, up to 18 KB each, beyond the panels that it has packed. A product with fewer rows or columns
than a panel of the other operand packs only a few panels. As long as nothing has written to the
pages behind them, every prefetch walks the page tables in vain. In a virtual machine this makes a
product of 256 x 256 x 256 three times as slow.

OpenBLAS keeps its buffers in a pool, and each product takes a free buffer. So one product in each
thread touches about as many buffers as the threads will use, but not certainly all of them. With
another BLAS this costs a millisecond for each thread and gains nothing.
"""

import threading

import numpy as np

from skbn.kernels import blas

_done = threading.local()


def touch_once():
    """Once in each thread, compute a product that packs 64 KB, which takes about a millisecond."""
    if not hasattr(_done, "touched"):
        blas.matmul(np.zeros((1024, 16), np.float32), np.zeros((16, 512), np.float32))
        _done.touched = True

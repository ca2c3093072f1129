"""What OpenBLAS packs its operands into, written to once so that small products are fast.

Its float32 kernel for AVX2 prefetches three panels, up to 18 KB each, beyond those it has packed.
A product with fewer rows or columns than a panel of the other operand packs a few only; as long
as nothing else has written to the pages behind them, every prefetch walks the page tables in
vain. In a virtual machine this makes a product of 256 x 256 x 256 three times as slow.

OpenBLAS hands its buffers out from a pool, a free one to each product, so "each thread" is near
enough and not exact. Another BLAS loses a millisecond a thread and gains nothing.
"""

import threading

import numpy as np

from skbn.kernels import blas

_done = threading.local()


def touch_once():
    """In each thread once: a product that packs 64 KB, which takes about a millisecond."""
    if not hasattr(_done, "touched"):
        blas.matmul(np.zeros((1024, 16), np.float32), np.zeros((16, 512), np.float32))
        _done.touched = True

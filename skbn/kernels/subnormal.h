/* Numbers too small to be normal, flushed to zero: a switch of the calling thread.

   Arithmetic on subnormal numbers (below 1e-38 in float32, below 2e-308 in float64) is done by
   microcode on many processors, and takes a hundred times as long. skbn_flush_subnormals makes the
   calling thread take such operands and results for 0 and returns the thread's control register as
   it was before; skbn_restore_subnormals sets it again. Where no such register is known, both do
   nothing.
*/
#ifndef SKBN_SUBNORMAL_H
#define SKBN_SUBNORMAL_H

#include <stdint.h>

#if defined(__SSE2__) || defined(_M_X64)
    #include <xmmintrin.h>
    /* Bit 15 flushes results to zero, bit 6 takes operands for zero. */
    static inline uint64_t skbn_flush_subnormals(void) {
        unsigned before = _mm_getcsr();
        _mm_setcsr(before | 0x8040u);
        return before;
    }
    static inline void skbn_restore_subnormals(uint64_t before) {
        /* Exceptions that were met meanwhile stay noted, as they do without the switch. */
        _mm_setcsr((_mm_getcsr() & ~0x8040u) | ((unsigned) before & 0x8040u));
    }
#elif defined(__aarch64__) && (defined(__GNUC__) || defined(__clang__))
    /* Bit 24 of FPCR flushes both. */
    static inline uint64_t skbn_flush_subnormals(void) {
        uint64_t before;
        __asm__ __volatile__("mrs %0, fpcr" : "=r"(before));
        __asm__ __volatile__("msr fpcr, %0" : : "r"(before | ((uint64_t) 1 << 24)) : "memory");
        return before;
    }
    static inline void skbn_restore_subnormals(uint64_t before) {
        __asm__ __volatile__("msr fpcr, %0" : : "r"(before) : "memory");
    }
#else
    static inline uint64_t skbn_flush_subnormals(void) { return 0; }
    static inline void skbn_restore_subnormals(uint64_t before) { (void) before; }
#endif

#endif

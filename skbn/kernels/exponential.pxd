"""Exponential functions that compilers vectorize: no branch, no call.

With n = round(x / log 2) and r = x - n log 2, |r| <= log(2) / 2,

    exp(x) = 2^n exp(r),    expm1(x) = (2^n - 1) + 2^n expm1(r),

where expm1(r) is replaced by a Taylor polynomial: of degree 7 in float32 (the error is below 5e-9
|r|), of degree 14 in float64 (the error is below 3e-19 |r|). Adding 3 * 2^22 (3 * 2^51) to x / log
2 rounds this number to an integer, which then stands in the last bits of the sum. n log 2 is
subtracted in two parts.

The functions are for x <= 0 only. Down to x = -87 (-708) the relative error of exp(x) and of
expm1(x) is 2 units in the last place. Below, exp(x) is replaced by 0, because exp(x) would soon be
a subnormal number. This is an error of 2e-38 (3e-308), which silu multiplies by x. NaN stays NaN.
"""

from cython cimport floating

cdef extern from "simd.h":
    float exp2_of_single "skbn_exp2_of_single"(float shifted) noexcept nogil
    double exp2_of_double "skbn_exp2_of_double"(double shifted) noexcept nogil


cdef inline floating expm1_nonpositive(floating x, floating* power) noexcept nogil:
    """2^n expm1(r) for x <= 0; `power` receives 2^n. expm1(x) is the sum of both minus 1."""
    cdef floating shifted, n, r, s, p
    cdef bint tiny
    if floating is float:
        tiny = x < <float> -87.0
        x = <float> -87.0 if tiny else x
        shifted = x * <float> 1.44269504088896341 + <float> 12582912.0
        n = shifted - <float> 12582912.0
        r = x - n * <float> 0.693359375
        r = r - n * <float> -2.12194440054690583e-4
        s = exp2_of_single(shifted)
        s = 0 if tiny else s
        p = <float> (1.0 / 5040.0)
        p = p * r + <float> (1.0 / 720.0)
        p = p * r + <float> (1.0 / 120.0)
        p = p * r + <float> (1.0 / 24.0)
        p = p * r + <float> (1.0 / 6.0)
        p = p * r + <float> 0.5
    else:
        tiny = x < -708.0
        x = -708.0 if tiny else x
        shifted = x * 1.44269504088896340736 + 6755399441055744.0
        n = shifted - 6755399441055744.0
        r = x - n * 0.693147180369123816490
        r = r - n * 1.90821492927058770002e-10
        s = exp2_of_double(shifted)
        s = 0 if tiny else s
        p = 1.0 / 87178291200.0
        p = p * r + 1.0 / 6227020800.0
        p = p * r + 1.0 / 479001600.0
        p = p * r + 1.0 / 39916800.0
        p = p * r + 1.0 / 3628800.0
        p = p * r + 1.0 / 362880.0
        p = p * r + 1.0 / 40320.0
        p = p * r + 1.0 / 5040.0
        p = p * r + 1.0 / 720.0
        p = p * r + 1.0 / 120.0
        p = p * r + 1.0 / 24.0
        p = p * r + 1.0 / 6.0
        p = p * r + 0.5
    power[0] = s
    return s * (r + r * r * p)


cdef inline floating exp_nonpositive(floating x) noexcept nogil:
    """exp(x) for x <= 0."""
    cdef floating power
    cdef floating rest = expm1_nonpositive(x, &power)
    return power + rest


cdef inline floating logistic(floating x) noexcept nogil:
    """1 / (1 + exp(-x)); relative error 4 units in the last place for x >= -87 (-708)."""
    cdef floating magnitude = x if x >= 0 else -x
    cdef floating e = exp_nonpositive(-magnitude)
    return (1 if x >= 0 else e) / (1 + e)


cdef inline floating hyperbolic_tangent(floating x) noexcept nogil:
    """-expm1(-2 |x|) / (2 + expm1(-2 |x|)) with the sign of x; relative error 5 units."""
    cdef floating magnitude = x if x >= 0 else -x
    cdef floating power, rest, e
    rest = expm1_nonpositive(-2 * magnitude, &power)
    e = (power - 1) + rest
    e = -e / (2 + e)
    return e if x >= 0 else -e


cdef inline floating normal_tail(floating a, floating* bell) noexcept nogil:
    """P(-a) for the normal distribution P and a >= 0; `bell` receives exp(-a^2 / 2).

    The relative error is 5 units in the last place if P(-a) is a normal number of the dtype.
    Smaller results are 0. With u = 1 / (1 + a / 4),

        P(-a) = exp(-a^2 / 2) u q(u),

    where q is a smooth function. q is replaced by the polynomial in u that interpolates q at 64
    Chebyshev points between a = 0 and a = 15 (39). The polynomial is cut off behind degree 9 in
    float32 (the error is below 2e-8 q) and behind degree 22 in float64 (below 4e-17 q). It is
    written in t = u - 1/2, because its coefficients then fall. The square of a is computed together
    with its rounding error. Otherwise the error of exp(-a^2 / 2) would be a hundred times as large.
    """
    cdef floating u, t, p, square, high, low, rest, e
    if floating is float:
        a = <float> 15.0 if a > <float> 15.0 else a
        high = a * <float> 4097.0
    else:
        a = 39.0 if a > 39.0 else a
        high = a * 134217729.0
    # a = high + low, both of half the digits, so that their products are exact.
    high = high - (high - a)
    low = a - high
    square = a * a
    rest = ((high * high - square) + 2 * high * low) + low * low
    e = exp_nonpositive(<floating> -0.5 * square)
    e = e - e * (<floating> 0.5 * rest)
    u = 1 / (1 + <floating> 0.25 * a)
    t = u - <floating> 0.5
    if floating is float:
        p = <float> 0.01578119955956936
        p = p * t + <float> 0.012382861226797104
        p = p * t + <float> -0.05016425624489784
        p = p * t + <float> -0.056382257491350174
        p = p * t + <float> 0.06021210551261902
        p = p * t + <float> 0.24162718653678894
        p = p * t + <float> 0.3730461299419403
        p = p * t + <float> 0.38713663816452026
        p = p * t + <float> 0.303948312997818
        p = p * t + <float> 0.18882128596305847
    else:
        p = -0.001013089624198249
        p = p * t + -4.053740189712703e-05
        p = p * t + 0.0036539751078450574
        p = p * t + -0.0019096520051404017
        p = p * t + -0.00500857764470982
        p = p * t + 0.005054846597024044
        p = p * t + 0.004321157353464332
        p = p * t + -0.008354326780087438
        p = p * t + -0.0025607313983538387
        p = p * t + 0.012121917604652198
        p = p * t + 0.0007321883149870194
        p = p * t + -0.017993824160309358
        p = p * t + -0.0004884155125589271
        p = p * t + 0.029580136999004338
        p = p * t + 0.008534032334367819
        p = p * t + -0.052186190151166156
        p = p * t + -0.05567507779794545
        p = p * t + 0.06032151172498134
        p = p * t + 0.2415862995628264
        p = p * t + 0.37304371591938595
        p = p * t + 0.3871374007422187
        p = p * t + 0.3039483209859459
        p = p * t + 0.18882128260393788
    bell[0] = e
    return e * (u * p)


cdef inline double log1p_unit(double e) noexcept nogil:
    """log(1 + e) for e in [0, 1]: 2 artanh(s) with s = e / (2 + e) <= 1 / 3, to 2 units.

    The series 2 (s + s^3 / 3 + s^5 / 5 + ...) ends at s^33 / 33. The relative error is below 2e-17.
    """
    cdef double s = e / (2.0 + e)
    cdef double t = s * s
    cdef double p = 1.0 / 33.0
    p = p * t + 1.0 / 31.0
    p = p * t + 1.0 / 29.0
    p = p * t + 1.0 / 27.0
    p = p * t + 1.0 / 25.0
    p = p * t + 1.0 / 23.0
    p = p * t + 1.0 / 21.0
    p = p * t + 1.0 / 19.0
    p = p * t + 1.0 / 17.0
    p = p * t + 1.0 / 15.0
    p = p * t + 1.0 / 13.0
    p = p * t + 1.0 / 11.0
    p = p * t + 1.0 / 9.0
    p = p * t + 1.0 / 7.0
    p = p * t + 1.0 / 5.0
    p = p * t + 1.0 / 3.0
    return 2.0 * (s + s * t * p)

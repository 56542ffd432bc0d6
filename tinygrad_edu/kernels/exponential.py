"""exp, sigmoid, tanh and erf of one number, as polynomials that compiled loops turn into vector instructions.

The C library's functions are called entry by entry; these are a dozen multiply-adds on sixteen entries at a time.
All rest on one idea. Choose an integer n so that x = 2 n ln 2 + r with |r| <= ln 2. Then

    exp(x) = 2^n * 2^n * exp(r),    exp(r) = 1 + r + r^2 q(r)

with a short polynomial q, and 2^n costs one shift: adding a large number (`SHIFTER`) rounds x / (2 ln 2) to an
integer in the lowest bits of the sum, from where it moves up into the place of a float's exponent. The square of a
power keeps both factors in range where exp(x) itself overflows to infinity, or is too small for a normal number.

Processors with AVX-512 have an instruction for p * 2^n that does all that itself. There exp and sigmoid take the n of
x = n ln 2 + r, so that r is half as large and q two terms shorter.

The coefficients are minimax fits by Remez' exchange algorithm, of relative error below a tenth of a rounding.
Errors, in units in the last place (ulp) of the result over all finite x, denormal results included:
exp 1.5, sigmoid 3.5, tanh 3, erf 1.5. NaN gives NaN; infinities and all that overflows or vanishes are exact, and tanh
and erf keep the sign of zero.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .jit import jit
from .vectors import has_times_power, times_power

f32, f64, i32, i64 = np.float32, np.float64, np.int32, np.int64

# 1.5 * 2^p, whose lowest bit stands for 1, and the bias of the exponent: n + SHIFTER ends in the bits of n + bias.
SHIFTER32, SHIFTER64 = f32(1.5 * 2**23 + 127), f64(1.5 * 2**52 + 1023)
PER_STEP32, PER_STEP64 = f32(0.5 / math.log(2)), f64(0.5 / math.log(2))
# 2 ln 2 in two parts, the first with so few digits that n times it is exact.
STEP32, REST32 = f32(1.38671875), f32(2 * math.log(2) - 1.38671875)
# The same for steps of ln 2.
SHIFTER, PER_LN2, LN2, LN2_REST = f32(1.5 * 2**23), f32(1 / math.log(2)), f32(355 / 512), f32(math.log(2) - 355 / 512)
SHIFTER_BITS = int(SHIFTER.view(i32))
STEP64, REST64 = f64(1.3862943611165974), f64(3.2931899165794165e-12)


@jit(inline=True)
def _parts32(x: Any) -> Any:
    """2^n and exp(r) - 1 for x = 2 n ln 2 + r in float32, |x| < 110."""
    shifted = x * PER_STEP32 + SHIFTER32
    n = shifted - SHIFTER32
    r = (x - n * STEP32) - n * REST32
    q = f32(2.444015476328611e-05) * r + f32(0.00020109849414114568)
    q = (q * r + f32(0.0013893703295339123)) * r + f32(0.008332527644612724)
    q = (q * r + f32(0.04166652554382022)) * r + f32(0.16666673866911777)
    q = q * r + f32(0.5000000106250165)
    return i32(f32(shifted).view(i32) << 23).view(f32), (q * r) * r + r


@jit(inline=True)
def _parts64(x: Any) -> Any:
    """2^n and exp(r) - 1 for x = 2 n ln 2 + r in float64, |x| < 750."""
    shifted = x * PER_STEP64 + SHIFTER64
    n = shifted - SHIFTER64
    r = (x - n * STEP64) - n * REST64
    q = 1.5935660873488678e-10 * r + 2.106230384235927e-09
    q = (q * r + 2.505503136221037e-08) * r + 2.7556158402773333e-07
    q = (q * r + 2.7557300667725247e-06) * r + 2.4801590828199152e-05
    q = (q * r + 0.0001984126989272143) * r + 0.0013888888883580896
    q = (q * r + 0.00833333333327) * r + 0.041666666666702046
    q = (q * r + 0.16666666666666935) * r + 0.4999999999999993
    return i64(f64(shifted).view(i64) << 52).view(f64), (q * r) * r + r


@jit(inline=True)
def _is_single(x: Any) -> Any:
    """Whether x is float32; known to the compiler, which drops the branch not taken."""
    return type(x)(1) + type(x)(1e-12) == 1


@jit(inline=True)
def _parts(x: Any) -> Any:
    """2^n and exp(r) - 1 for x = 2 n ln 2 + r, where x is not so large or small that 2^n has no place."""
    if _is_single(x):
        power, m = _parts32(f32(x))
        return type(x)(power), type(x)(m)
    power, m = _parts64(f64(x))
    return type(x)(power), type(x)(m)


@jit(inline=True)
def _exp_by_scaling(x: Any) -> Any:
    """exp(r) * 2^n for x = n ln 2 + r in float32, |x| < 110."""
    shifted = x * PER_LN2 + SHIFTER
    n = shifted - SHIFTER
    r = (x - n * LN2) - n * LN2_REST
    q = f32(0.001381459878757596) * r + f32(0.008368716575205326)
    q = (q * r + f32(0.04166838899254799)) * r + f32(0.1666652113199234)
    q = q * r + f32(0.4999999403953552)
    # The bits of what was rounded, not the number: an integer from NaN would be undefined.
    return times_power((q * r + f32(1)) * r + f32(1), i32(f32(shifted).view(i32) - SHIFTER_BITS))


@jit(inline=True)
def exp_of_negative(x: Any) -> Any:
    """e ** x for x <= 0; NaN stays NaN."""
    low = type(x)(-104.0 if _is_single(x) else -746.0)
    x = low if x < low else x
    if _is_single(x) and has_times_power():
        return type(x)(_exp_by_scaling(f32(x)))
    power, m = _parts(x)
    return (power * m + power) * power


@jit(inline=True)
def exp_scalar(x: Any) -> Any:
    """e ** x."""
    high = type(x)(89.0 if _is_single(x) else 710.0)
    return exp_of_negative(high if x > high else x)


@jit(inline=True)
def sigmoid_scalar(x: Any) -> Any:
    """1 / (1 + exp(-x)), from the exponential that cannot overflow."""
    e = exp_of_negative(-abs(x))
    one = type(x)(1)
    return (one if x >= 0 else e) / (one + e)


@jit(inline=True)
def tanh_scalar(x: Any) -> Any:
    """-e / (e + 2) with e = exp(-2|x|) - 1, which is exact for small x; the sign is that of x."""
    one, two = type(x)(1), type(x)(2)
    low, x2 = type(x)(-40), -two * abs(x)
    power, m = _parts(low if x2 < low else x2)
    square = power * power
    e = square * m + (square - one)
    return type(x)(math.copysign(e / (e + two), x))


@jit(inline=True)
def _erf_series32(t: Any) -> Any:
    """erf(x) / x - 1 for t = x^2 <= 1."""
    p = f32(7.889106741214557e-05) * t - f32(0.0008020837184171275)
    p = (p * t + f32(0.005189534833181507)) * t - f32(0.026854444294302816)
    p = (p * t + f32(0.1128360016819808)) * t - f32(0.37612627135240634)
    return p * t + f32(0.12837916591388965)


@jit(inline=True)
def _erf_tail32(s: Any) -> Any:
    """(1 - erf(a)) exp(a^2) for s = (a - 2) / (a + 2) and 1 <= a <= 4."""
    p = f32(0.007212549498931104) * s + f32(0.003729738370388268)
    p = (p * s - f32(0.0789869060136072)) * s + f32(0.24165727027038464)
    return (p * s - f32(0.4271858534878089)) * s + f32(0.2553956779133734)


@jit(inline=True)
def _erf_series64(t: Any) -> Any:
    """erf(x) / x - 1 for t = x^2 <= 1."""
    p = -7.801211115014895e-10 * t + 1.3722986534321046e-08
    p = (p * t - 1.6209177842401475e-07) * t + 1.6447517862349794e-06
    p = (p * t - 1.4924744671861169e-05) * t + 0.00012055295320544262
    p = (p * t - 0.0008548325989682853) * t + 0.005223977607422791
    p = (p * t - 0.02686617064327608) * t + 0.11283791670945252
    return (p * t - 0.3761263890318355) * t + 0.12837916709551256


@jit(inline=True)
def _erf_tail64(s: Any) -> Any:
    """(1 - erf(a)) exp(a^2) for s = (a - 2.375) / (a + 2) and 1 <= a <= 6."""
    p = -4.3139834174483845e-06 * s - 1.4783799044714976e-05
    p = (p * s - 1.4689803064049202e-06) * s + 8.279202767184171e-05
    p = (p * s + 8.984896040999544e-05) * s - 0.0004830167395027446
    p = (p * s - 0.0008282045714810513) * s + 0.0040970665787609176
    p = (p * s + 0.004623741015382859) * s - 0.0589993212725009
    p = (p * s + 0.18520377745132038) * s - 0.3542749399096527
    return p * s + 0.2205056922049065


@jit(inline=True)
def erf_scalar(x: Any) -> Any:
    """2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x: a series up to |x| = 1, beyond it 1 - exp(-x^2) R."""
    one, two = type(x)(1), type(x)(2)
    single = _is_single(x)
    a, top = abs(x), type(x)(4 if single else 6)
    a = top if a > top else a
    if single:
        series, tail = type(x)(_erf_series32(f32(a * a))), type(x)(_erf_tail32(f32((a - two) / (a + two))))
    else:
        s = (a - type(x)(2.375)) / (a + two)
        series, tail = type(x)(_erf_series64(f64(a * a))), type(x)(_erf_tail64(f64(s)))
    far = type(x)(math.copysign(one - exp_of_negative(-(a * a)) * tail, x))
    return x * series + x if a < one else far


@jit(inline=True)
def _twice_atanh(s: Any) -> Any:
    """log((1 + s) / (1 - s)) for |s| <= 1/3."""
    t = s * s
    if _is_single(s):
        u = f32(t)
        p = (f32(0.2803129051748329) * u + f32(0.2799785951175214)) * u + f32(0.4002177024419513)
        p = type(s)(p * u + f32(0.6666641203666965))
    else:
        v = f64(t)
        q = (0.1702887884567851 * v + 0.08334686547736504) * v + 0.12107290820775088
        q = (q * v + 0.13300825966074722) * v + 0.15386570787396983
        q = (q * v + 0.18181743434164035) * v + 0.2222222398306523
        q = (q * v + 0.28571428547649874) * v + 0.40000000000158764
        p = type(s)(q * v + 0.666666666666663)
    return s * (p * t) + (s + s)


@jit(inline=True)
def log1p_of_fraction(x: Any) -> Any:
    """log(1 + x) for 0 <= x <= 1, within 3 ulp, also for the smallest x; NaN stays NaN."""
    return _twice_atanh(x / (type(x)(2) + x))


@jit(inline=True)
def log_of_sum(x: Any) -> Any:
    """log(x) for finite x >= 1, such as a sum with exp(0) in it, within 3 ulp; NaN stays NaN."""
    one = type(x)(1)
    if _is_single(x):
        bits = f32(x).view(i32)
        # The exponent goes up by one where the mantissa is larger than about the square root of 2.
        power = i32(i32(bits + i32(0x4AFB0D)) >> 23) - 127
        mantissa = type(x)(i32(bits - i32(power << 23)).view(f32))
    else:
        wide = f64(x).view(i64)
        power = ((wide + 0x95F619980C433) >> 52) - 1023
        mantissa = type(x)(i64(wide - (power << 52)).view(f64))
    return type(x)(power) * type(x)(math.log(2)) + _twice_atanh((mantissa - one) / (mantissa + one)) + (x - x)


@jit(inline=True)
def order_of(x: Any) -> Any:
    """An integer that grows with x."""
    if _is_single(x):
        bits = f32(x).view(i32)
        return i64(i32(bits ^ (i32(bits >> 31) & 0x7FFFFFFF)))
    wide = f64(x).view(i64)
    return i64(wide ^ ((wide >> 63) & 0x7FFFFFFFFFFFFFFF))


@jit(inline=True)
def from_order(order: Any, like: Any) -> Any:
    """The number, of the type of `like`, that has this integer."""
    if _is_single(like):
        bits = i32(order)
        return type(like)(i32(bits ^ (i32(bits >> 31) & 0x7FFFFFFF)).view(f32))
    return type(like)(i64(order ^ ((order >> 63) & 0x7FFFFFFFFFFFFFFF)).view(f64))

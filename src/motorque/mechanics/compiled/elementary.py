"""Sines and cosines in terms of multiplications and additions, so that a whole vector of them costs little.

The angle is brought to within ±45° of a multiple of 90° (Cody and Waite's reduction with fused multiplication, three
parts of π/2), where two short polynomials serve. They interpolate the remainders of the series at Chebyshev's points,
which is near enough to the best polynomial. The result is right to 1.5 units in the last place up to a thousand
radians and to 2.5 up to a million; infinities give NaN.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from functools import cache

import numpy as np
from numpy.polynomial import Chebyshev, Polynomial
from numpy.typing import NDArray

from motorque.mechanics.compiled.trace import ARGUMENTS, Symbol, Trace, not_below, select

_HALF_PI = Fraction("1.57079632679489661923132169163975144209858469968755291")
_DEGREES = {"float": (2, 2), "double": (6, 6)}
"""Of the polynomials for sine and cosine: their largest errors are below a third of a unit in the last place."""


def in_simple_terms(trace: Trace, results: Sequence[Symbol], real: str) -> tuple[Trace, list[Symbol]]:
    """The same results by operations that processors have.

    Args:
        trace: A trace.
        results: What is needed of it.
        real: ``float`` or ``double``, for which precision.

    Returns:
        A new trace and the results in it.
    """
    simple = Trace()
    both: dict[int, tuple[Symbol, Symbol]] = {}
    new: dict[int, Symbol] = {}
    for number in trace.needed(results):
        kind, *arguments = trace.operations[number]
        if kind in ("sin", "cos"):
            angle = arguments[0]
            if angle not in both:
                both[angle] = _sine_and_cosine(new[angle], real)
            new[number] = both[angle][kind == "cos"]
        elif ARGUMENTS[kind] == 0:
            new[number] = simple.record(kind, *arguments)
        else:
            new[number] = simple.record(kind, *(new[n].number for n in arguments))
    return simple, [new[s.number] for s in results]


def _sine_and_cosine(angle: Symbol, real: str) -> tuple[Symbol, Symbol]:
    trace = angle.trace
    turns = trace.record("nearest", (angle * float(1 / _HALF_PI)).number)
    y = angle
    for part in _parts_of_half_pi(real):
        y = trace.record("fma", turns.number, trace.constant(-part).number, y.number)
    u = y * y
    sine_rest, cosine_rest = _remainders(real)
    s = y + y * u * _horner(sine_rest, u)
    c = 1.0 + u * (u * _horner(cosine_rest, u) - 0.5)
    # Which quarter turn: -2, -1, 0, 1 or 2.
    quarter = turns - 4.0 * trace.record("nearest", (turns * 0.25).number)
    apart = quarter * quarter - 1.0
    odd = not_below(trace.constant(0.5), apart * apart)
    return tuple(  # type: ignore[return-value]
        select(not_below((quarter + shift) * (quarter + shift), trace.constant(1.0)), -value, value)
        for shift, value in ((-0.5, select(odd, c, s)), (0.5, select(odd, s, c)))
    )


def _horner(coefficients: Sequence[float], u: Symbol) -> Symbol:
    value = u.trace.constant(coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        value = value * u + coefficient
    return value


@cache
def _parts_of_half_pi(real: str) -> tuple[float, ...]:
    """π/2 as a sum of three numbers of the precision, each the best for what the ones before it leave."""
    rounded = np.float32 if real == "float" else np.float64
    parts: list[float] = []
    for _ in range(3):
        parts.append(float(rounded(float(_HALF_PI - sum(Fraction(p) for p in parts)))))
    return tuple(parts)


@cache
def _remainders(real: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Polynomials in u = y² with sin y = y + y u S(u) and cos y = 1 - u/2 + u² C(u) for |y| ≤ π/4."""

    def interpolate(first: int, sign: int, degree: int) -> tuple[float, ...]:
        def series(u: NDArray[np.float64]) -> NDArray[np.float64]:
            terms = [sign * (-1) ** n * u**n / math.factorial(2 * n + first) for n in range(12)]
            return np.sum(terms[::-1], axis=0)

        fit = Chebyshev.interpolate(series, degree, domain=[0.0, (math.pi / 4) ** 2 * 1.001])
        return tuple(float(c) for c in fit.convert(kind=Polynomial).coef)

    sine_degree, cosine_degree = _DEGREES[real]
    return interpolate(3, -1, sine_degree), interpolate(4, 1, cosine_degree)

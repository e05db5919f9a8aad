"""The reverse derivative of a trace, appended to the trace itself.

Every operation passes the derivative of a weighted sum of the results on to its arguments, last operation first. What
comes out is again straight-line code, so it can be emitted like any other, and derived once more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from motorque.mechanics.compiled.trace import ARGUMENTS, Symbol, Trace, cos, select, sin

Pass = Callable[[Symbol, Symbol, list[Symbol]], list[Symbol | None]]
"""From the result, its derivative and the arguments to the arguments' derivatives; None for none."""

_PASSES: dict[str, Pass] = {
    "add": lambda y, g, x: [g, g],
    "sub": lambda y, g, x: [g, -g],
    "mul": lambda y, g, x: [g * x[1], g * x[0]],
    "div": lambda y, g, x: [g / x[1], -(g * y) / x[1]],
    "neg": lambda y, g, x: [-g],
    "sqrt": lambda y, g, x: [0.5 * g / y],
    "sin": lambda y, g, x: [g * cos(x[0])],
    "cos": lambda y, g, x: [-(g * sin(x[0]))],
    "select": lambda y, g, x: [
        None,
        select(x[0], g, g.trace.constant(0.0)),
        select(x[0], g.trace.constant(0.0), g),
    ],
    "fma": lambda y, g, x: [g * x[1], g * x[0], g],
}


def vector_jacobian_product(
    trace: Trace, results: Sequence[Symbol], weights: Sequence[Symbol], arguments: Sequence[Symbol]
) -> list[Symbol]:
    """Derivatives of ``sum(weight * result)`` with respect to arguments.

    Operations without a derivative (masks, the nearest integer, the larger one, which only watches) pass nothing on.

    Args:
        trace: The trace; the derivative's operations are appended to it.
        results: What is derived.
        weights: One per result.
        arguments: Inputs or parameters, or anything else of the trace.

    Returns:
        One symbol per argument, zero where nothing depends on it.
    """
    derivative: dict[int, Symbol] = {}

    def collect(number: int, share: Symbol) -> None:
        derivative[number] = derivative[number] + share if number in derivative else share

    depends = _dependents(trace, arguments, len(trace.operations))
    for result, weight in zip(results, weights, strict=True):
        if result.number in depends:
            collect(result.number, weight)
    for number in sorted(depends, reverse=True):
        if number not in derivative:
            continue
        kind, *inputs = trace.operations[number]
        if kind not in _PASSES:
            continue
        wanted = [n in depends for n in inputs]
        if any(wanted):
            shares = _PASSES[kind](Symbol(trace, number), derivative[number], [Symbol(trace, n) for n in inputs])
            for n, share in zip(inputs, shares, strict=True):
                if share is not None and n in depends:
                    collect(n, share)
    return [derivative.get(x.number, trace.constant(0.0)) for x in arguments]


def _dependents(trace: Trace, arguments: Sequence[Symbol], end: int) -> set[int]:
    """Numbers of the operations that depend on one of the arguments."""
    found = {x.number for x in arguments}
    for number in range(end):
        operation = trace.operations[number]
        if any(n in found for n in operation[1 : 1 + ARGUMENTS[operation[0]]]):
            found.add(number)
    return found

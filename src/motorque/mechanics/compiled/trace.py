"""Straight-line scalar code, recorded by running ordinary arithmetic on symbols.

A `Trace` is a list of operations in the order in which they can be carried out; each has a number, and arguments are
numbers of earlier operations. An operation that is already there is not recorded twice, and arithmetic with constants
that are known to be 0, 1 or -1 is done away with on the spot: a rotation about the z axis costs four multiplications
though the code that it comes from multiplies matrices.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Operation = tuple
"""Kind, then its arguments; see `ARGUMENTS`."""

ARGUMENTS = {
    "input": 0,  # of array [0], column [1]: one number per frame
    "parameter": 0,  # of index [0]: one number for all frames
    "constant": 0,  # of value [0]
    "add": 2,
    "sub": 2,
    "mul": 2,
    "div": 2,
    "neg": 1,
    "sqrt": 1,
    "sin": 1,  # these two are put into simpler terms before code is emitted, see `elementary`
    "cos": 1,
    "nearest": 1,  # the nearest integer
    "max": 2,  # the number where the other one is NaN
    "fma": 3,  # the first times the second plus the third, rounded once
    "not_below": 2,  # a mask: the first >= the second
    "select": 3,  # the second where the mask, else the third
}
"""How many of an operation's arguments are numbers of other operations; the others have literal ones."""


@dataclass
class Trace:
    """A growing list of operations."""

    operations: list[Operation] = field(default_factory=list)
    _known: dict[Operation, int] = field(default_factory=dict, repr=False)

    def record(self, *operation: object) -> Symbol:
        """The result of an operation, recorded if it is not there yet."""
        number = self._known.get(operation)
        if number is None:
            number = self._known[operation] = len(self.operations)
            self.operations.append(operation)
        return Symbol(self, number)

    def constant(self, value: float) -> Symbol:
        """A number that is part of the code; zeros have no sign."""
        return self.record("constant", float(value) + 0.0)

    def input(self, array: int, column: int) -> Symbol:
        """A number that each frame has its own of."""
        return self.record("input", array, column)

    def parameter(self, index: int) -> Symbol:
        """A number that all frames share."""
        return self.record("parameter", index)

    def needed(self, results: Iterable[Symbol]) -> list[int]:
        """Numbers of the operations that the results rest on, in order."""
        live: set[int] = set()
        waiting = [s.number for s in results]
        while waiting:
            number = waiting.pop()
            if number not in live:
                live.add(number)
                operation = self.operations[number]
                waiting += operation[1 : 1 + ARGUMENTS[operation[0]]]
        return sorted(live)

    def count(self, results: Iterable[Symbol]) -> int:
        """How many arithmetic operations the results cost."""
        return sum(ARGUMENTS[self.operations[n][0]] > 0 for n in self.needed(results))


class Symbol:
    """A number in a trace; arithmetic with it records operations."""

    __slots__ = ("number", "trace")

    def __init__(self, trace: Trace, number: int) -> None:
        self.trace, self.number = trace, number

    @property
    def operation(self) -> Operation:
        """What it is the result of."""
        return self.trace.operations[self.number]

    @property
    def value(self) -> float | None:
        """Its value if it is a constant."""
        operation = self.operation
        return operation[1] if operation[0] == "constant" else None

    def _other(self, other: Symbol | float) -> Symbol:
        return other if isinstance(other, Symbol) else self.trace.constant(other)

    def __add__(self, other: Symbol | float) -> Symbol:
        other = self._other(other)
        one, two = self.value, other.value
        if two == 0:
            return self
        if one == 0:
            return other
        if one is not None and two is not None:
            return self.trace.constant(one + two)
        for a, b in ((self, other), (other, self)):
            if b.operation[0] == "neg":
                return self.trace.record("sub", a.number, b.operation[1])
        return self.trace.record("add", *sorted((self.number, other.number)))

    __radd__ = __add__

    def __sub__(self, other: Symbol | float) -> Symbol:
        other = self._other(other)
        one, two = self.value, other.value
        if two == 0:
            return self
        if one == 0:
            return -other
        if one is not None and two is not None:
            return self.trace.constant(one - two)
        if other.operation[0] == "neg":
            return self + Symbol(self.trace, other.operation[1])
        return self.trace.record("sub", self.number, other.number)

    def __rsub__(self, other: float) -> Symbol:
        return self._other(other) - self

    def __neg__(self) -> Symbol:
        kind, *arguments = self.operation
        if kind == "neg":
            return Symbol(self.trace, arguments[0])
        if kind == "constant":
            return self.trace.constant(-arguments[0])
        if kind == "sub":
            return self.trace.record("sub", arguments[1], arguments[0])
        return self.trace.record("neg", self.number)

    def __mul__(self, other: Symbol | float) -> Symbol:
        other = self._other(other)
        one, two = self.value, other.value
        # A product with zero is zero here even where the other factor turns out infinite: zeros are structure.
        if one == 0 or two == 0:
            return self.trace.constant(0.0)
        if one is not None and two is not None:
            return self.trace.constant(one * two)
        for a, b in ((one, other), (two, self)):
            if a == 1:
                return b
            if a == -1:
                return -b
        # Signs go outward, where sums take them in.
        if self.operation[0] == "neg":
            return -(Symbol(self.trace, self.operation[1]) * other)
        if other.operation[0] == "neg":
            return -(self * Symbol(self.trace, other.operation[1]))
        return self.trace.record("mul", *sorted((self.number, other.number)))

    __rmul__ = __mul__

    def __truediv__(self, other: Symbol | float) -> Symbol:
        other = self._other(other)
        one, two = self.value, other.value
        if two == 1 or one == 0:
            return self
        if one is not None and two is not None and two != 0:
            return self.trace.constant(one / two)
        return self.trace.record("div", self.number, other.number)

    def __rtruediv__(self, other: float) -> Symbol:
        return self._other(other) / self

    def __repr__(self) -> str:
        return f"Symbol({self.number}: {self.operation})"


def sqrt(x: Symbol) -> Symbol:
    """Square root."""
    return x.trace.constant(math.sqrt(x.value)) if x.value is not None else x.trace.record("sqrt", x.number)


def sin(x: Symbol) -> Symbol:
    """Sine of an angle [rad]."""
    return x.trace.constant(math.sin(x.value)) if x.value is not None else x.trace.record("sin", x.number)


def cos(x: Symbol) -> Symbol:
    """Cosine of an angle [rad]."""
    return x.trace.constant(math.cos(x.value)) if x.value is not None else x.trace.record("cos", x.number)


def maximum(x: Symbol, y: Symbol) -> Symbol:
    """The larger one."""
    return x if x.number == y.number else x.trace.record("max", *sorted((x.number, y.number)))


def not_below(x: Symbol, y: Symbol) -> Symbol:
    """A mask for `select`: whether ``x >= y``; no for NaN."""
    return x.trace.record("not_below", x.number, y.number)


def select(mask: Symbol, yes: Symbol, no: Symbol) -> Symbol:
    """One of two numbers, as a mask says."""
    return yes if yes.number == no.number else yes.trace.record("select", mask.number, yes.number, no.number)


def evaluate(trace: Trace, results: Sequence[Symbol], inputs: Sequence[Any], parameters: Any) -> list[Any]:
    """Carry a trace out with numpy, for tests and for looking into it.

    Args:
        trace: The trace.
        results: What is asked for.
        inputs: Arrays of shape [frames, columns], one per input array.
        parameters: Shape [number of parameters].

    Returns:
        One array of shape [frames], or a number, per result.
    """
    carry_out: dict[str, Any] = {
        "add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide, "neg": np.negative, "sqrt": np.sqrt,
        "sin": np.sin, "cos": np.cos, "nearest": np.rint, "max": np.fmax, "not_below": np.greater_equal,
        "select": np.where, "fma": lambda a, b, c: a * b + c,
    }  # fmt: skip
    values: dict[int, Any] = {}
    for number in trace.needed(results):
        kind, *arguments = trace.operations[number]
        if kind == "input":
            values[number] = inputs[arguments[0]][:, arguments[1]]
        elif kind == "parameter":
            values[number] = parameters[arguments[0]]
        elif kind == "constant":
            values[number] = arguments[0]
        else:
            values[number] = carry_out[kind](*(values[n] for n in arguments))
    return [values[s.number] for s in results]

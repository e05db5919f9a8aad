"""The adjoint by itself: derivatives of every operation and of long programs, against complex steps."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from motorque.mechanics.compiled.adjoint import vector_jacobian_product
from motorque.mechanics.compiled.trace import Symbol, Trace, cos, evaluate, maximum, not_below, select, sin, sqrt

Function = Callable[[Symbol, Symbol, Symbol], list[Symbol]]

FUNCTIONS: dict[str, Function] = {
    "add": lambda a, b, c: [a + b, a + a],
    "sub": lambda a, b, c: [a - b, c - a],
    "mul": lambda a, b, c: [a * b, a * a],
    "div": lambda a, b, c: [a / b, 1.0 / a, a / 3.0],
    "neg": lambda a, b, c: [-a],
    "sqrt": lambda a, b, c: [sqrt(a * a + b * b)],
    "sin": lambda a, b, c: [sin(a * b)],
    "cos": lambda a, b, c: [cos(a + b)],
    "select": lambda a, b, c: [select(not_below(a, b), a * c, b * b)],
    "fma": lambda a, b, c: [a.trace.record("fma", a.number, b.number, c.number)],
    "reused": lambda a, b, c: [(a + b) * (a + b) * sin(a + b) - c * (a + b)],
    "several results": lambda a, b, c: [a * b, a * b, sin(a), a],
}


def gradient(function: Function, x: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """By the adjoint and by complex steps; each of shape [frames, 3]."""
    trace = Trace()
    arguments = [trace.input(0, column) for column in range(3)]
    results = function(*arguments)
    symbols = [trace.input(1, column) for column in range(len(results))]
    derivative = vector_jacobian_product(trace, results, symbols, arguments)
    weights = weights[:, : len(results)]
    found = evaluate(trace, derivative, [x, weights], np.zeros(0))

    def weighted(at: np.ndarray) -> np.ndarray:
        values = evaluate(trace, results, [at, weights], np.zeros(0))
        return sum(w * v for w, v in zip(weights.T, values, strict=True))

    step = 1e-30j  # nothing is subtracted, so the step may be as small as it likes
    by_step = [weighted(x + d).imag / step.imag for d in np.eye(3) * step]
    return np.stack([np.broadcast_to(g, len(x)) for g in found], -1), np.stack(by_step, -1)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_each_operation_against_complex_steps(name: str) -> None:
    rng = np.random.default_rng(0)
    x = rng.uniform(0.5, 2.0, size=(40, 3)) * rng.choice([-1.0, 1.0], size=(40, 3))
    found, wanted = gradient(FUNCTIONS[name], x, rng.normal(size=(40, 4)))
    np.testing.assert_allclose(found, wanted, rtol=1e-13, atol=1e-13)


def test_a_long_random_program_against_complex_steps() -> None:
    def program(a: Symbol, b: Symbol, c: Symbol) -> list[Symbol]:
        rng = np.random.default_rng(3)
        known = [a, b, c]
        for _ in range(300):
            x, y = (known[i] for i in rng.integers(max(0, len(known) - 20), len(known), 2))
            choice = rng.integers(6)
            known.append([x + y, x - 0.5 * y, sin(x) * y, cos(x), x / (2.0 + y * y), sqrt(1.0 + x * x)][choice])
        return known[-4:]

    rng = np.random.default_rng(4)
    found, wanted = gradient(program, rng.normal(size=(20, 3)), rng.normal(size=(20, 4)))
    assert np.abs(wanted).max() > 1e-3
    assert np.abs(found - wanted).max() < 1e-13 * np.abs(wanted).max()


def test_parameters_and_inner_symbols_have_derivatives_too() -> None:
    trace = Trace()
    x, p = trace.input(0, 0), trace.parameter(0)
    inner = x * p
    result = sin(inner)
    one = trace.constant(1.0)
    by_parameter, by_inner = vector_jacobian_product(trace, [result], [one], [p, inner])
    values = np.array([[0.3], [1.2]])
    found = evaluate(trace, [by_parameter, by_inner], [values], np.array([0.7]))
    np.testing.assert_allclose(found[0], values[:, 0] * np.cos(0.7 * values[:, 0]), rtol=1e-15)
    np.testing.assert_allclose(found[1], np.cos(0.7 * values[:, 0]), rtol=1e-15)


def test_what_does_not_depend_has_no_derivative() -> None:
    trace = Trace()
    a, b = trace.input(0, 0), trace.input(0, 1)
    rounded = trace.record("nearest", a.number)
    results = [rounded, maximum(a, b), b * b]
    weights = [trace.input(1, n) for n in range(3)]
    assert vector_jacobian_product(trace, results, weights, [a])[0].value == 0
    by_zero = vector_jacobian_product(trace, [b * b], [trace.constant(0.0)], [b])[0]
    assert by_zero.value == 0


def test_derived_once_more() -> None:
    """The adjoint is a program like any other."""
    trace = Trace()
    x, one = trace.input(0, 0), trace.constant(1.0)
    (first,) = vector_jacobian_product(trace, [sin(x) * x / (1.0 + x * x)], [one], [x])
    (second,) = vector_jacobian_product(trace, [first], [one], [x])
    at, step = np.linspace(-2.0, 2.0, 9)[:, None], 1e-30j
    (stepped,) = evaluate(trace, [first], [at + step], np.zeros(0))
    (found,) = evaluate(trace, [second], [at], np.zeros(0))
    np.testing.assert_allclose(found, stepped.imag / step.imag, rtol=1e-13, atol=1e-14)

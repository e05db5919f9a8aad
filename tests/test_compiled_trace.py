"""The trace by itself: what is recorded, what is folded, what is shared, and the numbers that come out."""

from __future__ import annotations

import math

import numpy as np
import pytest

from motorque.mechanics.compiled.trace import (
    Symbol,
    Trace,
    cos,
    evaluate,
    maximum,
    not_below,
    select,
    sin,
    sqrt,
)
from motorque.mechanics.compiled.vectors import Matrix, Vector, cross, dot, product, skew, turn, turn_back


@pytest.fixture
def trace() -> Trace:
    return Trace()


def inputs(trace: Trace, count: int) -> list[Symbol]:
    return [trace.input(0, column) for column in range(count)]


def values_of(trace: Trace, results: list[Symbol], x: np.ndarray) -> list[np.ndarray]:
    return [np.broadcast_to(r, len(x)) for r in evaluate(trace, results, [x], np.zeros(0))]


def test_every_operation_means_what_numpy_means(trace: Trace) -> None:
    a, b, c = inputs(trace, 3)
    negative = -a
    results = [
        a + b, a - b, a * b, a / b, -a, 2.0 + a, 2.0 - a, 2.0 * a, 2.0 / a, a / 2.0, sqrt(a * a), sin(a), cos(a),
        maximum(a, b), select(not_below(a, b), a, c), trace.record("nearest", a.number),
        trace.record("fma", a.number, b.number, c.number), a + (-b), (-a) + b, a - (-b), (-a) * b, (-a) * (-b),
        -(a - b), -negative,
    ]  # fmt: skip
    x = np.random.default_rng(0).normal(size=(50, 3)) * 3
    p, q, r = x.T
    expected = [
        p + q, p - q, p * q, p / q, -p, 2 + p, 2 - p, 2 * p, 2 / p, p / 2, np.abs(p), np.sin(p), np.cos(p),
        np.maximum(p, q), np.where(p >= q, p, r), np.rint(p), p * q + r, p - q, q - p, p + q, -p * q, p * q, q - p, p,
    ]  # fmt: skip
    for found, wanted in zip(values_of(trace, results, x), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_zeros_and_ones_cost_nothing(trace: Trace) -> None:
    a, _ = inputs(trace, 2)
    zero, one, negative = trace.constant(0.0), trace.constant(1.0), -a
    for same in (a + zero, zero + a, a - zero, a * one, one * a, a / one, a + 0.0, 1.0 * a, -negative):
        assert same.number == a.number
    assert (a * zero).value == (zero * a).value == (0.0 * a).value == (zero / a).value == 0
    assert (a * -1.0).operation == (zero - a).operation == (-a).operation == ("neg", a.number)


def test_arithmetic_of_constants_is_done_at_once(trace: Trace) -> None:
    x, y = trace.constant(3.0), trace.constant(4.0)
    assert [s.value for s in (x + y, x - y, x * y, x / y, -x, sqrt(x * x + y * y))] == [7, -1, 12, 0.75, -3, 5]
    assert sin(x).value == math.sin(3.0) and cos(x).value == math.cos(3.0)
    assert not any(o[0] != "constant" for o in trace.operations)
    assert math.copysign(1.0, trace.constant(-0.0).value) == 1.0


def test_division_by_a_known_zero_is_left_to_the_processor(trace: Trace) -> None:
    (a,) = inputs(trace, 1)
    with np.errstate(all="ignore"):
        found = values_of(trace, [a / 0.0, trace.constant(1.0) / 0.0], np.array([[1.0], [-1.0], [0.0]]))
    np.testing.assert_array_equal(found[0], [np.inf, -np.inf, np.nan])
    np.testing.assert_array_equal(found[1], [np.inf] * 3)


def test_an_operation_is_recorded_once(trace: Trace) -> None:
    a, b = inputs(trace, 2)
    assert (a + b).number == (b + a).number
    assert (a * b).number == (b * a).number
    assert (a - b).number == (a - b).number != (b - a).number
    assert trace.constant(2.0).number == trace.constant(2.0).number
    assert trace.input(0, 1).number == b.number != trace.input(1, 1).number
    assert trace.parameter(3).number == trace.parameter(3).number
    assert maximum(a, b).number == maximum(b, a).number and maximum(a, a).number == a.number
    assert select(not_below(a, b), a, a).number == a.number
    count = len(trace.operations)
    _ = (a + b) * (a * b)
    assert len(trace.operations) == count + 1


def test_signs_move_into_sums(trace: Trace) -> None:
    a, b = inputs(trace, 2)
    assert (a + (-b)).operation == ("sub", a.number, b.number)
    assert ((-a) + b).operation == ("sub", b.number, a.number)
    assert (a - (-b)).operation == (a + b).operation
    assert ((-a) * b + a * b).operation[0] == "sub"
    assert (-(a - b)).operation == ("sub", b.number, a.number)


def test_only_what_is_needed_counts(trace: Trace) -> None:
    a, b = inputs(trace, 2)
    used, _unused = a * b, a / b
    result = used + 1.0
    assert trace.count([result]) == 2
    assert [trace.operations[n][0] for n in trace.needed([result])] == ["input", "input", "mul", "constant", "add"]


def test_vectors_are_numpys(trace: Trace) -> None:
    symbols = inputs(trace, 15)
    a, b = Vector(symbols[:3]), Vector(symbols[3:6])
    matrix = Matrix(Vector(symbols[6 + 3 * r : 9 + 3 * r]) for r in range(3))
    x = np.random.default_rng(1).normal(size=(5, 15))
    p, q, m = x[:, :3], x[:, 3:6], x[:, 6:].reshape(-1, 3, 3)
    expected = {
        "dot": ([dot(a, b)], (p * q).sum(-1)),
        "cross": (cross(a, b), np.cross(p, q)),
        "skew": (turn(skew(a), b), np.cross(p, q)),
        "turn": (turn(matrix, a), np.einsum("nij,nj->ni", m, p)),
        "turn_back": (turn_back(matrix, a), np.einsum("nji,nj->ni", m, p)),
        "product": ([e for row in product(matrix, matrix.T) for e in row], m @ m.transpose(0, 2, 1)),
        "sums": ([*(a + b - a * 2.0), *(-b)], np.concatenate([q - p, -q], -1)),
    }
    for name, (found, wanted) in expected.items():
        values = np.stack(values_of(trace, list(found), x), -1)
        np.testing.assert_allclose(values, wanted.reshape(values.shape), rtol=1e-13, atol=1e-13, err_msg=name)


def test_a_rotation_about_an_axis_of_the_frame_costs_four_multiplications(trace: Trace) -> None:
    c, s, *rest = inputs(trace, 5)
    zero, one = trace.constant(0.0), trace.constant(1.0)
    about_z = Matrix((Vector((c, -s, zero)), Vector((s, c, zero)), Vector((zero, zero, one))))
    turned = turn(about_z, Vector(rest))
    assert turned[2].number == rest[2].number
    kinds = [trace.operations[n][0] for n in trace.needed(list(turned))]
    assert kinds.count("mul") == 4 and kinds.count("add") + kinds.count("sub") == 2 and "neg" not in kinds

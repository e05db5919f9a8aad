"""The emitter by itself: each operation, arrays of every width, frames that fill no vector, sums, and bad numbers."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
import torch

from compiled_programs import DTYPES, by_numpy, compiled
from motorque.mechanics.compiled import machine
from motorque.mechanics.compiled.emitter import Program
from motorque.mechanics.compiled.kernel import REAL
from motorque.mechanics.compiled.trace import Symbol, Trace, cos, maximum, not_below, select, sin, sqrt

pytestmark = pytest.mark.skipif(bool(machine.why_not()), reason=machine.why_not() or "never")
NONE = torch.zeros(1)
EPS = {torch.float32: 2.0**-24, torch.float64: 2.0**-53}
EACH_DTYPE = pytest.mark.parametrize("dtype", DTYPES, ids=["float32", "float64"])


def given(frames: int, columns: int, dtype: torch.dtype, *, seed: int = 0) -> torch.Tensor:
    source = torch.Generator().manual_seed(seed)
    return torch.randn(frames, columns, generator=source, dtype=torch.float64).to(dtype) * 3


def inputs(trace: Trace, count: int, array: int = 0) -> list[Symbol]:
    return [trace.input(array, column) for column in range(count)]


@EACH_DTYPE
@pytest.mark.parametrize("narrower", [1, 2], ids=["", "half"])
def test_every_operation_is_exact(dtype: torch.dtype, narrower: int) -> None:
    """One rounding each, as numpy's: equal to the last bit, also in vectors narrower than the processor's."""
    trace = Trace()
    a, b, c = inputs(trace, 3)
    p = trace.parameter(1)
    results = [
        a + b, a - b, a * b, a / b, -a, sqrt(a), trace.record("nearest", a.number), maximum(a, b),
        select(not_below(a, b), c, a), a * p, a + 0.1, p, trace.constant(-1e-30), a,
    ]  # fmt: skip
    program = Program(trace, [3], [results])
    kernel = compiled(program, dtype, machine.processor().lanes(REAL[dtype]) // narrower)
    x, parameters = given(100, 3, dtype), torch.tensor([5.0, 0.3], dtype=dtype)
    x[0, 0], x[1, 0], x[2, 0], x[3, 1] = torch.inf, -torch.inf, torch.nan, torch.nan
    x[4, :2], x[5, :2], x[6, :2] = 0.0, torch.tensor([2.5, 0.0]), torch.tensor([-1.5, -1.5])
    (found,), _, _ = kernel.run([x], parameters)
    number = np.float32 if dtype == torch.float32 else np.float64
    (wanted,) = by_numpy(program, [x], parameters)
    np.testing.assert_array_equal(found.numpy(), wanted.astype(number))
    np.testing.assert_array_equal(found[:, 10].numpy(), x[:, 0].numpy() + number(0.1))


@EACH_DTYPE
def test_fused_multiplication_rounds_once(dtype: torch.dtype) -> None:
    trace = Trace()
    a, b, c = inputs(trace, 3)
    program = Program(trace, [3], [[trace.record("fma", a.number, b.number, c.number)]])
    near = 1 + torch.arange(1, 20, dtype=dtype) * EPS[dtype] * 2
    x = torch.stack([near, near, -(near * near)], -1)
    (found,), _, _ = compiled(program, dtype).run([x], NONE)
    with mpmath.workdps(40):
        exact = [float(mpmath.mpf(float(u)) ** 2 + mpmath.mpf(float(w))) for u, _, w in x]
    assert any(exact) and found[:, 0].tolist() == exact


@EACH_DTYPE
@pytest.mark.parametrize("columns", [1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 64, 70])
def test_arrays_of_any_width_are_turned_and_turned_back(columns: int, dtype: torch.dtype) -> None:
    trace = Trace()
    order = np.random.default_rng(columns).permutation(columns)
    read, added = inputs(trace, columns), inputs(trace, 2, array=1)
    program = Program(trace, [columns, 2], [[read[i] for i in order], [added[1], added[0], added[1]]])
    kernel = compiled(program, dtype)
    for frames in (1, 2 * kernel.lanes, 3 * kernel.lanes + 1):
        x, y = given(frames, columns, dtype), given(frames, 2, dtype, seed=1)
        (one, two), _, _ = kernel.run([x, y], NONE)
        assert torch.equal(one, x[:, order.tolist()])
        assert torch.equal(two, y[:, [1, 0, 1]])


@EACH_DTYPE
def test_equal_columns_and_constants_among_many(dtype: torch.dtype) -> None:
    """A symmetric matrix with zeros, as a mass matrix is."""
    trace = Trace()
    a = inputs(trace, 6)
    zero, one = trace.constant(0.0), trace.constant(1.0)
    entries = [a[i] * a[j] if (i + j) % 3 else zero for i in range(6) for j in range(6)]
    program = Program(trace, [6], [entries, [zero, one], [zero] * 40])
    kernel = compiled(program, dtype)
    x = given(50, 6, dtype)
    (matrix, constants, zeros), _, _ = kernel.run([x], NONE)
    pattern = torch.tensor([[bool((i + j) % 3) for j in range(6)] for i in range(6)])
    assert torch.equal(matrix.reshape(-1, 6, 6), torch.where(pattern, x[:, :, None] * x[:, None, :], 0.0))
    assert torch.equal(constants, torch.tensor([[0.0, 1.0]], dtype=dtype).expand(50, 2))
    assert zeros.shape == (50, 40) and not zeros.any()


@EACH_DTYPE
def test_sums_over_frames_count_each_once(dtype: torch.dtype) -> None:
    trace = Trace()
    a, weight = trace.input(0, 0), trace.input(1, 0)
    program = Program(trace, [1, 1], [[a + 1.0]], totals=[a * weight, weight, a * weight])
    kernel = compiled(program, dtype)
    for frames in (1, kernel.lanes - 1, kernel.lanes, 5 * kernel.lanes + 3, 9000):
        x, w = given(frames, 1, dtype), given(frames, 1, dtype, seed=1)
        (found,), sums, largest = kernel.run([x, w], NONE)
        assert torch.equal(found, x + 1) and largest == -np.inf
        products = (x.double() * w.double()).sum()
        wanted = np.array([products, w.double().sum(), products])
        assert np.abs(sums - wanted).max() < frames * EPS[dtype] * 9


@EACH_DTYPE
def test_the_largest_watched_number_is_found_and_nan_left_out(dtype: torch.dtype) -> None:
    trace = Trace()
    a = trace.input(0, 0)
    program = Program(trace, [1], [[a]], watched=[-a])
    kernel = compiled(program, dtype)
    for frames in (1, 5, 2 * kernel.lanes + 1):
        x = given(frames, 1, dtype)
        if frames > 1:
            x[0], x[-1] = torch.nan, -77.0
        _, _, largest = kernel.run([x], NONE)
        assert largest == float((-x[~x.isnan()]).max())


@EACH_DTYPE
def test_bad_numbers_stay_in_their_frames(dtype: torch.dtype) -> None:
    trace = Trace()
    a, b = inputs(trace, 2)
    program = Program(trace, [2], [[sin(a) / b, sqrt(a * a + b * b), cos(b) * a]])
    kernel = compiled(program, dtype)
    x = given(3 * kernel.lanes + 2, 2, dtype)
    (clean,), _, _ = kernel.run([x], NONE)
    for frame in range(len(x)):
        for bad in (torch.nan, torch.inf, torch.finfo(dtype).max):
            spoilt = x.clone()
            spoilt[frame] = bad
            (found,), _, _ = kernel.run([spoilt], NONE)
            assert not torch.isfinite(found[frame]).all()
            found[frame] = clean[frame]
            assert torch.equal(found, clean)


def angles(dtype: torch.dtype) -> torch.Tensor:
    """Up to a million radians, many at multiples of 45° and next to them."""
    rng = np.random.default_rng(0)
    number = np.float32 if dtype == torch.float32 else np.float64
    edges = (np.concatenate([np.arange(-40, 41), rng.integers(-1_200_000, 1_200_000, 400)]) * (np.pi / 4)).astype(
        number
    )
    near = [edges, np.nextafter(edges, number(np.inf)), np.nextafter(edges, number(-np.inf))]
    sizes = rng.choice([1e-30, 1e-8, 1e-3, 1.0, 10.0, 1e3, 1e6], 1500)
    return torch.as_tensor(np.concatenate([*near, rng.uniform(-1, 1, 1500) * sizes, [0.0]]).astype(number))[:, None]


@EACH_DTYPE
def test_sines_and_cosines_are_right_to_a_unit_or_two_in_the_last_place(dtype: torch.dtype) -> None:
    trace = Trace()
    a = trace.input(0, 0)
    x = angles(dtype)
    (found,), _, _ = compiled(Program(trace, [1], [[sin(a), cos(a)]]), dtype).run([x], NONE)
    number = np.float32 if dtype == torch.float32 else np.float64
    with mpmath.workdps(60):
        for column, function in enumerate((mpmath.sin, mpmath.cos)):
            for angle, value in zip(x[:, 0].tolist(), found[:, column].tolist(), strict=True):
                exact = function(mpmath.mpf(angle))
                # Next to a zero far out the three parts of π/2 end, at 1e6 × 2⁻⁷² or, in double precision, × 2⁻¹⁵⁹.
                unit = max(float(np.spacing(number(abs(exact)))), 1e-15 if dtype == torch.float32 else 1e-40)
                units = 1.5 if abs(angle) <= 1000 else 2.5
                assert abs(float(mpmath.mpf(value) - exact)) <= units * unit, (column, angle)
    bad = torch.tensor([[torch.inf], [-torch.inf], [torch.nan]], dtype=dtype)
    (found,), _, _ = compiled(Program(trace, [1], [[sin(a), cos(a)]]), dtype).run([bad], NONE)
    assert found.isnan().all()

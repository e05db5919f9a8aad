"""Functions of one coordinate that drive the axes of a joint, and their batched evaluation to second derivative.

Every function is a piecewise polynomial or a sinusoid. A `FunctionTable` sorts many of them by kind and evaluates
each kind at once over all frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import solve_banded
from torch import Tensor

from motorque.errors import ModelError

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Linear:
    """``slope * x + intercept``; a constant has slope 0."""

    slope: float = 0.0
    intercept: float = 0.0


@dataclass(frozen=True)
class Polynomial:
    """A polynomial; coefficients from the highest power down to the constant, as OpenSim stores them."""

    coefficients: tuple[float, ...]


@dataclass(frozen=True)
class Piecewise:
    """Cubic pieces between knots, straight lines beyond the first and the last.

    Args:
        x: Knots, increasing, K of them.
        pieces: Coefficients of (x - x_k)^3 … 1 on each interval, shape [K - 1, 4].
    """

    x: tuple[float, ...]
    pieces: tuple[tuple[float, float, float, float], ...]


@dataclass(frozen=True)
class Sine:
    """``amplitude * sin(frequency * x + phase) + offset``."""

    amplitude: float
    frequency: float = 1.0
    phase: float = 0.0
    offset: float = 0.0


Function = Linear | Polynomial | Piecewise | Sine


def simm_spline(x: Sequence[float], y: Sequence[float]) -> Function:
    """OpenSim's ``SimmSpline``: the cubic spline whose end pieces have the third derivative of the cubic through the
    four points nearest to that end (zero for three points); two points give a straight line. Beyond the ends it
    continues with the end slopes.

    Raises:
        ModelError: Fewer than two points, lengths that differ, or knots that do not increase.

    Source: Forsythe, Malcolm, Moler, Computer Methods for Mathematical Computations (1977), section 4.4; that OpenSim's
    splines end so, also the ones that its old files call natural, was found against the wheel.
    """
    knots, values = _checked_points(x, y, "SimmSpline")
    count = len(knots)
    if count == 2:
        return piecewise_linear(x, y)
    step, slope = np.diff(knots), np.diff(values) / np.diff(knots)
    # Unknowns are half the second derivatives; each inner row says that first derivatives meet at a knot.
    matrix = np.zeros((3, count))  # upper, main and lower diagonal
    right = np.zeros(count)
    matrix[0, 2:], matrix[1, 1:-1], matrix[2, :-2] = step[1:], 2 * (step[:-1] + step[1:]), step[:-1]
    right[1:-1] = 3 * np.diff(slope)
    matrix[1, 0], matrix[0, 1], matrix[1, -1], matrix[2, -2] = -1.0, 1.0, 1.0, -1.0
    if count > 3:
        right[0] = 3 * step[0] * _third_difference(knots[:4], values[:4])
        right[-1] = 3 * step[-1] * _third_difference(knots[-4:], values[-4:])
    half = solve_banded((1, 1), matrix, right)
    cubic = np.diff(half) / (3 * step)
    linear = slope - step * (2 * half[:-1] + half[1:]) / 3
    pieces = zip(cubic.tolist(), half[:-1].tolist(), linear.tolist(), values[:-1].tolist(), strict=True)
    return Piecewise(tuple(knots.tolist()), tuple(pieces))


def _third_difference(x: Array, y: Array) -> float:
    """Divided difference of four points: a sixth of the third derivative of the cubic through them."""
    for order in range(1, 4):
        y = np.diff(y) / (x[order:] - x[:-order])
    return float(y[0])


def piecewise_linear(x: Sequence[float], y: Sequence[float]) -> Function:
    """Straight lines through points, continued with the end slopes.

    Raises:
        ModelError: Fewer than two points, lengths that differ, or knots that do not increase.
    """
    knots, values = _checked_points(x, y, "PiecewiseLinearFunction")
    slopes = np.diff(values) / np.diff(knots)
    return Piecewise(tuple(knots), tuple((0.0, 0.0, float(s), float(v)) for s, v in zip(slopes, values, strict=False)))


def _checked_points(x: Sequence[float], y: Sequence[float], kind: str) -> tuple[Array, Array]:
    knots, values = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if len(knots) != len(values) or len(knots) < 2:
        raise ModelError(f"{kind}: {len(knots)} x values and {len(values)} y values; at least two of each are needed")
    if not (np.diff(knots) > 0).all():
        raise ModelError(f"{kind}: x values must increase, got {np.array2string(knots, threshold=6)}")
    return knots, values


def scaled(function: Function, factor: float) -> Function:
    """The function multiplied by a constant (OpenSim's ``MultiplierFunction``)."""
    if isinstance(function, Linear):
        return Linear(function.slope * factor, function.intercept * factor)
    if isinstance(function, Polynomial):
        return Polynomial(tuple(c * factor for c in function.coefficients))
    if isinstance(function, Sine):
        return Sine(function.amplitude * factor, function.frequency, function.phase, function.offset * factor)
    return Piecewise(
        function.x, tuple((a * factor, b * factor, c * factor, d * factor) for a, b, c, d in function.pieces)
    )


def is_constant(function: Function) -> bool:
    """Whether the function is a constant by its form."""
    return isinstance(function, Linear) and function.slope == 0.0


def piecewise_table(function: Piecewise) -> tuple[Array, Array, Array]:
    """A piecewise function with its straight ends as pieces of their own.

    Returns:
        The K knots between the K + 1 pieces, where each piece's polynomial has its origin, shape [K + 1], and its
        coefficients of (x - origin)^3 … 1, shape [K + 1, 4].
    """
    x, pieces = np.array(function.x), np.array(function.pieces)
    step, (a, b, c, d) = x[-1] - x[-2], pieces[-1]
    slope, end = (3 * a * step + 2 * b) * step + c, ((a * step + b) * step + c) * step + d
    cubics = np.vstack([[0.0, 0.0, pieces[0, 2], pieces[0, 3]], pieces, [0.0, 0.0, slope, end]])
    origins = np.concatenate([x[:1], x])
    # The last knot still belongs to the last piece, as in OpenSim: the second derivative jumps there.
    knots = np.concatenate([x[:-1], [np.nextafter(x[-1], np.inf)]])
    return knots, origins, cubics


@dataclass(frozen=True, eq=False)
class FunctionTable:
    """Many functions evaluated at once: entry ``n`` is ``functions[n]`` of its own argument.

    Args:
        functions: The functions, N of them.
    """

    functions: tuple[Function, ...]
    _cache: dict[tuple[torch.device, torch.dtype], dict[str, Tensor]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        # Packed here and not at first use: that may be inside a torch.func transform, whose tensors must not be kept.
        self._tensors(torch.device("cpu"), torch.float64)

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Values and first and second derivatives.

        Args:
            x: Arguments, shape [..., N].

        Returns:
            Three tensors of shape [..., N].
        """
        t = self._tensors(x.device, x.dtype)
        value = x * t["slope"] + t["intercept"]
        first = t["slope"].expand_as(x)
        second = torch.zeros_like(x)
        for kind, evaluate in (("polynomial", _polynomials), ("piecewise", _pieces), ("sine", _sines)):
            index = t[f"{kind}_index"]
            if len(index):
                f0, f1, f2 = evaluate(x[..., index], t)
                value = value.index_copy(-1, index, f0)
                first = first.index_copy(-1, index, f1)
                second = second.index_copy(-1, index, f2)
        return value, first, second

    def _tensors(self, device: torch.device, dtype: torch.dtype) -> dict[str, Tensor]:
        key = (device, dtype)
        if key not in self._cache:
            self._cache[key] = self._pack(device, dtype)
        return self._cache[key]

    def _pack(self, device: torch.device, dtype: torch.dtype) -> dict[str, Tensor]:
        def tensor(values: object) -> Tensor:
            return torch.as_tensor(np.asarray(values, dtype=np.float64), dtype=dtype, device=device)

        def index(kind: type) -> Tensor:
            found = [n for n, f in enumerate(self.functions) if isinstance(f, kind)]
            return torch.tensor(found, dtype=torch.long, device=device)

        out = {
            "slope": tensor([f.slope if isinstance(f, Linear) else 0.0 for f in self.functions]),
            "intercept": tensor([f.intercept if isinstance(f, Linear) else 0.0 for f in self.functions]),
            "polynomial_index": index(Polynomial),
            "piecewise_index": index(Piecewise),
            "sine_index": index(Sine),
        }
        polynomials = [f for f in self.functions if isinstance(f, Polynomial)]
        if polynomials:
            width = max(len(f.coefficients) for f in polynomials)
            padded = [(0.0,) * (width - len(f.coefficients)) + f.coefficients for f in polynomials]
            out["polynomial"] = tensor(padded)
        pieces = [f for f in self.functions if isinstance(f, Piecewise)]
        if pieces:
            # A straight line before the first knot and after the last one turn K - 1 intervals into K + 1; all
            # functions share one width, the surplus knots lie at infinity and are never reached.
            width = max(len(f.x) for f in pieces)
            knots = np.full((len(pieces), width), np.inf)
            origin = np.zeros((len(pieces), width + 1))
            cubic = np.zeros((len(pieces), width + 1, 4))
            for row, f in enumerate(pieces):
                count = len(f.x)
                knots[row, :count], origin[row, : count + 1], cubic[row, : count + 1] = piecewise_table(f)
            out["knots"], out["origin"], out["cubic"] = tensor(knots), tensor(origin), tensor(cubic)
        sines = [f for f in self.functions if isinstance(f, Sine)]
        if sines:
            out["sine"] = tensor([(f.amplitude, f.frequency, f.phase, f.offset) for f in sines]).T
        return out


def _polynomials(x: Tensor, t: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    coefficients = t["polynomial"]
    f0, f1, f2 = torch.zeros_like(x), torch.zeros_like(x), torch.zeros_like(x)
    for column in range(coefficients.shape[1]):  # Horner's scheme, derivatives carried along
        f2 = f2 * x + 2 * f1
        f1 = f1 * x + f0
        f0 = f0 * x + coefficients[:, column]
    return f0, f1, f2


def _pieces(x: Tensor, t: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    flat = x.reshape(-1, x.shape[-1]).T.contiguous()
    piece = torch.searchsorted(t["knots"], flat.detach(), right=True)
    row = torch.arange(flat.shape[0], device=x.device)[:, None]
    h = flat - t["origin"][row, piece]
    a, b, c, d = t["cubic"][row, piece].unbind(-1)
    f0 = ((a * h + b) * h + c) * h + d
    f1 = (3 * a * h + 2 * b) * h + c
    f2 = 6 * a * h + 2 * b
    return tuple(f.T.reshape(x.shape) for f in (f0, f1, f2))  # type: ignore[return-value]


def _sines(x: Tensor, t: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    amplitude, frequency, phase, offset = t["sine"]
    angle = frequency * x + phase
    sine, cosine = torch.sin(angle), torch.cos(angle)
    return amplitude * sine + offset, amplitude * frequency * cosine, -amplitude * frequency**2 * sine

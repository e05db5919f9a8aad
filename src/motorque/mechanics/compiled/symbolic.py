"""A skeleton of symbols: its numbers, the rotations of its joints and the functions that drive them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from motorque.mechanics.compiled.structure import Code, Structure
from motorque.mechanics.compiled.trace import Symbol, Trace, cos, maximum, not_below, select, sin, sqrt
from motorque.mechanics.compiled.vectors import Matrix, Vector, cross, dot, product, symmetric, total, turn
from motorque.spatial import ROTATION_TOLERANCE, rotation_width

Derivatives = tuple[Symbol, Symbol, Symbol]
"""A function's value and its first and second derivative."""


@dataclass
class SymbolicSkeleton:
    """Symbols for the numbers of a skeleton.

    Args:
        trace: Where they are recorded.
        structure: What is known of the skeleton.
    """

    trace: Trace
    structure: Structure

    def symbol(self, code: Code) -> Symbol:
        """A parameter or a known number."""
        return self.trace.constant(float(code)) if isinstance(code, str) else self.trace.parameter(code)

    def scalar(self, name: str, index: int) -> Symbol:
        """Entry of a tensor of shape [B]."""
        return self.symbol(self.structure.tensors[name][index])

    def vector(self, name: str, index: int) -> Vector:
        """Row of a tensor of shape [..., 3], its leading dimensions counted through."""
        return Vector(self.symbol(code) for code in self.structure.tensors[name][3 * index : 3 * index + 3])

    def matrix(self, name: str, body: int) -> Matrix:
        """Matrix of a tensor of shape [B, 3, 3]."""
        return Matrix(self.vector(name, 3 * body + row) for row in range(3))

    def inertia(self, body: int) -> Matrix:
        """Inertia of a body; where its entries are parameters of their own, the symmetric part."""
        own = self.matrix("inertia", body)
        return symmetric(
            lambda i, j: own[i][j] if own[i][j].number == own[j][i].number else 0.5 * (own[i][j] + own[j][i])
        )

    def zero(self) -> Vector:
        """The zero vector."""
        return Vector([self.trace.constant(0.0)] * 3)

    def identity(self) -> Matrix:
        """The identity."""
        return Matrix(Vector(self.trace.constant(float(i == j)) for j in range(3)) for i in range(3))

    def function(self, description: Sequence[Any], x: Symbol) -> Derivatives:
        """A coordinate function and its derivatives at a coordinate."""
        kind, *codes = description
        zero = self.trace.constant(0.0)
        if kind == "linear":
            slope, intercept = (self.symbol(c) for c in codes)
            return slope * x + intercept, slope, zero
        if kind == "polynomial":
            f0, f1, half = zero, zero, zero
            for code in codes[0]:  # Horner's scheme, derivatives carried along
                half = half * x + f1
                f1 = f1 * x + f0
                f0 = f0 * x + self.symbol(code)
            return f0, f1, 2.0 * half
        if kind == "sine":
            amplitude, frequency, phase, offset = (self.symbol(c) for c in codes)
            angle = frequency * x + phase
            first = amplitude * frequency
            return amplitude * sin(angle) + offset, first * cos(angle), -(first * frequency) * sin(angle)
        knots, origins, cubics = codes
        rows = [[self.symbol(c) for c in (origin, *cubic)] for origin, cubic in zip(origins, cubics, strict=True)]
        chosen = rows[0]
        for knot, row in zip(knots, rows[1:], strict=True):
            mask = not_below(x, self.symbol(knot))
            chosen = [select(mask, new, old) for new, old in zip(row, chosen, strict=True)]
        origin, a, b, c, d = chosen
        h = x - origin
        return ((a * h + b) * h + c) * h + d, (3.0 * a * h + 2.0 * b) * h + c, 6.0 * a * h + 2.0 * b

    def coordinates(
        self, array: int, *, reduced: bool
    ) -> tuple[list[Symbol], dict[int, Matrix], list[Symbol], list[Symbol]]:
        """Coordinates and ball joints' rotations from the columns of a position array.

        Args:
            array: Number of the array.
            reduced: Whether the array has no columns for dependent coordinates; those are then zero for the time being.

        Returns:
            One symbol per coordinate, zero where a ball joint is not given as angles; the rotations of ball joints by
            body, as far as they are not given as angles; how far each is from being a rotation; all columns.
        """
        columns = iter(range(10**6))
        values, rotations, errors, inputs = [], {}, [], []
        dependent = {c for c, *_ in self.structure.couplers} if reduced else set()
        within: dict[int, int] = {}
        if self.structure.rotations != "angles":
            within = {c: body for body in self.structure.balls for c in self.structure.joints[body][1]}

        def take() -> Symbol:
            inputs.append(self.trace.input(array, next(columns)))
            return inputs[-1]

        for coordinate in range(self.structure.speeds):
            body = within.get(coordinate)
            if body is None:
                values.append(self.trace.constant(0.0) if coordinate in dependent else take())
                continue
            values.append(self.trace.constant(0.0))
            if coordinate == self.structure.joints[body][1][0]:
                kind = self.structure.rotations
                rotations[body], error = _rotation(kind, [take() for _ in range(rotation_width(kind))])
                errors += error
        return values, rotations, errors, inputs

    def rates(self, array: int, *, reduced: bool) -> tuple[list[Symbol], list[Symbol]]:
        """Speeds, accelerations or forces from the columns of an array, and those columns; zero for dependent ones."""
        kept = self.free if reduced else list(range(self.structure.speeds))
        inputs = {c: self.trace.input(array, column) for column, c in enumerate(kept)}
        zero = self.trace.constant(0.0)
        return [inputs.get(c, zero) for c in range(self.structure.speeds)], list(inputs.values())

    def couple(self, values: Sequence[list[Symbol]]) -> list[Symbol]:
        """Fill dependent coordinates, rates and accelerations in, in place, from the ones that they follow.

        Args:
            values: Coordinates, and as many of their time derivatives as there are.

        Returns:
            The slope of each coupler.
        """
        slopes = []
        for dependent, independent, description, code in self.structure.couplers:
            scale = self.symbol(code)
            f0, f1, f2 = (scale * f for f in self.function(description, values[0][independent]))
            values[0][dependent] = f0
            if len(values) > 1:
                rate = values[1][independent]
                values[1][dependent] = f1 * rate
            if len(values) > 2:
                values[2][dependent] = f1 * values[2][independent] + f2 * rate * rate
            slopes.append(f1)
        return slopes

    def fold(self, slopes: Sequence[Symbol], forces: list[Symbol]) -> list[Symbol]:
        """Generalized forces of the free coordinates, dependent ones' added to those of the ones that they follow."""
        forces = list(forces)
        for (dependent, independent, _, _), slope in reversed(list(zip(self.structure.couplers, slopes, strict=True))):
            forces[independent] = forces[independent] + slope * forces[dependent]
        return [forces[c] for c in self.free]

    @property
    def free(self) -> list[int]:
        """Coordinates that no coupler drives."""
        driven = {dependent for dependent, *_ in self.structure.couplers}
        return [c for c in range(self.structure.speeds) if c not in driven]


def axis_rotation(axis: Vector, angle: Symbol) -> Matrix:
    """Rotation about a unit axis (Rodrigues' formula)."""
    s, c = sin(angle), cos(angle)
    rest = 1.0 - c
    x, y, z = axis
    sx, sy, sz = (s * e for e in axis)

    def entry(i: int, j: int) -> Symbol:
        # For axes of zeros and ones the diagonal is 1 or the cosine itself, without a detour over 1 - cos.
        if i == j and axis[i].value in (0.0, 1.0, -1.0):
            return c if axis[i].value == 0 else c.trace.constant(1.0)
        return axis[i] * axis[j] * rest + (c if i == j else 0.0)

    return Matrix(
        (
            Vector((entry(0, 0), entry(0, 1) - sz, entry(0, 2) + sy)),
            Vector((entry(1, 0) + sz, entry(1, 1), entry(1, 2) - sx)),
            Vector((entry(2, 0) - sy, entry(2, 1) + sx, entry(2, 2))),
        )
    )


def _rotation(kind: str, numbers: list[Symbol]) -> tuple[Matrix, list[Symbol]]:
    """A rotation matrix from its numbers, and how far they are from a rotation, as `spatial.rotation_error` says."""
    if kind == "quaternion":
        return _quaternion(numbers), [_apart(total(n * n for n in numbers))]
    if kind == "axis-angle":
        # A tiny length in place of none, so that the quotient and its derivative exist at rest.
        angle = sqrt(total(n * n for n in numbers) + 1e-30)
        half = 0.5 * angle
        sine = sin(half) / angle
        return _quaternion([*(n * sine for n in numbers), cos(half)]), []
    if kind == "6d":
        one, two = Vector(numbers[:3]), Vector(numbers[3:])
        x = one * (1.0 / sqrt(dot(one, one)))
        across = two - x * dot(x, two)
        y = across * (1.0 / sqrt(dot(across, across)))
        return Matrix((x, y, cross(x, y))).T, [_parallel(one, two)]
    matrix = Matrix(Vector(numbers[3 * row : 3 * row + 3]) for row in range(3))
    columns = matrix.T
    determinant = dot(columns[0], cross(columns[1], columns[2]))
    return matrix, [_apart(x) for x in (*(dot(c, c) for c in columns), determinant)]


def _apart(x: Symbol) -> Symbol:
    return maximum(x - 1.0, 1.0 - x)


def _parallel(one: Vector, two: Vector) -> Symbol:
    """1 where two vectors are parallel, or one of them is zero; else 0."""
    along, sizes = dot(one, two), dot(one, one) * dot(two, two)
    zero = along.trace.constant(0.0)
    # The sine below which they count as parallel is that of single precision; torch then takes a closer look.
    least = ROTATION_TOLERANCE[torch.float32]
    return select(not_below(along * along, (1.0 - least * least) * sizes), zero + 1.0, zero)


def _quaternion(numbers: Sequence[Symbol]) -> Matrix:
    x, y, z, w = numbers
    # Products of the numbers alone, without a 1: off the unit sphere the matrix is then the one that roma gives.
    x2, y2, z2 = 2.0 * x, 2.0 * y, 2.0 * z
    xx, yy, zz, ww = x * x, y * y, z * z, w * w
    xy, xz, yz, wx, wy, wz = x * y2, x * z2, y * z2, w * x2, w * y2, w * z2
    less, more, apart = ww - zz, ww + zz, xx - yy
    return Matrix(
        (
            Vector((less + apart, xy - wz, xz + wy)),
            Vector((xy + wz, less - apart, yz - wx)),
            Vector((xz - wy, yz + wx, more - (xx + yy))),
        )
    )


@dataclass
class JointMotion:
    """A joint at one pose: frame M against frame F, all in F.

    Args:
        rotation: From M to F.
        shift: Origin of M [m].
        axes: The rotation axes, each carried by the rotations before it, and the translation axes; six vectors.
        driven: Of each element that moves: its place (0 to 5), its coordinate, and the derivative by the coordinate.
        rates: Rates of the six elements; of a ball joint, its angular velocity and the rates of its translations.
        accelerations: Their time derivatives.
    """

    rotation: Matrix
    shift: Vector
    axes: list[Vector]
    driven: list[tuple[int, int, Symbol]]
    rates: list[Symbol]
    accelerations: list[Symbol]


def joint_motion(
    body: SymbolicSkeleton,
    index: int,
    q: Sequence[Symbol],
    v: Sequence[Symbol] | None,
    a: Sequence[Symbol] | None,
    given: Matrix | None,
) -> JointMotion:
    """A joint's elements, their derivatives and its pose.

    Args:
        body: The skeleton.
        index: The joint's body.
        q: All coordinates.
        v: Their speeds, or None for rest.
        a: Their accelerations, or None for none.
        given: Rotation from M to F where it is given as such.
    """
    _, ball, elements, _, _ = body.structure.joints[index]
    zero = body.trace.constant(0.0)
    values, rates, accelerations, driven = [], [], [], []
    for place, (description, coordinate, factor, other) in enumerate(elements):
        scale = body.scalar("translation_scale", 3 * index + place - 3) if place >= 3 else body.trace.constant(1.0)
        x0, x1, x2 = body.function(description, q[coordinate] if coordinate >= 0 else zero)
        y0, y1, y2 = (body.trace.constant(1.0), zero, zero)
        if factor is not None:
            y0, y1, y2 = body.function(factor, q[other] if other >= 0 else zero)
        by_first, by_second = scale * x1 * y0, scale * x0 * y1
        first = zero if v is None or coordinate < 0 else v[coordinate]
        second = zero if v is None or other < 0 else v[other]
        values.append(scale * x0 * y0)
        rates.append(by_first * first + by_second * second)
        bend = (
            scale * x2 * y0 * first * first + scale * x0 * y2 * second * second + 2.0 * scale * x1 * y1 * first * second
        )
        if a is not None:
            bend = bend + by_first * (a[coordinate] if coordinate >= 0 else zero)
            bend = bend + by_second * (a[other] if other >= 0 else zero)
        accelerations.append(bend)
        for c, slope in ((coordinate, by_first), (other, by_second)):
            if c >= 0 and slope.value != 0 and not (ball and place < 3):
                driven.append((place, c, slope))
    along = [body.vector("translation_axes", 3 * index + i) for i in range(3)]
    shift = body.zero()
    for axis, value in zip(along, values[3:], strict=True):
        shift = shift + axis * value
    about = [body.vector("rotation_axes", 3 * index + i) for i in range(3)]
    if given is None:
        one, two, three = (axis_rotation(axis, angle) for axis, angle in zip(about, values[:3], strict=True))
        both = product(one, two)
        carried = [about[0], turn(one, about[1]), turn(both, about[2])]
        rotation = product(both, three)
    else:
        carried, rotation = list(body.identity()), given
    if ball:  # its speeds are an angular velocity in F, however its position is given
        carried = list(body.identity())
        driven = [(i, c, body.trace.constant(1.0)) for i, c in enumerate(ball)] + driven
        rates[:3] = [zero] * 3 if v is None else [v[c] for c in ball]
        accelerations[:3] = [zero] * 3 if a is None else [a[c] for c in ball]
    return JointMotion(rotation, shift, carried + along, driven, rates, accelerations)

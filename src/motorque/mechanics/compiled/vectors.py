"""Vectors and matrices of symbols, just enough of them for the mechanics of rigid bodies."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from motorque.mechanics.compiled.trace import Symbol


class Vector(tuple[Symbol, ...]):
    """Three symbols; ``+`` and ``-`` between vectors, ``*`` with a number."""

    def __add__(self, other: Sequence[Symbol]) -> Vector:  # type: ignore[override]
        return Vector(a + b for a, b in zip(self, other, strict=True))

    def __sub__(self, other: Sequence[Symbol]) -> Vector:
        return Vector(a - b for a, b in zip(self, other, strict=True))

    def __neg__(self) -> Vector:
        return Vector(-a for a in self)

    def __mul__(self, factor: Symbol | float) -> Vector:  # type: ignore[override]
        return Vector(a * factor for a in self)

    __rmul__ = __mul__  # type: ignore[assignment]

    @property
    def is_zero(self) -> bool:
        """Whether all three are known to be zero."""
        return all(a.value == 0 for a in self)


class Matrix(tuple[Vector, ...]):
    """Three rows."""

    @property
    def T(self) -> Matrix:
        """The transposed matrix."""
        return Matrix(Vector(row[i] for row in self) for i in range(3))

    def __add__(self, other: Sequence[Vector]) -> Matrix:  # type: ignore[override]
        return Matrix(a + b for a, b in zip(self, other, strict=True))

    def __sub__(self, other: Sequence[Vector]) -> Matrix:
        return Matrix(a - b for a, b in zip(self, other, strict=True))

    @property
    def is_identity(self) -> bool:
        """Whether it is known to be the identity."""
        return all(x.value == float(i == j) for i, row in enumerate(self) for j, x in enumerate(row))


def dot(a: Sequence[Symbol], b: Sequence[Symbol]) -> Symbol:
    """Scalar product."""
    return total(x * y for x, y in zip(a, b, strict=True))


def total(terms: Iterable[Symbol]) -> Symbol:
    """Sum of at least one term."""
    first, *others = terms
    for term in others:
        first = first + term
    return first


def cross(a: Sequence[Symbol], b: Sequence[Symbol]) -> Vector:
    """Vector product."""
    return Vector((a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]))


def turn(rotation: Matrix, vector: Vector) -> Vector:
    """``rotation @ vector``."""
    return Vector(dot(row, vector) for row in rotation)


def turn_back(rotation: Matrix, vector: Vector) -> Vector:
    """``rotation.T @ vector``."""
    return Vector(dot([row[i] for row in rotation], vector) for i in range(3))


def product(a: Matrix, b: Matrix) -> Matrix:
    """``a @ b``."""
    columns = b.T
    return Matrix(Vector(dot(row, column) for column in columns) for row in a)


def skew(a: Vector) -> Matrix:
    """The matrix that makes a vector product: ``skew(a) @ b = a × b``."""
    zero = a[0].trace.constant(0.0)
    return Matrix((Vector((zero, -a[2], a[1])), Vector((a[2], zero, -a[0])), Vector((-a[1], a[0], zero))))


def symmetric(entry: Callable[[int, int], Symbol]) -> Matrix:
    """A symmetric matrix from its entries on and above the diagonal, which are computed once."""
    upper = {(i, j): entry(i, j) for i in range(3) for j in range(i, 3)}
    return Matrix(Vector(upper[min(i, j), max(i, j)] for j in range(3)) for i in range(3))

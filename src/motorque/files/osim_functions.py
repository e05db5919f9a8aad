"""OpenSim's functions of one coordinate, from XML to :mod:`motorque.skeleton.functions`."""

from __future__ import annotations

from motorque.errors import ModelError
from motorque.files.xml import Node, children, numbers, where
from motorque.skeleton.functions import (
    Function,
    Linear,
    Polynomial,
    Sine,
    is_constant,
    piecewise_linear,
    scaled,
    simm_spline,
)

SPLINES = ("SimmSpline", "NaturalCubicSpline", "natCubicSpline")


def read_function(node: Node) -> Function:
    """The function that an element describes.

    Raises:
        ModelError: The kind of function is not supported.
        FileFormatError: Its numbers are missing or malformed.
    """
    kind = node.tag if node.tag not in ("function", "coupled_coordinates_function") else (node.get("type") or node.tag)
    if kind == "Constant":
        return Linear(0.0, float(numbers(node, "value", 1, (0.0,))[0]))
    if kind == "LinearFunction":
        slope, intercept = numbers(node, "coefficients", 2, (1.0, 0.0))
        return Linear(float(slope), float(intercept))
    if kind == "PolynomialFunction":
        return Polynomial(tuple(float(c) for c in numbers(node, "coefficients")))
    if kind in SPLINES:
        return simm_spline(numbers(node, "x").tolist(), numbers(node, "y").tolist())
    if kind == "PiecewiseLinearFunction":
        return piecewise_linear(numbers(node, "x").tolist(), numbers(node, "y").tolist())
    if kind == "Sine":
        parts = [
            float(numbers(node, tag, 1, (value,))[0])
            for tag, value in (("amplitude", 1.0), ("omega", 1.0), ("phase", 0.0), ("offset", 0.0))
        ]
        return Sine(*parts)
    if kind == "MultiplierFunction":
        inner = read_child_function(node)
        if inner is None:
            raise ModelError(f"{where(node)}: a MultiplierFunction without a function inside; add one")
        return scaled(inner, float(numbers(node, "scale", 1, (1.0,))[0]))
    raise ModelError(
        f"{where(node)}: functions of type {kind} are not supported; use Constant, LinearFunction, PolynomialFunction, "
        "SimmSpline, PiecewiseLinearFunction, Sine or MultiplierFunction"
    )


FUNCTION_TAGS = {
    "Constant",
    "LinearFunction",
    "PolynomialFunction",
    *SPLINES,
    "PiecewiseLinearFunction",
    "Sine",
    "MultiplierFunction",
}


def read_child_function(node: Node, wrapper: str = "function") -> Function | None:
    """The function inside an element, written either as ``<function><Kind>`` or as ``<Kind name="function">``.

    Returns None where there is none, or an empty ``<function/>``.
    """
    holder = node.find(wrapper)
    if holder is not None:
        inside = children(holder)
        return read_function(inside[0]) if inside else None
    for child in children(node):
        if child.tag in FUNCTION_TAGS or child.get("name") == wrapper:
            return read_function(child)
    return None


def is_identity(function: Function) -> bool:
    """Whether a function is linear with slope 1 or -1, so that the coordinate is the displacement but for its sign."""
    return isinstance(function, Linear) and not is_constant(function) and abs(function.slope) == 1.0

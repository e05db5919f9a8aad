"""Functions of a coordinate: values and derivatives against finite differences and the wheel's functions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from motorque.errors import FileFormatError, ModelError
from motorque.files.osim_functions import read_child_function, read_function
from motorque.skeleton.functions import (
    Function,
    FunctionTable,
    Linear,
    Piecewise,
    Polynomial,
    Sine,
    is_constant,
    piecewise_linear,
    scaled,
    simm_spline,
)

X, Y = (-1.2, -0.5, 0.1, 0.4, 1.5), (0.3, -0.2, 0.25, 1.0, -0.7)
FUNCTIONS: dict[str, Function] = {
    "constant": Linear(0.0, 0.7),
    "linear": Linear(-1.5, 0.2),
    "polynomial": Polynomial((0.4, -1.0, 0.3, 2.0)),
    "shorter polynomial": Polynomial((3.0, -2.0)),
    "polynomial of degree 0": Polynomial((2.5,)),
    "spline": simm_spline(X, Y),
    "spline of four": simm_spline(X[:4], Y[:4]),
    "spline of three": simm_spline(X[:3], Y[:3]),
    "spline of two": simm_spline(X[:2], Y[:2]),
    "lines": piecewise_linear(X, Y),
    "sine": Sine(1.3, 2.2, 0.4, -0.6),
}
FUNCTIONS |= {f"{name}, multiplied": scaled(function, -2.5) for name, function in FUNCTIONS.items()}
SMOOTH = torch.tensor([-9.0, -2.0, -1.1, -0.3, 0.0, 0.2, 0.37, 0.9, 1.45, 2.0, 9.0], dtype=torch.float64)
"""Arguments within every piece and beyond both ends, none at a knot."""
WHEEL = [-5.0, -1.3, *X, -0.9, 0.0, 0.3, 0.77, 1.2, 1.6, 5.0]
"""Arguments that include the knots, where derivatives jump."""


@pytest.mark.parametrize("name", FUNCTIONS)
def test_derivatives_are_those_of_the_value(name: str) -> None:
    table = FunctionTable((FUNCTIONS[name],))
    x = SMOOTH[:, None]
    _, first, second = table(x)
    step = 1e-5
    (above, slope_above, _), (below, slope_below, _) = table(x + step), table(x - step)
    torch.testing.assert_close(first, (above - below) / (2 * step), rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(second, (slope_above - slope_below) / (2 * step), rtol=1e-8, atol=1e-8)
    slope = torch.func.jvp(lambda a: table(a)[0], (x,), (torch.ones_like(x),))[1]
    torch.testing.assert_close(slope, first, rtol=1e-12, atol=1e-12)


def test_a_table_evaluates_each_function_at_its_own_argument() -> None:
    functions = tuple(FUNCTIONS.values())
    x = torch.as_tensor(np.random.default_rng(0).uniform(-3, 3, (4, 5, len(functions))))
    together = FunctionTable(functions)(x)
    for n, function in enumerate(functions):
        alone = FunctionTable((function,))(x[..., n : n + 1])
        for all_of_them, one in zip(together, alone, strict=True):
            assert torch.equal(all_of_them[..., n : n + 1], one)
    for half, full in zip(FunctionTable(functions)(x.float()), together, strict=True):
        assert half.dtype == torch.float32
        torch.testing.assert_close(half.double(), full, rtol=2e-5, atol=2e-4)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.floats(0.01, 2), st.floats(-3, 3)), min_size=3, max_size=9), st.floats(-5, 5))
def test_splines_go_through_their_points_and_are_smooth(points: list[tuple[float, float]], begin: float) -> None:
    x = begin + np.cumsum([step for step, _ in points])
    y = np.array([value for _, value in points])
    spline = simm_spline(x.tolist(), y.tolist())
    assert isinstance(spline, Piecewise)
    (a, b, c, d), step = np.array(spline.pieces).T, np.diff(x)
    np.testing.assert_array_equal(d, y[:-1])
    # Value, slope and half the second derivative where each piece ends, and the sizes of what is summed there.
    ends = [
        np.array([a * step**3, b * step**2, c * step, d]),
        np.array([3 * a * step**2, 2 * b * step, c]),
        np.array([3 * a * step, b]),
    ]
    for terms, begins in zip(ends, (y[1:], c[1:], b[1:]), strict=True):
        count = len(begins)
        assert (np.abs(terms.sum(0)[:count] - begins) <= 1e-10 * np.abs(terms).sum(0).max()).all()


@pytest.mark.parametrize("make", [simm_spline, piecewise_linear])
@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        ((), (), "0 x values"),
        ((1.0,), (1.0,), "1 x values and 1 y values; at least two"),
        ((1.0, 2.0, 3.0), (1.0, 2.0), "3 x values and 2 y values"),
        ((1.0, 1.0, 2.0), (1.0, 2.0, 3.0), "x values must increase"),
        ((1.0, 3.0, 2.0), (1.0, 2.0, 3.0), "x values must increase"),
        ((1.0, float("nan"), 2.0), (1.0, 2.0, 3.0), "x values must increase"),
    ],
    ids=lambda value: str(len(value)) if isinstance(value, tuple) else "",
)
def test_wrong_points(make: Callable[..., Function], x: tuple, y: tuple, message: str) -> None:
    with pytest.raises(ModelError, match=message) as caught:
        make(x, y)
    assert "\n" not in str(caught.value)


def test_constants_are_known_by_their_form() -> None:
    assert is_constant(Linear(0.0, 3.0))
    assert not is_constant(Linear(1.0)) and not is_constant(Polynomial((2.0,)))


LISTED = f"<x>{' '.join(map(str, X))}</x><y>{' '.join(map(str, Y))}</y>"
SPLINE = f"<SimmSpline>{LISTED}</SimmSpline>"
DESCRIBED = {
    "Constant": "<Constant><value>0.7</value></Constant>",
    "LinearFunction": "<LinearFunction><coefficients> -1.5 0.2</coefficients></LinearFunction>",
    "PolynomialFunction": "<PolynomialFunction><coefficients>0.4 -1 0.3 2</coefficients></PolynomialFunction>",
    "SimmSpline": SPLINE,
    "PiecewiseLinearFunction": f"<PiecewiseLinearFunction>{LISTED}</PiecewiseLinearFunction>",
    "Sine": "<Sine><amplitude>1.3</amplitude><omega>2.2</omega><phase>0.4</phase><offset>-0.6</offset></Sine>",
    "MultiplierFunction": f"<MultiplierFunction><function>{SPLINE}</function><scale>-2.5</scale></MultiplierFunction>",
}


def as_opensim(opensim, kind: str, keep: list):  # type: ignore[no-untyped-def]
    """The same function as the wheel's object; what it refers to is kept alive in a list."""
    if kind == "Constant":
        return opensim.Constant(0.7)
    if kind == "LinearFunction":
        return opensim.LinearFunction(-1.5, 0.2)
    if kind == "PolynomialFunction":
        return opensim.PolynomialFunction(opensim.Vector([0.4, -1.0, 0.3, 2.0]))
    if kind == "Sine":
        return opensim.Sine(1.3, 2.2, 0.4, -0.6)
    if kind == "MultiplierFunction":
        inner = as_opensim(opensim, "SimmSpline", keep)
        inner.thisown = False  # the multiplier takes it over
        keep.append(inner)
        return opensim.MultiplierFunction(inner, -2.5)
    function = getattr(opensim, kind)()
    for x, y in zip(X, Y, strict=True):
        function.addPoint(x, y)
    return function


@pytest.mark.parametrize("kind", DESCRIBED)
def test_values_and_derivatives_are_opensims(kind: str, opensim) -> None:  # type: ignore[no-untyped-def]
    keep: list = []
    theirs = as_opensim(opensim, kind, keep)
    once, twice = [0], [0, 0]  # plain lists: StdVectorInt is ezc3d's once that is loaded
    ours = FunctionTable((read_function(etree.fromstring(DESCRIBED[kind])),))
    value, first, second = ours(torch.tensor(WHEEL, dtype=torch.float64)[:, None])
    for n, x in enumerate(WHEEL):
        at = opensim.Vector(1, x)
        assert value[n].item() == pytest.approx(theirs.calcValue(at), rel=1e-12, abs=1e-13), x
        if kind == "PiecewiseLinearFunction" and x in X[1:-1]:
            continue  # at a corner OpenSim's slope is that of one side or the other, as its search happens to end
        assert first[n].item() == pytest.approx(theirs.calcDerivative(once, at), rel=1e-11, abs=1e-12), x
        assert second[n].item() == pytest.approx(theirs.calcDerivative(twice, at), rel=1e-11, abs=1e-11), x


def test_functions_are_found_in_every_dress() -> None:
    spline = read_function(etree.fromstring(SPLINE))
    for dress in (
        f"<TransformAxis><function>{SPLINE}</function></TransformAxis>",
        f"<TransformAxis><SimmSpline name='function'>{LISTED}</SimmSpline></TransformAxis>",
        f"<TransformAxis>{SPLINE.replace('SimmSpline', 'NaturalCubicSpline')}</TransformAxis>",
        f"<TransformAxis><function>{SPLINE.replace('SimmSpline', 'natCubicSpline')}</function></TransformAxis>",
    ):
        assert read_child_function(etree.fromstring(dress)) == spline
    assert read_child_function(etree.fromstring("<TransformAxis><function/></TransformAxis>")) is None
    assert read_child_function(etree.fromstring("<TransformAxis><axis>1 0 0</axis></TransformAxis>")) is None


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        ("<GCVSpline/>", ModelError, r"<GCVSpline> \(line 1\): functions of type GCVSpline are not supported"),
        ("<MultiplierFunction><scale>2</scale></MultiplierFunction>", ModelError, "without a function inside"),
        ("<PolynomialFunction/>", FileFormatError, "<coefficients> is missing"),
        ("<SimmSpline><x>0 1 2</x></SimmSpline>", FileFormatError, "<y> is missing"),
        ("<SimmSpline><x>0 1 2</x><y>0 1</y></SimmSpline>", ModelError, "3 x values and 2 y values"),
        ("<LinearFunction><coefficients>1</coefficients></LinearFunction>", FileFormatError, "must hold 2 numbers"),
    ],
)  # fmt: skip
def test_wrong_functions_are_named(content: str, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        read_function(etree.fromstring(content))

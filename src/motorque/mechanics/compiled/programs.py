"""What kernels compute: inverse dynamics and its reverse derivative, mass matrix and forward dynamics."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from motorque.mechanics.compiled.adjoint import vector_jacobian_product
from motorque.mechanics.compiled.articulated_body import forward_dynamics
from motorque.mechanics.compiled.composite_inertia import mass_matrix
from motorque.mechanics.compiled.emitter import Program
from motorque.mechanics.compiled.factored import solve
from motorque.mechanics.compiled.newton_euler import Wrench, inverse_dynamics
from motorque.mechanics.compiled.structure import Structure
from motorque.mechanics.compiled.symbolic import SymbolicSkeleton
from motorque.mechanics.compiled.trace import Symbol, Trace, maximum
from motorque.mechanics.compiled.vectors import Matrix, Vector, cross


@dataclass(frozen=True)
class Task:
    """Which program for a skeleton.

    Args:
        kind: A name in `PROGRAMS`.
        reduced: Whether dependent coordinates have no columns.
        loaded: Bodies with external loads; an array of loads has six columns for each, force and moment about the
            ground origin.
    """

    kind: str
    reduced: bool = False
    loaded: tuple[int, ...] = ()


@dataclass
class _InverseDynamics:
    body: SymbolicSkeleton
    arguments: list[list[Symbol]]
    forces: list[Symbol]
    doubt: Symbol
    errors: list[Symbol]
    rotations: dict[int, Matrix]
    plain: set[int]


def _inverse_dynamics(structure: Structure, task: Task) -> _InverseDynamics:
    """Arrays: positions, speeds, accelerations and, if bodies are loaded, loads."""
    body = SymbolicSkeleton(Trace(), structure)
    q, rotations, errors, positions = body.coordinates(0, reduced=task.reduced)
    v, speeds = body.rates(1, reduced=task.reduced)
    a, accelerations = body.rates(2, reduced=task.reduced)
    plain = {x.number for x in q}
    slopes = body.couple([q, v, a]) if task.reduced else []
    loads, numbers = _loads(body, task)
    forces = inverse_dynamics(body, q, v, a, rotations, loads)
    if task.reduced:
        forces = body.fold(slopes, forces)
    arguments = [positions, speeds, accelerations, numbers]
    doubt = _doubt(body, [*positions, *speeds, *accelerations], forces)
    return _InverseDynamics(body, arguments[: 3 + bool(numbers)], forces, doubt, errors, rotations, plain)


def _loads(body: SymbolicSkeleton, task: Task) -> tuple[dict[int, Wrench], list[Symbol]]:
    """Forces and moments on the loaded bodies, and the columns of array 3 that they come from."""
    numbers = [body.trace.input(3, column) for column in range(6 * len(task.loaded))]
    halves = [Vector(numbers[n : n + 3]) for n in range(0, len(numbers), 3)]
    return dict(zip(task.loaded, zip(halves[::2], halves[1::2], strict=True), strict=True)), numbers


def _largest(errors: list[Symbol]) -> list[Symbol]:
    """The largest of some symbols, as a list of one; none of none."""
    while len(errors) > 1:
        errors = [maximum(*pair) if len(pair) == 2 else pair[0] for pair in _pairs(errors)]
    return errors


def _pairs(items: list[Symbol]) -> list[list[Symbol]]:
    return [items[i : i + 2] for i in range(0, len(items), 2)]


def _doubt(body: SymbolicSkeleton, inputs: Sequence[Symbol], results: Sequence[Symbol]) -> Symbol:
    """Zero, but NaN in frames where an input is none that results do not rest on, as where a body is in the world.

    A frame that holds something that is no number is to give none, whatever is cancelled as code is written.
    """
    live = set(body.trace.needed(results))
    unused = [x for x in inputs if x.number not in live]
    if not unused:
        return body.trace.constant(0.0)
    total = sum(unused[1:], unused[0])
    return total - total


def _read(body: SymbolicSkeleton, values: Sequence[Symbol], inputs: Sequence[Symbol]) -> list[Symbol]:
    """Of an array's columns those that are looked at: not what stands in the columns of dependent coordinates."""
    free = set(body.free)
    dependent = {x.number for c, x in enumerate(values) if c not in free}
    return [x for x in inputs if x.number not in dependent]


def forward_program(structure: Structure, task: Task) -> Program:
    """Generalized forces; watches how far the given rotations are from rotations."""
    found = _inverse_dynamics(structure, task)
    forces = [x + found.doubt for x in found.forces]
    return Program(found.body.trace, [len(x) for x in found.arguments], [forces], watched=_largest(found.errors))


def backward_program(structure: Structure, task: Task) -> Program:
    """Derivatives of a weighted sum of the generalized forces by all arguments and, summed over frames, by parameters.

    The arrays are those of `forward_program` and the weights.
    """
    found = _inverse_dynamics(structure, task)
    trace = found.body.trace
    weights = [trace.input(len(found.arguments), column) for column in range(len(found.forces))]
    doubted = [x + found.doubt for x in weights]
    parameters = [
        trace.parameter(code) for name in structure.open for code in structure.tensors[name] if isinstance(code, int)
    ]
    arguments = [x for array in found.arguments for x in array]
    results = iter(vector_jacobian_product(trace, found.forces, doubted, [*arguments, *parameters]))
    outputs = [[next(results) for _ in array] for array in found.arguments]
    return Program(trace, [len(x) for x in (*found.arguments, weights)], outputs, totals=list(results))


def tangent_program(structure: Structure, task: Task) -> Program:
    """As `backward_program`, by small rotations of the ball joints in their frames F instead of by their numbers.

    The first output array has a column per speed. Ball joints must not be given as angles, nor coordinates coupled.
    """
    found = _inverse_dynamics(structure, task)
    trace = found.body.trace
    weights = [trace.input(len(found.arguments), column) for column in range(len(found.forces))]
    doubted = [x + found.doubt for x in weights]
    entries = [x for rotation in found.rotations.values() for row in rotation for x in row]
    arguments = [*entries, *(x for array in found.arguments for x in array)]
    results = iter(vector_jacobian_product(trace, found.forces, doubted, arguments))
    turns: dict[int, Symbol] = {}
    for body, rotation in found.rotations.items():
        by_entry = Matrix(Vector(next(results) for _ in row) for row in rotation)
        # A small rotation d turns each column r by d × r.
        moments = [cross(r, g) for r, g in zip(rotation.T, by_entry.T, strict=True)]
        total = moments[0] + moments[1] + moments[2]
        turns.update(zip(structure.joints[body][1], total, strict=True))
    outputs = [[next(results) for _ in array] for array in found.arguments]
    others = iter([g for x, g in zip(found.arguments[0], outputs[0], strict=True) if x.number in found.plain])
    outputs[0] = [turns[c] if c in turns else next(others) for c in range(structure.speeds)]
    return Program(trace, [len(x) for x in (*found.arguments, weights)], outputs)


def mass_matrix_program(structure: Structure, task: Task) -> Program:
    """Mass matrix of the free coordinates, row by row, from positions; watches rotations as `forward_program`."""
    body = SymbolicSkeleton(Trace(), structure)
    q, rotations, errors, positions = body.coordinates(0, reduced=task.reduced)
    read = _read(body, q, positions)
    rows = mass_matrix(body, q, rotations, body.couple([q]))
    doubt = _doubt(body, read, [x for row in rows for x in row])
    rows = [[x + doubt if r == c else x for c, x in enumerate(row)] for r, row in enumerate(rows)]
    return Program(body.trace, [len(positions)], [[x for row in rows for x in row]], watched=_largest(errors))


def forward_dynamics_program(structure: Structure, task: Task) -> Program:
    """Accelerations from positions, speeds, forces and, if bodies are loaded, loads; and a column that tells how near
    the mass matrix is to a singular one (see `pivots`).

    The articulated-body algorithm, or where coordinates are coupled the mass matrix of the free ones, factored. Arrays
    with columns for dependent coordinates: positions and speeds in them are not looked at, forces count for the
    coordinates that they follow, and their accelerations follow.
    """
    body = SymbolicSkeleton(Trace(), structure)
    q, rotations, errors, positions = body.coordinates(0, reduced=task.reduced)
    v, speeds = body.rates(1, reduced=task.reduced)
    tau, forces = body.rates(2, reduced=task.reduced)
    loads, numbers = _loads(body, task)
    read = [*_read(body, q, positions), *_read(body, v, speeds)]
    if structure.couplers:
        a = [body.trace.constant(0.0)] * structure.speeds
        slopes = body.couple([q, v, a])
        bias = body.fold(slopes, inverse_dynamics(body, q, v, a, rotations, loads))
        net = [x - h for x, h in zip(body.fold(slopes, tau), bias, strict=True)]
        solution, shrinkage = solve(mass_matrix(body, q, rotations, slopes), net)
        for c, x in zip(body.free, solution, strict=True):
            a[c] = x
        body.couple([q, v, a])
    else:
        a, shrinkage = forward_dynamics(body, q, v, tau, rotations, loads)
    columns = [len(x) for x in (positions, speeds, forces, numbers) if x]
    results = [a[c] for c in body.free] if task.reduced else a
    doubt = _doubt(body, read, results)
    results = [x + doubt for x in results]
    return Program(body.trace, columns, [results, [shrinkage]], watched=_largest(errors))


PROGRAMS: dict[str, Callable[[Structure, Task], Program]] = {
    "inverse_dynamics": forward_program,
    "inverse_dynamics_gradient": backward_program,
    "inverse_dynamics_tangent": tangent_program,
    "mass_matrix": mass_matrix_program,
    "forward_dynamics": forward_dynamics_program,
}

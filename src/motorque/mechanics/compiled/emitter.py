"""LLVM assembly for a trace: one block of straight-line vector code for a few frames, and a loop over blocks around it.

Arrays come as users have them, frame by frame; vector code needs the same number of several frames side by side. A
block of frames is therefore turned around into a small buffer, worked on, and the results turned back. The work itself
stands in a function of its own without a loop, so that nothing is carried out of one and kept where there is no room.

    kernel(inputs, parameters, outputs, totals, scratch, first, last)

``inputs`` and ``outputs`` point to one pointer per array; ``totals`` to one vector per number that is summed over
frames and one for the watched largest value; ``scratch`` to room for the buffers; ``first`` to ``last`` are frames, a
multiple of the vector's width.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from motorque.mechanics.compiled.elementary import in_simple_terms
from motorque.mechanics.compiled.memory import ALIGNMENT
from motorque.mechanics.compiled.trace import Symbol, Trace
from motorque.mechanics.compiled.turning import row_table, turning_functions

_BITS = {"float": 32, "double": 64}


@dataclass
class Program:
    """What a kernel computes.

    Args:
        trace: The operations.
        inputs: Columns of each input array.
        outputs: Results for each output array.
        totals: Results that are summed over all frames.
        watched: Results of which the largest over all frames is wanted, NaN left out; at most one.
    """

    trace: Trace
    inputs: Sequence[int]
    outputs: Sequence[Sequence[Symbol]]
    totals: Sequence[Symbol] = ()
    watched: Sequence[Symbol] = field(default_factory=tuple)

    @property
    def results(self) -> list[Symbol]:
        """All results, in the order outputs, totals, watched."""
        return [s for array in self.outputs for s in array] + [*self.totals, *self.watched]

    @property
    def scratch(self) -> int:
        """Numbers per frame that the buffers hold."""
        return sum(self.inputs) + sum(len(array) for array in self.outputs)


def emit(name: str, program: Program, real: str, width: int) -> str:
    """LLVM assembly for a program.

    Args:
        name: Name of the function.
        program: What it computes.
        real: ``float`` or ``double``.
        width: Frames that are worked on at once, a power of two.
    """
    trace, results = in_simple_terms(program.trace, program.results, real)
    layout = _layout(program, results)
    vector = f"<{width} x {real}>"
    suffix = f"v{width}f{_BITS[real]}"
    declarations = [
        f"declare {vector} @llvm.{f}.{suffix}({', '.join([vector] * count)})"
        for f, count in (("rint", 1), ("sqrt", 1), ("maxnum", 2), ("fma", 3))
    ]
    attributes = f'attributes #0 = {{ nounwind noinline "min-legal-vector-width"="{width * _BITS[real]}" }}'
    return "\n".join(
        [
            *declarations,
            _block(trace, results, layout, real, width),
            turning_functions(real, width),
            *(row_table(f"@rows{i}", rows) for i, rows in enumerate(layout.rows)),
            "declare void @llvm.prefetch.p0(ptr, i32, i32, i32)",
            _fetch("in"),
            _fetch("out"),
            _loop(name, layout, real, width),
            attributes,
            "",
        ]
    )


@dataclass
class _Layout:
    """Where the block of frames finds and leaves numbers.

    Args:
        inputs: Columns of each input array.
        rows: Of each output array, the row of its buffer that holds each column. Columns that are the same, as zeros
            and the halves of a symmetric matrix, share a row: buffers that fit into the cache are read back faster.
        stores: Rows of all buffers, inputs first, in which each result is put, by its number.
        totals: Places in the totals of results that are summed, by number.
        watched: Places in the totals of results that are watched.
    """

    inputs: list[int]
    rows: list[list[int]]
    stores: dict[int, list[int]]
    totals: dict[int, list[int]]
    watched: dict[int, list[int]]

    @property
    def heights(self) -> list[int]:
        """Rows of each buffer, inputs first."""
        return [*self.inputs, *(max(rows, default=-1) + 1 for rows in self.rows)]


def _layout(program: Program, results: list[Symbol]) -> _Layout:
    layout = _Layout(list(program.inputs), [], {}, {}, {})
    waiting = iter(results)
    for array in program.outputs:
        first, own = sum(layout.heights), dict[int, int]()
        numbers = [next(waiting).number for _ in array]
        layout.rows.append([own.setdefault(n, len(own)) for n in numbers])
        for number, row in own.items():
            layout.stores.setdefault(number, []).append(first + row)
    for place, symbol in enumerate(waiting):
        among = layout.totals if place < len(program.totals) else layout.watched
        among.setdefault(symbol.number, []).append(place)
    return layout


def _literal(value: float, real: str) -> str:
    """LLVM's exact notation; numbers of single precision are written with the digits of double precision."""
    value = float(np.float32(value)) if real == "float" else value
    return f"0x{struct.unpack('>Q', struct.pack('>d', value))[0]:016X}"


def _block(trace: Trace, results: list[Symbol], layout: _Layout, real: str, width: int) -> str:
    """The straight-line code for one block of frames, on buffers."""
    size, vector = _BITS[real] // 8, f"<{width} x {real}>"
    suffix, mask = f"v{width}f{_BITS[real]}", f"<{width} x i1>"
    columns = np.cumsum([0, *layout.inputs]).tolist()
    lines = ["define internal void @block(ptr noalias %buffer, ptr noalias %parameters, ptr noalias %totals) #0 {"]
    name: dict[int, str] = {}
    aligned = f"align {min(width * size, ALIGNMENT)}"

    def at(base: str, element: int, label: str) -> str:
        lines.append(f" {label} = getelementptr {real}, ptr {base}, i64 {element}")
        return label

    def store(value: str, row: int) -> None:
        pointer = at("%buffer", row * width, f"%out{row}")
        lines.append(f" store {vector} {value}, ptr {pointer}, {aligned}")

    def collect(value: str, place: int, combined: str) -> None:
        pointer = at("%totals", place * width, f"%total{place}")
        lines.append(f" %old{place} = load {vector}, ptr {pointer}, {aligned}")
        lines.append(f" %new{place} = {combined.format(f'{vector} %old{place}', value)}")
        lines.append(f" store {vector} %new{place}, ptr {pointer}, {aligned}")

    largest = f"call {vector} @llvm.maxnum.{suffix}({{}}, {vector} {{}})"
    arithmetic = {"add": "fadd", "sub": "fsub", "mul": "fmul", "div": "fdiv"}
    calls = {"sqrt": "sqrt", "nearest": "rint", "max": "maxnum", "fma": "fma"}
    for number in trace.needed(results):
        kind, *arguments = trace.operations[number]
        value = f"%v{number}"
        if kind == "constant":
            value = f"<{', '.join([f'{real} {_literal(arguments[0], real)}'] * width)}>"
        elif kind == "input":
            pointer = at("%buffer", (columns[arguments[0]] + arguments[1]) * width, f"%p{number}")
            lines.append(f" {value} = load {vector}, ptr {pointer}, {aligned}")
        elif kind == "parameter":
            pointer = at("%parameters", arguments[0], f"%p{number}")
            lines.append(f" %s{number} = load {real}, ptr {pointer}")
            lines.append(f" %i{number} = insertelement {vector} poison, {real} %s{number}, i64 0")
            lines.append(
                f" {value} = shufflevector {vector} %i{number}, {vector} poison, <{width} x i32> zeroinitializer"
            )
        else:
            x = [name[n] for n in arguments]
            if kind in arithmetic:
                # Neither infinities nor NaN are excluded: what overflows must show.
                lines.append(f" {value} = {arithmetic[kind]} nsz contract {vector} {x[0]}, {x[1]}")
            elif kind == "neg":
                lines.append(f" {value} = fneg nsz contract {vector} {x[0]}")
            elif kind == "not_below":
                lines.append(f" {value} = fcmp oge {vector} {x[0]}, {x[1]}")
            elif kind == "select":
                lines.append(f" {value} = select {mask} {x[0]}, {vector} {x[1]}, {vector} {x[2]}")
            else:
                listed = ", ".join(f"{vector} {a}" for a in x)
                lines.append(f" {value} = call {vector} @llvm.{calls[kind]}.{suffix}({listed})")
        name[number] = value
        for row in layout.stores.get(number, ()):
            store(value, row)
        for place in layout.totals.get(number, ()):
            collect(value, place, "fadd {}, {}")
        for place in layout.watched.get(number, ()):
            collect(value, place, largest)
    return "\n".join([*lines, " ret void", "}"])


def _loop(name: str, layout: _Layout, real: str, width: int) -> str:
    """The kernel itself: blocks of frames, one after the other."""
    arrays = [("in", i, count) for i, count in enumerate(layout.inputs)]
    arrays += [("out", i, len(rows)) for i, rows in enumerate(layout.rows)]
    buffers = np.cumsum([0, *layout.heights]).tolist()
    head, ahead, body = [], [], {"in": [], "out": []}  # type: ignore[var-annotated]
    size = _BITS[real] // 8
    for (way, i, count), offset in zip(arrays, buffers, strict=False):
        label = f"{way}{i}"
        rows = f", ptr @rows{i}" if way == "out" else ""
        head += [
            f" %{label}.place = getelementptr ptr, ptr %{way}puts, i64 {i}",
            f" %{label} = load ptr, ptr %{label}.place",
            f" %{label}.buffer = getelementptr {real}, ptr %scratch, i64 {offset * width}",
        ]
        ahead += [
            f" %{label}.next = getelementptr {real}, ptr %{label}.frames, i64 {width * count}",
            f" call void @fetch_{way}(ptr %{label}.next, i64 {width * count * size})",
        ]
        body[way] += [
            f" %{label}.row = mul i64 %frame, {count}",
            f" %{label}.frames = getelementptr {real}, ptr %{label}, i64 %{label}.row",
            f" call void @turn_{way}(ptr %{label}.frames, i64 {count}, ptr %{label}.buffer{rows})",
        ]
    signature = "ptr %inputs, ptr %parameters, ptr %outputs, ptr %totals, ptr %scratch, i64 %first, i64 %end"
    lines = [
        f"define void @{name}({signature}) {{",
        "start:",
        *head,
        " br label %check",
        "check:",
        " %frame = phi i64 [%first, %start], [%next, %work]",
        " %more = icmp slt i64 %frame, %end",
        " br i1 %more, label %work, label %done",
        "work:",
        *body["in"],
        *ahead,
        " call void @block(ptr %scratch, ptr %parameters, ptr %totals)",
        *body["out"],
        f" %next = add i64 %frame, {width}",
        " br label %check",
        "done:",
        " ret void",
        "}",
    ]
    return "\n".join(lines)


def _fetch(way: str) -> str:
    """A function that asks for memory before it is needed: frames are far apart, which the processor does not foresee.

    Sixteen frames of a hundred numbers are a hundred lines of the cache; asked for while the block before them is
    worked on, they are there in time. Asking for memory beyond the end of an array does no harm.
    """
    return f"""
define internal void @fetch_{way}(ptr %from, i64 %bytes) #0 {{
start:
 br label %line
line:
 %k = phi i64 [0, %start], [%next, %line]
 %p = getelementptr i8, ptr %from, i64 %k
 call void @llvm.prefetch.p0(ptr %p, i32 {int(way == "out")}, i32 3, i32 1)
 %next = add i64 %k, 64
 %more = icmp slt i64 %next, %bytes
 br i1 %more, label %line, label %end
end:
 ret void
}}"""

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
            _block(trace, results, program, real, width),
            _turn_square(real, width),
            _turn("in", real, width),
            _turn("out", real, width),
            _loop(name, program, real, width),
            attributes,
            "",
        ]
    )


def _literal(value: float, real: str) -> str:
    """LLVM's exact notation; numbers of single precision are written with the digits of double precision."""
    value = float(np.float32(value)) if real == "float" else value
    return f"0x{struct.unpack('>Q', struct.pack('>d', value))[0]:016X}"


def _block(trace: Trace, results: list[Symbol], program: Program, real: str, width: int) -> str:
    """The straight-line code for one block of frames, on buffers."""
    size, vector = _BITS[real] // 8, f"<{width} x {real}>"
    suffix, mask = f"v{width}f{_BITS[real]}", f"<{width} x i1>"
    columns = np.cumsum([0, *program.inputs]).tolist()
    first_output = columns[-1]
    stores: dict[int, list[int]] = {}
    count = sum(len(array) for array in program.outputs)
    for place, symbol in enumerate(results):
        stores.setdefault(symbol.number, []).append(place)
    lines = ["define internal void @block(ptr noalias %buffer, ptr noalias %parameters, ptr noalias %totals) #0 {"]
    name: dict[int, str] = {}
    aligned = f"align {min(width * size, ALIGNMENT)}"

    def at(base: str, element: int, label: str) -> str:
        lines.append(f" {label} = getelementptr {real}, ptr {base}, i64 {element}")
        return label

    def store(value: str, place: int) -> None:
        if place < count:
            pointer = at("%buffer", (first_output + place) * width, f"%out{place}")
            lines.append(f" store {vector} {value}, ptr {pointer}, {aligned}")
            return
        pointer = at("%totals", (place - count) * width, f"%total{place}")
        combined = place < count + len(program.totals)
        lines.append(f" %old{place} = load {vector}, ptr {pointer}, {aligned}")
        lines.append(
            f" %new{place} = fadd {vector} %old{place}, {value}"
            if combined
            else f" %new{place} = call {vector} @llvm.maxnum.{suffix}({vector} %old{place}, {vector} {value})"
        )
        lines.append(f" store {vector} %new{place}, ptr {pointer}, {aligned}")

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
        for place in stores.get(number, ()):
            store(value, place)
    return "\n".join([*lines, " ret void", "}"])


def _turn_square(real: str, width: int) -> str:
    """A function that turns a square of numbers, as many rows as columns, from rows to columns.

    Butterfly: in step d, rows r and r + d exchange the halves of each group of 2 d numbers.
    """
    vector, size = f"<{width} x {real}>", _BITS[real] // 8
    lines = ["define internal void @turn_square(ptr noalias %from, i64 %stride, ptr noalias %to, i64 %other) #0 {"]
    rows = []
    for r in range(width):
        lines += [
            f" %a{r} = mul i64 %stride, {r}",
            f" %f{r} = getelementptr {real}, ptr %from, i64 %a{r}",
            f" %l{r} = load {vector}, ptr %f{r}, align {size}",
        ]
        rows.append(f"%l{r}")
    step, count = 1, 0
    while step < width:
        for r in range(width):
            if r & step:
                continue
            low = [e if not e & step else width + (e ^ step) for e in range(width)]
            high = [(e | step) if not e & step else width + e for e in range(width)]
            pair = rows[r], rows[r | step]
            for place, order in ((r, low), (r | step, high)):
                listed = ", ".join(f"i32 {o}" for o in order)
                lines.append(
                    f" %s{count} = shufflevector {vector} {pair[0]}, {vector} {pair[1]}, <{width} x i32> <{listed}>"
                )
                rows[place] = f"%s{count}"
                count += 1
        step *= 2
    for r in range(width):
        lines += [
            f" %b{r} = mul i64 %other, {r}",
            f" %t{r} = getelementptr {real}, ptr %to, i64 %b{r}",
            f" store {vector} {rows[r]}, ptr %t{r}, align {size}",
        ]
    return "\n".join([*lines, " ret void", "}"])


def _turn(way: str, real: str, width: int) -> str:
    """Functions between frames as rows and a buffer with columns as rows.

    In squares, the last of which overlaps the one before it; number by number where there are too few columns.
    """
    square = (
        f"call void @turn_square(ptr %f, i64 %columns, ptr %b, i64 {width})"
        if way == "in"
        else f"call void @turn_square(ptr %b, i64 {width}, ptr %f, i64 %columns)"
    )
    source, target = ("%g", "%h") if way == "in" else ("%h", "%g")
    return f"""
define internal void @turn_{way}(ptr noalias %frames, i64 %columns, ptr noalias %buffer) #0 {{
start:
 %narrow = icmp slt i64 %columns, {width}
 %last = sub i64 %columns, {width}
 br i1 %narrow, label %single, label %squares
squares:
 %k = phi i64 [0, %start], [%next, %squares]
 %past = icmp sgt i64 %k, %last
 %c = select i1 %past, i64 %last, i64 %k
 %f = getelementptr {real}, ptr %frames, i64 %c
 %offset = mul i64 %c, {width}
 %b = getelementptr {real}, ptr %buffer, i64 %offset
 {square}
 %next = add i64 %k, {width}
 %more = icmp slt i64 %next, %columns
 br i1 %more, label %squares, label %end
single:
 %any = icmp sgt i64 %columns, 0
 br i1 %any, label %column, label %end
column:
 %i = phi i64 [0, %single], [%i1, %column_end]
 %ib = mul i64 %i, {width}
 br label %row
row:
 %j = phi i64 [0, %column], [%j1, %row]
 %jf = mul i64 %j, %columns
 %gf = add i64 %jf, %i
 %hb = add i64 %ib, %j
 %g = getelementptr {real}, ptr %frames, i64 %gf
 %h = getelementptr {real}, ptr %buffer, i64 %hb
 %x = load {real}, ptr {source}
 store {real} %x, ptr {target}
 %j1 = add i64 %j, 1
 %rows = icmp slt i64 %j1, {width}
 br i1 %rows, label %row, label %column_end
column_end:
 %i1 = add i64 %i, 1
 %columns_left = icmp slt i64 %i1, %columns
 br i1 %columns_left, label %column, label %end
end:
 ret void
}}"""


def _loop(name: str, program: Program, real: str, width: int) -> str:
    """The kernel itself: blocks of frames, one after the other."""
    arrays = [("in", i, count) for i, count in enumerate(program.inputs)]
    arrays += [("out", i, len(array)) for i, array in enumerate(program.outputs)]
    buffers = np.cumsum([0] + [count for _, _, count in arrays]).tolist()
    head, body = [], {"in": [], "out": []}  # type: ignore[var-annotated]
    for (way, i, count), offset in zip(arrays, buffers, strict=False):
        label = f"{way}{i}"
        head += [
            f" %{label}.place = getelementptr ptr, ptr %{way}puts, i64 {i}",
            f" %{label} = load ptr, ptr %{label}.place",
            f" %{label}.buffer = getelementptr {real}, ptr %scratch, i64 {offset * width}",
        ]
        body[way] += [
            f" %{label}.row = mul i64 %frame, {count}",
            f" %{label}.frames = getelementptr {real}, ptr %{label}, i64 %{label}.row",
            f" call void @turn_{way}(ptr %{label}.frames, i64 {count}, ptr %{label}.buffer)",
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
        " call void @block(ptr %scratch, ptr %parameters, ptr %totals)",
        *body["out"],
        f" %next = add i64 %frame, {width}",
        " br label %check",
        "done:",
        " ret void",
        "}",
    ]
    return "\n".join(lines)

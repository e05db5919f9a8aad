"""LLVM assembly that turns blocks of frames around: from frames in rows to numbers of one kind side by side, and back.

    turn_in(frames, columns, buffer)
    turn_out(frames, columns, buffer, rows)

``frames`` points to as many frames as a vector is wide, one after the other; row ``i`` of ``buffer`` holds their
``i``-th numbers, or on the way out row ``rows[i]``.
"""

from __future__ import annotations

from collections.abc import Sequence


def row_table(name: str, rows: Sequence[int]) -> str:
    """The constant ``rows`` for `turn_out`."""
    return f"{name} = private unnamed_addr constant [{len(rows)} x i64] [{', '.join(f'i64 {r}' for r in rows)}]"


def turning_functions(real: str, width: int) -> str:
    """The two functions.

    Args:
        real: ``float`` or ``double``.
        width: Frames in a block, a power of two.
    """
    return "\n".join(f(way, real, width) for way in ("in", "out") for f in (_square, _turn))


def _square(way: str, real: str, width: int) -> str:
    """A function that turns a square of numbers, as many rows as columns, from rows to columns.

    Butterfly: in step d, rows r and r + d exchange the halves of each group of 2 d numbers.
    """
    vector, size = f"<{width} x {real}>", 4 if real == "float" else 8
    rows = ", ptr noalias %rows" if way == "out" else ""
    lines = [f"define internal void @square_{way}(ptr noalias %frames, i64 %columns, ptr noalias %buffer{rows}) #0 {{"]
    for r in range(width):
        lines += [
            f" %a{r} = mul i64 %columns, {r}",
            f" %frame{r} = getelementptr {real}, ptr %frames, i64 %a{r}",
        ]
        if way == "in":
            lines.append(f" %row{r} = getelementptr {real}, ptr %buffer, i64 {r * width}")
        else:
            lines += [
                f" %at{r} = getelementptr i64, ptr %rows, i64 {r}",
                f" %n{r} = load i64, ptr %at{r}",
                f" %b{r} = mul i64 %n{r}, {width}",
                f" %row{r} = getelementptr {real}, ptr %buffer, i64 %b{r}",
            ]
    source, target = ("frame", "row") if way == "in" else ("row", "frame")
    lines += [f" %l{r} = load {vector}, ptr %{source}{r}, align {size}" for r in range(width)]
    values = [f"%l{r}" for r in range(width)]
    step, count = 1, 0
    while step < width:
        for r in range(width):
            if r & step:
                continue
            low = [e if not e & step else width + (e ^ step) for e in range(width)]
            high = [(e | step) if not e & step else width + e for e in range(width)]
            pair = values[r], values[r | step]
            for place, order in ((r, low), (r | step, high)):
                listed = ", ".join(f"i32 {o}" for o in order)
                lines.append(
                    f" %s{count} = shufflevector {vector} {pair[0]}, {vector} {pair[1]}, <{width} x i32> <{listed}>"
                )
                values[place] = f"%s{count}"
                count += 1
        step *= 2
    lines += [f" store {vector} {values[r]}, ptr %{target}{r}, align {size}" for r in range(width)]
    return "\n".join([*lines, " ret void", "}"])


def _turn(way: str, real: str, width: int) -> str:
    """A whole block: in squares, the last of which overlaps the one before it, or number by number where there are too
    few columns.
    """
    if way == "in":
        rows, at_column = "", f" %row = mul i64 %i, {width}"
        square = f" %offset = mul i64 %c, {width}\n %b = getelementptr {real}, ptr %buffer, i64 %offset\n"
        square += " call void @square_in(ptr %f, i64 %columns, ptr %b)"
        source, target = "%g", "%h"
    else:
        rows = ", ptr noalias %rows"
        at_column = f" %at = getelementptr i64, ptr %rows, i64 %i\n %n = load i64, ptr %at\n %row = mul i64 %n, {width}"
        square = " %r = getelementptr i64, ptr %rows, i64 %c\n"
        square += " call void @square_out(ptr %f, i64 %columns, ptr %buffer, ptr %r)"
        source, target = "%h", "%g"
    return f"""
define internal void @turn_{way}(ptr noalias %frames, i64 %columns, ptr noalias %buffer{rows}) #0 {{
start:
 %narrow = icmp slt i64 %columns, {width}
 %last = sub i64 %columns, {width}
 br i1 %narrow, label %single, label %squares
squares:
 %k = phi i64 [0, %start], [%next, %squares]
 %past = icmp sgt i64 %k, %last
 %c = select i1 %past, i64 %last, i64 %k
 %f = getelementptr {real}, ptr %frames, i64 %c
{square}
 %next = add i64 %k, {width}
 %more = icmp slt i64 %next, %columns
 br i1 %more, label %squares, label %end
single:
 %any = icmp sgt i64 %columns, 0
 br i1 %any, label %column, label %end
column:
 %i = phi i64 [0, %single], [%i1, %column_end]
{at_column}
 br label %number
number:
 %j = phi i64 [0, %column], [%j1, %number]
 %jf = mul i64 %j, %columns
 %gf = add i64 %jf, %i
 %hb = add i64 %row, %j
 %g = getelementptr {real}, ptr %frames, i64 %gf
 %h = getelementptr {real}, ptr %buffer, i64 %hb
 %x = load {real}, ptr {source}
 store {real} %x, ptr {target}
 %j1 = add i64 %j, 1
 %numbers = icmp slt i64 %j1, {width}
 br i1 %numbers, label %number, label %column_end
column_end:
 %i1 = add i64 %i, 1
 %columns_left = icmp slt i64 %i1, %columns
 br i1 %columns_left, label %column, label %end
end:
 ret void
}}"""

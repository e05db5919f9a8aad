"""The report's tables: one description each, written as CSV and shown on the page."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from motorque.report.cycles import PERCENT
from motorque.report.results import CycleCurve, Results

Cell = str | float | int | None
SIDE_NAMES = {"r": "right", "l": "left", "": ""}


@dataclass(frozen=True)
class Table:
    """A table with named columns.

    Args:
        name: File name without its ending.
        columns: Column names with their units in brackets.
        rows: Cells; None is empty.
    """

    name: str
    columns: tuple[str, ...]
    rows: list[list[Cell]]

    def csv(self) -> str:
        """The table as CSV (RFC 4180, UTF-8, decimal points)."""
        out = io.StringIO(newline="")
        writer = csv.writer(out, lineterminator="\r\n")
        writer.writerow(self.columns)
        writer.writerows([[_text(cell) for cell in row] for row in self.rows])
        return out.getvalue()


def _text(cell: Cell) -> str:
    if cell is None or (isinstance(cell, float) and not math.isfinite(cell)):
        return ""
    if isinstance(cell, str):
        # A spreadsheet would run a name that starts like a formula; names come from files.
        return "'" + cell if cell.startswith(tuple("=+-@\t\r")) else cell
    return f"{cell:.6g}" if isinstance(cell, float) else str(cell)


def tables(found: Results) -> list[Table]:
    """All tables, always the same ones; some have no rows."""
    makers: tuple[Callable[[Results], Table], ...] = (
        range_of_motion,
        gait_events,
        gait_measures,
        torque_peaks,
        joint_work,
        joint_power,
        marker_errors,
        residual_table,
        scale_factors,
        error_bars,
    )
    cycles = [
        _over_cycle(f"{name}_gait_cycle", found.cycle_curves[name]) for name in ("angles", "torques", "power", "forces")
    ]
    return [make(found) for make in makers] + cycles


def range_of_motion(found: Results) -> Table:
    """Smallest and largest value of each coordinate and their difference."""
    columns = (
        "coordinate",
        "joint",
        "side",
        "unit",
        "minimum",
        "maximum",
        "range",
        "time of minimum [s]",
        "time of maximum [s]",
        "mean range per gait cycle",
    )
    rows: list[list[Cell]] = [
        [
            r.label.name,
            r.label.title,
            SIDE_NAMES[r.label.side],
            r.unit,
            r.low,
            r.high,
            r.high - r.low,
            r.low_time,
            r.high_time,
            r.per_cycle,
        ]
        for r in found.ranges
    ]
    return Table("range_of_motion", columns, rows)


def gait_events(found: Results) -> Table:
    """Heel strikes and toe offs."""
    rows: list[list[Cell]] = [[e.time, SIDE_NAMES[e.side], e.kind, e.source] for e in found.gait.events]
    return Table("gait_events", ("time [s]", "side", "event", "source"), rows)


def gait_measures(found: Results) -> Table:
    """Step measures: mean, standard deviation and number per side."""
    rows: list[list[Cell]] = []
    for m in found.gait.measures:
        for side, values in (("right", m.right), ("left", m.left), ("both", m.both)):
            if values:
                sd = float(np.std(values, ddof=1)) if len(values) > 1 else None
                rows.append([m.name, side, m.unit, float(np.mean(values)), sd, len(values)])
    return Table("gait_measures", ("measure", "side", "unit", "mean", "standard deviation", "n"), rows)


def torque_peaks(found: Results) -> Table:
    """Largest and smallest internal joint torques."""
    mass = found.analysis.subject.mass
    columns = (
        "coordinate",
        "side",
        "positive",
        "maximum [N·m]",
        "maximum [N·m/kg]",
        "time [s]",
        "negative",
        "minimum [N·m]",
        "minimum [N·m/kg]",
        "time of minimum [s]",
        "standard deviation of maximum [N·m]",
        "standard deviation of minimum [N·m]",
    )
    rows: list[list[Cell]] = [
        [
            p.label.name,
            SIDE_NAMES[p.label.side],
            p.label.positive,
            p.high,
            p.high / mass,
            p.high_time,
            p.label.negative,
            p.low,
            p.low / mass,
            p.low_time,
            p.high_std,
            p.low_std,
        ]
        for p in found.peaks
    ]
    return Table("torque_peaks", columns, rows)


def joint_work(found: Results) -> Table:
    """Peak power and work of each joint."""
    columns = (
        "joint",
        "side",
        "largest power [W/kg]",
        "smallest power [W/kg]",
        "positive work [J/kg]",
        "negative work [J/kg]",
        "positive work per stride [J/kg]",
        "negative work per stride [J/kg]",
    )
    rows: list[list[Cell]] = []
    for p in found.powers:
        stride = found.stride_work.get((p.joint, p.side), (None, None))
        rows.append(
            [
                p.joint,
                SIDE_NAMES[p.side],
                float(np.nanmax(p.power)),
                float(np.nanmin(p.power)),
                p.positive_work,
                p.negative_work,
                *stride,
            ]
        )
    return Table("joint_work", columns, rows)


def joint_power(found: Results) -> Table:
    """Power of each joint over time."""
    columns = ("time [s]", *(f"{c.name} [W/kg]" for c in found.curves["power"]))
    if not found.powers:
        return Table("joint_power", columns, [])
    block = np.column_stack([found.analysis.times, *(p.power for p in found.powers)])
    return Table("joint_power", columns, block.tolist())


def marker_errors(found: Results) -> Table:
    """Error of each fitted marker, worst first."""
    m = found.markers
    columns = ("marker", "RMS [mm]", "largest [mm]", "time of the largest [s]", "frames seen [%]")
    if m is None:
        return Table("marker_errors", columns, [])
    rows: list[list[Cell]] = [
        [name, 1000 * float(m.rms[k]), 1000 * float(m.maximum[k]), float(m.worst_time[k]), 100 * float(m.seen[k])]
        for k, name in enumerate(m.names)
    ]
    return Table("marker_errors", columns, rows)


def residual_table(found: Results) -> Table:
    """Generalized forces on the root."""
    r = found.residuals
    columns = ("root coordinate", "unit", "RMS", "largest magnitude", "recommended limit")
    if r is None:
        return Table("residuals", columns, [])
    rows: list[list[Cell]] = []
    for k, name in enumerate(r.names):
        unit, limit = ("N·m", r.moment_limit) if r.rotational[k] else ("N", r.force_limit)
        rows.append(
            [
                name,
                unit,
                float(np.sqrt(np.nanmean(r.values[:, k] ** 2))),
                float(np.nanmax(np.abs(r.values[:, k]))),
                limit,
            ]
        )
    return Table("residuals", columns, rows)


def scale_factors(found: Results) -> Table:
    """Scale factors of the bodies."""
    scales = found.analysis.scales
    columns = ("body", "x (forward)", "y (up)", "z (right)")
    rows: list[list[Cell]] = (
        []
        if scales is None
        else [[body, *(float(f) for f in scales.factors[k])] for k, body in enumerate(scales.bodies)]
    )
    return Table("scale_factors", columns, rows)


def error_bars(found: Results) -> Table:
    """How sure each angle and torque is."""
    columns = (
        "curve",
        "coordinate",
        "side",
        "unit",
        "half width of 90 % error bar",
        "the same with a model's usual errors",
        "size",
        "mostly from",
        "trust",
    )
    sure = found.certainty
    kinds = [] if sure is None else [("angle", sure.angles), ("torque", sure.torques)]
    rows: list[list[Cell]] = [
        [kind, c.label.name, SIDE_NAMES[c.label.side], c.unit, c.half, c.judged, c.size, c.source, c.trust]
        for kind, curves in kinds
        for c in curves
    ]
    return Table("error_bars", columns, rows)


def _over_cycle(name: str, curves: list[CycleCurve]) -> Table:
    """Mean and standard deviation of each curve at 0, 1 … 100 % of the gait cycle."""
    columns, blocks = ["gait cycle [%]"], [PERCENT]
    for c in curves:
        view = "" if c.curve.side else f" over {SIDE_NAMES[c.side]} cycles" + (", sign turned" if c.flipped else "")
        columns.append(f"{c.curve.name}{view} mean [{c.curve.unit}]")
        blocks.append(c.mean)
        if c.sd is not None:
            columns.append(f"{c.curve.name}{view} sd [{c.curve.unit}]")
            blocks.append(c.sd)
    return Table(name, tuple(columns), np.column_stack(blocks).tolist() if curves else [])

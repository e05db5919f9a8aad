"""How sure the results are: which torques can be trusted, by the width of their error bars."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from motorque.report.analysis import Analysis
from motorque.report.labels import Label, both_sides
from motorque.report.quality import doubtful_torques, residuals, rms
from motorque.uncertainty.bands import SHARING, Bands

Array = NDArray[np.float64]
Trust = Literal["trusted", "with care", "not"]

LEVEL = 0.9
"""Share of the truth that an error bar shall hold."""

WITHIN = 1.645
"""Standard deviations to either side that hold this share of a Gaussian error."""

TRUSTED, WITH_CARE = 0.2, 0.5
"""Half width of the error bar over the torque's size, up to which a torque can be trusted, and read with care. No norm
exists, these are motorque's own: beyond a half, the sign of what happens between two peaks is open."""

NEGLIGIBLE = 1.0
"""Torques [N·m] and forces [N] that stay below this, error bar included, need no judgement: toes off the ground,
forearms that turn."""

SIZE = 95.0
"""Percentile of a torque's magnitude over time that counts as its size: a peak of a single frame does not."""


@dataclass(frozen=True)
class Sureness:
    """How sure one curve is.

    Args:
        label: Which one.
        unit: Unit of its numbers.
        half: Half width of the error bar, the median over time.
        size: Of the curve (:data:`SIZE`).
        source: What makes most of the error bar; empty where that is not known.
        judged: What is judged: the half width with a model's usual errors on top, as far as the bar leaves them out.
        trust: What a reader may do with it; None for angles, whose zero says nothing of their size, and torques that
            are next to nothing.
    """

    label: Label
    unit: str
    half: float
    size: float
    source: str
    judged: float
    trust: Trust | None = None

    @property
    def share(self) -> float:
        """What is judged over size."""
        return self.judged / self.size if self.size > 0 else float("inf")


@dataclass(frozen=True)
class LoadSureness:
    """Half widths of a load's error bars, medians over the frames in which it pushes: force [N] and point [m]."""

    name: str
    body: str
    force: tuple[float, float, float]
    point: tuple[float, float]


@dataclass(frozen=True)
class Certainty:
    """How sure the results of an analysis are."""

    bands: Bands
    angles: list[Sureness]
    torques: list[Sureness]
    loads: list[LoadSureness]
    sentence: str


def certainty(analysis: Analysis, named: dict[str, Label]) -> Certainty | None:
    """How sure the results are, or None where nothing is known."""
    bands = analysis.bands
    if bands is None:
        return None
    angles, torques = [], []
    for column, name in enumerate(analysis.motion.names):
        label = named.get(name)
        if label is None or label.follows:
            continue
        factor, unit = (180 / np.pi, "°") if label.rotational else (1e3, "mm")
        half = factor * WITHIN * _typical(bands.angles[:, column])
        size = factor * float(np.ptp(analysis.motion.values[:, column]))
        angles.append(Sureness(label, unit, half, size, _largest(bands, "angles", column), half))
        if analysis.kinetics is None or label.root:
            continue
        half = WITHIN * _typical(bands.torques[:, column])
        known = np.abs(analysis.kinetics.values[:, column])
        size = float(np.nanpercentile(known, SIZE)) if np.isfinite(known).any() else 0.0
        unit = "N·m" if label.rotational else "N"
        judged = half if bands.beside is None else float(np.hypot(half, WITHIN * _typical(bands.beside[:, column])))
        source = _largest(bands, "torques", column)
        torques.append(Sureness(label, unit, half, size, source, judged, _trust(judged, size)))
    angles = [a for a in angles if np.isfinite(a.half)]
    torques = [t for t in torques if np.isfinite(t.half)]
    return Certainty(bands, angles, torques, _loads(analysis, bands), _sentence(torques, analysis, named))


def _typical(std: Array) -> float:
    """Median of what is known; NaN where nothing is."""
    known = std[np.isfinite(std)]
    return float(np.median(known)) if len(known) else float("nan")


def _largest(bands: Bands, kind: str, column: int) -> str:
    sizes = {name: float(by[kind][column]) for name, by in bands.by_source.items()}
    return max(sizes, key=lambda name: sizes[name]) if any(size > 0 for size in sizes.values()) else ""


def _trust(half: float, size: float) -> Trust | None:
    if half + size < NEGLIGIBLE:
        return None
    if half <= TRUSTED * size:
        return "trusted"
    return "with care" if half <= WITH_CARE * size else "not"


def _loads(analysis: Analysis, bands: Bands) -> list[LoadSureness]:
    if analysis.loads is None:
        return []
    found = []
    for load in analysis.loads.loads:
        bar = bands.loads.get(load.name)
        pushing = np.linalg.norm(load.force, axis=1) > 0.05 * analysis.weight
        if bar is None or not np.isfinite(bar.force[pushing]).any():
            continue
        x, y, z = (WITHIN * _typical(bar.force[pushing, axis]) for axis in range(3))
        px, pz = (WITHIN * _typical(bar.point[pushing, axis]) for axis in (0, 2))
        found.append(LoadSureness(load.name, load.body, (x, y, z), (px, pz)))
    return found


def _sentence(torques: list[Sureness], analysis: Analysis, named: dict[str, Label]) -> str:
    """Which torques can be trusted and which can't, in plain words."""
    by: dict[Trust, str] = {}
    for trust in ("trusted", "with care", "not"):
        by[trust] = joined(both_sides(t.label for t in torques if t.trust == trust))
    parts = []
    model = analysis.bands is not None and analysis.bands.beside is not None
    bars = "error bars, with a model’s usual errors on top," if model else "error bars"
    if by["trusted"]:
        parts.append(f"Trust the torques of {by['trusted']}: their {bars} are within {TRUSTED:.0%} of their size.")
    else:
        parts.append(f"No torque’s {bars} are within {TRUSTED:.0%} of its size.")
    if by["with care"]:
        parts.append(f"Read those of {by['with care']} with care ({TRUSTED:.0%} to {WITH_CARE:.0%}).")
    if by["not"]:
        parts.append(f"Do not rely on those of {by['not']} (wider still).")
    if torques and analysis.bands is not None and SHARING in analysis.bands.excluded:
        parts.append("Ground forces were estimated, and how the feet share them is not in these error bars.")
    if doubtful_torques(analysis.journal):
        parts.append("Where loads leave body weight unexplained (see the warnings), no torque can be trusted.")
    elif (root := residuals(analysis, named)) is not None and (moment := float(rms(root.moment))) > root.moment_limit:
        parts.append(
            f"Forces leave {moment:.0f} N·m at the pelvis unexplained (recommended: {root.moment_limit:.0f} at most), "
            "which trunk and hips bear and no error bar knows."
        )
    return " ".join(parts) if torques else "No torque has an error bar."


def joined(words: list[str]) -> str:
    """Words with commas and "and"."""
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + (" and " + words[-1] if words else "")

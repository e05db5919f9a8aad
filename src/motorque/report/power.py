"""Joint power and work: what the muscles and ligaments about a joint give to and take from the body."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from motorque.report.analysis import Analysis
from motorque.report.labels import Label

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class JointPower:
    """Power of one joint of one side over time.

    Args:
        joint: Joint (``hip``).
        side: ``r``, ``l`` or empty.
        group: Heading under which it is shown.
        power: Power per body mass [W/kg], shape [T]; positive where the joint gives energy to the body.
        positive_work: Energy given over the recording, per body mass [J/kg].
        negative_work: Energy taken over the recording, per body mass [J/kg], negative.
    """

    joint: str
    side: str
    group: str
    power: Array
    positive_work: float
    negative_work: float


def joint_powers(analysis: Analysis, labels: dict[str, Label]) -> list[JointPower]:
    """Power of every joint: generalized force times speed, added over its coordinates; residuals left out.

    The sum over a joint's coordinates is the power of its moment whatever axes the coordinates have.
    """
    kinetics = analysis.kinetics
    if kinetics is None:
        return []
    total: dict[tuple[str, str], Array] = {}
    group: dict[tuple[str, str], str] = {}
    for column, name in enumerate(kinetics.names):
        label = labels.get(name)
        if label is None or label.root or name not in analysis.motion.names:
            continue
        speed = analysis.velocity[:, analysis.motion.names.index(name)]
        key = (label.joint, label.side)
        total[key] = total.get(key, np.zeros(len(speed))) + kinetics.values[:, column] * speed
        if not label.follows:
            group.setdefault(key, label.group)
    result = []
    for key, power in total.items():
        if key not in group:
            continue
        specific = power / analysis.subject.mass
        positive, negative = work(analysis.times, specific)
        result.append(JointPower(key[0], key[1], group[key], specific, positive, negative))
    return result


def work(times: Array, power: Array) -> tuple[float, float]:
    """Positive and negative work, the integrals of the positive and of the negative part of a power.

    A straight line between samples, split where it crosses zero, so that both are exact for it.

    Args:
        times: Samples [s], shape [T].
        power: Power [W or W/kg], shape [T]; samples that are not finite count as no power.
    """
    p = np.where(np.isfinite(power), power, 0.0)
    a, b, step = p[:-1], p[1:], np.diff(times)
    total = 0.5 * (a + b) * step
    crosses = a * b < 0
    share = np.where(crosses, a / np.where(crosses, a - b, 1.0), 1.0)
    first = np.where(crosses, 0.5 * a * share * step, total)
    second = np.where(crosses, 0.5 * b * (1 - share) * step, 0.0)
    parts = np.concatenate([first, second])
    return float(parts[parts > 0].sum()), float(parts[parts < 0].sum())

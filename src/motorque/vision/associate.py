"""Whether all cameras saw the same person, told by how well their rays meet."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from motorque.journal import Journal
from motorque.series import Camera
from motorque.vision.triangulate import Triangulation

ELSEWHERE = 0.25
"""Median distance of a camera's rays from where the others see the points beyond which it follows somebody else [m]:
about half of a person's width away. A detector errs by 2 cm, exchanged sides by 15 to 50 cm in some frames."""

LOOSE = 0.06
"""Median distance of all rays beyond which calibration, time and detector do not fit each other [m]: three times what a
detector's own error gives."""

HIDDEN = 0.1
"""Share of a camera's points below which it has seen too little of the person to be judged."""


def check_agreement(found: Triangulation, cameras: Sequence[Camera], journal: Journal) -> None:
    """Record how well the cameras agree; warn of one that sees somebody else, or of a calibration that does not fit.

    Args:
        found: What was triangulated from all cameras.
        cameras: The same ones.
        journal: Where it is recorded.
    """
    seen = np.isfinite(found.distance)
    if not seen.any():
        journal.warn("no point was seen by two cameras at the same time that agree; are these videos of one movement?")
        return
    strangers = []
    for v, camera in enumerate(cameras):
        if seen[v].mean() < HIDDEN:
            journal.warn("sees the person hardly ever; it adds next to nothing", f"camera {camera.name}")
            continue
        if float(np.median(found.distance[v][seen[v]])) > ELSEWHERE:
            strangers.append(v)
    if len(cameras) == 2 and strangers:
        journal.warn(
            f"the rays of cameras {cameras[0].name} and {cameras[1].name} miss each other by "
            f"{2 * _centimetres(found, seen):.0f} cm in the median: they follow different people, are not in time, "
            "or the calibration is of other cameras"
        )
        return
    for v in strangers:
        journal.warn(
            f"sees its points {100 * float(np.median(found.distance[v][seen[v]])):.0f} cm (median) from where the "
            "other cameras do: it follows another person, or is not in time, or its calibration is wrong",
            f"camera {cameras[v].name}",
        )
    others = np.ones(len(cameras), dtype=bool)
    others[strangers] = False
    if not (seen & others[:, None, None]).any():
        return
    middle = _centimetres(found, seen & others[:, None, None])
    text = f"rays of the cameras miss each other's points by {middle:.1f} cm in the median"
    if middle > 100 * LOOSE:
        journal.warn(f"{text}, more than a detector's error: calibration or timing do not fit these videos")
    else:
        left = 1 - float(found.used[seen].mean())
        journal.info(f"{text}; {100 * left:.0f} % of the keypoints are left out because the other cameras disagree")


def _centimetres(found: Triangulation, which: np.ndarray) -> float:
    return 100 * float(np.median(found.distance[which]))

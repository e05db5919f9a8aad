"""The video beside the 3D view: the pictures of every view, and what is drawn over them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from motorque.report.overlay import Overlay
from motorque.report.pictures import Film, film
from motorque.report.results import Results
from motorque.report.scene import viewer_frames


def films(found: Results) -> list[Film]:
    """Pictures of each view; without pictures the times of the keypoints' own frames; empty without video."""
    if found.video is None:
        return []
    evidence, times = found.video.evidence, found.analysis.times
    made = []
    for view in evidence.views:
        overlay = Overlay(found.analysis, view)
        shot = Film(np.zeros(0), ())
        if evidence.pictures:
            heads = overlay.heads if evidence.blur_faces else None
            shot = film(view, float(times[0]), float(times[-1]), views=len(evidence.views), heads=heads)
        if not shot.pictures:
            # Points that are stored: joint centres, keypoints and the skeleton's keypoints.
            stored = len(found.analysis.skeleton.body_names) + 2 * len(view.keypoints.names)
            during = view.times[(view.times >= times[0] - 1e-6) & (view.times <= times[-1] + 1e-6)]
            during = during if len(during) else view.times[:1]
            shot = Film(during[viewer_frames(during, stored)], (), trouble=shot.trouble)
        made.append(shot)
    return made


def packed_films(found: Results, shot: Sequence[Film]) -> list[dict[str, object]]:
    """What the page's script needs of each view, ready for JSON; the pictures themselves stand beside it."""
    assert found.video is not None
    return [
        {**Overlay(found.analysis, view).packed(one.times), "bytes": [len(picture) for picture in one.pictures]}
        for view, one in zip(found.video.evidence.views, shot, strict=True)
    ]

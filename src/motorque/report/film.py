"""The video beside the 3D view: the pictures of every view, and what is drawn over them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from motorque.report.overlay import Overlay
from motorque.report.pictures import LEAST_RATE, Film, Footage, film
from motorque.report.results import Results
from motorque.report.scene import viewer_frames
from motorque.report.video import VideoView
from motorque.vision.video import Video

TRIMMED = 0.1
"""Pictures that were made for a longer stretch are used where no more than this share of it is without motion: others
would be further apart than they need to be."""


@dataclass(frozen=True, eq=False)
class Takes:
    """Pictures that were made before the motion was known.

    Args:
        films: Pictures of each view.
        start: First time [s].
        end: Last time [s].
        turned: By how many degrees the pictures were turned.
    """

    films: tuple[Film, ...]
    start: float
    end: float
    turned: int

    def of(self, number: int, view: VideoView, start: float, end: float) -> Film | None:
        """A view's pictures between two times [s], or None where they would be too few or are turned otherwise."""
        missed = max(self.start - start, 0.0) + max(end - self.end, 0.0)
        spare = max(start - self.start, 0.0) + max(self.end - end, 0.0)
        if view.turned != self.turned or missed > 0.5 / LEAST_RATE or spare > TRIMMED * (self.end - self.start):
            return None
        shot = self.films[number]
        keep = np.flatnonzero((shot.times >= start - 1e-3) & (shot.times <= end + 1e-3))
        return dataclasses.replace(shot, times=shot.times[keep], pictures=tuple(shot.pictures[k] for k in keep))


def film_ahead(videos: Sequence[Video], turned: int, start: float | None, end: float | None) -> Takes:
    """Pictures of videos whose keypoints are still to be found.

    Args:
        videos: One for each view.
        turned: By how many degrees their pictures will likely have to be turned.
        start: First time wanted [s]; the first that all videos have if None.
        end: Last time wanted [s]; the last that all videos have if None.
    """
    first, last = max(float(v.times[0]) for v in videos), min(float(v.times[-1]) for v in videos)
    first, last = max(first, start or 0.0), last if end is None else min(last, end)
    shots = [film(Footage(video, turned), first, last, views=len(videos)) for video in videos]
    return Takes(tuple(shots), first, last, turned)


def films(found: Results) -> list[Film]:
    """Pictures of each view; without pictures the times of the keypoints' own frames; empty without video."""
    if found.video is None:
        return []
    evidence, times = found.video.evidence, found.analysis.times
    first, last = float(times[0]), float(times[-1])
    takes = evidence.takes.result() if evidence.takes is not None and not evidence.blur_faces else None
    made = []
    for number, view in enumerate(evidence.views):
        shot = takes.of(number, view, first, last) if takes is not None and evidence.pictures else None
        if evidence.pictures and shot is None:
            heads = Overlay(found.analysis, view).heads if evidence.blur_faces else None
            footage = Footage(view.video, view.turned, view.offset)
            shot = film(footage, first, last, views=len(evidence.views), heads=heads, width=view.keypoints.size[0])
        if shot is None or not shot.pictures:
            # Points that are stored: joint centres, keypoints and the skeleton's keypoints.
            stored = len(found.analysis.skeleton.body_names) + 2 * len(view.keypoints.names)
            during = view.times[(view.times >= times[0] - 1e-6) & (view.times <= times[-1] + 1e-6)]
            during = during if len(during) else view.times[:1]
            shot = Film(during[viewer_frames(during, stored)], (), trouble="" if shot is None else shot.trouble)
        made.append(shot)
    return made


def packed_films(found: Results, shot: Sequence[Film]) -> list[dict[str, object]]:
    """What the page's script needs of each view, ready for JSON; the pictures themselves stand beside it."""
    assert found.video is not None
    return [
        {**Overlay(found.analysis, view).packed(one.times), "bytes": [len(picture) for picture in one.pictures]}
        for view, one in zip(found.video.evidence.views, shot, strict=True)
    ]

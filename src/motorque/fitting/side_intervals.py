"""When left and right are exchanged on the whole body for part of a recording, as after a drop-out in tracking."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from motorque.series import Markers
from motorque.signals.runs import runs_of

Array = NDArray[np.float64]

_APART = 0.04
"""Distance between the two sides under which a pair does not tell [m]; the smallest step that `breaks_in` counts."""
_LONGEST = 0.15
"""Gap across which nothing is said [s], as for single markers: in that time a foot passes the other one."""
_CLEAR = 0.3
"""How much shorter the way must be with labels exchanged, or kept, for a pair to tell; as for single markers."""
_FEWEST = 4
"""Pairs that must tell of an exchange: fewer are left to the search marker by marker."""
_AGREEING = 0.8
"""Share of the pairs that tell anything which must tell of the exchange: where only the legs are, the trunk objects."""


def exchanged_intervals(markers: Markers, positions: Array, pairs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Stretches in which all left labels are on the right and the other way round.

    The vector from the left to the right marker of a pair turns round from one sample to the next where labels are
    exchanged, whatever the body does. Which of the alternating stretches are the wrong ones the markers can't tell; the
    shorter share is taken for wrong.

    Args:
        markers: The recording, for its times.
        positions: Its positions [m], shape [T, M, 3], NaN where unseen.
        pairs: Columns of the right and left marker of each pair.

    Returns:
        First and last frame of each stretch.
    """
    frames = len(positions)
    turned, steady = np.zeros(frames, dtype=int), np.zeros(frames, dtype=int)
    for one, two in pairs:
        across = positions[:, one] - positions[:, two]
        known = np.flatnonzero(np.isfinite(across[:, 0]))
        if len(known) < 2:
            continue
        flips, keeps = _turns(markers.times[known], across[known])
        for votes, found in ((turned, flips), (steady, keeps)):
            # A vote is for every frame that may be the first after the change.
            for step in np.flatnonzero(found):
                votes[known[step] + 1 : known[step + 1] + 1] += 1
    said = (turned >= _FEWEST) & (turned >= _AGREEING * (turned + steady))
    changes = [run.start + int(np.argmax(turned[run])) for run in runs_of(said)]
    bounds = [0, *changes, frames]
    stretches = list(zip(bounds[:-1], bounds[1:], strict=True))
    odd, even = stretches[1::2], stretches[::2]
    wrong = odd if sum(b - a for a, b in odd) <= frames / 2 else even
    return [(a, b - 1) for a, b in wrong if b > a]


def _turns(times: Array, across: Array) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Between which samples a vector from side to side [K, 3] turns round, and clearly does not; shape [K - 1] each."""
    before, after, lasting = across[:-1], across[1:], np.diff(times)
    rate = np.zeros_like(before)
    rate[1:] = (before[1:] - before[:-1]) / lasting[:-1, None]
    coming = before + rate * lasting[:, None]
    exchanged, kept = np.linalg.norm(after + before, axis=1), np.linalg.norm(after - before, axis=1)
    # A foot that swings past the other one turns the vector too, but goes on as it came.
    unforeseen = np.linalg.norm(after + coming, axis=1) < np.linalg.norm(after - coming, axis=1)
    telling = (np.minimum(np.linalg.norm(before, axis=1), np.linalg.norm(after, axis=1)) > _APART) & (
        lasting < _LONGEST
    )
    return telling & unforeseen & (exchanged < _CLEAR * kept), telling & (kept < _CLEAR * exchanged)

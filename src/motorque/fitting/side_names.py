"""Which marker of the other side belongs to a marker, by their names."""

from __future__ import annotations

import re
from collections.abc import Sequence

_SEPARATORS = r"[.,_\-\s:]"
# In this order: the first pattern that leads to another name of the recording decides.
_SIDE_PATTERNS = tuple(
    re.compile(pattern, re.IGNORECASE if ignore_case else 0)
    for pattern, ignore_case in (
        (r"(?P<side>right|left)", True),  # RightKnee, knee_left
        (rf"(?:^|(?<={_SEPARATORS}))(?P<side>[rl])(?={_SEPARATORS})", True),  # R.ASIS, r_knee, 'R Knee', ankle_r_med
        (rf"(?<={_SEPARATORS})(?P<side>[rl])$", True),  # knee_r
        (r"(?:^|(?<=:))(?P<side>[rl])(?=.)", True),  # RASI, RKnee, Person:RASI
        (rf"(?<={_SEPARATORS})(?P<side>[RL])(?=[A-Z])", False),  # study_RKnee
        (r"(?<=[a-z0-9])(?P<side>[RL])$", False),  # kneeR
    )
)
_OTHER_SIDE = {"r": "l", "l": "r", "right": "left", "left": "right"}


def swap_sides(names: Sequence[str]) -> dict[str, str]:
    """For every name of a left or right marker the name of the same marker on the other side.

    Understands RASI/LASI, R.ASIS/L.ASIS, r.ASIS/L.ASIS, r_knee/L_knee, knee_r/knee_l, 'R Knee'/'L Knee' and
    RightKnee/LeftKnee; capitals need not agree. Only names that have their counterpart among ``names`` are listed, so a
    name that merely begins with an r or l stays out.

    Args:
        names: All marker names of a recording.

    Returns:
        Name to counterpart, both ways: ``result[result[name]] == name``.
    """
    exact = set(names)
    lowered: dict[str, list[str]] = {}
    for name in names:
        lowered.setdefault(name.lower(), []).append(name)
    one_way = {name: other for name in names if (other := _counterpart(name, exact, lowered)) is not None}
    return {name: other for name, other in one_way.items() if one_way.get(other) == name}


def _counterpart(name: str, exact: set[str], lowered: dict[str, list[str]]) -> str | None:
    for pattern in _SIDE_PATTERNS:
        for match in pattern.finditer(name):
            side = match["side"]
            other = _OTHER_SIDE[side.lower()]
            cased = other.upper() if side.isupper() else other.capitalize() if side[0].isupper() else other
            candidate = name[: match.start("side")] + cased + name[match.end("side") :]
            if candidate in exact:
                return candidate
            # Capitals that differ between the sides (r.ASIS and L.ASIS) count only where they leave no choice.
            alike = lowered.get(candidate.lower(), [])
            if len(alike) == 1:
                return alike[0]
    return None

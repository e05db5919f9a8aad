"""Which marker of a recording sits on which landmark of the skeleton, by the names of the common marker sets."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import torch

from motorque.errors import ModelError
from motorque.journal import Journal
from motorque.skeleton.landmarks import LANDMARKS, Landmark
from motorque.skeleton.marker_names import CLUSTERS, MARKER_SETS
from motorque.skeleton.skeleton import Skeleton

ANATOMICAL = "anatomical landmarks"
KEYPOINTS = "OpenPose keypoints"
OPENCAP = "OpenCap"
# What a camera calls a hip or a heel is the mean of what annotators clicked: centimetres from the anatomical point.
KEYPOINT_STD = 0.03
# Vicon's computed trajectories among a C3D's points, and trajectories that nobody labelled
NOT_MARKERS = re.compile(r"^\*\d+$|(angles?|forces?|moments?|powers?|grf|centreofmass(floor)?)$", re.IGNORECASE)


@dataclass(frozen=True)
class MarkerMatch:
    """Where the markers of a recording sit.

    Args:
        set_name: The marker set that explains the names, several joined by ``+``; empty if none does.
        pairs: (name in the recording, landmark), in the recording's order.
        unmatched: Names that no set knows, in the recording's order.
        position_std: Standard deviation of each pair's place on its scaled body [m].
    """

    set_name: str
    pairs: tuple[tuple[str, str], ...]
    unmatched: tuple[str, ...]
    position_std: tuple[float, ...]

    @property
    def landmarks(self) -> tuple[Landmark, ...]:
        """The landmark of each pair."""
        return tuple(LANDMARKS[landmark] for _, landmark in self.pairs)


def match_markers(names: Sequence[str], *, journal: Journal | None = None) -> MarkerMatch:
    """Match a recording's marker names to landmarks.

    Case, separators and subjects' prefixes (``subject01:LASI``) do not matter. The set that explains most names, names
    that only it knows counting more, is asked first; what it does not know is looked up in the others where they agree.

    Args:
        names: Marker names as they stand in the recording.
        journal: Where the matched and unmatched names are recorded.
    """
    keys = {name: simplified(name) for name in names}
    # OpenCap's suffix settles what its plain names leave open: r_knee_study beside OpenPose's RKnee.
    study = [name for name in names if is_study_name(name)]
    others = [name for name in names if name not in study]
    found: dict[str, tuple[str, str]] = {}  # name: set, landmark
    for group, allowed in ((study, (OPENCAP, ANATOMICAL)), (others, tuple(MARKER_SETS))):
        ranked = _ranked([keys[n] for n in group], allowed)
        for name in group:
            place = (ANATOMICAL, name) if name in LANDMARKS else _look_up(keys[name], ranked)
            if place is not None:
                found[name] = place
    pairs = tuple((name, found[name][1]) for name in names if name in found)
    used = [found[name][0] for name, _ in pairs]
    named = sorted({s for s in used if s}, key=lambda s: (-used.count(s), s))
    match = MarkerMatch(
        " + ".join(named),
        pairs,
        tuple(name for name in names if name not in found),
        tuple(
            max(LANDMARKS[landmark].std, KEYPOINT_STD) if found[name][0] == KEYPOINTS else LANDMARKS[landmark].std
            for name, landmark in pairs
        ),
    )
    if journal is not None:
        _report(match, journal)
    return match


def skeleton_with_markers(skeleton: Skeleton, match: MarkerMatch) -> Skeleton:
    """The skeleton with the recording's markers in place of its landmarks, under the recording's names.

    Args:
        skeleton: The built-in skeleton, scaled or not, with its landmarks as markers.
        match: What :func:`match_markers` found.

    Raises:
        ModelError: The skeleton lacks a landmark that the match needs.
    """
    missing = [landmark for _, landmark in match.pairs if landmark not in skeleton.marker_names]
    if missing:
        raise ModelError(
            f"{skeleton.name}: has no marker at the landmark {missing[0]!r}; match markers on the built-in "
            "skeleton, or give a model whose markers are named as in the recording"
        )
    index = [skeleton.marker_names.index(landmark) for _, landmark in match.pairs]
    markers = [
        dataclasses.replace(skeleton.markers[i], name=name) for i, (name, _) in zip(index, match.pairs, strict=True)
    ]
    chosen = torch.tensor(index, dtype=torch.long, device=skeleton.marker_position.device)
    return skeleton.with_markers(markers, skeleton.marker_position[chosen])


def simplified(name: str) -> str:
    """A marker name without subject prefix, case, separators and OpenCap's suffix, the side as one letter in front."""
    label = name.rsplit(":", 1)[-1].strip().lower()
    label = re.sub(r"[\s._-]+study$", "", label)
    side = ""
    if ends := re.fullmatch(r"(.+)[\s._-](r|l|right|left)", label):
        label, side = ends[1], ends[2][0]
    elif starts := re.fullmatch(r"(right|left)(.+)", label):
        label, side = starts[2], starts[1][0]
    return side + re.sub(r"[\s._-]+", "", label)


def is_study_name(name: str) -> bool:
    """Whether a name carries the suffix that OpenCap gives to its anatomical markers."""
    return re.search(r"[\s._-]study$", name.strip().lower()) is not None


@cache
def _expanded() -> dict[str, dict[str, str]]:
    """Every set with both sides written out, and the landmarks' own names."""
    own = {simplified(landmark): landmark for landmark in LANDMARKS}
    sets = {}
    for label, table in MARKER_SETS.items():
        sets[label] = dict(own) if label == ANATOMICAL else {}
        for name, landmark in table.items():
            for side in "rl" if "*" in name else "-":
                sets[label][name.replace("*", side)] = landmark.replace("*", side)
    return sets


def _ranked(keys: Sequence[str], allowed: Sequence[str]) -> list[str]:
    """The sets, best explanation of the names first."""
    sets = {label: table for label, table in _expanded().items() if label in allowed}
    proper = [label for label in sets if label != ANATOMICAL]

    def score(label: str) -> float:
        return sum(1 / sum(key in sets[other] for other in proper) for key in keys if key in sets[label])

    # The single landmarks belong to no laboratory's set: they only fill what is left.
    return [*sorted(proper, key=score, reverse=True), *(label for label in sets if label == ANATOMICAL)]


def _look_up(key: str, ranked: Sequence[str]) -> tuple[str, str] | None:
    """The set and the landmark of a simplified name."""
    sets = _expanded()
    first, rest = ranked[0], [label for label in ranked[1:] if key in sets[label]]
    if key in sets[first]:
        return first, sets[first][key]
    if rest:
        return rest[0], sets[rest[0]][key]
    for pattern, landmark in CLUSTERS:
        if key[:1] in ("r", "l") and re.fullmatch(pattern, key[1:]):
            return "", landmark.replace("*", key[0])
    return None


def _report(match: MarkerMatch, journal: Journal) -> None:
    if match.pairs:
        listed = ", ".join(f"{name} = {landmark}" for name, landmark in match.pairs)
        journal.assume(
            f"{len(match.pairs)} markers are placed by their names ({match.set_name or 'clusters'}): {listed}",
            "marker set",
        )
    computed = [name for name in match.unmatched if NOT_MARKERS.search(name)]
    unknown = [name for name in match.unmatched if name not in computed]
    if unknown:
        journal.warn(
            f"{len(unknown)} markers are not used because no known marker set has their names: {', '.join(unknown)}",
            "marker set",
        )
    if computed:
        journal.info(
            f"{len(computed)} trajectories are not used because they are computed quantities or unlabelled: "
            f"{', '.join(computed)}",
            "marker set",
        )


__all__ = ["MarkerMatch", "match_markers", "simplified", "skeleton_with_markers"]

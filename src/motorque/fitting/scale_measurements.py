"""Which marker pairs to measure when nobody says: found from where the markers lie on the model.

A segment's length is taken between markers near its two ends, as a biomechanist would choose them (iliac spine to knee
for the thigh, knee to ankle for the shank): markers near a joint keep their distance to the other end when the joint
bends a little. Segments without such ends (pelvis, foot, head) are measured between markers on themselves.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from motorque.errors import DataError
from motorque.files.scale_setup import MEASUREMENTS, Measurement, ScalePlan
from motorque.journal import Journal
from motorque.mechanics.kinematics import forward_kinematics, marker_positions
from motorque.series import Markers
from motorque.skeleton.skeleton import GROUND, Skeleton

Array = NDArray[np.float64]
SHORTEST = 0.08
"""Shortest distance on the model that is measured [m]: 2 mm of noise are 2.5 % of it."""
SHORTEST_SEGMENT = 0.15
"""Shortest segment between joints that counts as long [m]."""
NEAR = 0.4
"""How near to a joint centre a marker must lie to stand for it, as a share of the segment's length."""
NEAREST = 1.5
"""Markers up to this times as far from the joint centre as the nearest one stand for it too (the other epicondyle)."""
AT_CENTER = 0.02
"""Distance under which a marker counts as being the joint centre [m]."""
HOPS = 2
"""How many joints away from a body its end markers may sit (an elbow marker on the humerus, for the radius)."""
LEAST_SPAN = 0.7
"""Least share of a pair's distance that must run along its segment."""
WHOLE = 0.9
"""A pair on one body that spans this share of the segment measures it alone (heel to toe)."""
ALL_AXES = (0, 1, 2)
DOUBTED = 1e-5
"""Weight in the static pose of markers that are no landmarks (thigh and shank clusters), against 1 of those that are:
generic models have them anywhere on the segment, 280 mm off in the LaiArnold model on a real recording, so that even a
thousandth would bend the pose. They still settle what no landmark determines."""


def automatic_measurements(skeleton: Skeleton, static: Markers, *, journal: Journal) -> ScalePlan:
    """A measurement for every body that the common markers of model and trial can measure.

    Left and right bodies share one measurement; a body without own markers takes the factor of its lightest measured
    neighbour (the talus the foot's, the patella the thigh's).

    Args:
        skeleton: The generic model with its markers.
        static: Static trial.
        journal: Where every choice is recorded.

    Raises:
        DataError: Model and trial share no pair of markers that measures anything.
    """
    seen = {n for n in static.names if static.select([n]).seen.any()}
    usable = [i for i, m in enumerate(skeleton.markers) if m.name in seen and m.body != GROUND]
    pose = skeleton.default_pose
    places = marker_positions(skeleton, pose).detach().numpy()
    ends = _joint_centers(skeleton)
    own: dict[int, list[tuple[str, str]]] = {}
    for body in range(len(skeleton.body_names)):
        pairs = _pairs(skeleton, body, usable, places, ends)
        if pairs:
            own[body] = pairs
    if not own:
        raise DataError(
            f"the model's markers ({', '.join(skeleton.marker_names[:6]) or 'none'}…) and the static trial's "
            f"({', '.join(static.names[:6])}…) share no pair that measures a segment; give a scale setup with --setup"
        )
    groups = _groups(skeleton, own)
    measurements = []
    for bodies in groups:
        measured = [b for b in bodies if b in own]
        distinct = tuple(dict.fromkeys(pair for b in measured for pair in own[b]))
        names = [skeleton.body_names[b] for b in bodies]
        name = skeleton.body_names[measured[0]]
        measurements.append(Measurement(name, distinct, tuple((n, ALL_AXES) for n in names)))
        listed = ", ".join(f"{a}-{b}" for a, b in distinct)
        journal.assume(f"no scale setup: {', '.join(names)} scaled equally along all axes by {listed}", name)
    return ScalePlan((MEASUREMENTS,), tuple(measurements))


def static_weights(skeleton: Skeleton, static: Markers, plan: ScalePlan, *, journal: Journal) -> dict[str, float]:
    """Weights for the static pose when nobody says: landmarks count, other markers hardly do.

    Landmarks are the markers that the model calls fixed and those whose distances are measured.

    Args:
        skeleton: The model with its markers.
        static: Static trial.
        plan: The automatic measurements.
        journal: Where the choice is recorded.
    """
    measured = {name for m in plan.measurements for pair in m.pairs for name in pair}
    common = [m for m in skeleton.markers if m.name in static.names]
    weights = {m.name: 1.0 if m.fixed or m.name in measured else DOUBTED for m in common}
    doubted = [name for name, weight in weights.items() if weight == DOUBTED]
    if doubted:
        journal.assume(
            f"no scale setup: the static pose follows the landmarks; {', '.join(doubted)} count next to nothing",
            "scale",
        )
    return weights


def _joint_centers(skeleton: Skeleton) -> Array:
    """Where each body's own joint (its child frame) lies in ground in the default pose [m], shape [B, 3]."""
    poses = forward_kinematics(skeleton, skeleton.default_pose)
    rotation, position = poses.rotation.detach().numpy(), poses.position.detach().numpy()
    at = skeleton.child_position.detach().numpy()
    out = position + np.einsum("bij,bj->bi", rotation, at)
    for body, joint in enumerate(skeleton.joints):
        if joint.reversed and skeleton.parents[body] != GROUND:
            parent = skeleton.parents[body]
            out[body] = position[parent] + rotation[parent] @ at[body]
    return out


def _pairs(skeleton: Skeleton, body: int, usable: Sequence[int], places: Array, ends: Array) -> list[tuple[str, str]]:
    """The pairs that measure a body: whole-length ones on itself, else from joint to joint, else any on itself."""
    on = [m for m in usable if skeleton.markers[m].body == body]
    within = [(a, b) for n, a in enumerate(on) for b in on[n + 1 :] if _distance(places[a], places[b]) >= SHORTEST]
    lengths = [
        (_distance(ends[child], ends[body]), child) for child, parent in enumerate(skeleton.parents) if parent == body
    ]
    longest, child = max(lengths, default=(0.0, -1))
    if skeleton.parents[body] != GROUND and longest >= SHORTEST_SEGMENT:
        whole = [(a, b) for a, b in within if _distance(places[a], places[b]) >= WHOLE * longest]
        pairs = whole or [p for _, c in lengths for p in _end_to_end(skeleton, body, c, usable, places, ends)]
        within = pairs or within
    return [(skeleton.markers[a].name, skeleton.markers[b].name) for a, b in within]


def _end_to_end(
    skeleton: Skeleton, body: int, child: int, usable: Sequence[int], places: Array, ends: Array
) -> list[tuple[int, int]]:
    """Pairs of a marker at the body's own joint and one at the joint of a child, along the line between them."""
    axis = ends[child] - ends[body]
    length = float(np.linalg.norm(axis))
    if length < SHORTEST_SEGMENT:
        return []
    close = _near(skeleton, body, HOPS)
    pairs = []
    for a in _standing_for(ends[body], [m for m in usable if skeleton.markers[m].body in close], places, length):
        for b in _standing_for(ends[child], [m for m in usable if skeleton.markers[m].body in close], places, length):
            span = places[b] - places[a]
            along = float(span @ axis) / length
            if a != b and along > LEAST_SPAN * max(float(np.linalg.norm(span)), SHORTEST):
                pairs.append((a, b))
    return pairs


def _standing_for(center: Array, markers: Sequence[int], places: Array, length: float) -> list[int]:
    """The markers nearest to a joint centre."""
    reach = {m: _distance(places[m], center) for m in markers}
    limit = min(NEAREST * max(min(reach.values(), default=np.inf), AT_CENTER), NEAR * length)
    return [m for m, d in reach.items() if d <= limit]


def _near(skeleton: Skeleton, body: int, hops: int) -> set[int]:
    """Bodies at most so many joints away."""
    found = {body}
    for _ in range(hops):
        found |= {p for b, p in enumerate(skeleton.parents) if b in found and p != GROUND}
        found |= {b for b, p in enumerate(skeleton.parents) if p in found}
    return found


def _distance(a: Array, b: Array) -> float:
    return float(np.linalg.norm(a - b))


def _groups(skeleton: Skeleton, own: dict[int, list[tuple[str, str]]]) -> list[list[int]]:
    """Bodies that share a factor: mirror images, and those that take a neighbour's."""
    leader: dict[int, int] = {}
    for body in own:
        twin = _twin(skeleton, body)
        leader[body] = min(body, twin) if twin in own else body
    mass = skeleton.mass.detach().numpy()
    neighbours: list[list[int]] = [[] for _ in skeleton.body_names]
    for body, parent in enumerate(skeleton.parents):
        if parent != GROUND:
            neighbours[body].append(parent)
            neighbours[parent].append(body)
    waiting = [b for b in range(len(skeleton.body_names)) if b not in leader]
    while waiting:
        ready = [
            (b, min((n for n in neighbours[b] if n in leader), key=lambda n: mass[n], default=-1)) for b in waiting
        ]
        found = {b: leader[n] for b, n in ready if n >= 0}
        if not found:  # a tree of its own without any marker keeps its size
            break
        leader.update(found)
        waiting = [b for b in waiting if b not in found]
    return [[b for b, first in sorted(leader.items()) if first == lead] for lead in sorted(set(leader.values()))]


def _twin(skeleton: Skeleton, body: int) -> int:
    """The body on the other side by its name (``femur_r`` and ``femur_l``), or itself."""
    name = skeleton.body_names[body]
    for one, other in (("_r", "_l"), ("_l", "_r"), ("_R", "_L"), ("_L", "_R")):
        if name.endswith(one) and name[: -len(one)] + other in skeleton.body_names:
            return skeleton.body_names.index(name[: -len(one)] + other)
    return body

"""How a person's mass is spread over the body: segment masses, centres of mass and radii of gyration of women and men.

Source of all numbers: de Leva P (1996). Adjustments to Zatsiorsky-Seluyanov's segment inertia parameters. J Biomech 29:
1223-1230, Table 4 (young Caucasian adults, gamma-ray scans by Zatsiorsky, Seluyanov and Chugunova 1990: 15 women of
173.5 cm and 61.9 kg, 100 men of 174.1 cm and 73.0 kg). The table's alternatives with other endpoints agree with it and
are derived here where needed. Its men's trunk, alone, is not quite the sum of its parts: its centre of mass lies 3 mm
higher.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from motorque.errors import DataError, ModelError
from motorque.skeleton.skeleton import Skeleton

Sex = Literal["f", "m", "unknown"]
Array = NDArray[np.float64]

# Mean stature [m] and mass [kg] of the people behind the table
STATURE = {"f": 1.735, "m": 1.741}
BODY_MASS = {"f": 61.9, "m": 73.0}


@dataclass(frozen=True)
class Segment:
    """One segment of the body.

    Args:
        length: Between its endpoints [m].
        mass: Fraction of body mass [-].
        center: Distance of the centre of mass from the first endpoint, as a fraction of the length [-].
        radii: Radii of gyration about the sagittal (fore-aft), transverse (side to side) and longitudinal axis through
            the centre of mass, as fractions of the length [-].
    """

    length: float
    mass: float
    center: float
    radii: tuple[float, float, float]


# Endpoints: vertex - middle of gonions; suprasternale - xiphion; xiphion - omphalion; omphalion - middle of hip
# centres; shoulder - elbow centre; elbow - wrist centre; wrist centre - third metacarpale; hip - knee centre; knee
# centre - lateral malleolus; heel - toe tip. Per sex: length [mm], mass [%], centre [%], radii [%].
_TABLE: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "head": ((200.2, 6.68, 58.94, 33.0, 35.9, 31.8), (203.3, 6.94, 59.76, 36.2, 37.6, 31.2)),
    "upper_trunk": ((142.5, 15.45, 20.77, 74.6, 50.2, 71.8), (170.7, 15.96, 29.99, 71.6, 45.4, 65.9)),
    "middle_trunk": ((205.3, 14.65, 45.12, 43.3, 35.4, 41.5), (215.5, 16.33, 45.02, 48.2, 38.3, 46.8)),
    "lower_trunk": ((181.5, 12.47, 49.20, 43.3, 40.2, 44.4), (145.7, 11.17, 61.15, 61.5, 55.1, 58.7)),
    "upper_arm": ((275.1, 2.55, 57.54, 27.8, 26.0, 14.8), (281.7, 2.71, 57.72, 28.5, 26.9, 15.8)),
    "forearm": ((264.3, 1.38, 45.59, 26.1, 25.7, 9.4), (268.9, 1.62, 45.74, 27.6, 26.5, 12.1)),
    "hand": ((78.0, 0.56, 74.74, 53.1, 45.4, 33.5), (86.2, 0.61, 79.00, 62.8, 51.3, 40.1)),
    "thigh": ((368.5, 14.78, 36.12, 36.9, 36.4, 16.2), (422.2, 14.16, 40.95, 32.9, 32.9, 14.9)),
    "shank": ((432.3, 4.81, 44.16, 27.1, 26.7, 9.3), (434.0, 4.33, 44.59, 25.5, 24.9, 10.3)),
    "foot": ((228.3, 1.29, 40.14, 29.9, 27.9, 13.9), (258.1, 1.37, 44.15, 25.7, 24.5, 12.4)),
}
# The trunk as a whole: suprasternale - middle of hip centres; a check on its three parts
_WHOLE_TRUNK = ((529.3, 42.57, 41.51, 35.7, 33.9, 17.1), (531.9, 43.46, 44.86, 37.2, 34.7, 19.1))
# Heights along the trunk above the middle of the hip centres [mm]: cervicale (C7) and the middle of the shoulder
# centres
_CERVICALE = {"f": 614.8, "m": 603.3}
_MID_SHOULDERS = {"f": 497.9, "m": 515.5}
# Vertex to cervicale [mm], from the alternative endpoints of the head
_VERTEX_CERVICALE = {"f": 243.7, "m": 242.9}


def segments(sex: Sex) -> dict[str, Segment]:
    """The segments of a woman (``f``), a man (``m``), or the mean of the two (``unknown``); one arm and one leg.

    Raises:
        DataError: Another sex is asked for.
    """
    weights = _weights(sex)
    return {name: _segment(weights @ np.array(rows)) for name, rows in _TABLE.items()}


def whole_trunk(sex: Sex) -> Segment:
    """The trunk from suprasternale to the middle of the hip centres as one segment; see :func:`segments`."""
    return _segment(_weights(sex) @ np.array(_WHOLE_TRUNK))


def level_above_hips(mark: Literal["cervicale", "shoulders", "vertex"], sex: Sex) -> float:
    """Height of cervicale, of the middle of the shoulder centres or of the vertex above that of the hip centres [m]."""
    levels = {"cervicale": _CERVICALE, "shoulders": _MID_SHOULDERS}.get(mark)
    if levels is None:
        levels = {s: _CERVICALE[s] + _VERTEX_CERVICALE[s] for s in _CERVICALE}
    return float(_weights(sex) @ np.array([levels["f"], levels["m"]])) / 1000


def _weights(sex: Sex) -> Array:
    if sex not in ("f", "m", "unknown"):
        raise DataError(f"sex must be f, m or unknown, got {sex!r}")
    return np.array({"f": (1.0, 0.0), "m": (0.0, 1.0), "unknown": (0.5, 0.5)}[sex])


def _segment(row: Array) -> Segment:
    length, mass, center, sagittal, transverse, longitudinal = (float(v) for v in row)
    return Segment(length / 1000, mass / 100, center / 100, (sagittal / 100, transverse / 100, longitudinal / 100))


@dataclass(frozen=True)
class _Piece:
    """Mass [kg], centre of mass [m] and inertia about it [kg·m²] in a body's frame."""

    mass: float
    center: Array
    inertia: Array


def _together(pieces: list[_Piece]) -> _Piece:
    mass = sum(p.mass for p in pieces)
    center = np.sum([p.mass * p.center for p in pieces], axis=0) / mass
    inertia = np.zeros((3, 3))
    for p in pieces:
        arm = p.center - center
        inertia += p.inertia + p.mass * (arm @ arm * np.eye(3) - np.outer(arm, arm))
    return _Piece(mass, center, inertia)


def _along(segment: Segment, start: Array, end: Array, mass: float) -> _Piece:
    """A segment between two points of a body whose frame has x forward and z to the right when the person stands."""
    length = float(np.linalg.norm(end - start))
    longitudinal = (end - start) / length
    sagittal = np.array([1.0, 0.0, 0.0]) - longitudinal[0] * longitudinal
    sagittal /= np.linalg.norm(sagittal)
    axes = np.stack([sagittal, np.cross(longitudinal, sagittal), longitudinal], axis=1)
    moments = mass * (np.array(segment.radii) * length) ** 2
    inertia = axes @ np.diag(moments) @ axes.T
    return _Piece(mass, start + segment.center * (end - start), 0.5 * (inertia + inertia.T))


def with_segment_masses(skeleton: Skeleton, *, mass: float, sex: Sex) -> Skeleton:
    """The skeleton with masses, centres of mass and inertias after de Leva 1996, for its own segment lengths.

    Lower trunk goes to ``pelvis``; middle trunk, upper trunk and head to ``torso``; a forearm half to ``ulna`` and half
    to ``radius``. The patella takes its share of the thigh, the foot's mass goes to talus, calcn and toes; within thigh
    and foot these small bodies keep the proportions, centres of mass and radii of gyration that they have.

    Trunk and head have no joint between them, so their lengths follow from the distance between the middle of the hips
    and the middle of the shoulders, in de Leva's proportions along the upright of the zero pose.

    Args:
        skeleton: The built-in skeleton or one with its bodies and joints, of any size.
        mass: Body mass [kg].
        sex: ``f``, ``m`` or ``unknown`` for the mean of the two.

    Raises:
        DataError: The mass is not positive, or another sex is asked for.
        ModelError: A body that this needs is not in the skeleton.
    """
    if not mass > 0:
        raise DataError(f"a body mass must be positive, got {mass:g} kg")
    table = segments(sex)
    frames = _JointCenters(skeleton)
    pieces: dict[str, _Piece] = _trunk(frames, table, mass, sex)
    for side in ("r", "l"):
        pieces |= _limbs(frames, table, mass, side)
    known = [b for b in skeleton.body_names if b not in pieces]
    if known:
        raise ModelError(f"{skeleton.name}: no segment of de Leva's table belongs to body {known[0]!r}")
    ordered = [pieces[b] for b in skeleton.body_names]

    def tensor(values: object) -> torch.Tensor:
        return torch.as_tensor(np.array(values), dtype=skeleton.mass.dtype, device=skeleton.mass.device)

    masses = np.array([p.mass for p in ordered])
    # The table's percentages are rounded (women's add up to 99.99); the person's mass is what counts.
    factor = mass / masses.sum()
    return dataclasses.replace(
        skeleton,
        mass=tensor(masses * factor),
        mass_center=tensor([p.center for p in ordered]),
        inertia=tensor([p.inertia * factor for p in ordered]),
    )


class _JointCenters:
    """Joint centres and present mass properties of a skeleton's bodies, as numpy arrays in body frames."""

    def __init__(self, skeleton: Skeleton) -> None:
        self._skeleton = skeleton
        self._parent = skeleton.parent_position.detach().cpu().numpy()
        self._child = skeleton.child_position.detach().cpu().numpy()

    def on_parent(self, body: str) -> Array:
        """Centre of the joint that carries a body, in its parent's frame [m]."""
        return self._parent[self._index(body)]

    def on_child(self, body: str) -> Array:
        """The same centre in the body's own frame [m]."""
        return self._child[self._index(body)]

    def present(self, body: str, mass: float) -> _Piece:
        """A body as it is, but with another mass [kg] in the same distribution."""
        i = self._index(body)
        s = self._skeleton
        factor = mass / float(s.mass[i])
        center, inertia = s.mass_center[i].detach().cpu().numpy(), s.inertia[i].detach().cpu().numpy()
        return _Piece(mass, center, inertia * factor)

    def mass(self, body: str) -> float:
        """Present mass of a body [kg]."""
        return float(self._skeleton.mass[self._index(body)])

    def _index(self, body: str) -> int:
        return self._skeleton.body(body)


def _trunk(frames: _JointCenters, table: dict[str, Segment], mass: float, sex: Sex) -> dict[str, _Piece]:
    hips = 0.5 * (frames.on_parent("femur_r") + frames.on_parent("femur_l"))  # in the pelvis
    back = frames.on_parent("torso")
    shoulders = 0.5 * (frames.on_parent("humerus_r") + frames.on_parent("humerus_l"))  # in the torso
    weights = _weights(sex)

    def mean(per_sex: dict[str, float]) -> float:
        return float(weights @ np.array([per_sex["f"], per_sex["m"]])) / 1000

    axis = back + shoulders - hips
    factor = float(np.linalg.norm(axis)) / mean(_MID_SHOULDERS)
    upright = axis / np.linalg.norm(axis)
    levels = np.cumsum([0.0, *(table[n].length for n in ("lower_trunk", "middle_trunk", "upper_trunk"))]) * factor
    hip, navel, xiphion, suprasternale = (hips + level * upright for level in levels)
    # The head stands on the trunk's axis above cervicale, upright in the pelvis frame.
    vertex = hips + (mean(_CERVICALE) * factor) * upright + np.array([0.0, mean(_VERTEX_CERVICALE) * factor, 0.0])
    gonion = vertex - np.array([0.0, table["head"].length * factor, 0.0])
    pelvis = _along(table["lower_trunk"], navel, hip, mass * table["lower_trunk"].mass)
    torso = _together(
        [
            _along(table[name], start - back, end - back, mass * table[name].mass)
            for name, start, end in (
                ("middle_trunk", xiphion, navel), ("upper_trunk", suprasternale, xiphion), ("head", vertex, gonion)
            )
        ]
    )  # fmt: skip
    return {"pelvis": pelvis, "torso": torso}


def _limbs(frames: _JointCenters, table: dict[str, Segment], mass: float, side: str) -> dict[str, _Piece]:
    def piece(segment: str, body: str, end_at: str, share: float = 1.0) -> _Piece:
        return _along(
            table[segment], frames.on_child(body), frames.on_parent(end_at), share * mass * table[segment].mass
        )

    femur, tibia, patella = f"femur_{side}", f"tibia_{side}", f"patella_{side}"
    foot = (f"talus_{side}", f"calcn_{side}", f"toes_{side}")
    humerus, ulna, radius, hand = (f"{n}_{side}" for n in ("humerus", "ulna", "radius", "hand"))
    found = {
        tibia: piece("shank", tibia, foot[0]),
        humerus: piece("upper_arm", humerus, ulna),
    }
    small = frames.mass(patella) / (frames.mass(patella) + frames.mass(femur)) * mass * table["thigh"].mass
    found[patella] = frames.present(patella, small)
    # The tibia's joint frame lies in the knee, so its place in the femur is where the thigh ends.
    found[femur] = piece("thigh", femur, tibia, 1 - small / (mass * table["thigh"].mass))
    whole = sum(frames.mass(b) for b in foot)
    for body in foot:
        found[body] = frames.present(body, mass * table["foot"].mass * frames.mass(body) / whole)
    # Forearm: from the elbow to the wrist, half of it in each of its two bones' frames (they are parallel when
    # supinated).
    to_radius = frames.on_parent(radius)
    wrist = frames.on_parent(hand)
    half = 0.5 * mass * table["forearm"].mass
    found[ulna] = _along(table["forearm"], frames.on_child(ulna), to_radius + wrist, half)
    found[radius] = _along(table["forearm"], frames.on_child(ulna) - to_radius, wrist, half)
    # The hand has no joint at its far end: from the wrist as long as the forearm tells, in the hand's own -y direction.
    length = table["hand"].length * float(np.linalg.norm(to_radius + wrist)) / table["forearm"].length
    start = frames.on_child(hand)
    found[hand] = _along(table["hand"], start, start - np.array([0.0, length, 0.0]), mass * table["hand"].mass)
    return found

"""The mass of a person spread over SMPL's 24 segments, after de Leva 1996 (:mod:`motorque.skeleton.anthropometry`).

Thighs, shanks, upper arms and forearms are de Leva's own segments. Trunk and head, the feet and the hands are cut where
SMPL has more joints than the table: along each de Leva segment mass is spread with a density that changes linearly so
that mass and centre of mass are the table's, with a cross-section whose second moments follow from its radii of
gyration; together the parts have the whole's moments of inertia. Each joint's body gets what lies between it and the
next one. What the table does not say is assumed, and said at the constants here.

All in torch, so that masses follow joint positions with gradients.
"""

from __future__ import annotations

import torch
from torch import Tensor

from motorque.skeleton.anthropometry import Segment, Sex, level_above_hips, segments

# Share of the upper trunk that moves with one collar: assumed. Scapula and clavicle (0.3 kg), the muscles from scapula
# to humerus (394 cm³ in Holzbaur et al. 2007, J Biomech 40: 742-749) and half the trapezius make about 1 kg of the
# upper trunk's 11.7 kg.
COLLAR_SHARE = 0.08
MUSCLE_DENSITY = 1060.0  # kg/m³
# Where ankle and toe joint are along a foot from heel to toe tip: joints of Rajagopal et al. 2016 between the heel and
# toe landmarks on its foot (see `landmarks`)
ANKLE_ALONG_FOOT, BALL_ALONG_FOOT = 0.2635, 0.7217
# From the wrist to the tip of the third finger, over that to the third metacarpale: 187.9 and 86.2 mm for men in the
# alternative endpoints of de Leva 1996
WHOLE_HAND = 187.9 / 86.2

_AXIAL = (0, 3, 6, 9, 12, 15)
UP, FORWARD = (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)


class _Slices:
    """Parts of one de Leva segment: mass [kg], place along its axis [m] and variances [m²]."""

    def __init__(
        self,
        segment: Segment,
        mass: float | Tensor,
        start: Tensor,
        length: Tensor,
        center: float,
        scale: Tensor,
        cuts: Tensor,
    ) -> None:
        """The parts of a segment between cuts.

        Args:
            segment: For its radii of gyration.
            mass: Of the whole segment [kg].
            start: Where it starts along the axis [m].
            length: How long it is along the axis [m].
            center: Its centre of mass from there, as a fraction of that length.
            scale: The person's size over the table's.
            cuts: Where it is cut along the axis, ascending, one more than there are parts [m].
        """
        tilt = 12 * (center - 0.5)
        t = ((cuts - start) / length).clamp(0.0, 1.0)
        whole = t + tilt * (t**2 - t) / 2
        first = t**2 / 2 + tilt * (t**3 / 3 - t**2 / 4)
        second = t**3 / 3 + tilt * (t**4 / 4 - t**3 / 6)
        share, moment, square = (x[1:] - x[:-1] for x in (whole, first, second))
        some = share > 1e-9
        safe = torch.where(some, share, 1.0)
        mean = torch.where(some, moment / safe, center)
        sagittal, transverse, longitudinal = (r**2 for r in segment.radii)
        size = (scale * segment.length) ** 2
        # A radius of gyration about one axis holds the spread along the two others.
        spread = 0.5 * (sagittal + transverse - longitudinal) * size
        self.sideways = 0.5 * (sagittal + longitudinal - transverse) * size
        self.forward = 0.5 * (transverse + longitudinal - sagittal) * size
        # The linear density spreads the whole a little more or less than the table does: drawn to its centre.
        drawn = (spread / (1 / 12 - (tilt / 12) ** 2)).sqrt()
        self.mass = mass * share
        self.place = start + length * center + drawn * (mean - center)
        self.along = torch.where(some, square / safe - mean**2, 0.0) * drawn**2


def segment_masses(joints: Tensor, mass: float | Tensor, sex: Sex) -> tuple[Tensor, Tensor, Tensor]:
    """Masses, centres of mass and inertias of SMPL's segments.

    Args:
        joints: Rest positions of the joints in SMPL's axes (x left, y up, z forward) [m], shape [24, 3].
        mass: Body mass [kg].
        sex: Whose proportions.

    Returns:
        Masses [kg], shape [24]; centres of mass from each joint [m], shape [24, 3]; inertias about them in SMPL's axes
        [kg·m²], shape [24, 3, 3].
    """
    table = segments(sex)
    pieces: dict[int, tuple[Tensor, Tensor, Tensor]] = _trunk_and_head(joints, table, mass, sex)
    for side in (0, 1):
        leg, arm = ((1 + side, 4 + side, 7 + side, 10 + side), (16 + side, 18 + side, 20 + side, 22 + side))
        pieces[13 + side] = _collar(joints[13 + side], joints[arm[0]], mass * table["upper_trunk"].mass)
        for name, first, last in (
            ("thigh", leg[0], leg[1]),
            ("shank", leg[1], leg[2]),
            ("upper_arm", arm[0], arm[1]),
            ("forearm", arm[1], arm[2]),
        ):
            pieces[first] = _limb(table[name], joints[first], joints[last], mass)
        pieces |= _foot(joints, leg[2], leg[3], table["foot"], mass)
        pieces |= _hand(joints, arm[2], arm[3], table["hand"], mass)
    ordered = [pieces[i] for i in range(len(pieces))]
    masses = torch.stack([m for m, _, _ in ordered])
    # The table's percentages are rounded (women's add up to 99.99); the person's mass is what counts.
    factor = mass / masses.sum()
    centers = torch.stack([c for _, c, _ in ordered]) - joints
    return masses * factor, centers, torch.stack([i for _, _, i in ordered]) * factor


def _trunk_and_head(
    joints: Tensor, table: dict[str, Segment], mass: float | Tensor, sex: Sex
) -> dict[int, tuple[Tensor, Tensor, Tensor]]:
    hips = 0.5 * (joints[1] + joints[2])
    height = joints[..., 1]
    cervicale, vertex = level_above_hips("cervicale", sex), level_above_hips("vertex", sex)
    scale = (height[12] - hips[1]) / cervicale
    lower, middle, upper, head = (table[n] for n in ("lower_trunk", "middle_trunk", "upper_trunk", "head"))
    navel = lower.length
    xiphion = navel + middle.length
    # From where to where above the hips each part reaches, and where its centre of mass is. De Leva's upper trunk and
    # head meet at cervicale, though the one's length is measured to suprasternale and the other's to the gonion.
    reach = (
        (lower, 0.0, navel, navel - lower.center * lower.length),
        (middle, navel, xiphion, xiphion - middle.center * middle.length),
        (upper, xiphion, cervicale, xiphion + (1 - upper.center) * upper.length),
        (head, cervicale, vertex, vertex - head.center * head.length),
    )
    far = torch.full_like(height[:1], 10.0)
    cuts = torch.cat([-far, height[list(_AXIAL[1:])] - hips[1], far])
    slices = [
        _Slices(
            part,
            mass * part.mass * (1 - 2 * COLLAR_SHARE * (part is upper)),
            low * scale,
            (high - low) * scale,
            (center - low) / (high - low),
            scale,
            cuts,
        )
        for part, low, high, center in reach
    ]
    masses = torch.stack([s.mass for s in slices])
    total = masses.sum(0)
    level = (masses * torch.stack([s.place for s in slices])).sum(0) / total
    along = sum(s.mass * (s.along + (s.place - level) ** 2) for s in slices) / total
    sideways = sum(s.mass * s.sideways for s in slices) / total
    forward = sum(s.mass * s.forward for s in slices) / total
    # Centres of mass lie on the line from joint to joint, the pelvis's on that from the middle of the hips, the head's
    # straight above its joint.
    starts = torch.stack([hips, *(joints[i] for i in _AXIAL[1:])])
    top = joints[15] + torch.tensor(UP, dtype=joints.dtype, device=joints.device)
    ends = torch.cat([starts[1:], top[None]])
    part = (level + hips[1] - starts[:, 1]) / (ends - starts)[:, 1]
    centers = starts + part[:, None] * (ends - starts)
    moments = torch.stack([along + forward, sideways + forward, along + sideways], dim=-1)
    inertia = torch.diag_embed(total[:, None] * moments)
    return {body: (total[i], centers[i], inertia[i]) for i, body in enumerate(_AXIAL)}


def _limb(segment: Segment, first: Tensor, last: Tensor, mass: float | Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """A de Leva segment between two joints; fore and aft stays so when the arm is raised sideways from its side."""
    weight = torch.as_tensor(mass * segment.mass, dtype=first.dtype, device=first.device)
    span = last - first
    length = torch.linalg.vector_norm(span)
    axes = _axes(span / length, FORWARD)
    moments = weight * (torch.tensor(segment.radii, dtype=first.dtype, device=first.device) * length) ** 2
    return weight, first + segment.center * span, (axes * moments) @ axes.T


def _collar(first: Tensor, shoulder: Tensor, upper_trunk: float | Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """A cylinder of muscle from the collar's joint to the shoulder."""
    weight = torch.as_tensor(COLLAR_SHARE * upper_trunk, dtype=first.dtype, device=first.device)
    span = shoulder - first
    length = torch.linalg.vector_norm(span)
    across = weight / (MUSCLE_DENSITY * length) / (4 * torch.pi)  # variance of a disc: its area over 4 pi
    axes = _axes(span / length, FORWARD)
    moments = weight * torch.stack([length**2 / 12 + across, length**2 / 12 + across, 2 * across])
    return weight, first + 0.5 * span, (axes * moments) @ axes.T


def _foot(
    joints: Tensor, ankle: int, ball: int, segment: Segment, mass: float | Tensor
) -> dict[int, tuple[Tensor, Tensor, Tensor]]:
    """Hind- and midfoot with the ankle, toes with the toe joint, cut along a level line from heel to toe tip."""
    ahead = (joints[ball] - joints[ankle]) * torch.tensor((1.0, 0.0, 1.0), dtype=joints.dtype, device=joints.device)
    reach = torch.linalg.vector_norm(ahead)
    length = reach / (BALL_ALONG_FOOT - ANKLE_ALONG_FOOT)
    far = torch.full_like(reach, 10.0)
    cut = _Slices(
        segment,
        mass * segment.mass,
        -ANKLE_ALONG_FOOT * length,
        length,
        segment.center,
        length / segment.length,
        torch.stack([-far, reach, far]),
    )
    direction = ahead / reach
    # The hindfoot's mass lies half-way down to the toe joint, the toes' as high as their joint.
    drop = (joints[ball] - joints[ankle]) - ahead
    starts = torch.stack([joints[ankle] + 0.5 * drop, joints[ankle] + drop])
    return _cut_bodies(cut, starts, direction, UP, (ankle, ball))


def _hand(
    joints: Tensor, wrist: int, knuckles: int, segment: Segment, mass: float | Tensor
) -> dict[int, tuple[Tensor, Tensor, Tensor]]:
    """Palm with the wrist, fingers with SMPL's hand joint, which is where the third metacarpal ends."""
    span = joints[knuckles] - joints[wrist]
    reach = torch.linalg.vector_norm(span)
    far = torch.full_like(reach, 10.0)
    zero = torch.zeros_like(reach)
    cut = _Slices(
        segment,
        mass * segment.mass,
        zero,
        reach * WHOLE_HAND,
        segment.center / WHOLE_HAND,
        reach / segment.length,
        torch.stack([-far, reach, far]),
    )
    # De Leva's sagittal axis goes through the palm, which looks down in SMPL's rest pose.
    return _cut_bodies(cut, joints[wrist].expand(2, 3), span / reach, UP, (wrist, knuckles))


def _cut_bodies(
    cut: _Slices, starts: Tensor, direction: Tensor, sagittal: tuple[float, float, float], bodies: tuple[int, int]
) -> dict[int, tuple[Tensor, Tensor, Tensor]]:
    axes = _axes(direction, sagittal)
    found = {}
    for i, body in enumerate(bodies):
        along = cut.along[i]
        # Moments about the sagittal, transverse and longitudinal axis
        moments = cut.mass[i] * torch.stack([along + cut.sideways, along + cut.forward, cut.sideways + cut.forward])
        found[body] = (cut.mass[i], starts[i] + cut.place[i] * direction, (axes * moments) @ axes.T)
    return found


def _axes(longitudinal: Tensor, near: tuple[float, float, float]) -> Tensor:
    """Columns: the sagittal axis nearest to a direction, the transverse and the longitudinal axis; shape [3, 3]."""
    given = torch.tensor(near, dtype=longitudinal.dtype, device=longitudinal.device)
    sagittal = given - (given @ longitudinal) * longitudinal
    if float(sagittal.detach().square().sum()) < 1e-12:
        # Along the segment itself, such as a hand that hangs in the rest pose: none is nearest, any other will do.
        given = given.roll(1)
        sagittal = given - (given @ longitudinal) * longitudinal
    sagittal = sagittal / torch.linalg.vector_norm(sagittal)
    return torch.stack([sagittal, torch.linalg.cross(longitudinal, sagittal), longitudinal], dim=-1)

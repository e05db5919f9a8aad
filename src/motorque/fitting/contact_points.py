"""Where a skeleton's feet can touch the ground, and how the load is usually spread over a sole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from motorque.errors import ModelError
from motorque.files.plate_columns import side_of
from motorque.journal import Journal
from motorque.mechanics.kinematics import forward_kinematics
from motorque.skeleton.fullbody import fullbody
from motorque.skeleton.skeleton import ContactSphere, Skeleton

Array = NDArray[np.float64]

SIDES = ("r", "l")

REGION_ENDS = (0.27, 0.55, 0.83)
"""Where heel, midfoot and forefoot end, as a share of the length of the foot from the heel. The first two are the usual
masks of plantar pressure (73 % and 45 % of the length from the toes); the toes take the foremost sixth."""

REGION_LOADS = (0.50, 0.10, 0.33, 0.07)
"""Share of the load on heel, midfoot, forefoot and toes. Standing it is 0.605, 0.078, 0.281, 0.036 (Cavanagh, Rodgers,
Iiboshi, Foot & Ankle 7 (1987) 262-276); a walking foot carries more of it in front, so a round figure between."""


@dataclass(frozen=True, eq=False)
class ContactPoints:
    """Spheres under both feet.

    Args:
        spheres: The spheres, K of them.
        foot: 0 for those of the right foot, 1 for the left, shape [K].
        share: Part of its foot's load that each carries when the whole foot rests [-], shape [K]; 1 per foot in all.
        bodies: The bodies that the ground pushes on, right and left (``calcn_r``, ``calcn_l``).
        length: Length of each foot from the hind end of its spheres to the fore end [m].
    """

    spheres: tuple[ContactSphere, ...]
    foot: NDArray[np.int_]
    share: Array
    bodies: tuple[str, str]
    length: tuple[float, float]


def contact_points(skeleton: Skeleton, *, journal: Journal) -> ContactPoints:
    """The contact spheres of both feet: the model's own, else the built-in skeleton's, fitted to the model's feet.

    Args:
        skeleton: The skeleton; its feet are called ``calcn_r``/``calcn_l`` or have ``foot`` in their names.
        journal: Says which were used.

    Raises:
        ModelError: There is no right or left foot, or it has neither spheres nor a toe joint to place them by.
    """
    spheres: list[ContactSphere] = []
    feet: list[int] = []
    shares: list[Array] = []
    bodies: list[str] = []
    lengths: list[float] = []
    fitted: list[str] = []
    for number, side in enumerate(SIDES):
        foot = _foot_body(skeleton, side)
        own = [s for s in skeleton.contact_spheres if _belongs(skeleton, s.body, foot)]
        if not own:
            own = _fitted_spheres(skeleton, foot, side)
            fitted.append(skeleton.body_names[foot])
        share, length = _load_shares(skeleton, foot, own)
        spheres += own
        feet += [number] * len(own)
        shares.append(share)
        bodies.append(skeleton.body_names[foot])
        lengths.append(length)
    if fitted:
        journal.assume(
            f"{skeleton.name} has no contact spheres on {' and '.join(fitted)}; six each were placed as on the "
            "built-in skeleton, in proportion to the distance from heel to toe joint",
            skeleton.name,
        )
    return ContactPoints(
        tuple(spheres),
        np.array(feet, dtype=np.int64),
        np.concatenate(shares),
        (bodies[0], bodies[1]),
        (lengths[0], lengths[1]),
    )


def _foot_body(skeleton: Skeleton, side: str) -> int:
    """The hind foot of a side."""
    mine = [name for name in skeleton.body_names if side_of(name) == side]
    found = next((name for word in ("calc", "foot", "heel") for name in mine if word in name.lower()), None)
    if found is None:
        raise ModelError(
            f"{skeleton.name}: no foot of side {side!r} among its bodies ({', '.join(skeleton.body_names)}); name the "
            f"foot calcn_{side} or foot_{side}, or give measured loads with --loads"
        )
    return skeleton.body(found)


def _belongs(skeleton: Skeleton, body: int, foot: int) -> bool:
    """Whether a body is the foot, hangs on it (toes) or carries it (talus)."""
    return foot in skeleton.ancestors(body) or body == skeleton.parents[foot]


def _toe_joint(skeleton: Skeleton, foot: int) -> tuple[int, Array] | None:
    """The body in front of the toe joint, and the joint in the foot's frame [m]."""
    toes = next((b for b, parent in enumerate(skeleton.parents) if parent == foot), None)
    if toes is None or skeleton.joints[toes].reversed:
        return None
    return toes, skeleton.parent_position[toes].detach().cpu().double().numpy()


def _fitted_spheres(skeleton: Skeleton, foot: int, side: str) -> list[ContactSphere]:
    """The built-in skeleton's spheres, scaled by the distance from the foot's origin to its toe joint."""
    joint = _toe_joint(skeleton, foot)
    if joint is None or joint[1][0] < 0.8 * np.linalg.norm(joint[1]) or joint[1][0] < 0.03:
        raise ModelError(
            f"{skeleton.name}: {skeleton.body_names[foot]} has neither contact spheres nor a toe joint in front of it "
            "(along +X), so that the shape of the foot is unknown; add contact spheres to the model"
        )
    pattern = fullbody()
    bodies = {pattern.body(f"calcn_{side}"): foot, pattern.body(f"toes_{side}"): joint[0]}
    reach = float(pattern.parent_position[pattern.body(f"toes_{side}")].norm())
    factor = float(np.linalg.norm(joint[1])) / reach
    return [
        ContactSphere(s.name, bodies[s.body], tuple(factor * x for x in s.center), factor * s.radius)  # type: ignore[arg-type]
        for s in pattern.contact_spheres
        if s.body in bodies
    ]


def _load_shares(skeleton: Skeleton, foot: int, spheres: Sequence[ContactSphere]) -> tuple[Array, float]:
    """Part of the load of each sphere by the region of the foot that it lies in, and the foot's length [m]."""
    poses = forward_kinematics(skeleton, skeleton.default_pose)
    turn, origin = poses.rotation[foot], poses.position[foot]
    centers = torch.stack(
        [poses.point(s.body, torch.tensor(s.center, dtype=turn.dtype, device=turn.device)) for s in spheres]
    )
    joint = _toe_joint(skeleton, foot)
    forward = np.array([1.0, 0.0, 0.0]) if joint is None else joint[1] / np.linalg.norm(joint[1])
    along = ((centers - origin) @ turn).detach().cpu().double().numpy() @ forward
    radius = np.array([s.radius for s in spheres])
    hind, fore = float((along - radius).min()), float((along + radius).max())
    region = np.digitize((along - hind) / (fore - hind), REGION_ENDS)
    share = np.array([REGION_LOADS[r] / np.count_nonzero(region == r) for r in region])
    return share / share.sum(), fore - hind

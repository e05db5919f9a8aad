"""Which bodies and axes of a skeleton share a scale factor when it is fitted to a person."""

from __future__ import annotations

from dataclasses import dataclass

from motorque.skeleton.skeleton import Skeleton


@dataclass(frozen=True)
class ScaleGroup:
    """Bodies and axes that share one factor: pairs of a body name and axes (``"xyz"``, ``"y"``)."""

    name: str
    members: tuple[tuple[str, str], ...]


def default_groups(skeleton: Skeleton, *, still: bool = False) -> list[ScaleGroup]:
    """Scale groups for a full body: the pelvis by axis, other segments by one factor, left and right together.

    In a standing person the trunk gets its factors by axis, too. In motion its width would follow the shoulder blades,
    which glide towards the neck when the arms rise, while a rigid trunk can only become narrower.

    Bodies of other skeletons that carry none of the usual names each get one factor for all axes.

    Args:
        skeleton: The skeleton.
        still: Whether the person stands still with the arms down.
    """
    names = skeleton.body_names
    sides = ("_r", "_l")

    def both(*stems: str) -> tuple[tuple[str, str], ...]:
        return tuple((stem + side, "xyz") for stem in stems for side in sides if stem + side in names)

    by_axis = ("pelvis", "torso") if still else ("pelvis",)
    groups = [ScaleGroup(f"{body} {axis}", ((body, axis),)) for body in by_axis if body in names for axis in "xyz"]
    if not still:
        groups += [ScaleGroup("torso", ((body, "xyz"),)) for body in ("torso",) if body in names]
    groups += [
        ScaleGroup("thigh", both("femur", "patella")),
        ScaleGroup("shank", both("tibia")),
        ScaleGroup("foot", both("talus", "calcn", "toes")),
        ScaleGroup("upper arm", both("humerus")),
        ScaleGroup("forearm", both("ulna", "radius", "hand")),
    ]
    groups = [g for g in groups if g.members]
    covered = {body for g in groups for body, _ in g.members}
    return groups + [ScaleGroup(n, ((n, "xyz"),)) for n in names if n not in covered]

"""The body that everybody's movements are put on to compare methods, and its changed shapes.

The paper learns and tests on one default body, of the average man of SMPL's licensed shapes; here it is an adult of
published proportions (:func:`motorque.skeleton.smpl.rest_joints`), the mean of women's and men's.
"""

from __future__ import annotations

import torch
from torch import Tensor

from motorque.errors import DataError
from motorque.estimators.inpose.tree import JOINTS, PARENTS, places
from motorque.skeleton.smpl import rest_joints

HEIGHT = 1.70
"""Stature of the default body [m]."""
FEET = tuple(JOINTS.index(name) for name in ("left_foot", "right_foot"))
_LEGS = tuple(n for n in JOINTS if n.endswith(("hip", "knee", "ankle", "foot")))
_ARMS = tuple(n for n in JOINTS if n.endswith(("shoulder", "elbow", "wrist")))
_SPINE = ("spine1", "spine2", "spine3")


def default_body() -> Tensor:
    """Rest joints of the default body from the pelvis on [m], shape [22, 3], float64."""
    rest = torch.tensor(rest_joints(height=HEIGHT)[: len(JOINTS)], dtype=torch.float64)
    return rest - rest[0]


def shaped(rest: Tensor, *, whole: float = 1.0, upper: float = 1.0, arms: float = 1.0, torso: float = 1.0) -> Tensor:
    """Rest joints with bones of other lengths; factors of a bone multiply.

    Args:
        rest: Rest joints from the pelvis on [m], shape [22, 3].
        whole: Factor of all bones.
        upper: Of all above the pelvis.
        arms: Of those from the collars to the wrists.
        torso: Of the spine's, from the pelvis to ``spine3``.

    Returns:
        Shape [22, 3] [m]. Whoever changes ``whole`` multiplies the pelvis' way by it too; the other factors leave legs
        and the pelvis' way as they are.

    Raises:
        DataError: A factor is not above zero.
    """
    if not min(whole, upper, arms, torso) > 0:
        raise DataError("body: factors of bones must be above zero")
    found = [rest[0] * whole]
    for joint, parent in enumerate(PARENTS[1:], 1):
        name = JOINTS[joint]
        factor = whole * (1.0 if name in _LEGS else upper)
        factor *= (arms if name in _ARMS else 1.0) * (torso if name in _SPINE else 1.0)
        found.append(found[parent] + factor * (rest[joint] - rest[parent]))
    return torch.stack(found)


def leg_length(rest: Tensor) -> float:
    """Thigh and shank together, the mean of both legs [m].

    Args:
        rest: Rest joints [m], shape [22, 3].

    Raises:
        DataError: There are no legs.
    """
    sides = [[JOINTS.index(f"{side}_{name}") for name in ("hip", "knee", "ankle")] for side in ("left", "right")]
    found = float(
        torch.stack([(rest[b] - rest[a]).norm() for s in sides for a, b in zip(s, s[1:], strict=False)]).sum()
    )
    if not 0.02 < found / 2 < 5.0:
        raise DataError(f"rest joints: legs of {found / 2:.3g} m can't be; give lengths in metres")
    return found / 2


def on_body(rotations: Tensor, pelvis: Tensor, own_rest: Tensor, rest: Tensor) -> Tensor:
    """The pelvis' way when a recording's rotations are put on another body.

    It is as many leg lengths long and high as on the own body, and raised or lowered throughout by one length, so that
    the lower foot is, at the median, as many leg lengths above the floor as it was: bones need not be in the same
    proportions, nor point the same way at rest.

    Args:
        rotations: Global rotations of one whole recording as six numbers [T, 22, 6], or as matrices [T, 22, 3, 3].
        pelvis: The pelvis over a floor at y = 0 [m], shape [T, 3].
        own_rest: Rest joints of the recorded body [m], shape [22, 3].
        rest: Those of the other body [m], shape [22, 3].

    Returns:
        Shape [T, 3] [m], of the pelvis' type.

    Raises:
        DataError: A body has no legs.
    """
    six = rotations if rotations.shape[-1] == 6 else torch.cat([rotations[..., 0], rotations[..., 1]], dim=-1)
    six, own_rest, rest = six.double(), own_rest.double(), rest.double()
    ratio = leg_length(rest) / leg_length(own_rest)
    way = ratio * pelvis.double()
    feet = list(FEET)
    before = ratio * places(six, own_rest, pelvis.double())[:, feet, 1].amin(dim=1)
    after = places(six, rest, way)[:, feet, 1].amin(dim=1)
    way[:, 1] += (before - after).median()
    return way.to(pelvis.dtype)

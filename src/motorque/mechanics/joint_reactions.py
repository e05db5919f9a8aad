"""The loads that joints transmit: what a body would have to be given in place of its joint.

By Newton and Euler, what a joint transmits to the body beyond it is the rate of change of momentum of that body and of
all that hang on it, less their weight and the loads on them. It holds what acts along the joint's own coordinates, as
joint torques and coordinate actuators do; forces that act on bodies, as muscles and contacts do, have to be among the
loads, and so has what constraints between points provide.

OpenSim 4.6 gets one case wrong: for a joint that runs against the tree, from child to parent, it answers with the
reaction of the joint before it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from motorque.errors import DataError, ModelError
from motorque.mechanics.arguments import Wrench, check
from motorque.mechanics.inverse_dynamics import inertial_wrenches, loads_about, tree_motion
from motorque.mechanics.reduced import fill, fill_positions
from motorque.mechanics.tree import Layout, TreePose, summed_inward, tree_pose, turn
from motorque.mechanics.velocities import check_pose
from motorque.skeleton.skeleton import Skeleton

Side = Literal["child", "parent"]
"""The body that a joint's load acts on, parent and child as the model file has them."""
ReactionFrame = Literal["ground", "child", "parent", "joint"]
"""Where a joint's load is expressed: in ground, in one of the joint's two bodies, or in the joint's parent frame F."""


@dataclass(frozen=True, eq=False)
class JointReactions:
    """What joints transmit, J of them.

    Args:
        joints: The joints' names.
        force: Forces [N], shape [..., J, 3].
        moment: Moments about ``point`` [N·m], shape [..., J, 3].
        point: Where the forces act: the origin of the joint's frame in the body acted on [m], shape [..., J, 3].
    """

    joints: tuple[str, ...]
    force: Tensor
    moment: Tensor
    point: Tensor


def joint_reactions(
    skeleton: Skeleton,
    q: Tensor,
    v: Tensor,
    a: Tensor,
    *,
    loads: Mapping[str, Wrench] | None = None,
    joints: Sequence[str] | None = None,
    on: Side = "child",
    frame: ReactionFrame = "ground",
    as_simbody: bool = False,
) -> JointReactions:
    """Forces and moments that joints transmit in a motion, as OpenSim's JointReaction analysis has them.

    A root's is what ground would have to provide. Of SMPL's ball joints, ``moment`` is by default the torque by the
    parent on the child about the joint, in the axes of the world.

    Args:
        skeleton: The skeleton.
        q: Positions, shape [..., nq], or without coupled coordinates.
        v: Generalized speeds, shape [..., nv], or without coupled ones.
        a: Their time derivatives, shape [..., nv], or without coupled ones: given ones, or those that
            ``forward_dynamics`` finds for given forces.
        loads: Force [N] and moment about the **ground origin** [N·m] on bodies by name, in ground, each [..., 3]: all
            that acts on bodies but gravity.
        joints: Names of joints; all, in the order of bodies, if left out.
        on: Which body the load acts on; the other one bears the opposite. It acts at the origin of M on the child, at
            that of F on the parent.
        frame: Where it is expressed.
        as_simbody: Whether the axes of custom joints turn as in Simbody, for an answer that equals OpenSim's, instead
            of as they do (see `simbody_rates`).

    Raises:
        DataError: Shapes do not fit the skeleton, a rotation is none, joints are one name and not several, or there is
            no such side or frame.
        ModelError: There is no such joint, or a load acts on a body that is not there.

    Source: Featherstone, Rigid Body Dynamics Algorithms (2008), section 5.3; conventions checked against OpenSim 4.6.
    """
    for given_as, known in ((on, get_args(Side)), (frame, get_args(ReactionFrame))):
        if given_as not in known:
            raise DataError(f"joint reactions know no {given_as!r}; there are {', '.join(known)}")
    if isinstance(joints, str):
        raise DataError(f"{skeleton.name}: joints must be a sequence of joint names, got {joints!r}")
    names = tuple(joint.name for joint in skeleton.joints) if joints is None else tuple(joints)
    chosen = _indices(skeleton, names)
    given = check(skeleton, q, {"v": v, "a": a}, loads)
    q, v, a = (given.tensors[name] for name in ("q", "v", "a"))
    if given.reduced:
        q, v, a = fill(skeleton, q, v, a)
    check_pose(skeleton, q)
    tree = tree_pose(skeleton, q)
    motion, _ = tree_motion(skeleton, tree, q, v, a, as_simbody=as_simbody)
    force, moment = inertial_wrenches(skeleton, tree.poses, motion)
    if loads:
        wrenches = {name: (given.tensors[f"force on {name}"], given.tensors[f"moment on {name}"]) for name in loads}
        pushed, twisted = loads_about(skeleton, tree.anchor, wrenches)
        force, moment = force - pushed, moment - twisted
    layout = Layout.of(skeleton)
    force, moment = summed_inward(layout, torch.cat([force, moment], dim=-1)).split(3, dim=-1)
    # So far on the tree's child, which is the file's parent where the joint is reversed.
    sign = layout.sign if on == "child" else -layout.sign
    force, moment = sign * force, sign * moment
    point = tree.axes.origin if on == "child" else _frame_origins(skeleton, tree)
    moment = moment - torch.linalg.cross(point, force)
    rotation, origin = _expressed_in(skeleton, tree, frame)
    into = rotation.mT
    picked = [x.index_select(-2, chosen) for x in (turn(into, force), turn(into, moment), turn(into, point - origin))]
    return JointReactions(names, *picked)


def ball_torques(
    skeleton: Skeleton, q: Tensor, tau: Tensor, *, frame: Literal["ground", "parent"] = "ground"
) -> Tensor:
    """Moments at ball and free joints, from generalized forces: by the parent on the child, about the joint.

    The convention of SMPL's torques. A free root's force is in ``tau`` already: its translations' three entries, along
    the joint's translation axes.

    Args:
        skeleton: The skeleton.
        q: Positions, shape [..., nq], or without coupled coordinates.
        tau: Generalized forces, as of ``inverse_dynamics``, shape [..., nv], or without coupled coordinates.
        frame: Axes of the answer: ground's, or those of the joint's frame F, fixed in the parent, in which ``tau`` has
            them.

    Returns:
        Moments [N·m] of the joints of ``skeleton.balls``, shape [..., number of balls, 3].

    Raises:
        DataError: Shapes do not fit the skeleton, a rotation is none, or there is no such frame.
    """
    if frame not in ("ground", "parent"):
        raise DataError(f"torques of ball joints are in 'ground' or 'parent', not in {frame!r}")
    given = check(skeleton, q, {"tau": tau})
    listed = skeleton.free_coordinates if given.reduced else tuple(range(skeleton.nv))
    columns = [[listed.index(c) for c in skeleton.joints[body].ball or ()] for body in skeleton.balls]
    moment = given.tensors["tau"][..., torch.tensor(columns, dtype=torch.long, device=q.device).reshape(-1, 3)]
    if frame == "parent":
        return moment
    q = fill_positions(skeleton, given.tensors["q"]) if given.reduced else given.tensors["q"]
    check_pose(skeleton, q)
    axes = tree_pose(skeleton, q).axes.frame.index_select(-3, Layout.of(skeleton).balls)
    return turn(axes, moment)


def _indices(skeleton: Skeleton, joints: Sequence[str]) -> Tensor:
    """Indices of the joints of these names."""
    names = [joint.name for joint in skeleton.joints]
    for name in joints:
        if name not in names:
            raise ModelError(f"{skeleton.name}: no joint named {name!r}; there are {', '.join(names)}")
    return torch.tensor([names.index(name) for name in joints], dtype=torch.long, device=skeleton.mass.device)


def _bodies(tree: TreePose, index: Tensor, moves: Tensor) -> tuple[Tensor, Tensor]:
    """Rotation and origin, relative to the anchor, of the bodies of an index, ground where ``moves`` is zero."""
    eye = torch.eye(3, dtype=moves.dtype, device=moves.device)
    rotation = torch.where(moves[..., None] == 0, eye, tree.poses.rotation.index_select(-3, index))
    return rotation, torch.where(moves == 0, -tree.anchor[..., None, :], tree.poses.position.index_select(-2, index))


def _frame_origins(skeleton: Skeleton, tree: TreePose) -> Tensor:
    """Origins of the joints' frames F, relative to the anchor [m], shape [..., B, 3]."""
    layout = Layout.of(skeleton)
    rotation, position = _bodies(tree, layout.carriers[0], layout.carried[0])
    return position + turn(rotation, skeleton.parent_position)


def _expressed_in(skeleton: Skeleton, tree: TreePose, frame: ReactionFrame) -> tuple[Tensor, Tensor]:
    """Rotation to ground and origin, relative to the anchor, of the frame in which each joint's load is expressed."""
    layout = Layout.of(skeleton)
    if frame == "joint":
        return tree.axes.frame, _frame_origins(skeleton, tree)
    if frame == "ground":
        none = torch.zeros_like(layout.carried[0])
        return _bodies(tree, torch.zeros_like(layout.parents), none)
    side = 0 if frame == "parent" else 1
    return _bodies(tree, layout.carriers[side], layout.carried[side])

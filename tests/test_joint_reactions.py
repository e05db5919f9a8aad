"""Joint reactions against OpenSim's JointReaction analysis, and against what they have to add up to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from motorque.errors import DataError, ModelError
from motorque.files.osim import read_osim
from motorque.files.storage import read_storage
from motorque.mechanics.dynamics import forward_dynamics, inverse_dynamics
from motorque.mechanics.joint_reactions import JointReactions, ball_torques, joint_reactions
from motorque.mechanics.kinematics import forward_kinematics
from motorque.mechanics.speed_twists import speed_twists
from motorque.mechanics.tree import tree_pose
from motorque.mechanics.twists import coordinate_bodies
from motorque.skeleton.skeleton import GROUND, Skeleton
from motorque.spatial import ROTATION_FORMATS
from moving_bodies import poses_along, spin_of
from random_trees import random_motion, random_tree

PENDULUM = "opensim_tests/StaticOptimization"
KINDS = ("ball", "revolute", "custom", "mixed")


def columns(reactions: JointReactions, index: int) -> np.ndarray:
    """A joint's force, moment and point as the analysis writes them, [..., 9]."""
    parts = (reactions.force, reactions.moment, reactions.point)
    return torch.cat([x[..., index, :] for x in parts], dim=-1).numpy()


def test_agrees_with_the_stored_double_pendulum(data: Path) -> None:
    """No actuator acts in the setup: the pendulum swings freely; its rods bear their reactions in their own axes.

    The reference has its speeds from a spline through the angles, whose ends are off; within, answers agree to 1e-6.
    """
    skeleton = read_osim(data / PENDULUM / "DoublePendulum3D.osim").skeleton
    states = read_storage(data / PENDULUM / "DoublePendulum3D_states.sto")
    expected = read_storage(data / PENDULUM / "std_DoublePendulum3D_JointReaction_ReactionLoads.sto")
    names = skeleton.coordinate_names
    q = torch.tensor(np.stack([states.column(name) for name in names], -1))
    v = torch.tensor(np.stack([states.column(f"{name}_u") for name in names], -1))
    a = forward_dynamics(skeleton, q, v, torch.zeros_like(v), backend="torch")
    reactions = joint_reactions(skeleton, q, v, a, on="child", frame="child")
    np.testing.assert_allclose(states.times, expected.times, atol=1e-12)
    for index, (joint, body) in enumerate((("pin1", "rod1"), ("pin2", "rod2"))):
        assert reactions.joints[index] == joint
        ours = columns(reactions, index)
        for part, letters in enumerate(("fx fy fz", "mx my mz", "px py pz")):
            labels = [f"{joint}_on_{body}_in_{body}_{letter}" for letter in letters.split()]
            theirs = np.stack([expected.column(label) for label in labels], -1)
            peak = np.linalg.norm(theirs, axis=-1).max()
            worst = np.abs(ours[:, 3 * part : 3 * part + 3] - theirs).max()
            print(f"{joint} {letters}: {worst / peak:.1e} of the peak {peak:.3g}")
            assert worst <= 1e-4 * peak
            assert np.abs(ours[5:-5, 3 * part : 3 * part + 3] - theirs[5:-5]).max() <= 1e-6 * peak


class Analysis:
    """OpenSim's analysis of a model with an actuator on every coordinate and a push on one body.

    States and actuators' forces are random; every file lies in the wheel's working folder.
    """

    frames = 3
    force, torque, place = (20.0, 500.0, -30.0), (3.0, 5.0, -2.0), (0.1, -0.02, 0.01)

    def __init__(self, opensim: Any, path: Path, pushed: str) -> None:
        self.opensim, self.pushed = opensim, pushed
        model = opensim.Model(str(path))
        model.updForceSet().clearAndDestroy()
        coordinates = [model.getCoordinateSet().get(i) for i in range(model.getCoordinateSet().getSize())]
        actuators = []
        for coordinate in coordinates:
            coordinate.set_locked(False)
            actuators.append(opensim.CoordinateActuator(coordinate.getName()))
            actuators[-1].setName(f"actuator_{coordinate.getName()}")
            actuators[-1].setOptimalForce(1.0)
            model.addForce(actuators[-1])
        push = opensim.PrescribedForce("push", model.getBodySet().get(pushed))
        push.setForceFunctions(*map(opensim.Constant, self.force))
        push.setTorqueFunctions(*map(opensim.Constant, self.torque))
        push.setPointFunctions(*map(opensim.Constant, self.place))
        push.set_forceIsGlobal(True)
        push.set_pointIsGlobal(False)
        model.addForce(push)
        model.finalizeConnections()
        model.printToXML("actuated.osim")
        self.skeleton = read_osim(Path("actuated.osim")).skeleton
        rng, names = np.random.default_rng(0), self.skeleton.coordinate_names
        q, v = (torch.tensor(rng.uniform(-0.3, 0.3, (self.frames, self.skeleton.nv))) for _ in range(2))
        self.q, self.v, _ = self.skeleton.couple_derivatives(q, 5 * v, v)
        self.tau = torch.tensor(rng.normal(size=(self.frames, len(names))) * 20)
        paths = [f"/jointset/{c.joint}/{c.name}" for c in self.skeleton.coordinates]
        state = {f"{path}/{kind}": x for path, xs in zip(paths, zip(self.q.T, self.v.T, strict=True), strict=True)
                 for kind, x in zip(("value", "speed"), xs, strict=True)}  # fmt: skip
        _write("states.sto", state)
        _write("forces.sto", {f"actuator_{name}": x for name, x in zip(names, self.tau.T, strict=True)})

    def run(self, on: str, frame: str) -> Any:
        """The table that the analysis writes."""
        setup = f"""<OpenSimDocument Version="40000"><AnalyzeTool name="wheel"><model_file>actuated.osim</model_file>
            <results_directory>.</results_directory><output_precision>17</output_precision>
            <initial_time>0</initial_time><final_time>{self.frames - 1}</final_time>
            <solve_for_equilibrium_for_auxiliary_states>false</solve_for_equilibrium_for_auxiliary_states>
            <AnalysisSet><objects><JointReaction name="reactions"><on>true</on><step_interval>1</step_interval>
            <forces_file>forces.sto</forces_file><joint_names>ALL</joint_names>
            <apply_on_bodies>{on}</apply_on_bodies><express_in_frame>{frame}</express_in_frame>
            </JointReaction></objects></AnalysisSet><states_file>states.sto</states_file></AnalyzeTool>
            </OpenSimDocument>"""
        Path("setup.xml").write_text(setup)
        tool = self.opensim.AnalyzeTool("setup.xml")
        assert tool.run()
        return read_storage(Path("wheel_reactions_ReactionLoads.sto"))

    def loads(self) -> dict[str, tuple[Tensor, Tensor]]:
        """The push, about the ground origin."""
        force, torque, place = (torch.tensor(x, dtype=torch.float64) for x in (self.force, self.torque, self.place))
        point = forward_kinematics(self.skeleton, self.q).point(self.skeleton.body(self.pushed), place)
        force = force.expand_as(point)
        return {self.pushed: (force, torch.linalg.cross(point, force) + torque)}


def _write(path: str, table: dict[str, Tensor]) -> None:
    rows = zip(*table.values(), strict=True)
    lines = ["values", "version=1", f"nRows={len(next(iter(table.values())))}", f"nColumns={len(table) + 1}"]
    lines += ["inDegrees=no", "endheader", "\t".join(["time", *table])]
    lines += ["\t".join(f"{float(x):.17g}" for x in (time, *row)) for time, row in enumerate(rows)]
    Path(path).write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize(
    ("on", "frame"), [("child", "ground"), ("child", "child"), ("parent", "parent"), ("parent", "child")]
)
def test_agrees_with_the_wheels_analysis(on: str, frame: str, data: Path, opensim) -> None:
    """Every joint of a model with couplers and knees on splines: forces, moments and where they act."""
    analysis = Analysis(opensim, data / "rajagopal_walk/subject_walk_scaled.osim", "calcn_r")
    skeleton, q, v = analysis.skeleton, analysis.q, analysis.v
    table = analysis.run(on, frame)
    loads = analysis.loads()
    a = forward_dynamics(skeleton, q, v, analysis.tau, loads=loads, backend="torch", as_simbody=True)
    ours = joint_reactions(skeleton, q, v, a, loads=loads, on=on, frame=frame, as_simbody=True)
    assert len(ours.joints) > 20
    for index, joint in enumerate(ours.joints):
        labels = [name for name in table.columns if name.startswith(f"{joint}_on_")]
        assert len(labels) == 9
        theirs = np.stack([table.column(name) for name in labels], -1)
        difference = np.abs(columns(ours, index) - theirs)
        for part in (slice(0, 3), slice(3, 6), slice(6, 9)):
            assert difference[:, part].max() <= 1e-9 * max(np.abs(theirs[:, part]).max(), 1.0), joint


@pytest.mark.parametrize("rotations", ROTATION_FORMATS)
@pytest.mark.parametrize("kind", KINDS)
def test_projections_are_the_generalized_forces(kind: str, rotations: str) -> None:
    """What a joint transmits does, per unit of each of its speeds, the work of inverse dynamics' force."""
    skeleton = random_tree(5, kind).with_rotations(rotations)
    q, v, a = random_motion(skeleton, 4)
    loads = {skeleton.body_names[-1]: (torch.randn_like(v[..., :3]), torch.randn_like(v[..., :3]))}
    tau = inverse_dynamics(skeleton, q, v, a, loads=loads, backend="torch")
    reactions = joint_reactions(skeleton, q, v, a, loads=loads)
    # Twists are about the anchor, and those of reversed joints of the file's parent.
    anchor = tree_pose(skeleton, q).anchor
    sign = torch.tensor([-1.0 if joint.reversed else 1.0 for joint in skeleton.joints], dtype=q.dtype)[:, None]
    force = reactions.force * sign
    moment = reactions.moment * sign + torch.linalg.cross(reactions.point - anchor[..., None, :], force)
    wrench = torch.cat([moment, force], dim=-1)[..., torch.as_tensor(coordinate_bodies(skeleton)), :]
    work = (speed_twists(skeleton, q, tree_pose(skeleton, q).axes) * wrench).sum(-1)
    assert float((work - tau).abs().max()) < 1e-12 * float(tau.abs().max())


@pytest.mark.parametrize("kind", KINDS)
def test_bodies_obey_newton_and_euler(kind: str) -> None:
    """Loads, weight and all joints' reactions on a body change its momentum, by automatic differentiation of poses."""
    skeleton = random_tree(6, kind).with_rotations("quaternion")
    q, v, a = random_motion(skeleton, 3)
    zero, one = torch.zeros((), dtype=q.dtype), torch.ones((), dtype=q.dtype)

    def momenta(time: Tensor) -> Tensor:
        """Linear and angular momentum of each body about the ground origin, [..., B, 6]."""

        def bodies(instant: Tensor) -> tuple[Tensor, Tensor]:
            poses = poses_along(skeleton, q, v, a, instant)
            return poses.rotation, poses.position + (poses.rotation @ skeleton.mass_center[..., None])[..., 0]

        (rotation, center), (turning, velocity) = torch.func.jvp(bodies, (time,), (one,))
        linear = skeleton.mass[:, None] * velocity
        inertia = rotation @ skeleton.inertia @ rotation.mT
        spin = (inertia @ spin_of(turning @ rotation.mT)[..., None])[..., 0]
        return torch.cat([linear, spin + torch.linalg.cross(center, linear)], dim=-1)

    change = torch.func.jvp(momenta, (zero,), (one,))[1]
    center = center_of(skeleton, q)
    weight = (skeleton.mass[:, None] * skeleton.gravity).expand_as(center)
    acting = torch.cat([weight, torch.linalg.cross(center, weight)], dim=-1)
    for on in ("child", "parent"):
        reactions = joint_reactions(skeleton, q, v, a, on=on)
        for index, joint in enumerate(skeleton.joints):
            inner, outer = skeleton.parents[index], index
            body = outer if (on == "child") != joint.reversed else inner
            if body == GROUND:
                continue
            force, point = reactions.force[..., index, :], reactions.point[..., index, :]
            moment = reactions.moment[..., index, :] + torch.linalg.cross(point, force)
            acting[..., body, :] += torch.cat([force, moment], dim=-1)
    assert float((acting - change).abs().max()) < 1e-12 * float(change.abs().max())


def center_of(skeleton: Skeleton, q: Tensor) -> Tensor:
    """Bodies' centres of mass in ground [..., B, 3]."""
    poses = forward_kinematics(skeleton, q)
    return poses.position + (poses.rotation @ skeleton.mass_center[..., None])[..., 0]


@pytest.mark.parametrize("rotations", ROTATION_FORMATS)
def test_torques_of_ball_joints(rotations: str) -> None:
    """A ball joint's generalized forces are its reaction's moment in F; in ground they are what SMPL calls torque."""
    skeleton = random_tree(1, "ball").with_rotations(rotations)
    q, v, a = random_motion(skeleton, 4)
    tau = inverse_dynamics(skeleton, q, v, a, backend="torch")
    balls = list(skeleton.balls)
    assert len(balls) == len(skeleton.body_names)
    for ours, frame, listed in (("ground", "ground", balls), ("parent", "joint", balls)):
        expected = joint_reactions(skeleton, q, v, a, frame=frame).moment[..., listed, :]
        found = ball_torques(skeleton, q, tau, frame=ours)
        assert float((found - expected).abs().max()) < 1e-12 * float(expected.abs().max())


def test_coupled_coordinates_follow() -> None:
    skeleton = random_tree(2, "mixed", bodies=10, couplers=2)
    q, v, a = random_motion(skeleton, 3)
    full = skeleton.couple_derivatives(q, v, a)
    free = list(skeleton.free_coordinates)
    ours = joint_reactions(skeleton, full[0][..., free], v[..., free], a[..., free])
    torch.testing.assert_close(ours.moment, joint_reactions(skeleton, *full).moment, rtol=1e-12, atol=1e-12)
    tau = inverse_dynamics(skeleton, *full, backend="torch")
    reduced = ball_torques(skeleton, full[0][..., free], tau[..., free])
    torch.testing.assert_close(reduced, ball_torques(skeleton, full[0], tau), rtol=1e-12, atol=1e-12)


def test_chosen_joints_gradients_and_batches() -> None:
    skeleton = random_tree(7, "mixed", bodies=4).with_rotations("axis-angle")
    q, v, a = (x.requires_grad_() for x in random_motion(skeleton, 2))
    name = skeleton.joints[2].name
    one = joint_reactions(skeleton, q, v, a, joints=[name], frame="parent", on="parent")
    everything = joint_reactions(skeleton, q[:, None], v[:, None], a.expand(2, 2, -1), frame="parent", on="parent")
    assert one.joints == (name,)
    torch.testing.assert_close(everything.moment[1, 1, 2:3], one.moment[1], rtol=0, atol=1e-12)
    assert torch.autograd.gradcheck(
        lambda *x: joint_reactions(skeleton, *x, joints=[name], frame="parent").moment, (q, v, a)
    )


def test_wrong_inputs_are_named() -> None:
    skeleton = random_tree(0, "ball", bodies=3)
    q, v, a = random_motion(skeleton, 2)
    with pytest.raises(ModelError, match="no joint named 'knee'; there are"):
        joint_reactions(skeleton, q, v, a, joints=["knee"])
    with pytest.raises(DataError, match="joints must be a sequence of joint names, got 'knee'"):
        joint_reactions(skeleton, q, v, a, joints="knee")
    with pytest.raises(DataError, match="no 'both'; there are child, parent"):
        joint_reactions(skeleton, q, v, a, on="both")
    with pytest.raises(DataError, match="no 'world'; there are ground, child, parent, joint"):
        joint_reactions(skeleton, q, v, a, frame="world")
    with pytest.raises(DataError, match=r"a needs \d+ columns"):
        joint_reactions(skeleton, q, v, a[..., 1:])
    with pytest.raises(ModelError, match="no body named 'foot'"):
        joint_reactions(skeleton, q, v, a, loads={"foot": (v[..., :3], v[..., :3])})
    with pytest.raises(DataError, match="'ground' or 'parent', not in 'child'"):
        ball_torques(skeleton, q, v, frame="child")

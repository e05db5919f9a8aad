"""Lengths of muscle paths against the `opensim` wheel: reference models in many poses, every kind of surface."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from motorque.errors import ModelError
from motorque.files.osim import read_osim
from motorque.files.osim_paths import read_paths
from motorque.journal import Journal
from motorque.mechanics.muscle_path import path_lengths
from scale_models import HEAD, element, for_the_wheel

EXACT = 1e-12
"""Agreement of lengths [m]: the same arithmetic in another order."""
POSES = 8
SIZES = {
    "cylinder": ("WrapCylinder", "<radius>0.05</radius><length>0.4</length>"),
    "sphere": ("WrapSphere", "<radius>0.05</radius>"),
    "ellipsoid": ("WrapEllipsoid", "<dimensions>0.04 0.07 0.05</dimensions>"),
    "torus": ("WrapTorus", "<inner_radius>0.02</inner_radius><outer_radius>0.06</outer_radius>"),
}
FAR_AWAY = (
    "<WrapCylinder name='far'><translation>9 0 0</translation><radius>0.01</radius><length>0.01</length></WrapCylinder>"
)


def wheel_lengths(opensim: Any, model: Any, state: Any, names: list[str]) -> np.ndarray:
    kinds = (opensim.Muscle, opensim.Ligament, opensim.PathSpring)
    forces = [model.getForceSet().get(name) for name in names]
    return np.array([next(filter(None, (k.safeDownCast(f) for k in kinds))).getLength(state) for f in forces])


@pytest.mark.parametrize(
    "name",
    [
        "models/LaiArnoldModified2017_contacts.osim",
        "rajagopal_walk/subject_walk_scaled.osim",
        "arnold_synthetic/subject01/subject01.osim",
        "opensim_tests/ID/arm26.osim",
        "opensim_tests/ID/subject01.osim",
        "opensim_tests/StaticOptimization/subject01_adjusted_spring.osim",
        "opensim_tests/Scale/toyLigamentModel.osim",
    ],
)
def test_lengths_in_default_and_random_poses(name: str, data: Path, opensim: Any, tmp_path: Path) -> None:
    for_the_wheel(data / name, tmp_path / "model.osim")
    model = opensim.Model("model.osim")
    state = model.initSystem()
    skeleton = (osim := read_osim(tmp_path / "model.osim")).skeleton
    owned = read_paths(osim)
    names = [(o.owner.get("name") or "") for o in owned]
    paths = [o.path for o in owned]
    assert len(paths) >= 4
    default = path_lengths(skeleton, paths, skeleton.default_pose.numpy())
    np.testing.assert_allclose(default, wheel_lengths(opensim, model, state, names), rtol=0, atol=EXACT)
    rng = np.random.default_rng(1)
    for _ in range(POSES):
        drawn = [rng.uniform(*np.clip(c.range, -2, 2)) for c in skeleton.coordinates]
        q = skeleton.couple(torch.tensor(drawn, dtype=torch.float64)).numpy()
        for index, coordinate in enumerate(skeleton.coordinates):
            theirs = model.getCoordinateSet().get(coordinate.name)
            theirs.setLocked(state, False)
            theirs.setValue(state, float(q[index]), False)
        model.realizePosition(state)
        wanted = wheel_lengths(opensim, model, state, names)
        np.testing.assert_allclose(path_lengths(skeleton, paths, q), wanted, rtol=0, atol=EXACT)


def wrapping_model(kind: str, quadrant: str, method: str, pairs: np.ndarray, *, second: bool) -> str:
    """Springs between pairs of points in ground, over one surface, perhaps with a second one that they never meet."""

    def spring(n: int, ends: np.ndarray) -> str:
        points = "".join(
            element(
                "PathPoint",
                f"p{m}",
                f"<socket_parent_frame>/ground</socket_parent_frame><location>{x!r} {y!r} {z!r}</location>",
            )
            for m, (x, y, z) in enumerate(ends.tolist())
        )
        wraps = element("PathWrap", "w1", f"<wrap_object>c</wrap_object><method>{method}</method>")
        if second:
            wraps += element("PathWrap", "w2", "<wrap_object>far</wrap_object>")
        path = element("PathPointSet", inside=element("objects", inside=points))
        path += element("PathWrapSet", inside=element("objects", inside=wraps))
        rest = "<resting_length>1</resting_length><stiffness>1</stiffness><dissipation>0</dissipation>"
        return element("PathSpring", f"s{n}", rest + element("GeometryPath", "path", path))

    tag, size = SIZES[kind]
    surfaces = element(tag, "c", f"{size}<quadrant>{quadrant}</quadrant>") + FAR_AWAY
    ground = element("Ground", "ground", element("WrapObjectSet", inside=element("objects", inside=surfaces)))
    body = element("Body", "b", "<mass>1</mass><inertia>1 1 1 0 0 0</inertia>")
    joint = "<socket_parent_frame>/ground</socket_parent_frame><socket_child_frame>/bodyset/b</socket_child_frame>"
    sets = {
        "BodySet": body,
        "JointSet": element("PinJoint", "j", joint + element("coordinates", inside=element("Coordinate", "q"))),
        "ForceSet": "".join(spring(n, ends) for n, ends in enumerate(pairs)),
    }
    inside = ground + "".join(element(tag, inside=element("objects", inside=x)) for tag, x in sets.items())
    return f'{HEAD}<Model name="m">{inside}</Model></OpenSimDocument>'


@pytest.mark.parametrize("second", [False, True], ids=["alone", "with-another"])
@pytest.mark.parametrize("quadrant", ["all", "x", "-x", "y", "-y"])
@pytest.mark.parametrize(
    ("kind", "method", "tolerance"),
    [
        ("cylinder", "hybrid", EXACT),
        ("sphere", "hybrid", EXACT),
        ("ellipsoid", "hybrid", EXACT),
        ("ellipsoid", "midpoint", EXACT),
        ("ellipsoid", "axial", EXACT),
        ("torus", "hybrid", 1e-5),  # its nearest point is searched by MINPACK to 1e-4, here and in OpenSim
    ],
)
def test_every_surface_wraps_as_in_opensim(
    kind: str, method: str, tolerance: float, quadrant: str, second: bool, opensim: Any, tmp_path: Path
) -> None:
    rng = np.random.default_rng(7)
    start = rng.normal(size=(40, 3))
    start *= rng.uniform(0.09, 0.2, (40, 1)) / np.linalg.norm(start, axis=1, keepdims=True)
    pairs = np.stack([start, -start + 0.06 * rng.normal(size=start.shape)], axis=1)
    (tmp_path / "wrap.osim").write_text(wrapping_model(kind, quadrant, method, pairs, second=second))
    model = opensim.Model("wrap.osim")
    state = model.initSystem()
    theirs = wheel_lengths(opensim, model, state, [f"s{n}" for n in range(len(pairs))])
    each = []
    for rounding in (0.0, 1e-16, -1e-16):  # one path lies where rounding chooses between two ways, 6e-9 m apart
        (tmp_path / "ours.osim").write_text(wrapping_model(kind, quadrant, method, pairs + rounding, second=second))
        osim = read_osim(tmp_path / "ours.osim")
        each.append(path_lengths(osim.skeleton, [o.path for o in read_paths(osim)], np.zeros(osim.skeleton.nq)))
    nearest = np.abs(np.array(each) - theirs).argmin(axis=0)
    ours = np.array(each)[nearest, np.arange(len(theirs))]
    known = np.isfinite(theirs)  # OpenSim's ellipsoid gives NaN where rounding takes an arc cosine beyond one
    straight = np.linalg.norm(pairs[:, 0] - pairs[:, 1], axis=1)
    assert known.sum() >= 35
    assert (np.abs(theirs - straight)[known] > 1e-6).sum() >= 8  # enough of them wrap for the test to mean something
    np.testing.assert_allclose(ours[known], theirs[known], rtol=0, atol=tolerance)


def test_lengths_without_opensims_memory_are_shorter_than_no_chord(data: Path) -> None:
    osim = read_osim(data / "models/LaiArnoldModified2017_contacts.osim", journal=Journal())
    owned = [o.path for o in read_paths(osim) if o.path.name.startswith("gasmed")]
    q = osim.skeleton.default_pose.numpy()
    remembered, consistent = (path_lengths(osim.skeleton, owned, q, as_opensim=flag) for flag in (True, False))
    assert (consistent - remembered > 5e-3).all()  # OpenSim 4.6 measures these two 10 mm short of their own chords


def test_unknown_surface_and_method_are_named(data: Path, tmp_path: Path) -> None:
    source = (data / "opensim_tests/ID/arm26.osim").read_text()
    for old, new, words in (
        ("<wrap_object> TRI </wrap_object>", "<wrap_object> TRICEPS </wrap_object>", "'TRICEPS'"),
        ("<method> hybrid </method>", "<method> magic </method>", "'magic'"),
        ("<quadrant> z </quadrant>", "<quadrant> q </quadrant>", "'q'"),
    ):
        assert old in source
        (tmp_path / "model.osim").write_text(source.replace(old, new, 1))
        with pytest.raises(ModelError, match=words):
            read_paths(read_osim(tmp_path / "model.osim"))

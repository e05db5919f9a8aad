"""From tracks to whole bodies: files, conventions, windows over recordings, closing, streams, the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from inpose_people import person, standing_weights
from motorque.cli import main
from motorque.errors import DataError, FileFormatError, MotorqueError
from motorque.estimators.inpose.closing import closed, exp_vectors, log_vectors
from motorque.estimators.inpose.drawing import FAST, SamplingSettings, refit
from motorque.estimators.inpose.inpose import InPose
from motorque.estimators.inpose.long_sampling import Measured, sample_recording, starts
from motorque.estimators.inpose.noisy_places import left_over, smoothed
from motorque.estimators.inpose.sensor_times import at_60_hz
from motorque.estimators.inpose.sensor_units import in_metres
from motorque.estimators.inpose.sensors import check_plausible, in_smpls_world
from motorque.estimators.inpose.tree import JOINTS, THREE, columns, global_rotations, matrices, places, resting
from motorque.files.smpl_bones import complete
from motorque.files.smpl_poses import read_poses
from motorque.files.tracks import read_tracks
from motorque.journal import Journal
from motorque.series.tracks import Tracks
from motorque.skeleton.smpl import rest_joints

NAMES = tuple(JOINTS[j] for j in THREE)
REST = np.array(rest_joints(height=1.7)) - np.array(rest_joints(height=1.7))[0]


def recorded(frames: int = 90) -> tuple[Tracks, np.ndarray, np.ndarray]:
    """What sensors on somebody's head and wrists say, and where all joints truly are and how they are turned."""
    poses = person(3, frames=frames)
    turns, pelvis = global_rotations(poses)
    points = places(torch.tensor(columns(turns)), torch.tensor(resting(poses)), torch.tensor(pelvis)).numpy()
    own = list(THREE)
    return Tracks(poses.times, NAMES, points[:, own], turns[:, own], "tracks.csv"), points, turns


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return standing_weights(tmp_path_factory.mktemp("weights"))


def write(path: Path, tracks: Tracks, *, kind: str = "q") -> Path:
    """Tracks as a table, with rotations as quaternions, matrices or six numbers."""
    from scipy.spatial.transform import Rotation

    names, values = ["time"], [tracks.times]
    for number, name in enumerate(tracks.names):
        names += [f"{name}_p{axis}" for axis in "xyz"]
        values += list(tracks.positions[:, number].T)
        turns = tracks.rotations[:, number]
        if kind == "q":
            names += [f"{name}_q{part}" for part in "wxyz"]
            values += list(Rotation.from_matrix(turns).as_quat()[:, [3, 0, 1, 2]].T)
        elif kind == "r":
            names += [f"{name}_r{i}{j}" for i in range(3) for j in range(3)]
            values += list(turns.reshape(-1, 9).T)
        else:
            names += [f"{name}_d{i}" for i in range(6)]
            values += list(columns(turns).T)
    np.savetxt(path, np.column_stack(values), delimiter=",", header=",".join(names), comments="", fmt="%.9g")
    return path


@pytest.mark.parametrize("kind", ["q", "r", "d"])
def test_a_table_is_read_whatever_its_rotations_are_written_as(tmp_path: Path, kind: str) -> None:
    tracks, _, _ = recorded()
    found = read_tracks(write(tmp_path / "t.csv", tracks, kind=kind))
    assert found.names == NAMES
    np.testing.assert_allclose(found.positions, tracks.positions, atol=1e-8)
    np.testing.assert_allclose(found.rotations, tracks.rotations, atol=1e-7)


def test_an_archive_says_the_same(tmp_path: Path) -> None:
    tracks, _, _ = recorded()
    arrays = {f"{n}_p": tracks.positions[:, i] for i, n in enumerate(NAMES)}
    arrays |= {f"{n}_d": columns(tracks.rotations[:, i]) for i, n in enumerate(NAMES)}
    np.savez(tmp_path / "t.npz", time=tracks.times, **arrays)
    np.testing.assert_allclose(read_tracks(tmp_path / "t.npz").rotations, tracks.rotations, atol=1e-12)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no table of tracks"),
        ("time,head_px,head_py,head_pz\n", "no rows"),
        ("head_px,head_py,head_pz\n1,2,3\n", "no column 'time'"),
        ("time,hed_px,hed_py,hed_pz\n0,1,2,3\n", "did you mean 'head'"),
        ("time,head_px,head_py\n0,1,2\n", "head_pz is missing"),
        ("time,head_px,head_py,head_pz\n0,1,2\n", "line 2 has 3 cells"),
        ("time,head_px,head_py,head_pz\n0,1,x,3\n", "line 2, column 'head_py': 'x' is not a number"),
        ("time,head_px,head_py,head_pz\n0,1,2,3\n0,1,2,3\n", "time does not increase"),
        ("time,head_qw,head_qx,head_qy,head_qz\n0,2,0,0,0\n", "quaternion of head is no rotation"),
        ("time,speed\n0,1\n", "no column is a sensor's"),
        ("time,time,head_px\n0,1,1\n", "'time' is there twice"),
    ],
)
def test_tables_that_are_none_are_refused_in_one_line(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(FileFormatError, match=said) as error:
        read_tracks(tmp_path / "t.csv")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("up", ["z", "-y", "-z"])
@pytest.mark.parametrize("convention", ["smpl", "inverse", "openxr", "unity"])
def test_any_convention_comes_back_to_the_same_tracks(up: str, convention: str) -> None:
    tracks, _, _ = recorded(20)
    # The way out, written down by itself: the world turned about x, then what a device would say
    angle = {"z": np.pi / 2, "-y": np.pi, "-z": -np.pi / 2}[up]
    world = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
    p, r = tracks.positions @ world.T, world @ tracks.rotations
    if convention == "inverse":
        r = r.swapaxes(-1, -2)
    elif convention == "openxr":
        r = r @ np.diag([-1.0, 1.0, -1.0])
    elif convention == "unity":
        mirror = np.diag([-1.0, 1.0, 1.0])
        p, r = p @ mirror, mirror @ r @ mirror
    device = Tracks(tracks.times, NAMES, p, r)
    found = in_smpls_world(device, up=up, convention=convention)  # type: ignore[arg-type]
    np.testing.assert_allclose(found.positions, tracks.positions, atol=1e-12)
    np.testing.assert_allclose(found.rotations, tracks.rotations, atol=1e-12)


def test_a_t_pose_tells_how_sensors_sit() -> None:
    frames = 30
    facing = exp_vectors(torch.tensor([0.0, 0.7, 0.0], dtype=torch.float64)).numpy()
    turns = np.broadcast_to(facing, (frames, 3, 3, 3))
    points = np.broadcast_to(REST[list(THREE)] @ facing.T, (frames, 3, 3))
    mounts = exp_vectors(torch.tensor([[0.3, 1, 2], [1, 0, 1], [0, 2, 0.5]], dtype=torch.float64)).numpy()
    device = Tracks(np.arange(frames) / 60, NAMES, points, turns @ mounts)
    np.testing.assert_allclose(in_smpls_world(device, t_pose=0.2).rotations, turns, atol=1e-12)
    with pytest.raises(DataError, match="T-pose"):
        in_smpls_world(device, t_pose=9.0)


def test_other_conventions_sides_and_units_are_noticed() -> None:
    tracks, _, _ = recorded()
    journal = Journal()
    check_plausible(in_metres(tracks, REST, journal=journal), journal=journal)
    assert not journal.notices
    tilted = Tracks(
        tracks.times, NAMES, tracks.positions[..., [0, 2, 1]], tracks.rotations[..., [0, 2, 1], :] * [[1], [-1], [1]]
    )
    with pytest.raises(DataError, match=r"--up (z|-z)"):
        check_plausible(tilted, journal=journal)
    swapped = Tracks(tracks.times, NAMES, tracks.positions[:, [0, 2, 1]], tracks.rotations)
    with pytest.raises(DataError, match="exchanged"):
        check_plausible(swapped, journal=journal)
    in_cm = Tracks(tracks.times, NAMES, 100 * tracks.positions, tracks.rotations)
    np.testing.assert_allclose(in_metres(in_cm, REST, journal=journal).positions, tracks.positions)
    assert "cm" in journal.notices[-1].text and journal.notices[-1].kind == "repair"
    with pytest.raises(DataError, match="these bones let"):
        in_metres(in_cm, REST, units="m", journal=journal)


def test_uneven_and_interleaved_times_come_to_60_hz() -> None:
    tracks, points, _ = recorded(121)
    rng = np.random.default_rng(0)
    fine = np.sort(np.concatenate([tracks.times, tracks.times[:-1] + rng.uniform(0.004, 0.012, 120)]))
    known = np.stack([np.interp(fine, tracks.times, points[:, 15, axis]) for axis in range(3)], axis=-1)
    positions, rotations = np.full((len(fine), 2, 3), np.nan), np.full((len(fine), 2, 3, 3), np.nan)
    positions[::2, 0], positions[1::2, 1] = known[::2], known[1::2]  # two sensors that take turns
    rotations[:] = np.eye(3)
    journal = Journal()
    found = at_60_hz(Tracks(fine, ("head", "neck"), positions, rotations), journal=journal)
    assert len(found.times) == 121 and np.allclose(np.diff(found.times), 1 / 60)
    assert np.nanmax(np.abs(found.positions[:, 0] - points[:, 15])) < 0.002
    assert np.isfinite(found.positions[2:-2]).all() and "vary by up to" in journal.notices[0].text


def test_gaps_of_seconds_are_left_and_said() -> None:
    tracks, _, _ = recorded(150)
    positions = tracks.positions.copy()
    positions[30:100, 1] = np.nan
    positions[110:112, 2] = np.nan
    journal = Journal()
    odd = np.delete(np.arange(150), 5)  # not on the grid: is resampled
    gappy = Tracks(tracks.times[odd] * 1.001, NAMES, positions[odd], tracks.rotations[odd])
    found = at_60_hz(gappy, journal=journal)
    assert not found.there[31:98, 1].any() and found.there[:28, 1].all() and found.there[:, 2].all()
    assert any("left_wrist's place is missing for 1.2 s from 0.5" in n.text for n in journal.notices)


@pytest.mark.parametrize(("factor", "said"), [(1000.0, "milliseconds: divide them by 1000"), (20.0, "give 10 to 2000")])
def test_times_that_are_no_seconds_are_refused(factor: float, said: str) -> None:
    tracks, _, _ = recorded(20)
    with pytest.raises(DataError, match=said):
        at_60_hz(Tracks(factor * tracks.times, NAMES, tracks.positions, tracks.rotations), journal=Journal())


def test_closing_puts_sensors_where_they_were_and_leaves_the_rest() -> None:
    """From a pose off by 0.2 rad about each axis of each joint, sixty updates later sensors fit to a millimetre; four,
    as by default, take nine tenths of the way."""
    _, points, turns = recorded(4)
    own = torch.tensor(turns)
    off = exp_vectors(0.2 * torch.randn(4, 22, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64))
    there = torch.zeros(4, 22, dtype=torch.bool)
    there[:, list(THREE)] = True
    rest = torch.tensor(REST[:22])
    found = closed(off @ own, torch.tensor(points), there, rest, noise=0.001, rounds=60)
    six = torch.cat([found[..., 0], found[..., 1]], dim=-1)
    where = places(six, rest).numpy()
    apart = (where - where[:, 15:16])[:, list(THREE)] - (points - points[:, 15:16])[:, list(THREE)]
    assert np.abs(apart).max() < 1e-3
    assert float(log_vectors(found @ (off @ own).mT).norm(dim=-1).max()) < 1.0
    soon = closed(off @ own, torch.tensor(points), there, rest, noise=0.001)
    misses = []
    for turned in (off @ own, soon):
        where = places(torch.cat([turned[..., 0], turned[..., 1]], dim=-1), rest).numpy()
        apart = (where - where[:, 15:16])[:, list(THREE)] - (points - points[:, 15:16])[:, list(THREE)]
        misses.append(np.linalg.norm(apart, axis=-1).mean())
    assert misses[1] < 0.1 * misses[0]
    legs = [JOINTS.index(n) for n in ("left_hip", "right_knee", "left_ankle")]
    assert torch.equal(found[:, legs], (off @ own)[:, legs])  # nothing was measured of them
    told = closed(off @ own, torch.tensor(points), there, rest, measured=own, seen=there)
    assert float((told - own)[:, list(THREE)].abs().max()) < 1e-3


def test_windows_cover_a_recording_once_and_to_its_end() -> None:
    assert starts(30) == [0] and starts(41) == [0] and starts(61) == [0, 20] and starts(70) == [0, 20, 29]


def measured(frames: int) -> Measured:
    tracks, points, turns = recorded(frames)
    seen = torch.zeros(frames, 22, dtype=torch.bool)
    seen[:, list(THREE)] = True
    return Measured(
        torch.tensor(columns(turns), dtype=torch.float32),
        seen,
        torch.tensor(points, dtype=torch.float32),
        seen,
        torch.tensor(REST[:22], dtype=torch.float32),
    )


@pytest.mark.parametrize("frames", [7, 41, 95])
def test_a_sample_depends_on_its_seed_alone(weights: Path, frames: int) -> None:
    network, given = InPose.load(weights).network, measured(frames)
    many = sample_recording(network, given, seeds=[5, 6, 7], steps=3, guidance=FAST.guidance)
    alone = sample_recording(network, given, seeds=[7], steps=3, guidance=FAST.guidance)
    smooth = sample_recording(network, given, seeds=[7], steps=3, guidance=FAST.guidance, smooth=1.5)
    assert 0 < float(smooth.diff(n=3, dim=1).norm()) < 0.2 * float(alone.diff(n=3, dim=1).norm())
    assert many.shape == (3, frames, 22, 6)
    assert torch.equal(many[2], alone[0]) and not torch.equal(many[0], many[1])


def test_samples_do_not_depend_on_where_the_person_faces(weights: Path) -> None:
    from motorque.estimators.inpose.heading import turned

    network, given = InPose.load(weights).network, measured(60)
    angle = torch.tensor([1.2])
    there = Measured(
        turned(given.columns6[None], angle)[0],
        given.seen,
        turned(given.points[None], angle)[0],
        given.there,
        given.rest,
    )
    noise = torch.randn(1, 60, 22, 6, generator=torch.Generator().manual_seed(1))
    one = sample_recording(network, given, seeds=[0], steps=4, guidance=FAST.guidance, start=noise)
    other = sample_recording(network, there, seeds=[0], steps=4, guidance=FAST.guidance, start=turned(noise, angle))
    assert float((turned(one, angle) - other).abs().max()) < 2e-4


def test_guidance_brings_wrists_nearer_and_closing_onto_them(weights: Path) -> None:
    tracks, points, _ = recorded()
    prior = InPose.load(weights)

    def miss(settings: SamplingSettings) -> float:
        drawn = prior.sample(tracks, REST, 1, settings=settings)
        return float(np.linalg.norm(drawn.positions[0] - points, axis=-1)[:, [20, 21]].mean())

    free, guided, full = (
        miss(s) for s in (SamplingSettings(guidance=None, close=False), SamplingSettings(close=False), FAST)
    )
    assert guided < 0.8 * free and full < 0.2 * guided


def test_bodies_have_a_spread_a_mean_and_poses_that_are_read_back(weights: Path, tmp_path: Path) -> None:
    tracks, points, turns = recorded()
    drawn = InPose.load(weights).sample(tracks, REST, 4)
    assert drawn.rotations.shape == (4, 90, 22, 3, 3) and drawn.spread.shape == (90, 22)
    assert float(drawn.spread[:, 15].max()) < 0.02 < float(drawn.spread[:, 1].mean())  # measured, and not
    np.testing.assert_allclose(drawn.positions[:, :, 15], np.broadcast_to(points[:, 15], (4, 90, 3)), atol=1e-6)
    mean, own = drawn.refit(), refit(drawn)
    np.testing.assert_array_equal(mean.positions, own.positions)
    assert len(mean.rotations) == 1 and np.abs(mean.positions - drawn.mean.positions)[0, :, [7, 8]].max() > 0.001
    apart = np.linalg.norm(mean.positions[0] - points, axis=-1)[:, [20, 21]].mean()
    assert apart < np.linalg.norm(drawn.positions - points, axis=-1)[..., [20, 21]].mean() < 0.03
    turned, pelvis = global_rotations(mean.poses())
    np.testing.assert_allclose(turned, mean.rotations[0], atol=1e-6)
    np.testing.assert_allclose(pelvis, mean.pelvis[0], atol=1e-9)


def test_the_command_writes_what_refit_has(weights: Path, tmp_path: Path) -> None:
    tracks, _, _ = recorded()
    table = write(tmp_path / "t.csv", tracks)
    common = ["--weights", str(weights), "--height", "1.7", "--samples", "3", "--out", str(tmp_path / "out"), "--quiet"]
    assert main(["sensors", str(table), *common]) == 0
    found, wanted = read_poses(tmp_path / "out" / "poses.npz"), InPose.load(weights).sample(read_tracks(table), 1.7, 3)
    turns, pelvis = global_rotations(found)
    np.testing.assert_allclose(turns, wanted.refit().rotations[0], atol=1e-5)
    np.testing.assert_allclose(pelvis, wanted.refit().pelvis[0], atol=1e-5)


@pytest.mark.parametrize("n", [1.5, 0, True, "3", None])
def test_samples_are_a_whole_number(n: object) -> None:
    with pytest.raises(DataError, match="whole number"):
        InPose(None, {}).sample(recorded()[0], 1.7, n)  # type: ignore[arg-type]


def test_noise_is_taken_out_over_time_as_dense_algebra_has_it() -> None:
    rng = np.random.default_rng(0)
    third, weight = np.diff(np.eye(60), 3, axis=0), (0.05 * 60**3 / 100) ** 2
    noisy, there = 0.05 * rng.normal(size=(60, 2, 3)), np.ones((60, 2), bool)
    there[20:30, 1] = False
    found = smoothed(noisy, there, 0.05)
    for number in range(2):
        known = np.diag(there[:, number].astype(float))
        wanted = np.linalg.solve(known + weight * third.T @ third, known @ noisy[:, number])
        np.testing.assert_allclose(found[there[:, number], number], wanted[there[:, number]], atol=1e-10)
    long = smoothed(0.05 * rng.normal(size=(6000, 1, 3)), np.ones((6000, 1), bool), 0.05)
    assert left_over(0.05) == pytest.approx(long.std(), rel=0.03)
    assert np.array_equal(smoothed(noisy, there, 0.002), noisy) and left_over(0.002) == 0.002


def test_a_drop_out_of_a_second_leaves_a_whole_body(weights: Path) -> None:
    tracks, points, _ = recorded(120)
    positions, rotations = tracks.positions.copy(), tracks.rotations.copy()
    positions[30:90, :2] = np.nan
    rotations[30:90, :2] = np.nan
    journal = Journal()
    drawn = InPose.load(weights).sample(Tracks(tracks.times, NAMES, positions, rotations), REST, 1, journal=journal)
    assert np.isfinite(drawn.rotations).all() and np.isfinite(drawn.pelvis).all()
    assert np.abs(drawn.positions[0, 30:90, 21] - points[30:90, 21]).max() < 1e-6  # the wrist that is left holds it
    assert sum("missing for 1 s" in n.text for n in journal.notices) == 1


def test_a_stream_is_late_as_said_and_the_same_each_time(weights: Path) -> None:
    tracks, points, _ = recorded(80)
    prior, runs = InPose.load(weights), []
    for _ in range(2):
        stream, out = prior.stream(NAMES, REST, hop=6, delay=5), []
        for t in range(80):
            ready = stream.push({n: (tracks.positions[t, i], tracks.rotations[t, i]) for i, n in enumerate(NAMES)})
            assert all(stream.latency[0] <= (t - body.frame) / 60 <= stream.latency[1] for body in ready)
            out += ready
        runs.append(out + stream.flush())
    assert [body.frame for body in runs[0]] == list(range(80))
    assert all(np.array_equal(a.rotations, b.rotations) for a, b in zip(*runs, strict=True))
    wrists = [
        places(torch.tensor(columns(b.rotations)), torch.tensor(REST[:22]), torch.tensor(b.pelvis))[20] for b in runs[0]
    ]
    assert np.linalg.norm(np.stack(wrists) - points[:, 20], axis=-1).mean() < 0.01
    with pytest.raises(DataError, match="must fit into a window"):
        prior.stream(NAMES, REST, hop=30, delay=20)
    with pytest.raises(DataError, match="not among its joints"):
        stream.push({"neck": (None, None)})


def test_the_command_writes_poses_and_how_sure_they_are(weights: Path, tmp_path: Path) -> None:
    tracks, points, _ = recorded()
    path, out = write(tmp_path / "tracks.csv", tracks), tmp_path / "out"
    (tmp_path / "b.json").write_text(json.dumps(REST.tolist()))
    arguments = ["sensors", str(path), "--bones", str(tmp_path / "b.json"), "--weights", str(weights)]
    assert main([*arguments, "--samples", "2", "--out", str(out), "--quiet"]) == 0
    poses = read_poses(out / "poses.npz")
    _, pelvis = global_rotations(poses)
    assert len(poses.times) == 90 and np.isfinite(pelvis).all() and poses.joint_positions is not None
    about = json.loads((out / "summary.json").read_text())
    assert about["off_sensors_cm"]["head"]["p95"] < 0.01 and about["std_deg"]["head"] < about["std_deg"]["left_hip"]
    assert len((out / "std.csv").read_text().splitlines()) == 91


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        ([], "no weights of InPose come with this version"),
        (["--height", "170"], "did you mean 1.7"),
        (["--weights", "tracks.csv"], "is not a .safetensors file"),
        (["--weights", "other.safetensors"], "can't be read"),
        (["--paper", "--steps", "5"], "leave --steps and --noise out"),
        (["--steps", "0"], "no number of steps"),
        (["--samples", "0"], "no count"),
    ],
)
def test_wrong_options_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, extra: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "tracks.csv", recorded(20)[0])
    (tmp_path / "other.safetensors").write_bytes(b"nothing")
    monkeypatch.setattr("motorque.estimators.inpose.inpose.SHIPPED", tmp_path / "none.safetensors")
    try:
        code = main(["sensors", "tracks.csv", "--out", "out", *extra])
    except SystemExit as error:
        code = int(error.code or 0)
    shown = capsys.readouterr().err.strip()
    assert code == 2 and said in shown and "\n" not in shown and not (tmp_path / "out").exists()


def test_weights_of_another_configuration_are_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"x": torch.zeros(2)}, tmp_path / "x.safetensors", metadata={"format": "something else"})
    with pytest.raises(FileFormatError, match="no weights of the InPose prior"):
        InPose.load(tmp_path / "x.safetensors")


def test_bodies_that_can_not_be_are_refused(weights: Path) -> None:
    prior, (tracks, _, _) = InPose.load(weights), recorded(20)
    for change, said in [({"n": 0}, "0 samples"), ({"bones": 17.0}, "no person's"), ({"bones": REST[:9]}, "22 or 24")]:
        with pytest.raises(MotorqueError, match=said):
            prior.sample(tracks, **{"bones": REST, "n": 1, **change})  # type: ignore[arg-type]
    nothing = Tracks(tracks.times, NAMES, np.full((20, 3, 3), np.nan), np.full((20, 3, 3, 3), np.nan))
    with pytest.raises(DataError, match="nothing was ever measured"):
        prior.sample(nothing, REST, 1)
    assert complete(REST[:22]).shape == (24, 3) and matrices(torch.zeros(6)).shape == (3, 3)


def test_a_trainings_folder_stands_for_its_weights(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="holds no weights.safetensors"):
        InPose.load(tmp_path)
    standing_weights(tmp_path).rename(tmp_path / "weights.safetensors")
    assert InPose.load(tmp_path).about == {"step": 0}

"""C3D files: real recordings read sensibly, plates against ezc3d's own filter, and every type with a known wrench."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import ezc3d
import numpy as np
import pytest

from motorque.errors import DataError, FileFormatError
from motorque.files.c3d import C3D, read_c3d
from motorque.journal import Journal

RECORDINGS = ("FunctionalWalk", "Gait", "pycgm_Movement_trial", "walking2", "walking5")
# A plate of 60 by 40 cm in a Z-up laboratory, numbered so that its own z points down [mm].
CORNERS = np.array([[100.0, 600, 0], [700, 600, 0], [700, 200, 0], [100, 200, 0]])
TO_GROUND = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])


def read(path: Path, **options: str) -> tuple[C3D, Journal]:
    journal = Journal()
    return read_c3d(path, journal=journal, **options), journal


def write(
    path: Path,
    *,
    points: np.ndarray | None = None,
    labels: list[str] | None = None,
    plates: tuple[tuple[int, np.ndarray, np.ndarray], ...] = (),
    calibration: np.ndarray | None = None,
    zero: tuple[int, int] = (1, 0),
    units: str = "mm",
    analog_units: list[str] | None = None,
    screen: str = "+Z",
    residuals: np.ndarray | None = None,
    change: Callable[[ezc3d.c3d], None] = lambda _: None,
) -> Path:
    """A C3D file with points [T, M, 3] in the file's unit and plates (type, channels [2 T, C], origin in mm)."""
    file = ezc3d.c3d()
    points = np.random.default_rng(1).uniform(100, 1800, (50, 4, 3)) if points is None else points
    labels = [f"M{i}" for i in range(points.shape[1])] if labels is None else labels
    point, analog, platform = (file["parameters"][g] for g in ("POINT", "ANALOG", "FORCE_PLATFORM"))
    point["RATE"]["value"] = [100.0]
    point["LABELS"]["value"] = labels
    point["UNITS"]["value"] = [units]
    if screen:
        file.add_parameter("POINT", "X_SCREEN", ["+X"])
        file.add_parameter("POINT", "Y_SCREEN", [screen])
    file["data"]["points"] = np.concatenate([points, np.ones((*points.shape[:2], 1))], axis=-1).transpose(2, 1, 0)
    if residuals is not None:
        file["data"]["meta_points"]["residuals"] = residuals.T[None].astype(float)
    channels = [c for _, c, _ in plates]
    analog["RATE"]["value"] = [200.0 if plates else 0.0]
    analog["LABELS"]["value"] = [f"c{i}" for i in range(sum(c.shape[1] for c in channels))]
    analog["UNITS"]["value"] = analog_units or ["" for _ in analog["LABELS"]["value"]]
    file["data"]["analogs"] = np.concatenate(channels, axis=1).T[None] if plates else np.zeros((1, 0, len(points)))
    if plates:
        platform["USED"]["value"] = np.array([len(plates)])
        platform["TYPE"]["value"] = np.array([kind for kind, _, _ in plates])
        platform["CORNERS"]["value"] = np.repeat(CORNERS.T[:, :, None], len(plates), axis=2)
        platform["ORIGIN"]["value"] = np.stack([origin for _, _, origin in plates], axis=1)
        width = max(c.shape[1] for c in channels)
        starts = np.cumsum([0, *(c.shape[1] for c in channels)])[:-1]
        platform["CHANNEL"]["value"] = np.stack([s + 1 + np.arange(width) for s in starts], axis=1)
        if calibration is not None:
            platform["CAL_MATRIX"]["value"] = calibration[:, :, None]
    platform["ZERO"]["value"] = np.array(zero)
    change(file)
    file.write(str(path))
    return path


def known_wrench(samples: int = 100) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A walker's load: force on the body [N], its point [m] and its free moment [N·m], in the plate's own axes."""
    rng = np.random.default_rng(7)
    force = rng.normal(0, 60, (samples, 3)) + [0, 0, -700]  # the plate's z points down
    point = np.column_stack([rng.uniform(-0.2, 0.2, samples), rng.uniform(-0.15, 0.15, samples), np.zeros(samples)])
    free = np.column_stack([np.zeros((samples, 2)), rng.normal(0, 8, samples)])
    return force, point, free


def channels_of(kind: int, origin: np.ndarray) -> np.ndarray:
    """What a plate of this type writes for `known_wrench`, in N, N·mm and mm; origin in mm."""
    force, point, free = known_wrench()
    if kind == 1:
        return np.column_stack([force, 1e3 * point[:, :2], 1e3 * free[:, 2]])
    # Moment about the transducer: the surface's centre lies at `origin` from it.
    moment = np.cross(1e3 * point + origin, force) + 1e3 * free
    if kind in (2, 4):
        return np.column_stack([force, moment])
    a, b, depth = origin
    # Moments about the centre of the sensors' plane, shared out among eight sensors that balance them.
    about = np.cross(1e3 * point + [0, 0, depth], force) + 1e3 * free
    fx, fy, fz = force.T
    twist = about[:, 2] / 2
    fz1, fz2, fz3 = (
        fz / 4 + about[:, 0] / (4 * b) - about[:, 1] / (4 * a),
        fz / 4 + about[:, 0] / (4 * b) + about[:, 1] / (4 * a),
        fz / 4 - about[:, 0] / (4 * b) + about[:, 1] / (4 * a),
    )
    return np.column_stack(
        [
            fx / 2 - twist / (2 * b),
            fx / 2 + twist / (2 * b),
            fy / 2 + twist / (2 * a),
            fy / 2 - twist / (2 * a),
            fz1,
            fz2,
            fz3,
            fz - fz1 - fz2 - fz3,
        ]
    )


def check_known(record: object, *, tolerance: float = 2e-3) -> None:
    """A record holds `known_wrench`; the file's 32-bit floats leave 1e-3 N·m of 1000."""
    force, point, free = known_wrench()
    axes = np.diag([-1.0, 1.0, -1.0])  # the plate's x runs from corner 2 to corner 1
    lab = CORNERS.mean(axis=0) / 1e3 + point @ axes.T
    expected = force @ axes.T @ TO_GROUND.T
    moment = (np.cross(lab, force @ axes.T) + free @ axes.T) @ TO_GROUND.T
    assert np.abs(record.force - expected).max() < tolerance  # type: ignore[attr-defined]
    assert np.abs(record.moment - moment).max() < tolerance  # type: ignore[attr-defined]
    assert np.abs(record.center_of_pressure() - lab @ TO_GROUND.T).max() < 1e-5  # type: ignore[attr-defined]


ORIGINS = {1: np.zeros(3), 2: np.array([1.0, -2, -45]), 3: np.array([210.0, 130, -52]), 4: np.array([1.0, -2, -45])}


@pytest.mark.parametrize("kind", [1, 2, 3, 4])
def test_a_plate_of_each_type_yields_the_wrench_on_the_body(tmp_path: Path, kind: int) -> None:
    channels = channels_of(kind, ORIGINS[kind])
    calibration = None
    if kind == 4:
        calibration = np.diag([2.9, 2.9, 11.5, 2190.0, 1980, 956]) + np.random.default_rng(3).normal(0, 0.02, (6, 6))
        channels = np.linalg.solve(calibration, channels.T).T
    path = write(tmp_path / "a.c3d", plates=((kind, channels, ORIGINS[kind]),), calibration=calibration)
    file, journal = read(path)
    check_known(file.plates[0], tolerance=5e-3 if kind == 4 else 2e-3)
    assert file.plates[0].corners.shape == (4, 3)
    assert np.abs(file.plates[0].corners[:, 1]).max() == 0
    assert not [n for n in journal.notices if n.about == "plate_1"]


@pytest.mark.parametrize("kind", [2, 3, 4])
def test_synthetic_plates_agree_with_ezc3d(tmp_path: Path, kind: int) -> None:
    # Type 1 is left out: there ezc3d writes the moment with the opposite sign to its other types.
    calibration = np.eye(6) + 0.01 if kind == 4 else None
    channels = channels_of(kind, ORIGINS[kind])
    path = write(tmp_path / "a.c3d", plates=((kind, channels, ORIGINS[kind]),), calibration=calibration)
    record = read(path)[0].plates[0]
    oracle = ezc3d.c3d(str(path), extract_forceplat_data=True)["data"]["platform"][0]
    about_center = record.moment - np.cross(record.corners.mean(axis=0), record.force)
    assert np.abs(record.force - oracle["force"].T @ TO_GROUND.T).max() < 1e-9
    assert np.abs(about_center - oracle["moment"].T @ TO_GROUND.T / 1e3).max() < 1e-9


@pytest.mark.parametrize("name", RECORDINGS)
def test_recorded_plates_agree_with_ezc3d(data: Path, name: str) -> None:
    path = data / "c3d" / f"{name}.c3d"
    file, _ = read(path)
    oracle = ezc3d.c3d(str(path), extract_forceplat_data=True)
    zero = oracle["parameters"]["FORCE_PLATFORM"]["ZERO"]["value"]
    for record, platform in zip(file.plates, oracle["data"]["platform"], strict=True):
        force, moment = platform["force"].T, platform["moment"].T / 1e3
        if 1 <= zero[0] <= zero[1]:  # ezc3d leaves the baseline on; the wrench is linear in it
            force, moment = (v - v[zero[0] - 1 : zero[1]].mean(axis=0) for v in (force, moment))
        about_center = record.moment - np.cross(record.corners.mean(axis=0), record.force)
        # ezc3d's x axis is one edge, ours the mean of two; recorded corners leave 1e-10 rad between them.
        assert np.abs(record.force - force @ TO_GROUND.T).max() < 1e-6
        assert np.abs(about_center - moment @ TO_GROUND.T).max() < 1e-6


@pytest.mark.parametrize("name", RECORDINGS)
def test_recorded_plates_press_upward_under_a_foot(data: Path, name: str) -> None:
    file, _ = read(data / "c3d" / f"{name}.c3d")
    words = ("HEE", "TOE", "ANK", "CAL", "MT", "MAL")
    feet = [i for i, n in enumerate(file.markers.names) if any(word in n.upper() for word in words)]
    assert len(file.plates) in (2, 3, 4)
    for record in file.plates:
        loaded = record.force[:, 1] > 100
        assert loaded.mean() > 0.05
        assert record.force[:, 1].min() > -30
        pressed = record.center_of_pressure()[loaded]
        frame = np.abs(record.times[loaded][:, None] - file.markers.times).argmin(axis=1)
        distance = np.linalg.norm(file.markers.positions[frame][:, feet] - pressed[:, None], axis=-1)
        assert np.nanmedian(np.nanmin(distance, axis=1)) < 0.12  # ankle markers are 10 cm above the plate
        low, high = record.corners.min(axis=0) - 0.03, record.corners.max(axis=0) + 0.03
        assert ((pressed > low) & (pressed < high)).all(axis=1).mean() > 0.98


@pytest.mark.parametrize(
    ("name", "markers", "mass", "height", "events"),
    [
        ("FunctionalWalk", 42, 60.0, 1.68, 11),
        ("Gait", 33, None, None, 0),
        ("pycgm_Movement_trial", 39, 85.0, 1.679, 0),
        ("walking2", 44, None, None, 0),
        ("walking5", 40, None, None, 0),
    ],
)
def test_recordings_are_read_sensibly(
    data: Path, name: str, markers: int, mass: float | None, height: float | None, events: int
) -> None:
    file, journal = read(data / "c3d" / f"{name}.c3d")
    assert (len(file.markers.names), file.mass, file.height, len(file.events)) == (markers, mass, height, events)
    assert file.up == "+z"
    assert not [n for n in journal.notices if n.kind == "warning"]
    # One comes up from below the plates and climbs their stairs.
    assert -0.2 < np.nanmin(file.markers.positions[..., 1]) < 0.2
    assert 0.8 < np.nanmax(file.markers.positions[..., 1]) < 2.6
    assert not [n for n in file.markers.names if n.startswith("*") or "Angle" in n or "Moment" in n]
    assert abs(file.markers.times[-1] - file.analog_times[-1]) < 1 / file.markers.rate


def test_times_and_events_are_on_one_axis(data: Path) -> None:
    file, _ = read(data / "c3d" / "FunctionalWalk.c3d")
    assert file.markers.times[0] == pytest.approx(479 / 120, abs=1e-12)
    heel = file.markers.positions[:, file.markers.names.index("RHEE"), 1]
    for event in file.events:
        assert file.markers.times[0] < event.time < file.markers.times[-1]
        if (event.label, event.context) == ("Foot Strike", "Right"):
            assert np.interp(event.time, file.markers.times, heel) < heel.min() + 0.06


def test_labels_cut_short_are_replaced_by_descriptions(data: Path) -> None:
    file, journal = read(data / "c3d" / "Gait.c3d")
    assert {"R.Knee", "R.Knee.Medial", "L.Foot.Lateral"} <= set(file.markers.names)
    assert any("RKNE" in n.text and n.kind == "repair" for n in journal.notices)


def test_baseline_is_taken_off_and_said(tmp_path: Path) -> None:
    channels = channels_of(2, ORIGINS[2])
    drift = np.array([3.0, -4, 12, 50, 60, 70])
    loaded = np.where(np.arange(100)[:, None] < 10, 0.0, channels) + drift
    path = write(tmp_path / "a.c3d", plates=((2, loaded, ORIGINS[2]),), zero=(1, 10))
    file, journal = read(path)
    assert np.abs(file.plates[0].force[:10]).max() < 1e-4
    assert any(n.kind == "repair" and "12.0 N" in n.text for n in journal.notices)
    standing = write(tmp_path / "b.c3d", plates=((2, channels, ORIGINS[2]),), zero=(1, 10))
    file, journal = read(standing)
    check_known(file.plates[0])
    assert any(n.kind == "warning" and "baseline" in n.text for n in journal.notices)


def test_a_force_on_the_plate_is_turned_round(tmp_path: Path) -> None:
    path = write(tmp_path / "a.c3d", plates=((2, -channels_of(2, ORIGINS[2]), ORIGINS[2]),))
    file, journal = read(path)
    check_known(file.plates[0])
    assert any(n.kind == "repair" and "on the plate" in n.text for n in journal.notices)


def test_an_origin_that_points_down_is_understood(tmp_path: Path) -> None:
    path = write(tmp_path / "a.c3d", plates=((2, channels_of(2, ORIGINS[2]), -ORIGINS[2]),))
    check_known(read(path)[0].plates[0])


def test_moment_units_of_the_channels_count(tmp_path: Path) -> None:
    channels = channels_of(2, ORIGINS[2]) * [1, 1, 1, 1e-3, 1e-3, 1e-3]
    path = write(tmp_path / "a.c3d", plates=((2, channels, ORIGINS[2]),), analog_units=["N"] * 3 + ["N.m"] * 3)
    check_known(read(path)[0].plates[0])


def test_several_plates_of_one_file(tmp_path: Path) -> None:
    plates = tuple((2, channels_of(2, ORIGINS[2]), ORIGINS[2]) for _ in range(3))
    file, _ = read(write(tmp_path / "a.c3d", plates=plates))
    assert [p.name for p in file.plates] == ["plate_1", "plate_2", "plate_3"]
    for record in file.plates:
        check_known(record)


@pytest.mark.parametrize("kind", [5, 6, 7, 21])
def test_other_plate_types_are_named(tmp_path: Path, kind: int) -> None:
    path = write(tmp_path / "a.c3d", plates=((kind, channels_of(2, ORIGINS[2]), ORIGINS[2]),))
    with pytest.raises(FileFormatError, match=f"force plate 1 is of type {kind}, "):
        read(path)


def test_no_plates_is_an_empty_tuple(tmp_path: Path) -> None:
    file, _ = read(write(tmp_path / "a.c3d"))
    assert file.plates == ()
    assert file.analog == {}


def test_gaps_unlabelled_and_computed_points(tmp_path: Path) -> None:
    points = np.random.default_rng(2).uniform(100, 1800, (50, 7, 3))
    points[5, 0] = 0.0
    residuals = np.zeros((50, 7))
    residuals[7:9, 1] = -1
    labels = ["A:RASI", "A:LASI", "*12", "A:LKneeAngles", "A:C7", "", "A:GONE"]
    residuals[:, 6] = -1

    def change(file: ezc3d.c3d) -> None:
        file.add_parameter("POINT", "ANGLES", ["LKneeAngles"])

    file, journal = read(write(tmp_path / "a.c3d", points=points, labels=labels, residuals=residuals, change=change))
    assert file.markers.names == ("RASI", "LASI", "C7")
    gaps = ~file.markers.seen
    assert gaps[5, 0] and gaps[7:9, 1].all() and gaps.sum() == 3
    said = " ".join(n.text for n in journal.notices)
    assert "2 unlabelled" in said and "LKneeAngles" in said and "GONE" in said
    assert np.abs(file.markers.positions[0, 0] - points[0, 0] @ TO_GROUND.T / 1e3).max() < 1e-6


def test_more_than_255_labels(tmp_path: Path) -> None:
    points = np.random.default_rng(2).uniform(100, 1800, (5, 300, 3))
    path = write(tmp_path / "a.c3d", points=points, labels=[f"P{i:03d}" for i in range(300)])
    file, _ = read(path)
    assert len(file.markers.names) == 300
    assert file.markers.names[299] == "P299"
    assert np.abs(file.markers.positions[:, 299] - points[:, 299] @ TO_GROUND.T / 1e3).max() < 1e-6


def test_units_and_axes_can_be_given_and_are_repaired(tmp_path: Path) -> None:
    metres = write(tmp_path / "a.c3d", points=np.random.default_rng(2).uniform(0.1, 1.8, (50, 4, 3)))
    file, journal = read(metres)
    assert np.nanmax(file.markers.positions) > 1 and any("read as m" in n.text for n in journal.notices)
    millimetres = write(tmp_path / "b.c3d", units="m")
    file, journal = read(millimetres)
    assert np.nanmax(file.markers.positions) < 2 and any("millimetres" in n.text for n in journal.notices)
    assert read(millimetres, up="y", units="mm")[0].up == "+y"
    with pytest.raises(DataError, match="furlong"):
        read(millimetres, units="furlong")
    with pytest.raises(DataError, match="up axis"):
        read(millimetres, up="w")


def test_markers_decide_where_the_file_names_no_vertical(tmp_path: Path) -> None:
    body = np.array([[0, 0, 1700.0], [50, 100, 1400], [0, 100, 950], [0, -100, 950], [0, 100, 500], [50, 100, 40]])
    points = np.repeat(body[None], 20, axis=0)
    labels = ["Head", "C7", "RASI", "LASI", "RKNE", "RHEE"]
    file, journal = read(write(tmp_path / "a.c3d", points=points, labels=labels, screen=""))
    assert file.up == "+z" and any(n.kind == "assumption" for n in journal.notices)
    file, journal = read(write(tmp_path / "b.c3d", points=points, labels=labels, screen="+Y"))
    assert file.up == "+y" and any(n.kind == "warning" and "+Z" in n.text for n in journal.notices)


def test_files_that_are_no_c3d_are_refused_in_one_line(tmp_path: Path, data: Path) -> None:
    whole = (data / "c3d" / "Gait.c3d").read_bytes()
    contents = {
        "empty": b"",
        "text": b"PathFileType\t4\n" * 100,
        "noise": np.random.default_rng(0).bytes(5000),
        "header only": whole[:512],
        "cut in the parameters": whole[:3000],
        "cut in the data": whole[:300000],
        "cut at the end": whole[:-2000],
    }
    for name, content in contents.items():
        path = tmp_path / f"{name}.c3d"
        path.write_bytes(content)
        with pytest.raises(FileFormatError) as caught:
            read(path)
        assert "\n" not in str(caught.value) and str(path) in str(caught.value)
    with pytest.raises(FileFormatError, match="missing"):
        read(tmp_path / "missing.c3d")


def test_a_file_without_labelled_markers_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="no labelled marker"):
        read(write(tmp_path / "a.c3d", labels=["*0", "*1", "*2", "*3"]))

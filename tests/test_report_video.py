"""The report's video part: pictures at their own times, what is drawn over them, and the numbers that go with them."""

from __future__ import annotations

import base64
import dataclasses
import os
from pathlib import Path

import av
import numpy as np
import pytest

from motorque.errors import DataError
from motorque.journal import Journal
from motorque.report import VideoEvidence, write_report
from motorque.report.overlay import Overlay
from motorque.report.pictures import LONG_SIDE, MOST_BYTES, MOST_PICTURES, Footage, film, pixelated
from motorque.report.video_results import standpoint
from motorque.series import Camera
from motorque.vision.video import Video
from report_case import still_case
from report_video_case import ERROR, SIZE, gray, pinhole, side_camera, video_case, view_of, write_video
from test_report import Page, rows, strict
from test_report_words import part

EVEN = np.arange(120) / 60.0
UNEVEN = np.round(np.cumsum([0.0, *np.random.default_rng(3).choice([0.02, 0.03, 0.05, 0.11], 39)]), 3)


def points(packed: dict) -> np.ndarray:
    grid = np.frombuffer(base64.b64decode(packed["i16"]), dtype="<i2").reshape(packed["shape"])
    return np.where(grid == -32768, np.nan, grid * np.array(packed["step"]) + np.array(packed["offset"]))


def floats(packed: dict) -> np.ndarray:
    return np.frombuffer(base64.b64decode(packed["f32"]), dtype="<f4").reshape(packed["shape"])


def picture(data: bytes) -> np.ndarray:
    frame = av.CodecContext.create("mjpeg", "r").decode(av.Packet(data))[0]
    return frame.to_ndarray(format="rgb24")


def pictures(page: Page, view: int) -> list[bytes]:
    """The JPEG files that the page holds of a view."""
    ids = [a.get("id") for t, a in page.elements if t == "script"]
    whole = base64.b64decode(page.scripts[ids.index(f"film-{view}")])
    ends = np.cumsum(page.data()["video"][view]["bytes"])
    assert ends[-1] == len(whole)
    return [whole[a:b] for a, b in zip([0, *ends[:-1]], ends, strict=True)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("video")
    write_report(video_case(folder, UNEVEN, offset=0.1), folder / "out")
    return folder / "out"


@pytest.fixture(scope="module")
def page(folder: Path) -> Page:
    return Page((folder / "report.html").read_text(encoding="utf-8"))


# --- pictures


def test_every_picture_stands_at_its_own_time(page: Page) -> None:
    """Unevenly spaced frames; the brightness tells which frame each picture really is."""
    view = page.data()["video"][0]
    shown, made = floats(view["times"]), pictures(page, 0)
    assert len(shown) == len(made) > 15
    for time, data in zip(shown, made, strict=True):
        frame = int(np.abs(UNEVEN + 0.1 - time).argmin())
        assert abs(UNEVEN[frame] + 0.1 - time) < 5e-4
        assert abs(int(picture(data).mean()) - gray(frame)) < 4, f"another frame than the one at {time:.3f} s"
    assert np.diff(shown).min() > 0 and np.diff(shown).max() < 0.17


def test_the_drawing_is_of_the_pictures_own_time(page: Page, tmp_path: Path) -> None:
    case = video_case(tmp_path, UNEVEN, offset=0.1)
    view = page.data()["video"][0]
    times = floats(view["times"]).astype(float)
    nodes, found, model = (points(view[k]) for k in ("nodes", "keypoints", "model"))
    assert case.video is not None
    for body, keypoint in (("femur_r", 0), ("femur_l", 2)):
        k = case.skeleton.body_names.index(body)
        at = np.stack([np.interp(times, case.times, case.body_position[:, k, a]) for a in range(3)], axis=1)
        truth = pinhole(case.video.views[0].camera, at)
        # The hip is the thigh's origin.
        assert nodes[:, k] == pytest.approx(truth, abs=0.05)
        assert model[:, keypoint] == pytest.approx(truth, abs=0.05)
        assert found[:, keypoint] == pytest.approx(truth + ERROR, abs=0.05)
    assert np.isnan(model[:, 4]).all() and np.isfinite(found[:, 4]).all()  # a nose is seen, and nothing fitted to it
    assert view["sides"] == ["r", "r", "l", "l", ""] and view["size"] == list(SIZE)
    femur, tibia = (case.skeleton.body_names.index(f"{b}_r") for b in ("femur", "tibia"))
    assert [femur, tibia, "r"] in view["lines"]


def test_keypoints_are_not_invented_in_gaps_nor_outside(tmp_path: Path) -> None:
    case = video_case(tmp_path, EVEN)
    assert case.video is not None
    view = case.video.views[0]
    times = np.array([0.0, 0.1, 0.5, 0.6])
    values = np.array([0.0, 1.0, 5.0, np.nan])[:, None]
    sparse = dataclasses.replace(
        view, keypoints=view.keypoints.frames(np.array([0, 6, 30, 36])), reprojected=None, reprojection=None, offset=1.0
    )
    assert sparse.times == pytest.approx(times + 1.0)
    at = 1.0 + np.array([-0.01, 0.0, 0.05, 0.1, 0.3, 0.5, 0.55, 0.7])
    shown = Overlay(case, sparse).keypoints(values, at)[:, 0]
    assert shown == pytest.approx([np.nan, 0.0, 0.5, 1.0, np.nan, 5.0, np.nan, np.nan], nan_ok=True)


def test_pictures_have_a_bounded_size(tmp_path: Path) -> None:
    """Noise is the worst that JPEG can meet: a third of the pictures would already be too much."""
    size, times = (500, 280), np.arange(200) / 20.0
    path = write_video(tmp_path / "noise.mkv", times, noise=True, size=size)
    case = still_case(np.arange(1001) / 100.0)
    view = view_of(case, side_camera(size=size), times, Video(path, journal=Journal()))
    shot = film(Footage(view.video), 0.0, 10.0)
    assert max(shot.size) == LONG_SIDE and 40 < len(shot.pictures) < 150
    assert 0.8 * MOST_BYTES < sum(map(len, shot.pictures)) <= MOST_BYTES
    steps = np.diff(shot.times)
    assert steps.max() < 2.1 * steps.min()
    half = film(Footage(view.video), 0.0, 10.0, views=2)
    assert sum(map(len, half.pictures)) <= MOST_BYTES // 2


def test_a_long_video_shows_its_first_part_and_says_so(tmp_path: Path) -> None:
    times = np.arange(1000) / 10.0
    case = still_case(np.arange(1001) / 10.0)
    path = write_video(tmp_path / "long.mkv", times)
    view = view_of(case, side_camera(), times, Video(path, journal=Journal()))
    write_report(dataclasses.replace(case, video=VideoEvidence((view,))), tmp_path / "out")
    text = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    shown = floats(Page(text).data()["video"][0]["times"])
    assert 200 < len(shown) <= 1.1 * MOST_PICTURES and shown[-1] < 45
    assert f"pictures of the first {shown[-1]:.0f} s only" in part(text, "overview")


def test_a_report_without_pictures_keeps_the_drawing(tmp_path: Path) -> None:
    write_report(video_case(tmp_path, EVEN, pictures=False), tmp_path / "out")
    text = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    view = Page(text).data()["video"][0]
    assert view["bytes"] == [] and floats(view["times"]) == pytest.approx(EVEN, abs=1e-6)
    assert np.isfinite(points(view["nodes"])).all() and "JFIF" not in text
    assert "holds no pictures" in part(text, "overview") and "Privacy" not in text


def test_a_video_that_is_gone_costs_only_the_pictures(tmp_path: Path) -> None:
    case = video_case(tmp_path, EVEN)
    (tmp_path / "cam90.mkv").unlink()
    write_report(case, tmp_path / "out")
    text = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    view = Page(text).data()["video"][0]
    assert view["bytes"] == [] and len(floats(view["times"])) == len(EVEN)
    assert "cam90.mkv" in part(text, "overview") and "holds no pictures" in part(text, "overview")


def test_heads_are_made_unrecognisable_only_when_asked_for(tmp_path: Path) -> None:
    case = video_case(tmp_path, EVEN)
    assert case.video is not None
    noisy = Video(write_video(tmp_path / "noise.mkv", EVEN, noise=True), journal=Journal())
    view = dataclasses.replace(case.video.views[0], video=noisy)
    overlay = Overlay(case, view)
    plain, blurred = film(Footage(view.video), 0.0, 2.0), film(Footage(view.video), 0.0, 2.0, heads=overlay.heads)
    assert len(plain.pictures) == len(blurred.pictures)
    for k in (0, 10, 20):
        sharp, soft = picture(plain.pictures[k]).astype(float), picture(blurred.pictures[k]).astype(float)
        x, y = view.keypoints.points[np.abs(view.times - plain.times[k]).argmin(), 4]
        x, y = round(x), round(y)
        here = np.s_[y - 8 : y + 8, x - 8 : x + 8]
        # Noise has a standard deviation of 50; this head of 16 px is made of blocks of 16 pixels: a quarter of that.
        assert sharp[here].std() > 40 and soft[here].std() < 18
        assert np.abs(sharp[-40:] - soft[-40:]).mean() < 1.0, "the blur reached the feet"
    gone = film(Footage(view.video), 0.0, 2.0, heads=lambda time: [])
    assert gone.pictures == () and "head could not be found" in gone.trouble


def test_a_video_that_lies_on_its_side_is_shown_upright(tmp_path: Path) -> None:
    case = video_case(tmp_path, EVEN)
    assert case.video is not None
    noisy = Video(write_video(tmp_path / "noise.mkv", EVEN, noise=True), journal=Journal())
    straight = film(Footage(noisy), 0.0, 0.5)
    for degrees in (90, 180, 270):
        made = film(Footage(noisy, degrees), 0.0, 0.5)
        assert made.size == (straight.size if degrees == 180 else straight.size[::-1])
        back = np.rot90(picture(made.pictures[3]).astype(float), -degrees // 90)
        assert np.corrcoef(back.ravel(), picture(straight.pictures[3]).ravel())[0, 1] > 0.8


def test_a_face_that_was_not_found_is_covered_widely(tmp_path: Path) -> None:
    case = video_case(tmp_path, EVEN)
    assert case.video is not None
    view = case.video.views[0]
    faceless = dataclasses.replace(
        view, keypoints=view.keypoints.select(("hip_r", "hip_l")), reprojected=None, reprojection=None
    )
    (alone,) = Overlay(case, faceless).heads(1.0)
    first, *others = Overlay(case, view).heads(1.0)
    assert others and alone[:2] == pytest.approx(first[:2]) and alone[2] > 1.5 * first[2]


def test_pixels_are_blocks_and_the_edge_is_no_trap() -> None:
    image = np.random.default_rng(0).integers(0, 255, (60, 80, 3), dtype=np.uint8)
    made = pixelated(image, [(5.0, 30.0, 12.0), (200.0, 200.0, 10.0)])
    assert (made[:, 20:] == image[:, 20:]).all() and (made[:17] == image[:17]).all()
    colours = {tuple(c) for c in made[18:42, 0:17].reshape(-1, 3)}
    assert len(colours) <= 16 and (pixelated(image, []) == image).all()


# --- the page


def test_the_page_with_pictures_asks_the_network_for_nothing(folder: Path, page: Page) -> None:
    for tag, attributes in page.elements:
        for name in ("src", "href", "action", "data", "srcset", "poster"):
            value = attributes.get(name)
            assert value is None or value.startswith(("#", "data:")), (tag, value)
    scripts = [a.get("id") for t, a in page.elements if t == "script"]
    assert scripts == ["data", "film-0", "plotly", None, None, None]
    assert (folder / "report.html").stat().st_size < 8e6


def test_the_page_tells_what_the_view_sees(folder: Path) -> None:
    text = (folder / "report.html").read_text(encoding="utf-8")
    shown = part(text, "video")
    order = [shown.index(f">{word}</span>") for word in ("well", "fairly", "hardly")]
    assert order == sorted(order)
    sentence = {
        word: shown[at : shown.index("</p>", at)] for word, at in zip(("well", "fairly", "hardly"), order, strict=True)
    }
    assert "right knee flexion" in sentence["well"] and "left hip flexion" in sentence["fairly"]
    assert "right hip rotation" in sentence["hardly"] and "ubtalar" not in shown  # held: no finding
    for words in ("the largest of 2", "detector 1.0", "the camera moves at 1.2 s", "from the right", "1.00 m above"):
        assert words in shown, words
    assert "Privacy: the video’s pictures are inside this file." in part(text, "overview")
    assert "fitted to the video’s keypoints" in part(text, "angles")


def test_a_page_without_video_has_none_of_it(tmp_path: Path) -> None:
    write_report(still_case(np.arange(20) / 100.0), tmp_path)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "createFilm(root" not in text and 'id="video"' not in text and 'class="film"' not in text
    assert "video" not in Page(text).data()
    assert strict((tmp_path / "summary.json").read_text())["video"] is None
    assert not (tmp_path / "tables" / "cameras.csv").exists()


def test_names_cannot_break_out(tmp_path: Path) -> None:
    evil = "</script><script>alert(1)</script><img src=x>\"'&"
    case = video_case(tmp_path, EVEN, azimuths=(90.0, 0.0))
    assert case.video is not None
    first = dataclasses.replace(case.video.views[0], name=evil, file=evil, person=evil, camera_source=evil)
    evidence = dataclasses.replace(case.video, views=(first, case.video.views[1]), detector=evil, notes=(evil,))
    write_report(dataclasses.replace(case, video=evidence), tmp_path / "out")
    page = Page((tmp_path / "out" / "report.html").read_text(encoding="utf-8"))
    assert not [t for t, _ in page.elements if t == "img"]
    assert len([t for t, _ in page.elements if t == "script"]) == 7
    assert page.data()["video"][0]["name"] == evil


def test_names_that_are_no_text_do_no_harm(tmp_path: Path) -> None:
    """Bytes in a file's name that are no UTF-8 come from the system as lone surrogates."""
    odd = os.fsdecode(b"b\xffd n")
    case = video_case(tmp_path, EVEN)
    assert case.video is not None
    view = dataclasses.replace(case.video.views[0], name=odd, file=f"{odd}.mp4")
    evidence = dataclasses.replace(case.video, views=(view,))
    case = dataclasses.replace(case, video=evidence, title=odd, command=f"motorque analyze '{odd}.mp4'")
    write_report(case, tmp_path / "out")
    page = Page((tmp_path / "out" / "report.html").read_text(encoding="utf-8"))
    assert page.data()["video"][0]["name"] == odd
    assert strict((tmp_path / "out" / "summary.json").read_text(encoding="utf-8"))["title"] == odd
    assert "b\\udcffd n" in (tmp_path / "out" / "tables" / "cameras.csv").read_text(encoding="utf-8")


# --- numbers


def test_summary_tables_and_page_agree(folder: Path) -> None:
    found = strict((folder / "summary.json").read_text(encoding="utf-8"))["video"]
    (view,) = found["views"]
    assert view["reprojection"]["rms_px"] == pytest.approx(5.0)
    assert view["reprojection"]["rms_per_keypoint_px"] == pytest.approx(
        dict.fromkeys(("hip_r", "knee_r", "hip_l", "knee_l"), 5.0)
    )
    # 5 px at a focal length of 0.9 x 320 px, 6 m away
    assert view["reprojection"]["rms_m"] == pytest.approx(5.0 * 6.0 / 288.0, rel=0.02)
    assert found["angles"]["knee_angle_r"] == {"unit": "deg", "standard_deviation": pytest.approx(1.5), "seen": "well"}
    assert found["angles"]["pelvis_tz"]["seen"] is None and "subtalar_angle_r" not in found["angles"]
    listed = rows(folder / "tables" / "reprojection_errors.csv")
    assert {r["keypoint"] for r in listed} == {"hip_r", "knee_r", "hip_l", "knee_l"}
    assert all(float(r["RMS [px]"]) == pytest.approx(5.0, abs=1e-4) for r in listed)
    seen = [(r["coordinate"], r["seen"]) for r in rows(folder / "tables" / "angle_uncertainty.csv")]
    assert seen == [
        ("knee_angle_r", "well"),
        ("hip_flexion_l", "fairly"),
        ("hip_rotation_r", "hardly"),
        ("pelvis_tz", ""),
    ]
    (camera,) = rows(folder / "tables" / "cameras.csv")
    for column, name in (("pitch, up [deg]", "pitch_deg"), ("distance, mean [m]", "distance_mean_m")):
        assert float(camera[column]) == pytest.approx(view["camera"][name], rel=1e-4, abs=1e-6)
    text = (folder / "report.html").read_text(encoding="utf-8")
    assert "<b>5.0 <small>px</small></b>" in part(text, "overview") and "<b>5.0</b>" in part(text, "video")


def test_the_error_over_time_has_the_videos_times(page: Page) -> None:
    (plot,) = [p for p in page.data()["plots"] if "x" in p["time"][0]]
    assert floats(plot["time"][0]["x"]) == pytest.approx(UNEVEN + 0.1, abs=1e-5)
    assert floats(plot["time"][0]["y"]) == pytest.approx(5.0, abs=1e-5)


def test_standard_deviations_of_the_motion_serve_where_none_are_given(tmp_path: Path) -> None:
    case = video_case(tmp_path, EVEN)
    assert case.video is not None
    std = np.full(case.motion.values.shape, np.radians(3.0))
    std[::2] = np.radians(4.0)
    bare = dataclasses.replace(case.video, angle_std={"knee_angle_r": np.radians(1.0)}, pictures=False)
    write_report(
        dataclasses.replace(case, motion=dataclasses.replace(case.motion, std=std), video=bare), tmp_path / "out"
    )
    angles = strict((tmp_path / "out" / "summary.json").read_text())["video"]["angles"]
    assert angles["knee_angle_r"]["standard_deviation"] == pytest.approx(1.0)
    assert angles["knee_angle_l"]["standard_deviation"] == pytest.approx(np.sqrt(np.mean(np.degrees(std[:, 0]) ** 2)))


@pytest.mark.parametrize(
    ("azimuth", "words"),
    [(0, "the front"), (45, "the front right"), (90, "the right"), (180, "the back"), (270, "the left")],
)
def test_a_camera_is_where_it_is(azimuth: float, words: str) -> None:
    case = still_case(np.arange(10) / 10.0)
    case = dataclasses.replace(
        case,
        center_of_mass=np.tile([1.2, 1.0, 0.0], (10, 1)),
        body_rotation=np.tile(np.eye(3), (*case.body_rotation.shape[:2], 1, 1)),
    )
    level = side_camera(azimuth=azimuth)
    turn = lambda axis, degrees: _about(axis, np.radians(degrees))  # noqa: E731
    # The camera's own axes: turning it up is about its x, clockwise as the photographer sees it about its z.
    rotation = turn(2, 5.0).T @ turn(0, 12.0).T @ level.rotation
    camera = Camera("c", SIZE, level.matrix, rotation, -rotation @ level.center)
    found = standpoint(case, camera)
    assert (found.pitch, found.roll) == (pytest.approx(12.0), pytest.approx(5.0))
    assert found.height == pytest.approx(1.0) and found.distance == pytest.approx((6.0, 6.0, 6.0))
    assert found.bearing == pytest.approx(azimuth, abs=1e-6) and found.sees_from == words
    half = np.degrees(np.arctan(0.5 / 0.9))
    assert found.field_of_view[1] == pytest.approx(2 * half)


def _about(axis: int, angle: float) -> np.ndarray:
    i, j = (axis + 1) % 3, (axis + 2) % 3
    r = np.eye(3)
    r[i, i] = r[j, j] = np.cos(angle)
    r[j, i], r[i, j] = np.sin(angle), -np.sin(angle)
    return r


def test_a_person_who_turns_is_seen_all_round() -> None:
    case = still_case(np.arange(36) / 10.0)
    spin = np.stack([_about(1, a) for a in np.linspace(0, 2 * np.pi, 36, endpoint=False)])
    case = dataclasses.replace(case, body_rotation=np.broadcast_to(spin[:, None], case.body_rotation.shape).copy())
    assert "turns" in standpoint(case, side_camera()).sees_from


def test_evidence_is_checked(tmp_path: Path) -> None:
    case = video_case(tmp_path, EVEN)
    assert case.video is not None
    view = case.video.views[0]
    with pytest.raises(DataError, match="at least one view"):
        VideoEvidence(())
    with pytest.raises(DataError, match="two views have the same name"):
        VideoEvidence((view, view))
    with pytest.raises(
        DataError, match=r"view cam90: reprojected must have the shape \[120, 5, 2\], got \[119, 5, 2\]"
    ):
        dataclasses.replace(view, reprojected=view.reprojected[:-1])
    with pytest.raises(DataError, match="camera is for pictures of 90 by 160 pixels, the keypoints are in"):
        dataclasses.replace(view, camera=dataclasses.replace(view.camera, size=(90, 160)))

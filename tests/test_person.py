"""Who is followed, and what is said when that is doubtful: crossings, switches, gaps, edges, a moving camera."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from motorque.errors import DataError
from motorque.journal import Journal
from motorque.series import Keypoints
from motorque.vision.camera_motion import CameraMotion
from motorque.vision.detector import Person, Region
from motorque.vision.keypoint_checks import check_keypoints
from motorque.vision.keypoints import find_keypoints
from motorque.vision.person import Follower, by_size, spans
from motorque.vision.picture import turned
from small_videos import BLUE, NAMES, RED, FigureFinder, Picture, background, draw_figure, write_video

SHAPE = (120, 240)

Places = list[tuple[float, float, float, tuple[int, int, int]]]


def scene(places: Places) -> Picture:
    picture = background(SHAPE)
    for x, y, height, colour in places:
        draw_figure(picture, x, y, height, colour)
    return picture


def followed(
    frames: list[Places], *, person: int | None = None, fps: float = 30
) -> tuple[np.ndarray, Follower, Journal]:
    """Where the person's middle is in each frame [px], NaN where not found, with what was noticed."""
    follower, journal = Follower(FigureFinder(), person), Journal()
    middles = []
    for k, places in enumerate(frames):
        found = follower.next(k / fps, scene(places))
        middles.append(np.full(2, np.nan) if found is None else np.median(found.points, axis=0))
    follower.report(journal, about="v.mp4")
    return np.array(middles), follower, journal


def said(journal: Journal) -> str:
    return " | ".join(f"{notice.kind}: {notice.text}" for notice in journal.notices)


def test_one_person_walks_and_nothing_is_said() -> None:
    frames: list[Places] = [[(40 + 2 * k, 60, 80, RED)] for k in range(60)]
    middles, _, journal = followed(frames)
    assert np.abs(middles[:, 0] - [40 + 2 * k for k in range(60)]).max() < 4
    assert journal.notices == []


def test_the_largest_is_followed_or_the_one_chosen() -> None:
    frames: list[Places] = [[(60, 60, 60, RED), (180, 60, 90, BLUE)] for _ in range(30)]
    middles, follower, journal = followed(frames)
    assert np.abs(middles[:, 0] - 180).max() < 4 and follower.most == 2
    assert "assumption: up to 2 people are in the picture; the largest when the first appeared is followed" in said(
        journal
    )
    middles, _, journal = followed(frames, person=1)
    assert np.abs(middles[:, 0] - 60).max() < 4 and "the second largest (number 1) is followed" in said(journal)


def test_people_are_named_by_size() -> None:
    assert by_size(None).startswith("the largest") and by_size(0) == "the largest (number 0)"
    assert by_size(1) == "the second largest (number 1)" and by_size(20) == "number 20 by size, counted from 0,"


def test_the_person_chosen_comes_later() -> None:
    frames: list[Places] = [[(180, 60, 90, BLUE)] + ([(60, 60, 60, RED)] if k >= 20 else []) for k in range(40)]
    middles, _, _ = followed(frames, person=1)
    assert np.isnan(middles[:20]).all() and np.abs(middles[20:, 0] - 60).max() < 4


def test_nobody_and_too_few() -> None:
    with pytest.raises(DataError, match="v.mp4: nobody is found in it; is a person in the picture"):
        followed([[] for _ in range(5)])
    with pytest.raises(DataError, match="no picture shows 3 people at once, at most 1; leave --person out"):
        followed([[(60, 60, 60, RED)]] * 5, person=2)


def test_two_people_cross_and_the_same_one_is_followed_afterwards() -> None:
    """Blue, in front, hides red where they meet; the finder then holds on to blue, as a real one does."""
    frames: list[Places] = [[(20 + 2.5 * k, 60, 80, RED), (220 - 2.5 * k, 60, 84, BLUE)] for k in range(81)]
    middles, follower, journal = followed(frames, person=1)
    assert np.abs(middles[:30, 0] - [20 + 2.5 * k for k in range(30)]).max() < 4
    assert np.nanmax(np.abs(middles[60:, 0] - [20 + 2.5 * k for k in range(60, 81)])) < 4
    assert "warning: somebody else crosses the person's way at 1." in said(journal)
    assert follower.doubtful == []
    # What was found of blue while red was hidden is known to be wrong afterwards.
    blue = [k for k in range(30, 60) if not abs(middles[k, 0] - (20 + 2.5 * k)) < 4]
    assert blue and len(follower.wrong) == 1
    assert all(follower.wrong[0][0] < k / 30 < follower.wrong[0][1] for k in blue)


def test_a_switch_is_noticed_by_the_clothes() -> None:
    """The finder is made to change to the other person while both are visible apart; the clothes tell."""
    frames: list[Places] = [[(60, 60, 80, RED), (180, 60, 70, BLUE)] for _ in range(60)]
    follower, journal = Follower(FigureFinder()), Journal()
    middles = []
    for k, places in enumerate(frames):
        if k == 20:  # as if the points had slid over to the other one little by little
            other = follower.detector.everybody(scene(places))[1]
            follower._region, follower._centers = (
                other.region,
                [(k / 30, np.median(other.points, axis=0), other.region.side)],
            )
        found = follower.next(k / 30, scene(places))
        middles.append(np.nan if found is None else float(np.median(found.points, axis=0)[0]))
    follower.report(journal, about="v.mp4")
    assert abs(middles[10] - 60) < 4 and abs(middles[20] - 180) < 4 and abs(middles[-1] - 60) < 4
    assert "repair: somebody else had been followed until 0.8 s; by the clothes, the person was taken up again" in said(
        journal
    )


def test_points_that_jump_are_left_out() -> None:
    """For three frames the person is seen somewhere else, as when a picture in the background is taken for him."""
    frames: list[Places] = [[(60, 60, 80, RED)] if k not in (20, 21, 22) else [(100, 60, 80, RED)] for k in range(40)]
    middles, _, journal = followed(frames)
    assert np.isnan(middles[20:23]).all() and np.isfinite(np.delete(middles, [20, 21, 22], axis=0)).all()
    assert "repair: keypoints that jumped away were left out at 0.7 s" in said(journal)


def test_somebody_who_comes_back_is_taken_up_and_another_is_said() -> None:
    back: list[Places] = [[] if 20 <= k < 80 else [(60 if k < 20 else 200, 60, 80, RED)] for k in range(100)]
    middles, _, journal = followed(back)
    assert np.isnan(middles[20:80]).all() and np.abs(middles[80:, 0] - 200).max() < 4 and said(journal) == ""

    other: list[Places] = [[] if 20 <= k < 80 else [(60, 60, 80, RED if k < 20 else BLUE)] for k in range(100)]
    middles, _, journal = followed(other)
    assert np.isfinite(middles[80:]).all()
    assert "warning: after being lost, perhaps another person is followed from 2.7 s" in said(journal)

    # Within a second, somebody else who stands where the person was is not taken for him.
    passing: list[Places] = [[(60, 60, 80, BLUE if 20 <= k < 35 else RED)] for k in range(60)]
    middles, _, _ = followed(passing)
    assert np.isfinite(middles[36:]).all()


def keypoints_of(points: np.ndarray, confidence: np.ndarray) -> Keypoints:
    return Keypoints(np.arange(len(points)) / 10, points, confidence, NAMES, (240, 120))


def test_a_person_who_leaves_and_hidden_parts_are_said() -> None:
    middle = np.stack([np.linspace(120, 235, 30), np.full(30, 60.0)], axis=1)
    points = middle[:, None] + FigureFinder().everybody(scene([(120, 60, 80, RED)]))[0].points - (120, 60)
    confidence = np.full(points.shape[:2], 0.9)
    gone = points.copy()
    gone[20:] = np.nan
    journal = Journal()
    check_keypoints(keypoints_of(np.where(points > 238, np.nan, gone), confidence), journal, about="v")
    assert "warning: the person is not found from 2.00 to 2.90 s" in said(journal)

    journal = Journal()
    check_keypoints(keypoints_of(np.concatenate([points[-20:], gone[20:]]), np.full((30, 9), 0.9)), journal, about="v")
    assert "warning: the person is out of the picture from 2.00 to 2.90 s" in said(journal)

    confidence[:, [5, 6, 7, 8]] = 0.1
    journal = Journal()
    check_keypoints(keypoints_of(points, confidence), journal, about="v")
    assert "warning: half of the body is hidden most of the time (right leg, left leg)" in said(journal)

    confidence[:] = 0.9
    confidence[:, [5, 7]] = 0.1  # the right knee now and then looks as if it was seen
    confidence[::2, 5] = 0.5
    journal = Journal()
    check_keypoints(keypoints_of(points, confidence), journal, about="v")
    assert "warning: hidden most of the time: right leg" in said(journal)


def test_spans() -> None:
    assert spans([1.0, 1.2, 1.6, 4.0]) == "at 1.0 to 1.6 s, 4.0 s"
    assert spans([0.0, 2, 4, 6, 8]) == "at 0.0 s, 2.0 s, 4.0 s, 6.0 s and 1 more times"


@pytest.mark.parametrize("drift", [0, 2, 12])
def test_a_moving_camera_is_told_from_a_moving_person(drift: int) -> None:
    """Over a scene that moves by so many of its 1280 pixels every half second, somebody walks through a third of it."""
    wide = np.asarray(background((720, 1480)), dtype=np.uint8)
    noise = np.random.default_rng(0)
    camera = CameraMotion()
    for k in range(8):
        picture = wide[:, 20 + drift * k : 1300 + drift * k].copy()
        draw_figure(picture, 300 + 60 * k, 400, 500, RED)
        picture = np.clip(picture + noise.normal(0, 4, picture.shape), 0, 255).astype(np.uint8)
        camera.look(k * 0.5, picture, np.array([[240.0 + 60 * k, 150], [360 + 60 * k, 650]]))
    assert len(camera.shifts) == 7
    assert np.abs(np.array([shift for _, shift in camera.shifts]) * 1280 - drift).max() < 1.0
    assert bool(camera.moving) == (drift > 0)


def test_a_zooming_or_turning_camera_moves_too() -> None:
    wide = np.asarray(background((900, 1600)), dtype=np.uint8)
    camera = CameraMotion()
    for k in range(4):
        zoom = 1 + 0.03 * k
        y, x = (
            np.round((np.arange(side) - side / 2) * zoom + whole / 2).astype(int)
            for side, whole in ((720, 900), (1280, 1600))
        )
        camera.look(k * 0.5, np.ascontiguousarray(wide[y][:, x]), None)
    assert len(camera.moving) == 3


@pytest.mark.parametrize("creep", [0.0, 1.5, -3.0])
def test_a_camera_that_creeps_moves_too(creep: float) -> None:
    """By so many of 1280 pixels every half second: too little to be told from one look to the next."""
    wide = np.asarray(background((720, 1480)), dtype=np.uint8)
    noise = np.random.default_rng(0)
    camera = CameraMotion()
    for k in range(24):
        left = 80 + round(creep * k)
        picture = np.clip(wide[:, left : left + 1280] + noise.normal(0, 4, (720, 1280, 3)), 0, 255).astype(np.uint8)
        camera.look(k * 0.5, picture, None)
    assert bool(camera.moving) == (creep != 0)
    if creep:
        assert camera.moving[0] < 1.0 and camera.moving[-1] > 9.0


def test_a_camera_before_a_plain_wall_says_nothing() -> None:
    camera = CameraMotion()
    for k in range(4):
        camera.look(k * 0.5, np.full((360, 640, 3), 128, dtype=np.uint8), None)
    assert camera.shifts == [] and camera.moving == []


def write_scenes(path: Path, frames: list[Places], turn: int = 0) -> Path:
    return write_video(
        path, [turned(scene(places), turn) for places in frames], codec="libx264", options={"g": "10", "crf": "10"}
    )


@pytest.mark.parametrize("turn", [0, 180, 90, 270])
def test_a_video_that_is_upside_down_is_turned(tmp_path: Path, turn: int) -> None:
    """Upside down is seen by the head; on its side, the finder of upright figures sees nobody."""
    walk: list[Places] = [[(60 + 3 * k, 60, 80, RED)] for k in range(40)]
    journal = Journal()
    found = find_keypoints(write_scenes(tmp_path / "v.mp4", walk, turn), detector=FigureFinder(), journal=journal)

    middles = np.median(found.keypoints.points, axis=1)
    assert (found.turned + turn) % 360 == 0
    assert found.keypoints.size == (240, 120)
    assert np.abs(middles - np.array([(60 + 3 * k, 60) for k in range(40)])).max() < 4
    assert ("it was turned by" in said(journal)) == (turn != 0)

    shown = np.median(found.as_shown().points, axis=1)
    here = {
        0: middles,
        180: [240, 120] - middles,
        90: middles[:, ::-1] * [1, -1] + [0, 240],
        270: middles[:, ::-1] * [-1, 1] + [120, 0],
    }
    np.testing.assert_allclose(shown, here[turn], atol=1e-9)
    assert found.as_shown().size == ((240, 120) if turn in (0, 180) else (120, 240))


def test_a_person_who_comes_late_does_not_turn_the_picture(tmp_path: Path) -> None:
    """Only the first picture can be decoded alone, and what is no person there looks like one once it is turned."""

    class Imaginative(FigureFinder):
        def everybody(self, picture: Picture) -> list[Person]:
            if (found := super().everybody(picture)) or picture.shape[0] < picture.shape[1]:
                return found
            return super().everybody(np.ascontiguousarray(drawn(picture)))

    def drawn(picture: Picture) -> Picture:
        imagined = picture.copy()
        draw_figure(imagined, 60, 120, 80, BLUE)
        return imagined

    frames: list[Places] = [[]] * 20 + [[(60 + 3 * k, 60, 80, RED)] for k in range(40)]
    journal = Journal()
    path = write_video(tmp_path / "v.mp4", [scene(places) for places in frames], codec="libx264", options={"g": "250"})
    found = find_keypoints(path, detector=Imaginative(), journal=journal)
    assert found.turned == 0 and "turned by" not in said(journal)


@pytest.mark.parametrize(("turn", "back"), [(90, 270), (270, 90)])
def test_a_person_who_lies_is_said_with_the_turn_that_would_help(tmp_path: Path, turn: int, back: int) -> None:
    class Sideways(FigureFinder):
        """Finds figures that lie as well, as real detectors do."""

        def everybody(self, picture: Picture) -> list[Person]:
            if found := super().everybody(picture):
                return found
            wide = picture.shape[1]
            upright = super().everybody(np.ascontiguousarray(turned(picture, 90)))  # (x, y) is at (y, wide - x) there
            return [
                Person(
                    np.stack([wide - p.points[:, 1], p.points[:, 0]], axis=1),
                    p.confidence,
                    Region(np.array([wide - p.region.center[1], p.region.center[0]]), p.region.side),
                )
                for p in upright
            ]

    journal = Journal()
    walk: list[Places] = [[(60 + 3 * k, 60, 80, RED)] for k in range(40)]
    find_keypoints(write_scenes(tmp_path / "v.mp4", walk, turn), detector=Sideways(), journal=journal)
    assert "warning: the person lies in the picture" in said(journal) and f"--turn {back}" in said(journal)


def test_a_turn_can_be_forced(tmp_path: Path) -> None:
    walk: list[Places] = [[(60 + 3 * k, 60, 80, RED)] for k in range(10)]
    path = write_scenes(tmp_path / "v.mp4", walk, 180)
    assert find_keypoints(path, detector=FigureFinder(), turn=180, journal=Journal()).turned == 180
    upside_down = find_keypoints(path, detector=FigureFinder(), turn=0, journal=Journal())
    assert upside_down.turned == 0 and np.median(upside_down.keypoints.points[0, :, 0]) == pytest.approx(180, abs=4)


def test_what_lies_outside_the_picture_is_left_out(tmp_path: Path) -> None:
    class Generous(FigureFinder):
        def follow(self, picture: Picture, region: Region) -> Person | None:
            person = super().follow(picture, region)
            return person and Person(person.points + [0, 40], person.confidence, person.region, None)

    found = find_keypoints(
        write_scenes(tmp_path / "v.mp4", [[(60, 60, 80, RED)]] * 10), detector=Generous(), turn=0, journal=Journal()
    ).keypoints
    ankles, noses = found.select(("ankle_r",)), found.select(("nose",))
    assert not ankles.seen.any() and (ankles.confidence == 0).all() and noses.seen.all()

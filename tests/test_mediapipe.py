"""MediaPipe's model on real videos: the same points as its own solution, more than one person, the whole command."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import motorque as mq
from motorque.cli import main
from motorque.errors import DataError, MissingExtraError
from motorque.journal import Journal
from motorque.vision.detector import Detector
from motorque.vision.keypoints import find_keypoints
from motorque.vision.picture import Picture
from motorque.vision.video import Video
from small_videos import background, write_video

SAME = 0.003
"""Of the picture's longer side: the solution and this run differ by rounding only, which their feedback lets grow."""


@pytest.fixture(scope="module")
def detector() -> Detector:
    pytest.importorskip("mediapipe", reason="mediapipe is not installed (pip install motorque[video])")
    from motorque.vision.mediapipe_detector import MediaPipeDetector

    return MediaPipeDetector()


def pictures(path: Path, start: float, end: float, fps: float = 30) -> list[Picture]:
    return [frame.picture for frame in Video(path, journal=Journal()).frames(start=start, end=end, fps=fps)]


@pytest.mark.filterwarnings("ignore:SymbolDatabase")  # its own solution uses protobuf so
def test_the_points_are_those_of_its_own_solution(detector: Detector, data: Path) -> None:
    from mediapipe.python.solutions import pose

    from motorque.vision.mediapipe_detector import PICK

    own = pose.Pose(model_complexity=1, smooth_landmarks=False)
    for name, start in (("opencap_squat/video.mp4", 4.0), ("pose2sim_balancing/videos/cam03.mp4", 0.0)):
        frames = pictures(data / "video" / name, start, start + 0.5)
        own.reset()
        (first,) = detector.everybody(frames[0])
        detector.restart()
        region = first.region
        for picture in frames:
            landmarks = own.process(picture)
            person = detector.follow(picture, region)
            assert person is not None and landmarks.pose_landmarks is not None
            region = person.region
            height, width = picture.shape[:2]
            theirs = np.array([(p.x * width, p.y * height) for p in landmarks.pose_landmarks.landmark])[PICK]
            assert np.abs(person.points - theirs).max() < SAME * max(width, height)
            space = np.array([(p.x, p.y, p.z) for p in landmarks.pose_world_landmarks.landmark])[PICK]
            assert person.world is not None and np.abs(person.world - space).max() < 0.03
    own.close()


def test_a_restart_forgets_the_pictures_before(detector: Detector, data: Path) -> None:
    frames = pictures(data / "video" / "opencap_squat" / "video.mp4", 4.0, 4.3)

    def run() -> np.ndarray:
        detector.restart()
        region, found = detector.everybody(frames[0])[0].region, []
        for picture in frames:
            person = detector.follow(picture, region)
            assert person is not None
            region = person.region
            found.append(person.points)
        return np.array(found)

    first = run()
    detector.everybody(frames[-1][:, ::-1].copy())  # a look at everybody disturbs nothing
    np.testing.assert_array_equal(run(), first)


def test_two_people_are_seen_and_either_can_be_followed(detector: Detector, data: Path) -> None:
    """A man on a roof, a woman on the grass: he is small, and found in a part of the picture only."""
    path = data / "video" / "sports2d" / "demo.mp4"
    (man,) = detector.everybody(pictures(path, 0.0, 0.01)[0])
    assert np.median(man.points, axis=0) == pytest.approx((474, 200), abs=40)

    journal = Journal()
    found = find_keypoints(path, detector=detector, start=2.0, end=3.0, fps=10, turn=0, journal=journal).keypoints
    middle = np.nanmedian(found.points[0], axis=0)
    assert found.size == (1768, 994) and (middle[0] > 1200 or middle[0] < 800)
    assert found.seen.any(1).mean() > 0.9 and found.world is not None


def test_somebody_small_beside_somebody_large_is_seen(detector: Detector, data: Path) -> None:
    """Somebody cut from one video walks into another: in the picture as a whole, only the large one is found."""
    video = data / "video"
    large = pictures(video / "opencap_squat/video.mp4", 2.0, 2.05)[0]
    walk = pictures(video / "opencap_walk/video.mp4", 0.5, 0.55)[0]
    (walker,) = detector.everybody(walk)
    low, high = walker.points.min(0).astype(int) - 40, walker.points.max(0).astype(int) + 40
    cut = walk[low[1] : high[1], low[0] : high[0]][:, :200]
    picture = large.copy()
    picture[520 : 520 + cut.shape[0], 520:720] = cut
    people = detector.everybody(picture)
    assert len(detector.everybody(large)) == 1 and len(people) == 2
    assert np.abs(np.median(people[1].points - walker.points + low, axis=0) - [520, 520]).max() < 15


def test_nobody_in_the_video(detector: Detector, tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mp4", [background((240, 320))] * 8)
    with pytest.raises(DataError, match="nobody is found in it"):
        find_keypoints(path, detector=detector, journal=Journal())


def test_an_upside_down_video_gives_the_same_points(detector: Detector, data: Path, tmp_path: Path) -> None:
    path = data / "video" / "opencap_squat" / "video.mp4"
    frames = pictures(path, 4.0, 4.8, 15)
    options = {"codec": "libx264", "fps": 15, "options": {"crf": "12", "g": "4"}}
    upright = write_video(tmp_path / "a.mp4", frames, **options)  # type: ignore[arg-type]
    turned = write_video(tmp_path / "b.mp4", [np.rot90(p, 2).copy() for p in frames], **options)  # type: ignore[arg-type]
    journal = Journal()
    one = find_keypoints(upright, detector=detector, journal=Journal())
    two = find_keypoints(turned, detector=detector, journal=journal)
    assert (one.turned, two.turned) == (0, 180)
    assert any("the picture is upside down; it was turned by 180°" in notice.text for notice in journal.notices)
    assert np.nanmedian(np.linalg.norm(one.keypoints.points - two.keypoints.points, axis=-1)) < 5
    assert (
        np.nanmedian(np.linalg.norm(1280 - two.as_shown().points[..., 1] - one.keypoints.points[..., 1], axis=-1)) < 30
    )


def test_a_camera_that_stands_and_one_that_is_held(detector: Detector, data: Path, tmp_path: Path) -> None:
    path = data / "video" / "opencap_squat" / "video.mp4"
    still = find_keypoints(path, detector=detector, start=3.0, end=6.0, fps=4, turn=0, journal=Journal())
    assert still.moving == ()
    frames = pictures(path, 3.0, 5.0, 6)
    held = [np.ascontiguousarray(p[20 + 4 * k :][:1160, 40 + 3 * (k % 5) :][:, :640]) for k, p in enumerate(frames)]
    shaken = write_video(tmp_path / "v.mp4", held, fps=6, codec="libx264", options={"crf": "18"})
    journal = Journal()
    found = find_keypoints(shaken, detector=detector, turn=0, journal=journal)
    assert len(found.moving) >= 2 and any("the camera moves at" in notice.text for notice in journal.notices)


def test_the_command_writes_a_file_and_prints_little(
    data: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("mediapipe", reason="mediapipe is not installed (pip install motorque[video])")
    video, out = data / "video" / "opencap_walk" / "video.mp4", tmp_path / "k.npz"
    line = ["keypoints", str(video), "--out", str(out), "--fps", "10", "--start", "0.2", "--end", "1"]
    done = subprocess.run([sys.executable, "-m", "motorque", *line], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and done.stderr == ""
    assert done.stdout == f"keypoints: {out} (9 frames, the person in 9 of them)\n"
    keypoints = mq.read_keypoints(out)
    assert keypoints.size == (720, 1280) and keypoints.seen.mean() > 0.9
    before = out.stat().st_mtime_ns
    monkeypatch.setitem(sys.modules, "mediapipe", None)  # not needed for what is there already
    assert main(line) == 0
    assert out.stat().st_mtime_ns == before and "those of an earlier run" in capfd.readouterr().err


def test_without_mediapipe_its_installation_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from motorque.vision.mediapipe_detector import MediaPipeDetector

    for name in [name for name in sys.modules if name.split(".")[0] == "mediapipe"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "mediapipe", None)
    with pytest.raises(MissingExtraError, match=r'need mediapipe: pip install "motorque\[video\]"'):
        MediaPipeDetector()


def test_a_missing_libgl_is_named_with_the_way_out() -> None:
    from motorque.vision.mediapipe_detector import _missing

    said = _missing(ImportError("libGL.so.1: cannot open shared object file: No such file or directory"))
    assert "apt-get install libgl1" in said and "--no-deps opencv-contrib-python-headless==4.11.0.86" in said


def test_the_extra_names_the_version_that_the_label_names() -> None:
    from motorque.vision.mediapipe_detector import MediaPipeDetector

    pyproject = (Path(__file__).resolve().parents[1] / "pyproject.toml").read_text()
    version = MediaPipeDetector.label.split(",")[0].removeprefix("mediapipe ")
    assert f'video = ["mediapipe=={version}"]' in pyproject

"""What may be said to `motorque analyze` of videos, and what is refused before anybody waits for keypoints."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import motorque.workflows.video as video_workflow
from motorque.cli import main
from motorque.errors import DataError
from motorque.workflows.video import keypoint_folder
from small_videos import numbered, write_video


@pytest.fixture
def video(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small video in the current folder."""
    monkeypatch.chdir(tmp_path)
    return write_video(Path("v.mp4"), numbered(20, (192, 128)))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the analysis is asked for, instead of one."""
    noted: list[dict[str, Any]] = []

    def instead(inputs: list[Path], out: Path, **options: Any) -> Path:
        noted.append(options)
        return out

    monkeypatch.setattr(video_workflow, "analyze_video", instead)
    return noted


def run(*arguments: object) -> int:
    try:
        return main(["analyze", *map(str, arguments)])
    except SystemExit as stop:
        assert isinstance(stop.code, int)
        return stop.code


@pytest.mark.parametrize(
    ("out", "kept"),
    [
        ("out", "out.keypoints"),
        ("a/out", "a/out.keypoints"),
        (".", "../here.keypoints"),
        ("..", "../../above.keypoints"),
    ],
)
def test_keypoints_are_kept_beside_the_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: str, kept: str
) -> None:
    here = tmp_path / "above" / "here"
    here.mkdir(parents=True)
    monkeypatch.chdir(here)
    assert keypoint_folder(Path(out)).resolve() == (here / kept).resolve()
    assert keypoint_folder(Path("/")) == Path("/.keypoints")


@pytest.mark.parametrize("given", [["--facing", "-x"], ["--facing=-x"], ["--facing", "-X"]])
def test_facing_backwards_is_taken_as_the_help_shows_it(
    video: Path, asked: list[dict[str, Any]], given: list[str]
) -> None:
    assert run(video, *given, "--out", "out") == 0
    assert [options["options"].facing for options in asked] == ["-x"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--fov", 60, "--cameras", "Calib.toml"], "--fov: the calibration behind --cameras tells the angle of view"),
        (["v.mp4", "--prior", "learned", "--cameras", "Calib.toml"], "--prior: several cameras leave nothing open"),
        (["--no-pictures", "--blur-faces"], "--blur-faces: with --no-pictures there is nothing to blur"),
    ],
)
def test_options_without_effect_are_refused(
    video: Path, asked: list[dict[str, Any]], arguments: list[object], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("Calib.toml").write_text("")
    assert run(video, *arguments, "--out", "out") == 2
    assert capsys.readouterr().err.startswith(f"motorque: {words}") and not asked


@pytest.mark.parametrize(
    "option", ["--facing +z", "--detector rtmpose", "--fps 25", "--prior learned", "--no-pictures", "--blur-faces"]
)
def test_options_of_videos_alone_are_refused_for_markers(
    video: Path, option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("walk.trc").write_text("content")
    assert run("walk.trc", *option.split(), "--out", "out") == 2
    assert f"{option.split()[0]}: goes with videos" in capsys.readouterr().err


def test_the_prior_is_the_learned_one_unless_another_is_asked_for(video: Path, asked: list[dict[str, Any]]) -> None:
    assert run(video, "--out", "out") == 0 and run(video, "--prior", "habits", "--out", "out") == 0
    assert [options["options"].prior for options in asked] == ["learned", "habits"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--cutoff", 30], "--cutoff: 30 Hz is not below 30 Hz, half the rate of a video's results"),
        (
            ["--detector", "json", "--prior", "habits"],
            "the keypoints of json come without depth.*--prior learned",
        ),
        (["--detector", "rtmpose", "--prior", "habits"], "the keypoints of rtmpose come without depth"),
        (["v.mp4", "--detector", "json", "--cameras", "json"], "json: one folder holds the keypoints of one video"),
    ],
)
def test_what_cannot_end_well_is_not_begun(
    video: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[object],
    words: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(video_workflow, "find_all_keypoints", lambda *a, **k: pytest.fail("keypoints are looked for"))
    Path("json").mkdir()
    assert run(video, *arguments, "--out", "a/out") == 2
    told = capsys.readouterr().err
    assert re.search(words, told) and told.count("\n") == 1
    assert {path.name for path in Path().iterdir()} == {"v.mp4", "json"}


def test_nothing_is_left_where_no_keypoints_were_found(video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(*arguments: object, **options: object) -> None:
        raise DataError("nobody is found")

    monkeypatch.setattr(video_workflow, "find_all_keypoints", nobody)
    assert run(video, "--out", "a/b/out") == 2
    assert [path.name for path in Path().iterdir()] == ["v.mp4"]

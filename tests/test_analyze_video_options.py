"""What may be said to `motorque analyze` of videos, and what is refused before anybody waits for keypoints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import motorque.workflows.video as video_workflow
from motorque.cli import main
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

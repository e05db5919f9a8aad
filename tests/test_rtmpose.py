"""RTMPose models: what is put in, what is made of what comes out, and files that are no such model."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from motorque.errors import FileFormatError, MissingExtraError
from motorque.vision.detector import Region
from motorque.vision.point_orders import COCO_17, HALPE_26
from motorque.vision.rtmpose import MEAN, STD, RTMPoseDetector
from small_videos import RED, FigureFinder, background, draw_figure

WIDTH, HEIGHT = 192, 256


class Session:
    """An onnxruntime session whose model finds the brightest spot of each colour of its input.

    Points 0, 1 and 2 are the brightest red, green and blue; the rest is the mean of these. Blank input scores nothing.
    """

    def __init__(self, count: int = 17, inputs: tuple[Any, ...] = (1, 3, HEIGHT, WIDTH), outputs: int = 2) -> None:
        self.count, self.inputs, self.outputs = count, inputs, outputs
        self.seen: list[np.ndarray] = []

    def get_inputs(self) -> list[Any]:
        return [SimpleNamespace(name="input", shape=list(self.inputs))]

    def get_outputs(self) -> list[Any]:
        return [SimpleNamespace(name=f"o{k}", shape=None) for k in range(self.outputs)]

    def run(self, names: None, feed: dict[str, np.ndarray]) -> list[np.ndarray]:
        (batch,) = feed.values()
        assert batch.dtype == np.float32 and batch.shape == (1, 3, HEIGHT, WIDTH)
        picture = batch[0].transpose(1, 2, 0) * STD + MEAN
        self.seen.append(picture)
        colour = picture - picture.mean(2, keepdims=True)
        spots = [np.unravel_index(colour[..., k].argmax(), (HEIGHT, WIDTH)) for k in range(3)]
        strength = [colour[..., k].max() / 128 for k in range(3)]
        place = np.array([*spots, *[np.mean(spots, axis=0)] * (self.count - 3)])
        score = np.array([*strength, *[np.mean(strength)] * (self.count - 3)])
        tables = []
        for axis, bins in ((1, 2 * WIDTH), (0, 2 * HEIGHT)):
            table = np.zeros((1, self.count, bins), dtype=np.float32)
            table[0, np.arange(self.count), np.round(2 * place[:, axis]).astype(int)] = score
            tables.append(table)
        return tables


def spots(shape: tuple[int, int], places: list[tuple[int, int]], side: int = 9) -> np.ndarray:
    """A grey picture with a red, a green and a blue square about the middles of these pixels (x, y)."""
    picture = np.full((*shape, 3), 90, dtype=np.uint8)
    for k, (x, y) in enumerate(places):
        reach = side // 2
        picture[y - reach : y + reach + 1, x - reach : x + reach + 1] = np.eye(3, dtype=np.uint8)[k] * 255
    return picture


@pytest.mark.parametrize(("count", "names"), [(17, COCO_17), (26, HALPE_26)])
def test_points_are_named_by_their_number(count: int, names: tuple[str, ...]) -> None:
    assert RTMPoseDetector("m.onnx", session=Session(count)).names == names


@pytest.mark.parametrize("shape", [(480, 640), (1280, 720)])
@pytest.mark.parametrize("side", [300.0, 256.0, 180.0, 900.0])
def test_points_come_back_to_where_they_are_in_the_picture(shape: tuple[int, int], side: float) -> None:
    """Within a pixel of the model's input and half a spot: for each spot the mean of where its colour is strongest."""
    places = [(300, 200), (350, 260), (320, 320)]
    detector = RTMPoseDetector("m.onnx", session=Session())
    region = Region(np.array([330.0, 250.0]), side)
    if side < 256:
        places = [(310, 210), (350, 260), (325, 290)]
    person = detector.follow(spots(shape, places), region)
    assert person is not None
    step = side / HEIGHT
    assert np.abs(person.points[:3] - (np.array(places) + 0.5)).max() <= 4.5 + step
    assert person.world is None and (person.confidence[:3] > 0.3).all()


def test_a_single_bright_pixel_is_found_to_half_a_pixel() -> None:
    """One pixel of the input for one of the picture: the only error left is the rounding to bins of half a pixel."""
    detector = RTMPoseDetector("m.onnx", session=Session())
    places = [(120, 90), (130, 200), (60, 222)]
    person = detector.follow(spots((256, 192), places, side=1), Region(np.array([96.0, 128.0]), 256.0))
    assert person is not None
    np.testing.assert_allclose(person.points[:3], np.array(places) + 0.5, atol=1e-9)


def test_what_lies_outside_of_the_picture_is_black() -> None:
    session = Session()
    RTMPoseDetector("m.onnx", session=session).follow(
        spots((100, 100), [(50, 50)] * 3), Region(np.array([0.0, 0.0]), 256.0)
    )
    picture = session.seen[-1]
    assert np.abs(picture[: HEIGHT // 2 - 1]).max() < 1e-3 and np.abs(picture[:, : WIDTH // 2 - 1]).max() < 1e-3
    assert picture[HEIGHT // 2 + 10, WIDTH // 2 + 10].min() > 80


def test_nobody_there() -> None:
    detector = RTMPoseDetector("m.onnx", session=Session())
    blank = np.full((200, 200, 3), 90, dtype=np.uint8)
    assert detector.follow(blank, Region(np.array([100.0, 100.0]), 200.0)) is None
    assert detector.everybody(blank) == []


def test_the_region_is_as_wide_as_a_wide_person_needs() -> None:
    places = [(100, 300), (500, 300), (300, 330)]
    person = RTMPoseDetector("m.onnx", session=Session()).follow(
        spots((640, 640), places), Region(np.array([320.0, 320.0]), 900.0)
    )
    assert person is not None
    assert person.region.side * WIDTH / HEIGHT == pytest.approx(1.25 * 400, rel=0.05)


def test_without_a_finder_the_whole_picture_is_looked_at_and_then_less_of_it() -> None:
    session = Session()
    (person,) = RTMPoseDetector("m.onnx", session=session).everybody(
        spots((480, 640), [(300, 200), (350, 260), (320, 320)], 25)
    )
    assert np.abs(person.points[:3] - np.array([(300, 200), (350, 260), (320, 320)])).max() < 13.5
    assert 140 < person.region.side < 260


def test_people_are_found_by_the_finder_and_their_points_by_the_model() -> None:
    picture = background((240, 320))
    draw_figure(picture, 200, 120, 160, RED)
    finder = FigureFinder()
    detector = RTMPoseDetector("m.onnx", session=Session(), finder=finder)
    (person,) = detector.everybody(picture)
    assert abs(person.points[0, 0] - 200) < 25 and 60 < person.points[0, 1] < 210
    detector.close()
    assert finder.closed


def test_models_that_are_none(tmp_path: Path) -> None:
    for session, wrong in (
        (Session(outputs=1), "is no RTMPose model with SimCC output"),
        (Session(inputs=(1, HEIGHT, WIDTH)), "is no RTMPose model with SimCC output"),
        (Session(inputs=(1, 3, "height", "width")), "is no RTMPose model with SimCC output"),
        (Session(count=133), "gives 133 points; known are 17"),
    ):
        with pytest.raises(FileFormatError, match=wrong):
            RTMPoseDetector("m.onnx", session=session)
    with pytest.raises(FileFormatError, match="there is no such model file"):
        RTMPoseDetector(tmp_path / "missing.onnx")


def test_without_onnxruntime_its_installation_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    (tmp_path / "m.onnx").write_bytes(b"model")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'motorque\[rtmpose\]'"):
        RTMPoseDetector(tmp_path / "m.onnx")


def test_a_real_session_refuses_what_is_no_model(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed (pip install motorque[rtmpose])")
    (tmp_path / "m.onnx").write_bytes(b"no model")
    with pytest.raises(FileFormatError, match="is no ONNX model that can be run"):
        RTMPoseDetector(tmp_path / "m.onnx")

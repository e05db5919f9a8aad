"""What InPose is compared with: what baselines are told, that they learn, and that they are asked as they learned."""

from __future__ import annotations

import csv
import dataclasses
import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from inpose_people import people_library
from motorque.cli import main
from motorque.errors import DataError, FileFormatError
from motorque.estimators.inpose.guidance import GuidanceSettings
from motorque.estimators.inpose.heading import turned
from motorque.estimators.inpose.library import Library
from motorque.estimators.inpose.long_sampling import Measured
from motorque.estimators.inpose.network import TINY, PriorNetwork
from motorque.estimators.inpose.train import PriorTraining, train_prior
from motorque.estimators.inpose.tree import HEAD, JOINTS, LEFT_WRIST, THREE, WINDOW, matrices, places
from motorque.estimators.inpose.weights import load_weights
from motorque.estimators.inpose.windows import Windows, measured, watched_batch
from motorque.studies.inpose.baseline_weights import load_diffusion, load_regression
from motorque.studies.inpose.bodies import default_body
from motorque.studies.inpose.bodiffusion import BoDiffusion, turned_roots
from motorque.studies.inpose.default_library import on_default_body
from motorque.studies.inpose.local_rotations import global_matrices
from motorque.studies.inpose.recipes import LOCAL_SHARES, RECIPES, errors, told_places
from motorque.studies.inpose.regression import Regression
from motorque.studies.inpose.regression_loss import hung, regression_loss
from motorque.studies.inpose.regression_network import SIZES, RegressionNetwork

pytestmark = pytest.mark.usefixtures("one_thread")

BASELINES = [name for name in RECIPES if name != "inpose"]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    return people_library(tmp_path_factory.mktemp("people"))


@pytest.fixture(scope="module")
def runs(library: Library, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    found = {}
    for name in BASELINES:
        found[name] = tmp_path_factory.mktemp(name)
        training = PriorTraining("tiny", steps=6, batch=4, method=name, dropout=0.2)
        train_prior([library.folder], found[name], training, recipes=RECIPES, workers=0, watch_every=3)
    return found


def test_everybody_has_the_default_body(library: Library) -> None:
    own = on_default_body(library)
    assert np.array_equal(own.rotations, library.rotations) and own.fingerprint == library.fingerprint
    for before, after in zip(library.movements, own.movements, strict=True):
        assert np.array_equal(after.rest, default_body()) and (before.name, before.first) == (after.name, after.first)
    tall = next(m for m in library.movements if "s3" in m.name)
    way, was = (part.pelvis[tall.first : tall.first + tall.frames] for part in (own, library))
    # 1.75 m tall and of the same proportions: the way is shorter by the ratio of statures
    assert np.allclose(way, was * (1.70 / 1.75), atol=1e-6)


@pytest.mark.parametrize("name", BASELINES)
def test_a_run_is_one_of_the_same_training(name: str, runs: dict[str, Path], library: Library) -> None:
    about = json.loads((runs[name] / "settings.json").read_text())
    assert about["training"]["method"] == name and about["network"]["dropout"] == 0.2
    assert about["data"]["fingerprint"] == library.fingerprint and about["data"]["test"]
    with open(runs[name] / "metrics.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["step"] for row in rows] == ["3", "6"]
    assert all(0 < float(row["validation_cm"]) < 60 and 0 < float(row["validation_degrees"]) < 90 for row in rows)
    with pytest.raises(FileFormatError, match="no weights of the InPose prior"):
        load_weights(runs[name] / "weights.safetensors")


def test_a_resumed_baseline_goes_on_as_what_it_is(library: Library, runs: dict[str, Path], tmp_path: Path) -> None:
    training = PriorTraining("tiny", steps=6, batch=4, method="regression", dropout=0.2)
    go = partial(train_prior, [library.folder], tmp_path, recipes=RECIPES, workers=0, watch_every=3)
    go(training, until=lambda done: done >= 4)
    go(PriorTraining("tiny", steps=9), resume=True)
    one, other = (load_regression(run / "weights.safetensors")[0] for run in (tmp_path, runs["regression"]))
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
    with pytest.raises(DataError, match="no method 'regression'"):
        train_prior([library.folder], tmp_path, resume=True, workers=0)
    with pytest.raises(DataError, match="no size 'paper'"):
        train_prior([library.folder], tmp_path / "x", dataclasses.replace(training, size="paper"), recipes=RECIPES)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--method", "regression", "--size", "paper"], "no size 'paper'"),
        (["--method", "avatar"], "invalid choice"),
        (["--dropout", "1"], "below 1"),
    ],
)
def test_the_command_says_what_is_wrong(
    arguments: list[str], said: str, library: Library, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["train", "inpose", "--data", str(library.folder), "--out", str(tmp_path / "run"), "--steps", "2"]
    try:
        code = main([*command, *arguments])
    except SystemExit as error:  # the parser's own
        code = int(error.code or 0)
    told = capsys.readouterr().err
    assert code == 2 and said in told and "Traceback" not in told


def test_the_command_trains_a_baseline(library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    command = ["train", "inpose", "--data", str(library.folder), "--out", str(tmp_path), "--steps", "2", "--quiet"]
    assert main([*command, "--size", "tiny", "--batch", "2", "--method", "regression", "--threads", "1"]) == 0
    assert load_regression(tmp_path / "weights.safetensors")[1]["training"]["method"] == "regression"


def test_weights_of_one_method_are_not_anothers(runs: dict[str, Path]) -> None:
    load_diffusion(runs["bodiffusion-local"] / "weights.safetensors", "bodiffusion-local")
    with pytest.raises(FileFormatError, match="bodiffusion-global"):
        load_diffusion(runs["bodiffusion-local"] / "weights.safetensors", "bodiffusion-global")
    with pytest.raises(FileFormatError, match="the regression"):
        Regression.load(runs["bodiffusion-global"] / "weights.safetensors")


def test_windows_are_told_places_in_their_shares() -> None:
    seen, placed = told_places(20_000, 2, torch.Generator().manual_seed(0), shares=LOCAL_SHARES)
    three, others = list(THREE), [j for j in range(22) if j not in THREE]
    assert not seen[..., others].any() and not placed[..., others].any()
    assert torch.equal(seen[..., 0, three], seen[..., 1, three]) and not (placed & ~seen).any()
    all_three, head = placed[:, 0, LEFT_WRIST].double().mean(), placed[:, 0, HEAD].double().mean()
    assert float(all_three) == pytest.approx(LOCAL_SHARES[0], abs=0.02)
    assert float(head - all_three) == pytest.approx(LOCAL_SHARES[1], abs=0.02)
    assert float(seen[:, 0, HEAD].double().mean() - head) == pytest.approx(LOCAL_SHARES[2], abs=0.02)


def test_bare_places_say_how_far_apart_sensors_are_and_not_where_they_are(library: Library) -> None:
    own = on_default_body(library)
    rotations, pelvis, rest = Windows(own, own.movements).read(np.array([0, 100]))
    seen = torch.zeros(2, WINDOW, 22, dtype=torch.bool)
    seen[..., list(THREE)] = True

    def ways(scale: float, shift: float) -> torch.Tensor:
        way = scale * pelvis + torch.tensor([shift, 0.0, -shift])
        return measured(rotations, way, scale * rest, seen, seen, bare=True)[0].channels[..., 12:]

    told, points = ways(1.0, 0.0), places(rotations, rest[:, None], pelvis)
    apart = points[:, 20, HEAD] - points[:, 20, LEFT_WRIST]
    assert torch.allclose((told[:, 20, HEAD, :3] - told[:, 20, LEFT_WRIST, :3]).norm(dim=-1), apart.norm(dim=-1))
    assert torch.allclose(told[:, 20, HEAD, 1] + 1.0, points[:, 20, HEAD, 1]), "heights are over the floor"
    assert torch.allclose(ways(1.0, 5.0), told, atol=1e-4)
    assert torch.allclose(ways(1.2, 0.0)[..., 3:], 1.2 * told[..., 3:], atol=1e-4), "metres, whoever it is"


def recording(library: Library, count: int) -> tuple[Measured, torch.Tensor]:
    """Faultless sensors on the default body, and the true rotations as six numbers."""
    own = on_default_body(library)
    rows = slice(own.movements[0].first, own.movements[0].first + count)
    six, way = torch.from_numpy(np.array(own.rotations[rows])), torch.from_numpy(own.pelvis[rows])
    seen = torch.zeros(count, 22, dtype=torch.bool)
    seen[:, list(THREE)] = True
    points = places(six, default_body().float(), way)
    nothing = six.new_zeros(())
    told = torch.where(seen[..., None], six, nothing), torch.where(seen[..., None], points, nothing)
    return Measured(told[0], seen, told[1], seen, default_body().float(), True), six


@pytest.fixture(scope="module")
def said_by_noise() -> tuple[PriorNetwork, RegressionNetwork]:
    """Networks at random, that say something of all that they are told."""
    torch.manual_seed(0)
    networks = PriorNetwork(TINY), RegressionNetwork(SIZES["tiny"])
    for network in networks:
        for parameter in network.parameters():
            torch.nn.init.normal_(parameter, std=0.2)
        network.eval().requires_grad_(False)
    return networks


@pytest.mark.parametrize("local", [False, True])
def test_a_window_is_told_as_in_training(
    local: bool, library: Library, said_by_noise: tuple[PriorNetwork, RegressionNetwork]
) -> None:
    """One step from noise is the network's answer to the batch that training would have made, turned back."""
    network, _ = said_by_noise
    given, six = recording(library, WINDOW)
    own = on_default_body(library)
    windows = Windows(own, own.movements[:1])
    seen = given.seen[None]
    told, _, angle = measured(*(part for part in windows.read(np.array([0]))), seen, seen, bare=True)
    start = torch.randn(WINDOW, 22, 6, generator=torch.Generator().manual_seed(7))
    turn = turned_roots if local else turned
    answer = network(turn(start[None], angle), torch.tensor([999]), told)
    whole = global_matrices if local else matrices
    expected = whole(turn(answer, -angle)[0].double())
    assert torch.allclose(BoDiffusion("", network, local, steps=1, smooth=0.0).pose(given, seed=7), expected, atol=2e-4)
    regression = RegressionNetwork(dataclasses.replace(SIZES["tiny"], local=local))
    regression.load_state_dict(said_by_noise[1].state_dict())
    regression.eval().requires_grad_(False)
    expected = whole(turn(regression(told).rotations, -angle)[0].double())
    assert torch.allclose(Regression(regression, smooth=0.0).pose(given), expected, atol=2e-4)


def test_who_faces_elsewhere_does_the_same(
    library: Library, said_by_noise: tuple[PriorNetwork, RegressionNetwork]
) -> None:
    """Long recordings, turned and moved along the floor, give the same poses turned; bones are not looked at."""
    given, _ = recording(library, 77)
    angle = torch.full((77,), 1.1)
    c, s = np.cos(1.1), np.sin(1.1)
    about = torch.tensor([[c, 0, s], [0, 1, 0], [-s, 0, c]], dtype=torch.float64)
    moved = dataclasses.replace(
        given,
        columns6=turned(given.columns6, angle),
        points=torch.where(given.there[..., None], turned(given.points, angle) + torch.tensor([0.3, 0, -0.2]), 0.0),
        rest=2 * given.rest,
    )
    regression = Regression(said_by_noise[1])
    assert torch.allclose(regression.pose(moved), about @ regression.pose(given), atol=2e-4)
    assert not regression.knows_bones
    for frames in (1, 5, 41, 42):
        part = regression.pose(given.frames(torch.arange(frames)))
        assert part.shape == (frames, 22, 3, 3) and torch.allclose(part @ part.mT, torch.eye(3).double(), atol=1e-9)
    gone = dataclasses.replace(given, there=given.there.clone())
    gone.there[5, HEAD] = False
    with pytest.raises(DataError, match="every frame"):
        regression.pose(gone)


def test_guidance_through_local_rotations_pulls_wrists_to_their_places(library: Library) -> None:
    """Of a network that knows the T-pose alone: what moves wrists is guidance."""
    given, _ = recording(library, 50)
    network = PriorNetwork(TINY, mean=torch.tensor([1.0, 0, 0, 0, 1, 0]).expand(22, 6)).eval().requires_grad_(False)

    def missed(method: BoDiffusion) -> float:
        points = hung(method.pose(given, seed=0), given.rest.double())
        own = given.points.double() - given.points[:, [HEAD]].double()
        return float((points - own)[:, list(THREE)].norm(dim=-1).mean())

    head = BoDiffusion("", network, local=True, places=(HEAD,), steps=5, last=0)
    settings = GuidanceSettings(weight="score", noise=0.02, variance=0.1, jacobian=False)
    guided = dataclasses.replace(head, guidance=settings)
    assert guided.knows_bones and not head.knows_bones
    assert missed(guided) < 0.8 * missed(head)


def test_places_from_the_head_on_are_those_of_the_tree() -> None:
    six = torch.randn(4, 22, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    expected = places(six, default_body())
    assert torch.allclose(hung(matrices(six), default_body()), expected - expected[:, [HEAD]], atol=1e-12)


def test_errors_are_angles_and_centimetres() -> None:
    true = torch.eye(3).expand(1, 1, 22, 3, 3).clone()
    off = true.clone()
    off[:, :, JOINTS.index("left_knee")] = torch.tensor([[0.0, 0, 1], [0, 1, 0], [-1, 0, 0]])
    found = errors(off, true)
    assert found["degrees"] == pytest.approx(90 / 22, abs=1e-3)
    assert found["cm"] == pytest.approx(0.0, abs=1e-5), "turning a knee about its shank moves no joint"
    off[:, :, JOINTS.index("left_knee")] = torch.tensor([[-1.0, 0, 0], [0, -1, 0], [0, 0, 1]])
    shank = float((default_body()[7] - default_body()[4]).norm())
    foot = (default_body()[10] - default_body()[7]).norm()
    assert foot > 0 and errors(off, true)["cm"] == pytest.approx(100 * 2 * (2 * shank) / 22, rel=1e-5)


@pytest.mark.parametrize("local", [False, True])
def test_the_regression_learns(local: bool, library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SIZES, "tiny", dataclasses.replace(SIZES["tiny"], local=local))
    own = on_default_body(library)
    windows = Windows(own, own.movements)
    batch = watched_batch(windows, placed=True, where=THREE, bare=True)
    batch = type(batch)(*(part[::16] for part in batch))
    torch.manual_seed(0)
    network = RECIPES["regression"].network("tiny", 0.0, windows)
    loss, optimizer = regression_loss(network), torch.optim.AdamW(network.parameters(), 1e-2)

    @torch.no_grad()
    def reached() -> dict[str, float]:
        whole = global_matrices if local else matrices
        return errors(whole(network(batch.told).rotations), matrices(batch.clean))

    before = reached()
    for _ in range(40):
        optimizer.zero_grad()
        loss(network, batch).backward()
        optimizer.step()
    after = reached()
    assert after["cm"] < 0.6 * before["cm"] and after["degrees"] < 0.8 * before["degrees"]

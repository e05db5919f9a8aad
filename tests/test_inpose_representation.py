"""Rotations as nine numbers in place of six: what is learned, how it is measured, and that files of six stay good."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from scipy.spatial.transform import Rotation

from inpose_people import people_folder
from motorque.errors import DataError, FileFormatError
from motorque.estimators.inpose.conditions import CHANNELS, Conditions
from motorque.estimators.inpose.heading import heading
from motorque.estimators.inpose.library import make_library
from motorque.estimators.inpose.network import TINY, PriorNetwork, PriorSize
from motorque.estimators.inpose.recipe import diffusion_of
from motorque.estimators.inpose.sampling import sample
from motorque.estimators.inpose.train import PriorTraining, train_prior
from motorque.estimators.inpose.tree import HEAD, JOINTS, PARENTS, WINDOW, matrices, places
from motorque.estimators.inpose.weights import load_weights, save_weights
from motorque.estimators.inpose.windows import Windows
from motorque.studies.inpose.baseline_weights import load_diffusion
from motorque.studies.inpose.bodies import default_body
from motorque.studies.inpose.measures import jitter
from motorque.studies.inpose.regression_loss import hung
from motorque.studies.inpose.representation import NINE, SIX, nine_numbers, off_unitary, raw_matrices
from motorque.training.loop import step_generator


@pytest.fixture(scope="module")
def windows(tmp_path_factory: pytest.TempPathFactory) -> Windows:
    folder = tmp_path_factory.mktemp("people")
    library = make_library([people_folder(folder / "data")], folder / "library")
    return Windows(library, library.movements)


def turns(count: int) -> torch.Tensor:
    return torch.tensor(Rotation.random(count, random_state=1).as_matrix())


def test_nine_numbers_are_the_matrix() -> None:
    true = turns(30)
    assert torch.allclose(raw_matrices(nine_numbers(true[..., :2].mT.flatten(-2))), true, atol=1e-12)
    # Any numbers: column by column
    assert torch.equal(raw_matrices(torch.arange(9.0))[:, 1], torch.tensor([3.0, 4.0, 5.0]))


def test_off_unitary_is_zero_of_rotations_alone() -> None:
    assert off_unitary(turns(30)).max() < 1e-12
    assert float(off_unitary(torch.diag(torch.tensor([1.0, 1.0, 2.0])))) == pytest.approx(3.0)
    shear = torch.tensor([[1.0, 0.1, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    assert float(off_unitary(shear)) == pytest.approx((2 * 0.1**2 + 0.01**2) ** 0.5, rel=1e-5)
    assert float(off_unitary(shear[:, [0, 2]])) == pytest.approx(0.0)


def test_raw_matrices_place_joints_as_they_are() -> None:
    rest = default_body()
    true = turns(22)
    rigid, raw = hung(true, rest), hung(1.5 * true, rest)
    assert torch.allclose(raw, 1.5 * rigid, atol=1e-12)  # matrices of 1.5 times the length: a body as much larger
    own = places(true[..., :2].mT.flatten(-2), rest)
    assert torch.allclose(rigid - rigid[0], own, atol=1e-12)
    bent = true.clone()
    bent[9] = bent[9] @ torch.diag(torch.tensor([1.0, 3.0, 1.0], dtype=torch.float64))  # stretches along its own y
    moved = hung(bent, rest) - hung(bent, rest)[0] - own
    for joint, parent in enumerate(PARENTS[1:], 1):
        bone = rest[joint] - rest[parent]
        expected = moved[parent] + (2.0 * bone[1] * true[9, :, 1] if parent == 9 else 0.0)
        assert torch.allclose(moved[joint], expected, atol=1e-12)


def test_jitter_is_the_third_derivative() -> None:
    time = torch.arange(41, dtype=torch.float64) / 60.0
    way = torch.stack([2.0 * time**3, time**2, -1.5 * time**3], dim=-1)[:, None].expand(41, 22, 3)
    # 12 and -9 m/s³, of a cubic exactly; what is quadratic has none
    assert float(jitter(way)) == pytest.approx(15.0, rel=1e-6)
    still = way.clone()
    still[:, 11:] = 0.0
    assert jitter(torch.stack([way, still, torch.zeros_like(way)])).numpy() == pytest.approx([15.0, 7.5, 0.0], rel=1e-6)


def test_both_learn_the_same_windows_and_are_told_nothing(windows: Windows) -> None:
    six, nine = (recipe.batches(windows, 6)(step_generator(0, 3), 3) for recipe in (SIX, NINE))
    assert six.clean.shape == six.noise.shape == (6, WINDOW, 22, 6)
    assert nine.clean.shape == nine.noise.shape == (6, WINDOW, 22, 9)
    assert torch.allclose(nine.clean[..., :6], six.clean, atol=1e-6)
    assert torch.allclose(raw_matrices(nine.clean), matrices(six.clean), atol=1e-6)
    for batch in (six, nine):
        assert not batch.channels.any() and not batch.seen.any() and not batch.placed.any()
    # Turned forward by the head all the same, give or take 0.2 rad
    assert heading(six.clean[:, WINDOW // 2, HEAD]).abs().max() < 0.8


@pytest.mark.parametrize(("recipe", "numbers"), [(SIX, 6), (NINE, 9)])
def test_training_sampling_and_files(recipe: object, numbers: int, windows: Windows, tmp_path: Path) -> None:
    name, recipes = f"unconditional-{numbers}", {r.name: r for r in (SIX, NINE)}
    training = PriorTraining("tiny", steps=4, batch=4, method=name)
    train_prior([windows.library.folder], tmp_path, training, recipes=recipes, workers=0, watch_every=2)
    network, about = load_diffusion(tmp_path / "weights.safetensors", name)
    assert network.size.numbers == numbers and about["training"]["method"] == name
    assert {f"validation_degrees_at_{n}" for n in (100, 999)} <= about["figures"].keys()
    nothing = Conditions(torch.zeros(2, WINDOW, 22, CHANNELS), *torch.zeros(2, 2, WINDOW, 22, dtype=torch.bool))
    found = sample(network, diffusion_of(network), nothing, steps=3, start=torch.randn(2, WINDOW, 22, numbers))
    assert found.shape == (2, WINDOW, 22, numbers) and torch.isfinite(found).all()
    # Few steps leave a network at its offset: the mean of nine is that of six and a third column
    mean = recipe.network("tiny", None, windows).mean  # type: ignore[attr-defined]
    assert torch.allclose(mean[:, :6], SIX.network("tiny", None, windows).mean)
    with pytest.raises(FileFormatError, match="unconditional-9|unconditional-6"):
        load_diffusion(tmp_path / "weights.safetensors", f"unconditional-{15 - numbers}")


def test_a_network_of_six_is_written_as_before(tmp_path: Path) -> None:
    before = {f.name for f in dataclasses.fields(PriorSize)} - {"numbers"}
    assert set(TINY.as_dict()) == before  # files and checkpoints of before there were nine
    assert PriorSize(**json.loads(json.dumps(TINY.as_dict()))) == TINY
    save_weights(tmp_path / "w", PriorNetwork(TINY), {})
    assert load_weights(tmp_path / "w")[0].size.numbers == 6
    nine = dataclasses.replace(TINY, numbers=9)
    assert PriorSize(**nine.as_dict()) == nine
    with pytest.raises(DataError, match="6 or 9 numbers, not 7"):
        dataclasses.replace(TINY, numbers=7)


def test_tokens_of_joints_have_nine_numbers_too() -> None:
    network = PriorNetwork(PriorSize(1, 32, 2, 1.0, tokens="joints", learned_variance=True, numbers=9))
    nothing = Conditions(torch.zeros(1, 3, len(JOINTS), CHANNELS), *torch.zeros(2, 1, 3, 22, dtype=torch.bool))
    assert network(torch.zeros(1, 3, 22, 9), torch.tensor([5]), nothing).shape == (1, 3, 22, 2, 9)

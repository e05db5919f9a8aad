"""Who is compared: InPose in its variants, inverse kinematics, and trained baselines where there are some."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from motorque.errors import DataError
from motorque.estimators.inpose.drawing import FAST, PAPER, USUAL
from motorque.estimators.inpose.guidance import PAPER_GUIDANCE, GuidanceSettings
from motorque.estimators.inpose.network import PriorNetwork
from motorque.estimators.inpose.tree import HEAD as HEAD_JOINT
from motorque.estimators.inpose.weights import load_weights
from motorque.studies.inpose.baseline_weights import load_diffusion, load_regression
from motorque.studies.inpose.bodiffusion import BoDiffusion
from motorque.studies.inpose.methods import InPoseMethod, MeanOf, MeanPose, Method
from motorque.studies.inpose.regression import Regression
from motorque.studies.inpose.unsure_bones import DefaultBones, FoundBones

INPOSE, HEAD = "InPose", "InPose (head)"
MEAN_OF_4 = "InPose (head), feet, mean of 4"
"""What users get, but for the number of samples."""
FEETLESS_4 = "InPose (head), mean of 4"
"""The same without feet on the floor."""
PAPER_INPOSE, PAPER_HEAD = "InPose, as the paper", "InPose (head), as the paper"
UNTOLD = "InPose (head), noise not told"
LIKE_PAPER = "InPose (head), the paper's guidance alone, 10 steps"
ALONE, ALONE_HEAD = "prior, rotations only", "prior, rotations and head"
PRIOR_IK = "prior (head) + IK"
MEAN_IK = "mean pose + IK"
GRADIENT = "InPose (head), plain gradient"
THEOREM = "InPose (head), Theorem 1"
FOUND_BONES, FEET = "InPose (head), bones found", "InPose (head), feet on the floor"
UNKNOWN_BONES, DEFAULT_BONES = "InPose (head), bones unknown and found", "InPose (head), default bones for everybody"
STEPS_10, STEPS_50 = "InPose (head), 10 steps", "InPose (head), 50 steps"
SHIPPED = (INPOSE, HEAD, MEAN_OF_4, PRIOR_IK, MEAN_IK)
"""Methods of the main tables that need no weights but the prior's."""
GLOBAL, LOCAL, REGRESSION = "BoDiffusion (Global)", "BoDiffusion (Local)", "regression"
BASELINES = {"bodiffusion-global": GLOBAL, "bodiffusion-local": LOCAL, "regression": REGRESSION}
"""Trained baselines, by the names that ``motorque train inpose --method`` has for them."""
GLOBAL_4, LOCAL_4 = "BoDiffusion (Global), mean of 4", "BoDiffusion (Local), mean of 4"
BLIND = (GLOBAL, LOCAL, GLOBAL_4, LOCAL_4, REGRESSION)
"""Baselines that know of no bones, as they are and as the mean of samples."""
GLOBAL_TURNS = "BoDiffusion (Global), rotations only"
LOCAL_PSEUDO, LOCAL_GRADIENT = "BoDiffusion (Local, head), guided", "BoDiffusion (Local, head), plain gradient"
PAPER_GRADIENT = GuidanceSettings(kind="gradient", scale=PAPER_GUIDANCE.scale)


def cast(weights: Path, baselines: Mapping[str, Path]) -> dict[str, Method]:
    """All methods by name.

    Args:
        weights: The prior's.
        baselines: Files of trained baselines by their names.

    Raises:
        FileFormatError: A file is not what it should be.
    """
    network, _ = load_weights(weights)
    found = variants(network)
    for name, path in baselines.items():
        found |= {method.name: method for method in trained(name, path)}
    return found


def variants(network: PriorNetwork) -> dict[str, Method]:
    """What is made of the prior alone, by name."""
    open_ = replace(FAST, guidance=None, close=False)
    assert FAST.guidance is not None
    theorem = replace(FAST, guidance=replace(FAST.guidance, covariance="theorem"))
    gradient = replace(PAPER, guidance=PAPER_GRADIENT)
    methods: list[Method] = [
        InPoseMethod(INPOSE, network),
        InPoseMethod(HEAD, network, head=True),
        InPoseMethod(MEAN_OF_4, network, USUAL, head=True, samples=4),
        InPoseMethod(FEETLESS_4, network, head=True, samples=4),
        InPoseMethod(FEET, network, USUAL, head=True),
        InPoseMethod(UNTOLD, network, head=True, knows_noise=False),
        InPoseMethod(LIKE_PAPER, network, replace(PAPER, steps=10), head=True, knows_noise=False),
        InPoseMethod(PAPER_INPOSE, network, PAPER, knows_noise=False),
        InPoseMethod(PAPER_HEAD, network, PAPER, head=True, knows_noise=False),
        InPoseMethod(GRADIENT, network, gradient, head=True, knows_noise=False),
        InPoseMethod(THEOREM, network, theorem, head=True),
        InPoseMethod(STEPS_10, network, replace(FAST, steps=10), head=True),
        InPoseMethod(STEPS_50, network, replace(FAST, steps=50), head=True),
        FoundBones(FOUND_BONES, InPoseMethod(HEAD, network, head=True)),
        FoundBones(UNKNOWN_BONES, InPoseMethod(HEAD, network, head=True), told=False),
        DefaultBones(DEFAULT_BONES, InPoseMethod(HEAD, network, head=True)),
        InPoseMethod(ALONE, network, open_),
        InPoseMethod(ALONE_HEAD, network, open_, head=True),
        InPoseMethod(PRIOR_IK, network, replace(FAST, guidance=None), head=True),
        MeanPose(MEAN_IK, network),
    ]
    return {method.name: method for method in methods}


def trained(name: str, path: Path) -> list[Method]:
    """A trained baseline, and what else its weights are asked for.

    Args:
        name: One of :data:`BASELINES`.
        path: Its file.

    Raises:
        FileFormatError: The file is not that baseline's.
    """
    if name == "regression":
        return [Regression(load_regression(path)[0], BASELINES[name])]
    network, local = load_diffusion(path, name)[0], name == "bodiffusion-local"
    one = BoDiffusion(BASELINES[name], network, local)
    found: list[Method] = [one, MeanOf(LOCAL_4 if local else GLOBAL_4, one, 4)]
    if not local:
        return [*found, BoDiffusion(GLOBAL_TURNS, network, local, places=())]
    for other, guidance in ((LOCAL_PSEUDO, PAPER_GUIDANCE), (LOCAL_GRADIENT, PAPER_GRADIENT)):
        found.append(BoDiffusion(other, network, local, (HEAD_JOINT,), PAPER.steps, guidance, PAPER.last, PAPER.smooth))
    return found


def baseline_split(name: str, path: Path) -> list[str]:
    """Subjects from whom a trained baseline did not learn.

    Raises:
        FileFormatError: The file is not that baseline's.
        DataError: It does not say from whom it learned.
    """
    about = (load_regression(path) if name == "regression" else load_diffusion(path, name))[1]
    try:
        return [str(subject) for part in ("test", "validation") for subject in about["data"][part]]
    except (KeyError, TypeError):
        raise DataError(f"{path}: does not say from whom it learned; train it with motorque train inpose") from None

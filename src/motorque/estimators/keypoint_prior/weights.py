"""The network's weights as a file: safetensors, half precision, with what they are in its header."""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from motorque.errors import FileFormatError
from motorque.estimators.keypoint_prior.features import WIDTH
from motorque.estimators.keypoint_prior.network import ANGLES, NetworkSize, PoseNetwork
from motorque.synthesis.people import LANDMARK_NAMES
from motorque.training.weights_file import read_weights, write_weights

FORMAT = "motorque keypoint prior 1"
SHIPPED = Path(__file__).with_name("weights.safetensors")
"""The weights that come with motorque."""


def save_weights(path: Path, network: PoseNetwork, calibration: dict[str, float], about: dict[str, Any]) -> None:
    """Write a network; the file before it stays until this one is whole.

    Args:
        path: The file.
        network: The network.
        calibration: Factor on each standard deviation, by coordinate, ``pelvis`` and ``up``.
        about: How it came about: settings and figures.

    Raises:
        OutputError: The file can't be written.
    """
    header = {
        "format": FORMAT,
        "size": json.dumps(asdict(network.size)),
        "landmarks": json.dumps(LANDMARK_NAMES),
        "angles": json.dumps(ANGLES),
        "features": str(WIDTH),
        "calibration": json.dumps(calibration),
        "about": json.dumps(about),
    }
    write_weights(path, network, header)


@cache
def load_weights(path: Path = SHIPPED) -> tuple[PoseNetwork, dict[str, float]]:
    """The network in a file, ready to be used, and its calibration; nothing in the file is executed.

    Raises:
        FileFormatError: There is no such file, or it is not of this network.
    """
    advice = "; install motorque again"
    header, values = read_weights(path, kind=FORMAT, what="the keypoint prior", advice=advice)
    try:
        size = json.loads(header["size"])
        same = json.loads(header["landmarks"]) == list(LANDMARK_NAMES) and json.loads(header["angles"]) == list(ANGLES)
        network = PoseNetwork(NetworkSize(int(size["channels"]), tuple(int(d) for d in size["dilations"])))
        network.load_state_dict(values)
        calibration = {str(k): float(v) for k, v in json.loads(header["calibration"]).items()}
    except (KeyError, ValueError, TypeError, RuntimeError) as error:
        text = str(error).splitlines()[0]
        raise FileFormatError(f"{path}: these weights do not fit the network ({text}); train them anew") from error
    if not same or header.get("features") != str(WIDTH):
        raise FileFormatError(f"{path}: these weights are of other landmarks or angles; train them anew")
    return network.eval().requires_grad_(False), calibration

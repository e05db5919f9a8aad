"""What many tests share: where the reference recordings are, and a quiet `opensim` wheel."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# Kernels that tests compile stay in the checkout, beside pytest's own cache.
KERNELS = ROOT / ".pytest_cache" / "kernels"
KERNELS.mkdir(parents=True, exist_ok=True, mode=0o700)
os.environ.setdefault("MOTORQUE_CACHE", str(KERNELS))


def data_folder() -> Path:
    """The folder of reference recordings, which may not exist."""
    return Path(os.environ.get("MOTORQUE_DATA", ROOT.parent / "shared" / "data"))


@pytest.fixture(scope="session")
def data() -> Path:
    """The reference recordings; skips where they are missing."""
    folder = data_folder()
    if not folder.is_dir():
        pytest.skip("the reference recordings are not here; set MOTORQUE_DATA to their folder")
    return folder


@pytest.fixture
def opensim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    """The `opensim` wheel, silent and with a scratch folder as its working folder; skips where it is not installed."""
    module = pytest.importorskip("opensim", reason="the opensim wheel is not installed (pip install motorque[test])")
    monkeypatch.chdir(tmp_path)
    module.Logger.setLevelString("Off")
    module.Logger.removeFileSink()
    yield module


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """One thread for torch: tiny networks are faster so, and give the same numbers everywhere."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(params=["torch", "compiled"])
def backend(request: pytest.FixtureRequest) -> str:
    """Each implementation of the mechanics; skips the compiled one where it can't run."""
    from motorque.mechanics.compiled import machine

    if request.param == "compiled" and (reason := machine.why_not()):
        pytest.skip(reason)
    return str(request.param)

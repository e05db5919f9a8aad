"""``motorque doctor``: what is installed, what really works (it is tried), and what an optional part would need."""

from __future__ import annotations

import ctypes.util
import importlib
import importlib.metadata
import io
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import motorque

EXTRA = "pip install 'motorque[{}]'"


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's list.

    Args:
        ok: True where it works, False where it is broken, None where an optional part is not installed.
        name: What was looked at.
        detail: Its version and what was tried, or what is wrong and the command that mends it.
    """

    ok: bool | None
    name: str
    detail: str


def examine(*, write: Callable[[str], None] = print) -> int:
    """Try everything, print what was found, and return the exit code: 0 unless the core is broken, then 1."""
    write(f"motorque {motorque.__version__}, Python {platform.python_version()}, {platform.platform()}, {_hardware()}")
    core = [_try(name, test) for name, test in CORE.items()]
    optional = [_try(name, test) for name, test in OPTIONAL.items()]
    for title, findings in (("core", core), ("optional", optional)):
        write(f"\n{title}")
        for finding in findings:
            mark = {True: "ok", False: "BROKEN", None: "-"}[finding.ok]
            write(f"  {mark:<7} {finding.name:<12} {finding.detail}")
    broken = [finding.name for finding in core if not finding.ok]
    if broken:
        write(f"\nThe core is broken: {', '.join(broken)}. Mend it with: pip install --force-reinstall motorque")
        return 1
    write("\nThe core works.")
    return 0


def _try(name: str, test: Callable[[], Finding | str]) -> Finding:
    """Run one test; whatever it raises is the finding."""
    try:
        found = test()
    except Exception as error:  # whatever is wrong with a guest, the list must go on
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        return Finding(False, name, reason)
    return found if isinstance(found, Finding) else Finding(True, name, found)


def _version(package: str) -> str:
    return importlib.metadata.version(package)


def _installed(package: str) -> bool:
    try:
        _version(package)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _hardware() -> str:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    except (ValueError, OSError):
        return f"{cores} cores"
    return f"{cores} cores, {memory:.0f} GiB of memory"


# The core: each test uses the library for what motorque uses it for.


def _numpy() -> str:
    import numpy as np

    solution = np.linalg.solve(np.array([[2.0, 0.0], [0.0, 4.0]]), np.array([1.0, 1.0]))
    _expect(solution.tolist() == [0.5, 0.25], "solves a linear system wrongly")
    return f"{_version('numpy')}, solves a linear system"


def _scipy() -> str:
    import numpy as np
    from scipy.signal import butter, sosfiltfilt

    kept = sosfiltfilt(butter(2, 0.1, output="sos"), np.ones(100))
    _expect(bool(np.allclose(kept, 1.0)), "filters wrongly")
    return f"{_version('scipy')}, filters a signal"


def _torch() -> str:
    import torch

    matrix = torch.eye(64, dtype=torch.float64, requires_grad=True)
    (matrix @ matrix).sum().backward()
    _expect(matrix.grad is not None and bool((matrix.grad == 2.0).all()), "differentiates a product wrongly")
    return f"{_version('torch')}, multiplies and differentiates in float64, {torch.get_num_threads()} threads"


def _lxml() -> str:
    from lxml import etree

    _expect(etree.fromstring("<a><b/></a>")[0].tag == "b", "reads XML wrongly")
    return f"{_version('lxml')}, parses"


def _ezc3d() -> str:
    import ezc3d
    import numpy as np

    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "probe.c3d")
        recording = ezc3d.c3d()
        recording["parameters"]["POINT"]["RATE"]["value"] = [100]
        recording["parameters"]["POINT"]["LABELS"]["value"] = ["probe"]
        recording["data"]["points"] = np.ones((4, 1, 2))
        recording.write(path)
        _expect(bool((ezc3d.c3d(path)["data"]["points"][:3] == 1.0).all()), "does not read back what it wrote")
    return f"{_version('ezc3d')}, writes and reads a .c3d"


def _av() -> str:
    import av
    import numpy as np

    from motorque.journal import Journal
    from motorque.vision.video import Video

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "probe.mp4"
        with av.open(str(path), "w") as file:
            stream = file.add_stream("mpeg4", rate=30)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
            for _ in range(3):
                file.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((48, 64, 3), 128, dtype=np.uint8))))
            file.mux(stream.encode())
        read = [frame.picture.mean() for frame in Video(path, journal=Journal()).frames()]
        _expect(len(read) == 3 and abs(read[0] - 128) < 4, "does not read back the video that it wrote")
    return f"{_version('av')}, writes and reads a video"


def _plotly() -> str:
    import plotly.graph_objects as go

    page = io.StringIO()
    go.Figure(go.Scatter(y=[0, 1])).write_html(page, include_plotlyjs=True)
    _expect(len(page.getvalue()) > 1_000_000, "does not carry its own JavaScript")
    return f"{_version('plotly')}, draws into one self-contained page"


def _skeleton() -> str:
    skeleton = motorque.fullbody()
    return f"{len(skeleton.body_names)} bodies, {len(skeleton.coordinate_names)} coordinates"


def _disk() -> str:
    from motorque.files.output import OutputFolder

    with tempfile.TemporaryDirectory() as folder:
        with OutputFolder(Path(folder) / "out") as out:
            (out.path / "probe").write_text("written")
        _expect((Path(folder) / "out" / "probe").read_text() == "written", "does not keep what is written")
        return f"a folder of results can be written in {tempfile.gettempdir()}"


def _expect(condition: bool, wrong: str) -> None:
    if not condition:
        raise RuntimeError(wrong)


# The optional parts: a guest that crashes must not take the doctor with it, so each is imported in its own process.


def _import_apart(module: str) -> str | None:
    """Import a module in another process; None if that works, else what went wrong, in one line."""
    return _run_apart(f"import {module}")


def _run_apart(code: str) -> str | None:
    """The same for any line of Python."""
    with tempfile.TemporaryDirectory() as folder:  # opensim leaves a log file where it runs
        try:
            done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, timeout=120)
        except subprocess.TimeoutExpired:
            return f"{code} takes over two minutes"
    if done.returncode == 0:
        return None
    said = [text for text in done.stderr.splitlines() if text.strip()]
    return said[-1].strip() if said else f"{code} ends with code {done.returncode}"


def _guest(package: str, extra: str, purpose: str) -> Finding:
    if not _installed(package):
        return Finding(None, package, f"not installed; for {purpose}: {EXTRA.format(extra)}")
    fault = _import_apart(package)
    if fault is not None:
        return Finding(False, package, f"{_version(package)} cannot be imported: {fault}; mend: {EXTRA.format(extra)}")
    return Finding(True, package, f"{_version(package)}, imports; for {purpose}")


def _opensim() -> Finding:
    return _guest("opensim", "oracle", "comparing results with OpenSim")


HEADLESS = "pip install --force-reinstall --no-deps opencv-contrib-python-headless==4.11.0.86"
"""Puts the OpenCV without windows in the place of the one that mediapipe brings; it needs no libGL."""


def _mediapipe() -> Finding:
    found = _guest("mediapipe", "video", "keypoints from video")
    if not found.ok:
        # Most often it is its OpenCV that cannot be loaded: the next line of the list says how to mend that.
        return found
    fault = _run_apart("from motorque.vision.mediapipe_detector import MediaPipeDetector as M; M().close()")
    if fault is not None:
        return Finding(False, "mediapipe", f"{_version('mediapipe')} imports, but its pose model does not run: {fault}")
    return Finding(True, "mediapipe", f"{_version('mediapipe')}, its pose model runs; for keypoints from video")


def _onnxruntime() -> Finding:
    return _guest("onnxruntime", "rtmpose", "keypoints by an RTMPose model of yours")


def _opencv() -> Finding:
    """Mediapipe brings an OpenCV with windows, which needs libGL; the headless one of the same name does not."""
    headless = [name for name in ("opencv-contrib-python-headless", "opencv-python-headless") if _installed(name)]
    windowed = [name for name in ("opencv-contrib-python", "opencv-python") if _installed(name)]
    if not headless and not windowed:
        return Finding(None, "opencv", f"not installed; comes with keypoints from video: {EXTRA.format('video')}")
    fault = _import_apart("cv2")
    if headless and windowed:
        # Both unpack into the same folder cv2: which one is there depends on the order of installation.
        if fault is None:
            return Finding(True, "opencv", f"{headless[0]} {_version(headless[0])} over {windowed[0]}, imports")
        mend = f"pip uninstall {' '.join(windowed)} && {HEADLESS}"
        return Finding(False, "opencv", f"{windowed[0]} and {headless[0]} overwrite each other; mend: {mend}")
    package = (headless or windowed)[0]
    if fault is None:
        return Finding(True, "opencv", f"{package} {_version(package)}, imports")
    mend = f"{HEADLESS}, or apt-get install libgl1 libglib2.0-0" if windowed else HEADLESS
    return Finding(False, "opencv", f"{package} {_version(package)} cannot be imported: {fault}; mend: {mend}")


def _libgl() -> Finding:
    found = ctypes.util.find_library("GL")
    if found is None:
        return Finding(None, "libGL", "not installed; OpenCV with windows needs it: apt-get install libgl1")
    return Finding(True, "libGL", found)


def _kernels() -> Finding:
    """Compile mechanics for a small body, and hold them to torch's."""
    import torch

    from motorque.mechanics.compiled import machine
    from motorque.mechanics.dynamics import inverse_dynamics

    if reason := machine.why_not():
        return Finding(None, "kernels", f"{reason}; mechanics run on torch, more slowly: pip install 'llvmlite>=0.45'")
    body = motorque.fullbody()
    x = torch.full((3, body.nv), 0.1, dtype=torch.float64)
    one, two = (inverse_dynamics(body, x, x, x, backend=b) for b in ("compiled", "torch"))
    _expect(
        bool(torch.allclose(one, two, rtol=0, atol=1e-9 * float(two.abs().max()))), "computes other moments than torch"
    )
    folder = machine.cache_folder()
    where = f"kept in {folder}" if folder else "kept nowhere (MOTORQUE_CACHE is off, or its folder is not safe)"
    return Finding(True, "kernels", f"llvmlite {_version('llvmlite')}, {machine.processor().instructions}, {where}")


def _cuda() -> Finding:
    import torch

    if torch.cuda.is_available():
        probe = torch.ones(8, device="cuda").sum().item()
        _expect(probe == 8.0, "adds wrongly")
        return Finding(True, "CUDA", f"{torch.version.cuda} on {torch.cuda.get_device_name(0)}, computes")
    why = "this torch is built for the CPU" if torch.version.cuda is None else "torch finds no device"
    return Finding(None, "CUDA", f"not used: {why}; nothing in motorque needs a GPU")


CORE: dict[str, Callable[[], Finding | str]] = {
    "numpy": _numpy,
    "scipy": _scipy,
    "torch": _torch,
    "lxml": _lxml,
    "ezc3d": _ezc3d,
    "av": _av,
    "plotly": _plotly,
    "skeleton": _skeleton,
    "disk": _disk,
}

OPTIONAL: dict[str, Callable[[], Finding | str]] = {
    "kernels": _kernels,
    "opensim": _opensim,
    "mediapipe": _mediapipe,
    "onnxruntime": _onnxruntime,
    "opencv": _opencv,
    "libGL": _libgl,
    "CUDA": _cuda,
}

"""From LLVM assembly to a function in memory, and a cache of such functions on disk.

``llvmlite`` carries LLVM in its wheel, so no compiler is needed. The machine code of a kernel is kept under a name made
of everything that it depends on: what it computes, this package's own sources, the processor and LLVM's version.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import stat
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

KERNEL = "kernel"
MOST_KERNELS = 256
"""Kernels that are kept on disk, about 100 KB each."""
Entry = Callable[[int, int, int, int, int, int, int], None]
LOCK = threading.RLock()
"""Held whenever LLVM is at work, until it has also let go of what it worked on."""
_SIGNATURE = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 5, ctypes.c_int64, ctypes.c_int64)


@dataclass(frozen=True)
class Processor:
    """What code is emitted for.

    Args:
        name: LLVM's name of the processor.
        features: LLVM's list of what it can do.
        bits: Width of its vectors.
        instructions: The vector instructions' name, for people.
    """

    name: str
    features: str
    bits: int
    instructions: str

    def lanes(self, real: str) -> int:
        """Frames that one vector holds."""
        return self.bits // (32 if real == "float" else 64)


@cache
def why_not() -> str:
    """Why code can't be compiled here; empty if it can."""
    try:
        here = processor()
    except Exception as error:  # a broken installation can fail in any way, and torch can do the work
        return f"llvmlite does not work here ({type(error).__name__}: {error})"
    return "" if here.bits else f"this processor ({here.name}) has no fused multiply-add on vectors"


def _vectors(features: dict[str, bool]) -> tuple[int, str] | None:
    if platform.machine().lower() in ("arm64", "aarch64"):
        return 128, "NEON"
    if features.get("avx512f") and features.get("avx512dq") and features.get("avx512vl"):
        return 512, "AVX-512"
    if features.get("avx2") and features.get("fma"):
        return 256, "AVX2"
    return None


@cache
def processor() -> Processor:
    """The processor at hand, and LLVM made ready for it; a width of 0 where code for it would be too slow."""
    import llvmlite.binding as llvm

    with LOCK:
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        features = llvm.get_host_cpu_features()
        bits, instructions = _vectors(dict(features)) or (0, "none")
        return Processor(llvm.get_host_cpu_name(), features.flatten(), bits, instructions)


@cache
def _sources() -> str:
    """Hash of this package's sources: what they emit may have changed."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def cache_key(*description: object) -> str:
    """A file name for everything that a kernel depends on."""
    import llvmlite

    here = processor()
    everything = (llvmlite.__version__, here.name, here.features, _sources(), *description)
    return hashlib.sha256(repr(everything).encode()).hexdigest()[:40]


def cache_folder() -> Path | None:
    """Where kernels are kept: ``$MOTORQUE_CACHE``, else the user's cache folder; None if nothing is to be kept.

    Machine code is read back from it, so a folder that others may write to is not used. ``MOTORQUE_CACHE=off`` keeps
    nothing.
    """
    named = os.environ.get("MOTORQUE_CACHE")
    if named == "off":
        return None
    if named:
        folder = Path(named)
    elif os.name == "nt":
        folder = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "motorque"
    else:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "motorque"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        about = folder.stat()
    except (OSError, RuntimeError):
        return None
    if os.name != "nt" and (about.st_uid != os.getuid() or about.st_mode & (stat.S_IWGRP | stat.S_IWOTH)):
        return None
    return folder


def load(key: str) -> bytes | None:
    """Machine code from the cache, or None if it is not there or not whole."""
    folder = cache_folder()
    if folder is None:
        return None
    try:
        content = (folder / f"{key}.kernel").read_bytes()
    except OSError:
        return None
    digest, code = content[:32], content[32:]
    return code if hashlib.sha256(code).digest() == digest else None


def is_cached(key: str) -> bool:
    """Whether machine code for a key seems to be in the cache."""
    folder = cache_folder()
    return folder is not None and (folder / f"{key}.kernel").is_file()


def keep(key: str, code: bytes) -> None:
    """Put machine code into the cache, at once and whole; a folder that can't be written to is no error."""
    folder = cache_folder()
    if folder is None:
        return
    try:
        handle, name = tempfile.mkstemp(dir=folder, suffix=".part")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(hashlib.sha256(code).digest() + code)
            os.replace(name, folder / f"{key}.kernel")
            _forget_the_oldest(folder)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError:
        pass


def _forget_the_oldest(folder: Path) -> None:
    """Kernels of versions and skeletons that are no more would pile up; one that is missed is compiled again."""
    kept = sorted(folder.glob("*.kernel"), key=lambda path: path.stat().st_mtime)
    for path in kept[:-MOST_KERNELS]:
        path.unlink(missing_ok=True)


def compile_assembly(assembly: str, *, optimization: int = 1) -> bytes:
    """Machine code, as an object file, for LLVM assembly."""
    with LOCK:
        return _object_file(assembly, optimization)


def _object_file(assembly: str, optimization: int) -> bytes:
    """A function of its own, so that LLVM's objects are gone when the lock is."""
    import llvmlite.binding as llvm

    module = llvm.parse_assembly(assembly)
    machine = _target(optimization)
    module.triple, module.data_layout = machine.triple, str(machine.target_data)
    return bytes(machine.emit_object(module))


def _target(optimization: int) -> Any:
    import llvmlite.binding as llvm

    here = processor()
    return llvm.Target.from_default_triple().create_target_machine(
        cpu=here.name, features=here.features, opt=optimization, jit=True, reloc="default", codemodel="jitdefault"
    )


def link(code: bytes) -> Entry:
    """The function in an object file, ready to be called; it stays in memory as long as the program runs."""
    with LOCK:
        return _linked(code)


def _linked(code: bytes) -> Entry:
    import llvmlite.binding as llvm

    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), _target(1))
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    _ENGINES.append(engine)
    return _SIGNATURE(engine.get_function_address(KERNEL))


_ENGINES: list[object] = []

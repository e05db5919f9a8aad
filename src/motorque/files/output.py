"""Writing without leftovers: a file or a folder of results appears whole or not at all.

Everything is written beside its destination under a hidden name and renamed when it is complete, so that a full disk, a
wrong input halfway, or Ctrl-C leaves what was there before.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from motorque.errors import MotorqueError, OutputError

_REASONS = {
    errno.EACCES: "no permission to write there; choose another place with --out",
    errno.EPERM: "no permission to write there; choose another place with --out",
    errno.EROFS: "the disk is read-only; choose another place with --out",
    errno.ENOSPC: "the disk is full; make room or choose another place with --out",
    errno.EDQUOT: "the disk quota is used up; make room or choose another place with --out",
    errno.EFBIG: "the file would be larger than this account or disk allows; choose another place with --out",
    errno.ENOTDIR: "a part of the path is a file, not a folder; choose another place with --out",
    errno.EISDIR: "there is a folder of that name; give the name of a file",
    errno.ENAMETOOLONG: "the name is too long for the disk; choose a shorter one",
}


_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_HIDDEN = ".motorque-"


def output_error(error: OSError, path: Path | str) -> OutputError:
    """The one-line error for something that could not be written.

    Args:
        error: What the operating system said.
        path: What was to be written, as the user knows it.
    """
    reason = _REASONS.get(error.errno or 0, error.strerror or type(error).__name__)
    return OutputError(f"{path}: cannot be written: {reason}")


@contextlib.contextmanager
def replacing(path: Path | str) -> Iterator[Path]:
    """A hidden path beside ``path`` to write to; it takes the place of ``path`` when the block ends without an error.

    Missing folders above are made, and taken away again if the block fails. A link is followed: what it points to is
    replaced. The suffix is kept, for writers that go by it.

    Raises:
        OutputError: There is no permission, no space, or something other than a file of that name.
    """
    path = Path(path)
    with _explained(path):
        target = path.resolve()
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, "is a folder", str(target))
        if target.exists() and not target.is_file():
            # Renaming over a device such as /dev/null would replace the device itself.
            raise OutputError(f"{path}: cannot be written: it is a device, not a file; give the name of a file")
        with _parents(target), _scratch_file(target) as scratch:
            yield scratch
            if target.exists():
                shutil.copymode(target, scratch)
            _flush(scratch)
            os.replace(scratch, target)


def write_bytes(path: Path | str, data: bytes) -> None:
    """Write a whole file at once; raises :class:`OutputError` and leaves what was there if that fails."""
    with replacing(path) as scratch:
        scratch.write_bytes(data)


def write_text(path: Path | str, text: str) -> None:
    """Write a whole text file (UTF-8, line ends as given); raises :class:`OutputError` and leaves what was there."""
    write_bytes(path, text.encode("utf-8"))


class OutputFolder:
    """A folder of results that belong together, written as one transaction.

    Inside the block, write to ``folder.path / name`` (subfolders as you like). At its end all files move in place, each
    replacing its namesake; other files that were in the folder stay. If the block raises, or a move fails, the
    destination is as it was before::

        with OutputFolder("out") as folder:
            write_trc(folder.path / "markers.trc", markers)

    Args:
        destination: The folder for the results; it and the folders above it are made if need be.

    Raises:
        OutputError: On entering, if nothing can be written there (so that this is known before the work is done); on
            leaving, if the files cannot be put in place.
    """

    def __init__(self, destination: Path | str) -> None:
        self.destination = Path(destination)
        self._transaction = self._run()
        self._scratch: Path | None = None

    @property
    def path(self) -> Path:
        """The hidden folder to write to, only inside the block."""
        if self._scratch is None:
            raise RuntimeError("OutputFolder.path is only there inside its with block")
        return self._scratch

    def __enter__(self) -> Self:
        self._scratch = self._transaction.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._transaction.__exit__(kind, error, trace)
        finally:
            self._scratch = None

    @contextlib.contextmanager
    def _run(self) -> Iterator[Path]:
        with _explained(self.destination):
            target = self.destination.resolve()
            if target.exists() and not target.is_dir():
                raise OutputError(f"{self.destination}: is a file; give the name of a folder for the results")
            # Inside an existing folder: it may be a mounted disk, whose parent lies on another one.
            where = target if target.exists() else target.parent
            with _parents(target), _scratch_folder(where) as scratch:
                try:
                    yield scratch
                except MotorqueError as error:
                    if str(scratch) not in str(error):
                        raise
                    # Nobody has heard of the hidden folder.
                    raise type(error)(str(error).replace(str(scratch), str(self.destination))) from error
                _publish(scratch, target)


def _publish(scratch: Path, target: Path) -> None:
    """Move every file of one folder to another; undo all moves if one fails."""
    files = sorted(file.relative_to(scratch) for file in scratch.rglob("*") if not file.is_dir())
    for file in files:
        _flush(scratch / file)
    if not target.exists():
        os.rename(scratch, target)
        return
    with _scratch_folder(target) as attic, contextlib.ExitStack() as undo:
        for file in files:
            if (target / file).is_dir():
                raise IsADirectoryError(errno.EISDIR, "is a folder", str(target / file))
            undo.enter_context(_parents(target / file))
            (attic / file).parent.mkdir(parents=True, exist_ok=True)
            # Each undo is noted before its move, so that Ctrl-C between the two finds it.
            if (target / file).exists():
                undo.callback(_move, attic / file, target / file)
                os.rename(target / file, attic / file)
            undo.callback(_move, target / file, scratch / file)
            os.rename(scratch / file, target / file)
        undo.pop_all()


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn what the operating system says about ``path`` or a full disk into an :class:`OutputError`.

    Errors about other files (an input that vanishes while the results are written) pass through as they are.
    """
    try:
        yield
    except OSError as error:
        target = path.resolve()
        named = [Path(os.fsdecode(name)) for name in (error.filename, error.filename2) if isinstance(name, str | bytes)]
        # A file of the result, a hidden one beside it, or a folder that had to be made above it.
        ours = any(target in (name, *name.parents) or name in target.parents or _HIDDEN in str(name) for name in named)
        if ours or error.errno in _FULL:
            raise output_error(error, path) from error
        raise


def _move(source: Path, destination: Path) -> None:
    """Move a file back, if it ever got away."""
    if source.exists():
        os.replace(source, destination)


def _flush(path: Path) -> None:
    """Wait until a file is on the disk: a disk that fills up may say so only now."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def _parents(target: Path) -> Iterator[None]:
    """Make the missing folders above ``target``; take them away again if the block fails."""
    missing = [parent for parent in target.parents if not parent.exists()]
    made: list[Path] = []
    try:
        for parent in reversed(missing):
            parent.mkdir(exist_ok=True)
            made.append(parent)
        yield
    except BaseException:
        for parent in reversed(made):
            with contextlib.suppress(OSError):  # not empty: somebody else has put something there
                parent.rmdir()
        raise


@contextlib.contextmanager
def _scratch_file(target: Path) -> Iterator[Path]:
    """An empty hidden file beside ``target``, gone at the end if nobody has renamed it."""
    scratch = target.with_name(f"{_HIDDEN}{secrets.token_hex(4)}{target.suffix}")
    try:
        # Mode 0666 less the umask, as an ordinary new file has it; tempfile's 0600 would hide results from a group.
        os.close(os.open(scratch, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        yield scratch
    finally:
        with contextlib.suppress(FileNotFoundError):
            scratch.unlink()


@contextlib.contextmanager
def _scratch_folder(where: Path) -> Iterator[Path]:
    """An empty hidden folder in ``where``, gone at the end with all that is in it."""
    scratch = where / f"{_HIDDEN}{secrets.token_hex(4)}"
    try:
        scratch.mkdir()
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)

"""Results appear whole or not at all, whatever goes wrong."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from motorque.errors import DataError, OutputError
from motorque.files.output import OutputFolder, replacing, write_bytes, write_text


def everything_in(folder: Path) -> dict[str, str]:
    """Every file below a folder, hidden ones too, with its content."""
    return {str(p.relative_to(folder)): p.read_text() for p in sorted(folder.rglob("*")) if p.is_file()}


@contextlib.contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """The kernel refuses to let a file grow over ``size`` bytes: a disk that fills up, without needing one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture
def no_rights() -> Iterator[Path]:
    """A folder in which this process may not write (root gives up its rights for the test)."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o555)
    was_root = os.geteuid() == 0
    if was_root:
        os.seteuid(65534)
    try:
        yield folder
    finally:
        if was_root:
            os.seteuid(0)
        folder.chmod(0o755)
        shutil.rmtree(folder)


def test_file_is_replaced_whole_with_folders_above(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "ik.mot"
    write_text(path, "first\n")
    write_text(path, "second\n")
    assert everything_in(tmp_path) == {"a/b/ik.mot": "second\n"}


def test_error_while_writing_keeps_the_old_file_and_removes_new_folders(tmp_path: Path) -> None:
    old = tmp_path / "ik.mot"
    old.write_text("old")
    for path in (old, tmp_path / "new" / "deep" / "ik.mot"):
        with pytest.raises(DataError), replacing(path) as scratch:
            scratch.write_text("half")
            raise DataError("marker 3 is bad")
    assert everything_in(tmp_path) == {"ik.mot": "old"}
    assert not (tmp_path / "new").exists()


def test_interrupt_while_writing_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), replacing(tmp_path / "ik.mot") as scratch:
        scratch.write_text("half")
        raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt), OutputFolder(tmp_path / "out") as folder:
        (folder.path / "ik.mot").write_text("half")
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_scratch_keeps_the_suffix_and_the_result_has_ordinary_rights(tmp_path: Path) -> None:
    path = tmp_path / "model.osim"
    before = os.umask(0o022)
    try:
        with replacing(path) as scratch:
            assert scratch.suffix == ".osim"
            scratch.write_text("x")
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o644
    path.chmod(0o600)
    write_text(path, "y")
    assert path.stat().st_mode & 0o777 == 0o600


def test_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real.mot").write_text("old")
    (tmp_path / "link.mot").symlink_to(tmp_path / "real.mot")
    write_text(tmp_path / "link.mot", "new")
    assert (tmp_path / "link.mot").is_symlink()
    assert (tmp_path / "real.mot").read_text() == "new"


def test_device_is_not_replaced() -> None:
    with pytest.raises(OutputError, match="device"):
        write_text("/dev/null", "x")
    assert Path("/dev/null").is_char_device()


def test_folder_or_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("old")
    with pytest.raises(OutputError, match="folder"):
        write_text(tmp_path / "folder", "x")
    with pytest.raises(OutputError, match="not a folder"):
        write_text(tmp_path / "file" / "ik.mot", "x")
    with pytest.raises(OutputError, match="is a file"), OutputFolder(tmp_path / "file"):
        pytest.fail("entered")
    with pytest.raises(OutputError, match="not a folder"), OutputFolder(tmp_path / "file" / "out"):
        pytest.fail("entered")


@pytest.mark.parametrize("name", ["ik.mot", "new/ik.mot"])
def test_no_permission_for_a_file(no_rights: Path, name: str) -> None:
    with pytest.raises(OutputError, match=rf"{name}: cannot be written: no permission"):
        write_text(no_rights / name, "x")


@pytest.mark.parametrize("name", [".", "out", "new/out"])
def test_no_permission_for_a_folder_is_known_before_the_work(no_rights: Path, name: str) -> None:
    with pytest.raises(OutputError, match="no permission"), OutputFolder(no_rights / name):
        pytest.fail("entered")


def test_full_disk_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "ik.mot"
    path.write_text("old")
    with file_size_limit(10_000), pytest.raises(OutputError, match="cannot be written"):
        write_bytes(path, b"x" * 100_000)
    assert everything_in(tmp_path) == {"ik.mot": "old"}


def test_full_disk_in_a_folder(tmp_path: Path) -> None:
    (tmp_path / "model.osim").write_text("old")
    with (
        file_size_limit(10_000),
        pytest.raises(OutputError, match="cannot be written"),
        OutputFolder(tmp_path) as folder,
    ):
        (folder.path / "model.osim").write_text("new")
        (folder.path / "kinematics.mot").write_text("x" * 100_000)
    assert everything_in(tmp_path) == {"model.osim": "old"}


def test_disk_that_says_only_at_the_end_that_it_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="ik.mot: cannot be written: the disk is full"):
        write_text(tmp_path / "ik.mot", "x")
    with pytest.raises(OutputError, match="the disk is full"), OutputFolder(tmp_path / "out") as folder:
        (folder.path / "ik.mot").write_text("x")
    assert list(tmp_path.iterdir()) == []


def test_error_about_another_file_is_not_taken_for_an_output_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), OutputFolder(tmp_path / "out"):
        (tmp_path / "elsewhere" / "input.trc").read_text()
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "out.mot"):
        (tmp_path / "elsewhere" / "input.trc").read_text()


def test_new_folder_appears_with_all_its_files(tmp_path: Path) -> None:
    out = tmp_path / "a" / "out"
    with OutputFolder(out) as folder:
        (folder.path / "tables").mkdir()
        (folder.path / "tables" / "angles.csv").write_text("a")
        (folder.path / "report.html").write_text("r")
        assert not out.exists()
    assert everything_in(tmp_path) == {"a/out/report.html": "r", "a/out/tables/angles.csv": "a"}
    with pytest.raises(RuntimeError):
        _ = folder.path


def test_existing_folder_keeps_what_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "mine.csv").write_text("mine")
    (tmp_path / "report.html").write_text("old")
    with OutputFolder(tmp_path) as folder:
        (folder.path / "tables").mkdir()
        (folder.path / "tables" / "angles.csv").write_text("a")
        (folder.path / "report.html").write_text("new")
        assert (tmp_path / "report.html").read_text() == "old"
    assert everything_in(tmp_path) == {"report.html": "new", "tables/angles.csv": "a", "tables/mine.csv": "mine"}


@pytest.mark.parametrize("failure", [OSError(errno.EIO, "input/output error", ".motorque-x"), KeyboardInterrupt()])
@pytest.mark.parametrize("at", range(1, 6))
def test_failed_move_is_undone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int, failure: BaseException
) -> None:
    """Three files of which two replace old ones are five moves; whichever fails, the folder is as it was."""
    before = {"a": "old a", "c": "old c", "mine": "mine"}
    for name, text in before.items():
        (tmp_path / name).write_text(text)
    count = 0
    rename = os.rename

    def failing(source: Path, destination: Path) -> None:
        nonlocal count
        count += 1
        if count == at:
            raise failure
        rename(source, destination)

    monkeypatch.setattr(os, "rename", failing)
    with pytest.raises((OutputError, KeyboardInterrupt)), OutputFolder(tmp_path) as folder:
        for name in ("a", "new/b", "c"):
            (folder.path / name).parent.mkdir(exist_ok=True)
            (folder.path / name).write_text("new")
    assert count == at
    assert everything_in(tmp_path) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(before)


def test_folder_of_the_same_name_as_a_result_survives(tmp_path: Path) -> None:
    (tmp_path / "report.html").mkdir()
    (tmp_path / "report.html" / "mine").write_text("mine")
    with pytest.raises(OutputError, match="folder of that name"), OutputFolder(tmp_path) as folder:
        (folder.path / "report.html").write_text("new")
    assert everything_in(tmp_path) == {"report.html/mine": "mine"}


def test_terminated_command_line_cleans_up(tmp_path: Path) -> None:
    """SIGTERM (a scheduler that ends the job) takes the same way out as Ctrl-C."""
    code = (
        "import os, signal, sys\n"
        "from motorque.cli import interruptible\n"
        "from motorque.files.output import OutputFolder\n"
        "with interruptible(), OutputFolder(sys.argv[1]) as folder:\n"
        "    (folder.path / 'ik.mot').write_text('half')\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "out")], capture_output=True, timeout=60)
    assert done.returncode == 128 + signal.SIGTERM
    assert list(tmp_path.iterdir()) == []

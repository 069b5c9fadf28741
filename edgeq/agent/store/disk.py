"""The one place through which the store changes the disk, and makes changes last.

What is not synced may be lost with the power, in any order: content by `sync` of the file, names
by `sync` of the folder they are in, everything by `sync_all`.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Any, Iterable, NamedTuple


class DurableFile(NamedTuple):
    """A file that is being written."""

    fd: int
    path: Path


def open_file(path: Path) -> DurableFile:
    """Open a regular file for reading and writing, made if it is not there; never a link's end."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    return DurableFile(os.open(str(path), flags, 0o644), path)


def write(file: DurableFile, content: bytes | memoryview) -> None:
    """Write at the file's position."""
    left = memoryview(content)
    try:
        while left:
            left = left[os.write(file.fd, left) :]
    except OSError as exc:
        exc.filename = str(file.path)
        raise


def truncate(file: DurableFile, size_bytes: int) -> None:
    """Cut a file, and write behind the cut from now on."""
    os.ftruncate(file.fd, size_bytes)
    os.lseek(file.fd, size_bytes, os.SEEK_SET)


def mkdir(path: Path) -> None:
    """Make one folder."""
    path.mkdir()


def symlink(target: str, path: Path) -> None:
    """Make a link."""
    path.symlink_to(target)


def rename(before: Path, after: Path) -> None:
    """Give a file, link or folder another name, at once, in the place of what has that name."""
    os.replace(str(before), str(after))  # noqa: PTH105  pathlib's own would hide the second path


def remove(path: Path) -> None:
    """Remove a file, a link or an empty folder."""
    if stat.S_ISDIR(path.lstat().st_mode):
        path.rmdir()
    else:
        path.unlink()


def sync(path: Path) -> None:
    """Make the content of a file, or the names in a folder, last."""
    fd = os.open(str(path), os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    except OSError as exc:
        # Some filesystems (FUSE) know no sync of a folder.
        if exc.errno != errno.EINVAL:
            exc.filename = str(path)
            raise
    finally:
        os.close(fd)


def sync_all(root: Path, files: Iterable[Path]) -> None:
    """Make everything on the filesystem of `root` last; `files` one by one where it cannot."""
    fd = os.open(str(root), os.O_RDONLY | os.O_CLOEXEC)
    try:
        is_done = _syncfs(fd)
    finally:
        os.close(fd)
    if not is_done:
        for file in files:
            sync(file)


def _syncfs(fd: int) -> bool:
    """syncfs(2), which Python does not offer; False where the system has none."""
    try:
        import ctypes

        libc: Any = ctypes.CDLL(None, use_errno=True)
        status = libc.syncfs(fd)
    except (ImportError, OSError, AttributeError):
        return False
    if status == 0:
        return True
    code = ctypes.get_errno()
    if code == errno.ENOSYS:
        return False
    raise OSError(code, os.strerror(code))


def make_folder(path: Path) -> None:
    """A folder that lasts, with its parents, where it is not there yet."""
    if path.is_dir():
        return
    make_folder(path.parent)
    try:
        mkdir(path)
    except FileExistsError:
        # Another session may have been faster.
        if not path.is_dir():
            raise
    sync(path.parent)


def remove_tree(path: Path) -> int:
    """Remove a folder with all that is in it, or a file; the bytes of its files."""
    freed_bytes = 0
    status = path.lstat()
    if stat.S_ISDIR(status.st_mode):
        for child in list(path.iterdir()):
            freed_bytes += remove_tree(child)
    elif stat.S_ISREG(status.st_mode):
        freed_bytes = status.st_size
    remove(path)
    return freed_bytes


def write_whole(path: Path, content: bytes, temporary: Path) -> None:
    """Write a file that is never seen half and lasts; `temporary` is on the same filesystem."""
    file = open_file(temporary)
    try:
        truncate(file, 0)
        write(file, content)
    finally:
        os.close(file.fd)
    sync(temporary)
    rename(temporary, path)
    sync(path.parent)


def link_whole(target: str, path: Path, temporary: Path) -> None:
    """Make a link in the place of what has that name, at once; the folder is not synced yet."""
    symlink(target, temporary)
    rename(temporary, path)

"""Atomic writes, checked reads, and lock files."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import math
import os
import re
import stat
import uuid
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from mnist_depth.errors import UserError, refusal

MAX_DEPTH = 50
"""Maximum nesting of a JSON file, a guard for recursive readers; run folders need three levels."""

MAX_JSON_BYTES, MAX_LINES_BYTES = 64 << 20, 1 << 30
"""Size of a JSON file and of a JSON lines file that is still read; those of runs have kilobytes and megabytes."""

NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)
"""Error codes of file systems without locks: some NFS, FUSE and cluster mounts."""

ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")
"""The beginning of an address such as `gs://bucket/logs`, also of one that `Path` made `gs:/bucket/logs` of."""


def local_path(path: str | os.PathLike[str], what: str) -> Path:
    """The path of a file or folder. Raises UserError, about the flag or argument `what`, for an address."""
    if ADDRESS.match(os.fspath(path)):
        raise UserError(
            "{what} takes a path of this machine, not the address {path}; mount it", what=what, path=os.fspath(path)
        )
    return Path(path)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A binary file that takes the place of `path` at the end of the block, complete and on disk.

    Until then, and after any error, `path` is as it was. The temporary file is in the same folder, under a name
    unrelated to the target so that TensorBoard does not read it as an event file. Raises UserError when the disk is
    full or the folder cannot be written.
    """
    temporary = path.with_name(f".{uuid.uuid4().hex}.tmp")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise UserError("cannot write {path}: {reason}", path=path, reason=refusal(error)) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_atomic(path: Path, content: str | bytes) -> None:
    """Write a whole file or nothing. Raises UserError like `replacing`."""
    with replacing(path) as file:
        file.write(content.encode(errors="backslashreplace") if isinstance(content, str) else content)


def open_regular(path: Path, max_bytes: int) -> BinaryIO:
    """Open a file for reading. Raises UserError for anything but a regular file of at most `max_bytes`.

    Reading a pipe can block forever, and a device has no end. Raises OSError where the file cannot be opened.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    file = os.fdopen(descriptor, "rb") if _is_regular(descriptor) else None
    if file is None:
        os.close(descriptor)
        raise UserError("{path} is not a regular file; remove it", path=path)
    size = os.fstat(descriptor).st_size
    if size > max_bytes:
        file.close()
        raise UserError(
            "{path} has {size:,.0f} MB, more than the {limit:,.0f} MB that are read of it",
            path=path,
            size=size / 1e6,
            limit=max_bytes / 1e6,
        )
    return file


def _is_regular(descriptor: int) -> bool:
    return stat.S_ISREG(os.fstat(descriptor).st_mode)


def check_archive(path: Path, max_bytes: float) -> None:
    """Raise UserError for a zip file (.npz, .keras) that is no regular file or would unpack to more than `max_bytes`.

    A file that is no zip file passes; its reader says what is wrong. Raises OSError where the file cannot be opened.
    """
    with open_regular(path, 1 << 62) as file, contextlib.suppress(zipfile.BadZipFile, ValueError):
        size = sum(entry.file_size for entry in zipfile.ZipFile(file).infolist())
        if size > max_bytes:
            raise UserError(
                "{path} unpacks to {size:.1f} GB, and {left:.1f} GB of memory are left; give a smaller file",
                path=path,
                size=size / 1e9,
                left=max_bytes / 1e9,
            )


def is_denied(error: BaseException) -> bool:
    """Whether a missing permission, or a read-only file system, is why something could not be written."""
    cause = error.__cause__ if isinstance(error, UserError) else error
    return isinstance(cause, OSError) and cause.errno in (errno.EACCES, errno.EPERM, errno.EROFS)


def check_writable(folder: Path) -> None:
    """Raise UserError where this user may not write a folder and its files, or make it in the nearest one above it."""
    above = next(path for path in (folder, *folder.parents) if path.exists())
    if not above.is_dir():
        return
    for path in (above, *(folder.iterdir() if above == folder else ())):
        if os.access(path, os.W_OK) or path.is_symlink():
            continue
        if os.statvfs(path).f_flag & os.ST_RDONLY:
            raise UserError("cannot write {path}: its file system is read-only; choose another --logdir", path=path)
        raise UserError(
            "no permission to write {path}, which belongs to {owner}; choose another --logdir, or ask {owner} for a "
            "group that may write (in shared folders chmod -R g+rwXs, and umask 002 for everyone)",
            path=path,
            owner=_owner(path),
        )


def _owner(path: Path) -> str:
    """The name of the user that a file belongs to; the number of one without a name, as in containers."""
    try:
        return path.owner()
    except KeyError:
        return str(path.stat().st_uid)


def open_lock(path: Path) -> int:
    """The descriptor of a lock file, which is made where it is missing. Raises UserError for anything else there."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise UserError("{path} is a link, which a run never makes; remove it", path=path) from None
        raise UserError("cannot write {path}: {reason}", path=path, reason=refusal(error)) from error
    if not _is_regular(descriptor):
        os.close(descriptor)
        raise UserError("{path} is not a regular file; remove it", path=path)
    return descriptor


def lock(descriptor: int, wait: bool = False) -> bool:
    """Lock an open file until it is closed or this process ends; False where another process holds it.

    True also on a file system without locks, which `locks_missing` reports. Raises OSError on other errors.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
    return True


def locks_missing(folder: Path) -> UserError | str:
    """Why files in a folder cannot be locked; empty where they can."""
    path = folder / f".{uuid.uuid4().hex}.tmp"
    descriptor = open_lock(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return refusal(error)
    finally:
        os.close(descriptor)
        path.unlink(missing_ok=True)
    return ""


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file. Raises UserError that names the file when it is missing or damaged."""
    try:
        with open_regular(path, MAX_JSON_BYTES) as file:
            values = json.loads(file.read().decode())
    except FileNotFoundError:
        raise UserError("{path} is missing", path=path) from None
    except (OSError, ValueError, RecursionError) as error:
        reason = type(error).__name__
        raise UserError(
            "{path} is damaged ({reason}); remove the run folder to train it again", path=path, reason=reason
        ) from None
    if not isinstance(values, dict) or not _is_shallow(values):
        raise UserError("{path} does not hold a plain JSON object; remove the run folder to train it again", path=path)
    return values


def _is_shallow(value: Any, levels: int = MAX_DEPTH) -> bool:
    """Whether nesting is at most `levels` deep."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return levels > 0 and all(_is_shallow(item, levels - 1) for item in inner)


def encode(value: float) -> float | str:
    """A number that JSON can hold: `nan`, `inf` and `-inf` become strings, which `float()` reads back."""
    return value if math.isfinite(value) else str(value)

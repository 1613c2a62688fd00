"""Extract the archives of a data set, once."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import errno
import os
import platform
import shutil
import stat
import struct
import tempfile
import time
import zipfile
import zlib
from contextlib import contextmanager
from pathlib import Path

from .._cache import delete_unfinished, lock_folder, make_key
from ._base import check_cache, is_writable, resolve_cache_home
from ._space import check_free_space

# File with the stamp of the archive from which a folder was extracted.
_STAMP_NAME = ".skinest-archive"
# Start of the names of folders that are being filled.
_UNFINISHED = ".skinest-unfinished-"
_DAY = 24 * 3600
_MAX_NAME = 255  # bytes of a name that file systems allow

# Errors that zipfile may raise for a damaged archive. RuntimeError is for members that
# seem encrypted or compressed by an unknown method.
DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    RuntimeError,
    ValueError,
)


def is_damage(error):
    """Return whether an error of zipfile is about the archive, not about the disk.

    If the start of an archive is missing, zipfile looks for members at a negative
    position, and the system's error for this is EINVAL.
    """
    return not isinstance(error, OSError) or error.errno == errno.EINVAL


def extract_archive(archive):
    """Extract a zip archive, if it is not extracted yet.

    The files are extracted into a folder beside the archive, with its name without
    ``.zip``. If all files in the archive are in a folder, that folder is not repeated.
    If the parent folder is read-only, or the folder has the files of an older archive
    of this name, the files are extracted into the user's cache instead, under a name
    made from the content of the archive. A folder that the user has filled is used
    without changes, even if the archive no longer exists.

    Either all files are extracted or none. The folder gets its final name when it is
    complete, so that several processes can extract the same archive together. What a
    killed process has left is deleted.

    Parameters
    ----------
    archive : Path
        The absolute path of the archive.

    Returns
    -------
    folder : Path
        The folder with the files.

    Raises
    ------
    ValueError
        If the archive is damaged.
    OSError
        If the disk has not enough free space for the files.
    """
    folder = _choose_folder(archive)
    if folder.parent.is_dir() and is_writable(folder.parent):
        delete_unfinished(folder.parent, _is_left)
    if not _is_filled(folder):
        _extract(archive, folder)
    return _find_content(folder, archive)


def is_there(file):
    """Return whether a file, or the folder of an extracted archive, exists."""
    return file.is_file() or (
        file.suffix == ".zip" and _is_filled(file.with_suffix(""))
    )


def _choose_folder(archive):
    """Return the folder that has the files of an archive, or is to get them."""
    beside = archive.with_suffix("")
    if not archive.is_file():
        return beside
    if beside.exists() and not beside.is_dir():
        raise NotADirectoryError(
            f"{beside} is a file, but {archive} is extracted into a folder of that "
            "name. Move or rename the file."
        )
    is_right = (
        _is_of(beside, archive) if _is_filled(beside) else is_writable(archive.parent)
    )
    if is_right:
        return beside
    name = f"{archive.stem}-{_compute_stamp(archive)[:16]}"
    cached = resolve_cache_home() / "extracted" / name
    if not _is_filled(cached):
        check_cache(cached.parent, f"{archive.name} is extracted")
    return cached


def _find_content(folder, archive):
    """Return the folder of the files of an archive, which may be inside other folders.

    A folder is entered if it has the name of the archive, or if nothing is beside it.
    """
    while (inner := _find_inner(folder, archive.stem)) is not None:
        folder = inner
    return folder


def _find_inner(folder, name):
    if (folder / name).is_dir():
        return folder / name
    # Hidden files and this folder are those of macOS.
    seen = [e for e in folder.iterdir() if e.name[0] != "." and e.name != "__MACOSX"]
    return seen[0] if len(seen) == 1 and seen[0].is_dir() else None


@contextmanager
def _open(archive):
    """Open an archive, and raise ValueError if it is damaged."""
    try:
        with zipfile.ZipFile(archive) as opened:
            yield opened
    except (*DAMAGE, OSError) as error:
        if not is_damage(error):
            raise
        raise ValueError(
            f"The archive {archive} is damaged ({str(error)[:200]}). Delete it and "
            "download it again."
        ) from error


def _compute_stamp(archive):
    """Return a digest of an archive's size and of the list of its members.

    The time is not in it, because a copy of the archive may have another one. The list
    has a checksum of each member, so that their contents need not be read.
    """
    with _open(archive) as opened:
        members = [
            (member.filename, member.file_size, member.CRC)
            for member in opened.infolist()
        ]
    return make_key(archive.stat().st_size, *members)


def _is_of(folder, archive):
    """Return whether a folder has the files of an archive, or of the user."""
    try:
        stamp = (folder / _STAMP_NAME).read_bytes()
    except FileNotFoundError:
        return True
    return stamp == _compute_stamp(archive).encode()


def _is_filled(folder):
    return folder.is_dir() and any(folder.iterdir())


def _extract(archive, folder):
    folder.parent.mkdir(parents=True, exist_ok=True)
    with lock_folder(folder.parent), _make_scratch(folder.parent) as scratch:
        everything = scratch / "content"
        everything.mkdir()
        _unzip(archive, everything)
        content = _find_content(everything, archive)
        (content / _STAMP_NAME).write_bytes(_compute_stamp(archive).encode())
        try:
            os.replace(content, folder)
        except OSError:
            # Another process was faster.
            if not _is_filled(folder):
                raise


@contextmanager
def _make_scratch(parent):
    """Yield a new hidden folder, which is deleted at the end."""
    scratch = Path(tempfile.mkdtemp(prefix=_name_start(), dir=parent))
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _name_start():
    """Return the start of the names of hidden folders that this machine makes."""
    return f"{_UNFINISHED}{platform.node()}-"


def _is_left(entry):
    """Return whether a folder is unfinished if no process on this machine writes.

    On some file systems, processes do not see the locks of other machines, so that a
    new folder of another machine may still be written.
    """
    is_own = entry.name.rpartition("-")[0] + "-" == _name_start()
    return is_own or (
        entry.name.startswith(_UNFINISHED)
        and entry.stat(follow_symlinks=False).st_mtime < time.time() - _DAY
    )


def _check_members(members):
    """Raise ValueError unless each file of an archive can be one file on any system."""
    names: set[str] = set()
    for member in members:
        parts = member.filename.rstrip("/").split("/")
        if not {"", ".", ".."}.isdisjoint(parts) or "\0" in member.filename:
            raise ValueError(f"it has a member {member.filename[:80]!r}")
        if max(len(os.fsencode(part)) for part in parts) > _MAX_NAME:
            raise ValueError(f"the name of {member.filename[:80]!r}... is too long")
        if stat.S_ISLNK(member.external_attr >> 16):
            raise ValueError(f"{member.filename!r} is a link")
        if member.filename.casefold() in names:
            raise ValueError(f"it has {member.filename!r} twice, except for case")
        names.add(member.filename.casefold())
    if not names:
        raise ValueError("it has no member")


def _unzip(archive, folder):
    with _open(archive) as opened:
        _check_members(opened.infolist())
        n_bytes = sum(member.file_size for member in opened.infolist())
        # Not the scratch folder, because the error names the folder.
        check_free_space(folder.parent.parent, n_bytes, f"Extracting {archive}")
        # extractall keeps all members in the folder and checks their CRC.
        opened.extractall(folder)

"""Extract the archives of a data set, once."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import errno
import hashlib
import os
import shutil
import stat
import struct
import tempfile
import zipfile
import zlib
from pathlib import Path

from ._base import check_cache, is_writable, resolve_cache_home
from ._space import check_free_space

# File with the identity of the archive from which a folder was extracted.
_STAMP_NAME = ".skinest-archive"
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
    ``.zip``. A folder of that name inside the archive is not repeated. If the parent
    folder is read-only, or the folder has the files of an older archive of this name,
    the files are extracted into the user's cache instead, under a name made from the
    path, size and modification time of the archive. A folder that the user has filled
    is used without changes, even if the archive no longer exists.

    Either all files are extracted or none. The folder gets its final name when it is
    complete, so that several processes can extract the same archive together.

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
    beside = archive.with_suffix("")
    if not archive.is_file():
        return _find_content(beside, archive)
    if beside.exists() and not beside.is_dir():
        raise NotADirectoryError(
            f"{beside} is a file, but {archive} is extracted into a folder of that "
            "name. Move or rename the file."
        )
    stamp = _stamp(archive)
    if _is_filled(beside):
        if _read_stamp(beside) in (stamp, None):
            return _find_content(beside, archive)
    elif is_writable(archive.parent):
        return _extract(archive, beside, stamp)
    key = hashlib.sha256(f"{archive.parent}/{stamp}".encode()).hexdigest()[:16]
    cached = resolve_cache_home() / "extracted" / f"{archive.stem}-{key}"
    if _is_filled(cached):
        return cached
    check_cache(cached.parent, f"{archive.name} is extracted")
    return _extract(archive, cached, stamp)


def is_there(file):
    """Return whether a file, or the folder of an extracted archive, exists."""
    return file.is_file() or (
        file.suffix == ".zip" and _is_filled(file.with_suffix(""))
    )


def _find_content(folder, archive):
    """Return the folder, or the folder inside it that some programs create."""
    inner = folder / archive.stem
    return inner if inner.is_dir() else folder


def _stamp(archive):
    """Return name, size and modification time of an archive, which identify it."""
    status = archive.stat()
    return f"{archive.name} {status.st_size} {status.st_mtime_ns}"


def _read_stamp(folder):
    """Return the stamp of the archive of a folder, or None if it is not known."""
    try:
        return (folder / _STAMP_NAME).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None


def _is_filled(folder):
    return folder.is_dir() and any(folder.iterdir())


def _extract(archive, folder, stamp):
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{archive.stem}-", dir=folder.parent))
    try:
        everything = scratch / "content"
        everything.mkdir()
        _unzip(archive, everything)
        content = _find_content(everything, archive)
        (content / _STAMP_NAME).write_text(stamp, encoding="utf-8")
        try:
            os.replace(content, folder)
        except OSError:
            # Another process was faster.
            if not _is_filled(folder):
                raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return folder


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
    try:
        with zipfile.ZipFile(archive) as opened:
            _check_members(opened.infolist())
            n_bytes = sum(member.file_size for member in opened.infolist())
            # Not the scratch folder, because the error names the folder.
            check_free_space(folder.parent.parent, n_bytes, f"Extracting {archive}")
            # extractall keeps all members in the folder and checks their CRC.
            opened.extractall(folder)
    except (*DAMAGE, OSError) as error:
        if not is_damage(error):
            raise
        raise ValueError(
            f"The archive {archive} is damaged ({str(error)[:200]}). Delete it and "
            "download it again."
        ) from error

"""Extracting the archives of a data set, once."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import hashlib
import os
import shutil
import struct
import tempfile
import zipfile
import zlib
from pathlib import Path, PureWindowsPath

from ._base import is_writable, resolve_cache_home

# Holds the identity of the archive that a folder was extracted from.
_STAMP_NAME = ".skinest-archive"

# What zipfile may raise on a damaged archive; RuntimeError is for members that
# seem encrypted or packed by an unknown method.
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    RuntimeError,
    ValueError,
)


def extract_archive(archive):
    """Extract a zip archive, unless that was done before.

    The files go into a folder beside the archive, named like it without
    ``.zip``; a folder of that name inside the archive is not repeated. If the
    place is read-only, or holds the files of an older archive of this name, they
    go into the user's cache instead, under a name made from the archive's path,
    size and modification time. A folder that was filled by hand is used as it is.

    Either all files are extracted or none: they appear under the final name at
    once, so processes that extract the same archive together do not meet.

    Parameters
    ----------
    archive : Path
        The absolute path of the archive.

    Returns
    -------
    folder : Path
        The folder that holds the files.

    Raises
    ------
    ValueError
        If the archive is damaged, or a member would leave the folder.
    """
    stamp = _stamp(archive)
    beside = archive.with_suffix("")
    if _is_filled(beside):
        if _read_stamp(beside) in (stamp, None):
            return beside
    elif is_writable(archive.parent):
        return _extract(archive, beside, stamp)
    key = hashlib.sha256(f"{archive.parent}/{stamp}".encode()).hexdigest()[:16]
    cached = resolve_cache_home() / "extracted" / f"{archive.stem}-{key}"
    return cached if _is_filled(cached) else _extract(archive, cached, stamp)


def _stamp(archive):
    """Name, size and modification time of an archive: all that identifies it."""
    status = archive.stat()
    return f"{archive.name} {status.st_size} {status.st_mtime_ns}"


def _read_stamp(folder):
    """Identity of the archive a folder was extracted from; None if not known."""
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
        inner = everything / archive.stem
        content = inner if inner.is_dir() else everything
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


def _unzip(archive, folder):
    try:
        with zipfile.ZipFile(archive) as opened:
            names = opened.namelist()
            escaping = [name for name in names if _escapes(name)]
            if not escaping:
                # Reading a member to its end checks its CRC.
                opened.extractall(folder)
    except _DAMAGE as error:
        raise ValueError(
            f"The archive {archive} is damaged ({error}). Delete it and download "
            "it again."
        ) from error
    if escaping:
        raise ValueError(
            f"The archive {archive} is not safe to extract: its member "
            f"{escaping[0]!r} would be written outside the target folder."
        )


def _escapes(name):
    # Windows paths know both separators and drives, hence every way out.
    path = PureWindowsPath(name)
    return bool(path.anchor) or ".." in path.parts

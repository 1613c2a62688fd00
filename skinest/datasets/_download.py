"""Getting the files of a data set into its folder."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import contextlib
import errno
import os
import shutil
import tempfile
import zipfile
from pathlib import Path

from ._archives import DAMAGE, is_there
from ._base import check_cache, is_writable, nearest_existing
from ._locks import hold_lock
from ._progress import ProgressBar
from ._resuming import REST, Part, ResumingDownloader
from ._space import check_free_space, explain_if_full, format_size


def require_file(path, url, *, known_hash=None, download_if_missing=True):
    """Make sure that a file is there, by download if need be.

    A file that is there already is left as it is, whatever its hash. A download is
    put into its folder when it is complete and checked, never before. What has come
    of one that failed is kept in the user's cache, and the next one goes on from
    there. Processes that need the same file wait for the one that downloads it.

    Parameters
    ----------
    path : Path
        Where the file is, or shall be.

    url : str
        Where it can be downloaded.

    known_hash : str or None, default=None
        SHA-256 that a downloaded file must have.

    download_if_missing : bool, default=True
        Download a missing file instead of raising an error.

    Raises
    ------
    OSError
        If the file is missing and cannot, or shall not, be downloaded.
    """
    if path.is_file():
        return
    by_hand = f"download {url} by hand and put it into that folder"
    if not download_if_missing:
        raise OSError(
            f"{path.name} is not in {path.parent}. Use download_if_missing=True, or "
            f"{by_hand}."
        )
    if not is_writable(nearest_existing(path.parent)):
        raise OSError(
            f"{path.name} is not in {path.parent}, and cannot be downloaded into it "
            f"since the folder is read-only. Choose another data_home, or {by_hand}."
        )
    part = Part(url)
    try:
        _download(path, url, known_hash, part)
    except (OSError, ValueError) as error:
        reason = str(getattr(error, "strerror", None) or error).rstrip(".?")
        raise OSError(
            f"{path.name} is not in {path.parent}, and its download failed: {reason}. "
            f"{_describe_kept(part, path.name)}Try again, or {by_hand}."
        ) from error


def require_file_by_hand(path, page):
    """Make sure that a file is there which no lasting address leads to.

    Parameters
    ----------
    path : Path
        Where the file must be.

    page : str
        The page on which a user can get it.

    Raises
    ------
    OSError
        If the file is missing.
    """
    if not is_there(path):
        raise OSError(
            f"{path.name} is not in {path.parent}, and is not downloaded for you: it "
            f"has no lasting address of its own. Get it from {page} and put it into "
            "that folder."
        )


def _download(path, url, known_hash, part):
    # The folder itself comes and goes.
    check_cache(part.folder.parent, "unfinished downloads are kept")
    waiting = f"Waiting for another process, which downloads {path.name} ..."
    with hold_lock(part.folder / "lock", waiting):
        bar = ProgressBar(path.name)
        try:
            if not path.is_file():
                _put(_retrieve(path, url, known_hash, part, bar), path)
        finally:
            bar.close()
            if path.is_file() or not _count_kept(part, path.name):
                _discard(part.folder)


def _discard(folder):
    """Delete a folder at once, since another process may be about to fill it anew."""
    doomed = Path(tempfile.mkdtemp(prefix=".", dir=folder.parent))
    # Windows moves no folder with an open file, the lock; what stays does no harm.
    with contextlib.suppress(OSError):
        os.replace(folder, doomed / folder.name)
    shutil.rmtree(doomed, ignore_errors=True)


def _retrieve(path, url, known_hash, part, bar):
    """Download a file beside its part; pooch checks its hash."""
    import pooch

    def check_space(n_bytes, n_total):
        check_free_space(part.folder, n_bytes, REST)
        if not _share_a_disk(part.folder, path):
            check_free_space(path.parent, n_total, "it")

    files = pooch.create(
        part.folder,
        base_url="",
        registry={path.name: known_hash},
        urls={path.name: url},
    )
    downloader = ResumingDownloader(part, bar, check_space)
    fetched = Path(files.fetch(path.name, downloader=downloader))
    fault = _find_fault(fetched, path.suffix)
    if fault is not None:
        fetched.unlink()
        raise ValueError(f"what came {fault}; it is deleted")
    return fetched


def _find_fault(file, suffix):
    """Say why a file cannot be what was asked for; None if it may be."""
    with file.open("rb") as opened:
        begin = opened.read(40)
    if suffix != ".zip":
        # A page that a network shows before it is used.
        is_page = begin.lstrip().startswith(b"<")
        return f"is no table, it begins with {begin!r}" if is_page else None
    if not zipfile.is_zipfile(file):
        return f"is no zip archive, it begins with {begin!r}"
    try:
        with zipfile.ZipFile(file) as archive:
            damaged = archive.testzip()
    except DAMAGE as error:
        return f"is a damaged archive ({error})"
    return None if damaged is None else f"is a damaged archive ({damaged!r} in it)"


def _put(fetched, path):
    """Move a file to its place, where it appears as a whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.replace(fetched, path)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        scratch = Path(tempfile.mkdtemp(prefix=f".{path.stem}-", dir=path.parent))
        n_bytes = fetched.stat().st_size
        try:
            with explain_if_full(path.parent, lambda: n_bytes, "it"):
                os.replace(shutil.copyfile(fetched, scratch / path.name), path)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        fetched.unlink()


def _share_a_disk(*paths):
    return len({nearest_existing(path).stat().st_dev for path in paths}) == 1


def _count_kept(part, name):
    """Count the bytes that the next download need not fetch."""
    whole = part.folder / name
    return whole.stat().st_size if whole.is_file() else part.size


def _describe_kept(part, name):
    n_kept = _count_kept(part, name)
    if not n_kept:
        return ""
    return (
        f"{format_size(n_kept)} of it are kept in {part.folder}, from where the next "
        "try goes on. "
    )

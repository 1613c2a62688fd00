"""Getting the files of a data set into its folder."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import contextlib
import os
import sys
import zipfile

from ._archives import DAMAGE, is_there
from ._base import is_writable, nearest_existing
from ._resuming import ResumingDownloader
from ._space import format_size

# A folder in that of the data set. It stays, for its lock: who deletes one may let two
# others in.
_UNFINISHED = ".unfinished"
_N_RETRIES = 4  # pooch waits 1, 2, 3 and 4 seconds before them


def require_file(path, url, *, known_hash=None, download_if_missing=True):
    """Make sure that a file is there, by download if need be.

    A file that is there already is left as it is, whatever its hash. A download is
    put into its folder when it is complete and checked, never before. What has come
    of one that failed is kept in a folder beside it, and the next one goes on from
    there. One process at a time downloads.

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
    downloader = ResumingDownloader(path.parent / _UNFINISHED / f"{path.name}.part")
    try:
        _download(path, url, known_hash, downloader)
    except (OSError, ValueError) as error:
        reason = str(getattr(error, "strerror", None) or error).rstrip(".?")
        raise OSError(
            f"{path.name} is not in {path.parent}, and its download failed: {reason}. "
            f"{_describe_kept(downloader.part)}Try again, or {by_hand}."
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


def _download(path, url, known_hash, downloader):
    import pooch

    unfinished = downloader.part.parent
    unfinished.mkdir(parents=True, exist_ok=True)
    with _hold_lock(unfinished / "lock"):
        if path.is_file():
            return
        files = pooch.create(
            unfinished,
            base_url="",
            registry={path.name: known_hash},
            urls={path.name: url},
            retry_if_failed=_N_RETRIES,
        )
        fetched = files.fetch(path.name, downloader=downloader)
        fault = _find_fault(fetched)
        if fault is not None:
            os.unlink(fetched)
            raise OSError(f"what came is {fault}; it is deleted")
        os.replace(fetched, path)


@contextlib.contextmanager
def _hold_lock(file):
    """Let no other process or thread pass, as long as one is here."""
    from filelock import FileLock, Timeout

    lock = FileLock(file)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        print("Waiting for another download to end ...", file=sys.stderr)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _find_fault(file):
    """Say why a file cannot be what was asked for; None if it may be."""
    with open(file, "rb") as opened:
        begin = opened.read(40)
    if begin.lstrip().startswith(b"<"):
        return f"a page of the network, which begins with {begin}"
    if not file.endswith(".zip"):
        return None
    try:
        with zipfile.ZipFile(file) as archive:
            damage = archive.testzip()
    except DAMAGE as error:
        damage = error
    return None if damage is None else f"a damaged archive ({damage})"


def _describe_kept(part):
    if not part.is_file():
        return ""
    size = format_size(part.stat().st_size)
    return f"{size} of it are kept in {part}, from where the next try goes on. "

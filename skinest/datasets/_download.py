"""Download the files of a data set into its folder."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import contextlib
import os
import sys
import zipfile

from ._archives import DAMAGE, is_damage, is_there
from ._base import is_writable, nearest_existing
from ._resuming import ResumingDownloader
from ._space import format_size

# Subfolder of the data set. It is not deleted, because it contains the lock file: after
# deleting a lock file, two processes could hold a lock.
_UNFINISHED = ".unfinished"
_N_RETRIES = 4  # pooch waits 1, 2, 3 and 4 seconds before these


def require_file(path, url, *, known_hash=None, download_if_missing=True):
    """Download a file if it does not exist.

    An existing file is not changed, and its hash is not checked. A download is moved
    into the folder of the data set only when it is complete and checked. The part of a
    failed download is stored in a subfolder, and the next download continues from it.
    Only one process at a time downloads.

    Parameters
    ----------
    path : Path
        Path of the file.

    url : str
        Address of the file.

    known_hash : str or None, default=None
        SHA-256 that a downloaded file must have.

    download_if_missing : bool, default=True
        Whether to download a missing file. If False, an error is raised.

    Raises
    ------
    OSError
        If the file is missing and `download_if_missing` is False or the download fails.
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
            f"{path.name} is not in {path.parent}, and cannot be downloaded into it, "
            f"because the folder is read-only. Choose another data_home, or {by_hand}."
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
    """Raise an error if a file that has no permanent address is missing.

    Parameters
    ----------
    path : Path
        Path of the file.

    page : str
        Address of the page where users can download it.

    Raises
    ------
    OSError
        If the file is missing.
    """
    if not is_there(path):
        raise OSError(
            f"{path.name} is not in {path.parent}, and cannot be downloaded "
            f"automatically, because it has no permanent address. Get it from {page} "
            "and put it into that folder."
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
            raise OSError(f"the downloaded file is {fault}; it was deleted")
        os.replace(fetched, path)


@contextlib.contextmanager
def _hold_lock(file):
    """Hold a lock; other processes and threads wait for it."""
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
    """Return why a file cannot be the requested one, or None if it can."""
    with open(file, "rb") as opened:
        begin = opened.read(40)
    if begin.lstrip().startswith(b"<"):
        return f"a web page, which begins with {begin}"
    if not file.endswith(".zip"):
        return None
    try:
        with zipfile.ZipFile(file) as archive:
            damage = archive.testzip()
    except (*DAMAGE, OSError) as error:
        if not is_damage(error):
            raise
        damage = error
    return None if damage is None else f"a damaged archive ({str(damage)[:200]})"


def _describe_kept(part):
    if not part.is_file():
        return ""
    size = format_size(part.stat().st_size)
    return f"{size} of it are stored in {part}; the next download continues there. "

"""Getting the files of a data set into its folder."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from ._base import is_writable

_CHUNK_SIZE = 2**16


def require_file(path, url, *, known_hash=None, download_if_missing=True):
    """Make sure that a file is there, by download if need be.

    A file that is there already is left as it is, whatever its hash.

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
        If the file is missing and cannot, or shall not, be downloaded. Nothing
        is left of a failed download.
    """
    if path.is_file():
        return
    by_hand = f"Download {url} by hand and put it into that folder"
    if not download_if_missing:
        raise OSError(
            f"{path.name} is not in {path.parent}. {by_hand}, or use "
            "download_if_missing=True."
        )
    if path.parent.exists() and not is_writable(path.parent):
        raise OSError(
            f"{path.name} is not in {path.parent}, and cannot be downloaded into it "
            f"since the folder is read-only. {by_hand}, or choose another data_home."
        )
    try:
        _download(path, url, known_hash)
    except (OSError, ValueError) as error:
        raise OSError(
            f"{path.name} is not in {path.parent}, and its download failed "
            f"({error}). Try again. Or: {by_hand[0].lower()}{by_hand[1:]}."
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
    if not path.is_file():
        raise OSError(
            f"{path.name} is not in {path.parent}, and is not downloaded for you: it "
            f"has no lasting address of its own. Get it from {page} and put it into "
            "that folder."
        )


def _download(path, url, known_hash):
    import pooch

    bar = ProgressBar(path.name)
    try:
        pooch.retrieve(
            url,
            known_hash,
            fname=path.name,
            path=path.parent,
            downloader=pooch.HTTPDownloader(progressbar=bar, chunk_size=_CHUNK_SIZE),
        )
    finally:
        bar.close()


class ProgressBar:
    """A bar on standard error, with the methods that pooch calls.

    Parameters
    ----------
    name : str
        What stands before the bar.

    Attributes
    ----------
    total : int
        Number of bytes to come; 0 if unknown. Set by pooch.
    """

    def __init__(self, name):
        self.name = name
        self.total = 0
        self._progress = None

    def update(self, n_bytes):
        """Advance by `n_bytes`; the bar appears at the first call."""
        if self._progress is None:
            self._start()
        self._progress.advance(self._task, n_bytes)

    def reset(self):
        """Go back to the start."""
        if self._progress is not None:
            self._progress.update(self._task, completed=0)

    def close(self):
        """Leave the bar as it is. May be called more than once."""
        if self._progress is not None:
            self._progress.stop()

    def _start(self):
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self._task = self._progress.add_task(self.name, total=self.total or None)
        self._progress.start()

"""The progress bar of a download."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause


class ProgressBar:
    """A bar on standard error.

    Parameters
    ----------
    name : str
        What stands before the bar.
    """

    def __init__(self, name):
        self.name = name
        self._progress = None

    def start(self, n_done, n_total):
        """Show that `n_done` of `n_total` bytes are there; None if unknown."""
        if self._progress is None:
            self._progress = _make_progress()
            self._task = self._progress.add_task(self.name)
            self._progress.start()
        self._progress.update(self._task, completed=n_done, total=n_total)

    def advance(self, n_bytes):
        """Advance by `n_bytes`."""
        self._progress.advance(self._task, n_bytes)

    def close(self):
        """Leave the bar as it is. May be called more than once."""
        if self._progress is not None:
            self._progress.stop()


def _make_progress():
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )

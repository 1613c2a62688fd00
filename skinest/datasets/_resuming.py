"""Downloads that go on where they stopped, which pooch's own do not."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import functools
import os

from ._space import check_free_space

_CHUNK_SIZE = 2**16


class ResumingDownloader:
    """Get a file over HTTP, from the bytes on that an earlier try has left.

    A downloader for pooch, whose `HTTPDownloader` does the work. It starts anew if
    the server has another version of the file than the earlier try, tells no version
    (``ETag``), or cannot send a part of it.

    Parameters
    ----------
    part : Path
        Where the bytes are kept until all have come. The version is beside it.
    """

    def __init__(self, part):
        self.part = part
        self.version = part.with_suffix(".etag")

    def __call__(self, url, output_file, pooch):
        """Download `url` into the file that pooch names."""
        from pooch import HTTPDownloader

        with self.part.open("ab") as file:
            # Compressed bytes could not be counted.
            headers = {"Accept-Encoding": "identity"}
            version = self._read_version()
            if file.tell() and version:
                headers |= {"Range": f"bytes={file.tell()}-", "If-Range": version}
            download = HTTPDownloader(
                progressbar=True,
                chunk_size=_CHUNK_SIZE,
                headers=headers,
                hooks={"response": functools.partial(self._begin, file)},
            )
            try:
                download(url, file, pooch)
            except BaseException:
                if not file.tell():
                    self.discard()
                raise
        os.replace(self.part, output_file)
        self.discard()

    def discard(self):
        """Delete what has come."""
        self.part.unlink(missing_ok=True)
        self.version.unlink(missing_ok=True)

    def _begin(self, file, response, **options):
        """Make the part fit the answer, whose body comes next."""
        version = response.headers.get("ETag", "")
        if response.status_code == 206:
            place = response.headers.get("Content-Range", "")
            is_next = place.startswith(f"bytes {file.tell()}-")
            if not is_next or version != self._read_version():
                file.truncate(0)
                raise ValueError("the server sent another part than the next")
        elif response.status_code in (200, 416):  # all of it, or no such part
            file.truncate(0)
            self.version.write_text(version, encoding="latin-1")
        if response.ok:
            n_bytes = int(response.headers.get("Content-Length", 0))
            check_free_space(self.part.parent, n_bytes, "the rest of it")

    def _read_version(self):
        if not self.version.is_file():
            return ""
        return self.version.read_text(encoding="latin-1")

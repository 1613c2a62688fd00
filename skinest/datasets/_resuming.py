"""Downloads that continue where they stopped; those of pooch start again."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import functools
import os

from ._space import check_free_space

_CHUNK_SIZE = 2**16


class ResumingDownloader:
    """Download a file over HTTP, and continue an earlier, unfinished download.

    This is a downloader for pooch, and uses its `HTTPDownloader`. The download starts
    again if the server now has another version of the file, does not report a version
    (``ETag``), or cannot send a part of a file.

    Parameters
    ----------
    part : Path
        File for the bytes until all are downloaded. The version is stored beside it.
    """

    def __init__(self, part):
        self.part = part
        self.version = part.with_suffix(".etag")

    def __call__(self, url, output_file, pooch):
        """Download `url` into the output file of pooch."""
        from pooch import HTTPDownloader

        with self.part.open("ab") as file:
            # The bytes must not be compressed, because they are counted.
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
        """Delete the downloaded part and its version."""
        self.part.unlink(missing_ok=True)
        self.version.unlink(missing_ok=True)

    def _begin(self, file, response, **options):
        """Prepare the part for the body of the response, which is read next."""
        version = response.headers.get("ETag", "")
        if response.status_code == 206:
            place = response.headers.get("Content-Range", "")
            is_next = place.startswith(f"bytes {file.tell()}-")
            if not is_next or version != self._read_version():
                file.truncate(0)
                raise ValueError("the server sent a wrong part of the file")
        elif response.status_code in (200, 416):  # the whole file, or no such part
            file.truncate(0)
            self.version.write_text(version, encoding="latin-1")
        if response.ok:
            n_bytes = int(response.headers.get("Content-Length", 0))
            check_free_space(self.part.parent, n_bytes, "the rest of it")

    def _read_version(self):
        if not self.version.is_file():
            return ""
        return self.version.read_text(encoding="latin-1")

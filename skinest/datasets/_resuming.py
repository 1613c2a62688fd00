"""Downloads that go on where they stopped."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import hashlib
import os
import re
import time
from urllib.parse import urlsplit

from ._base import resolve_cache_home
from ._space import explain_if_full

_CHUNK_SIZE = 2**16
_TIMEOUT = 30  # seconds of silence
_N_TRIES = 5  # without a byte more
_FIRST_PAUSE = 1  # seconds, doubled at each try

REST = "the rest of it"


class Interruption(OSError):
    """A stop of a download whose cause may be gone at the next try."""


class Part:
    """The bytes that have come of a file, kept in the user's cache between calls.

    Parameters
    ----------
    url : str
        Where the file comes from.

    Attributes
    ----------
    folder : Path
        A folder of its own, which need not exist.

    content : Path
        The first bytes of the file.
    """

    def __init__(self, url):
        key = hashlib.sha256(url.encode()).hexdigest()[:16]
        name = urlsplit(url).path.rpartition("/")[2]
        self.folder = resolve_cache_home() / "partial" / f"{name}-{key}"
        self.content = self.folder / "content"
        self._version = self.folder / "version"

    @property
    def version(self):
        """Return the version of the file, as the server tells it; empty if unknown."""
        try:
            return self._version.read_text(encoding="latin-1")
        except (FileNotFoundError, NotADirectoryError):
            return ""

    @property
    def size(self):
        """Return the number of bytes from which a download can go on."""
        try:
            return self.content.stat().st_size if self.version else 0
        except (FileNotFoundError, NotADirectoryError):
            return 0

    def restart(self, version):
        """Drop all bytes, for those of a file of that version."""
        self.content.write_bytes(b"")
        self._version.write_text(version, encoding="latin-1")


class ResumingDownloader:
    """Get a file over HTTP, in several tries if need be; a downloader for pooch.

    A try goes on from the bytes that earlier ones, of this call or of another one,
    have left, if the server still has the same version of the file and can send a
    part of it; else it starts anew.

    Parameters
    ----------
    part : Part
        Where the bytes are kept.

    bar : ProgressBar
        Shows how far it is.

    check_space : callable
        Called with the number of bytes to come and with that of the whole file,
        before the first is written. Raises OSError if there is no room.
    """

    def __init__(self, part, bar, check_space):
        self.part = part
        self.bar = bar
        self.check_space = check_space

    def __call__(self, url, output_file, pooch):
        """Download `url` into the file that pooch names.

        Raises
        ------
        Interruption
            If several tries in a row have brought nothing.
        OSError
            If there is no such file, no room for it, or no way to the server.
        """
        n_tries, furthest = 0, self.part.size
        while True:
            try:
                self._go_on(url)
                break
            except Interruption:
                n_tries = 1 if self.part.size > furthest else n_tries + 1
                furthest = max(furthest, self.part.size)
                if n_tries == _N_TRIES:
                    raise
                time.sleep(_FIRST_PAUSE * 2 ** (n_tries - 1))
        os.replace(self.part.content, output_file)

    def _go_on(self, url):
        headers = {"Accept-Encoding": "identity"}
        if self.part.size:
            headers["Range"] = f"bytes={self.part.size}-"
            headers["If-Range"] = self.part.version
        with _open(url, headers) as response:
            n_total = self._prepare(response)
            n_done = self.part.content.stat().st_size
            if n_total is not None:
                self.check_space(n_total - n_done, n_total)
            self.bar.start(n_done, n_total)
            self._receive(response, n_total or 0)
        n_done = self.part.content.stat().st_size
        if n_total is not None and n_done != n_total:
            raise Interruption(f"{n_done} of {n_total} bytes came")

    def _prepare(self, response):
        """Make the part fit the answer, and return the size of the whole file."""
        if response.status_code == 206:
            first, n_total = _parse_range(response)
            if first == self.part.size and _get_version(response) == self.part.version:
                return n_total
        if response.status_code in (206, 416):
            self.part.restart("")
            raise Interruption("the server sent another part of it than the next")
        self.part.restart(_get_version(response))
        n_total = response.headers.get("Content-Length")
        return None if _is_encoded(response) or n_total is None else int(n_total)

    def _receive(self, response, n_total):
        import requests

        content = self.part.content

        def count_missing():
            return max(0, n_total - content.stat().st_size)

        try:
            with explain_if_full(self.part.folder, count_missing, REST):
                with content.open("ab") as file:
                    for chunk in response.iter_content(_CHUNK_SIZE):
                        file.write(chunk)
                        self.bar.advance(len(chunk))
        except (
            requests.exceptions.ChunkedEncodingError,
            requests.exceptions.ConnectionError,
        ) as error:
            raise Interruption(
                f"the connection was cut, or silent for {_TIMEOUT} seconds"
            ) from error


def _open(url, headers):
    """Open the answer of the server, 200 or one about ranges, before its body."""
    import requests

    host = urlsplit(url).hostname
    try:
        response = requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT)
    except requests.exceptions.SSLError as error:
        raise OSError(f"no secure connection to {host}: {error}") from error
    except requests.exceptions.Timeout as error:
        raise Interruption(f"{host} was silent for {_TIMEOUT} seconds") from error
    except requests.exceptions.ConnectionError as error:
        raise Interruption(
            f"no connection to {host}; is there a network, does it need a proxy?"
        ) from error
    if response.status_code in (200, 206, 416):
        return response
    response.close()
    answer = f"{host} answered {response.status_code} {response.reason}"
    if response.status_code == 429 or response.status_code >= 500:
        raise Interruption(answer)
    raise OSError(answer)


def _get_version(response):
    """Return a strong validator of the file, for If-Range; empty if none is there."""
    if _is_encoded(response):
        return ""
    tag = response.headers.get("ETag", "")
    if tag and not tag.startswith("W/"):
        return tag
    return response.headers.get("Last-Modified", "")


def _is_encoded(response):
    """Tell whether the bytes that arrive are other ones than those of the file."""
    return response.headers.get("Content-Encoding", "identity") != "identity"


def _parse_range(response):
    """Parse where a partial answer begins, and the size of the file."""
    found = re.fullmatch(
        r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", "")
    )
    if found is None:
        return None, None
    first, n_total = found.groups()
    return int(first), None if n_total == "*" else int(n_total)

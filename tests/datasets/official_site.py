"""A server that gives out files as the official sites do, and fails on demand."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import contextlib
import hashlib
import http.server
import re
import threading

# The addresses and the hashes of the official files are fixed, and nothing that a user
# can set leads to another site; `redirect` is the one place that changes them.
from skinest.datasets import _sources


def redirect(monkeypatch, url, hashes=None):
    """Make the fetchers ask the site at `url`, and ask for these hashes by name."""
    hashes = {} if hashes is None else hashes
    monkeypatch.setattr(
        _sources, "locate", lambda year, name: (url + name, hashes.get(name))
    )


class OfficialSite(http.server.ThreadingHTTPServer):
    """Serves the files of a folder, and parts of them, on loopback.

    Parameters
    ----------
    folder : Path
        Where the files are.

    Attributes
    ----------
    url : str
        The address of the folder.

    hashes : dict
        The SHA-256 that are known, by the names of the files.

    requested : list of str
        The names of the files asked for.

    ranges : list of str or None
        The header ``Range`` of each request.

    faults : list of dict
        What goes wrong with each of the next requests, by the keys

        - ``status``: answer this and no file
        - ``content``: send these bytes for those of the file
        - ``cut_after``: close the connection after so many bytes of the body
        - ``length``: say that the body has this length; None says nothing
        - ``version``: send this ETag; None sends none
        - ``date``: send this as the date of the file
        - ``ignores_range``, ``ignores_if_range``: do not look at these headers
        - ``silence``: send nothing until this event is set
    """

    def __init__(self, folder):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder = folder
        self.url = f"http://127.0.0.1:{self.server_port}/"
        self.hashes = {}
        self.requested, self.ranges, self.faults = [], [], []

    def handle_error(self, request, client_address):
        """Stay silent about clients that have gone."""


@contextlib.contextmanager
def running(site):
    thread = threading.Thread(target=site.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield site
    finally:
        site.shutdown()
        thread.join()
        site.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def do_GET(self):
        site = self.server
        name = self.path.rpartition("/")[2]
        site.requested.append(name)
        site.ranges.append(self.headers.get("Range"))
        fault = site.faults.pop(0) if site.faults else {}
        if "silence" in fault:
            fault["silence"].wait(10)
        file = site.folder / name
        if "status" in fault or not file.is_file():
            return self.send_error(fault.get("status", 404))
        content = fault.get("content") or file.read_bytes()
        version = fault.get("version", f'"{hashlib.md5(content).hexdigest()}"')
        first = self._first_byte(version, fault)
        if first >= len(content) > 0:
            return self.send_error(416)
        body = content[first:]
        self.send_response(206 if first else 200)
        if first:
            place = f"bytes {first}-{len(content) - 1}/{len(content)}"
            self.send_header("Content-Range", place)
        length = fault.get("length", len(body))
        if length is not None:
            self.send_header("Content-Length", str(length))
        if version is not None:
            self.send_header("ETag", version)
        if "date" in fault:
            self.send_header("Last-Modified", fault["date"])
        self.end_headers()
        self.wfile.write(body[: fault.get("cut_after")])

    def _first_byte(self, version, fault):
        found = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if not found or fault.get("ignores_range"):
            return 0
        same = self.headers.get("If-Range") in (version, fault.get("date"))
        return int(found[1]) if same or fault.get("ignores_if_range") else 0

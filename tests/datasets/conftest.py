"""What the tests of data sets share: no network, and a server of small files."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import functools
import http.server
import threading

import pytest

from skinest.datasets import _ham10000, _isic

BASE_URLS = ((_isic, "_BASE_URL_2016"), (_ham10000, "_BASE_URL_2018"))


def set_base_urls(monkeypatch, url):
    for module, name in BASE_URLS:
        monkeypatch.setattr(module, name, url)


@pytest.fixture(autouse=True)
def isolated(monkeypatch, tmp_path):
    """No network, no user folders."""
    monkeypatch.delenv("SKINEST_DATA", raising=False)
    monkeypatch.setenv("SKINEST_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "*")
    # Nobody listens on the discard port.
    set_base_urls(monkeypatch, "http://127.0.0.1:9/")


@pytest.fixture
def read_only_home(home):
    """The folder `home`, which the test module makes, locked."""
    home.chmod(0o555)
    yield home
    home.chmod(0o755)


class _Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def do_GET(self):
        self.server.requested.append(self.path[1:])
        if not self.server.truncating:
            return super().do_GET()
        self.send_response(200)
        self.send_header("Content-Length", "100000")
        self.end_headers()
        self.wfile.write(b"PK" * 100)


@pytest.fixture
def server(home, monkeypatch):
    """The official site, with the tiny archives of `home`."""
    handler = functools.partial(_Handler, directory=home)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.requested, server.truncating = [], False
        set_base_urls(monkeypatch, f"http://127.0.0.1:{server.server_port}/")
        monkeypatch.setattr(_isic, "_SHA256", {})
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()

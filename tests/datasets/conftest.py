"""Fixtures of the tests of data sets: no network, and a server of small files."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import time

import pytest

from .official_site import OfficialSite, redirect, running


@pytest.fixture(autouse=True)
def isolated(monkeypatch, tmp_path):
    """Leave no network, no user folders and no long pauses."""
    monkeypatch.delenv("SKINEST_DATA", raising=False)
    monkeypatch.setenv("SKINEST_CACHE", str(tmp_path / "cache"))
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        # Nobody listens on the discard port.
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    sleep = time.sleep
    monkeypatch.setattr(time, "sleep", lambda seconds: sleep(min(seconds, 0.01)))


@pytest.fixture
def read_only_home(home):
    """Lock the folder `home`, which the test module makes."""
    home.chmod(0o555)
    yield home
    home.chmod(0o755)


@pytest.fixture
def server(home, monkeypatch):
    """Serve the tiny archives of `home` as the official site does."""
    with running(OfficialSite(home)) as site:
        redirect(monkeypatch, site.url, site.hashes)
        yield site

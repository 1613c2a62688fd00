"""What the tests of data sets share: no network, and a server of small files."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import pytest

from skinest.datasets import _resuming, _sources

from .official_site import OfficialSite, running


@pytest.fixture
def official_urls():
    return dict(_sources.BASE_URL_OF)


@pytest.fixture(autouse=True)
def isolated(monkeypatch, tmp_path, official_urls):
    """No network, no user folders, no long pauses."""
    monkeypatch.delenv("SKINEST_DATA", raising=False)
    monkeypatch.setenv("SKINEST_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setattr(_resuming, "_FIRST_PAUSE", 0)
    # Nobody listens on the discard port.
    closed = dict.fromkeys(official_urls, "http://127.0.0.1:9/")
    monkeypatch.setattr(_sources, "BASE_URL_OF", closed)


@pytest.fixture
def read_only_home(home):
    """The folder `home`, which the test module makes, locked."""
    home.chmod(0o555)
    yield home
    home.chmod(0o755)


@pytest.fixture
def server(home, monkeypatch):
    """The official site, with the tiny archives of `home`."""
    with running(OfficialSite(home)) as site:
        urls = dict.fromkeys(_sources.BASE_URL_OF, site.url)
        monkeypatch.setattr(_sources, "BASE_URL_OF", urls)
        monkeypatch.setattr(_sources, "SHA256_OF", {})
        yield site

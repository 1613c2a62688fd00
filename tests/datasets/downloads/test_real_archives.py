"""Downloads of the real archives, from a server on loopback."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import os
from pathlib import Path

import numpy as np
import pytest

from skinest.datasets import fetch_isic2016_part3, fetch_isic2018_task3

from ..official_site import OfficialSite, redirect, running
from .one_archive import NAME

REAL_DATA = os.environ.get("SKINEST_DATA")


@pytest.fixture
def real_site(monkeypatch):
    """Serve the archives of SKINEST_DATA as the official site does."""
    if not REAL_DATA:
        pytest.skip("SKINEST_DATA names no folder")
    with running(OfficialSite(Path(REAL_DATA))) as site:
        redirect(monkeypatch, site.url)
        yield site


def stop_after(n_bytes):
    return {"cut_after": n_bytes}


def test_real_archives_through_cuts(real_site, tmp_path, capsys):
    """Stop twice in the middle of 5 MB, and once for good."""
    folder = tmp_path / "new"
    real_site.faults = [{}, *[stop_after(2 * 10**6)] * 2, *[{"status": 503}] * 4]
    with pytest.raises(OSError, match=r"3\.9 MB of it are stored"):
        fetch_isic2016_part3(folder)
    data = fetch_isic2016_part3(folder, subset="all")
    assert np.bincount(data.target).tolist() == [605 + 242, 144 + 63]
    originals = sorted(Path(REAL_DATA).glob("ISBI2016_ISIC_Part3_*.*"))
    for original in originals:
        assert (folder / original.name).read_bytes() == original.read_bytes()
    assert len(real_site.requested) == 7 + 3


def test_real_archives_of_wrong_bytes(real_site, tmp_path):
    content = bytearray((Path(REAL_DATA) / NAME).read_bytes())
    content[10**6] ^= 1
    real_site.faults = [{}, {"content": bytes(content)}]
    with pytest.raises(OSError, match=rf"{NAME} is not in .* is a damaged archive"):
        fetch_isic2016_part3(tmp_path)
    assert not (tmp_path / NAME).exists()
    assert len(fetch_isic2016_part3(tmp_path).paths) == 749


@pytest.mark.slow
def test_real_archive_of_32_megabytes(real_site, tmp_path):
    real_site.faults = [{}, {}, stop_after(20 * 10**6)]
    assert len(fetch_isic2018_task3(tmp_path / "new").groups) == 7938

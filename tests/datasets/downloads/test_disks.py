"""Downloads onto disks that are full."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import shutil
from collections import namedtuple

import pytest

from .one_archive import (
    CHUNK,
    TABLE,
    assert_fetched,
    fetch,
    get_error,
    list_unfinished,
    unfinished,
)


def set_free_space(monkeypatch, n_bytes):
    Usage = namedtuple("Usage", "free")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(n_bytes))


def test_no_room_is_told_before_anything_is_written(server, target, monkeypatch):
    set_free_space(monkeypatch, 3 * CHUNK)
    message = get_error(server, target)
    assert f"the rest of it needs 1.3 MB in {unfinished(target)}" in message
    assert "where 196.6 kB are free; make space there. Try again" in message
    assert len(server.requested) == 1
    assert not list_unfinished(target)


def test_room_for_the_rest_is_enough(server, target, content, monkeypatch):
    server.faults = [{"cut_after": 15 * CHUNK}, *[{"status": 503}] * 4]
    get_error(server, target)
    set_free_space(monkeypatch, 6 * CHUNK)
    with pytest.raises(OSError, match=r"Extracting .* needs 1\.3 MB"):
        fetch(target)
    assert target.read_bytes() == content


def test_disk_that_gets_full(server, target, content):
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (6 * CHUNK, limits[1]))
    try:
        message = get_error(server, target)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "download failed: File too large. 393.2 kB of it are stored" in message
    assert_fetched(target, content)
    assert server.ranges == [None, f"bytes={6 * CHUNK}-"]


def test_files_have_ordinary_permissions(server, target):
    fetch(target)
    assert target.stat().st_mode == (target.parent / TABLE).stat().st_mode

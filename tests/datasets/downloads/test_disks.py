"""Downloads onto disks that are full, two, or not to be written to."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import errno
import os
import shutil
import tempfile
from collections import namedtuple
from pathlib import Path

import pytest

from .one_archive import CHUNK, TABLE, assert_fetched, fetch, get_error


def set_free_space(monkeypatch, *, cache=10**9, elsewhere=10**9):
    Usage = namedtuple("Usage", "free")
    monkeypatch.setattr(
        shutil,
        "disk_usage",
        lambda folder: Usage(cache if "cache" in str(folder) else elsewhere),
    )


def test_no_room_is_told_before_anything_is_written(server, target, cache, monkeypatch):
    set_free_space(monkeypatch, cache=3 * CHUNK)
    message = get_error(server, target)
    assert f"the rest of it needs 1.3 MB in {cache}" in message
    assert "where 196.6 kB are free; make room there. Try again" in message
    assert not list(cache.iterdir())


def test_room_for_the_rest_is_enough(server, target, cache, content, monkeypatch):
    server.faults = [{"cut_after": 15 * CHUNK}, *[{"status": 503}] * 4]
    get_error(server, target)
    set_free_space(monkeypatch, cache=6 * CHUNK)
    assert_fetched(target, cache, content)


class FullDisk:
    """A file that takes so many bytes and no more."""

    def __init__(self, file, n_bytes):
        self.file, self.n_left = file, n_bytes

    def __enter__(self):
        return self

    def __exit__(self, *args):
        self.file.close()

    def write(self, chunk):
        self.n_left -= len(chunk)
        if self.n_left < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return self.file.write(chunk)


def test_disk_that_gets_full(server, target, cache, content, monkeypatch):
    path_open = Path.open

    def open_full(path, mode="r", **options):
        file = path_open(path, mode, **options)
        return FullDisk(file, 6 * CHUNK) if path.name == "content" else file

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", open_full)
        message = get_error(server, target)
    assert "the rest of it needs 917.7 kB in " in message
    assert "393.2 kB of it are kept" in message
    assert_fetched(target, cache, content)
    assert server.ranges == [None, f"bytes={6 * CHUNK}-"]


@pytest.fixture
def cache_elsewhere(tmp_path, monkeypatch):
    """Put the cache on another disk than the data home."""
    shared_memory = Path("/dev/shm")
    if not (
        shared_memory.is_dir() and shared_memory.stat().st_dev != tmp_path.stat().st_dev
    ):
        pytest.skip("no other disk here")
    with tempfile.TemporaryDirectory(prefix="cache-", dir=shared_memory) as folder:
        monkeypatch.setenv("SKINEST_CACHE", folder)
        yield Path(folder) / "partial"


def test_no_room_in_the_folder_on_another_disk(
    server, target, cache_elsewhere, monkeypatch
):
    set_free_space(monkeypatch, elsewhere=9)
    message = get_error(server, target)
    assert f"it needs 1.3 MB in {target.parent}, where 9 b" in message


def test_folder_on_another_disk(server, target, cache_elsewhere, content):
    assert_fetched(target, cache_elsewhere, content)


def test_whole_file_is_kept_if_the_other_disk_gets_full(
    server, target, cache_elsewhere, content, monkeypatch
):
    def copy(*args):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copyfile", copy)
        message = get_error(server, target)
    assert f"it needs 1.3 MB in {target.parent}" in message
    assert "1.3 MB of it are kept" in message
    assert_fetched(target, cache_elsewhere, content)
    assert len(server.requested) == 1


def test_files_have_ordinary_permissions(server, target):
    fetch(target)
    assert target.stat().st_mode == (target.parent / TABLE).stat().st_mode


@pytest.mark.parametrize("kind", ["file", "read-only"])
def test_cache_that_cannot_be_used(server, target, tmp_path, kind):
    folder = tmp_path / "cache"
    folder.touch() if kind == "file" else folder.mkdir(mode=0o555)
    message = get_error(server, target)
    assert f"failed: {folder}, where unfinished downloads are kept, is not" in message
    assert "SKINEST_CACHE" in message
    assert not server.requested

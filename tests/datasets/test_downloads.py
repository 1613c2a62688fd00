"""Downloads by a server on loopback that fails in every way we know."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import errno
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest

from skinest.datasets import (
    _download,
    _locks,
    _resuming,
    _sources,
    fetch_isic2016_part3,
    fetch_isic2018_task3,
)
from skinest.datasets._download import require_file
from skinest.datasets._progress import ProgressBar

from .official_site import OfficialSite, running

REAL_DATA = os.environ.get("SKINEST_DATA")
NAME = "archive.zip"
CHUNK = 1000


@pytest.fixture
def home(tmp_path):
    """What the site has: one archive of about 20 chunks."""
    folder = tmp_path / "site"
    folder.mkdir()
    content = np.random.default_rng(0).bytes(20 * CHUNK)
    with zipfile.ZipFile(folder / NAME, "w") as archive:
        archive.writestr("archive/image.jpg", content)
    return folder


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Where unfinished downloads are kept."""
    monkeypatch.setattr(_resuming, "_CHUNK_SIZE", CHUNK)
    return tmp_path / "cache" / "partial"


@pytest.fixture
def target(tmp_path):
    return tmp_path / "new" / "home" / NAME


@pytest.fixture
def content(home):
    return (home / NAME).read_bytes()


def error_of(server, target, **options):
    """The error of a download that fails and leaves nothing in its folder."""
    with pytest.raises(OSError) as error:
        require_file(target, server.url + NAME, **options)
    assert not target.parent.exists() or not list(target.parent.iterdir())
    message = str(error.value)
    assert message.startswith(f"{NAME} is not in {target.parent}, and its download")
    assert f"Try again, or download {server.url}{NAME} by hand" in message
    return message


def assert_fetched(server, target, cache, content, **options):
    require_file(target, server.url + NAME, **options)
    assert target.read_bytes() == content
    assert [path.name for path in target.parent.iterdir()] == [NAME]
    assert not list(cache.iterdir())


# Interruptions -----------------------------------------------------------------


def test_cut_connections_go_on_where_they_stopped(server, target, cache, content):
    server.faults = [{"cut_after": 5 * CHUNK}, {"cut_after": 3 * CHUNK}]
    assert_fetched(server, target, cache, content)
    assert server.ranges == [None, f"bytes={5 * CHUNK}-", f"bytes={8 * CHUNK}-"]


def test_cuts_count_only_where_nothing_new_came(server, target, cache, content):
    server.faults = [{"cut_after": CHUNK}] * 12
    assert_fetched(server, target, cache, content)
    assert len(server.requested) == 13


def test_next_call_goes_on(server, target, cache, content):
    server.faults = [{"cut_after": 7 * CHUNK}, *[{"status": 503}] * 4]
    message = error_of(server, target)
    assert "127.0.0.1 answered 503 Service Unavailable" in message
    assert f"7.0 kB of it are kept in {cache}{os.sep}{NAME}-" in message
    assert "from where the next try goes on. Try again, or" in message
    del server.ranges[:]
    assert_fetched(server, target, cache, content)
    assert server.ranges == [f"bytes={7 * CHUNK}-"]


def test_what_is_kept_serves_any_data_home(server, target, cache, content, tmp_path):
    server.faults = [{"cut_after": 7 * CHUNK}, *[{"status": 503}] * 4]
    error_of(server, target)
    assert_fetched(server, tmp_path / "other" / NAME, cache, content)
    assert server.ranges[-1] == f"bytes={7 * CHUNK}-"


def test_what_is_kept_serves_no_other_address(server, home, target, cache, content):
    server.faults = [{"cut_after": 7 * CHUNK}, *[{"status": 503}] * 4]
    error_of(server, target)
    shutil.copy(home / NAME, home / "other.zip")
    require_file(target, f"{server.url}other.zip")
    assert server.ranges[-1] is None


@pytest.mark.parametrize("fault", [{"ignores_range": True}, {"status": 416}])
def test_server_without_ranges_starts_anew(server, target, cache, content, fault):
    server.faults = [{"cut_after": 5 * CHUNK}, fault]
    assert_fetched(server, target, cache, content)


@pytest.mark.parametrize("version", [None, 'W/"weak"'])
def test_nothing_is_kept_of_a_file_without_version(server, target, cache, version):
    server.faults = [{"cut_after": 5 * CHUNK, "version": version}] * 5
    assert "of it are kept" not in error_of(server, target)
    assert server.ranges == [None] * 5
    assert not list(cache.iterdir())


@pytest.mark.parametrize("careless", [False, True])
def test_changed_file_is_never_mixed(server, home, target, cache, content, careless):
    server.faults = [
        {"content": b"x" * len(content), "cut_after": 5 * CHUNK},
        {"ignores_if_range": careless},
    ]
    assert_fetched(server, target, cache, content)
    assert server.ranges[:2] == [None, f"bytes={5 * CHUNK}-"]


def test_date_tells_the_version_too(server, target, cache, content):
    dated = {"version": None, "date": "Mon, 01 Jan 2018 00:00:00 GMT"}
    server.faults = [{**dated, "cut_after": 5 * CHUNK}, dated]
    assert_fetched(server, target, cache, content)
    assert server.ranges == [None, f"bytes={5 * CHUNK}-"]


def test_body_shorter_than_said_is_an_interruption(server, target, cache, content):
    server.faults = [{"length": len(content) + 10}] * 5
    message = error_of(server, target)
    assert "the connection was cut" in message


def test_body_of_unknown_length(server, target, cache, content):
    server.faults = [{"length": None}]
    assert_fetched(server, target, cache, content)


def test_silence_is_an_interruption(server, target, cache, content, monkeypatch):
    monkeypatch.setattr(_resuming, "_TIMEOUT", 0.05)
    monkeypatch.setattr(_resuming, "_N_TRIES", 2)
    end = threading.Event()
    server.faults = [{"silence": end}] * 2
    assert "127.0.0.1 was silent for 0.05 seconds" in error_of(server, target)
    end.set()
    monkeypatch.setattr(_resuming, "_TIMEOUT", 10)
    assert_fetched(server, target, cache, content)


def test_pauses_grow(server, target, cache, monkeypatch):
    pauses = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    monkeypatch.setattr(_resuming, "_FIRST_PAUSE", 1)
    server.faults = [{"status": 503}] * 5
    error_of(server, target)
    assert [pause for pause in pauses if pause >= 1] == [1, 2, 4, 8]


def test_interrupt_of_the_user(server, target, cache, content, monkeypatch):
    def press_control_c(bar, n_bytes):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ProgressBar, "advance", press_control_c)
        with pytest.raises(KeyboardInterrupt):
            require_file(target, server.url + NAME)
    assert not target.parent.exists()
    assert_fetched(server, target, cache, content)
    assert server.ranges == [None, f"bytes={CHUNK}-"]


# Answers that will not change --------------------------------------------------


def test_no_such_file(server, home, target, cache):
    (home / NAME).unlink()
    assert "127.0.0.1 answered 404 Not Found. Try again" in error_of(server, target)
    assert len(server.requested) == 1
    assert not list(cache.iterdir())


@pytest.mark.parametrize("status, n_tries", [(403, 1), (429, 5), (500, 5)])
def test_other_answers(server, target, cache, status, n_tries):
    server.faults = [{"status": status}] * 5
    assert f"127.0.0.1 answered {status} " in error_of(server, target)
    assert len(server.requested) == n_tries


def test_no_network(target, cache):
    Site = namedtuple("Site", "url")
    message = error_of(Site("http://127.0.0.1:9/"), target)
    assert "no connection to 127.0.0.1; is there a network" in message


def test_wrong_hash(server, target, cache, content):
    message = error_of(server, target, known_hash="0" * 64)
    assert "does not match the known hash" in message
    assert "Deleted" in message
    assert not list(cache.iterdir())


def test_right_hash_after_a_cut(server, target, cache, content):
    server.faults = [{"cut_after": 5 * CHUNK}]
    known_hash = hashlib.sha256(content).hexdigest()
    assert_fetched(server, target, cache, content, known_hash=known_hash)


def test_page_instead_of_an_archive(server, target, cache):
    server.faults = [{"content": b"<html>Please log in to the network</html>"}]
    message = error_of(server, target)
    assert "no zip archive, it begins with b'<html>Please" in message
    assert not list(cache.iterdir())


def test_page_instead_of_a_table(server, home, tmp_path, cache):
    server.faults = [{"content": b"\n <!DOCTYPE html><p>Please log in</p>"}]
    target = tmp_path / "new" / "labels.csv"
    (home / target.name).write_text("ISIC_0000000,benign\n")
    with pytest.raises(OSError, match=r"no table, it begins with.*it is deleted"):
        require_file(target, server.url + target.name)
    assert not target.exists()
    assert not list(cache.iterdir())


def test_hashes_that_are_known_are_asked_for(server, home, target, monkeypatch):
    """By the fetchers, which pass them on."""
    wrong = {target.name: "0" * 64}
    monkeypatch.setattr(_sources, "SHA256_OF", wrong)
    with pytest.raises(OSError, match="does not match the known hash"):
        _sources.require_official([target], 2016, download_if_missing=True)
    wrong[target.name] = hashlib.sha256((home / NAME).read_bytes()).hexdigest()
    _sources.require_official([target], 2016, download_if_missing=True)
    assert target.is_file()


# Disks -------------------------------------------------------------------------


def set_free_space(monkeypatch, n_bytes):
    Usage = namedtuple("Usage", "total used free")
    usage = Usage(10**9, 10**9 - n_bytes, n_bytes)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)


def test_no_room_is_told_before_anything_is_written(
    server, target, cache, content, monkeypatch
):
    set_free_space(monkeypatch, 3 * CHUNK)
    message = error_of(server, target)
    assert "the rest of it needs 20.1 kB in " in message
    assert "where 3.0 kB are free; make room there. Try again" in message
    assert not list(cache.iterdir())


def test_no_room_in_the_folder_on_another_disk(server, target, cache, monkeypatch):
    monkeypatch.setattr(_download, "_share_a_disk", lambda *paths: False)
    Usage = namedtuple("Usage", "free")
    monkeypatch.setattr(
        shutil, "disk_usage", lambda place: Usage(10**9 if "cache" in str(place) else 9)
    )
    assert f"it needs 20.1 kB in {target.parent}, where 9 b" in error_of(server, target)


def test_room_for_the_rest_is_enough(server, target, cache, content, monkeypatch):
    server.faults = [{"cut_after": 15 * CHUNK}, *[{"status": 503}] * 4]
    error_of(server, target)
    set_free_space(monkeypatch, 6 * CHUNK)
    assert_fetched(server, target, cache, content)


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
        message = error_of(server, target)
    assert "the rest of it needs 14.1 kB in " in message
    assert "6.0 kB of it are kept" in message
    assert_fetched(server, target, cache, content)
    assert server.ranges == [None, f"bytes={6 * CHUNK}-"]


@pytest.fixture
def two_disks(monkeypatch):
    """A cache from which nothing can be renamed into another folder."""
    replace = os.replace

    def replace_on_one_disk(source, place):
        if ("cache" in str(source)) != ("cache" in str(place)):
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        replace(source, place)

    monkeypatch.setattr(os, "replace", replace_on_one_disk)


@pytest.mark.usefixtures("two_disks")
def test_folder_on_another_disk(server, target, cache, content):
    assert_fetched(server, target, cache, content)


@pytest.mark.usefixtures("two_disks")
def test_whole_file_is_kept_if_the_other_disk_gets_full(
    server, target, cache, content, monkeypatch
):
    def copy(*args):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copyfile", copy)
        message = error_of(server, target)
    assert f"it needs 20.1 kB in {target.parent}" in message
    assert "20.1 kB of it are kept" in message
    assert_fetched(server, target, cache, content)
    assert len(server.requested) == 1


def test_files_have_ordinary_permissions(server, target, cache, tmp_path):
    (tmp_path / "plain").write_bytes(b"")
    require_file(target, server.url + NAME)
    assert target.stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_no_download_into_a_read_only_folder(server, tmp_path):
    (tmp_path / "locked").mkdir(mode=0o555)
    for folder in (tmp_path / "locked", tmp_path / "locked" / "new"):
        with pytest.raises(OSError, match="read-only"):
            require_file(folder / NAME, server.url + NAME)
    assert not server.requested


@pytest.mark.parametrize("kind", ["file", "read-only"])
def test_cache_that_cannot_be_used(server, target, tmp_path, kind):
    place = tmp_path / "cache"
    place.touch() if kind == "file" else place.mkdir(mode=0o555)
    message = error_of(server, target)
    assert f"failed: {place}, where unfinished downloads are kept, is not" in message
    assert "SKINEST_CACHE" in message
    assert not server.requested


# Together ----------------------------------------------------------------------


def test_who_comes_second_waits(server, target, cache, content, monkeypatch, capsys):
    monkeypatch.setattr(_locks, "_PAUSE", 0.01)
    end = threading.Event()
    server.faults = [{"silence": end}]
    threads = [
        threading.Thread(target=require_file, args=(target, server.url + NAME))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    while capsys.readouterr().err.count("Waiting for another") < 1:
        time.sleep(0.01)
    end.set()
    for thread in threads:
        thread.join()
    assert server.requested == [NAME]
    assert_fetched(server, target, cache, content)


def test_two_folders_at_once(server, tmp_path, cache, content, monkeypatch):
    monkeypatch.setattr(_locks, "_PAUSE", 0.001)
    targets = [tmp_path / f"home{i}" / NAME for i in range(4)]
    threads = [
        threading.Thread(target=require_file, args=(target, server.url + NAME))
        for target in targets
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(target.read_bytes() == content for target in targets)
    assert not list(cache.iterdir())


def start_process(target, url, **options):
    """Fetch a file in a process of its own."""
    code = (
        "import sys; from pathlib import Path; from skinest.datasets import _resuming;"
        f"_resuming._CHUNK_SIZE = {CHUNK};"
        "from skinest.datasets._download import require_file;"
        "require_file(Path(sys.argv[1]), sys.argv[2])"
    )
    paths = os.pathsep.join(filter(None, sys.path))
    return subprocess.Popen(
        [sys.executable, "-c", code, str(target), url],
        env={**os.environ, "PYTHONPATH": paths},
        **options,
    )


def test_two_processes_at_once(server, target, tmp_path, cache, content):
    end = threading.Event()
    server.faults = [{"silence": end}]
    said = tmp_path / "said"
    with said.open("wb") as file:
        processes = [
            start_process(target, server.url + NAME, stderr=file) for _ in range(2)
        ]
        while "Waiting for another process" not in said.read_text():
            assert all(process.poll() is None for process in processes)
            time.sleep(0.02)
        end.set()
        assert [process.wait() for process in processes] == [0, 0]
    assert server.requested == [NAME]
    assert_fetched(server, target, cache, content)


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_killed_process_leaves_nothing_in_the_folder(server, target, cache, content):
    end = threading.Event()
    server.faults = [{"cut_after": 9 * CHUNK}, {"silence": end}]
    process = start_process(target, server.url + NAME, stderr=subprocess.DEVNULL)
    while len(server.requested) < 2:
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    end.set()
    assert not target.parent.exists()
    assert_fetched(server, target, cache, content)
    assert server.ranges[-1] == f"bytes={9 * CHUNK}-"


# The bar -----------------------------------------------------------------------


def test_progress_bar(capsys):
    bar = ProgressBar(NAME)
    bar.start(0, None)
    bar.start(500, 2000)
    bar.advance(1500)
    bar.close()
    bar.close()
    error = capsys.readouterr().err
    assert NAME in error
    assert "2.0/2.0 kB" in error


def test_progress_bar_that_never_started_can_be_closed():
    ProgressBar(NAME).close()


# The real archives -------------------------------------------------------------


@pytest.fixture
def real_site(monkeypatch):
    """The official site with the archives of SKINEST_DATA."""
    if not REAL_DATA:
        pytest.skip("SKINEST_DATA names no folder")
    with running(OfficialSite(Path(REAL_DATA))) as site:
        urls = dict.fromkeys(_sources.BASE_URL_OF, site.url)
        monkeypatch.setattr(_sources, "BASE_URL_OF", urls)
        monkeypatch.setattr(_sources, "SHA256_OF", {})
        yield site


def stop_after(n_bytes):
    return {"cut_after": n_bytes}


def test_real_archives_through_cuts(real_site, tmp_path, capsys):
    """The server stops twice in the middle of 5 MB, and once for good."""
    folder = tmp_path / "new"
    real_site.faults = [{}, *[stop_after(2 * 10**6)] * 2, *[{"status": 503}] * 4]
    with pytest.raises(OSError, match=r"3\.9 MB of it are kept"):
        fetch_isic2016_part3(folder)
    data = fetch_isic2016_part3(folder, subset="all")
    assert np.bincount(data.target).tolist() == [605 + 242, 144 + 63]
    originals = sorted(Path(REAL_DATA).glob("ISBI2016_ISIC_Part3_*.*"))
    for original in originals:
        assert (folder / original.name).read_bytes() == original.read_bytes()
    assert len(real_site.requested) == 7 + 3


def test_real_archives_of_wrong_bytes(real_site, tmp_path):
    name = "ISBI2016_ISIC_Part3_Training_Data.zip"
    content = bytearray((Path(REAL_DATA) / name).read_bytes())
    content[10**6] ^= 1
    real_site.faults = [{}, {"content": bytes(content)}]
    with pytest.raises(OSError, match=rf"{name} is not in .* is a damaged archive"):
        fetch_isic2016_part3(tmp_path)
    assert [path.suffix for path in tmp_path.iterdir() if path.name != "cache"] == [
        ".csv"
    ]
    assert len(fetch_isic2016_part3(tmp_path).paths) == 749


@pytest.mark.slow
def test_real_archive_of_32_megabytes(real_site, tmp_path):
    real_site.faults = [{}, {}, stop_after(20 * 10**6)]
    assert len(fetch_isic2018_task3(tmp_path / "new").groups) == 7938

"""Downloads of one file by several threads or processes."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import os
import subprocess
import sys
import threading
import time

import pytest

from .one_archive import CHUNK, NAME, assert_fetched, fetch, make_target


def start_threads(targets):
    threads = [threading.Thread(target=fetch, args=(target,)) for target in targets]
    for thread in threads:
        thread.start()
    return threads


def test_who_comes_second_waits(server, target, content, capsys):
    end = threading.Event()
    server.faults = [{"silence": end}]
    threads = start_threads([target] * 3)
    while capsys.readouterr().err.count("Waiting for another") < 1:
        time.sleep(0.01)
    end.set()
    for thread in threads:
        thread.join()
    assert server.requested == [NAME]
    assert_fetched(target, content)


def test_two_folders_at_once(server, tmp_path, content):
    targets = [make_target(tmp_path / f"home{i}") for i in range(4)]
    for thread in start_threads(targets):
        thread.join()
    assert all(target.read_bytes() == content for target in targets)


def start_process(target, url, stderr):
    """Fetch the archive in a process of its own."""
    code = (
        "import sys, pytest; from tests.datasets.official_site import redirect;"
        "redirect(pytest.MonkeyPatch(), sys.argv[2]);"
        "from skinest.datasets import fetch_isic2016_part3;"
        "fetch_isic2016_part3(sys.argv[1])"
    )
    paths = os.pathsep.join(filter(None, sys.path))
    return subprocess.Popen(
        [sys.executable, "-c", code, str(target.parent), url],
        env={**os.environ, "PYTHONPATH": paths},
        stderr=stderr,
    )


@pytest.mark.slow
def test_who_waits_goes_on_after_a_killed_process(
    server, target, tmp_path, content, capsys
):
    end = threading.Event()
    server.faults = [{"cut_after": 9 * CHUNK}, {"silence": end}]
    said = tmp_path / "said"
    with said.open("wb") as file:
        process = start_process(target, server.url, file)
    while len(server.requested) < 2:
        assert process.poll() is None
        time.sleep(0.02)
    assert f"Downloading file '{NAME}'" in said.read_text()
    (thread,) = start_threads([target])
    while "Waiting for another" not in capsys.readouterr().err:
        time.sleep(0.01)
    process.kill()
    process.wait()
    end.set()
    thread.join()
    assert target.read_bytes() == content
    assert server.ranges == [None, *[f"bytes={9 * CHUNK}-"] * 2]

"""Downloads from a server on loopback that stops in every way we know."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import threading

import pooch
import pytest

from .one_archive import CHUNK, NAME, assert_fetched, fetch, get_error, unfinished


def test_cut_connections_go_on_where_they_stopped(server, target, content):
    server.faults = [{"cut_after": 5 * CHUNK}, {"cut_after": 3 * CHUNK}]
    assert_fetched(target, content)
    assert server.ranges == [None, f"bytes={5 * CHUNK}-", f"bytes={8 * CHUNK}-"]


def test_next_call_goes_on(server, target, content):
    server.faults = [{"cut_after": 7 * CHUNK}, *[{"status": 503}] * 4]
    message = get_error(server, target)
    assert "failed: 503 Server Error: Service Unavailable" in message
    assert f"458.8 kB of it are stored in {unfinished(target)}" in message
    del server.ranges[:]
    assert_fetched(target, content)
    assert server.ranges == [f"bytes={7 * CHUNK}-"]


@pytest.mark.parametrize("fault", [{"ignores_range": True}, {"status": 416}])
def test_server_without_ranges_starts_anew(server, target, content, fault):
    server.faults = [{"cut_after": 5 * CHUNK}, fault]
    assert_fetched(target, content)


def test_file_without_version_starts_anew(server, target, content):
    server.faults = [{"cut_after": 5 * CHUNK, "version": None}] * 5
    get_error(server, target)
    assert_fetched(target, content)
    assert server.ranges == [None] * 6


def test_all_bytes_but_not_the_name_have_come(server, target, content):
    server.faults = [{"cut_after": 5 * CHUNK}, *[{"status": 503}] * 4]
    get_error(server, target)
    (unfinished(target) / f"{NAME}.part").write_bytes(content)
    assert_fetched(target, content)
    assert server.ranges[-2:] == [f"bytes={len(content)}-", None]


@pytest.mark.parametrize("careless", [False, True])
def test_changed_file_is_never_mixed(server, target, content, careless):
    server.faults = [
        {"content": b"x" * len(content), "cut_after": 5 * CHUNK},
        {"ignores_if_range": careless},
    ]
    assert_fetched(target, content)
    assert server.ranges[:2] == [None, f"bytes={5 * CHUNK}-"]


def test_body_shorter_than_said_is_an_interruption(server, target, content):
    server.faults = [{"length": len(content) + 10}] * 5
    assert "IncompleteRead" in get_error(server, target)


def test_body_of_unknown_length(server, target, content):
    server.faults = [{"length": None}]
    assert_fetched(target, content)


def test_silence_is_an_interruption(server, target, content, monkeypatch):
    end = threading.Event()
    server.faults = [{"silence": end}] * 5
    with monkeypatch.context() as patch:
        patch.setattr(pooch.downloaders, "DEFAULT_TIMEOUT", 0.05)
        assert "Read timed out" in get_error(server, target)
    end.set()
    assert_fetched(target, content)


def test_interrupt_of_the_user(server, target, content, monkeypatch):
    def press_control_c(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(pooch.downloaders.tqdm, "update", press_control_c)
        with pytest.raises(KeyboardInterrupt):
            fetch(target)
    assert not target.exists()
    assert_fetched(target, content)
    assert server.ranges == [None, f"bytes={CHUNK}-"]


def test_progress_is_shown(server, target, capsys):
    server.faults = [{"cut_after": 5 * CHUNK}]
    fetch(target)
    error = capsys.readouterr().err
    assert "100%" in error

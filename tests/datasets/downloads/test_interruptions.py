"""Downloads from a server on loopback that stops in every way we know."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import os
import threading
import time

import pytest
import requests
import rich.progress

from ..official_site import redirect
from .one_archive import CHUNK, NAME, assert_fetched, fetch, get_error, make_target


def test_cut_connections_go_on_where_they_stopped(server, target, cache, content):
    server.faults = [{"cut_after": 5 * CHUNK}, {"cut_after": 3 * CHUNK}]
    assert_fetched(target, cache, content)
    assert server.ranges == [None, f"bytes={5 * CHUNK}-", f"bytes={8 * CHUNK}-"]


def test_cuts_count_only_where_nothing_new_came(server, target, cache, content):
    server.faults = [{"cut_after": CHUNK}] * 12
    assert_fetched(target, cache, content)
    assert len(server.requested) == 13


def test_next_call_goes_on(server, target, cache, content):
    server.faults = [{"cut_after": 7 * CHUNK}, *[{"status": 503}] * 4]
    message = get_error(server, target)
    assert "127.0.0.1 answered 503 Service Unavailable" in message
    assert f"458.8 kB of it are kept in {cache}{os.sep}{NAME}-" in message
    assert "from where the next try goes on. Try again, or" in message
    del server.ranges[:]
    assert_fetched(target, cache, content)
    assert server.ranges == [f"bytes={7 * CHUNK}-"]


def test_what_is_kept_serves_any_data_home(server, target, cache, content, tmp_path):
    server.faults = [{"cut_after": 7 * CHUNK}, *[{"status": 503}] * 4]
    get_error(server, target)
    assert_fetched(make_target(tmp_path / "other"), cache, content)
    assert server.ranges[-1] == f"bytes={7 * CHUNK}-"


def test_what_is_kept_serves_no_other_address(server, target, monkeypatch):
    server.faults = [{"cut_after": 7 * CHUNK}, *[{"status": 503}] * 4]
    get_error(server, target)
    redirect(monkeypatch, f"{server.url}other/")
    fetch(target)
    assert server.ranges[-1] is None


@pytest.mark.parametrize("fault", [{"ignores_range": True}, {"status": 416}])
def test_server_without_ranges_starts_anew(server, target, cache, content, fault):
    server.faults = [{"cut_after": 5 * CHUNK}, fault]
    assert_fetched(target, cache, content)


@pytest.mark.parametrize("version", [None, 'W/"weak"'])
def test_nothing_is_kept_of_a_file_without_version(server, target, cache, version):
    server.faults = [{"cut_after": 5 * CHUNK, "version": version}] * 5
    assert "of it are kept" not in get_error(server, target)
    assert server.ranges == [None] * 5
    assert not list(cache.iterdir())


@pytest.mark.parametrize("careless", [False, True])
def test_changed_file_is_never_mixed(server, target, cache, content, careless):
    server.faults = [
        {"content": b"x" * len(content), "cut_after": 5 * CHUNK},
        {"ignores_if_range": careless},
    ]
    assert_fetched(target, cache, content)
    assert server.ranges[:2] == [None, f"bytes={5 * CHUNK}-"]


def test_date_tells_the_version_too(server, target, cache, content):
    dated = {"version": None, "date": "Mon, 01 Jan 2018 00:00:00 GMT"}
    server.faults = [{**dated, "cut_after": 5 * CHUNK}, dated]
    assert_fetched(target, cache, content)
    assert server.ranges == [None, f"bytes={5 * CHUNK}-"]


def test_body_shorter_than_said_is_an_interruption(server, target, content):
    server.faults = [{"length": len(content) + 10}] * 5
    assert "the connection was cut" in get_error(server, target)


def test_body_of_unknown_length(server, target, cache, content):
    server.faults = [{"length": None}]
    assert_fetched(target, cache, content)


def test_silence_is_an_interruption(server, target, cache, content, monkeypatch):
    get, end = requests.get, threading.Event()

    def get_impatiently(*args, timeout, **options):
        return get(*args, timeout=0.05, **options)

    server.faults = [{"silence": end}] * 5
    with monkeypatch.context() as patch:
        patch.setattr(requests, "get", get_impatiently)
        assert "127.0.0.1 was silent for 30 seconds" in get_error(server, target)
    end.set()
    assert_fetched(target, cache, content)


def test_pauses_grow(server, target, monkeypatch):
    pauses = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    server.faults = [{"status": 503}] * 5
    get_error(server, target)
    assert [pause for pause in pauses if pause >= 1] == [1, 2, 4, 8]


def test_interrupt_of_the_user(server, target, cache, content, monkeypatch):
    def press_control_c(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(rich.progress.Progress, "advance", press_control_c)
        with pytest.raises(KeyboardInterrupt):
            fetch(target)
    assert not target.exists()
    assert_fetched(target, cache, content)
    assert server.ranges == [None, f"bytes={CHUNK}-"]


def test_progress_bar(server, target, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "120")
    server.faults = [{"cut_after": 5 * CHUNK}]
    fetch(target)
    error = capsys.readouterr().err
    assert NAME in error
    assert "1.3/1.3 MB" in error

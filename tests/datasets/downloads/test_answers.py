"""Downloads from a server on loopback that gives what was not asked for, or nothing."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import hashlib

import pytest

from .one_archive import CHUNK, NAME, TABLE, assert_fetched, fetch, get_error


def test_no_such_file(server, home, target, cache):
    (home / NAME).unlink()
    assert "127.0.0.1 answered 404 Not Found. Try again" in get_error(server, target)
    assert len(server.requested) == 1
    assert not list(cache.iterdir())


@pytest.mark.parametrize("status, n_tries", [(403, 1), (429, 5), (500, 5)])
def test_other_answers(server, target, status, n_tries):
    server.faults = [{"status": status}] * 5
    assert f"127.0.0.1 answered {status} " in get_error(server, target)
    assert len(server.requested) == n_tries


def test_no_network(target):
    with pytest.raises(OSError, match=r"no connection to isic-.*is there a network"):
        fetch(target)


def test_wrong_hash(server, target, cache):
    server.hashes[NAME] = "0" * 64
    message = get_error(server, target)
    assert "does not match the known hash" in message
    assert "Deleted" in message
    assert not list(cache.iterdir())


def test_right_hash_after_a_cut(server, target, cache, content):
    server.faults = [{"cut_after": 5 * CHUNK}]
    server.hashes[NAME] = hashlib.sha256(content).hexdigest()
    assert_fetched(target, cache, content)


def test_page_instead_of_an_archive(server, target, cache):
    server.faults = [{"content": b"<html>Please log in to the network</html>"}]
    message = get_error(server, target)
    assert "no zip archive, it begins with b'<html>Please" in message
    assert not list(cache.iterdir())


def test_page_instead_of_a_table(server, home, target, cache):
    (target.parent / TABLE).rename(home / TABLE)
    server.faults = [{"content": b"\n <!DOCTYPE html><p>Please log in</p>"}]
    with pytest.raises(OSError, match=r"no table, it begins with.*it is deleted"):
        fetch(target)
    assert not list(target.parent.iterdir())
    assert not list(cache.iterdir())

"""Downloads from a server on loopback that gives what was not asked for, or nothing."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import hashlib

import pytest

from .one_archive import (
    CHUNK,
    NAME,
    TABLE,
    assert_fetched,
    fetch,
    get_error,
    list_unfinished,
)


@pytest.mark.parametrize("status", [403, 404, 503])
def test_no_file_comes(server, target, status):
    server.faults = [{"status": status}] * 5
    assert f"its download failed: {status} " in get_error(server, target)
    assert len(server.requested) == 5
    assert not list_unfinished(target)


def test_no_network(target):
    with pytest.raises(OSError, match=r"download failed: .*isic-.*Try again, or"):
        fetch(target)
    assert not list_unfinished(target)


def test_wrong_hash(server, target):
    server.hashes[NAME] = "0" * 64
    message = get_error(server, target)
    assert "does not match the known hash" in message
    assert not list_unfinished(target)


def test_right_hash_after_a_cut(server, target, content):
    server.faults = [{"cut_after": 5 * CHUNK}]
    server.hashes[NAME] = hashlib.sha256(content).hexdigest()
    assert_fetched(target, content)


def test_damaged_archive(server, target, content):
    i = content.index(b"ISIC_0000000.jpg") + CHUNK
    server.faults = [{"content": content[:i] + b"damage" + content[i + 6 :]}]
    message = get_error(server, target)
    assert "the downloaded file is a damaged archive (" in message
    assert not list_unfinished(target)
    assert_fetched(target, content)


def test_page_instead_of_an_archive(server, target):
    server.faults = [{"content": b"<html>Please log in to the network</html>"}]
    assert "which begins with b'<html>Please" in get_error(server, target)
    assert not list_unfinished(target)


def test_page_instead_of_a_table(server, home, target):
    (target.parent / TABLE).rename(home / TABLE)
    server.faults = [{"content": b"\n <!DOCTYPE html><p>Please log in</p>"}]
    with pytest.raises(OSError, match=r"the downloaded file is a web page"):
        fetch(target)
    assert not (target.parent / TABLE).exists()
    assert not list_unfinished(target)

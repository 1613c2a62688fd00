"""One archive, downloaded by the fetcher of ISIC 2016, part 3; its table is there."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import pytest

from skinest.datasets import fetch_isic2016_part3

from ..isic2016_part3_archives import TRAIN

STEM = f"{TRAIN}_Data"
NAME = f"{STEM}.zip"
TABLE = f"{TRAIN}_GroundTruth.csv"
# Downloads are written in chunks of as many bytes; only whole ones are sure to be kept.
CHUNK = 2**16


def make_target(folder):
    """Make a data home with the table; return the path of the archive in it."""
    folder.mkdir(parents=True)
    (folder / TABLE).write_text("ISIC_0000000,benign\n")
    return folder / NAME


def fetch(target):
    return fetch_isic2016_part3(target.parent)


def get_error(server, target):
    """Return the error of a download that fails and leaves nothing half-made."""
    with pytest.raises(OSError) as error:
        fetch(target)
    names = {path.name for path in target.parent.iterdir()}
    assert names == {TABLE, ".unfinished"}
    message = str(error.value)
    assert message.startswith(f"{NAME} is not in {target.parent}, and its download")
    assert f"Try again, or download {server.url}{NAME} by hand" in message
    return message


def list_unfinished(target):
    """List what is kept of unfinished downloads; their lock stays."""
    return {path.name for path in unfinished(target).iterdir()} - {"lock"}


def unfinished(target):
    return target.parent / ".unfinished"


def assert_fetched(target, content):
    fetch(target)
    assert target.read_bytes() == content
    names = {path.name for path in target.parent.iterdir()}
    assert names == {TABLE, NAME, STEM, ".unfinished"}
    assert not list_unfinished(target)

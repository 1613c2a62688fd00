"""What the tests of downloads share: one archive to come, and where it goes."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import zipfile

import numpy as np
import pytest

from .one_archive import CHUNK, NAME, STEM, make_target


@pytest.fixture
def home(tmp_path):
    """What the site has: one archive of about 20 chunks."""
    folder = tmp_path / "site"
    folder.mkdir()
    content = np.random.default_rng(0).bytes(20 * CHUNK)
    with zipfile.ZipFile(folder / NAME, "w") as archive:
        archive.writestr(f"{STEM}/ISIC_0000000.jpg", content)
    return folder


@pytest.fixture
def content(home):
    return (home / NAME).read_bytes()


@pytest.fixture
def cache(tmp_path):
    """Where unfinished downloads are kept."""
    return tmp_path / "cache" / "partial"


@pytest.fixture
def target(tmp_path):
    """Where the archive goes: a data home that has the table."""
    return make_target(tmp_path / "new")

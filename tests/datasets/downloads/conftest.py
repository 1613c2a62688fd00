"""Fixtures of the tests of downloads: one archive to come, and its target."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import zipfile

import numpy as np
import pytest

from .one_archive import CHUNK, NAME, STEM, make_target


@pytest.fixture
def home(tmp_path):
    """Make the folder of the site: one archive of about 20 chunks."""
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
def target(tmp_path):
    """Return the target of the archive, in a data home that has the table."""
    return make_target(tmp_path / "new")

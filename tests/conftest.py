"""Fixtures and settings that all tests share."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import os
import sys
from collections import Counter
from pathlib import Path

import pytest

# Worker processes import the classes that tests define, as tests.test_...
sys.path.insert(0, str(Path(__file__).parents[1]))

# As many workers as processors, each with as many threads, would get in each
# other's way. The libraries read this when they are first imported.
if "PYTEST_XDIST_WORKER" in os.environ:
    for name in (
        "OMP_NUM_THREADS",
        "TF_NUM_INTRAOP_THREADS",
        "TF_NUM_INTEROP_THREADS",
    ):
        os.environ.setdefault(name, "1")


class DecodedFiles:
    """Counts of the files that OpenCV has decoded, in this process."""

    def __init__(self):
        self.contents = []

    def counts(self, paths):
        """Count the decodings of each file; files of the same content share theirs."""
        times = Counter(self.contents)
        return [times[Path(path).read_bytes()] for path in paths]


@pytest.fixture
def decoded(monkeypatch):
    """Count how often files are decoded from here on: `decoded.counts(paths)`."""
    import cv2

    files, decode = DecodedFiles(), cv2.imdecode

    def count_and_decode(content, *args, **kwargs):
        files.contents.append(content.tobytes())
        return decode(content, *args, **kwargs)

    monkeypatch.setattr(cv2, "imdecode", count_and_decode)
    return files


@pytest.fixture
def write_masks(tmp_path):
    """Write masks to PNG files of a folder, and return their paths."""
    import cv2

    def write(name, masks):
        (tmp_path / name).mkdir()
        paths = [tmp_path / name / f"{k}.png" for k in range(len(masks))]
        for path, mask in zip(paths, masks, strict=True):
            assert cv2.imwrite(str(path), mask)
        return paths

    return write

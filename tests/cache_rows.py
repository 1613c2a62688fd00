"""Rows of the tables of what a cache notices, and the process that runs them.

A row is a function that makes an estimator and its images, before or after a change. It
runs with an empty folder in one process, and after the change with the same folder in
another process.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import importlib
import os
import pickle
import subprocess
import sys
import warnings
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
N_IMAGES = 4


class Run:
    """One run of a row, before or after its change.

    Parameters
    ----------
    folder : Path
        A folder of the row alone.

    after : bool
        Whether this is the run after the change.
    """

    def __init__(self, folder, after):
        self.folder = folder
        self.after = after
        self.patch = pytest.MonkeyPatch()
        (folder / "files").mkdir(parents=True, exist_ok=True)

    def pick(self, before, after):
        return after if self.after else before

    def write_module(self, source, name="own"):
        """Write a module of the user, and import it."""
        name = f"{name}_{self.folder.name}"
        (self.folder / f"{name}.py").write_text(source)
        sys.path.insert(0, str(self.folder))
        importlib.invalidate_caches()
        try:
            return importlib.import_module(name)
        finally:
            sys.path.remove(str(self.folder))

    def write_images(self, folder="files", seed=0):
        """Write images of one size in bytes, and return their paths."""
        paths = []
        for number, image in enumerate(make_images(seed)):
            paths.append(self.folder / folder / f"{number}.bmp")
            cv2.imwrite(str(paths[-1]), image)
        return list(map(str, paths))


def make_images(seed=0):
    """Return blurred noise, in which SIFT finds keypoints."""
    noise = np.random.default_rng(seed).normal(size=(N_IMAGES, 48, 48, 3))
    blurred = np.stack([cv2.GaussianBlur(image, (0, 0), 1.5) for image in noise])
    return np.uint8(np.clip(128 + 300 * blurred, 0, 255))


def change_one_number(path):
    """Change a number in a file of weights, but not its size and time."""
    before = os.stat(path)
    with h5py.File(path, "r+") as file:
        file["layers/conv2d/vars/0"][0, 0, 0, 0] = 1.5
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert before.st_size == os.stat(path).st_size


def observe(make, run):
    """Return what a row gives with its memory and without, and what was written."""
    memory = run.folder / "memory"
    with run.patch.context() as patch, warnings.catch_warnings(record=True) as caught:
        run.patch = patch
        warnings.simplefilter("always", UserWarning)
        try:
            estimator, X = make(run)
            known = set(memory.rglob("*.pkl"))
            kept = compute(estimator, X, memory)
        except ValueError as error:
            return {"error": str(error), "warnings": []}
        said = [str(warning.message) for warning in caught]
        return {
            "kept": kept,
            "plain": compute(estimator, X, None),
            "n_known": len(known),
            "n_new": len(set(memory.rglob("*.pkl")) - known),
            "warnings": said,
        }


def compute(estimator, X, memory):
    """Fit, and return vectors or predictions."""
    estimator.set_params(memory=memory)
    if isinstance(X, tuple):  # images and masks
        X, y = X
        return np.concatenate(estimator.fit(X, y).predict_proba(X), axis=None)
    if hasattr(estimator, "predict_proba"):
        return estimator.fit(X, np.arange(len(X)) % 2).predict_proba(X)
    return estimator.fit_transform(X)


def run_rows(table, folder, stage):
    """Run all rows of a table in this process, and write what they give."""
    importlib.import_module("tests.tiny_backbone")  # before the estimators
    rows = importlib.import_module(table).ROWS
    results = {
        name: observe(make, Run(Path(folder, str(number)), stage == "after"))
        for number, (name, (make, _)) in enumerate(rows.items())
    }
    Path(folder, f"{stage}.pkl").write_bytes(pickle.dumps(results))


def run_in_two_processes(table, folder):
    """Return what the rows give before and after their changes."""
    code = f"from tests.cache_rows import run_rows; run_rows({table!r}, *sys.argv[2:])"
    code = f"import sys; sys.path.insert(0, sys.argv[1]); {code}"
    results = []
    for stage in ("before", "after"):
        command = [sys.executable, "-c", code, str(ROOT), str(folder), stage]
        subprocess.run(command, check=True)
        results.append(pickle.loads((folder / f"{stage}.pkl").read_bytes()))
    return results


def check_row(expected, before, after):
    """Check what a row gives, see the tables for what is expected."""
    if expected == "refused":
        assert "has a version" in before["error"] == after["error"]
        return
    np.testing.assert_array_equal(before["kept"], before["plain"])
    is_equal = np.array_equal(after["kept"], after["plain"])
    assert is_equal == (expected != "stale")
    if expected in ("anew", "alike"):
        assert before["n_new"] > 0 < after["n_new"]
        assert before["warnings"] == after["warnings"] == []
    if expected in ("served", "stale"):
        assert before["n_new"] == after["n_known"] > 0 == after["n_new"]
        assert before["warnings"] == after["warnings"] == []
    if expected == "warned":
        for each in (before, after):
            (text,) = each["warnings"]
            assert "are not cached, because it" in text and len(text) < 250
    if expected == "stale":
        np.testing.assert_array_equal(before["kept"], after["kept"])
    if expected == "anew":
        assert not np.array_equal(before["kept"], after["kept"])

"""Arrays that memory need not hold: they lie in temporary files, which go."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import gc
import tracemalloc
import weakref
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from skinest._training import _batches

from ..classification.conftest import bits, small
from .conftest import N_IMAGES
from .test_features import Y, augmented


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """Make a folder of temporary files, into which all large arrays go."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    # Only a lower limit is reached by small images.
    monkeypatch.setattr(_batches, "_MAX_IN_MEMORY", 100)
    return folder


@pytest.fixture
def in_files(monkeypatch):
    """List arrays that lie in files: the shape, and a weak reference."""
    found, memmap = [], np.memmap

    class Watched(memmap):
        def __new__(cls, *args, **options):
            array = memmap(*args, **options)
            found.append((array.shape, weakref.ref(array)))
            return array

    monkeypatch.setattr(np, "memmap", Watched)
    return found


def large(**settings):
    settings = {"validation_fraction": 0.25, **settings}
    return augmented(**settings)


STORED = {
    "head": ({}, [(9, 3, 1280), (3, 1, 1280)]),
    "upper part": ({"trainable": "Conv_1"}, [(9, 3, 17), (3, 1, 17)]),
    "network": ({"trainable": "all", "epochs": 1}, [(12, 32, 32, 3)]),
    "two stages": (
        {"fine_tune": "Conv_1", "fine_tune_epochs": 1},
        [(12, 32, 32, 3), (9, 3, 1280), (3, 1, 1280), (9, 3, 17), (3, 1, 17)],
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] * (name == "upper part"))
        for name in STORED
    ],
)
def test_a_temporary_file_gives_the_same_bits(name, images, temporary, in_files):
    settings, shapes = STORED[name]
    in_file = large(**settings).fit(images, Y)
    assert [shape for shape, _ in in_files] == shapes
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_batches, "_MAX_IN_MEMORY", 2**30)
        in_memory = large(**settings).fit(images, Y)
    assert len(in_files) == len(shapes)
    assert bits(in_file) == bits(in_memory)
    assert in_file.history_ == in_memory.history_


def test_pixels_of_validation_images_go_into_a_file_too(images, temporary, in_files):
    clf = small(trainable="all", epochs=1)
    clf.fit(images[:8], Y[:8], X_val=images[8:], y_val=Y[8:])
    assert [shape for shape, _ in in_files] == [(8, 32, 32, 3), (4, 32, 32, 3)]


class Failing(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        raise RuntimeError("no luck")


@pytest.mark.usefixtures("no_graphs")
@pytest.mark.parametrize(
    "name", [pytest.param("head", marks=pytest.mark.slow), "network"]
)
def test_a_temporary_file_is_gone_afterwards(name, images, paths, temporary, in_files):
    settings, _ = STORED[name]
    large(**settings).fit(images, Y)
    assert list(temporary.iterdir()) == []
    with pytest.raises(RuntimeError, match="no luck"):
        large(**settings, keras_callbacks=[Failing()]).fit(images, Y)
    Path(paths[9]).write_bytes(b"BM")
    with pytest.raises(ValueError, match="truncated"):
        large(**settings).fit(paths, Y)
    assert list(temporary.iterdir()) == []
    gc.collect()
    assert len(in_files) >= 3
    assert all(array() is None for _, array in in_files)


def test_a_temporary_file_takes_features_out_of_memory(images, memory, temporary):
    clf = augmented(
        n_copies=20, image_size=(64, 64), pooling="flatten", epochs=1, memory=memory
    )
    n_bytes = N_IMAGES * 21 * 4 * 5120
    clf.fit(images, Y)
    peaks = []
    for limit in (1000, n_bytes):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(_batches, "_MAX_IN_MEMORY", limit)
            tracemalloc.start()
            clf.fit(images, Y)
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    assert peaks[1] - peaks[0] > 0.7 * n_bytes


def test_too_little_space_is_an_error_before_any_is_filled(
    images, temporary, n_computed, monkeypatch
):
    usage = SimpleNamespace(free=1_000_000)
    monkeypatch.setattr("shutil.disk_usage", lambda folder: usage)
    message = r"6\.1 GB are needed.*temporary'.*TMPDIR.*n_augmented_copies"
    with pytest.raises(OSError, match=message):
        augmented(n_copies=100_000).fit(images, Y)
    assert n_computed() == 0
    clf = small(image_size=(32, 40), trainable="all")
    usage.free = 12 * 32 * 40 * 3 - 1
    with pytest.raises(OSError, match=r"are needed.*smaller image_size"):
        clf.fit(images, Y)

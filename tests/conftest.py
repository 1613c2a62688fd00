"""Fixtures and settings that all tests share."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import gc
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

# As many workers as processors, each with as many threads, would get in each
# other's way. The libraries read this when they are first imported.
if "PYTEST_XDIST_WORKER" in os.environ:
    for name in (
        "OMP_NUM_THREADS",
        "TF_NUM_INTRAOP_THREADS",
        "TF_NUM_INTEROP_THREADS",
    ):
        os.environ.setdefault(name, "1")


from . import tiny_backbone  # noqa: F401 -- after the limits, before the estimators
from .eager import without_graphs

# TensorFlow and the tests make 530,000 objects that live to the end. The search for
# garbage among them took 4 of 14 s while tests are collected, and takes .3 s in each
# `gc.collect()` of a test or of `clear_models` unless they are frozen.


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


@pytest.fixture(scope="session", autouse=True)
def many_models():
    """Keep the models of all tests: most files fit a few small ones, and no others."""
    from skinest._training import _models

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_models, "_MAX_IDLE", 1000)
        yield


@pytest.fixture
def own_models(monkeypatch):
    """Begin without models, and clear none of those that other tests use."""
    from skinest._training import _models

    monkeypatch.setattr(_models, "_idle", [])


@pytest.fixture
def compiled(own_models, monkeypatch):
    """Collect each model that is compiled, which happens once."""
    import keras

    models, compile_model = [], keras.Model.compile

    def compile_and_keep(model, **arguments):
        models.append(model)
        return compile_model(model, **arguments)

    monkeypatch.setattr(keras.Model, "compile", compile_and_keep)
    return models


class DecodedFiles:
    """Counts of the files that are decoded, in this process."""

    def __init__(self):
        self.contents = []

    def counts(self, paths):
        """Count the decodings of each file; files of the same content share theirs."""
        times = Counter(self.contents)
        return [times[Path(path).read_bytes()] for path in paths]


@pytest.fixture
def decoded(monkeypatch):
    """Count how often files are decoded from here on: `decoded.counts(paths)`."""
    from skinest._reading import _formats

    files, decode = DecodedFiles(), _formats.decode

    def count_and_decode(content, *args, **kwargs):
        files.contents.append(content)
        return decode(content, *args, **kwargs)

    monkeypatch.setattr(_formats, "decode", count_and_decode)
    return files


class KerasFit:
    """What Keras has read of the data sets of one of its fits."""

    def __init__(self):
        self.batches = {"train": [], "validation": []}
        self.n_batches = {}

    def watch(self, name, data):
        """Return a data set that is written down as Keras reads it."""
        import keras

        if data is None:
            return None
        self.n_batches[name] = len(data)
        keep = self.batches[name].append
        if isinstance(data, keras.utils.PyDataset):

            class Watched(keras.utils.PyDataset):
                def __len__(self):
                    return len(data)

                def __getitem__(self, index):
                    keep(data[index])
                    return data[index]

            return Watched()
        import tensorflow as tf

        def look(*batch):
            tf.numpy_function(lambda *arrays: keep(arrays), batch, [])
            return batch

        return data.map(look)

    def epochs(self, name="train"):
        """Return inputs, targets and weights of each epoch, in the order of reading."""
        epochs, n_batches = [], self.n_batches[name]
        for start in range(0, len(self.batches[name]), n_batches):
            batches = self.batches[name][start : start + n_batches]
            epochs.append([np.concatenate(each) for each in zip(*batches, strict=True)])
        return epochs


@pytest.fixture
def keras_fits(monkeypatch):
    """List what Keras reads in each of its fits from here on."""
    import keras

    fits, fit = [], keras.Model.fit

    def watch_and_fit(self, x, *, validation_data=None, **options):
        fits.append(KerasFit())
        return fit(
            self,
            fits[-1].watch("train", x),
            validation_data=fits[-1].watch("validation", validation_data),
            **options,
        )

    monkeypatch.setattr(keras.Model, "fit", watch_and_fit)
    return fits


@pytest.fixture
def no_graphs():
    """Train without graphs."""
    with without_graphs():
        yield


@pytest.fixture
def n_computed(monkeypatch):
    """Count the images that go through Keras; read and put to 0 by calling it."""
    import keras

    predict_on_batch = keras.Model.predict_on_batch
    counted = [0]

    def count_and_predict(self, batch):
        if batch.ndim == 4:  # images, not features; batches are filled up with zeros
            counted[0] += np.count_nonzero(batch.any(axis=(1, 2, 3)))
        return predict_on_batch(self, batch)

    def read():
        n_read, counted[0] = counted[0], 0
        return n_read

    monkeypatch.setenv("SKINEST_ENGINE", "keras")
    monkeypatch.setattr(keras.Model, "predict_on_batch", count_and_predict)
    return read


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


@pytest.fixture
def processor(monkeypatch):
    """Stand in for the tables of the processor: NumPy's, and Linux' own.

    What is told of it is called directly: no machine has all these processors, and
    each would need a fit. It is also kept, and has to be forgotten.
    """
    from skinest._compat import cpu_has_amx, cpu_has_bfloat16
    from tests.private_names import replace_cpu_features

    read_text = Path.read_text

    def has(numpy=(), linux=None):
        features = None
        if numpy is not None:
            features = dict.fromkeys(numpy, True) | {"AVX512F": True, "VSX": False}
        replace_cpu_features(monkeypatch, features)

        def read(path, *args, **options):
            if str(path) != "/proc/cpuinfo":
                return read_text(path, *args, **options)
            if linux is None:
                raise FileNotFoundError
            return f"processor\t: 0\nflags\t\t: fpu vme {linux} sse2\n"

        monkeypatch.setattr(Path, "read_text", read)
        forget()
        return cpu_has_bfloat16()

    def forget():
        cpu_has_bfloat16.cache_clear()
        cpu_has_amx.cache_clear()

    yield has
    forget()

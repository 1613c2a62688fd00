"""Fits and predictions on the other backends of Keras, where they are installed."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import importlib.util
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from . import backend_fits


@pytest.fixture(scope="module")
def fitted():
    return backend_fits.fit_segmenter(), backend_fits.fit_classifier()


@pytest.fixture(scope="module", params=["jax", "tensorflow", "torch"])
def found(request, tmp_path_factory):
    """Return what another backend gives, in a process of its own."""
    backend = request.param
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    if backend == keras.backend.backend():
        pytest.skip("this is the backend of this process")
    path = tmp_path_factory.mktemp(backend) / "fitted.pickle"
    path.write_bytes(pickle.dumps(request.getfixturevalue("fitted")))
    root = str(Path(__file__).parents[2])
    run = subprocess.run(
        [sys.executable, backend_fits.__file__, str(path)],
        env={**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": root},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    results = json.loads(run.stdout.splitlines()[-1])
    assert results["backend"] == backend
    return results


def test_a_pickle_predicts_the_same(found, fitted):
    expected = backend_fits.predict(fitted)
    for one, other in zip(found["probabilities"], expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-5)


def test_callbacks_see_and_change_the_training_within_an_epoch(found):
    here = np.array(backend_fits.watch_batches())
    assert len(set(here[:, 0])) == len(here) == 4
    np.testing.assert_allclose(here[:, 1], [1, 0.5, 0.25, 0.125])
    np.testing.assert_allclose(found["batches"], here, rtol=1e-3)


def test_a_fit_that_diverges_says_what_to_lower(found):
    for messages in (found["divergence"], backend_fits.diverge()):
        assert any("lower learning_rate" in message for message in messages)


def test_threads_predict_together(found):
    assert found["differing"] == [0, 0]

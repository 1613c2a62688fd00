# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import importlib.util
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

# Displays use one backend in a process, and show gradients as pictures alone.
from skinest.inspection._gradients import compute_score_gradients

INPUTS = np.array([[[1.0, 2.0]], [[3.0, -4.0]]])  # two images of shape (1, 2)
COEFFICIENTS = np.array([[1.0, 0.0], [-1.0, 2.0]])
# Scores a^2 b and a + 5 b have the gradients (2 a b, a^2) and (1, 5).
EXPECTED = [[[4.0, 1.0]], [[24.0 + 2.0, -9.0 + 10.0]]]

PROGRAM = """
import keras
import numpy as np
from skinest.inspection._gradients import compute_score_gradients

def scores(x):
    a, b = x[:, 0, 0], x[:, 0, 1]
    return keras.ops.stack([a * a * b, a + 5 * b], axis=1)

gradients = compute_score_gradients(
    scores, np.array({inputs}), np.array({coefficients})
)
print(keras.config.backend(), gradients.tolist())
"""


def scores(x):
    a, b = x[:, 0, 0], x[:, 0, 1]
    return keras.ops.stack([a * a * b, a + 5 * b], axis=1)


def test_gradient_in_closed_form():
    gradients = compute_score_gradients(scores, INPUTS, COEFFICIENTS)
    assert gradients.dtype == np.float32
    np.testing.assert_allclose(gradients, EXPECTED)


def test_score_in_bfloat16():
    def low(x):
        return keras.ops.cast(x[:, 0], "bfloat16") * 2

    gradients = compute_score_gradients(low, INPUTS, COEFFICIENTS)
    np.testing.assert_array_equal(gradients[:, 0], 2 * COEFFICIENTS)


@pytest.mark.parametrize("backend", ["jax", "tensorflow", "torch"])
def test_other_backends_give_the_same(backend):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    if backend == keras.config.backend():
        pytest.skip("the gradient in closed form is that of this backend")
    program = PROGRAM.format(inputs=INPUTS.tolist(), coefficients=COEFFICIENTS.tolist())
    run = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.strip() == f"{backend} {EXPECTED}"


def test_backend_without_gradients(monkeypatch):
    monkeypatch.setattr(keras.config, "backend", lambda: "numpy")
    with pytest.raises(NotImplementedError, match="'numpy' has no gradients"):
        compute_score_gradients(scores, INPUTS, COEFFICIENTS)

"""A warning where TensorFlow was imported before skinest, and is slower without it."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import os
import platform
import subprocess
import sys
import warnings

import keras
import numpy as np
import pytest

from skinest import UNetSegmenter
from skinest._compat import uses_onednn
from skinest._training import _onednn

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow"
    or platform.machine() not in ("x86_64", "AMD64"),
    reason="needs TensorFlow on an x86-64 processor",
)
IMAGES = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), dtype=np.uint8)
MESSAGE = "TensorFlow was imported before skinest.*variable TF_ENABLE_ONEDNN_OPTS"


@pytest.fixture
def unused(monkeypatch):
    """Let TensorFlow seem to be without oneDNN, as on a processor without AVX512."""
    monkeypatch.setattr(_onednn, "uses_onednn", lambda: False)
    monkeypatch.delenv(_onednn.VARIABLE, raising=False)
    _onednn.warn_without_onednn.cache_clear()
    yield
    _onednn.warn_without_onednn.cache_clear()


def make_segmenter():
    return UNetSegmenter(
        depth=1, base_filters=2, image_size=(16, 16), epochs=1, random_state=0
    )


@pytest.mark.usefixtures("own_models", "no_graphs", "unused")
def test_the_first_network_warns_and_no_other():
    with pytest.warns(UserWarning, match=MESSAGE):
        segmenter = make_segmenter().fit(IMAGES, IMAGES[..., 0] > 127)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", MESSAGE)
        segmenter.predict(IMAGES)


@pytest.mark.usefixtures("own_models", "no_graphs", "unused")
@pytest.mark.parametrize("value", ["0", "1"])
def test_what_the_user_has_set_is_not_questioned(value, monkeypatch):
    monkeypatch.setenv(_onednn.VARIABLE, value)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", MESSAGE)
        make_segmenter().fit(IMAGES, IMAGES[..., 0] > 127)


TRAIN = """
import numpy as np
X = np.zeros((2, 16, 16, 3), np.uint8)
model = UNetSegmenter(depth=1, base_filters=2, image_size=(16, 16), epochs=1)
model.fit(X, X[..., 0] > 0)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("code", "is_first"),
    [
        ("import skinest, keras; from skinest import UNetSegmenter", True),
        ("import keras; from skinest import UNetSegmenter", False),
    ],
)
def test_the_order_of_imports_decides(code, is_first):
    kept = {k: v for k, v in os.environ.items() if k != _onednn.VARIABLE}
    show = "\nfrom skinest._compat import uses_onednn; print(uses_onednn())"
    run = subprocess.run(
        [sys.executable, "-c", code + TRAIN + show],
        env=kept,
        capture_output=True,
        text=True,
        check=True,
    )
    is_used = run.stdout.split()[-1] == "True"
    assert ("imported before skinest" in run.stderr) == (not is_used)
    if is_first:
        assert is_used == uses_onednn()

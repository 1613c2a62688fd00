"""How a fit gets to Keras: through few functions, which a reader can follow."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import inspect
from pathlib import Path

import keras
import numpy as np
import pytest

import skinest

from ..classification.conftest import make_images, small
from ..segmentation.conftest import make_small

PACKAGE = Path(skinest.__file__).parent
IMAGES = make_images(8)


def list_own_functions():
    """List functions of skinest that are being called, `fit` first."""
    frames = [frame for frame in inspect.stack() if Path(frame.filename).is_file()]
    names = [f.function for f in frames if PACKAGE in Path(f.filename).parents]
    return names[::-1]


class Look(keras.callbacks.Callback):
    """Looks at the functions that stand above the training."""

    def __init__(self, keep):
        super().__init__()
        self.keep = keep  # a function, which a copy of the callback shares

    def on_train_begin(self, logs=None):
        self.keep(list_own_functions())


@pytest.mark.parametrize(
    "stages",
    [
        {},
        {"trainable": "Conv_1"},
        {"fine_tune": "Conv_1", "fine_tune_epochs": 1},
    ],
    ids=["head", "network", "two stages"],
)
def test_few_functions_stand_between_a_classifier_and_keras(stages):
    calls = []
    clf = small(**stages, epochs=1, keras_callbacks=[Look(calls.append)])
    clf.fit(IMAGES, np.arange(8) % 2, X_val=IMAGES, y_val=np.arange(8) % 2)
    assert len(calls) == len(clf.n_iter_per_stage_)
    for first, *others in calls:
        assert first == "fit"
        assert len(others) <= 2, others


@pytest.mark.slow
def test_few_functions_stand_between_a_segmenter_and_keras():
    calls = []
    segmenter = make_small(epochs=1, keras_callbacks=[Look(calls.append)])
    segmenter.fit(IMAGES, (IMAGES.mean(axis=3) > 127).astype(np.uint8))
    ((first, *others),) = calls
    assert first == "fit"
    assert len(others) <= 2, others

"""Fits that end where a checkpoint is written, and what they give.

Run as a script, in a process of its own, this fits once and prints digests as JSON; or
it kills itself. Arguments: the name of the fit, a folder or "-", the number of the
writing at which it is killed or 0, and "before" or "after" the file is replaced.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import json
import os
import shutil
import signal
import sys
from contextlib import contextmanager

import joblib
import keras
import numpy as np
import pytest

import tests.tiny_backbone  # noqa: F401 -- adds "tiny" to the backbones
from skinest import Augmentation, TransferClassifier, UNetSegmenter
from tests.classification.conftest import SMALL as SMALL_CLASSIFIER
from tests.classification.conftest import make_images
from tests.segmentation.conftest import SMALL as SMALL_SEGMENTER
from tests.segmentation.conftest import make_pairs

Y = np.array([0, 0, 1] * 4)
STOPS = {"validation_fraction": 0.25, "early_stopping": True, "learning_rate": 0.1}
CLASSIFIERS = {
    "head and network": {
        **STOPS,
        "hidden_units": (4,),
        "dropout": 0.3,
        "augmentation": Augmentation(),
        "n_augmented_copies": 1,
        "fine_tune": "Conv_1",
        "fine_tune_learning_rate": 0.01,
    },
    "all and head": {
        "trainable": "all",  # with batch normalisation
        "fine_tune": "head",
        "optimizer": "rmsprop",
    },
    "two heads": {"fine_tune": "head", "fine_tune_learning_rate": 0.02, "dropout": 0.3},
}
SEGMENTERS = {
    "segmenter": {
        **STOPS,
        "epochs": 4,
        "dropout": 0.2,
        "augmentation": Augmentation(vertical_flip=True),
        "learning_rate": keras.optimizers.schedules.ExponentialDecay(0.05, 3, 0.5),
    },
    "segmenter with an encoder": {
        "encoder": "tiny",
        "weights": None,
        "depth": "auto",
        "image_size": (32, 32),
        "fine_tune": "all",
        "fine_tune_epochs": 2,
    },
}
# After each epoch and each stage: two stages of two epochs, or one of four.
N_WRITES = dict.fromkeys([*CLASSIFIERS, *SEGMENTERS], 6) | {"segmenter": 5}


def make_estimator(name, checkpoint=None, **settings):
    """Make an estimator, and the arguments of its fit."""
    settings["checkpoint"] = checkpoint
    if name in SEGMENTERS:
        fixed = {**SMALL_SEGMENTER, **SEGMENTERS[name]}
        return UNetSegmenter(**{**fixed, **settings}), make_pairs(sides=(32, 36))
    fixed = {**SMALL_CLASSIFIER, **CLASSIFIERS[name], "fine_tune_epochs": 2}
    return TransferClassifier("tiny", **{**fixed, **settings}), (make_images(12), Y)


def describe(fitted):
    """Return digests of all that a fit has learned and recorded."""
    return {
        "weights": joblib.hash(fitted.model_.get_weights()),
        "history": repr(fitted.history_),
        "n_iter": [fitted.n_iter_, *fitted.n_iter_per_stage_],
    }


class Stopped(BaseException):
    """Ends a fit as Ctrl-C does."""


def stop():
    raise Stopped


@contextmanager
def watched(before=None, after=None):
    """Call functions before and after the file of a checkpoint gets its name.

    Their argument is how often a checkpoint has been written.
    """
    replace, n_written = os.replace, 0

    def call_and_replace(source, target):
        nonlocal n_written
        is_checkpoint = os.path.basename(target) == "checkpoint.npz"
        n_written += is_checkpoint
        if is_checkpoint and before is not None:
            before(n_written)
        replace(source, target)
        if is_checkpoint and after is not None:
            after(n_written)

    os.replace = call_and_replace
    try:
        yield
    finally:
        os.replace = replace


def fit_broken(estimator, data, number):
    """End a fit by an exception after a writing of its checkpoint."""

    def stop_at(n_written):
        if n_written == number:
            raise Stopped

    with watched(after=stop_at), pytest.raises(Stopped):
        estimator.fit(*data)


class Copies:
    """Copies of a folder after each writing of a checkpoint in it.

    This is what a fit would leave there that is killed at that time.
    """

    def __init__(self, folder):
        self.folder = folder
        self.copies = f"{folder}-copies"

    def fit(self, estimator, data):
        """Fit to the end, and copy the folder meanwhile."""
        shutil.rmtree(self.copies, ignore_errors=True)

        def copy(n_written):
            shutil.copytree(self.folder, f"{self.copies}/{n_written}")

        with watched(after=copy):
            return estimator.fit(*data)

    def restore(self, number):
        """Bring the folder back to what it was after a writing."""
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.copytree(f"{self.copies}/{number}", self.folder)


def main(name, folder, number, place):
    estimator, data = make_estimator(name, None if folder == "-" else folder)

    def kill(n_written):
        if n_written == int(number):
            os.kill(os.getpid(), signal.SIGKILL)

    with watched(**{place: kill}):
        estimator.fit(*data)
    json.dump(describe(estimator), sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])

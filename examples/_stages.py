"""Training in stages, as in the study, that continues where it was stopped."""

import os
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import joblib
import numpy as np

import skinest  # noqa: F401

# isort: split
import keras  # after skinest, which lets TensorFlow use oneDNN


class KeepBest(keras.callbacks.Callback):
    """Restore the trained weights of the best epoch of each stage by a metric.

    The study stopped by one metric and restored by another. `early_stopping` of a
    classifier uses the same metric for both.

    Parameters
    ----------
    monitor : str
        Name of the metric, of which higher values are better.
    """

    def __init__(self, monitor):
        super().__init__()
        self.monitor = monitor

    def on_train_begin(self, logs=None):
        self.best, self.weights = -np.inf, None

    def on_epoch_end(self, epoch, logs=None):
        if logs[self.monitor] > self.best:
            self.best = logs[self.monitor]
            variables = self.model.trainable_variables
            self.weights = [
                np.array(keras.ops.convert_to_numpy(variable)) for variable in variables
            ]

    def on_train_end(self, logs=None):
        if self.weights is not None:
            pairs = zip(self.model.trainable_variables, self.weights, strict=True)
            for variable, value in pairs:
                variable.assign(value)
        self.weights = None


def stop_as_the_study(patience, monitor):
    """Return callbacks that stop by `val_loss` and restore the best by `monitor`."""
    return [
        keras.callbacks.EarlyStopping(monitor="val_loss", patience=patience),
        KeepBest(monitor),
    ]


@dataclass
class Trained:
    """A classifier after a stage.

    Parameters
    ----------
    classifier : VGGTransferClassifier
        The classifier.

    probabilities : ndarray of shape (n_test_images, n_classes)
        What it predicts for the test images.

    seconds : float
        Time of the stage. If it was interrupted, only the time of the last run.
    """

    classifier: object
    probabilities: np.ndarray
    seconds: float


def train_stages(classifier, stages, fit, X_test, folder, *, keeps_state=False):
    """Train a classifier stage by stage, and yield it after each.

    Parameters
    ----------
    classifier : VGGTransferClassifier
        A classifier with `warm_start`, so that each stage continues from the last.

    stages : list of dict
        Parameters of the classifier in each stage.

    fit : callable
        Function that fits the classifier.

    X_test : sequence
        Images to predict after each stage.

    folder : Path
        Folder for finished stages and for the checkpoint of the running one.

    keeps_state : bool, default=False
        Whether the folder will be used again. Otherwise nothing is written.

    Yields
    ------
    trained : Trained
    """
    for number, stage in enumerate(stages, start=1):
        file = Path(folder, f"stage{number}.joblib")
        if file.exists():
            trained = joblib.load(file)
        else:
            start = perf_counter()
            checkpoint = Path(folder, "checkpoint") if keeps_state else None
            fit(classifier.set_params(**stage, checkpoint=checkpoint))
            probabilities = classifier.predict_proba(X_test)
            trained = Trained(classifier, probabilities, perf_counter() - start)
            if keeps_state:
                unfinished = file.with_suffix(".new")
                joblib.dump(trained, unfinished)
                os.replace(unfinished, file)
        classifier = trained.classifier
        yield trained

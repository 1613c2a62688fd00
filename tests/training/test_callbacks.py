"""scikit-learn's and Keras' callbacks over the epochs of a transfer classifier."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from collections import Counter

import keras
import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from tests.callbacks import ProgressBar, Recorder, ScoringMonitor, needs_callbacks

from ..classification.conftest import bits, make_images, small

N_IMAGES = 12  # in batches of 4
Y = np.arange(N_IMAGES) % 2
TWO_STAGES = {"epochs": 2, "fine_tune": "Conv_1", "fine_tune_epochs": 2}


@pytest.fixture(scope="module")
def images():
    return make_images(N_IMAGES)


@needs_callbacks
@pytest.mark.parametrize(
    ("settings", "n_epochs", "n_batches"),
    [
        ({"epochs": 3}, 3, [3]),
        ({"epochs": 3, "validation_fraction": 0.25}, 3, [3, 1]),
        ({"epochs": 3, "trainable": "Conv_1"}, 3, [3]),
        ({"epochs": 3, "trainable": "all"}, 3, []),
        (TWO_STAGES, 4, [3, 3]),
        ({**TWO_STAGES, "fine_tune": "head"}, 4, [3]),
    ],
    ids=["head", "validation", "upper part", "network", "two stages", "head twice"],
)
def test_tasks_are_epochs_and_batches_of_features(
    settings, n_epochs, n_batches, images
):
    recorder = Recorder()
    small(**settings).set_callbacks(recorder).fit(images, Y)
    expected = {"fit": 1, "epoch": n_epochs}
    if n_batches:
        expected["compute-features"] = len(n_batches)
        expected["compute-features-of-batch"] = sum(n_batches)
    assert recorder.begun == recorder.ended == expected


@needs_callbacks
@pytest.mark.parametrize("stop_after", [1, 2, 3])
def test_a_callback_stops_the_training(stop_after, images):
    recorder = Recorder(stop_after)
    clf = small(**TWO_STAGES).set_callbacks(recorder).fit(images, Y)
    assert recorder.ended["epoch"] == clf.n_iter_ == stop_after
    assert clf.n_iter_per_stage_ == ([stop_after] if stop_after < 3 else [2, 1])
    assert len(clf.history_["loss"]) == stop_after
    assert recorder.ended["fit"] == 1
    again = small(**TWO_STAGES).fit(images, Y)  # by a model that was stopped
    assert again.n_iter_ == 4


@needs_callbacks
def test_a_stop_is_the_end_of_a_shorter_training(images):
    first = small(epochs=3).set_callbacks(Recorder(2)).fit(images, Y)
    assert bits(first) == bits(small(epochs=2).fit(images, Y))


@needs_callbacks
def test_the_best_epoch_is_kept_though_a_callback_stops(images):
    settings = {"validation_fraction": 0.25, "early_stopping": True, "epochs": 6}
    clf = small(**settings, learning_rate=0.1).set_callbacks(Recorder(5))
    clf.fit(images, Y)
    best = int(np.argmin(clf.history_["val_loss"]))
    assert clf.n_iter_ == 5 > best + 1
    shorter = small(validation_fraction=0.25, epochs=best + 1, learning_rate=0.1)
    assert bits(clf) == bits(shorter.fit(images, Y))


@needs_callbacks
def test_features_are_computed_to_the_end(images):
    recorder = Recorder(1, stop_at="compute-features-of-batch")
    clf = small(epochs=2).set_callbacks(recorder).fit(images, Y)
    assert clf.n_iter_ == 2
    assert bits(clf) == bits(small(epochs=2).fit(images, Y))


def shorter(n_epochs, **settings):
    """Make a training of two stages that ends after some epochs."""
    stages = {"epochs": min(n_epochs, 2)}
    if n_epochs > 2:
        stages = {**TWO_STAGES, "fine_tune_epochs": n_epochs - 2}
    return small(**stages, **settings)


@needs_callbacks
def test_what_callbacks_get_predicts_as_a_shorter_training(images):
    recorder = Recorder()
    settings = {"dropout": 0.5, "hidden_units": (4,)}
    clf = small(**TWO_STAGES, **settings).set_callbacks(recorder).fit(images, Y)
    assert len(recorder.fitted) == 4
    for n_epochs, fitted in enumerate(recorder.fitted, start=1):
        expected = shorter(n_epochs, **settings).fit(images, Y)
        np.testing.assert_array_equal(
            fitted.predict_proba(images), expected.predict_proba(images)
        )
        np.testing.assert_array_equal(fitted.predict(images), expected.predict(images))
    assert bits(recorder.fitted[-1]) == bits(clf)


def scores_of(monitor, name):
    """List scores of the epochs of the last run, in their order."""
    return [row[name] for row in monitor.get_logs().data if row["task_name"] == "epoch"]


@pytest.mark.slow
@needs_callbacks
def test_scoring_monitor_scores_each_epoch(images):
    monitor = ScoringMonitor(scoring=["neg_log_loss", "accuracy"])
    small(**TWO_STAGES).set_callbacks(monitor).fit(images, Y)
    expected = [shorter(n).fit(images, Y) for n in (1, 2, 3, 4)]
    accuracies = [clf.score(images, Y) for clf in expected]
    assert scores_of(monitor, "accuracy") == accuracies
    rows = np.arange(N_IMAGES), Y
    losses = [np.log(clf.predict_proba(images)[rows]).mean() for clf in expected]
    np.testing.assert_allclose(scores_of(monitor, "neg_log_loss"), losses, rtol=1e-5)
    assert len(set(losses)) == 4


@needs_callbacks
def test_scoring_monitor_of_string_labels_and_several_classes(images):
    y = np.array(["nevus", "melanoma", "keratosis"] * 4)
    monitor = ScoringMonitor(scoring="accuracy")
    small(epochs=2).set_callbacks(monitor).fit(images, y)
    expected = [small(epochs=n).fit(images, y).score(images, y) for n in (1, 2)]
    assert scores_of(monitor, "accuracy") == expected


@needs_callbacks
def test_callbacks_of_a_pipeline(images, capsys):
    recorder = Recorder()
    monitor = ScoringMonitor(scoring="accuracy")
    clf = small(epochs=2).set_callbacks(monitor)
    pipeline = make_pipeline("passthrough", clf)
    bar = ProgressBar(max_propagation_depth=None)
    pipeline.set_callbacks(bar, recorder).fit(images, Y)
    assert recorder.begun == recorder.ended
    assert recorder.ended["epoch"] == 2
    assert "TransferClassifier - fit" in capsys.readouterr().out
    expected = [small(epochs=n).fit(images, Y).score(images, Y) for n in (1, 2)]
    assert scores_of(monitor, "accuracy") == expected


class FileRecorder(Recorder):
    """Writes tasks down, as workers cannot count for each other."""

    def __init__(self, log):
        self.log = log

    def write(self, what, context):
        with open(self.log, "a") as file:
            file.write(f"{what} {context.task_name}\n")

    def on_fit_task_begin(self, estimator, context):
        self.write("begin", context)

    def on_fit_task_end(self, estimator, context):
        self.write("end", context)


@needs_callbacks
@pytest.mark.parametrize("n_jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_callbacks_of_a_search(n_jobs, images, tmp_path, capsys, monkeypatch):
    """Try two learning rates on two folds, then the best on all images: five fits."""
    monkeypatch.setenv("COLUMNS", "120")  # of the terminal
    monitor = ScoringMonitor(scoring="accuracy")
    # Worker processes have the backbones of the library only.
    backbone = "tiny" if n_jobs == 1 else "mobilenetv2"
    clf = small(backbone, epochs=2).set_callbacks(monitor)
    rates = [0.01, 0.1]
    search = GridSearchCV(
        clf, {"learning_rate": rates}, cv=2, n_jobs=n_jobs, error_score="raise"
    )
    bar = ProgressBar(max_propagation_depth=None)
    recorder = FileRecorder(tmp_path / "log")
    search.set_callbacks(bar, recorder).fit(images, Y)
    counts = Counter((tmp_path / "log").read_text().splitlines())
    for task, number in (
        ("epoch", 5 * 2),
        ("compute-features", 5),
        ("compute-features-of-batch", 4 * 2 + 3),
    ):
        assert counts[f"begin {task}"] == counts[f"end {task}"] == number
    lines = capsys.readouterr().out.splitlines()
    # How far the bars have got when they are drawn last depends on threads.
    assert sum("TransferClassifier - fit" in line for line in lines) == 5
    scores = scores_of(monitor, "accuracy")
    assert len(scores) == 5 * 2
    rate = search.best_params_["learning_rate"]
    refits = [small(backbone, epochs=n, learning_rate=rate) for n in (1, 2)]
    expected = [refit.fit(images, Y).score(images, Y) for refit in refits]
    assert scores[:2] == expected  # fits in folds come later, as they are deeper


@needs_callbacks
def test_progress_bar_of_the_classifier_alone(images, capsys):
    bar = ProgressBar()
    stops_early = {"early_stopping": True, "n_iter_no_change": 1, "epochs": 50}
    clf = small(**stops_early, validation_fraction=0.25, learning_rate=1.0)
    clf.set_callbacks(bar).fit(images, Y)
    assert clf.n_iter_ < 50
    lines = capsys.readouterr().out.splitlines()
    for line, task in zip(
        lines, ["fit", "compute-features #0", "compute-features #1"], strict=True
    ):
        assert f"TransferClassifier - {task}" in line
        assert "100%" in line


class Counting(keras.callbacks.Callback):
    """Counts on the object, and in a list that its copies share."""

    def __init__(self, seen):
        super().__init__()
        self.see = seen.append
        self.n_epochs = 0

    def on_train_begin(self, logs=None):
        self.see("begin")

    def on_epoch_end(self, epoch, logs=None):
        self.n_epochs += 1
        self.see((epoch, self.n_epochs, sorted(logs)[:2]))

    def on_train_end(self, logs=None):
        self.see("end")


def test_keras_callbacks_are_called_on_copies_in_both_stages(images):
    seen = []
    callback = Counting(seen)
    small(**TWO_STAGES, keras_callbacks=(callback,)).fit(images, Y)
    logged = ["accuracy", "auc"]
    first = ["begin", (0, 1, logged), (1, 2, logged), "end"]
    second = ["begin", (2, 3, logged), (3, 4, logged), "end"]
    assert seen == first + second
    assert callback.n_epochs == 0
    assert callback.model is None


def test_a_callback_of_an_earlier_training_does_not_bring_its_model(images):
    seen = []
    callback = Counting(seen)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    callback.set_model(model)
    clf = small(epochs=1, keras_callbacks=[callback]).fit(images, Y)
    assert clf.n_iter_ == 1
    assert callback.model is model


def test_a_keras_callback_stops_its_stage_alone(images):
    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = True

    clf = small(**TWO_STAGES, keras_callbacks=[Stop()]).fit(images, Y)
    assert clf.n_iter_per_stage_ == [1, 1]


def test_verbose_prints_a_line_for_each_pass(images, capsys):
    clf = small(**TWO_STAGES, verbose=1, validation_fraction=0.5).fit(images, Y)
    lines = capsys.readouterr().out.splitlines()
    n_train, n_held_out = len(images) // 2, len(images) // 2
    for stage in range(2):
        assert f"Computing features of {n_train} images: " in lines[4 * stage]
        assert f"Computing features of {n_held_out} images: " in lines[4 * stage + 1]
    epochs = lines[2:4] + lines[6:]
    for line, epoch, last in zip(epochs, (1, 2, 3, 4), (2, 2, 4, 4), strict=True):
        assert line.startswith(f"[TransferClassifier] Epoch {epoch} of {last}, ")
        for name, values in clf.history_.items():
            assert f" {name} {values[epoch - 1]:.4f}" in line
    clf.predict(images)
    assert f"Predicting {len(images)} images: " in capsys.readouterr().out
    small().fit(images, Y).predict(images)
    assert capsys.readouterr().out == ""

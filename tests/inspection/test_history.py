# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import sys
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import NotFittedError

from skinest.inspection import TrainingHistoryDisplay

NAMES = ("accuracy", "loss", "precision", "recall", "auc")


class Trained(BaseEstimator):
    """An estimator that has nothing but a history."""

    def fit(self, history, n_iter_per_stage=None):
        self.history_ = history
        if n_iter_per_stage is not None:
            self.n_iter_per_stage_ = n_iter_per_stage
        return self


@pytest.fixture
def history():
    rng = np.random.default_rng(0)
    names = [*NAMES, *(f"val_{name}" for name in NAMES)]
    return {name: list(rng.uniform(0, 1, 6)) for name in names}


def test_one_axes_per_metric_in_two_rows(history):
    display = TrainingHistoryDisplay.from_history(history)
    assert display.metrics_ == ["accuracy", "loss", "precision", "recall"]
    assert [ax.get_ylabel().lower() for ax in display.axes_] == display.metrics_
    assert {ax.get_gridspec().get_geometry() for ax in display.axes_} == {(2, 2)}
    assert display.figure_.axes == list(display.axes_)


def test_lines_hold_the_values_from_epoch_one_on(history):
    display = TrainingHistoryDisplay.from_history(history)
    for name, (train, validation) in zip(display.metrics_, display.lines_, strict=True):
        for line, key in ((train, name), (validation, f"val_{name}")):
            np.testing.assert_array_equal(line.get_xdata(), [1, 2, 3, 4, 5, 6])
            np.testing.assert_array_equal(line.get_ydata(), history[key])
        assert (train.get_linestyle(), validation.get_linestyle()) == ("-", "--")


def test_legend_names_what_is_drawn(history):
    del history["val_loss"]
    accuracy, loss = TrainingHistoryDisplay.from_history(
        history, metrics=["accuracy", "loss"]
    ).axes_

    def legend(ax):
        return [text.get_text() for text in ax.get_legend().get_texts()]

    assert legend(accuracy) == ["Training", "Validation"]
    assert legend(loss) == ["Training"]


def test_without_validation_there_is_one_line():
    display = TrainingHistoryDisplay.from_history({"loss": [2.0, 1.0]})
    assert display.lines_.shape == (1, 2)
    assert display.lines_[0, 1] is None
    assert len(display.axes_[0].lines) == 1


def test_metrics_of_ratios_have_the_whole_range_and_losses_theirs(history):
    history["loss"] = history["val_loss"] = [0.3, 0.29, 0.28, 0.28, 0.27, 0.27]
    display = TrainingHistoryDisplay.from_history(history, metrics=["auc", "loss"])
    assert display.axes_[0].get_ylim()[0] == 0
    assert 1 < display.axes_[0].get_ylim()[1] < 1.1
    assert display.axes_[1].get_ylim()[0] > 0.2


def test_metric_above_one_is_not_cut():
    display = TrainingHistoryDisplay.from_history({"error": [5.0, 3.0]})
    assert display.axes_[0].get_ylim()[1] >= 5


def test_second_stage_is_marked_between_the_epochs(history):
    display = TrainingHistoryDisplay.from_history(history, n_iter_per_stage=[4, 2])
    for ax in display.axes_:
        (line,) = [line for line in ax.lines if "stage 2" in line.get_label()]
        assert set(line.get_xdata()) == {4.5}


@pytest.mark.parametrize("labels", [["benign", "malignant"], [0, 255], [False, True]])
def test_the_positive_class_is_named(history, labels):
    history["dice"] = history["recall"]
    estimator = Trained().fit(history)
    estimator.classes_ = np.array(labels)
    names = ["precision", "recall", "dice"]
    display = TrainingHistoryDisplay.from_estimator(
        estimator, metrics=[*names, "accuracy", "auc", "loss"]
    )
    shown = [ax.get_ylabel() for ax in display.axes_]
    of_class = f"\n(Positive label: {labels[1]})"
    expected = [name.capitalize() + of_class for name in names]
    assert shown == [*expected, "Accuracy", "AUC", "Loss"]
    assert display.pos_label == labels[1]


def test_no_class_of_more_than_two_is_named(history):
    estimator = Trained().fit(history)
    estimator.classes_ = np.array(["a", "b", "c"])
    display = TrainingHistoryDisplay.from_estimator(estimator, metrics="recall")
    assert display.axes_[0].get_ylabel() == "Recall"


@pytest.mark.parametrize("stages", [None, [6], [6, 0], [0, 6]])
def test_one_stage_has_no_mark(history, stages):
    display = TrainingHistoryDisplay.from_history(history, n_iter_per_stage=stages)
    assert all(len(ax.lines) == 2 for ax in display.axes_)


def test_stages_of_other_epochs_are_an_error(history):
    with pytest.raises(ValueError, match=r"\[4, 3\] has 7 epochs.*has 6"):
        TrainingHistoryDisplay.from_history(history, n_iter_per_stage=[4, 3])


def test_from_estimator_reads_history_and_stages(history):
    estimator = Trained().fit(history, [4, 2])
    display = TrainingHistoryDisplay.from_estimator(estimator, metrics="loss")
    assert display.history is history
    assert display.n_iter_per_stage == [4, 2]
    assert len(display.axes_) == 1
    assert len(display.axes_[0].lines) == 3


def test_from_estimator_without_stages(history):
    display = TrainingHistoryDisplay.from_estimator(Trained().fit(history))
    assert display.n_iter_per_stage is None


def test_keras_history_is_taken(history):
    display = TrainingHistoryDisplay.from_history(SimpleNamespace(history=history))
    assert display.history is history


def test_not_fitted():
    with pytest.raises(NotFittedError):
        TrainingHistoryDisplay.from_estimator(Trained())


def test_estimator_without_history():
    fitted = DummyClassifier().fit([[0]], [0])
    with pytest.raises(TypeError, match="DummyClassifier has no history_"):
        TrainingHistoryDisplay.from_estimator(fitted)


@pytest.mark.parametrize("name", ["dice", "val_loss"])
def test_missing_metric_names_those_that_are_there(history, name):
    with pytest.raises(ValueError, match=rf"'{name}'.*'accuracy', 'loss'.*'auc'\]"):
        TrainingHistoryDisplay.from_history(history, metrics=["loss", name])


@pytest.mark.parametrize("history", [{}, {"loss": []}])
def test_empty_history(history):
    with pytest.raises(ValueError, match="history is empty"):
        TrainingHistoryDisplay.from_history(history)


def test_no_metrics(history):
    with pytest.raises(ValueError, match="metrics is empty"):
        TrainingHistoryDisplay.from_history(history, metrics=[])


def test_values_of_some_epochs_only_are_refused():
    history = {"loss": [0.5, 0.4, 0.3, 0.2], "val_loss": [0.6, 0.5]}
    with pytest.raises(ValueError, match=r"2 values of 'val_loss', but 4 of 'loss'"):
        TrainingHistoryDisplay.from_history(history)
    history["val_loss"] *= 2
    TrainingHistoryDisplay.from_history({**history, "lr": [0.1]}, metrics="loss")


def test_history_of_another_type():
    with pytest.raises(TypeError, match="of type list"):
        TrainingHistoryDisplay.from_history([0.5, 0.4])


def test_one_epoch_is_seen():
    display = TrainingHistoryDisplay.from_history({"loss": [0.5]})
    assert display.lines_[0, 0].get_marker() == "o"
    history = {"loss": [0.9, 0.5, 0.4], "val_loss": [np.nan, 0.8, np.nan]}
    lines = TrainingHistoryDisplay.from_history(history).lines_[0]
    assert [line.get_marker() for line in lines] == ["None", "o"]
    display.figure_.canvas.draw()
    low, high = display.axes_[0].get_xlim()
    ticks = [tick for tick in display.axes_[0].get_xticks() if low <= tick <= high]
    assert ticks == [1]


def test_diverged_loss_is_drawn():
    display = TrainingHistoryDisplay.from_history({"loss": [0.5, np.nan, np.nan]})
    display.figure_.canvas.draw()
    assert display.axes_[0].get_xlim()[1] > 3


def test_given_axes_are_drawn_on(history):
    figure, axes = plt.subplots(1, 2)
    display = TrainingHistoryDisplay(history)
    assert display.plot(["loss", "auc"], ax=axes) is display
    assert list(display.axes_) == list(axes)
    assert display.figure_ is figure


def test_one_given_axes_is_divided(history):
    figure, ax = plt.subplots()
    display = TrainingHistoryDisplay.from_history(history, ax=ax)
    assert display.figure_ is figure
    assert len(figure.axes) == 1 + 4
    assert not ax.axison
    with pytest.raises(ValueError, match="divided before"):
        display.plot(ax=ax)
    display.plot(ax=display.axes_)


def test_one_metric_goes_into_the_given_axes(history):
    _, ax = plt.subplots()
    display = TrainingHistoryDisplay.from_history(history, metrics="loss", ax=ax)
    assert list(display.axes_) == [ax]


def test_wrong_number_of_axes(history):
    _, axes = plt.subplots(1, 3)
    with pytest.raises(ValueError, match="3 axes, but 4"):
        TrainingHistoryDisplay.from_history(history, ax=axes)


def test_style_of_lines(history):
    display = TrainingHistoryDisplay.from_history(
        history, metrics="loss", train_kw={"c": "black"}, val_kw={"ls": ":"}
    )
    train, validation = display.lines_[0]
    assert train.get_color() == "black"
    assert validation.get_linestyle() == ":"


def test_without_matplotlib(history, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"TrainingHistoryDisplay.* requires matplot"):
        TrainingHistoryDisplay.from_history(history)

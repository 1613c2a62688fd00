"""Display of decision curves."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

from skinest.inspection import DecisionCurveDisplay
from skinest.metrics import net_benefit

Y = np.array([0, 0, 0, 0, 0, 0, 1, 1])
PROBA = np.array([0.1, 0.1, 0.2, 0.3, 0.5, 0.8, 0.4, 0.9])
GIVEN = {"thresholds": [0.1, 0.25, 0.5]}


def test_lines_are_net_benefits():
    display = DecisionCurveDisplay.from_predictions(Y, PROBA, **GIVEN)
    assert_allclose(display.line_.get_xdata(), GIVEN["thresholds"])
    expected = net_benefit(Y, PROBA, threshold=GIVEN["thresholds"])
    assert_allclose(display.line_.get_ydata(), expected)
    # By hand: 2 of 8 are positive, and 6 of 8 weigh pt / (1 - pt).
    assert_allclose(display.all_line_.get_ydata(), [1 / 6, 0, -0.5])
    assert_allclose(display.none_line_.get_ydata(), 0)


def test_default_thresholds_are_hundredths():
    thresholds = [i / 100 for i in range(100)]
    true = np.arange(100) % 3 == 0
    display = DecisionCurveDisplay.from_predictions(true, np.array(thresholds))
    assert display.thresholds.tolist() == thresholds
    for threshold, found in zip(thresholds, display.net_benefit, strict=True):
        is_treated = np.array(thresholds) >= threshold
        harms = (is_treated & ~true).sum() * threshold / (1 - threshold)
        assert_allclose(found, ((is_treated & true).sum() - harms) / 100, atol=1e-12)


def test_no_thresholds_are_refused():
    with pytest.raises(ValueError, match="thresholds is empty"):
        DecisionCurveDisplay.from_predictions(Y, PROBA, thresholds=[])


def test_names_of_classes_are_no_formulas():
    labels = np.array(["other", r"$\foo$"])[Y]
    display = DecisionCurveDisplay.from_predictions(labels, PROBA, pos_label=r"$\foo$")
    display.figure_.canvas.draw()
    assert r"$\foo$" in display.ax_.get_xlabel()


def test_axes_show_the_useful_range():
    display = DecisionCurveDisplay.from_predictions(Y, PROBA)
    assert len(display.thresholds) == 100
    low, high = display.ax_.get_ylim()
    assert -0.1 < low < 0 < 0.25 < high < 0.3
    assert display.net_benefit_all.min() < -10


def test_weights_are_used():
    weights = np.arange(8)
    display = DecisionCurveDisplay.from_predictions(
        Y, PROBA, sample_weight=weights, **GIVEN
    )
    copies = np.repeat(np.arange(8), weights)
    plain = DecisionCurveDisplay.from_predictions(Y[copies], PROBA[copies], **GIVEN)
    assert_allclose(display.net_benefit, plain.net_benefit)
    assert_allclose(display.net_benefit_all, plain.net_benefit_all)


def test_several_classifiers_share_axes_and_reference_lines():
    first = DecisionCurveDisplay.from_predictions(Y, PROBA, name="one")
    second = DecisionCurveDisplay.from_predictions(
        Y, PROBA**2, name="two", ax=first.ax_, line_kw={"c": "red"}
    )
    assert second.figure_ is first.figure_
    assert second.all_line_ is None
    assert second.line_.get_color() == "red"
    texts = [text.get_text() for text in first.ax_.get_legend().get_texts()]
    assert texts == ["one", "Treat all", "Treat none", "two"]


def test_without_reference_lines():
    display = DecisionCurveDisplay.from_predictions(Y, PROBA, ref_lines=False)
    assert len(display.ax_.lines) == 1
    assert display.ax_.get_legend() is None


@pytest.mark.parametrize("pos_label", [None, "benign"])
def test_from_an_estimator(pos_label):
    y = np.array(["benign", "malignant"])[Y]
    classifier = LogisticRegression().fit(PROBA[:, None], y)
    display = DecisionCurveDisplay.from_estimator(
        classifier, PROBA[:, None], y, pos_label=pos_label, **GIVEN
    )
    column = 1 if pos_label is None else 0
    proba = classifier.predict_proba(PROBA[:, None])[:, column]
    expected = net_benefit(y, proba, pos_label=pos_label, threshold=[0.1, 0.25, 0.5])
    assert_allclose(display.net_benefit, expected)
    assert display.line_.get_label() == "LogisticRegression"
    assert f"Positive label: {pos_label or 'malignant'}" in display.ax_.get_xlabel()


def test_one_of_several_classes():
    y = np.array(["a", "b", "c"])[np.arange(8) % 3]
    classifier = LogisticRegression().fit(PROBA[:, None], y)
    with pytest.raises(ValueError, match=r"pos_label=None must be one of the classes"):
        DecisionCurveDisplay.from_estimator(classifier, PROBA[:, None], y)
    display = DecisionCurveDisplay.from_estimator(
        classifier, PROBA[:, None], y, pos_label="b", **GIVEN
    )
    proba = classifier.predict_proba(PROBA[:, None])[:, 1]
    expected = net_benefit(y == "b", proba, threshold=GIVEN["thresholds"])
    assert_allclose(display.net_benefit, expected)


def test_wrong_estimators():
    with pytest.raises(NotFittedError):
        DecisionCurveDisplay.from_estimator(LogisticRegression(), PROBA[:, None], Y)
    machine = LinearSVC().fit(PROBA[:, None], Y)
    with pytest.raises(TypeError, match="CalibratedClassifierCV"):
        DecisionCurveDisplay.from_estimator(machine, PROBA[:, None], Y)
    classifier = LogisticRegression().fit(PROBA[:, None], Y)
    classifier.predict_proba = lambda X: np.zeros((len(X), 4, 4, 2))
    with pytest.raises(ValueError, match="as segmenters do"):
        DecisionCurveDisplay.from_estimator(classifier, PROBA[:, None], Y)
    del classifier.classes_
    with pytest.raises(TypeError, match="LogisticRegression has no classes_"):
        DecisionCurveDisplay.from_estimator(classifier, PROBA[:, None], Y)

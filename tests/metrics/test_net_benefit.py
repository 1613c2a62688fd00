"""Net benefit, against numbers computed by hand."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np
import pytest
from numpy.testing import assert_allclose

from skinest.metrics import net_benefit, partial_auc_score

Y = np.array([1, 1, 1, 0, 0, 0, 0, 0, 0, 0])
PROBA = np.array([0.9, 0.5, 0.2, 0.7, 0.5, 0.2, 0.2, 0.1, 0.0, 0.0])


@pytest.mark.parametrize(
    ("threshold", "true", "false"),
    # A probability at the threshold is treated.
    [(0.0, 3, 7), (0.2, 3, 4), (0.5, 2, 2), (0.6, 1, 1), (0.75, 1, 0), (0.95, 0, 0)],
)
def test_net_benefit_is_true_less_weighted_false_positives(threshold, true, false):
    expected = true / 10 - false / 10 * threshold / (1 - threshold)
    found = net_benefit(Y, PROBA, threshold=threshold)
    assert isinstance(found, float)
    assert_allclose(found, expected)


def test_one_call_for_many_thresholds():
    thresholds = np.linspace(0, 0.99, 34)
    found = net_benefit(Y, PROBA, threshold=thresholds)
    one_by_one = [net_benefit(Y, PROBA, threshold=each) for each in thresholds]
    assert_allclose(found, one_by_one)


def test_treating_all_is_worth_nothing_at_the_prevalence():
    """There, a true positive weighs as much as the false positives that it costs."""
    assert_allclose(net_benefit(Y, np.ones(10), threshold=0.3), 0, atol=1e-15)
    assert net_benefit(Y, np.zeros(10), threshold=0.3) == 0
    assert_allclose(net_benefit(Y, Y * 1.0, threshold=0.3), 0.3)


def test_weights_and_labels():
    weights = np.arange(10)
    copies = np.repeat(np.arange(10), weights)
    names = np.array(["mel", "nv"])[1 - Y]
    found = net_benefit(
        names, PROBA, threshold=0.4, pos_label="mel", sample_weight=weights
    )
    assert_allclose(found, net_benefit(Y[copies], PROBA[copies], threshold=0.4))
    called = np.where(PROBA >= 0.4, "mel", "nv")
    of_labels = net_benefit(names, called, threshold=0.4, pos_label="mel")
    assert_allclose(of_labels, net_benefit(Y, PROBA, threshold=0.4))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_probabilities_at_a_threshold_are_treated_in_any_precision(dtype):
    thresholds = np.arange(1, 100) / 100
    treated = net_benefit([0] * 99, thresholds.astype(dtype), threshold=thresholds)
    odds = thresholds / (1 - thresholds)
    assert_allclose(treated, -np.arange(99, 0, -1) / 99 * odds)


def test_one_class_has_a_net_benefit():
    assert_allclose(net_benefit([0, 0], [0.6, 0.1], threshold=0.5), -0.5)
    assert_allclose(net_benefit([1, 1], [0.6, 0.1], threshold=0.5), 0.5)
    names = ["nevus", "nevus"]
    found = net_benefit(names, [0.6, 0.1], threshold=0.5, pos_label="melanoma")
    assert_allclose(found, -0.5)


@pytest.mark.parametrize(
    ("labels", "pos_label"),
    [
        (np.array(["nevus", "melanoma"])[Y], "Melanoma"),
        (Y, "1"),
        (Y, 2),
        (np.where(Y, "mel", np.where(PROBA > 0.1, "nv", "bcc")), "MEL"),
    ],
)
def test_a_positive_class_that_no_image_has_is_refused(labels, pos_label):
    says = f"pos_label={pos_label!r} is not one of the labels .*{labels[0]}"
    with pytest.raises(ValueError, match=says):
        net_benefit(labels, PROBA, threshold=0.2, pos_label=pos_label)
    with pytest.raises(ValueError, match=says):
        partial_auc_score(labels, PROBA, pos_label=pos_label)


@pytest.mark.parametrize("threshold", [1.0, -0.1, np.nan, [0.2, 1.0], [[0.2]], "a"])
def test_wrong_thresholds(threshold):
    with pytest.raises(ValueError, match="threshold"):
        net_benefit(Y, PROBA, threshold=threshold)


def test_decision_values_are_refused():
    with pytest.raises(ValueError, match=r"from -1 to 0\.8, but must be prob"):
        net_benefit(Y, 2 * PROBA - 1, threshold=0.5)

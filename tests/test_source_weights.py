"""Weights that balance the classes within each source."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np
import pytest
import sklearn
from imblearn.over_sampling import RandomOverSampler
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import LeaveOneGroupOut, cross_validate
from sklearn.utils.class_weight import compute_sample_weight

from skinest.sampling import ImageResampler, weigh_sources

Y = np.array(["nevus"] * 6 + ["melanoma"] * 2 + ["nevus"] * 1 + ["melanoma"] * 3)
SOURCE = np.repeat(["A", "B"], [8, 4])


def test_classes_weigh_the_same_in_each_source_and_sources_weigh_the_same():
    weights = weigh_sources(Y, SOURCE)
    for source in "AB":
        for label in ("nevus", "melanoma"):
            members = (SOURCE == source) & (Y == label)
            assert weights[members].sum() == pytest.approx(len(Y) / 4)
            assert np.ptp(weights[members]) == 0
    assert weights.mean() == pytest.approx(1)


def test_two_equal_sources_have_the_balanced_weights_of_scikit_learn():
    y = np.tile(Y[:8], 2)
    weights = weigh_sources(y, np.repeat([0, 1], 8))
    np.testing.assert_allclose(weights, compute_sample_weight("balanced", y))


def test_strength_is_a_power():
    assert weigh_sources(Y, SOURCE, strength=0).tolist() == [1] * 12
    full, half = (weigh_sources(Y, SOURCE, strength=s) for s in (1, 0.5))
    np.testing.assert_allclose(half / half[0], np.sqrt(full / full[0]))
    assert half.mean() == pytest.approx(1)


def test_a_classifier_with_the_weights_does_not_learn_the_source():
    """With features that show nothing but the source, all probabilities are 1/2."""
    X = (SOURCE == "B").astype(float)[:, np.newaxis]
    clf = LogisticRegression(C=1e6)
    learned = clf.fit(X, Y).predict_proba(X)[:, 0]
    assert np.ptp(learned) > 0.4  # of melanoma: 1/4 in A and 3/4 in B
    clf.fit(X, Y, sample_weight=weigh_sources(Y, SOURCE))
    np.testing.assert_allclose(clf.predict_proba(X), 0.5, atol=1e-4)


def test_metadata_routing_passes_weights_to_fit_and_sources_to_the_splitter():
    X = np.random.default_rng(0).normal(size=(12, 2))
    weights, seen = weigh_sources(Y, SOURCE), []

    class Noting(LogisticRegression):
        def fit(self, X, y, sample_weight=None):
            seen.append(sample_weight)
            return super().fit(X, y, sample_weight)

    with sklearn.config_context(enable_metadata_routing=True):
        cross_validate(
            Noting()
            .set_fit_request(sample_weight=True)
            .set_score_request(sample_weight=False),
            X,
            Y,
            cv=LeaveOneGroupOut().set_split_request(groups="source"),
            params={"sample_weight": weights, "source": SOURCE},
        )
    assert [s.tolist() for s in seen] == [weights[8:].tolist(), weights[:8].tolist()]


def test_images_can_be_resampled_by_source_and_class():
    X = np.broadcast_to(np.arange(12, dtype=np.uint8), (8, 8, 3, 12)).T.swapaxes(1, 3)
    source_of = dict(zip(range(12), SOURCE, strict=True))

    def source_and_class(X, y):
        return [
            f"{source_of[x[0, 0, 0]]} {label}" for x, label in zip(X, y, strict=True)
        ]

    resampler = ImageResampler(
        RandomOverSampler(random_state=0), balance_by=source_and_class
    )
    _, y = resampler.fit_resample(X, Y)
    chosen = resampler.sample_indices_
    cells = [f"{s} {label}" for s, label in zip(SOURCE[chosen], y, strict=True)]
    assert np.unique(cells, return_counts=True)[1].tolist() == [6, 6, 6, 6]


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="'C' has no image of 'melanoma'"):
        weigh_sources([*Y, "nevus"], [*SOURCE, "C"])
    with pytest.raises(ValueError, match="y has 12 entries, but source has 11"):
        weigh_sources(Y, SOURCE[1:])
    with pytest.raises(ValueError, match="source contains NaN, at position 1"):
        weigh_sources([0, 1], [1.0, np.nan])
    with pytest.raises(ValueError, match="y is empty"):
        weigh_sources([], [])
    with pytest.raises(ValueError, match="strength"):
        weigh_sources(Y, SOURCE, strength=2)

"""Groups of images: none on both sides, and how they reach `fit`."""

import numpy as np
import pytest
import sklearn
from numpy.testing import assert_array_equal
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from .conftest import bits, find_marked, mark, small


@pytest.fixture
def groups():
    """Make lesions of two images, some of which have both labels."""
    return np.repeat([f"lesion {i}" for i in range(6)], 2)


def search_of(clf, routed=False):
    pipeline = Pipeline([("same", FunctionTransformer()), ("clf", clf)])
    if routed and hasattr(pipeline, "set_score_request"):  # scikit-learn 1.7 only
        pipeline.set_score_request(sample_weight=True)
    return GridSearchCV(
        pipeline, {"clf__epochs": [1]}, cv=GroupKFold(2), error_score="raise"
    )


def check_splits(keras_fits, groups, expected):
    """Check that whole groups are held out, of the images that each fit should get."""
    assert len(keras_fits) == len(expected)
    for keras_fit, positions in zip(keras_fits, expected, strict=True):
        train, held_out = find_marked(keras_fit)
        assert len(train) and len(held_out)
        assert not np.intersect1d(groups[train], groups[held_out]).size
        assert_array_equal(np.sort(np.r_[train, held_out]), positions)


def list_fits(images, y, groups):
    """List the images of each fit of a search: of two folds, and all at the end."""
    folds = GroupKFold(2).split(images, y, groups)
    return [train for train, _ in folds] + [np.arange(len(images))]


def test_no_group_is_on_both_sides(images, y, groups, keras_fits):
    clf = small(epochs=1, validation_fraction=0.3)
    clf.fit(images, y, groups=groups.tolist(), sample_weight=mark(12))
    check_splits(keras_fits, groups, [np.arange(12)])


def test_groups_are_used_by_the_split_alone(images, y, groups, X_val, y_val):
    plain = small(epochs=1).fit(images, y)
    assert bits(small(epochs=1).fit(images, y, groups=groups)) == bits(plain)
    clf = small(epochs=1, validation_fraction=0.3)
    clf.fit(images, y, groups=groups, X_val=X_val, y_val=y_val)
    assert bits(clf) == bits(plain)


def test_groups_reach_fit_in_a_search_by_the_name_of_the_step(
    images, y, groups, keras_fits
):
    search = search_of(small(validation_fraction=0.3))
    # The splitter needs them too, and has them by their plain name.
    search.fit(
        images, y, groups=groups, clf__groups=groups, clf__sample_weight=mark(12)
    )
    check_splits(keras_fits, groups, list_fits(images, y, groups))


def test_groups_reach_fit_in_a_search_by_metadata_routing(
    images, y, groups, keras_fits
):
    with sklearn.config_context(enable_metadata_routing=True):
        clf = small(validation_fraction=0.3)
        clf.set_fit_request(groups=True, sample_weight=True)
        clf.set_score_request(sample_weight=True)
        search_of(clf, routed=True).fit(
            images, y, groups=groups, sample_weight=mark(12)
        )
    check_splits(keras_fits, groups, list_fits(images, y, groups))


def test_plain_groups_reach_only_the_splitter_of_a_search(
    images, y, groups, keras_fits
):
    marks = mark(12)
    clf = small(epochs=1, validation_fraction=0.3)
    search_of(clf).fit(images, y, groups=groups, clf__sample_weight=marks)
    in_search = list(map(find_marked, keras_fits))
    keras_fits.clear()
    for positions in list_fits(images, y, groups):
        clf.fit(images[positions], y[positions], sample_weight=marks[positions])
    without_groups = list(map(find_marked, keras_fits))
    for found, expected in zip(in_search, without_groups, strict=True):
        for positions, others in zip(found, expected, strict=True):
            assert_array_equal(positions, others)
    train, held_out = without_groups[-1]
    assert np.intersect1d(groups[train], groups[held_out]).size


def test_routing_refuses_groups_that_were_not_asked_for(images, y, groups):
    with sklearn.config_context(enable_metadata_routing=True):
        search = search_of(small(validation_fraction=0.3))
        with pytest.raises(UnsetMetadataPassedError, match="groups"):
            search.fit(images, y, groups=groups)
        # Said to be for the splitter alone, they are.
        clf = small(validation_fraction=0.3).set_fit_request(groups=False)
        search_of(clf).fit(images, y, groups=groups)

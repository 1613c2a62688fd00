"""Groups of images: none on both sides, and how they reach `fit`."""

import numpy as np
import pytest
import sklearn
from numpy.testing import assert_array_equal
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from .conftest import bits, small


@pytest.fixture
def groups():
    """Lesions of two images, some of which have both labels."""
    return np.repeat([f"lesion {i}" for i in range(6)], 2)


def search_of(clf):
    pipeline = Pipeline([("same", FunctionTransformer()), ("clf", clf)])
    return GridSearchCV(
        pipeline, {"clf__epochs": [1]}, cv=GroupKFold(2), error_score="raise"
    )


def check_splits(splits, n_splits):
    assert len(splits) == n_splits
    for split in splits:
        train, held_out = (
            split["groups"][split[side]] for side in ("train", "held_out")
        )
        assert len(train) and len(held_out)
        assert not np.intersect1d(train, held_out).size


def test_no_group_is_on_both_sides(images, y, groups, splits):
    small(epochs=1, validation_fraction=0.3).fit(images, y, groups=groups.tolist())
    check_splits(splits, 1)
    assert_array_equal(splits[0]["groups"], groups)


def test_groups_are_used_by_the_split_alone(images, y, groups, X_val, y_val):
    plain = small(epochs=1).fit(images, y)
    assert bits(small(epochs=1).fit(images, y, groups=groups)) == bits(plain)
    clf = small(epochs=1, validation_fraction=0.3)
    clf.fit(images, y, groups=groups, X_val=X_val, y_val=y_val)
    assert bits(clf) == bits(plain)


def test_groups_reach_fit_in_a_search_by_the_name_of_the_step(
    images, y, groups, splits
):
    search = search_of(small(validation_fraction=0.3))
    # The splitter needs them too, and has them by their plain name.
    search.fit(images, y, groups=groups, clf__groups=groups)
    check_splits(splits, 3)  # two folds, and all images at the end
    assert_array_equal(splits[2]["groups"], groups)
    folds = GroupKFold(2).split(images, y, groups)
    for split, (train, _) in zip(splits, folds, strict=False):
        assert_array_equal(split["groups"], groups[train])


def test_groups_reach_fit_in_a_search_by_metadata_routing(images, y, groups, splits):
    with sklearn.config_context(enable_metadata_routing=True):
        clf = small(validation_fraction=0.3).set_fit_request(groups=True)
        search_of(clf).fit(images, y, groups=groups)
    check_splits(splits, 3)
    folds = GroupKFold(2).split(images, y, groups)
    for split, (train, _) in zip(splits, folds, strict=False):
        assert_array_equal(split["groups"], groups[train])


def test_plain_groups_reach_only_the_splitter_of_a_search(images, y, groups, splits):
    search_of(small(validation_fraction=0.3)).fit(images, y, groups=groups)
    assert [split["groups"] for split in splits] == [None] * 3


def test_routing_refuses_groups_that_were_not_asked_for(images, y, groups):
    with sklearn.config_context(enable_metadata_routing=True):
        search = search_of(small(validation_fraction=0.3))
        with pytest.raises(UnsetMetadataPassedError, match="groups"):
            search.fit(images, y, groups=groups)
        # Said to be for the splitter alone, they are.
        clf = small(validation_fraction=0.3).set_fit_request(groups=False)
        search_of(clf).fit(images, y, groups=groups)

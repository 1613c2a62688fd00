"""`n_views` is the old name of `n_augmented_copies`, which works for one version."""

import pickle
import warnings

import numpy as np
import pytest
from sklearn.base import clone

from skinest import VGGTransferClassifier

from .conftest import bits, small

MESSAGE = r"n_views was renamed to n_augmented_copies.*Pass n_augmented_copies=2\."


def turn(image, generator):
    return np.rot90(image, generator.integers(1, 4)).copy()


def augmented(**settings):
    return small(epochs=1, augmentation=turn, **settings)


@pytest.fixture(scope="module")
def fitted(images, y):
    with warnings.catch_warnings():
        warnings.simplefilter("error", FutureWarning)
        return augmented(n_augmented_copies=2).fit(images, y)


def test_the_old_name_warns_at_fit_and_gives_the_same_weights(images, y, fitted):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        by_constructor = augmented(n_views=2)
        by_set_params = augmented().set_params(n_views=2)
        copy = clone(by_constructor)
        stored = pickle.loads(pickle.dumps(by_constructor))
    for clf in (by_constructor, by_set_params, copy, stored):
        with pytest.warns(FutureWarning, match=MESSAGE) as caught:
            clf.fit(images, y)
        assert len([each for each in caught if each.category is FutureWarning]) == 1
        assert bits(clf) == bits(fitted)
        assert clf.get_params()["n_views"] == 2
        assert clf.n_augmented_copies == 3


def test_the_old_name_counts_where_both_are_given(images, y, fitted):
    clf = augmented(n_augmented_copies=1, n_views=2)
    with pytest.warns(FutureWarning, match=MESSAGE):
        clf.fit(images, y)
    assert bits(clf) == bits(fitted)


def test_the_number_of_copies_makes_a_difference(images, y, fitted):
    assert bits(augmented(n_augmented_copies=1).fit(images, y)) != bits(fitted)


@pytest.mark.slow
def test_vgg_has_the_old_name_too(images, y):
    clf = VGGTransferClassifier(
        weights=None, image_size=(32, 32), pooling="avg", hidden_units=(), epochs=1
    )
    clf.set_params(augmentation=turn, random_state=0)
    expected = bits(clf.set_params(n_augmented_copies=2).fit(images, y))
    clf.set_params(n_augmented_copies=3, n_views=2)
    with pytest.warns(FutureWarning, match=MESSAGE):
        clf.fit(images, y)
    assert bits(clf) == expected


@pytest.mark.parametrize("value", [0, "2"])
def test_a_wrong_value_is_an_error(value, images, y):
    with pytest.raises(ValueError, match="'n_views' parameter"):
        augmented(n_views=value).fit(images, y)

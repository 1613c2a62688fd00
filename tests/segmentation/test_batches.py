"""Batches of images with their masks: what is changed, and by what."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import gc
import threading
import weakref

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skinest.augmentation import Augmentation

from .conftest import hash_weights, make_small, record_fit

N_PAIRS = 13  # in batches of 4, 4, 4 and 1
SHAPE = (16, 16)  # that of the network
LABELS = np.array([3, 5, 9], np.uint8)
CLASS_WEIGHT = {3: 0.5, 5: 2, 9: 7}
WEIGHTS = 100 + np.arange(N_PAIRS)
TURN = Augmentation(rotation=180)


@pytest.fixture(scope="module")
def pairs():
    """Make masks of noise, and images that hold mask and number of their pair."""
    generator = np.random.default_rng(0)
    masks = generator.choice(LABELS, (N_PAIRS, *SHAPE))
    numbers = np.broadcast_to(10 * np.arange(N_PAIRS)[:, None, None], masks.shape)
    return np.stack([masks, numbers, 0 * masks], axis=-1).astype(np.uint8), masks


def record(pairs, **settings):
    """Record a fit with weights of pixels and of images."""
    settings = {"epochs": 3, "class_weight": CLASS_WEIGHT, **settings}
    return record_fit(make_small(**settings), *pairs, sample_weight=WEIGHTS)


def list_order(images):
    return (images[:, 0, 0, 1] // 10).tolist()


def move(image, mask, random_state):
    """Move class indices, by nearest pixels, and make an image that holds them."""
    as_image = np.repeat(mask[..., None], 3, axis=-1)
    augmentation = Augmentation(rotation=180, shift=0.3)
    _, moved = augmentation(as_image, random_state, mask=mask)
    image[..., 0] = LABELS[moved]
    return image, moved


@pytest.mark.parametrize("augmentation", [None, move])
def test_each_pair_is_in_each_epoch_once_and_whole_with_its_weights(
    augmentation, pairs
):
    orders = []
    for images, codes, weights, image_weights in record(
        pairs, augmentation=augmentation
    ).epochs:
        assert_array_equal(LABELS[codes], images[..., 0])
        assert_array_equal(weights, np.array(list(CLASS_WEIGHT.values()))[codes])
        orders.append(list_order(images))
        expected = WEIGHTS[orders[-1]] / WEIGHTS.mean()
        assert_allclose(image_weights, expected, rtol=1e-6)
        assert sorted(orders[-1]) == list(range(N_PAIRS))
        if augmentation is None:
            assert_array_equal(images, pairs[0][orders[-1]])
        else:
            unmoved = pairs[0][orders[-1]] == images
            assert not unmoved.all(axis=(1, 2, 3)).any()
    assert len(set(map(tuple, orders))) == 3
    assert list(range(N_PAIRS)) not in orders


def test_order_is_that_of_seed_and_epoch_alone(pairs):
    def list_orders(fit):
        return [list_order(images) for images, *_ in fit.epochs]

    orders = list_orders(record(pairs))
    assert list_orders(record(pairs, augmentation=TURN)) == orders
    assert list_orders(record(pairs, class_weight=None)) == orders
    assert list_orders(record(pairs, random_state=1)) != orders
    # A fit that goes on goes on in the order too.
    segmenter = make_small(epochs=1, warm_start=True)
    for order in orders:
        assert list_orders(record_fit(segmenter, *pairs)) == [order]


class Drawing:
    """An augmentation that keeps what it draws for each pair of each epoch."""

    def __init__(self):
        self.drawn = {}

    def __call__(self, image, mask, random_state):
        number = int(image[0, 0, 1]) // 10
        self.drawn.setdefault(number, []).append(random_state.random())
        return image, mask


def draw(pairs, **settings):
    """Return what each pair draws in each epoch, by its number."""
    augmentation = Drawing()
    record(pairs, augmentation=augmentation, **settings)
    return augmentation.drawn


def test_a_pair_is_changed_by_seed_epoch_and_position_alone(pairs):
    drawn = draw(pairs)
    assert len({value for values in drawn.values() for value in values}) == 3 * N_PAIRS
    assert draw(pairs, batch_size=13) == drawn
    augmentation = Drawing()
    make_small(epochs=3, augmentation=augmentation).fit(*pairs)
    assert augmentation.drawn == drawn
    some = draw(pairs, validation_fraction=0.5)
    assert len(some) == 6
    assert some == {number: drawn[number] for number in some}
    other = draw(pairs, random_state=1)
    assert not any(set(other[number]) & set(drawn[number]) for number in drawn)


def test_images_that_are_validated_on_are_not_changed(pairs):
    images, masks = pairs
    fit = record_fit(make_small(augmentation=TURN), *pairs, X_val=images, y_val=masks)
    assert_array_equal(fit.validation[0], images)
    assert_array_equal(LABELS[fit.validation[1]], masks)
    assert not np.array_equal(np.sort(fit.train[0], axis=None), images)


@pytest.mark.parametrize("form", [np.array, list])
def test_an_augmentation_may_change_its_arrays(form, pairs):
    seen = []

    def spoil(image, mask, random_state):
        seen.append((int(image[0, 0, 1]) // 10, image.copy(), mask.copy()))
        image[:], mask[:] = 0, 0
        return image, mask

    X, y = map(form, pairs)
    record_fit(make_small(augmentation=spoil), X, y)
    assert len(seen) == 2 * N_PAIRS
    for number, image, mask in seen:  # in the second epoch as in the first
        assert_array_equal(image, pairs[0][number])
        assert_array_equal(LABELS[mask], pairs[1][number])
    for array, given in zip(pairs, (X, y), strict=True):
        assert_array_equal(given, array)
    assert pairs[0].any()


@pytest.mark.slow
def test_what_an_augmentation_raises_comes_out_as_it_is(pairs):
    error = ArithmeticError("no luck")

    def fail(image, mask, random_state):
        if image[0, 0, 1] == 90:
            raise error
        return image, mask

    segmenter = make_small(augmentation=fail)
    with pytest.raises(ArithmeticError, match="no luck") as raised:
        segmenter.fit(*pairs)
    assert raised.value is error
    assert not hasattr(segmenter, "classes_")
    # What comes after it is not touched.
    segmenter.set_params(augmentation=None).fit(*pairs)
    assert hash_weights(segmenter) == hash_weights(make_small().fit(*pairs))


@pytest.mark.parametrize("fails", [False, True])
def test_nothing_of_a_fit_is_held_when_it_is_over(fails, pairs):
    def fit():
        augmentation = Drawing()
        if fails:
            augmentation.drawn = None
        segmenter = make_small(augmentation=augmentation, validation_fraction=0.3)
        try:
            segmenter.fit(*pairs)
        except AttributeError:
            assert fails
        return weakref.ref(augmentation)

    held = fit()
    gc.collect()
    assert held() is None
    names = [thread.name for thread in threading.enumerate()]
    assert not [name for name in names if name.startswith("skinest")]


def test_foreground_has_its_fraction_and_repeats_are_augmented_anew(pairs):
    images, masks = pairs[0].copy(), np.full_like(pairs[1], 3)
    masks[:3, 2:9] = 5
    settings = {"foreground_fraction": 0.7, "augmentation": TURN, "class_weight": None}
    settings |= {"validation_fraction": None, "epochs": 2}
    fits = record_fit(make_small(**settings), images, masks)
    orders = []
    for inputs, codes, _, _ in fits.epochs:
        has_foreground = (codes == 1).any(axis=(1, 2))
        assert (len(codes), has_foreground.sum()) == (N_PAIRS, 9)  # round(.7 * 13)
        assert len(np.unique(inputs[has_foreground], axis=0)) == 9
        orders.append(list_order(inputs))
    assert orders[0] != orders[1]

"""Callables of a user that augment images, alone and with their masks."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import keras
import numpy as np
import pytest

from skinest.augmentation import Augmentation
from tests.augmented import (
    ALL,
    augment,
    augment_pairs,
    check_augmentation,
    check_pair_augmentation,
    labelled,
    noise,
)

CHECKS = (check_augmentation, check_pair_augmentation)


def test_none_changes_nothing():
    image, mask = labelled()
    assert [check(None) for check in CHECKS] == [None, None]
    assert augment(None, image) is image
    ((same_image, same_mask),) = augment_pairs(None, image, mask, 1)
    assert same_image is image and same_mask is mask


def test_augmentation_is_applied_as_if_called():
    augmentation, image = Augmentation(**ALL), noise()
    assert check_augmentation(augmentation) is augmentation
    np.testing.assert_array_equal(
        augment(augmentation, image, 1),
        augmentation(image, np.random.default_rng(1)),
    )


def test_callable_gets_generator_and_a_copy_of_the_image():
    def darken(image, random_state):
        image -= image // random_state.integers(2, 5, dtype=np.uint8)
        return image

    image = noise()
    before = image.copy()
    image.setflags(write=False)
    factor = np.random.default_rng(2).integers(2, 5, dtype=np.uint8)
    darken = check_augmentation(darken)
    variant = augment(darken, image, 2)
    np.testing.assert_array_equal(variant, before - before // factor)
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (lambda image, random_state: None, "returned a NoneType"),
        (lambda image, random_state: image / 255, r"\(24, 32, 3\) and dtype float64"),
        (lambda image, random_state: image[1:], r"\(23, 32, 3\) and dtype uint8"),
    ],
)
def test_wrong_result_of_a_callable_is_told(wrong, told):
    with pytest.raises(ValueError, match=rf"augmentation=.*{told}.*\(24, 32, 3\)"):
        augment(wrong, noise())


class Holder:
    """No augmentation, for it cannot be called."""

    def __repr__(self):
        return "Holder()"


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (Augmentation, r"augmentation=Augmentation is a class; .* Augmentation\("),
        (keras.layers.RandomFlip, "augmentation=RandomFlip is a class"),
        ("flip", "augmentation='flip' is of type str"),
        (Holder(), r"augmentation=Holder\(\) is of type Holder"),
    ],
)
def test_what_cannot_augment_is_refused(check, wrong, told):
    with pytest.raises(TypeError, match=told):
        check(wrong)


# With masks


def test_callable_gets_copies_and_the_generator():
    def shift(image, mask, random_state):
        step = random_state.integers(1, 8)
        image[:], mask[:] = np.roll(image, step, axis=1), np.roll(mask, step, axis=1)
        return image, mask

    image, mask = labelled()
    before = image.copy(), mask.copy()
    assert check_pair_augmentation(shift) is shift
    variant, mask_variant = augment_pairs(shift, image, mask, 1, seed=2)[0]
    step = np.random.default_rng(2).integers(1, 8)
    np.testing.assert_array_equal(variant, np.roll(before[0], step, axis=1))
    np.testing.assert_array_equal(mask_variant, np.roll(before[1], step, axis=1))
    np.testing.assert_array_equal(image, before[0])
    np.testing.assert_array_equal(mask, before[1])


@pytest.mark.parametrize("fill", [0, 255])
def test_callable_may_fill_masks(fill):
    image, mask = labelled()
    mask[:] = 3
    _, variant = augment_pairs(
        lambda i, m, r: (i, np.full_like(m, fill)), image, mask, 1
    )[0]
    assert (variant == fill).all()


def same(image, mask, random_state):
    return image, mask


@pytest.mark.parametrize("accepted", [same, lambda *pair: pair[:2], max])
def test_callables_of_three_arguments_are_accepted(accepted):
    assert check_pair_augmentation(accepted) is accepted


class OfImages(Augmentation):
    def __call__(self, image, random_state):
        return image


@pytest.mark.parametrize(
    "wrong",
    [
        lambda image, random_state: image,
        lambda image: image,
        lambda image, random_state, mask=None: (image, mask),
        OfImages(),
    ],
)
def test_callables_of_images_alone_are_refused(wrong):
    with pytest.raises(
        TypeError, match=r"augmentation=.* takes \(.*\(image, mask, ran"
    ):
        check_pair_augmentation(wrong)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (lambda i, m, r: None, "a NoneType"),
        (lambda i, m, r: i, r"an array .*\(48, 64, 3\)"),
        (lambda i, m, r: (i, m, r), "a tuple of 3"),
        (lambda i, m, r: (i / 255, m), "an array .* float64 as image"),
        (lambda i, m, r: (i, m > 0), "an array .* bool as mask"),
        (
            lambda i, m, r: (i, m[..., np.newaxis]),
            r"an array .*\(48, 64, 1\) .* as mask",
        ),
        (lambda i, m, r: (m, i), r"an array .*\(48, 64\) .* as image"),
    ],
)
def test_wrong_pair_of_a_callable_is_told(wrong, told):
    match = rf"augmentation=.*returned {told}.*\(48, 64, 3\) and \(48, 64\)"
    with pytest.raises(ValueError, match=match):
        augment_pairs(wrong, *labelled(), 1)


def test_masks_that_a_callable_interpolates_are_refused():
    def blend(image, mask, random_state):
        return image, (mask // 2 + np.roll(mask, 1, axis=0) // 2)

    with pytest.raises(ValueError, match=r"new values, such as \[1, .*nearest pixel"):
        augment_pairs(blend, *labelled(), 1)

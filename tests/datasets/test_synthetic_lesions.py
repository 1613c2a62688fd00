# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import cv2
import numpy as np
import pytest
from sklearn.model_selection import (
    StratifiedGroupKFold,
    StratifiedKFold,
    cross_val_score,
)
from sklearn.neighbors import KNeighborsClassifier

from skinest.datasets import make_dermoscopy

from .scenes import without_pixels

# The official table of lesions of HAM10000: 7,470 lesions have 1 to 6 images.
HAM10000_LESIONS = [5514, 1423, 490, 34, 5, 4]


# Groups ------------------------------------------------------------------------


@pytest.mark.parametrize("task", ["malignancy", "lesion", "globules", "streaks"])
def test_each_image_shows_another_lesion_by_default(task):
    data = make_dermoscopy(6, task=task, image_size=(32, 32), random_state=0)
    assert data.groups.tolist() == [f"L000000{i}" for i in range(6)]
    assert data.groups.dtype == object
    assert "lesions: use" not in data.DESCR


def sample_groups(n_images, **options):
    """Return groups of small images, the same as those of larger ones."""
    with without_pixels():
        return make_dermoscopy(
            n_images, image_size=(32, 32), random_state=0, **options
        ).groups


@pytest.mark.slow
def test_images_of_a_lesion_are_distributed_as_in_ham10000():
    _, sizes = np.unique(sample_groups(3000, task="diagnosis"), return_counts=True)
    # Deviation of the number of new lesions: sqrt(3000 * .746 * .254) = 24.
    assert abs(len(sizes) - 3000 * 7470 / 10015) < 4 * 24
    shares = np.bincount(sizes, minlength=7)[1:7] / len(sizes)
    np.testing.assert_allclose(
        shares, np.array(HAM10000_LESIONS) / sum(HAM10000_LESIONS), atol=0.035
    )


@pytest.mark.parametrize("images_per_lesion", [1.0, 1.5, 3])
def test_images_per_lesion_is_the_mean(images_per_lesion):
    groups = sample_groups(
        300, malignant_fraction=0.5, images_per_lesion=images_per_lesion
    )
    # Deviations of the numbers of new lesions: 0, 8 and 8.
    assert abs(len(set(groups)) - 300 / images_per_lesion) <= 3 * 8


def test_images_of_a_lesion_share_its_class_and_the_number_of_each_is_exact():
    data = make_dermoscopy(
        60,
        image_size=(32, 32),
        malignant_fraction=0.3,
        images_per_lesion=3,
        random_state=0,
    )
    assert data.target.sum() == 18
    for lesion in set(data.groups):
        assert len(set(data.target[data.groups == lesion])) == 1
    assert f"show {len(set(data.groups))} lesions: use `groups`" in data.DESCR


def test_lesion_is_named_by_its_first_image():
    data = make_dermoscopy(40, image_size=(32, 32), images_per_lesion=2, random_state=0)
    for lesion in set(data.groups):
        assert lesion == f"L{np.flatnonzero(data.groups == lesion)[0]:07d}"


def test_images_of_a_lesion_are_not_side_by_side():
    groups = sample_groups(600, images_per_lesion=2.0)
    assert np.mean(groups[1:] == groups[:-1]) < 0.05


def test_first_images_of_lesions_do_not_depend_on_images_per_lesion():
    options = {"n_images": 40, "image_size": (32, 32), "random_state": 0}
    alone = make_dermoscopy(**options)
    shared = make_dermoscopy(images_per_lesion=2, **options)
    _, first = np.unique(shared.groups, return_index=True)
    assert 10 < len(first) < 40
    np.testing.assert_array_equal(shared.target, alone.target)
    np.testing.assert_array_equal(shared.images[first], alone.images[first])


def test_no_image_comes_twice():
    images = make_dermoscopy(60, images_per_lesion=4, random_state=0).images
    assert len(np.unique(images.reshape(60, -1), axis=0)) == 60


@pytest.mark.parametrize("wrong", [0.5, 0, np.inf, "many"])
def test_wrong_images_per_lesion(wrong):
    with pytest.raises(ValueError, match="images_per_lesion"):
        make_dermoscopy(images_per_lesion=wrong)


def colour_histogram(image):
    lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB).reshape(-1, 3)
    return np.histogram2d(lab[:, 1], lab[:, 2], 32, [[96, 192]] * 2)[0].ravel()


def mean_accuracy(features, data, folds):
    return cross_val_score(
        KNeighborsClassifier(1), features, data.target, cv=folds
    ).mean()


def test_split_by_image_leaks_and_by_lesion_does_not():
    data = make_dermoscopy(
        240,
        image_size=(64, 64),
        malignant_fraction=0.5,
        images_per_lesion=2.5,
        random_state=0,
    )
    features = [colour_histogram(image) for image in data.images]
    by_image = StratifiedKFold(5, shuffle=True, random_state=0)
    by_lesion = StratifiedGroupKFold(5, shuffle=True, random_state=0)
    leaky = by_image.split(features, data.target)
    honest = by_lesion.split(features, data.target, data.groups)
    leak = mean_accuracy(features, data, leaky) - mean_accuracy(features, data, honest)
    assert leak > 0.08


def test_made_masks_are_those_of_the_views():
    data = make_dermoscopy(
        30,
        task="lesion",
        malignant_fraction=1.0,
        images_per_lesion=5,
        random_state=0,
    )
    # A lesion is darker than the skin along its border.
    steps = []
    for image, mask in zip(data.images, data.masks, strict=True):
        grey, kernel = image.mean(axis=2), np.ones((7, 7))
        inside = (mask > 0) & (cv2.erode(mask, kernel) == 0)
        outside = (mask == 0) & (cv2.dilate(mask, kernel) > 0)
        steps.append(grey[outside].mean() - grey[inside].mean())
    assert np.min(steps) > 0

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import cv2
import numpy as np
import pytest

from skinest.datasets import make_dermoscopy

TASKS = ["lesion", "globules", "streaks"]
N_IMAGES = 60
# Half of the shorter side of the images below, in pixels.
UNIT = 64


@pytest.fixture(scope="module")
def data():
    """Return images, and the masks of each task as booleans."""
    made = {
        task: make_dermoscopy(N_IMAGES, task=task, random_state=0) for task in TASKS
    }
    masks = {task: bunch.masks == 255 for task, bunch in made.items()}
    return {"images": made["lesion"].images, **masks}


def widen(mask, distance):
    """Add to a mask all that is at most `distance` units from it."""
    outside = np.pad(~mask, 1, constant_values=True).astype(np.uint8)
    far = cv2.distanceTransform(outside, cv2.DIST_L2, 5)[1:-1, 1:-1]
    return far <= distance * UNIT


def is_marked(masks):
    return masks.any(axis=(1, 2))


# What is returned --------------------------------------------------------------


@pytest.mark.parametrize("task", TASKS)
def test_bunch(task):
    options = {"n_images": 12, "image_size": (64, 96), "random_state": 0}
    data = make_dermoscopy(task=task, **options)
    assert data.masks.shape == (12, 64, 96)
    assert data.masks.dtype == np.uint8
    assert set(np.unique(data.masks)) == {0, 255}
    assert data.target_names == ["benign", "malignant"]
    n_marked = np.count_nonzero(is_marked(data.masks))
    assert f"{n_marked} of\nthe masks" in data.DESCR
    assert f"{(data.masks > 0).mean():.1%} of all pixels" in data.DESCR
    images, masks = make_dermoscopy(task=task, return_X_y=True, **options)
    np.testing.assert_array_equal(images, data.images)
    np.testing.assert_array_equal(masks, data.masks)


def test_no_masks_when_diagnoses_are_asked_for():
    data = make_dermoscopy(3, task="malignancy", random_state=0)
    assert "masks" not in data
    assert "mask" not in data.DESCR


@pytest.mark.parametrize("task", TASKS)
def test_images_and_labels_do_not_depend_on_the_task(task):
    with_masks = make_dermoscopy(10, task=task, random_state=4)
    without = make_dermoscopy(10, random_state=4)
    np.testing.assert_array_equal(with_masks.images, without.images)
    np.testing.assert_array_equal(with_masks.target, without.target)


@pytest.mark.parametrize("task", TASKS)
def test_same_seed_same_masks(task):
    first, again, other = (
        make_dermoscopy(12, task=task, image_size=(32, 32), random_state=seed).masks
        for seed in (7, 7, 8)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("task", TASKS)
def test_larger_n_images_begins_with_the_same_images_and_masks(task):
    options = {"task": task, "image_size": (32, 32), "random_state": 1}
    few, many = make_dermoscopy(30, **options), make_dermoscopy(50, **options)
    same = few.target == many.target[:30]
    assert same.sum() >= 25
    np.testing.assert_array_equal(few.images[same], many.images[:30][same])
    np.testing.assert_array_equal(few.masks[same], many.masks[:30][same])


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("size", [(32, 32), (33, 100), (200, 47), (150, 200)])
def test_every_size(task, size):
    masks = make_dermoscopy(8, task=task, image_size=size, random_state=0).masks
    assert masks.shape == (8, *size)
    assert set(np.unique(masks)) == {0, 255}


@pytest.mark.parametrize("task", TASKS)
def test_same_masks_at_every_size(task):
    small, large = (
        make_dermoscopy(20, task=task, image_size=size, random_state=2).masks
        for size in ((64, 64), (256, 256))
    )
    shrunk = large.reshape(20, 64, 4, 64, 4).mean(axis=(2, 4)) > 127
    common = np.count_nonzero(shrunk & (small > 0))
    assert common / np.count_nonzero(shrunk | (small > 0)) > 0.95


# What is marked ----------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    "random_state", [0, *(pytest.param(k, marks=pytest.mark.slow) for k in (1, 2))]
)
@pytest.mark.parametrize(
    "task, marked, share",
    [
        ("lesion", (1.0, 1.0), (0.1, 0.3)),
        ("globules", (0.35, 0.6), (0.01, 0.03)),
        ("streaks", (0.25, 0.4), (0.01, 0.03)),
    ],
)
def test_marks_are_as_frequent_as_in_real_images(task, marked, share, random_state):
    masks = make_dermoscopy(
        200, task=task, image_size=(32, 32), random_state=random_state
    ).masks
    assert marked[0] <= is_marked(masks).mean() <= marked[1]
    assert share[0] <= (masks > 0).mean() <= share[1]


@pytest.mark.slow
def test_lesion_is_one_large_area(data):
    for mask in data["lesion"]:
        _, _, statistics, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
        assert statistics[1:, cv2.CC_STAT_AREA].max() > 0.98 * mask.sum()
        assert 0.05 < mask.mean() < 0.5


def test_lesion_is_outlined_where_the_image_darkens(data):
    steps = []
    for image, mask in zip(data["images"], data["lesion"], strict=True):
        grey = image.mean(axis=2)
        inside = mask & widen(~mask, 0.15)
        outside = ~mask & widen(mask, 0.15)
        steps.append(grey[outside].mean() - grey[inside].mean())
    assert np.mean(np.array(steps) > 0) > 0.98


def test_globules_lie_in_the_lesion(data):
    for globules, lesion in zip(data["globules"], data["lesion"], strict=True):
        assert not np.any(globules & ~widen(lesion, 0.15))
    assert np.mean(data["lesion"][data["globules"]]) > 0.9


def test_streaks_lie_at_the_border_of_the_lesion(data):
    for streaks, lesion in zip(data["streaks"], data["lesion"], strict=True):
        border = widen(lesion, 0.4) & widen(~lesion, 0.4)
        assert not np.any(streaks & ~border)
    assert 0.1 < np.mean(data["lesion"][data["streaks"]]) < 0.6


def test_marked_globules_are_dark_spots(data):
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (9, 9))
    contrasts = []
    for image, globules, lesion in zip(
        data["images"], data["globules"], data["lesion"], strict=True
    ):
        spots = cv2.morphologyEx(
            cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.MORPH_BLACKHAT, kernel
        )
        marked, unmarked = lesion & globules, lesion & ~globules
        if marked.any() and unmarked.any():
            contrasts.append(spots[marked].mean() - spots[unmarked].mean())
    assert np.mean(np.array(contrasts) > 0) > 0.9


def test_marked_streaks_are_darker_than_the_skin_beside_them(data):
    contrasts = []
    for image, streaks, lesion in zip(
        data["images"], data["streaks"], data["lesion"], strict=True
    ):
        ring = widen(lesion, 0.15) & ~lesion
        if np.any(ring & streaks):
            grey = image.mean(axis=2)
            contrasts.append(grey[ring & ~streaks].mean() - grey[ring & streaks].mean())
    assert np.mean(np.array(contrasts) > 0) > 0.95

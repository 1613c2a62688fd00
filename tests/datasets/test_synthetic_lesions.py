# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from dataclasses import replace

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
from skinest.datasets._synthetic_drawing import generators
from skinest.datasets._synthetic_labels import draw_lesions
from skinest.datasets._synthetic_layers import Canvas
from skinest.datasets._synthetic_masks import draw_mask
from skinest.datasets._synthetic_rendering import render
from skinest.datasets._synthetic_scene import View, draw_scene, seen_again

# The official table of lesions of HAM10000: 7,470 lesions have 1 to 6 images.
HAM10000_LESIONS = [5514, 1423, 490, 34, 5, 4]


# Groups ------------------------------------------------------------------------


@pytest.mark.parametrize("task", ["malignancy", "lesion", "globules", "streaks"])
def test_each_image_shows_another_lesion_by_default(task):
    data = make_dermoscopy(6, task=task, image_size=(32, 32), random_state=0)
    assert data.groups.tolist() == [f"L000000{i}" for i in range(6)]
    assert data.groups.dtype == object
    assert "lesions: use" not in data.DESCR


def test_diagnoses_have_as_many_images_of_a_lesion_as_ham10000():
    data = make_dermoscopy(1500, task="diagnosis", image_size=(32, 32), random_state=0)
    # Deviation of the number of new lesions: sqrt(1500 * .746 * .254) = 17.
    assert abs(len(set(data.groups)) - 1500 * 7470 / 10015) < 4 * 17


def test_numbers_of_images_are_distributed_as_in_ham10000():
    n_images, n_lesions = 10015, sum(HAM10000_LESIONS)
    target = np.zeros(n_images, dtype=int)
    first = draw_lesions(generators(0, range(n_images)), target, n_images / n_lesions)
    _, sizes = np.unique(first, return_counts=True)
    shares = np.bincount(sizes)[1:7] / len(sizes)
    np.testing.assert_allclose(
        shares, np.array(HAM10000_LESIONS) / n_lesions, atol=0.025
    )


@pytest.mark.parametrize("images_per_lesion", [1.0, 1.5, 3])
def test_images_per_lesion_is_the_mean(images_per_lesion):
    target = np.arange(3000) % 2
    rngs = generators(0, range(3000))
    first = draw_lesions(rngs, target, images_per_lesion)
    mean = 3000 / len(np.unique(first))
    np.testing.assert_allclose(mean, images_per_lesion, rtol=0.06)


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
    target = np.zeros(1000, dtype=int)
    first = draw_lesions(generators(0, range(1000)), target, 2.0)
    assert np.mean(np.diff(first) == 0) < 0.05


def test_first_images_of_lesions_do_not_depend_on_images_per_lesion():
    options = {"n_images": 40, "image_size": (32, 32), "random_state": 0}
    alone = make_dermoscopy(**options)
    shared = make_dermoscopy(images_per_lesion=2, **options)
    _, first = np.unique(shared.groups, return_index=True)
    assert 10 < len(first) < 40
    np.testing.assert_array_equal(shared.target, alone.target)
    np.testing.assert_array_equal(shared.images[first], alone.images[first])


def test_no_image_is_drawn_twice():
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


# Views -------------------------------------------------------------------------


@pytest.fixture
def scene():
    drawn = draw_scene(np.random.default_rng(3), malignant=True)
    return replace(
        drawn, light=(0.0, 0.0), vignette=0.0, hair_points=drawn.hair_points[:0]
    )


def view(angle=0.0, scale=1.0, shift=(0.0, 0.0)):
    return View(angle=angle, scale=scale, shift=shift, grain_seed=5)


def mean_difference(image, other):
    return np.abs(image.astype(float) - other).mean()


def test_view_that_changes_nothing(scene):
    canvas = Canvas(96, 96)
    image, lesion = render(scene, canvas)
    seen, seen_lesion = render(replace(scene, view=view()), canvas)
    np.testing.assert_allclose(seen_lesion, lesion, atol=1e-4)
    # What is left is the noise of the sensor.
    assert mean_difference(seen, image) < 3


def test_view_by_a_quarter_turn_is_the_turned_image(scene):
    canvas = Canvas(96, 96)
    image, _ = render(scene, canvas)
    seen, _ = render(replace(scene, view=view(angle=np.pi / 2)), canvas)
    # y points down, so a positive angle turns clockwise.
    assert mean_difference(seen, np.rot90(image, -1)) < 4
    assert mean_difference(seen, np.rot90(image)) > 8


def test_shifted_view_is_the_shifted_image(scene):
    canvas = Canvas(96, 96)
    image, _ = render(scene, canvas)
    seen, _ = render(replace(scene, view=view(shift=(0.25, -0.125))), canvas)
    # In units of 48 pixels: 12 to the right and 6 up.
    assert mean_difference(seen[:-6, 12:], image[6:, :-12]) < 3.5


def test_scaled_view_is_the_scaled_image(scene):
    seen, lesion = render(replace(scene, view=view(scale=0.5)), Canvas(192, 192))
    image, whole = render(scene, Canvas(96, 96))
    assert mean_difference(seen[48:-48, 48:-48], image) < 8
    np.testing.assert_allclose(lesion.sum(), whole.sum(), rtol=0.02)


def test_lesion_that_is_seen_again_is_framed_anew(scene):
    rng = np.random.default_rng(0)
    again = [seen_again(scene, rng) for _ in range(200)]
    assert all(other.texture_seed == scene.texture_seed for other in again)
    assert all(other.harmonics is scene.harmonics for other in again)
    for value in (
        lambda other: other.view.angle,
        lambda other: other.view.scale,
        lambda other: other.view.shift,
        lambda other: other.light,
        lambda other: other.aperture,
        lambda other: tuple(other.skin_tone.ravel()),
    ):
        assert len({value(other) for other in again}) == 200
    assert {len(other.hair_points) == 0 for other in again} == {True, False}


@pytest.mark.parametrize("task", ["lesion", "globules", "streaks"])
def test_masks_follow_their_images(task):
    canvas = Canvas(128, 128)
    rng = np.random.default_rng(0)
    common, either = 0, 0
    for _ in range(8):
        drawn = replace(draw_scene(rng, malignant=True), vignette=0.0)
        mask = draw_mask(task, drawn, render(drawn, canvas)[1]) > 0
        turned = replace(drawn, view=view(angle=np.pi / 2, shift=(0.0, 0.25)))
        seen = draw_mask(task, turned, render(turned, canvas)[1]) > 0
        # In units of 64 pixels: 16 down.
        expected = np.rot90(mask, -1)[:-16]
        common += np.count_nonzero(expected & seen[16:])
        either += np.count_nonzero(expected | seen[16:])
    assert either > 1000
    assert common / either > 0.9


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

"""Scenes set by hand, and the images and masks of them."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from dataclasses import replace

import cv2
import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from .scenes import cover_globules, get_positions, render, sample

STRUCTURES = ["globules", "streaks"]


def count_marked(scene, task="globules"):
    return np.count_nonzero(render(scene, task=task)[1])


def measure_difference(image, other):
    return np.abs(image.astype(float) - other).mean()


def measure_darkening(image, bare):
    return (bare.astype(float) - image).mean(axis=2)


def test_network_tends_to_be_more_irregular_in_malignant_lesions():
    # The other signs of malignancy are measured on images, which hide this one.
    target = np.repeat([0, 1], 300)
    warps = [scene.network_warp for scene in sample(target)]
    assert 0.6 < roc_auc_score(target, warps) < 0.98


# Marks -------------------------------------------------------------------------


@pytest.fixture
def globular():
    """Return a pale lesion with 30 like globules and nothing else."""
    scene = sample([0])[0].without("streaks")
    rng = np.random.default_rng(1)
    return replace(
        scene,
        centre=(0.0, 0.0),
        radius=0.6,
        elongation=1.0,
        melanin=0.6,
        network=0.0,
        vignette=0.0,
        patches=(),
        hair_points=scene.hair_points[:0],
        globule_centres=rng.uniform(-0.3, 0.3, (30, 2)),
        globule_radii=np.full(30, 0.03),
    )


def test_globules_outside_the_lesion_are_not_marked(globular):
    assert count_marked(globular) > 0
    outside = replace(globular, globule_centres=globular.globule_centres * 0.3 + 0.85)
    assert count_marked(outside) == 0


def test_globules_under_a_veil_are_not_marked(globular):
    assert count_marked(replace(globular, patches=(("veil", 0.0, 0.0, 1.0),))) == 0


def test_globules_in_black_pigment_are_hardly_marked(globular):
    black = replace(globular, patches=(("black", 0.0, 0.0, 0.8),))
    assert count_marked(black) < 0.2 * count_marked(globular)


def test_single_globule_is_not_marked(globular):
    single = replace(
        globular, globule_centres=np.zeros((1, 2)), globule_radii=np.array([0.03])
    )
    assert count_marked(single) == 0


def test_marks_are_wider_than_the_globules_and_run_together(globular):
    n_covered = np.count_nonzero(cover_globules(globular))
    assert count_marked(globular) > 1.5 * n_covered


@pytest.mark.parametrize("structure", STRUCTURES)
def test_nothing_is_marked_where_there_is_nothing(globular, structure):
    bare = globular.without(structure)
    assert bare.without(structure) is bare
    assert count_marked(bare, structure) == 0


def test_every_mark_of_globules_holds_one():
    for scene in sample(np.arange(60) % 2):
        _, mask = render(scene, task="globules")
        n_marks, marks = cv2.connectedComponents(mask.astype(np.uint8))
        held = marks[cover_globules(scene, margin=0.02)]
        assert set(range(1, n_marks)) <= set(held)


@pytest.mark.parametrize("structure", STRUCTURES)
def test_without_a_structure_the_rest_of_the_image_is_the_same(structure):
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (47, 47))
    for scene in sample(np.arange(40) % 2):
        image, lesion = render(scene)
        bare, _ = render(scene.without(structure))
        near = cv2.dilate(lesion.astype(np.uint8), kernel) > 0
        assert not np.any(np.any(bare != image, axis=2) & ~near)


# Sizes -------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(100, 120), (200, 160)])
def test_globule_has_its_area_and_centre_at_every_size(globular, size):
    single = replace(
        globular, globule_centres=np.array([[0.3, -0.2]]), globule_radii=[0.25]
    )
    image, bare = (
        render(scene, size=size)[0] for scene in (single, single.without("globules"))
    )
    darkening = measure_darkening(image, bare)
    covered = darkening > darkening.max() / 2
    unit = min(size) / 2
    np.testing.assert_allclose(covered.sum(), np.pi * (0.25 * unit) ** 2, rtol=0.1)
    x, y = get_positions(size)
    np.testing.assert_allclose(x[covered].mean(), 0.3, atol=0.02)
    np.testing.assert_allclose(y[covered].mean(), -0.2, atol=0.02)


def test_hairs_thinner_than_a_pixel_are_paler(globular):
    across = np.array([[[-0.5, 0.85], [0.0, 0.85], [0.5, 0.85]]])
    bare, _ = render(globular, size=(64, 64))
    full, half = (
        measure_darkening(
            render(
                replace(
                    globular,
                    hair_points=across,
                    hair_widths=[width],
                    hair_melanin=0.2,
                ),
                size=(64, 64),
            )[0],
            bare,
        )
        for width in (1 / 32, 0.5 / 32)
    )
    np.testing.assert_allclose(half.sum(), full.sum() / 2, rtol=0.1)
    assert full[:50].max() == 0


# Views -------------------------------------------------------------------------


@pytest.fixture
def scene():
    """Return a malignant lesion without what belongs to the frame."""
    scene = sample([1])[0]
    return replace(
        scene, light=(0.0, 0.0), vignette=0.0, hair_points=scene.hair_points[:0]
    )


@pytest.fixture
def see():
    """Return a function that makes a view of a scene."""
    view = sample([1, 1], same_lesion=True)[1].view

    def see(scene, *, angle=0.0, scale=1.0, shift=(0.0, 0.0)):
        return replace(scene, view=replace(view, angle=angle, scale=scale, shift=shift))

    return see


def test_view_that_changes_nothing(scene, see):
    image, lesion = render(scene, size=(96, 96))
    seen, seen_lesion = render(see(scene), size=(96, 96))
    assert np.mean(seen_lesion != lesion) < 1e-3
    # What is left is the noise of the sensor.
    assert measure_difference(seen, image) < 3


def test_view_by_a_quarter_turn_is_the_turned_image(scene, see):
    image, _ = render(scene, size=(96, 96))
    seen, _ = render(see(scene, angle=np.pi / 2), size=(96, 96))
    # y points down, so a positive angle turns clockwise.
    assert measure_difference(seen, np.rot90(image, -1)) < 4
    assert measure_difference(seen, np.rot90(image)) > 8


def test_shifted_view_is_the_shifted_image(scene, see):
    image, _ = render(scene, size=(96, 96))
    seen, _ = render(see(scene, shift=(0.25, -0.125)), size=(96, 96))
    # In units of 48 pixels: 12 to the right and 6 up.
    assert measure_difference(seen[:-6, 12:], image[6:, :-12]) < 3.5


def test_scaled_view_is_the_scaled_image(scene, see):
    seen, lesion = render(see(scene, scale=0.5), size=(192, 192))
    image, whole = render(scene, size=(96, 96))
    assert measure_difference(seen[48:-48, 48:-48], image) < 8
    np.testing.assert_allclose(lesion.sum(), whole.sum(), rtol=0.02)


def test_lesion_that_is_seen_again_is_framed_anew():
    scene, *again = sample([1] * 201, same_lesion=True)
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


@pytest.mark.parametrize("task", ["lesion", *STRUCTURES])
def test_masks_follow_their_images(task, see):
    common, either = 0, 0
    for scene in sample([1] * 8):
        scene = replace(scene, vignette=0.0)
        _, mask = render(scene, task=task)
        _, seen = render(see(scene, angle=np.pi / 2, shift=(0.0, 0.25)), task=task)
        # In units of 64 pixels: 16 down.
        expected = np.rot90(mask, -1)[:-16]
        common += np.count_nonzero(expected & seen[16:])
        either += np.count_nonzero(expected | seen[16:])
    assert either > 1000
    assert common / either > 0.9

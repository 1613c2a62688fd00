"""The individual typology angle of images with known colours."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import warnings

import cv2
import numpy as np
import pytest
from numpy.testing import assert_allclose

from skinest.datasets import make_dermoscopy
from skinest.feature_extraction import individual_typology_angle

color = pytest.importorskip("skimage.color")

# Lightness and b* of skin, from very light to dark, with the angle by the definition.
# The a* of skin is about 10.
SKINS = {(75, 15): 59.04, (68, 17): 46.64, (60, 18): 29.05, (55, 20): 14.04}
SKINS |= {(45, 18): -15.52, (35, 12): -51.34}
ROUNDING = 1.5  # degrees, of colours in 8 bits


def make_image(lightness, yellow, size=(120, 160)):
    """Return an image of skin with a lesion, and its mask; colours by scikit-image."""
    lab = np.tile(np.array([lightness, 10.0, yellow]), (*size, 1))
    mask = np.zeros(size, dtype=np.uint8)
    cv2.ellipse(mask, (80, 60), (35, 25), 20, 0, 360, 255, -1)
    lab[mask > 0] = lightness / 2, 10, yellow / 2
    rgb = color.lab2rgb(lab)
    return np.round(rgb * 255).astype(np.uint8), mask


@pytest.mark.parametrize(("skin", "angle"), SKINS.items())
def test_angle_of_known_skin(skin, angle):
    image, mask = make_image(*skin)
    assert_allclose(individual_typology_angle([image], [mask]), angle, atol=ROUNDING)


def test_angle_of_one_colour_is_that_of_scikit_image():
    generator = np.random.default_rng(0)
    colours = generator.integers((90, 70, 50), (230, 180, 150), (40, 3))
    mask = np.zeros((40, 40), dtype=np.uint8)
    mask[15:25, 15:25] = 1
    images = [np.full((40, 40, 3), colour, np.uint8) for colour in colours]
    lightness, _, yellow = color.rgb2lab(np.uint8(colours)).T
    is_skin = yellow > 4
    expected = np.degrees(np.arctan((lightness - 50) / yellow))
    found = individual_typology_angle(images, [mask] * len(images))
    assert is_skin.sum() > 30
    assert_allclose(found[is_skin], expected[is_skin], atol=0.1)


def add_hairs(image, rng, value=20):
    for x in range(5, 160, 12):
        ends = (x, 0), (x + int(rng.integers(-15, 15)), 119)
        cv2.line(image, *ends, (value,) * 3, 2, cv2.LINE_AA)


def add_corners(image, rng):
    """Darken all outside a circle, with a soft edge as of a dermoscope."""
    rows, columns = np.ogrid[:120, :160]
    distance = np.hypot(rows - 60, columns - 80)
    light = np.clip((75 - distance) / 6, 0, 1)
    image[:] = image * light[..., None]


def add_shade(image, rng):
    """Add a wide seam of the lesion that the mask does not have."""
    cv2.ellipse(image, (80, 60), (40, 30), 20, 0, 360, (60, 30, 20), 6)


def add_noise(image, rng):
    image[:] = np.clip(image + rng.normal(0, 5, image.shape), 0, 255)


def add_glare(image, rng):
    for x, y in rng.integers(0, 119, (12, 2)).tolist():
        cv2.circle(image, (x, y), 1, (255, 255, 255), -1)


@pytest.mark.parametrize("skin", [(75, 15), (55, 20), (35, 12)], ids=str)
@pytest.mark.parametrize(
    "add", [add_hairs, add_corners, add_shade, add_noise, add_glare]
)
def test_what_is_not_skin_does_not_count(add, skin):
    image, mask = make_image(*skin)
    add(image, np.random.default_rng(0))
    angle = individual_typology_angle([image], [mask])
    assert_allclose(angle, SKINS[skin], atol=2 * ROUNDING)
    if add in (add_hairs, add_corners, add_shade):
        lab = color.rgb2lab(image[mask == 0])
        naive = np.degrees(np.arctan((lab[:, 0].mean() - 50) / lab[:, 2].mean()))
        assert abs(naive - SKINS[skin]) > abs(angle[0] - SKINS[skin])


def test_any_size_and_every_form(tmp_path):
    image, mask = make_image(68, 17)
    large = [np.repeat(np.repeat(each, 8, axis=0), 8, axis=1) for each in (image, mask)]
    paths = [str(tmp_path / "image.png"), str(tmp_path / "mask.png")]
    cv2.imwrite(paths[0], image[..., ::-1])
    cv2.imwrite(paths[1], mask)
    expected = individual_typology_angle(image[None], mask[None] > 0)
    assert_allclose(individual_typology_angle(paths[:1], paths[1:]), expected)
    enlarged = individual_typology_angle([large[0]], [large[1]])
    assert_allclose(enlarged, expected, atol=ROUNDING)


def test_nan_without_skin_and_the_reason():
    image, mask = make_image(68, 17)
    blue = image[..., ::-1].copy()
    images = [image, image, np.zeros_like(image), blue]
    masks = [mask, np.full_like(mask, 255), mask, mask]
    says = (
        r"3 of 4 images are NaN: too little skin is left at 1, 2; the skin is not more "
        r"yellow than blue at 3\."
    )
    with pytest.warns(UserWarning, match=says):
        angles = individual_typology_angle(images, masks)
    assert np.isnan(angles).tolist() == [False, True, True, True]
    with pytest.warns(UserWarning, match=r"1 of 1 .* too little skin is left at 0\.$"):
        assert np.isnan(individual_typology_angle([image], [mask], min_skin=0.95))
    with warnings.catch_warnings(action="error"):
        individual_typology_angle([image], [mask])


def test_pixels_without_a_label_are_not_skin():
    image, mask = make_image(68, 17)
    image[:, :100], mask = (90, 60, 50), mask.astype(int)
    mask[:, :100] = -1
    angle = individual_typology_angle([image], [mask], ignore_label=-1)
    assert_allclose(angle, SKINS[68, 17], atol=ROUNDING)


def test_a_margin_leaves_out_more():
    """A brown halo of ten pixels around the lesion fills a small image."""
    image, mask = make_image(75, 15)
    ring = cv2.dilate(mask, np.ones((21, 21))) - mask > 0
    image[ring] = (150, 120, 100)
    image, mask = image[20:100, 30:130], mask[20:100, 30:130]
    wide = individual_typology_angle([image], [mask], margin=0.15)
    narrow = individual_typology_angle([image], [mask], margin=0)
    assert_allclose(wide, SKINS[75, 15], atol=ROUNDING)
    assert narrow < wide - 20


def test_synthetic_lesions_have_light_skin():
    data = make_dermoscopy(6, task="lesion", image_size=(96, 96), random_state=0)
    angles = individual_typology_angle(data.images, data.masks)
    assert (np.abs(angles) < 90).all()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda i, m: ([i, i], [m]), "images has 2 images, but masks has 1 masks"),
        (
            lambda i, m: ([i], [m[:-1]]),
            r"masks\[0\] has shape \(119, 160\), but its image images\[0\]",
        ),
        (lambda i, m: ([i / 2], [m]), "images"),
    ],
)
def test_wrong_arguments(change, says):
    with pytest.raises(ValueError, match=says):
        individual_typology_angle(*change(*make_image(68, 17)))

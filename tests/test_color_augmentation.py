"""Random changes of colour and sharpness: hue, saturation, gains, blur and noise."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation
from scipy.stats import kstest
from sklearn.base import clone

from skinest import Augmentation
from tests.augmented import ALL, OFF, SHAPES, labelled, noise

COLORS = {"hue": 40, "saturation": 0.5, "channel_gain": 0.3, "blur": 0.1, "noise": 0.1}


class Chosen(np.random.Generator):
    """Generator of chosen extremes: -1 to 1, or 0 to 1 for blur and noise."""

    def __init__(self, hue=0, saturation=0, gains=(0, 0, 0), blur=0, noise=0):
        super().__init__(np.random.PCG64(0))
        signed = np.array([hue, saturation, *gains])
        self.colors = np.hstack([(signed + 1) / 2, blur, noise])

    def random(self, size):
        return self.colors if size == len(self.colors) else np.full(size, 0.5)


def change(image, settings, **chosen):
    return Augmentation(**OFF, **settings)(image, Chosen(**chosen))


# OpenCV also rounds the factors of colours, so that values can differ by up to 1.


def test_turning_hues_by_a_third_exchanges_channels():
    image = noise()
    for hue, shift in ((1, 1), (-1, -1)):  # red becomes green, or blue
        turned = change(image, {"hue": 120}, hue=hue)
        np.testing.assert_array_equal(turned, np.roll(image, shift, axis=2))


@pytest.mark.parametrize("degrees", [-50, 15])
def test_hues_turn_about_the_axis_of_greys_as_by_scipy(degrees):
    image = noise()
    axis = np.ones(3) / np.sqrt(3)
    turned = Rotation.from_rotvec(np.deg2rad(degrees) * axis).apply(
        image.reshape(-1, 3)
    )
    expected = np.clip(turned.reshape(image.shape), 0, 255)
    variant = change(image, {"hue": 60}, hue=degrees / 60)
    assert np.abs(variant - expected).max() < 1


def test_without_saturation_each_pixel_is_the_mean_of_its_channels():
    image = noise()
    grey = change(image, {"saturation": 1}, saturation=-1)
    mean = image.mean(axis=2, keepdims=True)
    assert np.abs(grey - mean).max() < 1
    twice = change(image, {"saturation": 1}, saturation=1)
    assert (
        np.abs(twice - np.clip(2.0 * image - mean, 0, 255)).max() < 1
    )  # OpenCV rounds the factors too


def test_gains_multiply_each_channel():
    image = noise()
    variant = change(image, {"channel_gain": 0.4}, gains=(1, 0, -0.5))
    expected = np.clip(image * [1.4, 1, 0.8], 0, 255)
    assert np.abs(variant - expected).max() < 1


def test_blur_is_gaussian_in_fractions_of_the_shorter_side_as_by_scipy():
    image = noise(40, 60)
    variant = change(image, {"blur": 0.1}, blur=0.5)
    expected = gaussian_filter(
        image.astype(float), (2, 2, 0), mode="nearest", truncate=3
    )
    assert np.abs(variant - expected).max() <= 2


def test_noise_is_normal_and_independent_between_channels():
    image = np.full((200, 200, 3), 128, dtype=np.uint8)
    added = change(image, {"noise": 0.1}, noise=0.8).astype(float) - image
    deviation = 0.08 * 255
    assert added.std() == pytest.approx(deviation, rel=0.02)
    assert abs(added.mean()) < 0.3
    spread = added[..., 0].ravel() + np.random.default_rng(0).uniform(-0.5, 0.5, 40_000)
    assert kstest(spread / deviation, "norm").statistic < 0.02
    assert np.abs(np.corrcoef(added.reshape(-1, 3).T) - np.eye(3)).max() < 0.03


def test_strengths_are_uniform_from_0_or_about_1():
    image = np.full((2, 2, 3), 100, dtype=np.uint8)
    rng, gains = np.random.default_rng(0), []
    augmentation = Augmentation(**OFF, channel_gain=0.5)
    for _ in range(400):
        gains.append(augmentation(image, rng)[0, 0] / 100)
    for channel in np.transpose(gains):
        assert kstest(channel, "uniform", (0.495, 1.01)).pvalue > 1e-3
    assert np.abs(np.corrcoef(np.transpose(gains)) - np.eye(3)).max() < 0.2


@pytest.mark.parametrize("name", ["hue", "saturation"])
def test_grey_images_stay_and_other_changes_are_the_same(name):
    image = noise()
    image[:] = image[..., :1]
    both = Augmentation(**ALL, **{name: 1})(image, np.random.default_rng(4))
    alone = Augmentation(**ALL)(image, np.random.default_rng(4))
    np.testing.assert_array_equal(both, alone)


def test_masks_only_get_the_geometry():
    image, mask = labelled()
    plain, strong = Augmentation(**ALL), Augmentation(**ALL, **COLORS)
    _, expected = plain(image, np.random.default_rng(0), mask=mask)
    variant, found = strong(image, np.random.default_rng(0), mask=mask)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(variant, strong(image, np.random.default_rng(0)))


@pytest.mark.parametrize("shape", SHAPES)
def test_same_state_gives_same_bits_and_the_image_is_unchanged(shape):
    image = noise(*shape)
    image.setflags(write=False)
    augmentation = Augmentation(**OFF, **COLORS)
    first, second = (
        made(image, np.random.default_rng(5))
        for made in (augmentation, clone(augmentation))
    )
    assert first.tobytes() == second.tobytes() != image.tobytes()
    assert first.shape == image.shape and first.dtype == np.uint8
    np.testing.assert_array_equal(image, noise(*shape))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("hue", 181),
        ("saturation", -0.1),
        ("channel_gain", 1.0),
        ("blur", 2),
        ("noise", 25.5),
    ],
)
def test_settings_outside_their_range_are_refused(name, value):
    with pytest.raises(ValueError, match=f"'{name}' parameter of Augmentation"):
        Augmentation(**{name: value})(noise(), np.random.default_rng(0))

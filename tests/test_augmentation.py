"""Random variants of images and masks: geometry, light, draws and alignment."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import pickle

import numpy as np
import pytest
from scipy.stats import kstest
from skimage.draw import disk
from skimage.filters import gaussian
from skimage.transform import AffineTransform, rotate, warp
from sklearn.base import BaseEstimator, clone

from skinest import UNetSegmenter, VGGTransferClassifier
from skinest.augmentation import Augmentation
from tests.augmented import (
    ALL,
    FLIPS,
    LABELS,
    OFF,
    SHAPES,
    drawn,
    found,
    labelled,
    noise,
    shape,
)

STRONG = {
    "rotation": {**OFF, "rotation": 180},
    "shift": {**OFF, "shift": 0.3},
    "zoom": {**OFF, "zoom": 0.4},
    "flips": {**OFF, **FLIPS},
    "brightness": {**OFF, "brightness": 0.2},
    "contrast": {**OFF, "contrast": 0.6},
    "all": {
        **FLIPS,
        "rotation": 180,
        "shift": 0.2,
        "zoom": 0.4,
        "brightness": 0.1,
        "contrast": 0.3,
    },
}


def smooth(height=60, width=80):
    image = gaussian(noise(height, width) / 255, sigma=3, channel_axis=2)
    image = (image - image.min()) / (image.max() - image.min())
    return np.rint(255 * image).astype(np.uint8)


def ramp(axis, size=201):
    """Return image whose value is the distance along an axis, 100 in the centre."""
    values = np.broadcast_to(np.arange(size, dtype=np.uint8), (size, size))
    return np.repeat((values.T if axis == 0 else values)[..., np.newaxis], 3, axis=2)


class Chosen(np.random.Generator):
    """Generator of chosen extremes: -1 to 1 of each range, flips True or False."""

    def __init__(self, angle=0, x=0, y=0, zoom=0, light=0, contrast=0, flips=(0, 0)):
        super().__init__(np.random.PCG64(0))
        signed = np.array([angle, x, y, zoom, light, contrast])
        self.numbers = np.hstack([(signed + 1) / 2, 1.0 - np.array(flips)])

    def random(self, size):
        assert size == len(self.numbers)
        return self.numbers


def draw(augmentation, image, n_images=400):
    rng = np.random.default_rng(0)
    return [augmentation(image, rng).astype(float) for _ in range(n_images)]


def draw_pairs(augmentation, image, mask, n_draws):
    rng = np.random.default_rng(0)
    return [augmentation(image, rng, mask=mask) for _ in range(n_draws)]


def assert_uniform(values, low, high):
    assert low <= min(values) and max(values) <= high
    assert kstest(values, "uniform", (low, high - low)).pvalue > 1e-3


# Geometry


@pytest.mark.parametrize("shape", SHAPES)
def test_identity_is_an_exact_copy(shape):
    image = noise(*shape)
    variant = Augmentation(**OFF)(image, np.random.default_rng(0))
    np.testing.assert_array_equal(variant, image)
    assert not np.shares_memory(variant, image)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("flips", [(1, 0), (0, 1), (1, 1)])
def test_flips_are_exact(shape, flips):
    image = noise(*shape)
    flip = Augmentation(**{**OFF, "horizontal_flip": True, "vertical_flip": True})
    steps = [-1 if flip else 1 for flip in flips]
    expected = image[:: steps[1], :: steps[0]]
    np.testing.assert_array_equal(flip(image, Chosen(flips=flips)), expected)


@pytest.mark.parametrize(("right", "down"), [(3, 0), (-3, 0), (0, 2), (0, -2), (8, -4)])
def test_shift_by_whole_pixels_is_exact_with_nearest_edge(right, down):
    height, width = 16, 32
    image = noise(height, width)
    padded = np.pad(image, [(8, 8), (8, 8), (0, 0)], mode="edge")
    expected = padded[8 - down :, 8 - right :][:height, :width]
    shift = Augmentation(**{**OFF, "shift": 0.25})
    variant = shift(image, Chosen(x=right / 8, y=down / 4))
    np.testing.assert_array_equal(variant, expected)


@pytest.mark.parametrize("side", [20, 21])
def test_quarter_turn_is_exact_and_counter_clockwise(side):
    image = noise(side, side)
    variant = Augmentation(**{**OFF, "rotation": 90})(image, Chosen(angle=1))
    difference = variant.astype(int) - np.rot90(image)
    assert np.abs(difference).max() <= 1


@pytest.mark.parametrize("angle", [-20, 7, 20])
def test_rotation_agrees_with_skimage(angle):
    image = smooth()
    variant = Augmentation(**{**OFF, "rotation": 20})(image, Chosen(angle=angle / 20))
    expected = rotate(image, angle, order=1, mode="edge", preserve_range=True)
    assert np.abs(variant - expected).max() < 1.5


def test_all_geometry_agrees_with_one_warp_by_skimage():
    image = smooth(60, 80)
    augmentation = Augmentation(rotation=30, shift=0.1, zoom=0.2)
    variant = augmentation(image, Chosen(0.5, 0.5, -0.75, 1, flips=(1, 0)))
    centre = np.array([39.5, 29.5])
    steps = [
        AffineTransform(translation=-centre),
        AffineTransform(matrix=np.diag([-1.0, 1.0, 1.0])),
        AffineTransform(scale=1.2),
        AffineTransform(rotation=-np.deg2rad(15)),  # there clockwise, as y is down
        AffineTransform(translation=centre),
        AffineTransform(translation=[80 * 0.05, -60 * 0.075]),
    ]
    forward = np.linalg.multi_dot([step.params for step in steps[::-1]])
    inverse = AffineTransform(matrix=np.linalg.inv(forward))
    expected = warp(image, inverse, order=1, mode="edge", preserve_range=True)
    assert np.abs(variant - expected).max() < 1.5


# Draws


@pytest.mark.slow
def test_shifts_are_uniform_and_independent():
    shift = Augmentation(**{**OFF, "shift": 0.25})
    right = [100 - v[100, 100, 0] for v in draw(shift, ramp(1))]
    down = [100 - v[100, 100, 0] for v in draw(shift, ramp(0))]
    width = 0.25 * 201
    assert_uniform(np.array(right) / width, -1.02, 1.02)
    assert_uniform(np.array(down) / width, -1.02, 1.02)
    assert abs(np.corrcoef(right, down)[0, 1]) < 0.15


def test_rotation_is_uniform_in_degrees():
    turn = Augmentation(**{**OFF, "rotation": 40})
    rise = [(v[100, 150, 0] - v[100, 50, 0]) / 100 for v in draw(turn, ramp(0))]
    assert_uniform(np.rad2deg(np.arcsin(rise)), -41, 41)


@pytest.mark.slow
def test_zoom_is_a_uniform_factor_of_both_sides():
    zoom = Augmentation(**{**OFF, "zoom": 0.5})
    factors = []
    for axis in (0, 1):
        index = (slice(60, 141, 80), 100, 0) if axis == 0 else (100, slice(60, 141, 80))
        ends = [v[index].reshape(2, -1)[:, 0] for v in draw(zoom, ramp(axis))]
        factors.append([80 / (end - start) for start, end in ends])
    np.testing.assert_allclose(factors[0], factors[1])
    assert_uniform(factors[0], 0.48, 1.52)


def test_brightness_is_uniform_and_the_same_for_all_channels():
    light = Augmentation(**{**OFF, "brightness": 0.4})
    image = np.full((3, 4, 3), [120, 127, 134], dtype=np.uint8)
    added = np.array([v - image for v in draw(light, image)])
    assert (added == added[:, :1, :1, :1]).all()
    assert_uniform(added[:, 0, 0, 0] / 255, -0.402, 0.402)


def test_contrast_is_uniform():
    contrast = Augmentation(**{**OFF, "contrast": 0.8})
    image = np.full((2, 2, 3), 60, dtype=np.uint8)
    image[0] = 200  # the mean is 130
    factors = [(v[0, 0, 0] - v[1, 0, 0]) / 140 for v in draw(contrast, image)]
    factors = [f for f in factors if f < 1.75]  # beyond it, values are clipped
    assert_uniform(factors, 0.19, 1.76)


def test_flips_are_fair_and_independent():
    flip = Augmentation(**{**OFF, "horizontal_flip": True, "vertical_flip": True})
    image = np.zeros((2, 2, 3), dtype=np.uint8)
    image[0, 0] = 255
    counts = sum(v[..., 0] / 255 for v in draw(flip, image))
    deviation = np.sqrt(400 * 0.25 * 0.75)
    assert np.abs(counts - 100).max() < 4 * deviation


@pytest.mark.parametrize("settings", [OFF, {}, ALL])
def test_as_much_is_drawn_whatever_the_settings(settings):
    rng, reference = np.random.default_rng(3), np.random.default_rng(3)
    Augmentation(**settings)(noise(), rng)
    Augmentation(**ALL, horizontal_flip=False)(noise(9, 9), reference)
    assert rng.bit_generator.state == reference.bit_generator.state


def test_one_setting_leaves_the_draws_of_others():
    image = np.full((8, 8, 3), 128, dtype=np.uint8)
    plain = draw(Augmentation(brightness=0.3), image, 20)
    other = draw(Augmentation(**{**ALL, "brightness": 0.3}), image, 20)
    np.testing.assert_array_equal(plain, other)


# Light


def test_contrast_turns_about_the_mean_of_the_image():
    image = np.full((4, 4, 3), 100, dtype=np.uint8)
    image[:2] = 140
    variant = Augmentation(**OFF, contrast=0.5)(image, Chosen(contrast=1))
    np.testing.assert_array_equal(variant[:2], 150)
    np.testing.assert_array_equal(variant[2:], 90)


@pytest.mark.parametrize("light", [-1, -0.25, 0.25, 1])
def test_brightness_is_a_fraction_of_255_rounded_and_clipped(light):
    image = noise()
    variant = Augmentation(**OFF, brightness=0.2)(image, Chosen(light=light))
    expected = np.rint(np.clip(image + light * 51.0, 0, 255))
    np.testing.assert_array_equal(variant, expected)


# A pure function


@pytest.mark.parametrize("shape", SHAPES)
def test_same_state_gives_same_bits(shape):
    augmentation, image = Augmentation(**ALL), noise(*shape)
    first, second = (augmentation(image, np.random.default_rng(5)) for _ in range(2))
    assert first.tobytes() == second.tobytes()
    assert first.shape == image.shape and first.dtype == np.uint8
    other = draw(augmentation, image, 5)
    assert any(variant.tolist() != first.tolist() for variant in other)


def test_input_of_any_layout_is_read_only_and_unchanged(tmp_path):
    image = noise(24, 32)
    expected = Augmentation(**ALL)(image, np.random.default_rng(0))
    mapped = np.memmap(tmp_path / "image", np.uint8, "w+", shape=image.shape)
    mapped[:] = image
    layouts = [image.copy(), np.asfortranarray(image), image[::-1].copy()[::-1], mapped]
    for layout in layouts:
        layout.setflags(write=False)
        for settings in (ALL, OFF):
            variant = Augmentation(**settings)(layout, np.random.default_rng(0))
            reference = expected if settings is ALL else image
            np.testing.assert_array_equal(variant, reference)
            assert type(variant) is np.ndarray and variant.flags.writeable
        np.testing.assert_array_equal(layout, image)


@pytest.mark.parametrize(
    "image", [noise() / 255, noise()[..., 0], noise()[..., :2], noise()[:0], [[0]]]
)
def test_other_than_uint8_rgb_is_refused(image):
    with pytest.raises(ValueError, match="pass an RGB image"):
        Augmentation()(image, np.random.default_rng(0))


@pytest.mark.parametrize("random_state", [0, None, np.random.RandomState(0)])
def test_other_than_a_generator_is_refused(random_state):
    with pytest.raises(TypeError, match="default_rng"):
        Augmentation()(noise(), random_state)


# A parameter object


class Holder(BaseEstimator):
    def __init__(self, augmentation=None):
        self.augmentation = augmentation


def test_settings_can_be_searched_and_cloned_inside_an_estimator():
    holder = Holder(Augmentation(shift=0.3))
    copy = clone(holder).set_params(augmentation__rotation=45)
    assert copy.get_params()["augmentation__shift"] == 0.3
    assert copy.augmentation.rotation == 45
    assert holder.augmentation.rotation == 10


def test_pickle_and_repr():
    augmentation = Augmentation(**ALL)
    again = pickle.loads(pickle.dumps(augmentation))
    assert again.get_params() == augmentation.get_params()
    variants = [a(noise(), np.random.default_rng(0)) for a in (augmentation, again)]
    np.testing.assert_array_equal(*variants)
    assert repr(Augmentation(rotation=90)) == "Augmentation(rotation=90)"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rotation", -1),
        ("rotation", 181),
        ("shift", 1.1),
        ("zoom", 1.0),
        ("zoom", -0.1),
        ("horizontal_flip", "yes"),
        ("vertical_flip", 0.5),
        ("brightness", 51),
        ("contrast", float("nan")),
    ],
)
def test_settings_outside_their_range_are_refused_before_work(name, value):
    augmentation, images = Augmentation(**{name: value}), np.stack([noise()] * 2)
    match = f"'{name}' parameter of Augmentation"
    with pytest.raises(ValueError, match=match):
        augmentation(noise(), np.random.default_rng(0))
    with pytest.raises(ValueError, match=match):
        VGGTransferClassifier(weights=None, augmentation=augmentation).fit(
            images, [0, 1]
        )
    with pytest.raises(ValueError, match=match):
        UNetSegmenter(augmentation=augmentation).fit(images, images[..., 0] > 127)


# Masks


# What each setting does to shapes is in "all" too.
EACH_SETTING = [
    pytest.param(name, marks=[pytest.mark.slow] * (name != "all")) for name in STRONG
]


@pytest.mark.parametrize(
    "name", ["disc", pytest.param("square", marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("settings", EACH_SETTING)
def test_shapes_stay_aligned(settings, name):
    inside = np.zeros((128, 128), dtype=bool)
    place = disk((60, 67), 20.5) if name == "disc" else (slice(40, 80), slice(50, 90))
    inside[place] = True
    for image, mask in draw_pairs(
        Augmentation(**STRONG[settings]), *drawn(inside), 100
    ):
        grey = image.mean(axis=2)
        above = grey - (grey.min() + grey.max()) / 2
        clear = np.abs(above) > 1  # one grey value is what rounding may add
        assert clear.mean() > 0.99
        truth, bright = mask[clear] == 1, above[clear] > 0
        assert (truth & bright).sum() >= 0.98 * (truth | bright).sum()


@pytest.mark.parametrize("settings", ["rotation", "shift", "zoom", "all"])
def test_masks_are_not_off_to_one_side(settings):
    pairs = draw_pairs(Augmentation(**STRONG[settings]), *drawn(shape("disc")), 100)
    steps = []
    for image, mask in pairs:
        seen, truth = np.argwhere(~found(image)[1]), np.argwhere(mask == 1)
        steps.append(seen.mean(axis=0) - truth.mean(axis=0))
    assert np.abs(np.mean(steps, axis=0)).max() < 0.1


@pytest.mark.parametrize("settings", EACH_SETTING)
def test_small_shapes_stay_aligned(settings):
    augmentation, rng = Augmentation(**STRONG[settings]), np.random.default_rng(0)
    n_whole = 0
    for _ in range(100):
        inside = np.zeros((64, 80), dtype=bool)
        centre = rng.uniform([16, 16], [48, 64])
        inside[disk(centre, rng.uniform(2.5, 4.5))] = True
        image, mask = augmentation(*drawn(inside)[:1], rng, mask=drawn(inside)[1])
        if mask[1:-1, 1:-1].sum() < mask.sum() or not mask.any():
            continue  # cut, or its edge is repeated
        n_whole += 1
        weight = image.mean(axis=2) - image.mean(axis=2).min()
        places = np.moveaxis(np.mgrid[:64, :80], 0, -1)
        bright = np.average(places.reshape(-1, 2), axis=0, weights=weight.ravel())
        assert np.linalg.norm(bright - places[mask == 1].mean(axis=0)) < 1
    assert n_whole > 50


@pytest.mark.parametrize("settings", STRONG)
def test_masks_keep_their_labels(settings):
    image, mask = labelled()
    for _, variant in draw_pairs(Augmentation(**STRONG[settings]), image, mask, 50):
        assert set(np.unique(variant)) <= set(LABELS)
        assert variant.shape == mask.shape and variant.dtype == np.uint8


@pytest.mark.parametrize("settings", STRONG)
def test_image_is_the_same_without_its_mask(settings):
    image, mask = labelled()
    augmentation = Augmentation(**STRONG[settings])
    pairs = draw_pairs(augmentation, image, mask, 10)
    rng = np.random.default_rng(0)
    for variant, _ in pairs:
        np.testing.assert_array_equal(variant, augmentation(image, rng))


def test_light_never_touches_masks():
    image, mask = labelled()
    augmentation = Augmentation(**OFF, brightness=1, contrast=1)
    for variant, mask_variant in draw_pairs(augmentation, image, mask, 20):
        assert (variant != image).any()
        np.testing.assert_array_equal(mask_variant, mask)
        assert not np.shares_memory(mask_variant, mask)


def test_mask_has_the_label_with_most_of_each_pixel_by_skimage():
    class Largest(np.random.Generator):
        def random(self, size):
            return np.ones(size)

    image, mask = labelled()
    turn = Augmentation(**{**OFF, "rotation": 20})
    variant = turn(image, Largest(np.random.PCG64(0)), mask=mask)[1]
    shares = [rotate(1.0 * (mask == label), 20, mode="edge") for label in LABELS]
    largest, second = np.sort(shares, axis=0)[:-3:-1]
    clear = largest - second > 0.1  # OpenCV's steps are 1/32 of a pixel
    assert clear.mean() > 0.9
    expected = LABELS[np.argmax(shares, axis=0)]
    np.testing.assert_array_equal(variant[clear], expected[clear])


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (6, 1), (17, 30)])
def test_flips_are_exact_for_any_size(size):
    mask = np.random.default_rng(0).integers(0, 32, size, dtype=np.uint8)
    image = np.repeat(mask[..., np.newaxis], 3, axis=2)
    for variant, mask_variant in draw_pairs(
        Augmentation(**STRONG["flips"]), image, mask, 20
    ):
        np.testing.assert_array_equal(variant[..., 0], mask_variant)


def test_inputs_are_read_only_and_unchanged():
    image, mask = labelled()
    before = image.copy(), mask.copy()
    for array in (image, mask):
        array.setflags(write=False)
    for settings in (OFF, STRONG["all"]):
        pair = draw_pairs(Augmentation(**settings), image, mask, 1)[0]
        assert all(variant.flags.writeable for variant in pair)
    np.testing.assert_array_equal(image, before[0])
    np.testing.assert_array_equal(mask, before[1])


@pytest.mark.parametrize(
    "wrong",
    [np.zeros((48, 63), np.uint8), np.zeros((48, 64)), np.zeros((48, 64, 1), "u1")],
)
def test_masks_that_do_not_fit_are_refused(wrong):
    with pytest.raises(ValueError, match=r"mask has shape .* pass a mask .*\(48, 64\)"):
        Augmentation()(labelled()[0], np.random.default_rng(0), mask=wrong)

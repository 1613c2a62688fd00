"""Random variants of images: geometry, light, draws, callables and Keras layers."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import pickle
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest
from scipy.stats import kstest
from skimage.filters import gaussian
from skimage.transform import AffineTransform, rotate, warp
from sklearn.base import BaseEstimator, clone

from skinest._apply_augmentation import apply_augmentation, check_augmentation
from skinest.augmentation import Augmentation

OFF = {"rotation": 0, "shift": 0, "horizontal_flip": False}
ALL = {
    "rotation": 30,
    "shift": 0.2,
    "zoom": 0.3,
    "vertical_flip": True,
    "brightness": 0.2,
    "contrast": 0.4,
}
SHAPES = [(1, 1), (1, 7), (6, 1), (17, 30), (30, 17)]


def noise(height=24, width=32, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (height, width, 3), dtype=np.uint8)


def smooth(height=60, width=80):
    image = gaussian(noise(height, width) / 255, sigma=3, channel_axis=2)
    image = (image - image.min()) / (image.max() - image.min())
    return np.rint(255 * image).astype(np.uint8)


def ramp(axis, size=201):
    """Image whose value is the distance along an axis, 100 in the centre."""
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


def test_loads_neither_opencv_nor_keras():
    program = (
        "import sys\n"
        "from skinest._apply_augmentation import check_augmentation\n"
        "from skinest.augmentation import Augmentation\n"
        "check_augmentation(Augmentation())\n"
        "assert not {'cv2', 'keras', 'tensorflow'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


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
    augmentation = Augmentation(**{name: value})
    with pytest.raises(ValueError, match=f"'{name}' parameter of Augmentation"):
        check_augmentation(augmentation)
    with pytest.raises(ValueError, match=f"'{name}' parameter of Augmentation"):
        augmentation(noise(), np.random.default_rng(0))


# What an estimator accepts


def test_none_changes_nothing():
    image = noise()
    assert check_augmentation(None) is None
    assert apply_augmentation(None, image, np.random.default_rng(0)) is image


def test_augmentation_is_applied_as_if_called():
    augmentation, image = Augmentation(**ALL), noise()
    assert check_augmentation(augmentation) is augmentation
    np.testing.assert_array_equal(
        apply_augmentation(augmentation, image, np.random.default_rng(1)),
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
    variant = apply_augmentation(darken, image, np.random.default_rng(2))
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
        apply_augmentation(wrong, noise(), np.random.default_rng(0))


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (Augmentation, r"augmentation=Augmentation is a class; .* Augmentation\("),
        (keras.layers.RandomFlip, "augmentation=RandomFlip is a class"),
        ("flip", "augmentation='flip' is of type str"),
        (Holder(), r"augmentation=Holder\(\) is of type Holder"),
    ],
)
def test_what_cannot_augment_is_refused(wrong, told):
    with pytest.raises(TypeError, match=told):
        check_augmentation(wrong)


# Keras layers


class LateNoise(keras.layers.Layer):
    """Layer outside Keras' registry, whose generator is made when it is built."""

    def __init__(self, scale, **kwargs):
        super().__init__(**kwargs)
        self.scale = scale

    def build(self, input_shape):
        self.generator = keras.random.SeedGenerator()

    def call(self, images, training=False):
        noise = keras.random.normal(keras.ops.shape(images), seed=self.generator)
        return images + self.scale * noise if training else images

    def get_config(self):
        return {**super().get_config(), "scale": self.scale}


LAYERS = {
    "rotation": lambda: keras.layers.RandomRotation(0.1),
    "seeded": lambda: keras.layers.RandomZoom(0.2, seed=1),
    "dropout": lambda: keras.layers.Dropout(0.2),
    "custom": lambda: LateNoise(20.0),
    "augmix": lambda: keras.layers.AugMix(),  # draws from Python's own generator
    "randaugment": lambda: keras.layers.RandAugment(),
    "pipeline": lambda: keras.layers.Pipeline([keras.layers.RandomTranslation(1, 1)]),
    "sequential": lambda: keras.Sequential(
        [
            keras.layers.RandomTranslation(0.1, 0.1),
            keras.Sequential([LateNoise(20.0)]),
            keras.layers.RandomContrast(0.2),
        ]
    ),
}


def state_of(layer):
    values = [keras.ops.convert_to_numpy(v).tolist() for v in layer.variables]
    return layer.built, layer.get_config(), values


@pytest.mark.parametrize("name", LAYERS)
def test_keras_layer_draws_from_the_generator_alone(name):
    layer, image = LAYERS[name](), noise()
    before = state_of(layer)
    copies = [check_augmentation(layer) for _ in range(2)]
    variants = [
        apply_augmentation(copy, image, np.random.default_rng(seed))
        for copy in copies
        for seed in (0, 0, 1)
    ]
    for variant in (variants[1], variants[3], variants[4]):
        np.testing.assert_array_equal(variant, variants[0])
    assert (variants[2] != variants[0]).any()
    assert variants[0].shape == image.shape and variants[0].dtype == np.uint8
    np.testing.assert_array_equal(image, noise())
    assert state_of(layer) == before


def test_keras_flip_is_exact_and_fair():
    flip, image = check_augmentation(keras.layers.RandomFlip("horizontal")), noise()
    rng = np.random.default_rng(0)
    variants = [apply_augmentation(flip, image, rng) for _ in range(100)]
    flipped = [np.array_equal(variant, image[:, ::-1]) for variant in variants]
    kept = [np.array_equal(variant, image) for variant in variants]
    assert sum(flipped) + sum(kept) == 100
    assert 30 <= sum(flipped) <= 70


def test_keras_layer_takes_0_to_255_and_is_rounded_and_clipped():
    image = noise()
    scale = check_augmentation(keras.layers.Rescaling(1.3, offset=-40.0))
    variant = apply_augmentation(scale, image, np.random.default_rng(0))
    expected = np.clip(np.float32(1.3) * image - np.float32(40), 0, 255)
    assert np.abs(variant - expected).max() <= 0.5


def test_weights_and_lambdas_of_keras_layers_are_kept():
    dense = keras.layers.Dense(3)
    dense.build((None, None, None, 3))
    dense.set_weights([np.eye(3)[::-1], np.zeros(3)])
    layer = keras.Sequential([dense, keras.layers.Lambda(lambda images: 255 - images)])
    copy, image = check_augmentation(layer), noise()
    variant = apply_augmentation(copy, image, np.random.default_rng(0))
    np.testing.assert_array_equal(variant, 255 - image[..., ::-1])


def test_one_keras_layer_serves_images_of_all_sizes():
    layer = LAYERS["sequential"]()
    layer.build((None, 24, 32, 3))
    layer = check_augmentation(layer)
    for shape in SHAPES:
        variant = apply_augmentation(layer, noise(*shape), np.random.default_rng(0))
        assert variant.shape == (*shape, 3)


def test_threads_may_share_a_keras_layer():
    layer, image = check_augmentation(LAYERS["sequential"]()), noise()

    def variant(seed):
        return apply_augmentation(layer, image, np.random.default_rng(seed))

    expected = [variant(seed) for seed in range(30)]
    with ThreadPoolExecutor(4) as pool:
        np.testing.assert_array_equal(list(pool.map(variant, range(30))), expected)


@pytest.mark.parametrize(
    "layer",
    [
        keras.layers.RandomCrop(8, 8),
        keras.layers.Rescaling(float("nan")),
    ],
)
def test_wrong_result_of_a_keras_layer_is_told(layer):
    layer = check_augmentation(layer)
    with pytest.raises(ValueError, match=r"augmentation=.* finite values of the shape"):
        apply_augmentation(layer, noise(), np.random.default_rng(0))


def test_keras_layer_without_configuration_is_refused():
    class Closed(keras.layers.Layer):
        def __init__(self, function):
            super().__init__()
            self.function = function

        def get_config(self):
            raise NotImplementedError

    with pytest.raises(ValueError, match=r"augmentation=<Closed.* cannot be copied"):
        check_augmentation(Closed(abs))


# Global generators


def global_states():
    """States of NumPy, Python and, where it was used, Keras."""
    name, keys, *rest = np.random.get_state()  # noqa: NPY002
    shared = keras.src.backend.common.global_state
    generator = shared.get_global_attribute("global_seed_generator")
    seed = None if generator is None else generator.state.numpy().tolist()
    return name, keys.tolist(), rest, random.getstate(), seed


OTHERS = {"own": Augmentation(**ALL), "callable": lambda image, random_state: image}


@pytest.mark.parametrize("name", [*OTHERS, *LAYERS])
def test_no_global_generator_is_touched(name):
    augmentation = OTHERS[name] if name in OTHERS else LAYERS[name]()
    before = global_states()
    augmentation = check_augmentation(augmentation)
    for _ in range(2):
        apply_augmentation(augmentation, noise(), np.random.default_rng(0))
    assert global_states() == before

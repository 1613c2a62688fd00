"""Keras layers that augment images, alone and with their masks.

Shapes are drawn alike into image and mask, and looked for in both afterwards: where the
image is more than half as bright, and where the mask has a label. Layers of Keras take
the nearest pixel of a mask, which is at most half a pixel off in x and y, so that after
a warp both outlines are less than half a pixel apart on average.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import random
import threading
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest

from skinest._compat import preserved_random_state
from skinest.augmentation import Augmentation
from tests.augmented import (
    ALL,
    LABELS,
    SHAPES,
    assert_aligned,
    augment,
    augment_pairs,
    check_augmentation,
    check_pair_augmentation,
    drawn,
    labelled,
    noise,
    shape,
)


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


# A layer that has many others, and warps of masks that are made as others are.
SLOW = "randaugment", "translation", "zoom", "shear", "constant", "resizing"


def mark_slow(names):
    """Mark the slow ones of the names."""
    return [
        pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in names
    ]


def read_state(layer):
    values = [keras.ops.convert_to_numpy(v).tolist() for v in layer.variables]
    return layer.built, layer.get_config(), values


@pytest.mark.parametrize("name", mark_slow(LAYERS))
def test_keras_layer_draws_from_the_generator_alone(name):
    layer, image = LAYERS[name](), noise()
    before = read_state(layer)
    copies = [check_augmentation(layer) for _ in range(2)]
    variants = [augment(copy, image, seed) for copy in copies for seed in (0, 0, 1)]
    for variant in (variants[1], variants[3], variants[4]):
        np.testing.assert_array_equal(variant, variants[0])
    assert (variants[2] != variants[0]).any()
    assert variants[0].shape == image.shape and variants[0].dtype == np.uint8
    np.testing.assert_array_equal(image, noise())
    assert read_state(layer) == before


def test_keras_flip_is_exact_and_fair():
    flip, image = check_augmentation(keras.layers.RandomFlip("horizontal")), noise()
    rng = np.random.default_rng(0)
    variants = [augment(flip, image, rng) for _ in range(100)]
    flipped = [np.array_equal(variant, image[:, ::-1]) for variant in variants]
    kept = [np.array_equal(variant, image) for variant in variants]
    assert sum(flipped) + sum(kept) == 100
    assert 30 <= sum(flipped) <= 70


def test_keras_layer_takes_0_to_255_and_is_rounded_and_clipped():
    image = noise()
    scale = check_augmentation(keras.layers.Rescaling(1.3, offset=-40.0))
    variant = augment(scale, image)
    expected = np.clip(np.float32(1.3) * image - np.float32(40), 0, 255)
    assert np.abs(variant - expected).max() <= 0.5


def test_weights_and_lambdas_of_keras_layers_are_kept():
    dense = keras.layers.Dense(3)
    dense.build((None, None, None, 3))
    dense.set_weights([np.eye(3)[::-1], np.zeros(3)])
    layer = keras.Sequential([dense, keras.layers.Lambda(lambda images: 255 - images)])
    copy, image = check_augmentation(layer), noise()
    variant = augment(copy, image)
    np.testing.assert_array_equal(variant, 255 - image[..., ::-1])


def test_one_keras_layer_serves_images_of_all_sizes():
    layer = LAYERS["sequential"]()
    layer.build((None, 24, 32, 3))
    layer = check_augmentation(layer)
    for size in SHAPES:
        assert augment(layer, noise(*size)).shape == (*size, 3)


@pytest.mark.slow
def test_threads_may_share_a_keras_layer():
    image, mask = labelled()
    layer, of_pairs = LAYERS["sequential"](), make_layer("pipeline")
    layer, of_pairs = check_augmentation(layer), check_pair_augmentation(of_pairs)

    def draw(seed):
        ((variant, mask_variant),) = augment_pairs(of_pairs, image, mask, 1, seed)
        return augment(layer, image, seed), variant, mask_variant

    expected = [draw(seed) for seed in range(12)]
    with ThreadPoolExecutor(4) as pool:
        for drawn, again in zip(expected, pool.map(draw, range(12)), strict=True):
            for ours, other in zip(drawn, again, strict=True):
                np.testing.assert_array_equal(ours, other)


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
        augment(layer, noise())


def test_keras_layer_without_configuration_is_refused():
    class Closed(keras.layers.Layer):
        def __init__(self, function):
            super().__init__()
            self.function = function

        def get_config(self):
            raise NotImplementedError

    with pytest.raises(ValueError, match=r"augmentation=<Closed.* cannot be copied"):
        check_augmentation(Closed(abs))


def test_the_reason_of_keras_is_told_if_its_layer_cannot_be_copied():
    layer = keras.layers.RandomShear(0.2)  # its configuration has (-0.2, 0.2)
    try:
        layer.from_config(layer.get_config())
    except (TypeError, ValueError):
        for augmentation in (layer, keras.Sequential([layer])):
            with pytest.raises(ValueError, match=r"copied: .*`factor`.*arguments"):
                check_augmentation(augmentation)


@pytest.mark.parametrize("kind", [keras.layers.CutMix, keras.layers.MixUp])
def test_layers_that_mix_the_images_of_a_batch_are_refused(kind):
    for augmentation in wrap(kind()):
        with pytest.raises(ValueError, match=rf"{kind.__name__}.*augmented alone"):
            check_augmentation(augmentation)


# Global generators


def global_states():
    """Return states of NumPy, Python and, where it was used, Keras."""
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
        augment(augmentation, noise())
    assert global_states() == before


def test_the_generator_of_python_is_put_back_by_the_last_thread_that_uses_it():
    inside, overlaps = threading.Event(), threading.Event()

    class Waits(keras.layers.Layer):
        def call(self, images, training=False):
            inside.set()
            assert overlaps.wait(60)
            return images

    layer = check_augmentation(Waits())
    before = random.getstate()
    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(augment, layer, noise())
        assert inside.wait(60)
        with preserved_random_state():  # as a fit in another thread
            overlaps.set()
            job.result(60)
    assert random.getstate() == before


# With masks


RANDAUGMENT_IS_UNFIT = [int(n) for n in keras.__version__.split(".")[:2]] < [3, 14]


PAIR_LAYERS = {
    "flip": lambda: keras.layers.RandomFlip(),
    "rotation": lambda: keras.layers.RandomRotation(0.5),
    "translation": lambda: keras.layers.RandomTranslation(
        0.2, 0.2, fill_mode="nearest"
    ),
    "zoom": lambda: keras.layers.RandomZoom(0.4, fill_mode="wrap"),
    "shear": lambda: keras.layers.RandomShear((0.0, 0.3), (0.0, 0.3)),
    "perspective": lambda: keras.layers.RandomPerspective(1.0, scale=0.4),
    "constant": lambda: keras.layers.RandomRotation(
        0.5, fill_mode="constant", fill_value=50.0
    ),
    "resizing": lambda: keras.Sequential(
        [keras.layers.Resizing(220, 260), keras.layers.RandomCrop(192, 240)]
    ),
    "enlarging": lambda: keras.Sequential(
        [
            keras.layers.CenterCrop(220, 270),
            keras.layers.CenterCrop(192, 240),
            keras.layers.RandomFlip(),
        ]
    ),
    "pipeline": lambda: keras.layers.Pipeline(
        [
            keras.Sequential([keras.Input((192, 240, 3)), keras.layers.RandomFlip()]),
            keras.layers.Rescaling(1 / 255),
            keras.layers.RandomGrayscale(0.5),
            keras.layers.RandomBrightness(0.1, value_range=(0, 1)),
            keras.layers.Rescaling(255.0),
            keras.layers.RandomRotation(0.2),
        ]
    ),
}


# After these no threshold finds a shape.
MORE = {
    "randaugment": lambda: keras.layers.RandAugment(),
    "erasing": lambda: keras.layers.RandomErasing(1.0),
    "dropout": lambda: keras.layers.Dropout(0.2),
    "late": lambda: Late(),
}


def make_layer(name):
    if name == "randaugment" and RANDAUGMENT_IS_UNFIT:
        pytest.skip("it relights masks before Keras 3.14, and is refused")
    return {**PAIR_LAYERS, **MORE}[name]()


class Late(keras.layers.Layer):
    """Layer outside Keras that takes pairs and makes its generator in `build`."""

    def build(self, input_shape):
        self.generator = keras.random.SeedGenerator()

    def call(self, data, training=False):
        images = data["images"] if isinstance(data, dict) else data
        size = keras.ops.shape(images)
        images = images + 20 * keras.random.normal(size, seed=self.generator)
        return {**data, "images": images} if isinstance(data, dict) else images


@pytest.mark.parametrize("name", mark_slow(PAIR_LAYERS))
def test_keras_layers_keep_shapes_aligned(name):
    layer = check_pair_augmentation(make_layer(name))
    for number, of in enumerate(["disc", "ellipse", "polygon"]):
        for pair in augment_pairs(layer, *drawn(shape(of)), 7, seed=number):
            assert_aligned(*pair)


@pytest.mark.slow
def test_randaugment_keeps_shapes_aligned():
    layer = check_pair_augmentation(make_layer("randaugment"))
    for name in layer._AUGMENT_LAYERS[3:]:  # after which no threshold finds shapes
        getattr(layer, name).transform_images = lambda images, *_, **__: images
    pairs = augment_pairs(layer, *drawn(shape("disc")), 12)
    for pair in pairs:
        assert_aligned(*pair)
    assert any((mask != shape("disc")).any() for _, mask in pairs)


@pytest.mark.parametrize("name", mark_slow([*PAIR_LAYERS, *MORE]))
def test_keras_layers_draw_from_the_generator_alone(name):
    image, mask = labelled(*((192, 240) if name in PAIR_LAYERS else (48, 64)))
    before, layer = (image.copy(), mask.copy()), make_layer(name)
    state, shared = (layer.built, layer.get_config()), random.getstate()
    first, second = (check_pair_augmentation(layer) for _ in range(2))
    pairs = augment_pairs(first, image, mask, 3)
    assert len({pair[0].tobytes() for pair in pairs}) > 1
    for pair, again in zip(pairs, augment_pairs(second, image, mask, 3), strict=True):
        np.testing.assert_array_equal(pair[0], again[0])
        np.testing.assert_array_equal(pair[1], again[1])
    alone, rng = check_augmentation(layer), np.random.default_rng(0)
    for variant, mask_variant in pairs:
        np.testing.assert_array_equal(variant, augment(alone, image, rng))
        assert set(np.unique(mask_variant)) <= set(LABELS)
        assert mask_variant.shape == mask.shape and mask_variant.dtype == np.uint8
    np.testing.assert_array_equal(image, before[0])
    np.testing.assert_array_equal(mask, before[1])
    assert (layer.built, layer.get_config()) == state
    assert random.getstate() == shared


@pytest.mark.parametrize(
    "layer",
    [
        keras.layers.AutoContrast(),
        keras.layers.Dropout(0.2),
        keras.layers.Equalization(),
        keras.layers.RandomBrightness(0.5),
        keras.layers.RandomColorDegeneration(0.5),
        keras.layers.RandomColorJitter((0, 255), 0.2, 0.2, 0.2, 0.1),
        keras.layers.RandomContrast(0.5),
        keras.layers.RandomErasing(1.0),
        keras.layers.RandomGaussianBlur(1.0, sigma=1.0),
        keras.layers.RandomGrayscale(1.0),
        keras.layers.RandomHue(0.5, value_range=(0, 255)),
        keras.layers.RandomInvert(1.0),
        keras.layers.RandomPosterization(4),
        keras.layers.RandomSaturation((0.9, 1.0)),
        keras.layers.RandomSharpness((0.9, 1.0)),
        keras.layers.Rescaling(0.5),
        keras.layers.Solarization(threshold_factor=0.5),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_keras_layers_of_colour_never_touch_masks(layer):
    image, mask = labelled()
    image //= 2
    pairs = augment_pairs(check_pair_augmentation(layer), image, mask, 3)
    assert any((variant != image).any() for variant, _ in pairs)
    for _, mask_variant in pairs:
        np.testing.assert_array_equal(mask_variant, mask)


@pytest.mark.parametrize("fill_value", [0.0, 1.0, 60.5, 255.0])
def test_what_keras_layers_fill_is_outside(fill_value):
    layer = keras.layers.RandomTranslation(
        (0.25, 0.25), (0.0, 0.0), fill_mode="constant", fill_value=fill_value
    )
    image, mask = labelled()
    mask[:] = 3
    variant, mask_variant = augment_pairs(
        check_pair_augmentation(layer), image, mask, 1
    )[0]
    assert (variant[:12] == np.rint(fill_value)).all()
    assert (mask_variant[:12] == 255).all() and (mask_variant[12:] == 3).all()


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        (keras.layers.AugMix(), "blends several variants"),
        (keras.layers.CutMix(), "mixes the images of a batch"),
        (keras.layers.MixUp(), "blends masks"),
        (keras.layers.RandomElasticTransform(1.0), "distorts the mask and the image"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_keras_layers_that_do_not_fit_masks_are_refused(layer, reason):
    for augmentation in wrap(layer):
        name = type(layer).__name__
        with pytest.raises(ValueError, match=f"{name}.*cannot augment masks.*{reason}"):
            check_pair_augmentation(augmentation)


def wrap(layer):
    return [
        layer,
        keras.Sequential([keras.layers.RandomFlip(), layer]),
        keras.layers.Pipeline([keras.Sequential([layer])]),
    ]


@pytest.mark.parametrize(
    "layer",
    [
        keras.layers.Dense(3),
        keras.layers.Lambda(lambda images: 255 - images),
        keras.layers.ReLU(),
        keras.layers.ZeroPadding2D(),
        keras.Model(image := keras.Input((None, None, 3)), keras.layers.ReLU()(image)),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_layers_that_take_no_masks_are_refused(layer):
    for augmentation in wrap(layer)[:2]:
        match = rf"{type(layer).__name__}.*must take and return.*\(image, mask, random"
        with pytest.raises(ValueError, match=match):
            check_pair_augmentation(augmentation)


def test_channels_first_is_refused():
    layer = keras.layers.RandomFlip(data_format="channels_first")
    with pytest.raises(ValueError, match=r"RandomFlip.*last axis"):
        check_pair_augmentation(layer)


class Blur(keras.layers.Layer):
    def call(self, data):
        masks = keras.ops.average_pool(data["segmentation_masks"], 3, 1, "same")
        return {**data, "segmentation_masks": masks}


def test_masks_that_a_layer_interpolates_are_refused():
    blur = check_pair_augmentation(
        keras.Sequential([keras.layers.RandomFlip(), Blur()])
    )
    with pytest.raises(ValueError, match=r"<Blur.*with new values, such as \["):
        augment_pairs(blur, *labelled(), 1)


def test_keras_layers_that_change_the_size_are_refused():
    layer = check_pair_augmentation(keras.layers.RandomCrop(24, 32))
    with pytest.raises(
        ValueError, match=r"RandomCrop.*returned values of shape \(1, 2"
    ):
        augment_pairs(layer, *labelled(), 1)

"""Images and masks are augmented together: alignment, labels, draws, what is refused.

Shapes are drawn alike into image and mask, and looked for in both afterwards: where the
image is more than half as bright, and where the mask has a label. Layers of Keras take
the nearest pixel of a mask, which is at most half a pixel off in x and y, so that after
a warp both outlines are less than half a pixel apart on average.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import random
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest
from skimage.draw import disk, ellipse, polygon2mask
from skimage.transform import rotate

from skinest._apply_augmentation import (
    apply_augmentation,
    apply_to_pair,
    check_augmentation,
    check_pair_augmentation,
)
from skinest.augmentation import Augmentation

LABELS = np.array([0, 3, 17, 255], dtype=np.uint8)
OFF = {"rotation": 0, "shift": 0, "horizontal_flip": False}
FLIPS = {"horizontal_flip": True, "vertical_flip": True}
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


def shape(name, height=192, width=240):
    """A shape far from the edge, True inside."""
    if name == "polygon":
        corners = [(30, 50), (40, 180), (150, 200), (140, 90), (90, 92)]
        return polygon2mask((height, width), corners)
    inside = np.zeros((height, width), dtype=bool)
    if name == "disc":
        inside[disk((100, 102), 55)] = True
    else:
        inside[ellipse(86, 134, 44, 72, rotation=0.5)] = True
    return inside


def drawn(inside, label=1):
    """Image and mask of a shape."""
    image = np.where(inside[..., np.newaxis], [200, 190, 180], [60, 50, 40])
    return image.astype(np.uint8), np.where(inside, label, 0).astype(np.uint8)


def labelled(height=48, width=64):
    """Image of noise and mask of blocks of four labels."""
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    blocks = rng.integers(0, 4, (height // 8, width // 8))
    return image, LABELS[np.kron(blocks, np.ones((8, 8), dtype=int))]


def found(image):
    """Where an image is brighter than half between its extremes, and where it is not.

    Neither where it is half as bright: steps of interpolation are 1/32 of a pixel.
    """
    grey = image.mean(axis=2)
    level = (grey - grey.min()) / (grey.max() - grey.min())
    return level > 0.53, level < 0.47


def outline(mask):
    """Number of borders between pixels inside and outside."""
    return (mask[1:] != mask[:-1]).sum() + (mask[:, 1:] != mask[:, :-1]).sum()


def assert_aligned(image, mask):
    bright, dark = found(image)
    wrong = (bright & (mask == 0)).sum() + (dark & (mask == 1)).sum()
    right = (bright & (mask == 1)).sum()
    assert right / (right + wrong) >= 0.98
    assert wrong < outline(mask == 1) / 2


def draws(augmentation, image, mask, n_draws, seed=0):
    rng = np.random.default_rng(seed)
    return [apply_to_pair(augmentation, image, mask, rng) for _ in range(n_draws)]


# Our own


@pytest.mark.parametrize("name", ["disc", "square"])
@pytest.mark.parametrize("settings", STRONG)
def test_shapes_stay_aligned(settings, name):
    inside = np.zeros((128, 128), dtype=bool)
    place = disk((60, 67), 20.5) if name == "disc" else (slice(40, 80), slice(50, 90))
    inside[place] = True
    for image, mask in draws(Augmentation(**STRONG[settings]), *drawn(inside), 1000):
        grey = image.mean(axis=2)
        above = grey - (grey.min() + grey.max()) / 2
        clear = np.abs(above) > 1  # one grey value is what rounding may add
        assert clear.mean() > 0.99
        truth, bright = mask[clear] == 1, above[clear] > 0
        assert (truth & bright).sum() >= 0.98 * (truth | bright).sum()


@pytest.mark.parametrize("settings", ["rotation", "shift", "zoom", "all"])
def test_masks_are_not_off_to_one_side(settings):
    pairs = draws(Augmentation(**STRONG[settings]), *drawn(shape("disc")), 100)
    steps = []
    for image, mask in pairs:
        seen, truth = np.argwhere(~found(image)[1]), np.argwhere(mask == 1)
        steps.append(seen.mean(axis=0) - truth.mean(axis=0))
    assert np.abs(np.mean(steps, axis=0)).max() < 0.1


@pytest.mark.parametrize("settings", ["rotation", "shift", "zoom", "all"])
def test_small_shapes_stay_aligned(settings):
    augmentation, rng = Augmentation(**STRONG[settings]), np.random.default_rng(0)
    n_whole = 0
    for _ in range(1000):
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
    assert n_whole > 500


@pytest.mark.parametrize("settings", STRONG)
def test_masks_keep_their_labels(settings):
    image, mask = labelled()
    for _, variant in draws(Augmentation(**STRONG[settings]), image, mask, 50):
        assert set(np.unique(variant)) <= set(LABELS)
        assert variant.shape == mask.shape and variant.dtype == np.uint8


@pytest.mark.parametrize("settings", STRONG)
def test_image_is_the_same_without_its_mask(settings):
    image, mask = labelled()
    augmentation = Augmentation(**STRONG[settings])
    pairs = draws(augmentation, image, mask, 10)
    rng = np.random.default_rng(0)
    for variant, _ in pairs:
        np.testing.assert_array_equal(variant, augmentation(image, rng))


def test_light_never_touches_masks():
    image, mask = labelled()
    augmentation = Augmentation(**OFF, brightness=1, contrast=1)
    for variant, mask_variant in draws(augmentation, image, mask, 20):
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
    for variant, mask_variant in draws(
        Augmentation(**STRONG["flips"]), image, mask, 20
    ):
        np.testing.assert_array_equal(variant[..., 0], mask_variant)


def test_inputs_are_read_only_and_unchanged():
    image, mask = labelled()
    before = image.copy(), mask.copy()
    for array in (image, mask):
        array.setflags(write=False)
    for settings in (OFF, STRONG["all"]):
        pair = draws(Augmentation(**settings), image, mask, 1)[0]
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


def test_settings_outside_their_range_are_refused_before_work():
    with pytest.raises(ValueError, match="'zoom' parameter of Augmentation"):
        check_pair_augmentation(Augmentation(zoom=2))


# None and callables


def test_none_changes_nothing():
    image, mask = labelled()
    assert check_pair_augmentation(None) is None
    pair = apply_to_pair(None, image, mask, np.random.default_rng(0))
    assert pair[0] is image and pair[1] is mask


def test_callable_gets_copies_and_the_generator():
    def shift(image, mask, random_state):
        step = random_state.integers(1, 8)
        image[:], mask[:] = np.roll(image, step, axis=1), np.roll(mask, step, axis=1)
        return image, mask

    image, mask = labelled()
    before = image.copy(), mask.copy()
    assert check_pair_augmentation(shift) is shift
    variant, mask_variant = draws(shift, image, mask, 1, seed=2)[0]
    step = np.random.default_rng(2).integers(1, 8)
    np.testing.assert_array_equal(variant, np.roll(before[0], step, axis=1))
    np.testing.assert_array_equal(mask_variant, np.roll(before[1], step, axis=1))
    np.testing.assert_array_equal(image, before[0])
    np.testing.assert_array_equal(mask, before[1])


@pytest.mark.parametrize("fill", [0, 255])
def test_callable_may_fill_masks(fill):
    image, mask = labelled()
    mask[:] = 3
    _, variant = draws(lambda i, m, r: (i, np.full_like(m, fill)), image, mask, 1)[0]
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


@pytest.mark.parametrize("wrong", [Augmentation, keras.layers.RandomFlip, "flip"])
def test_what_cannot_augment_is_refused(wrong):
    with pytest.raises(TypeError, match=r"is a class|callable \(image, mask, random_"):
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
def test_wrong_result_of_a_callable_is_told(wrong, told):
    match = rf"augmentation=.*returned {told}.*\(48, 64, 3\) and \(48, 64\)"
    with pytest.raises(ValueError, match=match):
        draws(wrong, *labelled(), 1)


def test_masks_that_a_callable_interpolates_are_refused():
    def blend(image, mask, random_state):
        return image, (mask // 2 + np.roll(mask, 1, axis=0) // 2)

    with pytest.raises(ValueError, match=r"did not have, such as \[1, .*nearest pixel"):
        draws(blend, *labelled(), 1)


# Keras layers

RANDAUGMENT_IS_UNFIT = [int(n) for n in keras.__version__.split(".")[:2]] < [3, 14]

LAYERS = {
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


def made(name):
    if name == "randaugment" and RANDAUGMENT_IS_UNFIT:
        pytest.skip("it relights masks before Keras 3.14, and is refused")
    return {**LAYERS, **MORE}[name]()


class Late(keras.layers.Layer):
    """Layer outside Keras that takes pairs and makes its generator in `build`."""

    def build(self, input_shape):
        self.generator = keras.random.SeedGenerator()

    def call(self, data, training=False):
        images = data["images"] if isinstance(data, dict) else data
        size = keras.ops.shape(images)
        images = images + 20 * keras.random.normal(size, seed=self.generator)
        return {**data, "images": images} if isinstance(data, dict) else images


@pytest.mark.parametrize("name", LAYERS)
def test_keras_layers_keep_shapes_aligned(name):
    layer = check_pair_augmentation(made(name))
    for number, of in enumerate(["disc", "ellipse", "polygon"]):
        for pair in draws(layer, *drawn(shape(of)), 7, seed=number):
            assert_aligned(*pair)


def test_randaugment_keeps_shapes_aligned():
    layer = check_pair_augmentation(made("randaugment"))
    for name in layer._AUGMENT_LAYERS[3:]:  # after which no threshold finds shapes
        getattr(layer, name).transform_images = lambda images, *_, **__: images
    pairs = draws(layer, *drawn(shape("disc")), 12)
    for pair in pairs:
        assert_aligned(*pair)
    assert any((mask != shape("disc")).any() for _, mask in pairs)


@pytest.mark.parametrize("name", [*LAYERS, *MORE])
def test_keras_layers_draw_from_the_generator_alone(name):
    image, mask = labelled(*((192, 240) if name in LAYERS else (48, 64)))
    before, layer = (image.copy(), mask.copy()), made(name)
    state, shared = (layer.built, layer.get_config()), random.getstate()
    first, second = (check_pair_augmentation(layer) for _ in range(2))
    pairs = draws(first, image, mask, 3)
    assert len({pair[0].tobytes() for pair in pairs}) > 1
    for pair, again in zip(pairs, draws(second, image, mask, 3), strict=True):
        np.testing.assert_array_equal(pair[0], again[0])
        np.testing.assert_array_equal(pair[1], again[1])
    alone, rng = check_augmentation(layer), np.random.default_rng(0)
    for variant, mask_variant in pairs:
        np.testing.assert_array_equal(variant, apply_augmentation(alone, image, rng))
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
    pairs = draws(check_pair_augmentation(layer), image, mask, 3)
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
    variant, mask_variant = draws(check_pair_augmentation(layer), image, mask, 1)[0]
    assert (variant[:12] == np.rint(fill_value)).all()
    assert (mask_variant[:12] == 255).all() and (mask_variant[12:] == 3).all()


def test_keras_layers_survive_threads():
    layer, (image, mask) = check_pair_augmentation(made("pipeline")), labelled()

    def variant(seed):
        return draws(layer, image, mask, 1, seed)[0]

    expected = [variant(seed) for seed in range(12)]
    with ThreadPoolExecutor(4) as pool:
        for pair, other in zip(pool.map(variant, range(12)), expected, strict=True):
            np.testing.assert_array_equal(pair[0], other[0])
            np.testing.assert_array_equal(pair[1], other[1])


def wrapped(layer):
    return [
        layer,
        keras.Sequential([keras.layers.RandomFlip(), layer]),
        keras.layers.Pipeline([keras.Sequential([layer])]),
    ]


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        (keras.layers.AugMix(), "blends several variants"),
        (keras.layers.CutMix(), "mixes the images of a batch"),
        (keras.layers.MixUp(), "blends masks"),
        (keras.layers.RandomElasticTransform(1.0), "distorts the mask otherwise"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_keras_layers_that_do_not_fit_masks_are_refused(layer, reason):
    for augmentation in wrapped(layer):
        name = type(layer).__name__
        with pytest.raises(ValueError, match=f"{name}.*cannot augment masks.*{reason}"):
            check_pair_augmentation(augmentation)


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
    for augmentation in wrapped(layer)[:2]:
        match = rf"{type(layer).__name__}.*must take and return.*\(image, mask, random"
        with pytest.raises(ValueError, match=match):
            check_pair_augmentation(augmentation)


def test_channels_first_is_refused():
    layer = keras.layers.RandomFlip(data_format="channels_first")
    with pytest.raises(ValueError, match=r"RandomFlip.* channels last"):
        check_pair_augmentation(layer)


class Blur(keras.layers.Layer):
    def call(self, data):
        masks = keras.ops.average_pool(data["segmentation_masks"], 3, 1, "same")
        return {**data, "segmentation_masks": masks}


def test_masks_that_a_layer_interpolates_are_refused():
    blur = check_pair_augmentation(
        keras.Sequential([keras.layers.RandomFlip(), Blur()])
    )
    with pytest.raises(ValueError, match=r"<Blur.*did not have, such as \["):
        draws(blur, *labelled(), 1)


def test_keras_layers_that_change_the_size_are_refused():
    layer = check_pair_augmentation(keras.layers.RandomCrop(24, 32))
    with pytest.raises(
        ValueError, match=r"RandomCrop.*returned values of shape \(1, 2"
    ):
        draws(layer, *labelled(), 1)

"""The U-Net: its size, what it computes, and the weights that it starts from."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import random
import re

import keras
import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from numpy.testing import assert_allclose, assert_array_equal

from skinest import UNetSegmenter
from skinest.networks import build_unet

from ..segmentation.conftest import record_fit
from .conftest import random_weights

DEPTH, FILTERS, SIZE = 2, 3, (12, 20)


def build_small(**settings):
    defaults = {"depth": DEPTH, "base_filters": FILTERS, "image_size": SIZE}
    return build_unet(**{**defaults, **settings})


def compute_outputs(model, images, **options):
    return keras.ops.convert_to_numpy(model(images, **options))


def list_names(model, layer_class):
    return [layer.name for layer in model.layers if isinstance(layer, layer_class)]


@pytest.fixture(scope="module")
def images():
    generator = np.random.default_rng(0)
    return generator.integers(0, 256, (2, *SIZE, 3), dtype=np.uint8)


def test_default_has_the_number_of_parameters_of_the_design():
    model = build_unet()
    assert model.count_params() == 34_521_025
    assert model.input_shape == (None, 128, 128, 3)
    assert model.output_shape == (None, 128, 128, 1)
    # Means and variances of the normalised maps: of two layers of each level.
    frozen = sum(int(np.prod(w.shape)) for w in model.non_trainable_weights)
    assert frozen == 2 * 2 * (64 + 128 + 256 + 512)


@pytest.mark.parametrize(("depth", "n_outputs", "batch_norm"), [(1, 3, 1), (3, 1, 0)])
def test_number_of_parameters_is_that_of_the_layers(depth, n_outputs, batch_norm):
    def convolution(n_in, n_out, side=3):
        return side**2 * n_in * n_out + n_out

    expected, n_in = 0, 3
    for level in range(depth + 1):
        n_out = FILTERS * 2**level
        expected += convolution(n_in, n_out) + convolution(n_out, n_out)
        expected += 2 * 4 * n_out * batch_norm * (level < depth)
        n_in = n_out
    for level in reversed(range(depth)):
        n_out = FILTERS * 2**level
        expected += convolution(2 * n_out, n_out)  # transposed
        expected += convolution(2 * n_out, n_out) + convolution(n_out, n_out)
    expected += convolution(FILTERS, n_outputs, side=1)
    model = build_small(
        depth=depth,
        image_size=(16, 16),
        n_outputs=n_outputs,
        batch_norm=bool(batch_norm),
    )
    assert model.count_params() == expected


def test_batch_normalisation_is_in_the_contracting_path_alone():
    norm = keras.layers.BatchNormalization
    assert list_names(build_small(), norm) == [
        f"down_{level}_norm_{i}" for level in (1, 2) for i in (1, 2)
    ]
    assert list_names(build_small(batch_norm=False), norm) == []


def test_dropout_is_at_the_bottom_alone():
    model = build_small(dropout=0.25)
    assert list_names(model, keras.layers.Dropout) == ["dropout"]
    layer = model.get_layer("dropout")
    assert layer.rate == 0.25
    assert layer.input is model.get_layer("bottom_relu_2").output
    assert model.get_layer("up_2_transposed").input is layer.output
    assert list_names(build_small(), keras.layers.Dropout) == []


class Reference:
    """The documented network, by sums over windows."""

    def __init__(self, model):
        self.weights = {
            "/".join(weight.path.split("/")[-2:]): keras.ops.convert_to_numpy(weight)
            for weight in model.weights
        }

    def convolve(self, x, layer):
        kernel, bias = (self.weights[f"{layer}/{key}"] for key in ("kernel", "bias"))
        side = len(kernel)
        padded = np.pad(x, [(side // 2, side // 2)] * 2 + [(0, 0)])
        windows = sliding_window_view(padded, (side, side), axis=(0, 1))
        return np.einsum("hwcij,ijco->hwo", windows, kernel) + bias

    def transpose(self, x, layer):
        kernel, bias = (self.weights[f"{layer}/{key}"] for key in ("kernel", "bias"))
        height, width, _ = x.shape
        total = np.zeros((2 * height + 1, 2 * width + 1, kernel.shape[2]))
        for i in range(3):
            for j in range(3):
                place = slice(i, i + 2 * height, 2), slice(j, j + 2 * width, 2)
                total[place] += x @ kernel[i, j].T
        return total[:-1, :-1] + bias

    def normalise(self, x, layer):
        mean, variance, gamma, beta = (
            self.weights[f"{layer}/{key}"]
            for key in ("moving_mean", "moving_variance", "gamma", "beta")
        )
        return (x - mean) / np.sqrt(variance + 1e-3) * gamma + beta

    def twice(self, x, name):
        for i in (1, 2):
            x = self.convolve(x, f"{name}_conv_{i}")
            if name.startswith("down"):
                x = self.normalise(x, f"{name}_norm_{i}")
            x = np.maximum(x, 0)
        return x

    def logits(self, image):
        x, beside = image / 127.5 - 1, []
        for level in range(1, DEPTH + 1):
            x = self.twice(x, f"down_{level}")
            beside.append(x)
            height, width, n = x.shape
            x = x.reshape(height // 2, 2, width // 2, 2, n).max(axis=(1, 3))
        x = self.twice(x, "bottom")
        for level in range(DEPTH, 0, -1):
            x = self.transpose(x, f"up_{level}_transposed")
            x = self.twice(np.concatenate([beside.pop(), x], axis=-1), f"up_{level}")
        return self.convolve(x, "logits")


@pytest.mark.parametrize("n_outputs", [1, 3])
def test_network_computes_what_is_documented(n_outputs, images):
    model = build_small(n_outputs=n_outputs)
    model.set_weights(random_weights(model, 1))
    reference = Reference(model)
    logits = np.stack([reference.logits(image) for image in images])
    if n_outputs == 1:
        expected = 1 / (1 + np.exp(-logits))
    else:
        powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
        expected = powers / powers.sum(axis=-1, keepdims=True)
    found = compute_outputs(model, images)
    assert expected.std() > 0.03
    assert_allclose(found, expected, atol=1e-5)
    if n_outputs > 1:
        assert_allclose(found.sum(axis=-1), 1, rtol=1e-5)


@pytest.mark.parametrize("n_outputs", [1, 3])
def test_outputs_and_weights_are_float32_in_bfloat16_too(n_outputs, images):
    policy = keras.config.dtype_policy()
    low = build_small(n_outputs=n_outputs, compute_dtype="bfloat16")
    full = build_small(n_outputs=n_outputs)
    assert keras.config.dtype_policy() is policy
    arrays = random_weights(full, 1)
    for model in (low, full):
        model.set_weights(arrays)
        assert {weight.dtype for weight in model.weights} == {"float32"}
    found, expected = (compute_outputs(model, images) for model in (low, full))
    assert found.dtype == np.float32
    assert_allclose(found.sum(axis=-1) if n_outputs > 1 else 1, 1, rtol=1e-5)
    assert not np.array_equal(found, expected)
    assert_allclose(found, expected, atol=0.02)
    computed = {
        layer.name: layer.compute_dtype for layer in low.layers if layer.weights
    }
    assert computed.pop("logits") == "float32"
    assert set(computed.values()) == {"bfloat16"}


@pytest.mark.parametrize(
    ("size", "depth", "nearest"),
    [
        pytest.param((100, 128), 4, (96, 128), marks=pytest.mark.slow),
        pytest.param((128, 106), 4, (128, 112), marks=pytest.mark.slow),
        ((17, 31), 3, (16, 32)),
        pytest.param([6, 5], 2, (8, 4), marks=pytest.mark.slow),
        ((9, 8), 1, (8, 8)),
    ],
)
def test_other_sizes_are_refused_and_the_nearest_is_named(size, depth, nearest):
    step = 2**depth
    message = re.escape(f"multiples of {step}, such as {nearest}.")
    with pytest.raises(ValueError, match=rf"image_size=.*depth={depth}.*{message}"):
        build_unet(depth=depth, base_filters=1, image_size=size)
    model = build_unet(depth=depth, base_filters=1, image_size=nearest)
    assert model.output_shape == (None, *nearest, 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"image_size": (8, 64), "depth": 4},
            "image_size=(8, 64): .* 16, such as (16, 64)",
        ),
        ({"image_size": (16,)}, "image_size=(16,) must be (height, width)"),
        ({"image_size": (16.0, 16.0)}, "image_size=(16.0, 16.0) must be"),
        ({"image_size": 16}, "'image_size' parameter.*16"),
        ({"depth": 0}, "'depth' parameter.*0"),
        ({"base_filters": 0}, "'base_filters' parameter.*0"),
        ({"dropout": 1.0}, "'dropout' parameter.*1.0"),
        ({"batch_norm": None}, "'batch_norm' parameter.*None"),
        ({"n_outputs": 0}, "'n_outputs' parameter.*0"),
        ({"compute_dtype": "float16"}, "'compute_dtype' parameter.*'float16'"),
    ],
)
def test_wrong_argument_is_named(arguments, message):
    pattern = re.escape(message).replace(r"\.\*", ".*").replace(r"\ \.\*", " .*")
    with pytest.raises(ValueError, match=pattern):
        build_small(**arguments)


def test_model_is_flat_and_can_be_built_from_its_configuration(images):
    model = build_small(n_outputs=3, dropout=0.5)
    assert not any(isinstance(layer, keras.Model) for layer in model.layers)
    copy = keras.Model.from_config(model.get_config())  # by layers of Keras alone
    copy.set_weights(model.get_weights())
    assert_array_equal(compute_outputs(copy, images), compute_outputs(model, images))


def test_builder_draws_no_number_of_the_global_generator_of_python():
    state = random.getstate()
    build_small(dropout=0.5, random_state=0)
    assert random.getstate() == state


def test_builder_draws_the_weights_that_the_segmenter_starts_from():
    segmenter = UNetSegmenter(
        depth=DEPTH,
        base_filters=FILTERS,
        image_size=SIZE,
        epochs=1,
        compute_dtype="float32",
        random_state=7,
    )
    X = np.zeros((4, *SIZE, 3), dtype=np.uint8)
    y = np.arange(240).reshape(1, *SIZE).repeat(4, axis=0) % 2
    start = record_fit(segmenter, X, y).weights
    for array, drawn in zip(
        build_small(random_state=7).get_weights(), start, strict=True
    ):
        assert_array_equal(array, drawn)


def test_builder_and_segmenter_build_one_network():
    settings = {"depth": 2, "base_filters": 4, "dropout": 0.3, "batch_norm": False}
    X = np.zeros((4, 32, 32, 3), dtype=np.uint8)
    masks = np.eye(32, dtype=np.uint8)[np.newaxis].repeat(4, axis=0)
    fitted = UNetSegmenter(
        **settings, image_size=(32, 32), epochs=1, compute_dtype="float32"
    )
    record_fit(fitted, X, masks)
    built = build_unet(**settings, image_size=(32, 32))
    assert fitted.model_.to_json() == built.to_json()


# Weights to start from ------------------------------------------------------------


@pytest.mark.parametrize("settings", [{}, {"dropout": 0.5, "n_outputs": 3}], ids=str)
def test_kernels_are_drawn_and_all_else_is_as_keras_begins(settings):
    model = build_small(random_state=0, **settings)
    kernels = [weight for weight in model.weights if weight.name == "kernel"]
    assert len(kernels) == 13
    for weight in model.weights:
        array = keras.ops.convert_to_numpy(weight)
        if weight.name == "kernel":
            assert array.std() > 0
        else:
            is_one = weight.name in ("gamma", "moving_variance")
            assert (array == is_one).all(), weight.path


def test_seed_draws_the_weights():
    first, again, other = (
        build_small(random_state=seed).get_weights() for seed in (5, 5, 6)
    )
    for one, two, three in zip(first, again, other, strict=True):
        assert_array_equal(one, two)
        assert one.ndim == 1 or not np.array_equal(one, three)


@pytest.mark.parametrize(
    "batch_norm", [True, pytest.param(False, marks=pytest.mark.slow)]
)
def test_variance_stays_in_order_from_layer_to_layer(batch_norm):
    """Show that maps neither vanish nor explode on their way through 23 layers."""
    settings = {"depth": 4, "base_filters": 16, "image_size": (32, 48)}
    noise = np.random.default_rng(0).integers(0, 256, (4, 32, 48, 3), dtype=np.uint8)
    model = build_small(**settings, batch_norm=batch_norm, random_state=0)
    probed = [
        layer.name
        for layer in model.layers
        if re.search("_relu_2$|_transposed$", layer.name)
    ]
    assert len(probed) == 2 * 4 + 1 + 4
    maps = keras.Model(model.input, [model.get_layer(name).output for name in probed])
    for seed in range(3):
        drawn = build_small(**settings, batch_norm=batch_norm, random_state=seed)
        model.set_weights(drawn.get_weights())
        for name, values in zip(probed, maps(noise), strict=True):
            size = np.sqrt(np.mean(np.square(values)))
            assert 0.2 < size < 4, f"{name}: {size}"


def test_kernels_have_the_variance_of_their_layer():
    """Show that it is 2 / fan-in before a ReLU, else 1 / fan-in."""
    model = build_small(base_filters=32, random_state=0)
    expected = {
        "down_2_conv_2": 2 / (9 * 64),
        "bottom_conv_1": 2 / (9 * 64),
        "up_1_conv_1": 2 / (9 * 64),
        # Each pixel of its output sees a quarter of the 9 weights of each input map.
        "up_2_transposed": 1 / (9 / 4 * 128),
    }
    for name, variance in expected.items():
        kernel = model.get_layer(name).get_weights()[0]
        assert kernel.var() == pytest.approx(variance, rel=0.05), name
        assert abs(kernel.mean()) < 0.05 * np.sqrt(variance), name


def test_network_starts_near_the_output_bias():
    noise = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    means = []
    for seed in range(8):
        model = build_small(base_filters=16, image_size=(32, 32), random_state=seed)
        logits = model.get_layer("logits")
        bias = np.array([np.log(0.02 / 0.98)], dtype=np.float32)
        logits.set_weights([logits.get_weights()[0], bias])
        means.append(compute_outputs(model, noise).mean())
    assert 0.005 < np.median(means) < 0.08

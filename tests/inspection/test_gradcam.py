# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import copy
import itertools
import random
import sys
import warnings

import cv2
import keras
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import Normalize
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline

from skinest.images import check_images, resize
from skinest.inspection import GradCAMDisplay

SIZE = (6, 8)
MIX = np.array([[1.0, 0.5, -1.0], [0.0, -1.0, 0.5], [-1.0, 1.0, 1.0]])  # to 3 maps
BINARY = np.array([[1.5], [-2.0], [0.7]])
THREE = np.array([[1.0, -1.0, 0.5], [0.5, 1.0, -2.0], [-1.0, 0.2, 1.0]])


class Network(ClassifierMixin, BaseEstimator):
    """A fitted classifier around a model of given weights."""

    image_size = SIZE

    def fit(self, model, classes):
        self.model_ = model
        self.classes_ = np.array(classes)
        return self

    def predict_proba(self, X):
        size = self.model_.input_shape[1:3]
        pixels = [resize(image, size) for image in check_images(X)]
        output = self.model_(np.stack(pixels).astype(np.float32), training=False)
        output = keras.ops.convert_to_numpy(output)
        return output if output.shape[1] > 1 else np.hstack([1 - output, output])


def build_model(weights, *, dtype="float32", pooled=False):
    """Return network of one convolution of 1 x 1 by MIX, a pooling, and `weights`."""
    images = keras.Input((*SIZE, 3), name="images")
    x = keras.layers.Rescaling(1 / 255)(images)
    conv = keras.layers.Conv2D(3, 1, activation="relu", name="conv", dtype=dtype)
    x = conv(x)
    if pooled:
        x = keras.layers.MaxPooling2D(2, name="pool")(x)
        x = keras.layers.Flatten(name="features")(x)
    else:
        x = keras.layers.GlobalAveragePooling2D(name="features")(x)
    x = keras.layers.Dropout(0.5, name="dropout_1")(x)
    logits = keras.layers.Dense(weights.shape[1], name="logits")
    x = logits(x)
    activation = "sigmoid" if weights.shape[1] == 1 else "softmax"
    x = keras.layers.Activation(activation, name="probabilities")(x)
    conv.set_weights([MIX[np.newaxis, np.newaxis], np.zeros(3)])
    logits.set_weights([weights, np.zeros(weights.shape[1])])
    return keras.Model(images, x)


def feature_maps(images):
    """Return output of the convolution, by NumPy."""
    return np.maximum((images / 255) @ MIX, 0)


def expected_map(evidence):
    heat = np.maximum(evidence, 0)
    return heat / heat.max()


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (11, *SIZE, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def binary():
    return Network().fit(build_model(BINARY), ["benign", "malignant"])


@pytest.fixture(scope="module")
def three():
    return Network().fit(build_model(THREE), [10, 20, 30])


@pytest.mark.parametrize("target, sign", [("malignant", 1), ("benign", -1)])
def test_map_in_closed_form_and_its_sign(binary, images, target, sign):
    """With average pooling the weights are those of the output over h w."""
    display = GradCAMDisplay.from_estimator(binary, images, target=target)
    for heat, features in zip(display.maps, feature_maps(images), strict=True):
        expected = expected_map(sign * features @ BINARY[:, 0])
        np.testing.assert_allclose(heat, expected, atol=1e-6)
        assert heat.dtype == np.float32


@pytest.mark.parametrize("index", [0, 1, 2])
def test_score_is_that_before_the_softmax(three, images, index):
    """After it, the weights of the other classes would count too."""
    target = three.classes_[index]
    display = GradCAMDisplay.from_estimator(three, images, target=target)
    for heat, features in zip(display.maps, feature_maps(images), strict=True):
        expected = expected_map(features @ THREE[:, index])
        np.testing.assert_allclose(heat, expected, atol=1e-6)


def test_map_below_a_pooling_layer_in_closed_form(images):
    """The gradient of max pooling is that of its output, at one place per window."""
    weights = np.random.default_rng(1).standard_normal((12, 3, 1))
    model = build_model(weights.reshape(36, 1), pooled=True)
    network = Network().fit(model, [False, True])
    display = GradCAMDisplay.from_estimator(network, images, target=True)
    for heat, features in zip(display.maps, feature_maps(images), strict=True):
        expected = expected_map(features @ weights.sum(axis=0)[:, 0])
        np.testing.assert_allclose(heat, expected, atol=1e-5)


def test_pooling_layer_is_taken_by_name(images):
    network = Network().fit(build_model(np.ones((36, 1)), pooled=True), [0, 1])
    display = GradCAMDisplay.from_estimator(network, images[:1], target=1, layer="pool")
    coarse = feature_maps(images[0]).reshape(3, 2, 4, 2, 3).max(axis=(1, 3)).sum(axis=2)
    expected = GradCAMDisplay.from_maps(images[:1], [coarse]).maps[0]
    np.testing.assert_allclose(display.maps[0], expected, atol=1e-6)


def test_convolution_in_bfloat16(images):
    model = build_model(BINARY, dtype="mixed_bfloat16")
    network = Network().fit(model, ["benign", "malignant"])
    display = GradCAMDisplay.from_estimator(network, images, target="malignant")
    for heat, features in zip(display.maps, feature_maps(images), strict=True):
        expected = expected_map(features @ BINARY[:, 0])
        # bfloat16 has 8 bits of precision, and features of up to 2 are added up.
        np.testing.assert_allclose(heat, expected, atol=0.03)


def test_default_target_is_the_predicted_class(three, images):
    predicted = three.classes_[three.predict_proba(images).argmax(axis=1)]
    assert len(set(predicted)) > 1
    display = GradCAMDisplay.from_estimator(three, images)
    for k, label in enumerate(predicted):
        one = GradCAMDisplay.from_estimator(three, images[[k]], target=label)
        np.testing.assert_allclose(display.maps[k], one.maps[0], atol=1e-6)


def test_what_is_set_after_fit_does_not_matter(three, images):
    changed = copy.copy(three)
    changed.image_size = (64, 64)
    display = GradCAMDisplay.from_estimator(changed, images[:2])
    expected = GradCAMDisplay.from_estimator(three, images[:2])
    np.testing.assert_array_equal(display.maps, expected.maps)


def test_titles_are_class_and_its_probability(binary, images):
    probabilities = binary.predict_proba(images)
    display = GradCAMDisplay.from_estimator(binary, images, target="benign")
    expected = [f"benign ({row[0]:.2f})" for row in probabilities]
    assert display.titles == expected
    assert [ax.get_title() for ax in display.axes_] == expected


def test_map_is_large_where_the_blob_is(binary):
    image = np.zeros((60, 80, 3), dtype=np.uint8)
    image[40:50, 10:20, 0] = 255  # red: only the first map, whose weight is positive
    display = GradCAMDisplay.from_estimator(binary, [image], target="malignant")
    (heat,) = display.maps
    assert heat.shape == (60, 80)
    row, column = np.unravel_index(heat.argmax(), heat.shape)
    assert 40 <= row < 50
    assert 10 <= column < 20
    assert heat[:25].max() == heat[:, 40:].max() == 0


def test_images_of_all_sizes_are_kept_as_they_are(binary):
    rng = np.random.default_rng(0)
    sizes = [(6, 8), (30, 20), (3, 5), (64, 64)]
    images = [rng.integers(0, 256, (*size, 3), dtype=np.uint8) for size in sizes]
    display = GradCAMDisplay.from_estimator(binary, images)
    assert [heat.shape for heat in display.maps] == sizes
    for image, kept, heat in zip(images, display.images, display.maps, strict=True):
        np.testing.assert_array_equal(image, kept)
        assert heat.min() >= 0
        assert heat.max() in (0, 1)


def test_maps_do_not_depend_on_the_images_beside_them(three, images):
    together = GradCAMDisplay.from_estimator(three, images)  # more than one batch
    for k in range(len(images)):
        alone = GradCAMDisplay.from_estimator(three, images[[k]])
        assert alone.titles == together.titles[k : k + 1]
        np.testing.assert_allclose(alone.maps[0], together.maps[k], atol=1e-6)


def test_each_file_is_decoded_once(three, images, tmp_path, decoded):
    paths = [str(tmp_path / f"{k}.png") for k in range(len(images))]
    for path, image in zip(paths, images, strict=True):
        cv2.imwrite(path, image[..., ::-1])
    expected = GradCAMDisplay.from_estimator(three, images)
    display = GradCAMDisplay.from_estimator(three, paths)
    assert decoded.counts(paths) == [1] * len(paths)
    assert display.titles == expected.titles
    np.testing.assert_array_equal(display.maps, expected.maps)


def test_no_evidence_is_a_map_of_zeros(images):
    network = Network().fit(build_model(-np.abs(BINARY)), ["benign", "malignant"])
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        display = GradCAMDisplay.from_estimator(network, images, target="malignant")
        display.figure_.canvas.draw()
    assert not np.any(display.maps)


def test_nothing_outside_is_changed(binary, images):
    weights = [weight.copy() for weight in binary.model_.get_weights()]
    state = random.getstate()
    policy = keras.config.dtype_policy().name
    GradCAMDisplay.from_estimator(binary, images)
    assert state == random.getstate()
    assert policy == keras.config.dtype_policy().name
    for before, after in zip(weights, binary.model_.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)
    # A layer that was called on another symbolic tensor has no such attribute.
    assert all(layer.output is not None for layer in binary.model_.layers)


def test_layers_that_were_called_elsewhere_too(images):
    model = build_model(BINARY)
    x = keras.Input((*SIZE, 3))
    for layer in model.layers[1:]:
        x = layer(x)
    network = Network().fit(model, [0, 1])
    display = GradCAMDisplay.from_estimator(network, images[:1], target=1)
    expected = expected_map(feature_maps(images[0]) @ BINARY[:, 0])
    np.testing.assert_allclose(display.maps[0], expected, atol=1e-6)


@pytest.mark.parametrize(
    "backbone, name, pools, finer, side",
    [
        ("VGG16", "block5_conv3", "'block5_pool', ", "block4_conv3", 4),
        pytest.param(
            *("VGG19", "block5_conv4", "'block5_pool', ", "block4_conv4", 4),
            marks=pytest.mark.slow,
        ),
        pytest.param(
            *("MobileNetV2", "out_relu", "", "block_13_expand_relu", 2),
            marks=pytest.mark.slow,
        ),
    ],
)
def test_default_layer_is_the_last_convolution(backbone, name, pools, finer, side):
    base = getattr(keras.applications, backbone)(
        weights=None, include_top=False, input_shape=(32, 32, 3)
    )
    x = keras.layers.Flatten(name="features")(base.output)
    x = keras.layers.Dense(1, name="logits")(x)
    x = keras.layers.Activation("sigmoid", name="probabilities")(x)
    network = Network().fit(keras.Model(base.input, x), [0, 1])
    images = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3), dtype=np.uint8)
    advice = f"layer='{finer}' has maps of {side} x {side}"
    with pytest.warns(UserWarning, match=rf"Grad-CAM is coarse: .*'{name}'.*{advice}"):
        by_default = GradCAMDisplay.from_estimator(network, images)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        named = GradCAMDisplay.from_estimator(network, images, layer=name)
        GradCAMDisplay.from_estimator(network, images, layer=finer)
    np.testing.assert_array_equal(by_default.maps, named.maps)
    with pytest.raises(ValueError, match=rf"Use one of {pools}'{name}'"):
        GradCAMDisplay.from_estimator(network, images, layer="none")


@pytest.fixture(scope="module")
def branching():
    images = keras.Input((*SIZE, 3), name="images")
    low = keras.layers.Conv2D(3, 1, name="low")(images)
    side = keras.layers.Conv2D(3, 1, name="side")(low)
    x = keras.layers.Add(name="sum")([low, side])
    x = keras.layers.Conv2D(3, 1, name="high")(x)
    x = keras.layers.GlobalAveragePooling2D(name="features")(x)
    x = keras.layers.Dense(1, name="logits")(x)
    x = keras.layers.Activation("sigmoid", name="probabilities")(x)
    return Network().fit(keras.Model(images, x), [0, 1])


@pytest.mark.parametrize("layer", ["side", "images", "features", "logits"])
def test_layer_that_some_paths_do_not_lead_through(branching, images, layer):
    with pytest.raises(
        ValueError, match=rf"layer='{layer}'.*Use one of 'high', 'sum', 'low'$"
    ):
        GradCAMDisplay.from_estimator(branching, images, layer=layer)


def test_map_below_branches_in_closed_form(branching, images):
    """All layers are linear, so the weights are products of their matrices."""
    low, side, high, logits = (
        branching.model_.get_layer(name).get_weights()[0].squeeze((0, 1)[: ndim - 2])
        for name, ndim in (("low", 4), ("side", 4), ("high", 4), ("logits", 2))
    )
    weights = (np.eye(3) + side) @ high @ logits[:, 0]
    display = GradCAMDisplay.from_estimator(branching, images, target=1, layer="low")
    for heat, image in zip(display.maps, images, strict=True):
        evidence = np.maximum(image.astype(float) @ low @ weights, 0)
        expected = evidence / (evidence.max() or 1)
        np.testing.assert_allclose(heat, expected, atol=1e-5)


def test_unknown_layer(branching, images):
    with pytest.raises(
        ValueError, match=r"no layer 'block5'.*Use one of 'high', 'sum', 'low'$"
    ):
        GradCAMDisplay.from_estimator(branching, images, layer="block5")


def test_layer_after_branches_is_taken(branching, images):
    display = GradCAMDisplay.from_estimator(branching, images, layer="sum")
    assert len(display.maps) == len(images)


def test_fine_maps_are_not_warned_of():
    images = keras.Input((7, 7, 3))
    x = keras.layers.Conv2D(2, 1)(images)
    x = keras.layers.Flatten()(x)
    x = keras.layers.Dense(1, name="logits")(x)
    network = Network().fit(keras.Model(images, x), [0, 1])
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        GradCAMDisplay.from_estimator(network, np.zeros((1, 9, 9, 3), dtype=np.uint8))


@pytest.mark.parametrize("target", ["melanoma", 1, ["benign"], np.array(["benign"])])
def test_target_that_is_no_class(binary, images, target):
    with pytest.raises(ValueError, match=r"classes, \['benign', 'malignant'\]"):
        GradCAMDisplay.from_estimator(binary, images, target=target)


def test_not_fitted(images):
    with pytest.raises(NotFittedError):
        GradCAMDisplay.from_estimator(Network(), images)


def test_estimators_without_a_network(binary, images):
    for estimator in (DummyClassifier().fit([[0]], [0]), make_pipeline(binary)):
        with pytest.raises(TypeError, match="Pass a TransferClassifier"):
            GradCAMDisplay.from_estimator(estimator, images)


def test_model_without_logits(images):
    model = keras.Sequential([keras.Input((*SIZE, 3)), keras.layers.Flatten()])
    with pytest.raises(ValueError, match="layer 'logits'"):
        GradCAMDisplay.from_estimator(Network().fit(model, [0, 1]), images)


def test_maps_are_scaled_to_the_image_bilinearly():
    image = np.zeros((4, 4, 3), dtype=np.uint8)
    display = GradCAMDisplay.from_maps([image], [[[0.0, 4.0]]], titles=["a"])
    # Centres of the two cells lie at 0.5 and 2.5 of the columns 0 to 3.
    np.testing.assert_allclose(display.maps[0], [[0, 0.25, 0.75, 1]] * 4)
    assert display.titles == ["a"]


def test_titles_may_be_an_array(images):
    titles = np.array(["a", "b"])
    display = GradCAMDisplay.from_maps(images[:2], np.ones((2, 2, 2)), titles=titles)
    assert [ax.get_title() for ax in display.axes_] == ["a", "b"]


def test_from_maps_without_titles(images):
    display = GradCAMDisplay.from_maps(images, np.ones((11, 2, 2)))
    assert {ax.get_title() for ax in display.axes_} == {""}


@pytest.mark.parametrize(
    "maps, match",
    [
        (np.ones((2, 3, 3)), "11 images, but 2 maps"),
        (np.ones((11, 9)), r"maps\[0\] has shape \(9,\)"),
        (np.full((11, 2, 2), np.nan), r"maps\[0\] has values"),
        (-np.ones((11, 2, 2)), r"maps\[0\] has values"),
    ],
)
def test_maps_that_are_none(images, maps, match):
    with pytest.raises(ValueError, match=match):
        GradCAMDisplay.from_maps(images, maps)


def test_titles_of_another_number(images):
    with pytest.raises(ValueError, match="11 images, but 1 titles"):
        GradCAMDisplay.from_maps(images, np.ones((11, 2, 2)), titles=["a"])


def test_heat_map_lies_over_the_image_and_fades_with_it(binary, images):
    display = GradCAMDisplay.from_estimator(
        binary, images[:1], target="benign", alpha=0.4, cmap="viridis"
    )
    image, overlay = display.axes_[0].get_images()
    np.testing.assert_array_equal(image.get_array(), images[0])
    assert display.overlays_ == [overlay]
    np.testing.assert_allclose(overlay.get_alpha(), 0.4 * display.maps[0])
    assert overlay.get_cmap().name == "viridis"
    assert overlay.get_clim() == (0, 1)


def test_style_of_the_heat_map(binary, images):
    display = GradCAMDisplay.from_estimator(
        binary, images[:1], im_kw={"alpha": 0.3, "interpolation": "nearest"}
    )
    assert display.overlays_[0].get_alpha() == 0.3
    assert display.overlays_[0].get_interpolation() == "nearest"
    norm = Normalize(0, 2)
    assert display.plot(im_kw={"norm": norm}).overlays_[0].norm is norm


def test_images_stand_in_rows(binary, images):
    display = GradCAMDisplay.from_estimator(binary, images, max_cols=3)
    assert display.axes_[0].get_gridspec().get_geometry() == (4, 3)
    assert len(display.figure_.axes) == 11


def test_given_axes_are_drawn_on(binary, images):
    figure, axes = plt.subplots(1, 2)
    display = GradCAMDisplay.from_estimator(binary, images[:2], ax=axes)
    assert display.figure_ is figure
    assert display.plot(ax=axes) is display
    with pytest.raises(ValueError, match="2 axes, but 3"):
        GradCAMDisplay.from_estimator(binary, images[:3], ax=axes)


@pytest.mark.parametrize("n_images", [1, 4, 7])
def test_titles_are_not_cut(n_images):
    images = np.zeros((n_images, 32, 32, 3), dtype=np.uint8)
    titles = ["dermatofibroma of the upper left arm (0.97)"] * n_images
    maps = np.ones((n_images, 2, 2))
    display = GradCAMDisplay.from_maps(images, maps, titles=titles)
    display.figure_.canvas.draw()
    width, height = display.figure_.bbox.size
    boxes = [ax.title.get_window_extent() for ax in display.axes_]
    assert all(0 < box.x0 and box.x1 < width and box.y1 < height for box in boxes)
    assert all(a.x1 < b.x0 for a, b in itertools.pairwise(boxes[:4]))


def test_without_matplotlib(binary, images, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"GradCAMDisplay.* requires matplotlib"):
        GradCAMDisplay.from_estimator(binary, images)


@pytest.mark.parametrize(("max_cols", "error"), [(0, ValueError), (1.5, TypeError)])
def test_max_cols_is_checked_before_anything_is_computed(max_cols, error):
    with pytest.raises(error, match="max_cols"):
        GradCAMDisplay.from_estimator(None, None, max_cols=max_cols)
    with pytest.raises(error, match="max_cols"):
        GradCAMDisplay.from_maps(None, None, max_cols=max_cols)
    with pytest.raises(error, match="max_cols"):
        GradCAMDisplay([], []).plot(max_cols=max_cols)

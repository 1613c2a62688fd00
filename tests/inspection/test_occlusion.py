"""Occlusion maps, on images where the answer is known."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import warnings

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import CenteredNorm
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import FixedThresholdClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import SVC

from skinest import BoVWSIFTTransformer, SIFTDescriptor
from skinest.images import check_images
from skinest.inspection import GradCAMDisplay, OcclusionDisplay, VisualWordsDisplay

explain = OcclusionDisplay.from_estimator
IMAGES = np.random.default_rng(0).integers(0, 256, (3, 12, 16, 3), dtype=np.uint8)


class Base(ClassifierMixin, BaseEstimator):
    """A classifier that is fitted by its classes, and notes what it is given."""

    def fit(self, classes):
        self.classes_ = np.array(classes)
        self.batches_ = []
        return self

    def read(self, X):
        images = np.stack(list(check_images(X)))
        self.batches_.append(images)
        return images / 255


class Corner(Base):
    """The red of the upper left 4 x 4 pixels is the probability of malignant."""

    def predict_proba(self, X):
        red = self.read(X)[:, :4, :4, 0].mean(axis=(1, 2))
        return np.column_stack([1 - red, red])


class Linear(Base):
    """A score of each class, with a weight for each pixel; one if there are two."""

    def decision_function(self, X):
        images = self.read(X)
        n_scores = len(self.classes_) if len(self.classes_) > 2 else 1
        shape = (n_scores, *images.shape[1:])
        weights = np.random.default_rng(1).normal(size=shape)
        scores = (images[:, np.newaxis] * weights).sum(axis=(2, 3, 4))
        return scores if n_scores > 1 else scores[:, 0]


@pytest.fixture
def corner():
    return Corner().fit(["benign", "malignant"])


@pytest.fixture
def linear():
    return Linear().fit([10, 20, 30])


def occlude_by_loop(estimator, image, patch, stride, target, color):
    """Average the drops over all patches that cover a pixel, one pixel at a time."""
    height, width = image.shape[:2]
    scores = estimator.decision_function
    column = list(estimator.classes_).index(target)
    before = scores(image[np.newaxis])[0, column]
    tops = [*range(0, height - patch, stride), height - patch]
    lefts = [*range(0, width - patch, stride), width - patch]
    drops = {}
    for top in tops:
        for left in lefts:
            hidden = image.copy()
            hidden[top : top + patch, left : left + patch] = color
            drops[top, left] = before - scores(hidden[np.newaxis])[0, column]
    heat = np.empty((height, width))
    for row, column in np.ndindex(height, width):
        heat[row, column] = np.mean(
            [
                drop
                for (top, left), drop in drops.items()
                if top <= row < top + patch and left <= column < left + patch
            ]
        )
    return heat


def test_a_map_is_the_drop_where_the_classifier_looks_and_zero_elsewhere(corner):
    before = IMAGES.copy()
    given = {"patch_size": 4, "stride": 4, "fill": (51, 0, 0)}
    display = explain(corner, IMAGES, target="malignant", **given)
    for heat, image in zip(display.maps, IMAGES, strict=True):
        expected = np.zeros(image.shape[:2])
        expected[:4, :4] = image[:4, :4, 0].mean() / 255 - 0.2
        assert_allclose(heat, expected, atol=1e-15)
    assert_array_equal(IMAGES, before)
    others = explain(corner, IMAGES, target="benign", **given)
    assert_allclose(others.maps, -np.array(display.maps), atol=1e-15)


@pytest.mark.parametrize(("patch", "stride"), [(5, 3), (12, 1), (1, 1)])
def test_a_map_averages_over_the_patches_that_cover_a_pixel(linear, patch, stride):
    display = explain(
        linear, IMAGES[:1], target=20, patch_size=patch, stride=stride, fill=(9, 80, 7)
    )
    expected = occlude_by_loop(linear, IMAGES[0], patch, stride, 20, (9, 80, 7))
    assert_allclose(display.maps[0], expected, atol=1e-12)


def test_sizes_may_be_fractions_of_the_shorter_side(linear):
    display = explain(linear, IMAGES, patch_size=0.5)
    expected = explain(linear, IMAGES, patch_size=6, stride=3)
    assert_array_equal(display.maps, expected.maps)
    finest = explain(linear, IMAGES[:1], patch_size=1e-9, stride=1e-9)
    assert_array_equal(finest.maps, explain(linear, IMAGES[:1], patch_size=1).maps)


@pytest.mark.parametrize("batch_size", [1, 7, 1000])
def test_the_estimator_gets_batches_that_change_nothing(linear, batch_size):
    given = {"patch_size": 4, "stride": 3}
    expected = explain(linear, IMAGES, **given)
    linear.batches_.clear()
    display = explain(linear, IMAGES, batch_size=batch_size, **given)
    assert_array_equal(display.maps, expected.maps)
    assert max(map(len, linear.batches_)) == min(batch_size, 1 + 4 * 5)
    assert sum(map(len, linear.batches_)) == 3 * (1 + 4 * 5)


def test_the_class_with_the_highest_score_is_the_default(linear):
    found = explain(linear, IMAGES, patch_size=4)
    best = linear.decision_function(IMAGES).argmax(axis=1)
    for position, k in enumerate(best):
        one = explain(
            linear, IMAGES[[position]], target=linear.classes_[k], patch_size=4
        )
        assert_array_equal(found.maps[position], one.maps[0])
        assert found.titles[position].startswith(f"{linear.classes_[k]} (")


def test_the_predicted_class_is_explained_where_a_threshold_decides(corner):
    strict = FixedThresholdClassifier(
        FrozenEstimator(corner), threshold=0.999, pos_label="malignant"
    ).fit(IMAGES, ["benign", "malignant", "benign"])
    assert set(strict.predict(IMAGES)) == {"benign"}
    red = IMAGES.copy()
    red[:, :4, :4, 0] = 200  # a probability of .78
    found = explain(strict, red, patch_size=4)
    assert all(title.startswith("benign (0.2") for title in found.titles)
    expected = explain(corner, red, target="benign", patch_size=4)
    assert_array_equal(found.maps, expected.maps)


@pytest.mark.parametrize("wrap", [lambda svc: svc, make_pipeline, FrozenEstimator])
def test_three_pairs_of_three_classes_are_no_scores_of_classes(wrap):
    svc = SVC(decision_function_shape="ovo")
    means = FunctionTransformer(lambda X: np.mean(X, axis=(1, 2)))
    svc.fit(means.transform(IMAGES), [0, 1, 2])
    pipeline = make_pipeline(means, wrap(svc))
    with pytest.raises(ValueError, match="decision_function_shape='ovr'"):
        explain(pipeline, IMAGES, patch_size=4, response_method="decision_function")


def test_two_classes_have_one_score_with_opposite_signs():
    binary = Linear().fit(["benign", "malignant"])
    positive = explain(binary, IMAGES, target="malignant", patch_size=4)
    negative = explain(binary, IMAGES, target="benign", patch_size=4)
    assert_array_equal(positive.maps, -np.array(negative.maps))
    by_default = explain(binary, IMAGES, patch_size=4)
    signs = np.sign(binary.decision_function(IMAGES))[:, np.newaxis, np.newaxis]
    assert_array_equal(by_default.maps, signs * positive.maps)


class Both(Corner):
    def decision_function(self, X):
        return 100 * self.predict_proba(X)[:, 1]


def test_response_methods_are_tried_in_order():
    both = Both().fit([0, 1])
    given = {"target": 1, "patch_size": 4}
    display = explain(both, IMAGES, **given)
    raw = explain(both, IMAGES, response_method="decision_function", **given)
    assert_allclose(raw.maps, 100 * np.array(display.maps))
    assert (display.score_name, raw.score_name) == ("probability", "decision function")
    order = ["decision_function", "predict_proba"]
    again = explain(both, IMAGES, response_method=order, **given)
    assert_array_equal(again.maps, raw.maps)


def test_images_may_have_any_form(corner, tmp_path):
    sizes = [(12, 16), (9, 20), (16, 8)]
    rng = np.random.default_rng(2)
    arrays = [rng.integers(0, 256, (*size, 3), dtype=np.uint8) for size in sizes]
    grey, alpha = arrays[0][..., 0], np.dstack([arrays[1], arrays[1][..., 0]])
    paths = [tmp_path / f"{k}.png" for k in range(3)]
    for path, pixels in zip(paths, [grey, alpha, arrays[2]], strict=True):
        Image.fromarray(pixels).save(path)
    rgb = [np.dstack([grey] * 3), *arrays[1:]]
    expected = explain(corner, rgb, target="malignant", patch_size=4).maps
    floats = rgb[2] / 255
    for X in (paths, [grey, alpha, arrays[2]], [grey, alpha, floats]):
        display = explain(corner, X, target="malignant", patch_size=4)
        for heat, image, other, size in zip(
            display.maps, display.images, expected, sizes, strict=True
        ):
            assert heat.shape == image.shape[:2] == size
            assert_array_equal(heat, other)


def test_a_patch_has_the_mean_colour_of_its_image(corner):
    explain(corner, IMAGES[:1], patch_size=4)
    batch = np.concatenate(corner.batches_)
    mean = np.rint(IMAGES[0].mean(axis=(0, 1)))
    assert_array_equal(batch[0], IMAGES[0])
    assert_array_equal(batch[1, :4, :4], np.broadcast_to(mean, (4, 4, 3)))
    assert_array_equal(batch[1, 4:], IMAGES[0, 4:])
    assert_array_equal(batch[1, :, 4:], IMAGES[0, :, 4:])


def test_a_blurred_patch_has_the_colours_around_it(corner):
    image = np.full((1, 32, 32, 3), 100, dtype=np.uint8)
    assert not np.any(explain(corner, image, fill="blur").maps)
    image[0, :, 16:] = 200
    corner.batches_.clear()
    explain(corner, image, patch_size=8, stride=8, fill="blur")
    hidden = np.concatenate(corner.batches_)[1:]
    far, near = hidden[0, 0, 0], hidden[2, 0, 16]  # beside the edge
    assert_array_equal(far, 100)
    assert (near > 130).all()
    assert (near < 170).all()


class Sum(Base):
    def predict_proba(self, X):
        return [np.ones((len(X), 2))]


class Pairs(Base):
    def decision_function(self, X):
        return np.ones((len(X), 6))


class Wrong(Base):
    def decision_function(self, X):
        return np.full(len(X), np.nan)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"patch_size": 0}, ValueError, "patch_size=0 must be"),
        ({"patch_size": 1.5}, ValueError, "patch_size=1.5 must be"),
        ({"patch_size": True}, ValueError, "patch_size=True must be"),
        ({"patch_size": 13}, ValueError, r"patch_size=13 .* X\[0\]"),
        ({"patch_size": 4, "stride": 5}, ValueError, "stride=5 .* gaps"),
        ({"stride": "a"}, ValueError, "stride='a' must be"),
        ({"fill": "grey"}, ValueError, "fill='grey' must be"),
        ({"fill": (0, 0, 256)}, ValueError, r"fill=\(0, 0, 256\) must be"),
        ({"fill": (0, 0)}, ValueError, r"fill=\(0, 0\) must be"),
        ({"fill": [[0], [0, 0]]}, ValueError, "fill=.* must be"),
        ({"fill": (0.5, 0.5, 0.5)}, ValueError, "fill=.* must be"),
        ({"target": "nevus"}, ValueError, "target='nevus' is not one of the classes"),
        ({"target": [[0], [0, 0]]}, ValueError, "target=.* is not one of the classes"),
        ({"batch_size": 0}, ValueError, "batch_size == 0, must be >= 1"),
        ({"response_method": "predict"}, ValueError, "response_method='predict'"),
        ({"response_method": 5}, ValueError, "response_method=5 must be"),
        ({"response_method": [[1]]}, ValueError, "response_method=.* must be"),
        ({"X": []}, ValueError, "X"),
        ({"X": ["missing.png"]}, FileNotFoundError, "missing.png"),
    ],
)
def test_wrong_arguments_are_named_before_any_prediction(corner, given, error, message):
    given = {"X": IMAGES} | given
    with pytest.raises(error, match=message):
        explain(corner, given.pop("X"), **given)
    assert corner.batches_ == []


@pytest.mark.parametrize(
    ("estimator", "error", "message"),
    [
        (Corner(), NotFittedError, "Corner"),
        (Base().fit([0, 1]), TypeError, "Base has no predict_proba and no decision"),
        (SIFTDescriptor(), TypeError, "SIFTDescriptor"),
        (Sum().fit([0, 1]), ValueError, "predict_proba of Sum returned a list"),
        (Pairs().fit([0, 1, 2, 3]), ValueError, "shape .*6.* 4 classes"),
        (Wrong().fit([0, 1]), ValueError, "Wrong returned NaN"),
    ],
)
def test_estimators_without_a_score_for_each_class_are_refused(
    estimator, error, message
):
    with pytest.raises(error, match=message):
        explain(estimator, IMAGES, patch_size=4)


def test_plots_have_a_common_scale_in_units_of_the_score(corner):
    titles = ["one", "two"]
    maps = [np.zeros((12, 16)), np.zeros((12, 16))]
    maps[0][:4], maps[1][:2] = -0.4, 0.1
    display = OcclusionDisplay(
        IMAGES[:2], maps, titles=titles, score_name="probability"
    )
    assert display.plot(max_cols=1) is display
    assert [axis.get_title() for axis in display.axes_] == titles
    for axis, overlay, heat in zip(display.axes_, display.overlays_, maps, strict=True):
        assert axis.images[1] is overlay
        assert overlay.get_clim() == (-0.4, 0.4)
        assert_array_equal(overlay.get_array(), heat)
        assert overlay.get_alpha() == 0.6
    for axis, image in zip(display.axes_, IMAGES, strict=False):
        grey = axis.images[0].get_array()
        assert_allclose(grey, np.dstack([image.mean(axis=2)] * 3), atol=1)
    assert "probability" in display.colorbar_.ax.get_ylabel()
    again = display.plot(
        ax=display.axes_, colorbar=False, cmap="PiYG", im_kw={"vmax": 1, "alpha": 0.5}
    )
    assert again.colorbar_ is None
    assert again.overlays_[0].get_clim() == (-0.4, 1)
    assert again.overlays_[0].get_alpha() == 0.5
    norm = CenteredNorm()
    assert display.plot(im_kw={"norm": norm}).overlays_[0].norm is norm
    _, axes = plt.subplots(1, 2)
    one = explain(corner, IMAGES[:1], patch_size=4, ax=axes[1])
    assert one.axes_[0] is axes[1]


def test_a_map_of_zeros_shows_the_image():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        display = OcclusionDisplay(IMAGES[:1], [np.zeros((12, 16))]).plot()
        display.figure_.canvas.draw()
    assert display.overlays_[0].get_clim() == (-1, 1)


def test_the_whole_pipeline_of_visual_words_runs():
    """Only one half of the images differs between the classes."""
    rng = np.random.default_rng(3)
    X = np.full((12, 32, 64, 3), 128, dtype=np.uint8)
    y = np.tile(["plain", "rough"], 6)
    X[y == "rough", :, 32:] = rng.integers(0, 256, (6, 32, 32, 1))
    grid = SIFTDescriptor(detector="grid", grid_step=8, grid_sizes=(8,))
    bovw = BoVWSIFTTransformer(4, descriptor=grid, random_state=0)
    pipeline = make_pipeline(bovw, SVC()).fit(X, y)
    display = explain(
        pipeline, X[1:2], target="rough", patch_size=16, fill=(128, 128, 128)
    )
    assert display.score_name == "decision function"
    left, right = display.maps[0][:, :16], display.maps[0][:, 48:]
    assert (right > 0).all()
    assert_allclose(left, 0, atol=1e-7)


@pytest.mark.parametrize(
    "display", [OcclusionDisplay, VisualWordsDisplay, GradCAMDisplay]
)
def test_displays_refuse_models_of_tables(display):
    table = pd.DataFrame({"path": ["a.png", "b.png"], "age": [40, 50]})
    columns = ColumnTransformer([("age", "passthrough", ["age"])])
    pipeline = make_pipeline(columns, SVC()).fit(table, [0, 1])
    for X in (table, table["path"]):
        with pytest.raises(TypeError, match=r"can be explained\..*cross_val_table"):
            display.from_estimator(pipeline, X)

"""Predictions of masks by several views of each image."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import copy
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone

from skinest.metrics import dice_score
from tests.turns import BACK, BY_NUMBER

from .conftest import fit_known, hash_weights, make_noise, make_pairs, make_small

FORMS = {
    "stretched": (2, (16, 24), False),
    "padded, three labels": (3, (16, 16), True),
}


@pytest.fixture(scope="module")
def ragged():
    sizes = [(20, 24), (31, 17), (16, 12), (24, 16), (9, 40), (2, 2)]
    return [make_pairs(1, sides, seed=i)[0][0] for i, sides in enumerate(sizes)]


@pytest.fixture(scope="module", params=FORMS)
def noise(request):
    """Fit a segmenter whose network predicts anything."""
    n_classes, size, pad = FORMS[request.param]
    settings = {"image_size": size, "pad_to_aspect_ratio": pad, "epochs": 1}
    pairs = make_pairs(4, (18, 22), n_classes=n_classes)
    return fit_known(make_noise, make_small(**settings), *pairs)


@pytest.fixture(scope="module", params=[None, 0.3], ids=["whole", "tiles"])
def fitted(request, noise):
    return copy.copy(noise).set_params(tile_overlap=request.param)


def by_views(segmenter, n_views):
    """Return the fitted segmenter with another number of views."""
    return copy.copy(segmenter).set_params(n_prediction_views=n_views)


def turn_all(turn, arrays):
    return [turn(array).copy() for array in arrays]


@pytest.mark.parametrize("n_views", BY_NUMBER)
def test_probabilities_are_means_over_views_that_are_turned_back(
    n_views, fitted, ragged
):
    means = [0.0] * len(ragged)
    for turn, back in zip(BY_NUMBER[n_views], BACK[n_views], strict=True):
        assert_array_equal(back(turn(ragged[0])), ragged[0])
        for i, found in enumerate(fitted.predict_proba(turn_all(turn, ragged))):
            means[i] += back(found) / n_views
    several = by_views(fitted, n_views)
    for found, mean, image in zip(
        several.predict_proba(ragged), means, ragged, strict=True
    ):
        assert found.dtype == np.float32
        assert found.shape == (*image.shape[:2], len(fitted.classes_))
        assert_allclose(found, mean, atol=1e-6)
    for found, mean in zip(several.predict(ragged), means, strict=True):
        expected = fitted.classes_[mean.argmax(axis=-1)]
        second, first = np.moveaxis(np.sort(mean, axis=-1)[..., -2:], -1, 0)
        is_sure = first - second > 1e-5
        assert is_sure.mean() > 0.5  # some logits are all 0
        assert_array_equal(found[is_sure], expected[is_sure])


@pytest.mark.parametrize("n_views", [2, 4, 8])
def test_probabilities_turn_with_the_image(n_views, fitted, ragged):
    several = by_views(fitted, n_views)
    expected = several.predict_proba(ragged)
    for turn in BY_NUMBER[n_views][1:]:
        found = several.predict_proba(turn_all(turn, ragged))
        for one, other in zip(found, expected, strict=True):
            assert_array_equal(one, turn(other))


def test_masks_and_crops_turn_with_the_image(noise, ragged):
    several = by_views(noise, 8)
    for method, turn in (("predict", np.rot90), ("transform", np.flipud)):
        found = getattr(several, method)(turn_all(turn, ragged))
        expected = getattr(several, method)(ragged)
        for one, other in zip(found, expected, strict=True):
            assert_array_equal(one, turn(other))


def test_one_view_does_not_turn_with_the_image(noise, ragged):
    expected = noise.predict_proba(ragged)
    for turn in BY_NUMBER[8][1:]:
        found = noise.predict_proba(turn_all(turn, ragged))
        for one, other in zip(found, expected, strict=True):
            assert one.size < 20 or np.abs(one - turn(other)).max() > 1e-3


def test_threshold_and_score_are_of_the_mean(noise, images, masks):
    several = by_views(noise, 4)
    if len(noise.classes_) == 2:
        foreground = several.predict_proba(images)[..., 1]
        threshold = np.quantile(foreground, 0.3, method="nearest")
        several.set_params(threshold=float(threshold))
        assert_array_equal(several.predict(images), foreground > threshold)
    y = masks // 255
    expected = dice_score(
        y, several.predict(images), labels=several.classes_[1:], zero_division=1.0
    )
    assert several.score(images, y) == pytest.approx(expected)


@pytest.mark.slow
def test_training_does_not_depend_on_views(learned, images, masks):
    fitted = make_small(n_prediction_views=8, epochs=1).fit(images, masks)
    one = make_small(epochs=1).fit(images, masks)
    assert hash_weights(fitted) == hash_weights(one)
    stored = pickle.loads(pickle.dumps(fitted))
    assert_array_equal(stored.predict_proba(images), fitted.predict_proba(images))
    assert clone(fitted).n_prediction_views == 8


@pytest.mark.parametrize("value", [0, 3, 16, 2.0, "8", None], ids=str)
def test_a_wrong_number_of_views_is_an_error(value, learned, images):
    says = r"'n_prediction_views' parameter .* among \{1, 2, 4, 8\}\. Got "
    several = by_views(learned, value)
    for method in (several.predict, several.predict_proba, several.transform):
        with pytest.raises(ValueError, match=says):
            method(images)


@pytest.mark.parametrize(
    "settings",
    [
        {"threshold": 1.5},
        {"threshold": 1},
        {"batch_size": 0},
        {"tile_overlap": 1.0},
        {"crop_margin": -0.1},
        {"postprocess": "smallest"},
    ],
    ids=str,
)
def test_what_is_changed_after_fit_is_checked_in_predictions(settings, learned, images):
    (name,) = settings
    changed = copy.copy(learned).set_params(**settings)
    for method in (changed.predict, changed.predict_proba, changed.transform):
        with pytest.raises(ValueError, match=f"'{name}' parameter of UNetSegmenter"):
            method(images)


def test_errors_name_the_image_and_not_the_view(learned, images):
    with pytest.raises(ValueError, match=r"X\[1\] has shape \(1, 24\).* 2 pixels"):
        by_views(learned, 8).predict([images[0], images[0][:1]])


def test_foreground_of_the_mean_is_cropped_from_the_image(learned, images):
    several = by_views(learned, 8)
    masks = several.predict(images)
    for image, mask, crop in zip(images, masks, several.transform(images), strict=True):
        assert crop.shape[0] >= np.any(mask, axis=1).sum()
        assert crop.tobytes() in {
            image[top : top + len(crop), left : left + crop.shape[1]].tobytes()
            for top in range(len(image))
            for left in range(image.shape[1])
        }

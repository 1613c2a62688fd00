# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import functools

import cv2
import numpy as np
import pytest
from sklearn.cluster import MiniBatchKMeans
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from skinest.datasets import make_dermoscopy


@pytest.fixture(scope="module")
def with_masks():
    """Return a function that makes images and masks of a task."""

    @functools.cache
    def make(task):
        side = 64 if task == "streaks" else 128  # in which they are only counted
        return make_dermoscopy(
            240,
            task=task,
            image_size=(side, side),
            malignant_fraction=0.5,
            random_state=0,
        )

    return make


@pytest.fixture(scope="module")
def data(with_masks):
    """Return images and labels, which are the same for all tasks."""
    return with_masks("lesion")


def test_bunch():
    data = make_dermoscopy(n_images=20, image_size=(64, 96), random_state=0)
    assert data.images.shape == (20, 64, 96, 3)
    assert data.images.dtype == np.uint8
    assert data.target.shape == (20,)
    assert data.target.dtype == int
    assert data.target_names == ["benign", "malignant"]
    for fact in ("20 synthetic images of 64 x 96", "16 benign", "4 malignant"):
        assert fact in data.DESCR


def test_defaults():
    images, target = make_dermoscopy(return_X_y=True)
    assert images.shape == (200, 128, 128, 3)
    assert target.sum() == 40


def test_return_X_y_gives_the_arrays_of_the_bunch():
    images, target = make_dermoscopy(n_images=5, random_state=3, return_X_y=True)
    data = make_dermoscopy(n_images=5, random_state=3)
    np.testing.assert_array_equal(images, data.images)
    np.testing.assert_array_equal(target, data.target)


@pytest.mark.parametrize(
    "n_images, fraction, n_malignant",
    [(10, 0.0, 0), (10, 1.0, 10), (7, 0.5, 4), (30, 0.2, 6), (1, 0.2, 0)],
)
def test_number_of_malignant_images_is_exact(n_images, fraction, n_malignant):
    _, target = make_dermoscopy(
        n_images=n_images,
        image_size=(32, 32),
        malignant_fraction=fraction,
        return_X_y=True,
    )
    assert target.sum() == n_malignant


def test_labels_are_shuffled(data):
    n_changes = np.count_nonzero(np.diff(data.target))
    # The number of runs of fair coin tosses: mean n / 2, deviation sqrt(n) / 2.
    assert abs(n_changes - 120) < 4 * np.sqrt(240) / 2


def test_same_seed_same_images():
    first = make_dermoscopy(n_images=6, random_state=7)
    again = make_dermoscopy(n_images=6, random_state=7)
    other = make_dermoscopy(n_images=6, random_state=8)
    np.testing.assert_array_equal(first.images, again.images)
    np.testing.assert_array_equal(first.target, again.target)
    assert not np.array_equal(first.images, other.images)


def test_random_state_instance_is_used_and_advanced():
    random_state = np.random.RandomState(0)
    first = make_dermoscopy(n_images=2, random_state=random_state)
    second = make_dermoscopy(n_images=2, random_state=random_state)
    again = make_dermoscopy(n_images=2, random_state=np.random.RandomState(0))
    np.testing.assert_array_equal(first.images, again.images)
    assert not np.array_equal(first.images, second.images)


def test_no_image_comes_twice(data):
    assert len(np.unique(data.images.reshape(240, -1), axis=0)) == 240


def test_image_depends_on_seed_index_and_label_only():
    options = {"image_size": (32, 32), "malignant_fraction": 0.3, "random_state": 1}
    few = make_dermoscopy(n_images=40, **options)
    many = make_dermoscopy(n_images=90, **options)
    same = few.target == many.target[:40]
    assert 30 <= same.sum()
    np.testing.assert_array_equal(few.images[same], many.images[:40][same])


def test_larger_malignant_fraction_only_adds_malignant_images():
    options = {"n_images": 50, "image_size": (32, 32), "random_state": 1}
    low = make_dermoscopy(malignant_fraction=0.2, **options)
    high = make_dermoscopy(malignant_fraction=0.6, **options)
    assert np.all(high.target[low.target == 1] == 1)
    same = low.target == high.target
    np.testing.assert_array_equal(low.images[same], high.images[same])


def test_same_scenes_at_every_size():
    small = make_dermoscopy(n_images=8, random_state=2).images
    large = make_dermoscopy(n_images=8, image_size=(256, 256), random_state=2).images
    for a, b in zip(small, large, strict=True):
        b = cv2.resize(b, (128, 128), interpolation=cv2.INTER_AREA)
        assert np.corrcoef(a.ravel(), b.ravel())[0, 1] > 0.97


@pytest.mark.parametrize("random_state", [None, 0])
def test_global_numpy_state_is_neither_read_nor_changed(random_state):
    np.random.seed(0)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    first = make_dermoscopy(n_images=2, random_state=random_state).images
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002
    np.random.seed(0)  # noqa: NPY002
    second = make_dermoscopy(n_images=2, random_state=random_state).images
    assert np.array_equal(first, second) == (random_state is not None)


@pytest.mark.parametrize(
    "wrong",
    [
        {"n_images": 0},
        {"n_images": 2.5},
        {"task": "prognosis"},
        {"malignant_fraction": 1.5},
        {"malignant_fraction": -0.1},
        {"image_size": 128},
        {"image_size": (128,)},
        {"image_size": (128, 31)},
        {"image_size": (128.0, 128)},
        {"random_state": "seed"},
        {"return_X_y": "yes"},
    ],
)
def test_wrong_arguments(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        make_dermoscopy(**wrong)


def measure_asymmetry(image, mask):
    """Measure the share of the lesion that changes when it is turned by half."""
    moments = cv2.moments(mask, binaryImage=True)
    x, y = moments["m10"] / moments["m00"], moments["m01"] / moments["m00"]
    half_turn = np.array([[-1, 0, 2 * x], [0, -1, 2 * y]])
    turned = cv2.warpAffine(mask, half_turn, mask.shape[::-1])
    return 1 - np.count_nonzero(mask & turned) / np.count_nonzero(mask | turned)


def measure_border(image, mask):
    """Measure the share of its convex hull that the lesion leaves free."""
    outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    outline = max(outlines, key=cv2.contourArea)
    return 1 - cv2.contourArea(outline) / cv2.contourArea(cv2.convexHull(outline))


def measure_colours(image, mask):
    """Measure the spread of the colours in the lesion."""
    return cv2.cvtColor(image, cv2.COLOR_RGB2LAB)[mask > 0].std(axis=0).sum()


def measure_streaks(image, mask):
    return np.count_nonzero(mask)


@pytest.mark.slow
@pytest.mark.parametrize(
    "task, measure",
    [
        ("lesion", measure_asymmetry),
        ("lesion", measure_border),
        ("lesion", measure_colours),
        ("streaks", measure_streaks),
    ],
)
def test_signs_of_malignancy_tend_to_be_stronger_in_malignant_lesions(
    task, measure, with_masks
):
    data = with_masks(task)
    values = list(map(measure, data.images, data.masks))
    assert 0.6 < roc_auc_score(data.target, values) < 0.98


def test_lesion_is_darker_than_skin(data):
    grey = data.images.mean(axis=-1)
    centre, frame = grey[:, 56:72, 56:72], grey[:, 16:112, 16:112].copy()
    frame[:, 16:-16, 16:-16] = np.nan
    darker = centre.mean(axis=(1, 2)) < np.nanmean(frame, axis=(1, 2))
    assert darker.mean() > 0.9


@pytest.fixture(scope="module")
def descriptors(data):
    """Return SIFT descriptors of each image."""
    sift = cv2.SIFT_create()
    found = []
    for image in data.images:
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        _, values = sift.detectAndCompute(grey, None)
        found.append(np.empty((0, 128)) if values is None else values)
    return found


def _cross_validated_auc(features, target):
    scores = cross_val_predict(
        make_pipeline(StandardScaler(), SVC(class_weight="balanced")),
        features,
        target,
        cv=StratifiedKFold(5, shuffle=True, random_state=0),
        method="decision_function",
    )
    return roc_auc_score(target, scores)


def test_sift_finds_keypoints(descriptors):
    n_keypoints = np.array([len(values) for values in descriptors])
    assert (n_keypoints >= 20).mean() > 0.9


@pytest.mark.slow
def test_visual_words_tell_the_classes_apart_but_not_perfectly(data, descriptors):
    vocabulary = MiniBatchKMeans(100, n_init=1, random_state=0)
    vocabulary.fit(np.vstack(descriptors))
    words = [
        np.bincount(vocabulary.predict(d), minlength=100) / len(d) for d in descriptors
    ]
    assert 0.8 < _cross_validated_auc(np.array(words), data.target) < 0.97


def test_mean_colour_does_not_tell_the_classes_apart(data):
    colours = data.images.mean(axis=(1, 2))
    assert _cross_validated_auc(colours, data.target) < 0.75

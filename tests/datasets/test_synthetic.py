# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import subprocess
import sys

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
from skinest.datasets._synthetic_layers import Canvas, lesion_depth, lesion_mask
from skinest.datasets._synthetic_scene import draw_scene


@pytest.fixture(scope="module")
def data():
    return make_dermoscopy(n_images=240, malignant_fraction=0.5, random_state=0)


def test_bunch():
    data = make_dermoscopy(n_images=20, image_size=(64, 96), random_state=0)
    assert data.images.shape == (20, 64, 96, 3)
    assert data.images.dtype == np.uint8
    assert data.target.shape == (20,)
    assert data.target.dtype == int
    assert data.target_names == ["benign", "malignant"]
    for fact in ("20 drawn images of 64 x 96", "16 benign", "4 malignant"):
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


def test_no_image_is_drawn_twice(data):
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


def test_signs_of_malignancy_tend_to_be_stronger_in_malignant_scenes():
    rng = np.random.default_rng(0)
    scenes = [[draw_scene(rng, malignant) for _ in range(300)] for malignant in (0, 1)]
    signs = {
        "asymmetry": lambda scene: np.abs(scene.harmonics[:4]).sum(),
        "border": lambda scene: np.abs(scene.harmonics[4:]).sum(),
        "colours": lambda scene: len({patch[0] for patch in scene.patches}),
        "network": lambda scene: scene.network_warp,
        "streaks": lambda scene: len(scene.streak_angles),
    }
    for name, sign in signs.items():
        values = np.array([sign(scene) for scene in scenes[0] + scenes[1]])
        auc = roc_auc_score(np.repeat([0, 1], 300), values)
        assert 0.6 < auc < 0.98, name


def test_lesion_is_darker_than_skin(data):
    grey = data.images.mean(axis=-1)
    centre, frame = grey[:, 56:72, 56:72], grey[:, 16:112, 16:112].copy()
    frame[:, 16:-16, 16:-16] = np.nan
    darker = centre.mean(axis=(1, 2)) < np.nanmean(frame, axis=(1, 2))
    assert darker.mean() > 0.9


def test_lesion_mask_is_one_half_on_the_border():
    rng = np.random.default_rng(0)
    scene = draw_scene(rng, malignant=False)
    depth = lesion_depth(Canvas(64, 80), scene, rng)
    mask = lesion_mask(depth, scene)
    assert mask.shape == (64, 80)
    assert mask.min() >= 0 and mask.max() <= 1
    np.testing.assert_array_equal(mask > 0.5, depth > 0)
    assert 0.03 < (mask > 0.5).mean() < 0.9


def test_noise_is_smooth_and_the_same_at_every_size():
    small = Canvas(64, 64).noise(np.random.default_rng(0), 8)
    large = Canvas(128, 128).noise(np.random.default_rng(0), 8)
    np.testing.assert_allclose(
        small, large.reshape(64, 2, 64, 2).mean(axis=(1, 3)), atol=0.05
    )
    assert np.abs(np.diff(large)).max() < 0.5


def test_strokes_thinner_than_a_pixel_are_paler():
    canvas = Canvas(64, 64)
    line = [[-0.5, 0.0], [0.5, 0.0]]
    full, half = canvas.strokes([line], [1 / 32]), canvas.strokes([line], [0.5 / 32])
    np.testing.assert_allclose(half.sum(), full.sum() / 2, rtol=0.05)
    assert full.shape == (64, 64)
    assert full.max() <= 1
    assert full[:20].max() == 0


def test_discs_have_their_area_and_place():
    canvas = Canvas(100, 120)
    field = canvas.discs(np.array([[0.4, -0.2]]), [0.25])
    np.testing.assert_allclose(field.sum(), np.pi * (0.25 * 50) ** 2, rtol=0.1)
    np.testing.assert_allclose((field * canvas.x).sum() / field.sum(), 0.4, atol=0.02)
    np.testing.assert_allclose((field * canvas.y).sum() / field.sum(), -0.2, atol=0.02)


def _sift(images):
    sift = cv2.SIFT_create()
    found = []
    for image in images:
        _, descriptors = sift.detectAndCompute(
            cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), None
        )
        found.append(np.empty((0, 128)) if descriptors is None else descriptors)
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


def test_sift_finds_keypoints(data):
    n_keypoints = np.array([len(descriptors) for descriptors in _sift(data.images)])
    assert (n_keypoints >= 20).mean() > 0.9


def test_visual_words_tell_the_classes_apart_but_not_perfectly(data):
    descriptors = _sift(data.images)
    vocabulary = MiniBatchKMeans(100, n_init=1, random_state=0)
    vocabulary.fit(np.vstack(descriptors))
    words = [
        np.bincount(vocabulary.predict(d), minlength=100) / len(d) for d in descriptors
    ]
    assert 0.8 < _cross_validated_auc(np.array(words), data.target) < 0.97


def test_mean_colour_does_not_tell_the_classes_apart(data):
    colours = data.images.mean(axis=(1, 2))
    assert _cross_validated_auc(colours, data.target) < 0.75


def test_import_is_light():
    code = (
        "import sys, sklearn.utils._param_validation; "
        "before = set(sys.modules); "
        "import skinest.datasets as d; "
        "d.make_dermoscopy, d.fetch_isic2016_part3, d.get_data_home; "
        "heavy = {'cv2', 'matplotlib', 'pandas', 'pooch', 'rich', 'tensorflow'}; "
        "print(sorted(heavy & (set(sys.modules) - before)))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "[]"

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from dataclasses import replace

import cv2
import numpy as np
import pytest
from sklearn.metrics import f1_score
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from skinest import BoVWSIFTTransformer
from skinest.datasets import make_dermoscopy

from .scenes import get_positions, render, sample

NAMES = ["MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC"]
# Tschandl et al. 2018.
HAM10000_COUNTS = [1113, 6705, 514, 327, 1099, 115, 142]
N_SCENES = 100


@pytest.fixture(scope="module")
def data():
    return make_dermoscopy(
        280, task="diagnosis", class_shares="balanced", random_state=0
    )


@pytest.fixture(scope="module")
def scenes():
    """Return scenes of each diagnosis, by its name."""
    sampled = sample(np.repeat(range(7), N_SCENES), task="diagnosis")
    return {
        name: sampled[i * N_SCENES : (i + 1) * N_SCENES] for i, name in enumerate(NAMES)
    }


# What is returned --------------------------------------------------------------


def test_bunch():
    data = make_dermoscopy(100, task="diagnosis", image_size=(32, 48), random_state=0)
    assert data.images.shape == (100, 32, 48, 3)
    assert data.images.dtype == np.uint8
    assert data.target.dtype == int
    assert data.target_names == NAMES
    assert "masks" not in data
    for fact in (
        "100 synthetic images of 32 x 48",
        "11 MEL, 67 NV, 5 BCC, 3 AKIEC, 11 BKL, 1 DF, 2 VASC",
        f"show {len(set(data.groups))} lesions",
    ):
        assert fact in data.DESCR
    images, target = make_dermoscopy(
        100, task="diagnosis", image_size=(32, 48), random_state=0, return_X_y=True
    )
    np.testing.assert_array_equal(images, data.images)
    np.testing.assert_array_equal(target, data.target)


@pytest.mark.parametrize(
    "n_images, shares, counts",
    [
        (100, [11, 67, 5, 3, 11, 1, 2], [11, 67, 5, 3, 11, 1, 2]),
        # By hand: the largest remainders of 11.11, 66.95, 5.13, 3.27, 10.97, 1.15
        # and 1.42 are those of BKL, NV and VASC.
        (100, HAM10000_COUNTS, [11, 67, 5, 3, 11, 1, 2]),
        # Of 2.22, 13.39, 1.03, 0.65, 2.20, 0.23, 0.28 those of AKIEC and NV; then
        # DF and VASC take one each from NV.
        (20, HAM10000_COUNTS, [2, 12, 1, 1, 2, 1, 1]),
        (7, HAM10000_COUNTS, [1] * 7),
        (1, HAM10000_COUNTS, [0, 1, 0, 0, 0, 0, 0]),
        (16, np.ones(7), [3, 3, 2, 2, 2, 2, 2]),
        (10, [0, 9.0, 0, 0, 0, 0, 0.5], [0, 9, 0, 0, 0, 0, 1]),
        (51, None, [6, 33, 3, 2, 5, 1, 1]),
        (51, "balanced", [8, 8, 7, 7, 7, 7, 7]),
        (51, [1, 0, 0, 0, 0, 0, 1.5], [20, 0, 0, 0, 0, 0, 31]),
        # Whose sums are too large for their types.
        (51, [2**63] * 7, [8, 8, 7, 7, 7, 7, 7]),
        (51, [1e308] * 7, [8, 8, 7, 7, 7, 7, 7]),
        (51, np.full(7, 60_000, dtype=np.float16), [8, 8, 7, 7, 7, 7, 7]),
    ],
)
def test_number_of_images_of_each_class(n_images, shares, counts):
    _, target = make_dermoscopy(
        n_images,
        task="diagnosis",
        image_size=(32, 32),
        class_shares=shares,
        random_state=0,
        return_X_y=True,
    )
    assert np.bincount(target, minlength=7).tolist() == counts


@pytest.mark.parametrize(
    "wrong",
    [
        "equal",
        [1, 1],
        [0] * 7,
        [1, 1, 1, 1, 1, 1, -1],
        [1, 1, 1, 1, 1, 1, np.nan],
        NAMES,
    ],
)
def test_wrong_class_shares(wrong):
    with pytest.raises(ValueError, match="class_shares"):
        make_dermoscopy(task="diagnosis", class_shares=wrong)


@pytest.mark.parametrize(
    "options, advice",
    [
        (
            {"task": "diagnosis", "malignant_fraction": 0.5},
            "malignant_fraction .* pass class_shares",
        ),
        (
            {"task": "globules", "class_shares": "balanced"},
            "class_shares .* pass malignant_fraction",
        ),
    ],
)
def test_shares_of_another_task(options, advice):
    with pytest.raises(ValueError, match=advice):
        make_dermoscopy(**options)


# What the images depend on -----------------------------------------------------


def test_same_seed_same_images():
    options = {"task": "diagnosis", "image_size": (32, 32), "class_shares": "balanced"}
    first, again, other = (
        make_dermoscopy(21, random_state=seed, **options) for seed in (7, 7, 8)
    )
    np.testing.assert_array_equal(first.images, again.images)
    np.testing.assert_array_equal(first.target, again.target)
    np.testing.assert_array_equal(first.groups, again.groups)
    assert not np.array_equal(first.images, other.images)


def test_larger_n_images_begins_with_almost_the_same_images():
    options = {"task": "diagnosis", "image_size": (32, 32), "random_state": 1}
    few, many = make_dermoscopy(80, **options), make_dermoscopy(120, **options)
    same = (few.target == many.target[:80]) & (few.groups == many.groups[:80])
    assert same.mean() > 0.8
    np.testing.assert_array_equal(few.images[same], many.images[:80][same])


def test_melanomas_and_nevi_are_those_of_malignancy():
    options = {"image_size": (32, 32), "random_state": 1, "images_per_lesion": 1}
    both = [1, 1, 0, 0, 0, 0, 0]
    diagnoses = make_dermoscopy(30, task="diagnosis", class_shares=both, **options)
    malignancy = make_dermoscopy(30, malignant_fraction=0.5, **options)
    np.testing.assert_array_equal(diagnoses.images, malignancy.images)
    np.testing.assert_array_equal(diagnoses.target, 1 - malignancy.target)


def test_same_scenes_at_every_size():
    options = {"task": "diagnosis", "class_shares": "balanced", "random_state": 2}
    small = make_dermoscopy(28, **options).images
    large = make_dermoscopy(28, image_size=(256, 256), **options).images
    for a, b in zip(small, large, strict=True):
        b = cv2.resize(b, (128, 128), interpolation=cv2.INTER_AREA)
        assert np.corrcoef(a.ravel(), b.ravel())[0, 1] > 0.95


# Criteria ----------------------------------------------------------------------


def has_marks(scene, colour):
    """Tell whether a scene has discs or lines of a colour, or coloured areas."""
    return any(
        marks.colour.endswith(colour) and len(marks.sizes) for marks in scene.marks
    ) or any(patch[0] == colour for patch in scene.patches)


@pytest.mark.parametrize(
    "name, criteria",
    [
        ("BCC", ["vessel", "nest", "leaf", "ulcer"]),
        ("AKIEC", ["scale", "follicle", "vessel"]),
        ("BKL", ["cyst", "plug"]),
        ("VASC", ["lacuna"]),
    ],
)
def test_criteria_are_seen_in_their_diagnosis_alone(scenes, name, criteria):
    for colour in criteria:
        shares = {
            other: np.mean([has_marks(scene, colour) for scene in scenes[other]])
            for other in NAMES
        }
        assert 0.1 < shares[name], colour
        if colour != "vessel":
            assert sum(shares.values()) == shares[name], colour
    shown = [any(has_marks(scene, c) for c in criteria) for scene in scenes[name]]
    assert np.mean(shown) > 0.8


def test_only_melanocytic_lesions_and_dermatofibromas_have_a_network(scenes):
    for name, sampled in scenes.items():
        has_network = np.mean([scene.network > 0 for scene in sampled])
        assert has_network == (name in ("MEL", "NV", "DF"))


def test_only_melanocytic_lesions_have_globules_and_streaks(scenes):
    for name, sampled in scenes.items():
        for values in ("globule_centres", "streak_angles"):
            shown = any(len(getattr(scene, values)) for scene in sampled)
            assert shown == (name in ("MEL", "NV"))


def compute_centre_and_ring(scene):
    """Compute the mean colours of the centre, and of the ring around it."""
    image, _ = render(scene)
    x, y = get_positions((128, 128))
    distance = np.hypot(x - scene.centre[0], y - scene.centre[1])
    centre = distance < 0.3 * scene.radius
    ring = (distance > 0.5 * scene.radius) & (distance < 0.8 * scene.radius)
    return image[centre].mean(axis=0), image[ring].mean(axis=0)


def test_dermatofibromas_are_pale_in_the_centre_and_others_are_not(scenes):
    paler = {}
    for name in ("NV", "DF"):
        means = [compute_centre_and_ring(scene) for scene in scenes[name]]
        paler[name] = np.mean([centre.mean() > ring.mean() for centre, ring in means])
    assert paler["DF"] > 0.5
    assert paler["NV"] < 0.1


def test_vascular_lesions_are_the_most_pink_and_pigmented_ones_the_least(scenes):
    # Blood absorbs more of green than of blue light, melanin less.
    pink = {}
    for name in NAMES:
        colours = [compute_centre_and_ring(scene)[1] for scene in scenes[name][:40]]
        pink[name] = np.median([blue / green for _, green, blue in colours])
    assert max(pink, key=pink.get) == "VASC"
    assert min(pink["BCC"], pink["AKIEC"]) > max(pink["MEL"], pink["NV"], pink["BKL"])


def test_benign_keratoses_have_the_sharpest_border(scenes):
    widths = {name: np.mean([s.border_width for s in scenes[name]]) for name in NAMES}
    assert min(widths, key=widths.get) == "BKL"


def test_nests_are_blue_grey(scenes):
    scene = next(scene for scene in scenes["BCC"] if has_marks(scene, "nest"))
    nests = next(marks for marks in scene.marks if marks.colour == "nest")
    bare = replace(scene, marks=(), hair_points=scene.hair_points[:0], vignette=0.0)
    image, _ = render(replace(bare, marks=(replace(nests, opacity=1.0),)))
    changed = np.abs(image.astype(int) - render(bare)[0]).sum(axis=2)
    red, green, blue = image[changed > 0.9 * changed.max()].mean(axis=0)
    assert blue > max(red, green)


# Learning ----------------------------------------------------------------------


def colour_histograms(images):
    """Compute square roots of histograms of L, a and b, of the middle and of all."""
    histograms = []
    for image in images:
        lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB)
        parts = lab[32:96, 32:96], lab
        histograms.append(
            [
                np.histogram(part[..., i], 16, (0, 256))[0]
                for part in parts
                for i in range(3)
            ]
        )
    return np.sqrt(np.reshape(histograms, (len(images), -1)))


def macro_f1(features, target, groups):
    predicted = cross_val_predict(
        make_pipeline(StandardScaler(), SVC(C=3, class_weight="balanced")),
        features,
        target,
        cv=StratifiedGroupKFold(4, shuffle=True, random_state=0),
        groups=groups,
    )
    return f1_score(target, predicted, average="macro")


# The majority rule has a macro F1 of 2 * (1 / 7) / (1 + 1 / 7) / 7 = 0.036.


@pytest.mark.slow
def test_colours_tell_the_diagnoses_apart_but_not_perfectly(data):
    features = colour_histograms(data.images)
    assert 0.4 < macro_f1(features, data.target, data.groups) < 0.8


@pytest.mark.slow
def test_visual_words_tell_the_diagnoses_apart_but_not_perfectly(data):
    words = BoVWSIFTTransformer(60, random_state=0).fit_transform(data.images[:140])
    assert 0.3 < macro_f1(words, data.target[:140], data.groups[:140]) < 0.8

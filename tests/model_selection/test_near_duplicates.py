"""The same photograph is found after usual changes, and other images are not."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import cv2
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator, TransformerMixin

from skinest.datasets import make_dermoscopy
from skinest.images import check_images
from skinest.model_selection import (
    NearDuplicates,
    _fingerprints,
    check_split,
    duplicate_groups,
    find_near_duplicates,
)

N_IMAGES = 10


@pytest.fixture(scope="module")
def images():
    """Make images of different lesions."""
    return make_dermoscopy(N_IMAGES, image_size=(96, 128), random_state=0).images


def compress(image, quality=50):
    _, content = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return cv2.imdecode(content, cv2.IMREAD_COLOR)


CHANGES = {
    "half the size": (lambda image: cv2.resize(image, (64, 48)), "same"),
    "square": (lambda image: cv2.resize(image, (96, 96)), "same"),
    "compressed": (compress, "same"),
    "brighter": (lambda image: cv2.convertScaleAbs(image, None, 0.9, 15), "same"),
    "cropped": (lambda image: image[4:90, 10:], "same"),
    "mirrored": (lambda image: image[:, ::-1], "horizontal flip"),
    "upside down": (lambda image: image[::-1, ::-1], "half turn"),
    "to the right": (lambda image: np.rot90(image, -1), "quarter turn right"),
    "to the left": (lambda image: np.rot90(image), "quarter turn left"),
    "grey": (lambda image: image.mean(axis=2).astype(np.uint8), "same"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_image_is_found_and_no_other(change, images):
    make, view = CHANGES[change]
    changed = np.ascontiguousarray(make(images[3]))
    found = find_near_duplicates([*images, changed])
    assert_array_equal(found.pairs, [[3, N_IMAGES]])
    assert found.views.tolist() == [view]
    assert 0.75 <= found.scores[0] <= 1


def test_images_without_a_fifth_of_their_sides_are_found_and_no_others(images):
    cropped = [image[:77, 13:115] for image in images]
    found = find_near_duplicates(images, cropped)
    assert sorted(found.pairs.tolist()) == [[k, k] for k in range(N_IMAGES)]


@pytest.mark.parametrize("share", [0.965, 0.93, 0.84, 0.79])
def test_scores_of_crops_do_not_fall_between_the_sides_that_are_tried(share):
    images = make_dermoscopy(4, image_size=(150, 200), random_state=3).images
    height, width = round(150 * share), round(200 * share)
    top, left = (150 - height) // 2, (200 - width) // 2
    cropped = [image[top : top + height, left : left + width] for image in images]
    found = find_near_duplicates(images, cropped)
    assert sorted(found.pairs.tolist()) == [[k, k] for k in range(4)]
    assert found.scores.min() > 0.78


def test_pairs_of_two_sets(images):
    others = [images[4][::-1], images[0]]
    found = find_near_duplicates(images, others)
    assert_array_equal(found.pairs, [[0, 1], [4, 0]])
    assert found.views.tolist() == ["same", "vertical flip"]
    assert_allclose(found.scores, 1, atol=1e-5)
    assert len(find_near_duplicates(images[:4], images[4:])) == 0
    assert found.to_frame().columns.tolist() == ["first", "second", "score", "view"]


def test_the_view_turns_the_first_image_of_a_pair(images):
    for first, second, view in (
        (images[0], np.rot90(images[0]), "quarter turn left"),
        (np.rot90(images[0]), images[0], "quarter turn right"),
    ):
        for found in (
            find_near_duplicates([first, second]),
            find_near_duplicates([first], [second]),
        ):
            assert found.views.tolist() == [view]


def test_blocks_and_threads_change_nothing(images, monkeypatch):
    X = [*images, *(image[::-1] for image in images[:4]), images[0][:, 5:]]
    expected = find_near_duplicates(X)
    assert len(expected) == 6
    monkeypatch.setattr(_fingerprints, "_QUERIES", 4)
    monkeypatch.setattr(_fingerprints, "_SEARCHED", 3)
    for n_jobs in (None, 2):
        found = find_near_duplicates(X, n_jobs=n_jobs)
        assert_array_equal(found.pairs, expected.pairs)
        assert_array_equal(found.scores, expected.scores)


def test_files_are_read_once_and_bad_ones_are_named(images, tmp_path, monkeypatch):
    paths = [tmp_path / f"{number}.png" for number in range(3)]
    for path, image in zip(paths, [images[0], images[1], images[0]], strict=True):
        cv2.imwrite(str(path), image)
    read = []
    original = type(check_images(paths)).__getitem__
    monkeypatch.setattr(
        "skinest.images.ImageCollection.__getitem__",
        lambda self, index: read.append(index) or original(self, index),
    )
    assert_array_equal(find_near_duplicates(paths).pairs, [[0, 2]])
    assert sorted(read) == [0, 1, 2]
    paths[1].write_text("not an image")
    with pytest.raises(ValueError, match=r"Y\[1\]: .*1\.png"):
        find_near_duplicates(images[:2], paths)


def test_images_without_details_are_not_alike():
    blank = np.full((5, 32, 32), [[[10]], [[20]], [[20]], [[30]], [[90]]], np.uint8)
    found = find_near_duplicates(blank)
    assert np.isfinite(found.scores).all()
    assert len(found) == 0


class Colours(TransformerMixin, BaseEstimator):
    """Quantiles of the colours, as features."""

    def fit(self, X, y=None):
        self.n_fitted_ = len(X)
        return self

    def transform(self, X):
        shares = np.linspace(0.02, 0.98, 9)
        return np.array([np.quantile(i, shares, axis=(0, 1)).ravel() for i in X])


def rotate(image, degrees):
    height, width = image.shape[:2]
    warp = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1)
    return cv2.warpAffine(image, warp, (width, height), borderMode=cv2.BORDER_REPLICATE)


def test_an_extractor_finds_copies_that_were_changed_more(images):
    X = [*images, rotate(images[2], 5), images[3][::-1]]
    plain = find_near_duplicates(X)
    assert_array_equal(plain.pairs, [[3, 11]])
    assert plain.feature_similarities is None
    for extractor in (Colours(), Colours().fit(X)):
        options = {"extractor": extractor, "feature_threshold": 0.9}
        found = find_near_duplicates(X, **options)
        assert_array_equal(found.pairs, [[3, 11], [2, 10]])
        assert found.scores[1] < 0.75
        assert (found.feature_similarities > 0.9).all()
        assert "feature_similarity" in found.to_frame()
    found = find_near_duplicates(X, candidate_threshold=0.69, **options)
    assert_array_equal(found.pairs, [[3, 11]])
    assert len(find_near_duplicates(images, **options)) == 0


def test_features_decide_below_the_threshold_only(images):
    red = images[1].copy()
    red[..., 0] = 255 - red[..., 0] // 4
    X = [*images, red]
    options = {"extractor": Colours(), "feature_threshold": 0.9}
    found = find_near_duplicates(X, **options)
    assert_array_equal(found.pairs, [[1, 10]])
    assert found.feature_similarities[0] < 0.9
    assert len(find_near_duplicates(X, threshold=1, **options)) == 0


def test_features_of_one_pair_of_two_images_are_not_opposite(images):
    X = [images[2], rotate(images[2], 5)]
    others = [images[4], images[5]]
    for arguments in ((X + others,), (X[:1] + others, X[1:])):
        found = find_near_duplicates(*arguments, extractor=Colours())
        assert len(found) == 1 and found.feature_similarities[0] > 0.9


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": 0}, "threshold=0 must"),
        ({"threshold": 1.2}, r"threshold=1\.2 must"),
        ({"feature_threshold": -1}, "feature_threshold=-1"),
        ({"candidate_threshold": 0}, "candidate_threshold=0"),
        ({"n_neighbors": 0}, "n_neighbors=0"),
        ({"n_neighbors": 2.5}, r"n_neighbors=2\.5"),
        ({"n_neighbors": True}, "n_neighbors=True"),
        ({"threshold": "high"}, "threshold='high'"),
    ],
)
def test_wrong_parameters_are_named(options, message, images):
    with pytest.raises(ValueError, match=message):
        find_near_duplicates(images, **options)


# Groups -------------------------------------------------------------------------------


def pair(*pairs):
    pairs = np.array(pairs, dtype=int).reshape(-1, 2)
    return NearDuplicates(pairs, np.ones(len(pairs)), np.full(len(pairs), "same"))


def test_groups_of_near_duplicates_are_joined(images):
    X = [*images[:4], images[1][::-1], images[0]]
    assert duplicate_groups(X).tolist() == [0, 1, 2, 3, 1, 0]
    lesions = ["z", "a", "a", "b", "c", "d"]
    assert duplicate_groups(X, lesions).tolist() == [0, 1, 1, 2, 1, 0]


def test_groups_are_joined_over_several_pairs(images):
    found = pair([0, 3], [3, 5], [2, 4])
    merged = duplicate_groups(images[:7], duplicates=found)
    assert merged.tolist() == [0, 1, 2, 0, 2, 0, 3]
    groups = np.array([5, 5, 1, 2, 1, 3, 1])
    merged = duplicate_groups(images[:7], groups, duplicates=found)
    assert merged.tolist() == [0, 0, 1, 0, 1, 0, 1]
    assert duplicate_groups(images[:3], duplicates=pair()).tolist() == [0, 1, 2]


def test_wrong_arguments_of_groups_are_named(images):
    with pytest.raises(ValueError, match="groups has 3 entries"):
        duplicate_groups(images, [1, 2, 3])
    with pytest.raises(ValueError, match="duplicates has position 10"):
        duplicate_groups(images, duplicates=pair([0, 10]))
    with pytest.raises(ValueError, match="Pass duplicates or threshold, not both"):
        duplicate_groups(images, duplicates=pair(), threshold=0.5)


def test_pairs_of_other_images_do_not_join_groups(images):
    train, test = [*images[:4]], [*images[4:6], images[0][:, ::-1]]
    found = find_near_duplicates(train, test)
    assert found.pairs.tolist() == [[0, 2]]
    for X in (train, [*train, *test]):
        with pytest.raises(ValueError, match=r"two sets, of 4 and 3 .*\[\*X, \*Y\]"):
            duplicate_groups(X, duplicates=found)
    found = find_near_duplicates([*train, *test])
    merged = duplicate_groups([*train, *test], duplicates=found)
    assert merged.tolist() == [0, 1, 2, 3, 4, 5, 0]
    with pytest.raises(ValueError, match="pairs of 7 images, but X has 10"):
        duplicate_groups(images, duplicates=found)


def test_pairs_of_a_split_are_positions_in_all_images(images):
    X = [*images[:4], images[0][:, ::-1]]
    found = check_split([0, 1], [2, 4], X=X).near_duplicates
    merged = duplicate_groups(X, duplicates=found)
    assert merged.tolist() == [0, 1, 2, 3, 0]
    with pytest.raises(ValueError, match="pairs of 5 images, but X has 10"):
        duplicate_groups(images, duplicates=found)


def test_groups_are_of_one_set_of_images(images):
    with pytest.raises(ValueError, match="groups of X only"):
        duplicate_groups(images, Y=images)

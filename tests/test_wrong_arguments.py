"""Wrong arguments of functions: the error names the argument."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier

import skinest
from skinest import BottleneckFeatureExtractor, UNetSegmenter
from skinest.datasets import make_dermoscopy
from skinest.images import check_images, limit_side, list_unreadable, resize
from skinest.inspection import (
    DecisionCurveDisplay,
    GradCAMDisplay,
    OcclusionDisplay,
    SegmentationDisplay,
    TrainingHistoryDisplay,
)
from skinest.kernels import chi2_kernel, histogram_intersection_kernel
from skinest.masks import check_masks
from skinest.metrics import dice_score

IMAGE = np.zeros((8, 8, 3), dtype=np.uint8)
RAGGED = [[1.0], [1.0, 2.0]]
COMPLEX = np.full((9, 9, 9), 1j)


@pytest.mark.parametrize(
    "size", [(0, 5), (5, -1), 5, None, "ab", (5,), (5, 5, 5), (5.0, 5), (2**31, 5)]
)
def test_size_of_an_image(size):
    with pytest.raises(ValueError, match=r"size=.* must be two whole numbers"):
        resize(IMAGE, size)


@pytest.mark.parametrize("side", [0, -1, 0.5, "a", [5]])
def test_longest_side_of_an_image(side):
    with pytest.raises(ValueError, match=r"max_side=.* must be a whole number"):
        limit_side(IMAGE, side)


@pytest.mark.parametrize(
    "image",
    [
        IMAGE[:0],
        IMAGE[0, 0],
        IMAGE.astype(bool),
        IMAGE.astype(int),
        np.ma.masked_less(IMAGE, 9),
        None,
    ],
)
def test_what_is_resized_is_an_image(image):
    with pytest.raises(ValueError, match=r"image is "):
        resize(image, (4, 4))
    with pytest.raises(ValueError, match=r"image is "):
        limit_side(image, 4)


def test_what_is_no_path_is_listed_as_unreadable():
    """An empty cell of a table is NaN."""
    found = list_unreadable(["nowhere.png", float("nan"), None])
    assert [each.position for each in found] == [0, 1, 2]
    assert [each.path for each in found[1:]] == ["nan", "None"]
    assert {each.reason for each in found[1:]} == {"is not a path"}


@pytest.mark.parametrize("paths", ["a.png", b"a.png", 5, None])
def test_paths_are_several(paths):
    with pytest.raises(ValueError, match=r"paths=.* is not a list of paths"):
        list_unreadable(paths)


@pytest.mark.parametrize("kernel", [chi2_kernel, histogram_intersection_kernel])
@pytest.mark.parametrize(
    "table", [1.0, [1.0], [["a"]], [[np.nan]], RAGGED, {}, COMPLEX]
)
def test_histograms_of_a_kernel(kernel, table):
    for given in ((table,), ([[0.5, 0.5]], table)):
        with pytest.raises(ValueError, match=r"^X and Y must be tables") as raised:
            kernel(*given)
        assert len(str(raised.value)) < 400


@pytest.mark.parametrize(
    ("maps", "says"),
    [
        (None, "maps is of type NoneType"),
        (np.array(1.0), "maps is of type ndarray"),
        ([RAGGED], r"maps\[0\] is not an array of real numbers"),
        ([[[1j]]], r"maps\[0\] is not an array of real numbers"),
    ],
)
def test_maps_of_a_display(maps, says):
    with pytest.raises(ValueError, match=says):
        GradCAMDisplay.from_maps([IMAGE], maps)


def test_images_of_a_display_have_their_name_in_errors():
    with pytest.raises(ValueError, match=r"^images\[0\] is of dtype bool"):
        GradCAMDisplay.from_maps([IMAGE > 0], [np.ones((2, 2))])


@pytest.mark.parametrize(
    "function",
    [
        GradCAMDisplay.from_estimator,
        OcclusionDisplay.from_estimator,
        SegmentationDisplay.from_estimator,
        lambda X, clf: DecisionCurveDisplay.from_estimator(X, clf, [0, 1]),
        lambda X, clf: skinest.report(X, [0, 1], clf),
    ],
)
def test_images_in_the_place_of_the_estimator_are_not_printed(function):
    X = np.stack([IMAGE, IMAGE + 1])
    clf = DummyClassifier().fit(X, [0, 1])
    for images, kind in ((X, "ndarray"), (list(X), "list")):
        says = f"^estimator is of type {kind}. Pass the fitted estimator first, then "
        with pytest.raises(TypeError, match=says + r"the images\.$"):
            function(images, clf)


def test_images_in_the_place_of_an_estimator_with_a_history_are_not_printed():
    says = r"^estimator is of type ndarray\. Pass the fitted estimator\.$"
    with pytest.raises(TypeError, match=says):
        TrainingHistoryDisplay.from_estimator(np.stack([IMAGE]))


@pytest.mark.parametrize("labels", [RAGGED, ((1, 2), 3), "a", 1])
def test_labels_of_a_score(labels):
    masks = [np.eye(4, dtype=int)]
    with pytest.raises(ValueError, match=r"labels.* must be"):
        dice_score(masks, masks, labels=labels)


@pytest.mark.parametrize("name", ["lesion", "x"])
def test_names_of_labels_are_several(name):
    masks = [np.eye(8, dtype=int)]
    says = rf"^target_names='{name}' is a string\. Pass a list: \['{name}'\]\.$"
    with pytest.raises(ValueError, match=says):
        SegmentationDisplay.from_predictions([IMAGE], masks, masks, target_names=name)


@pytest.mark.parametrize("y", [np.int64(2), np.array(2)])
def test_one_number_is_no_mask(y):
    with pytest.raises(ValueError, match=r"^y is .*2.*: one label for each image"):
        check_masks(y)


@pytest.mark.parametrize("y", [True, np.array(3)])
def test_one_value_is_no_target(y):
    with pytest.raises(ValueError, match=rf"^y is of type {type(y).__name__}"):
        check_images([IMAGE], y)


@pytest.mark.parametrize(
    "use",
    [
        lambda size: UNetSegmenter(image_size=size).fit([IMAGE], [IMAGE[..., 0]]),
        lambda size: BottleneckFeatureExtractor(image_size=size).fit([IMAGE]),
        lambda size: make_dermoscopy(2, image_size=size),
    ],
)
def test_image_size_of_unequal_parts(use):
    with pytest.raises(ValueError, match=r"image_size=.* must be \(height, width\)"):
        use(((1, 2), 3))


def test_sides_of_synthetic_images():
    with pytest.raises(ValueError, match=r"image_size=\(31, 64\): .* 32 pixels"):
        make_dermoscopy(2, image_size=(31, 64))


def test_a_number_of_images_may_be_any_integer():
    assert len(make_dermoscopy(True, image_size=(32, 32)).images) == 1


def test_an_enormous_depth_is_refused_at_once():
    """2 ** depth would be a number of 300 million digits."""
    with pytest.raises(ValueError, match=r"'depth' .*must be an int in the range"):
        UNetSegmenter(depth=10**9).fit([IMAGE] * 2, [IMAGE[..., 0]] * 2)

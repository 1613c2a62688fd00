"""Leaks between training and test images are found and described."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skinest.datasets import make_dermoscopy
from skinest.model_selection import check_split

GROUPS = np.array(["a", "a", "b", "c", "c", "d"])


@pytest.fixture(scope="module")
def images():
    return make_dermoscopy(6, image_size=(64, 96), random_state=0).images


def test_a_split_without_leaks(images):
    check = check_split([0, 1, 2], [3, 4, 5], GROUPS, images, on_leak="raise")
    assert not check.has_leak
    assert str(check).splitlines() == [
        "3 training and 3 test images",
        "images in both sets: none",
        "groups in both sets: none",
        "near-duplicates (training, test): none",
    ]


def test_shared_images_and_groups_are_counted():
    check = check_split([0, 2, 3, 5], [1, 4, 5], GROUPS)
    assert check.has_leak
    assert_array_equal(check.shared_positions, [5])
    assert_array_equal(check.shared_groups, ["a", "c", "d"])
    assert check.n_test_in_shared_groups == 3
    assert "groups in both sets: 3 (a, c, d); 3 test images are of them" in str(check)
    assert "near-duplicates: not checked, because X was not passed" in str(check)
    check = check_split([0, 1], [2, 3])
    assert not check.has_leak
    assert "groups: not checked, because groups was not passed" in str(check)


def test_near_duplicates_have_positions_in_all_images(images):
    images = images.copy()
    images[4] = images[1][::-1]
    images[2] = images[0]  # in the same set
    check = check_split([5, 1], [4, 2, 0], X=images)
    assert_array_equal(check.near_duplicates.pairs, [[1, 4]])
    assert "near-duplicates (training, test): 1 ((1, 4))" in str(check)
    # An image that is in both sets is not its own near-duplicate.
    check = check_split([5, 1], [1, 3], X=images)
    assert len(check.near_duplicates) == 0
    assert check.has_leak


def test_boolean_arrays_are_positions():
    in_test = np.array([False, True, False, False, True, True])
    check = check_split(~in_test, in_test, GROUPS)
    assert (check.n_train, check.n_test) == (3, 3)
    assert_array_equal(check.shared_groups, ["a", "c"])


def test_a_leak_is_raised_or_warned_of_on_demand():
    with pytest.raises(ValueError, match=r"share data.\n2 training and 1 test"):
        check_split([0, 2], [1], GROUPS, on_leak="raise")
    with pytest.warns(UserWarning, match=r"groups in both sets: 1 \(a\)"):
        check_split([0, 2], [1], GROUPS, on_leak="warn")


def test_numbers_of_numpy_and_of_python_are_of_one_type():
    """A column that was put together from several sources has both."""
    groups = np.array([1, 2, np.int64(2), 3, np.int32(4), np.uint8(5)], dtype=object)
    check = check_split([0, 1], [2, 3], groups)
    assert check.shared_groups.tolist() == [2]


def test_images_of_another_set_are_refused():
    images = np.zeros((3, 8, 8, 3), dtype=np.uint8)
    with pytest.raises(ValueError, match="Leave out Y"):
        check_split([0, 1], [2], X=images, Y=images)


def test_the_error_for_two_lists_of_images_says_how_to_pass_them():
    rng = np.random.default_rng(0)
    images = list(rng.integers(0, 256, (4, 32, 32, 3), dtype=np.uint8))
    first, second = images, images[3:]
    advice = r"pass range\(n\), range\(n, n \+ m\) and X=\[\*first, \*second\]"
    for given in ((first, second), (["a.jpg", "b.jpg"], ["c.jpg"])):
        with pytest.raises(ValueError, match=advice):
            check_split(*given)
    n, m = len(first), len(second)
    check = check_split(range(n), range(n, n + m), X=[*first, *second])
    assert check.near_duplicates.pairs.tolist() == [[3, 4]]


def test_many_leaks_are_shortened():
    check = check_split(np.arange(50), np.arange(50, 100), np.arange(100) % 50)
    assert "groups in both sets: 50 (0, 1, 2, 3, 4, ...)" in str(check)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"on_leak": "stop"}, "on_leak='stop'"),
        ({"test": []}, "test is empty"),
        ({"test": [0.5]}, "test is not a list of positions"),
        ({"test": [[1]]}, "test is not a list of positions"),
        ({"test": [6]}, "test has the position 6"),
        ({"train": [-1]}, "train has the position -1"),
        ({"test": np.ones(4, dtype=bool)}, "test has 4 entries"),
        ({"threshold": 0.5}, "Pass X, the images, to use threshold"),
        ({"groups": "abcabc"}, "groups should be a 1d array"),
        (
            {"train": [True, False], "test": [False, True, True], "groups": None},
            "test has 3 entries, but there are 2",
        ),
        ({"groups": [1, 2, 3, 4, 5, np.nan]}, "groups contains NaN"),
        (
            {"groups": np.array(["2026-01-01"] * 5 + ["NaT"], dtype="M8[D]")},
            "groups contains NaT, at position 5",
        ),
    ],
)
def test_wrong_arguments_are_named(change, message):
    given = {"train": [0, 1], "test": [2], "groups": GROUPS, **change}
    with pytest.raises(ValueError, match=message):
        check_split(**given)

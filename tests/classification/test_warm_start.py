"""Fits that go on from where the last one ended."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from .conftest import bits, small


def test_fits_go_on_as_one_long_fit(images, y):
    # Neither plain gradient descent nor this head has a state that starts anew.
    settings = {"optimizer": "sgd", "dropout": 0.0}
    long = small(**settings, epochs=3).fit(images, y)
    clf = small(**settings, epochs=1, warm_start=True).fit(images, y)
    assert bits(clf) != bits(long)
    clf.set_params(epochs=2).fit(images, y)
    assert bits(clf) == bits(long)
    assert clf.history_ == long.history_
    assert clf.n_iter_ == long.n_iter_ == 3
    assert clf.n_iter_per_stage_ == [1, 2]


def test_without_it_a_fit_starts_anew(images, y):
    clf = small(epochs=1).fit(images, y)
    first, history = bits(clf), clf.history_
    clf.fit(images, y)
    assert bits(clf) == first
    assert clf.history_ == history
    assert (clf.n_iter_, clf.n_iter_per_stage_) == (1, [1])
    clf.set_params(warm_start=True).fit(images, y)
    clf.set_params(warm_start=False).fit(images, y)
    assert bits(clf) == first
    assert clf.history_ == history


def test_optimizer_starts_anew(images, y):
    clf = small(epochs=1, warm_start=True).fit(images, y).fit(images, y)
    two_stages = small(
        epochs=1, fine_tune="head", fine_tune_epochs=1, fine_tune_learning_rate=0.01
    ).fit(images, y)
    assert bits(clf) == bits(two_stages)
    assert bits(clf) != bits(small(epochs=2).fit(images, y))


def test_another_part_may_train_and_a_pickle_goes_on(images, y):
    clf = small(epochs=1, warm_start=True).fit(images, y)
    copy = pickle.loads(pickle.dumps(clf))
    for each in (clf, copy):
        each.set_params(trainable="block_16").fit(images, y)
        each.set_params(trainable="head").fit(images, y)
    assert bits(clf) == bits(copy)
    assert clf.history_ == copy.history_
    assert clf.n_iter_per_stage_ == [1, 1, 1]


def test_what_a_fit_has_not_measured_is_nan(images, y, X_val, y_val):
    clf = small(epochs=1, warm_start=True).fit(images, y)
    clf.set_params(epochs=2).fit(images, y, X_val=X_val, y_val=y_val)
    clf.set_params(epochs=1).fit(images, y)
    assert {len(values) for values in clf.history_.values()} == {clf.n_iter_} == {4}
    missing = np.isnan(clf.history_["val_loss"])
    assert_array_equal(missing, [True, False, False, True])
    assert np.isfinite(clf.history_["loss"]).all()


@pytest.mark.parametrize(
    "setting",
    [
        {"backbone": "vgg16"},
        {"image_size": (32, 40)},
        {"hidden_units": (8,)},
        {"pooling": "max"},
        {"dropout": 0.25},
        {"l2": 0.1},
        {"compute_dtype": "bfloat16"},
    ],
    ids=lambda setting: next(iter(setting)),
)
def test_another_network_is_an_error_that_leaves_the_fitted_one(setting, images, y):
    clf = small(epochs=1, warm_start=True).fit(images, y)
    fitted, history = bits(clf), clf.history_
    clf.set_params(**setting)
    with pytest.raises(ValueError, match=f"warm_start.*{next(iter(setting))}"):
        clf.fit(images, y)
    assert bits(clf) == fitted
    assert clf.history_ == history
    clf.set_params(warm_start=False, **{"backbone": "mobilenetv2"})


@pytest.mark.parametrize("labels", [["a", "b"], [0, 2], [0, 1, 2]], ids=str)
def test_other_classes_are_an_error_that_leaves_the_fitted_ones(labels, images, y):
    clf = small(epochs=1, warm_start=True).fit(images, y)
    fitted = bits(clf)
    with pytest.raises(ValueError, match=r"warm_start: y has the .* \[0, 1\]"):
        clf.fit(images, np.resize(labels, 12))
    assert bits(clf) == fitted
    assert_array_equal(clf.classes_, [0, 1])

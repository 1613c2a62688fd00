"""Segmenters inside scikit-learn's tools, and before classifiers."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import pickle

import numpy as np
import pytest
import sklearn
from numpy.testing import assert_array_equal
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    cross_val_score,
    cross_validate,
    train_test_split,
)
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skinest import BoVWSIFTTransformer, ColorPatchDescriptor, UNetSegmenter
from skinest.augmentation import Augmentation
from skinest.losses import Dice
from skinest.metrics import dice_scorer, iou_scorer

from .conftest import fit_brightness, hash_weights, make_small, record_fit, record_fits

FOLDS = 2


# Searches and cross validation ------------------------------------------------------


@pytest.mark.slow
def test_search_in_processes_is_search_in_one(paths, mask_paths):
    # Two losses for which one model is made.
    losses = ["binary_crossentropy", "weighted_crossentropy"]
    grid = {"loss": losses, "learning_rate": [0.001, 0.1]}
    searches = [
        GridSearchCV(
            make_small(epochs=1), grid, cv=FOLDS, n_jobs=n_jobs, scoring=dice_scorer
        )
        for n_jobs in (None, 2)
    ]
    here, there = (search.fit(paths, mask_paths) for search in searches)
    for key in ("split0_test_score", "split1_test_score"):
        assert_array_equal(here.cv_results_[key], there.cv_results_[key])
        assert np.isfinite(here.cv_results_[key]).all()
    assert len(set(here.cv_results_["mean_test_score"])) > 1
    assert hash_weights(here.best_estimator_) == hash_weights(there.best_estimator_)
    assert here.score(paths, mask_paths) == there.score(paths, mask_paths)


def test_scores_of_folds_are_those_of_fits_by_hand(images, masks):
    settings = {"learning_rate": 0.1}
    scores = cross_validate(
        make_small(**settings),
        images,
        masks,
        cv=FOLDS,
        scoring={"dice": dice_scorer, "iou": iou_scorer},
        return_indices=True,
    )
    parts = scores["indices"]
    for fold, (train, test) in enumerate(zip(*parts.values(), strict=True)):
        fitted = make_small(**settings).fit(images[train], masks[train])
        expected = fitted.score(images[test], masks[test])
        assert scores["test_dice"][fold] == pytest.approx(expected)
        # IoU = Dice / (2 - Dice), of each image.
        of_each = np.array([fitted.score(images[[i]], masks[[i]]) for i in test])
        expected = np.mean(of_each / (2 - of_each))
        assert scores["test_iou"][fold] == pytest.approx(expected)
    own = cross_val_score(make_small(**settings), images, masks, cv=FOLDS)
    np.testing.assert_allclose(own, scores["test_dice"])


def test_parameters_of_parts_can_be_searched(images, masks):
    segmenter = make_small(epochs=1, augmentation=Augmentation(), loss=Dice())
    pipeline = Pipeline([("same", FunctionTransformer()), ("unet", segmenter)])
    grid = {"unet__augmentation__rotation": [0, 90], "unet__loss__smooth": [1.0]}
    search = GridSearchCV(pipeline, grid, cv=FOLDS, error_score="raise")
    search.fit(images, masks)
    assert search.predict(images).shape == masks.shape
    assert search.best_estimator_[-1].augmentation.rotation in (0, 90)
    changes = {}, {"loss__smooth": 3.0}, {"augmentation__rotation": 90}
    fits = [clone(segmenter).set_params(**each).fit(images, masks) for each in changes]
    assert len({tuple(fitted.history_["loss"]) for fitted in fits}) == 3


def test_splits_of_paths_keep_pairs(paths, mask_paths, images, masks):
    X_train, X_test, y_train, y_test = train_test_split(
        paths, mask_paths, test_size=3, random_state=0
    )
    order = np.arange(len(paths))
    train, test = train_test_split(order, test_size=3, random_state=0)
    fitted = make_small().fit(X_train, y_train)
    assert hash_weights(fitted) == hash_weights(
        make_small().fit(images[train], masks[train])
    )
    score = fitted.score(images[test], masks[test])
    assert fitted.score(X_test, y_test) == score


# Groups -----------------------------------------------------------------------------


@pytest.fixture
def groups():
    return np.repeat([f"lesion {i}" for i in range(5)], 2)


def make_search(segmenter):
    pipeline = Pipeline([("same", FunctionTransformer()), ("unet", segmenter)])
    grid = {"unet__epochs": [1]}
    return GridSearchCV(pipeline, grid, cv=GroupKFold(FOLDS), error_score="raise")


def list_groups(fits, groups):
    """Return the groups that are trained on and those held out, for each fit."""
    sides = []
    for fit in fits:
        numbers = [part[0][:, 0, 0, 0] for part in (fit.train, fit.validation)]
        sides.append([set(groups[part].tolist()) for part in numbers])
    return sides


@pytest.fixture
def numbered(images):
    """Make images of which each holds its number."""
    numbered = images[:, :16, :16].copy()
    numbered[..., 0] = np.arange(len(images))[:, np.newaxis, np.newaxis]
    return numbered


@pytest.fixture
def their_masks(masks):
    return masks[:, :16, :16]


def check_split_by_groups(fits, X, groups):
    """Raise unless each fit of a search splits the groups of its fold."""
    folds = [train for train, _ in GroupKFold(FOLDS).split(X, groups=groups)]
    sides = list_groups(fits, groups)
    assert len(sides) == FOLDS + 1
    for (train, held_out), fold in zip(sides, [*folds, ...], strict=True):
        assert train and held_out
        assert not train & held_out
        assert train | held_out == set(groups[fold].tolist())


def test_groups_reach_fit_in_a_search_by_metadata_routing(
    numbered, their_masks, groups
):
    with sklearn.config_context(enable_metadata_routing=True), record_fits() as fits:
        segmenter = make_small(validation_fraction=0.3).set_fit_request(groups=True)
        make_search(segmenter).fit(numbered, their_masks, groups=groups)
    check_split_by_groups(fits, numbered, groups)


def test_groups_reach_fit_in_a_search_by_the_name_of_the_step(
    numbered, their_masks, groups
):
    with record_fits() as fits:
        search = make_search(make_small(validation_fraction=0.3))
        search.fit(numbered, their_masks, groups=groups, unet__groups=groups)
    check_split_by_groups(fits, numbered, groups)


def test_plain_groups_reach_the_splitter_of_a_search_alone(
    numbered, their_masks, groups
):
    search = make_search(make_small(validation_fraction=0.3))
    with record_fits() as fits:
        search.fit(numbered, their_masks, groups=groups)
    folds = [train for train, _ in GroupKFold(FOLDS).split(numbered, groups=groups)]
    for fit, fold in zip(fits, [*folds, ...], strict=True):
        segmenter = make_small(validation_fraction=0.3, epochs=1)
        alone = record_fit(segmenter, numbered[fold], their_masks[fold])
        assert_array_equal(fit.validation[0], alone.validation[0])
    assert any(train & held_out for train, held_out in list_groups(fits, groups))
    with sklearn.config_context(enable_metadata_routing=True):
        search = make_search(make_small(validation_fraction=0.3))
        with pytest.raises(UnsetMetadataPassedError, match="groups"):
            search.fit(numbered, their_masks, groups=groups)


# Copies -----------------------------------------------------------------------------


def test_clones_know_settings_and_nothing_learned(learned):
    copy = clone(learned)
    assert copy.get_params() == learned.get_params()
    assert vars(copy).keys() == copy.get_params(deep=False).keys()


def test_pickles_hold_weights_and_no_optimizer(images, masks, no_training):
    segmenter = make_small(base_filters=40, epochs=1)
    before = len(pickle.dumps(segmenter))
    segmenter.fit(images, masks)
    n_parameters = segmenter.model_.count_params()
    assert n_parameters > 100_000
    content = pickle.dumps(segmenter)  # though the model has been built
    assert len(content) - before == pytest.approx(4 * n_parameters, abs=10_000)
    loaded = pickle.loads(content)
    assert hash_weights(loaded) == hash_weights(segmenter)
    assert loaded.history_ == segmenter.history_
    assert_array_equal(loaded.predict_proba(images), segmenter.predict_proba(images))
    outputs = [each.model_(images[:, :16, :16]) for each in (loaded, segmenter)]
    assert_array_equal(*outputs)


def test_model_is_a_copy(images, masks, learned):
    before = learned.predict_proba(images)
    model = learned.model_
    assert learned.model_ is model
    weights = model.get_weights()
    model.set_weights([np.zeros_like(weight) for weight in weights])
    assert_array_equal(learned.predict_proba(images), before)
    model.set_weights(weights)


# Crops, and what comes after them ---------------------------------------------------


@pytest.fixture
def spots():
    """Make dark images of different sizes with a bright spot, or with none."""
    images = [np.full((*sides, 3), 20, np.uint8) for sides in [(64, 48), (40, 80)] * 2]
    places = [(16, 40, 20, 32), (0, 10, 60, 80), (30, 31, 5, 6)]
    for image, (top, bottom, left, right) in zip(images, places, strict=False):
        image[top:bottom, left:right] = 250
    return images, places


@pytest.fixture(scope="module")
def cropping(images, masks):
    """Fit what crops bright spots to the pixel: its tiles have the network's size."""
    segmenter = make_small(epochs=1, tile_overlap=0.5)
    return fit_brightness(segmenter, images[:, :16, :16], masks[:, :16, :16])


@pytest.mark.parametrize("margin", [0, 0.25, 3])
def test_images_are_cropped_to_their_foreground_with_a_margin(margin, cropping, spots):
    X, places = spots
    cropped = clone_with(cropping, crop_margin=margin).transform(X)
    assert (cropped.shape, cropped.dtype) == ((4,), object)
    for image, crop, (top, bottom, left, right) in zip(
        X, cropped, places, strict=False
    ):
        down, across = round(margin * (bottom - top)), round(margin * (right - left))
        expected = image[
            max(0, top - down) : bottom + down, max(0, left - across) : right + across
        ]
        assert crop.dtype == np.uint8
        assert_array_equal(crop, expected)
    assert_array_equal(cropped[3], X[3])  # nothing was found
    assert not cropping.predict(X)[3].any()


def clone_with(segmenter, **settings):
    return pickle.loads(pickle.dumps(segmenter)).set_params(**settings)


def test_crops_are_copies_in_colour(cropping, spots):
    X, _ = spots
    grey = [image[..., 0] for image in X]
    cropped = cropping.transform(grey)
    assert {crop.shape[2] for crop in cropped} == {3}
    cropped[0][:], cropped[3][:] = 0, 0
    assert grey[0].max() == 250
    assert (grey[3] == 20).all()


class MeanColor(TransformerMixin, BaseEstimator):
    """Mean of each channel."""

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return np.array([image.mean(axis=(0, 1)) for image in X])

    def get_feature_names_out(self, input_features=None):
        return np.array(["red", "green", "blue"])

    def __sklearn_is_fitted__(self):
        return True


def draw_colored_spots(n_images=12):
    """Draw small spots, red or blue, that a mean over the image does not show."""
    generator = np.random.default_rng(0)
    X, y = [], np.arange(n_images) % 2
    for label in y:
        image = generator.integers(0, 90, (48, 40, 3), dtype=np.uint8)
        top, left = generator.integers(0, 30, 2)
        spot = [255, 255, 130] if label else [130, 255, 255]
        image[top : top + 8, left : left + 8] = spot
        X.append(image)
    return X, y


def test_frozen_segmenter_crops_before_a_classifier(cropping):
    X, y = draw_colored_spots()
    before = hash_weights(cropping)
    crop = FrozenEstimator(clone_with(cropping, crop_margin=0))
    pipeline = make_pipeline(crop, MeanColor(), LogisticRegression())
    scores = cross_val_score(pipeline, X, y, cv=3)
    assert scores.mean() == 1
    assert hash_weights(pipeline[0].estimator) == before
    vectors = pipeline.fit(X, y)[:-1].transform(X)
    assert (vectors.max(axis=1) > 200).all()  # the spot, and not what is around it


def test_set_output_of_a_pipeline_passes_the_segmenter_by(cropping):
    pd = pytest.importorskip("pandas")
    X, y = draw_colored_spots()
    segmenter = clone_with(cropping)
    assert segmenter.set_output(transform="pandas") is segmenter
    assert segmenter.transform(X).dtype == object
    for step in (segmenter, FrozenEstimator(segmenter)):
        pipeline = make_pipeline(step, MeanColor(), LogisticRegression())
        pipeline.set_output(transform="pandas")
        if isinstance(step, FrozenEstimator):
            pipeline.fit(X, y)
            table = pipeline[:-1].transform(X)
            assert isinstance(table, pd.DataFrame)
            assert list(table.columns) == ["red", "green", "blue"]


def test_tables_of_crops_keep_the_index_of_the_images(cropping):
    pd = pytest.importorskip("pandas")
    X, _ = draw_colored_spots()
    series = pd.Series(list(X), index=np.arange(len(X))[::-1] + 50)
    crop = clone_with(cropping)
    expected = make_pipeline(FrozenEstimator(crop), MeanColor()).fit(X).transform(X)
    pipeline = make_pipeline(FrozenEstimator(crop), MeanColor())
    table = pipeline.set_output(transform="pandas").fit(series).transform(series)
    assert table.index.equals(series.index)
    np.testing.assert_array_equal(table.to_numpy(), expected)


def test_visual_words_of_crops(cropping):
    X, y = draw_colored_spots()
    words = BoVWSIFTTransformer(
        4, descriptor=ColorPatchDescriptor(grid_step=4), random_state=0
    )
    crop = FrozenEstimator(clone_with(cropping, crop_margin=1.0))
    pipeline = make_pipeline(crop, words, LogisticRegression()).fit(X, y)
    assert pipeline[:-1].transform(X).shape == (12, 4)
    assert set(pipeline.predict(X)) <= {0, 1}


def test_an_unfitted_segmenter_has_no_output_to_set():
    segmenter = UNetSegmenter()
    assert segmenter.set_output() is segmenter

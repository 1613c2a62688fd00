"""Segmenters with a pretrained encoder: stages, predictions and files."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, KFold

from skinest import TransferClassifier, UNetSegmenter
from skinest.export import read_metadata
from skinest.networks import KerasBackbone, build_unet

from ..eager import without_graphs
from ..export import readers
from ..networks.own_networks import make_functional
from ..networks.test_encoders import CHANNELS, NORMS
from .conftest import apply, make_pairs, make_small, record_fit

pytestmark = pytest.mark.usefixtures("no_graphs")

SETTINGS = {
    "encoder": "tiny",
    "weights": None,
    "depth": "auto",
    "image_size": (32, 32),
}
ODD = [(33, 47), (32, 71), (50, 35)]  # sizes of images


def make(**settings):
    return make_small(**{**SETTINGS, **settings})


def layers_of(segmenter):
    """Return the arrays of each layer with weights."""
    layers = segmenter.model_.layers
    return {layer.name: layer.get_weights() for layer in layers if layer.weights}


def list_changed(before, after):
    return {
        name
        for name, arrays in before.items()
        if not all(map(np.array_equal, arrays, after[name]))
    }


@pytest.fixture(scope="module")
def pairs():
    return make_pairs(6, (40, 36))


@pytest.fixture(scope="module")
def fitted(pairs):
    """Fit the decoder, then all."""
    segmenter = make(epochs=1, fine_tune="all", fine_tune_epochs=1)
    with without_graphs():
        return segmenter.fit(*pairs)


@pytest.mark.usefixtures("no_graphs")
def test_second_stage_trains_the_encoder_too(fitted, pairs):
    first = make(epochs=1).fit(*pairs)
    start = layers_of(record_first(pairs))
    decoder = {name for name in start if name.startswith(("up_", "logits"))}
    assert list_changed(start, layers_of(first)) == decoder
    assert list_changed(layers_of(first), layers_of(fitted)) == set(start)
    assert fitted.n_iter_per_stage_ == [1, 1]
    assert len(fitted.history_["dice"]) == 2


def record_first(pairs):
    """Return a segmenter with the weights that the first stage starts from."""
    segmenter = make(epochs=1)
    record_fit(segmenter, *pairs)
    return segmenter


@pytest.mark.slow
def test_pretrained_normalisation_is_not_trained(pairs, tmp_path):
    images = make_pairs(4, (32, 32))[0]
    clf = TransferClassifier("tiny", weights=None, image_size=(32, 32), epochs=1)
    clf.fit(images, [0, 1, 0, 1])
    clf.save_backbone(tmp_path / "file.weights.h5")
    segmenter = make(
        weights=tmp_path / "file.weights.h5", trainable="all", learning_rate=1e-3
    )
    start = clf.model_
    segmenter.set_params(epochs=1).fit(*pairs)
    changed = {
        layer.name
        for layer in segmenter.model_.layers
        if layer.weights
        and not layer.name.startswith(("up_", "logits"))
        and list_changed(
            {"": start.get_layer(layer.name).get_weights()}, {"": layer.get_weights()}
        )
    }
    assert changed == {"Conv1", "block_16_expand", "block_16_depthwise", "Conv_1"}
    assert not changed & NORMS


def test_builder_draws_the_weights_that_the_segmenter_starts_from(pairs):
    settings = {**SETTINGS, "base_filters": 2}
    start = record_fit(make(compute_dtype="float32", random_state=7), *pairs).weights
    built = build_unet(**settings, random_state=7).get_weights()
    for array, drawn in zip(built[:-1], start[:-1], strict=True):
        assert_array_equal(array, drawn)  # the last is the bias, from the masks


def test_images_of_any_size_get_masks_of_their_size(fitted):
    images = [make_pairs(1, size)[0][0] for size in ODD]
    masks = fitted.predict(images)
    assert [mask.shape for mask in masks] == ODD
    for settings in ({"tile_overlap": 0.25}, {"n_prediction_views": 8}):
        other = pickle.loads(pickle.dumps(fitted)).set_params(**settings)
        found = other.predict_proba(images)
        assert [each.shape for each in found] == [(*size, 2) for size in ODD]
        assert all(np.isfinite(each).all() for each in found)


def test_outputs_are_those_of_the_model_after_a_pickle_too(fitted):
    images = make_pairs(3, (32, 32))[0]
    expected = apply(fitted, images.astype(np.float32))
    again = pickle.loads(pickle.dumps(fitted))
    for segmenter in (fitted, again):
        found = segmenter.predict_proba(images)[..., 1:]
        assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_file_of_the_network_needs_no_skinest(fitted, tmp_path):
    images = make_pairs(3, (32, 32))[0]
    fitted.export(tmp_path / "file.keras")
    outputs, metadata = readers.run(tmp_path / "file.keras", images)
    assert_allclose(outputs, fitted.predict_proba(images), rtol=0, atol=1e-5)
    assert (metadata["network"], metadata["encoder"]) == ("unet", "tiny")
    assert read_metadata(tmp_path / "file.keras") == metadata


@pytest.mark.parametrize(
    "n_classes", [1, 5, *(pytest.param(n, marks=pytest.mark.slow) for n in (2, 3))]
)
def test_number_of_labels(n_classes, no_training):
    images, masks = make_pairs(4, (32, 32), n_classes=n_classes)
    segmenter = make()
    if n_classes == 1:
        with pytest.warns(UserWarning, match="All masks are empty"):
            segmenter.fit(images, masks)
    else:
        segmenter.fit(images, masks)
    assert segmenter.predict_proba(images[:1]).shape == (1, 32, 32, n_classes)


def test_own_network_is_an_encoder(no_training):
    images, masks = make_pairs(4, (16, 16))
    backbone = KerasBackbone(make_functional())
    segmenter = make(encoder=backbone, weights="imagenet", image_size=(16, 16))
    segmenter.fit(images, masks)
    assert segmenter.predict(images).shape == masks.shape
    kernel = segmenter.model_.get_layer("low").get_weights()[0]
    assert_array_equal(kernel, backbone.weights.arrays[0])
    copy = pickle.loads(pickle.dumps(segmenter))
    assert clone(copy).encoder == backbone


def test_warm_start_continues_with_another_part(pairs, no_training):
    segmenter = make(epochs=1, warm_start=True).fit(*pairs)
    segmenter.set_params(trainable="all").fit(*pairs)
    assert segmenter.n_iter_ == 2
    assert segmenter.model_.get_layer("Conv1").trainable
    segmenter.set_params(encoder=None, depth=1)
    with pytest.raises(ValueError, match="warm_start: the network's settings differ"):
        segmenter.fit(*pairs)


@pytest.mark.slow
def test_search_over_encoders(pairs, no_training):
    search = GridSearchCV(
        make(epochs=1, base_filters=1),
        [{"encoder": [None], "depth": [1]}, {"encoder": ["tiny"], "depth": [2, 5]}],
        cv=KFold(2),
        refit=False,
    )
    assert np.isfinite(search.fit(*pairs).cv_results_["mean_test_score"]).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"fine_tune": "stage9"}, "fine_tune='stage9' is not a part of tiny"),
        ({"depth": 4}, "depth=4: tiny has no feature maps at 1 / 16"),
        ({"image_size": (16, 16)}, "depth=5 halves images 5 times"),
        ({"weights": "missing.h5"}, "weights='missing.h5': there is no file"),
    ],
    ids=str,
)
def test_wrong_setting_is_named_before_training(settings, message, pairs):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        make(**settings).fit(*pairs)


def test_weights_that_are_missing_are_found_before_images_are_read(unread):
    with pytest.raises(FileNotFoundError, match=r"weights='missing\.h5'"):
        make(weights="missing.h5").fit(*unread)


@pytest.mark.slow
@pytest.mark.parametrize("encoder", CHANNELS)
def test_one_step_with_each_family(encoder, tmp_path):
    images, masks = make_pairs(2, (45, 70))
    segmenter = UNetSegmenter(
        encoder=encoder,
        weights=None,
        image_size=(32, 64),
        base_filters=2,
        trainable="stage5",
        epochs=1,
        batch_size=2,
        tile_overlap=0.1,
        random_state=0,
    ).fit(images, masks)
    assert np.isfinite(segmenter.history_["loss"]).all()
    expected = segmenter.predict_proba(images)
    assert expected.shape == (2, 45, 70, 2)
    again = pickle.loads(pickle.dumps(segmenter))
    assert_array_equal(again.predict_proba(images), expected)

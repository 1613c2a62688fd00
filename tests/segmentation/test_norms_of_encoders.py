"""Batch normalisation of encoders: when it trains, and from which statistics."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skinest import TransferClassifier
from skinest.networks import build_unet

from ..eager import without_graphs
from ..networks.test_encoders import NORMS, UPPER
from ..tiny_backbone import write_bare
from .conftest import make_pairs, make_small

pytestmark = pytest.mark.usefixtures("no_graphs")

N_IMAGES = 6
SETTINGS = {
    "encoder": "tiny",
    "depth": "auto",
    "image_size": (32, 32),
    "epochs": 1,
    "batch_size": N_IMAGES,
}
STILL = {"optimizer": "sgd", "learning_rate": 1e-12}  # a step changes nothing
OF_UPPER = {name for name in NORMS if name.removesuffix("_BN") in UPPER}


@pytest.fixture(scope="module")
def pairs():
    return make_pairs(N_IMAGES, (32, 32))


@pytest.fixture(scope="module")
def measured(pairs, tmp_path_factory):
    """Weights in a file, whose batch normalisation has statistics."""
    file = tmp_path_factory.mktemp("encoder") / "measured.weights.h5"
    clf = TransferClassifier(
        "tiny",
        weights=None,
        image_size=(32, 32),
        trainable="all",
        epochs=1,
        random_state=0,
    )
    with without_graphs():
        clf.fit(pairs[0], np.arange(N_IMAGES) % 2)
    clf.save_backbone(file)
    return file


@pytest.fixture(scope="module")
def bare(measured):
    """Weights whose batch normalisation has offsets, but no statistics."""
    return write_bare(measured, measured.with_name("bare.weights.h5"))


def make(**settings):
    return make_small(**SETTINGS | settings)


def read_norms(model):
    """Return gamma, beta, means and variances of the encoder's norms by name."""
    layers = (layer for layer in model.layers if layer.name in NORMS)
    return {
        layer.name: [np.asarray(each) for each in layer.weights] for layer in layers
    }


@pytest.mark.parametrize(
    ("train_batch_norm", "trainable", "expected"),
    [
        (True, "all", NORMS),
        (True, "stage5", OF_UPPER),
        pytest.param(True, "decoder", set(), marks=pytest.mark.slow),
        pytest.param(False, "all", set(), marks=pytest.mark.slow),
        ("auto", "all", set()),
    ],
)
def test_what_is_asked_for_trains(
    train_batch_norm, trainable, expected, measured, pairs
):
    settings = {"weights": measured, "trainable": trainable}
    settings["train_batch_norm"] = train_batch_norm
    model = build_unet(**settings, encoder="tiny", image_size=(32, 32), base_filters=2)
    trains = {layer.name for layer in model.layers if layer.trainable_weights}
    assert trains & NORMS == expected
    start = read_norms(model)
    segmenter = make(**settings).fit(*pairs)
    for name, arrays in read_norms(segmenter.model_).items():
        for array, before in zip(arrays, start[name], strict=True):
            assert np.array_equal(array, before) == (name not in expected), name


def test_from_random_weights_all_is_trained_unless_refused(pairs):
    for train_batch_norm, is_trained in (("auto", True), (False, False)):
        settings = {"weights": None, "trainable": "all"}
        segmenter = make(**settings, train_batch_norm=train_batch_norm).fit(*pairs)
        for _, beta, _, _ in read_norms(segmenter.model_).values():
            assert beta.any() == is_trained


@pytest.mark.parametrize("trainable", ["stage5", "all"])
def test_layers_get_statistics_and_outputs_stay(trainable, bare, pairs):
    settings = {"weights": bare, "trainable": trainable, **STILL}
    plain = make(**settings).fit(*pairs)
    restored = make(**settings, train_batch_norm=True).fit(*pairs)
    images = pairs[0]
    expected = plain.predict_proba(images)
    assert_allclose(restored.predict_proba(images), expected, atol=1e-3)
    norms = [layer for layer in plain.model_.layers if layer.name in NORMS]
    inputs = keras.Model(plain.model_.input, [norm.input for norm in norms])
    maps_of = inputs.predict_on_batch(images.astype(np.float32))
    found = read_norms(restored.model_)
    for norm, maps in zip(norms, maps_of, strict=True):
        _, _, means, variances = found[norm.name]
        if trainable == "all" or norm.name in OF_UPPER:
            maps = np.asarray(maps, dtype=np.float64)
            assert_allclose(means, maps.mean(axis=(0, 1, 2)), rtol=2e-3, atol=2e-3)
            assert_allclose(variances, maps.var(axis=(0, 1, 2)), rtol=2e-3, atol=1e-5)
        else:
            assert_array_equal(means, 0)


def test_known_statistics_are_used(measured, pairs):
    settings = {"weights": measured, "trainable": "all", **STILL}
    before = read_norms(make(**settings).fit(*pairs).model_)
    after = read_norms(make(**settings, train_batch_norm=True).fit(*pairs).model_)
    for name, (gamma, beta, *_) in after.items():
        assert_allclose(gamma, before[name][0], atol=1e-6)
        assert_allclose(beta, before[name][1], atol=1e-6)


def test_each_stage_restores_what_it_trains(bare, pairs, capsys):
    make(
        weights=bare,
        train_batch_norm=True,
        fine_tune="stage5",
        fine_tune_epochs=1,
        verbose=1,
    ).fit(*pairs)
    lines = capsys.readouterr().out.splitlines()
    assert sum("Restoring 3 layers" in line for line in lines) == 1


@pytest.mark.parametrize("value", ["yes", None, 1.5])
def test_another_value_is_refused(value, pairs):
    with pytest.raises(ValueError, match="'train_batch_norm' parameter"):
        make(weights=None, train_batch_norm=value).fit(*pairs)
    with pytest.raises(ValueError, match="'train_batch_norm' parameter"):
        build_unet(encoder="tiny", weights=None, train_batch_norm=value)


class Stopping(keras.callbacks.Callback):
    is_on = True

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 2 and Stopping.is_on:  # the second one of the second stage
            raise KeyboardInterrupt


def test_a_fit_that_stops_goes_on_to_the_same_bits(bare, pairs, tmp_path, monkeypatch):
    settings = {"weights": bare, "train_batch_norm": True}
    settings |= {"fine_tune": "all", "fine_tune_epochs": 2}
    settings["keras_callbacks"] = [Stopping()]
    with pytest.raises(KeyboardInterrupt):
        make(checkpoint=tmp_path, **settings).fit(*pairs)
    monkeypatch.setattr(Stopping, "is_on", False)
    resumed = make(checkpoint=tmp_path, **settings).fit(*pairs)
    whole = make(**settings).fit(*pairs)
    assert np.ptp(read_norms(whole.model_)["Conv_1_BN"][3]) > 0
    for ours, theirs in zip(resumed.model_.weights, whole.model_.weights, strict=True):
        assert_array_equal(ours, theirs, err_msg=ours.path)

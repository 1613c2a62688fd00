"""Models that fits with other settings, and threads that predict, share."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import logging
import threading
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest

import skinest
from skinest._training import _models
from skinest.losses import Dice, Focal, Tversky, WeightedCrossentropy

from .conftest import hash_weights, make_small

FIRST = {"dropout": 0.2, "loss": Tversky(0.1, 0.9)}
# Settings that are searched over, of which each changes one or two.
SEARCHED = {
    "all": [
        FIRST,
        {**FIRST, "dropout": 0.6},
        {**FIRST, "loss": Tversky(0.9, 0.1)},
        {**FIRST, "loss": Tversky(0.1, 0.9, smooth=3.0)},
        {**FIRST, "threshold": 0.2},
        {**FIRST, "learning_rate": 0.1},
    ],
    "focal": [{"loss": Focal(2.0, alpha=0.2)}, {"loss": Focal(1.0, alpha=0.9)}],
    "weighted": [
        {"loss": WeightedCrossentropy((1, 9))},
        {"loss": WeightedCrossentropy((3, 1))},
    ],
}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] * (name != "all"))
        for name in SEARCHED
    ],
)
def test_values_of_settings_share_a_model(name, images, masks, compiled):
    searched = SEARCHED[name]
    fits = [make_small(**settings).fit(images, masks) for settings in searched]
    assert len(compiled) == 1
    results = [(hash_weights(each), tuple(each.history_["dice"])) for each in fits]
    assert len(set(results)) == len(searched)
    skinest.clear_models()
    for place in (-1, 0):  # by a model that is made for the last settings
        again = make_small(**searched[place]).fit(images, masks)
        assert (hash_weights(again), tuple(again.history_["dice"])) == results[place]


@pytest.mark.slow
def test_kinds_of_losses_do_not_share_a_model(images, masks, compiled):
    losses = Focal(), Focal(0.5), Focal(alpha=0.5), Tversky(), Dice()
    for loss in losses:
        make_small(loss=loss, epochs=1).fit(images, masks)
    assert len(compiled) == len(losses)


@pytest.mark.slow
@pytest.mark.parametrize(
    "loss",
    [
        Tversky(0.2, 0.7),
        pytest.param(Focal(0.5, alpha=0.3), marks=pytest.mark.slow),
        pytest.param(WeightedCrossentropy((1, 4)), marks=pytest.mark.slow),
    ],
)
def test_loss_of_a_shared_model_has_the_value_of_the_loss(loss, images, masks):
    """Compare with the loss of the outputs before a step that changes nothing."""
    settings = {"loss": loss, "epochs": 1, "learning_rate": 1e-12, "batch_norm": False}
    settings["image_size"] = images.shape[1:3]
    other = type(loss)(**{**loss.get_params(), **_change(loss)})
    make_small(**{**settings, "loss": other}).fit(images, masks)
    segmenter = make_small(**settings).fit(images, masks)
    outputs = segmenter.model_(images, training=False)
    values = loss(masks[..., np.newaxis] / 255.0, outputs)
    assert segmenter.history_["loss"][0] == pytest.approx(float(values), rel=1e-4)


def _change(loss):
    return {
        "Tversky": {"alpha": 0.9},
        "Focal": {"alpha": 0.9},
        "WeightedCrossentropy": {"weights": (7, 1)},
    }[type(loss).__name__]


# Threads that predict at once ---------------------------------------------------------

N_THREADS = 8


@pytest.fixture
def meeting(monkeypatch):
    """Let all threads meet while they predict, and count the models they use."""
    models, barrier = set(), threading.Barrier(N_THREADS)
    predict = _models.ReusableModel.predict

    def meet_and_predict(reusable, batch, batch_size):
        models.add(id(reusable))
        barrier.wait(timeout=60)
        return predict(reusable, batch, batch_size)

    monkeypatch.setattr(_models.ReusableModel, "predict", meet_and_predict)
    return models


@pytest.mark.slow
def test_threads_predict_with_one_model(images, masks, meeting, monkeypatch):
    segmenter = make_small(epochs=1).fit(images, masks)
    with ThreadPoolExecutor(N_THREADS) as threads:
        found = list(threads.map(segmenter.predict_proba, N_THREADS * [images[:4]]))
    assert len(meeting) == 1
    monkeypatch.undo()
    for each in found:
        np.testing.assert_array_equal(each, segmenter.predict_proba(images[:4]))


def test_threads_with_other_weights_wait_for_a_model(images, masks, monkeypatch):
    fitted = [
        make_small(epochs=1, random_state=seed).fit(images, masks) for seed in range(4)
    ]
    expected = [segmenter.predict_proba(images) for segmenter in fitted]
    models, predict = set(), _models.ReusableModel.predict

    def note_and_predict(reusable, batch, batch_size):
        models.add(id(reusable))
        return predict(reusable, batch, batch_size)

    monkeypatch.setattr(_models.ReusableModel, "predict", note_and_predict)
    with ThreadPoolExecutor(N_THREADS) as threads:
        jobs = [
            threads.submit(fitted[number % 4].predict_proba, images)
            for number in range(16)
        ]
    for number, job in enumerate(jobs):
        np.testing.assert_array_equal(job.result(), expected[number % 4])
    assert len(models) <= 2


def test_a_failed_prediction_keeps_the_model(images, masks, tmp_path):
    segmenter = make_small(epochs=1).fit(images, masks)
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no image")
    segmenter.predict(images)
    idle = [id(model) for _, model in _models._idle]
    with pytest.raises(ValueError, match=r"broken\.png"):
        segmenter.predict([broken])
    assert sorted(id(model) for _, model in _models._idle) == sorted(idle)
    assert not _models._leases


@pytest.mark.slow
def test_many_small_fits_and_predictions_are_quiet(images, masks, caplog):
    """TensorFlow takes several models for one that is traced again and again."""
    for n_filters in range(3, 10):
        segmenter = make_small(base_filters=n_filters, epochs=1, batch_size=16)
        segmenter.fit(images, masks)
        for n_images in (1, 3, 5):
            segmenter.predict(images[:n_images])
    messages = [record.getMessage() for record in caplog.records]
    assert not [text for text in messages if "retracing" in text]
    if keras.backend.backend() == "tensorflow":
        logger = logging.getLogger("tensorflow")
        logger.warning("5 calls triggered tf.function retracing")
        assert "retracing" in caplog.text  # of others are shown

"""What is random in a fit, by which seed, and what is computed in."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from .conftest import Replace, make_small, record_fit


def test_another_seed_draws_weights_order_and_dropout_anew(images, masks):
    fits = [record_fit(make_small(random_state=seed), images, masks) for seed in (0, 1)]
    assert not np.array_equal(fits[0].weights[0], fits[1].weights[0])
    assert not np.array_equal(fits[0].train[0], fits[1].train[0])
    again = record_fit(make_small(), images, masks)
    assert_array_equal(again.weights[0], fits[0].weights[0])
    assert_array_equal(again.train[0], fits[0].train[0])


def list_losses_with_dropout(images, masks, random_state):
    """Return losses of a network of which nothing but dropout is random."""
    start = record_fit(make_small(dropout=0.5), images, masks).weights

    class Begin(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            self.model.set_weights(start)

    settings = {"keras_callbacks": [Begin()], "batch_size": len(images), "dropout": 0.5}
    segmenter = make_small(**settings, random_state=random_state).fit(images, masks)
    return segmenter.history_["loss"]


@pytest.mark.slow
def test_another_seed_drops_other_values(images, masks):
    one, again, other = (
        list_losses_with_dropout(images, masks, seed) for seed in (0, 0, 1)
    )
    assert one == again
    assert one[0] != pytest.approx(other[0], rel=1e-4)


def test_generator_goes_on_from_fit_to_fit(images, masks):
    generator = np.random.RandomState(0)
    one, two = (
        record_fit(make_small(random_state=generator), images, masks).weights[0]
        for _ in range(2)
    )
    assert not np.array_equal(one, two)
    assert_array_equal(one, record_fit(make_small(), images, masks).weights[0])


# What is computed in ----------------------------------------------------------------


def list_dtypes(segmenter):
    """Return what each layer that has weights computes in."""
    layers = segmenter.model_.layers
    return {layer.name: layer.compute_dtype for layer in layers if layer.weights}


@pytest.mark.parametrize(
    ("features", "expected"),
    [(["AVX512BF16"], "float32"), (["AMX_BF16"], "bfloat16"), ([], "float32")],
    ids=str,
)
def test_auto_is_bfloat16_where_it_is_fast(
    features, expected, processor, images, masks, no_training
):
    processor(features)
    segmenter = make_small(compute_dtype="auto", epochs=1).fit(images, masks)
    computed = list_dtypes(segmenter)
    assert computed.pop("logits") == "float32"
    assert set(computed.values()) == {expected}
    assert {weight.dtype for weight in segmenter.model_.weights} == {"float32"}
    assert segmenter.predict_proba(images).dtype == np.float32
    assert keras.config.dtype_policy().name == "float32"


@pytest.mark.parametrize("given", ["float32", "bfloat16"])
def test_what_is_asked_for_is_computed_in(given, processor, images, masks, no_training):
    for features in ([], ["AMX_BF16"]):
        processor(features)
        computed = list_dtypes(make_small(compute_dtype=given).fit(images, masks))
        assert computed.pop("logits") == "float32"
        assert set(computed.values()) == {given}


def test_predictions_in_bfloat16_stay_near_those_in_float32(
    learned, images, masks, no_training
):
    arrays = iter(learned.model_.get_weights())
    of_learned = Replace(lambda layer, name, shape: next(arrays))
    low = make_small(compute_dtype="bfloat16", epochs=1, keras_callbacks=[of_learned])
    low.fit(images, masks)
    expected, found = (each.predict_proba(images) for each in (learned, low))
    assert expected[..., 1].std() > 0.2  # probabilities that could move
    assert not np.array_equal(found, expected)
    assert_allclose(found, expected, rtol=0, atol=0.05)

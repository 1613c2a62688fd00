"""What a fitted classifier is: its model, its pickle, its backbone."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skinest.networks._backbones import build_application

from .conftest import apply, bits, changed, is_same, layers_of, make_images, small


@pytest.mark.parametrize(
    "settings, atol",
    [
        # Batches of another size may add float32 up in another order: 1e-7 of a
        # logit of some units.
        ({"backbone": "tiny"}, 1e-5),
        ({"backbone": "tiny", "trainable": "block_16"}, 1e-5),
        pytest.param(
            {"backbone": "mobilenetv2", "trainable": "block_16"},
            1e-5,
            marks=pytest.mark.slow,
        ),
        # One step of bfloat16 on its way, which has 8 bits.
        pytest.param(
            {"backbone": "vgg16", "compute_dtype": "bfloat16"},
            2**-8,
            marks=pytest.mark.slow,
        ),
    ],
    ids=str,
)
def test_model_predicts_from_images_as_the_head_does_from_features(settings, atol):
    # Every second image is dark, and of class 0.
    images, y = make_images(12), np.arange(12) % 2
    images[::2] //= 4
    rate = 0.001 if "trainable" in settings else 0.01
    clf = small(**settings, epochs=5, learning_rate=rate).fit(images, y)
    probabilities = clf.predict_proba(images)[:, 1]
    assert np.ptp(probabilities) > 0.1, "nothing has been learned"
    model = clf.model_
    assert_allclose(apply(model, images)[:, 0], probabilities, atol=atol)
    one = apply(model, images[:1].astype(np.float32))[:, 0]
    assert_allclose(one, probabilities[:1], atol=atol)


def test_model_is_one_flat_network_in_which_the_last_stage_trains(images, y):
    import keras

    clf = small(epochs=1, fine_tune="block_16", fine_tune_epochs=1).fit(images, y)
    model = clf.model_
    assert clf.model_ is model
    assert not any(isinstance(layer, keras.Model) for layer in model.layers)
    assert model.input_shape == (None, 32, 32, 3)
    # Kernels of block_16 (2) and Conv_1, and the head's with its bias.
    assert len(model.trainable_weights) == 5
    assert {weight.dtype for weight in model.weights} == {"float32"}


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("n_classes", [2, 3])
def test_log_probabilities(n_classes, images):
    # The rate makes some probabilities exactly 0.
    clf = small(learning_rate=1e3).fit(images, np.arange(12) % n_classes)
    probabilities = clf.predict_proba(images)
    assert (probabilities == 0).any()
    found = clf.predict_log_proba(images)
    assert found.dtype == np.float32
    assert_allclose(np.exp(found), probabilities, rtol=1e-6)
    assert np.isneginf(found[probabilities == 0]).all()


def test_model_is_a_copy(images, y):
    clf = small().fit(images, y)
    before, fitted = clf.predict_proba(images), bits(clf)
    for weight in clf.model_.weights:
        weight.assign(np.zeros(weight.shape))
    assert_array_equal(clf.predict_proba(images), before)
    assert bits(clf) == fitted


def test_model_follows_the_next_fit(images, y):
    clf = small().fit(images, y)
    first = layers_of(clf.model_)
    clf.fit(images, 1 - y)
    assert not is_same(layers_of(clf.model_)["logits"], first["logits"])


@pytest.mark.parametrize(
    "trainable", [pytest.param("head", marks=pytest.mark.slow), "block_16"]
)
def test_pickle_holds_weights_and_no_optimizer(trainable, images, y):
    # So many that the rest of a pickle is less than a hundredth.
    settings = {"pooling": "flatten", "hidden_units": (256,), "epochs": 1}
    clf = small(**settings, trainable=trainable).fit(images, y)
    n_parameters = clf.model_.count_params()  # which also makes the Keras model
    stored = pickle.dumps(clf)
    assert 4 * n_parameters < len(stored) < 1.01 * 4 * n_parameters
    copy = pickle.loads(stored)
    assert bits(copy) == bits(clf)
    assert_array_equal(copy.predict_proba(images), clf.predict_proba(images))
    assert copy.history_ == clf.history_
    assert_array_equal(apply(copy.model_, images), apply(clf.model_, images))


@pytest.mark.parametrize(
    "backbone", ["tiny", pytest.param("mobilenetv2", marks=pytest.mark.slow)]
)
def test_backbone_is_saved_for_the_next_classifier_and_for_keras(
    backbone, images, y, tmp_path
):
    import keras

    path = tmp_path / "name.weights.h5"
    settings = {"backbone": backbone, "epochs": 1}
    clf = small(**settings, trainable="block_16").fit(images, y)
    clf.save_backbone(path)
    other = small(**settings, weights=path, random_state=1).fit(images, y)
    fitted, of_other = layers_of(clf.model_), layers_of(other.model_)
    assert changed(fitted, of_other)[0] == {"logits"}
    if backbone == "tiny":
        base = build_application(backbone, weights=None, input_shape=(32, 32, 3))
        base.load_weights(path)
    else:
        base = keras.applications.MobileNetV2(
            include_top=False, weights=path, input_shape=(32, 32, 3)
        )
    for name, arrays in layers_of(base).items():
        assert is_same(arrays, fitted[name]), name
    with pytest.raises(ValueError, match=r"path=.*must end with '.weights.h5'"):
        clf.save_backbone(tmp_path / "name.h5")

"""Backbones that users bring."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import copy
import pickle
import re
import subprocess
import sys
from pathlib import Path

import joblib
import keras
import numpy as np
import pytest
from keras import layers
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from skinest import BottleneckFeatureExtractor, TransferClassifier
from skinest.export import read_metadata
from skinest.inspection import GradCAMDisplay
from skinest.networks import KerasBackbone, build_transfer_network

from .own_networks import (
    IMAGES,
    MODELS,
    SIDE,
    Squared,
    Unversioned,
    Y,
    fill,
    make_custom,
    make_embedding,
    make_functional,
    make_nested,
    make_sequential,
)

SIZE = {"image_size": (SIDE, SIDE)}
PIXELS = IMAGES.astype(np.float32)


def extract(backbone, images=IMAGES, pooling="flatten", **settings):
    settings = {**SIZE, **settings}
    extractor = BottleneckFeatureExtractor(backbone, pooling=pooling, **settings)
    return extractor.fit_transform(images)


def make_classifier(backbone, **settings):
    common = {**SIZE, "epochs": 2, "batch_size": 4, "random_state": 0}
    return TransferClassifier(backbone, **{**common, **settings})


@pytest.fixture(scope="module")
def backbone():
    return KerasBackbone(make_functional())


@pytest.fixture(scope="module")
def fitted(backbone):
    return make_classifier(backbone, epochs=1).fit(IMAGES, Y)


def compute_features(backbone, **settings):
    """Compute features without a compiled model."""
    settings = {"pooling": "flatten", **SIZE, **settings}
    network = build_transfer_network(backbone, **settings)
    network = keras.Model(network.input, network.get_layer("features").output)
    return np.asarray(network(PIXELS))


@pytest.mark.parametrize("name", MODELS)
def test_features_are_the_outputs_of_the_model(name):
    model = MODELS[name]()
    expected = np.asarray(model(PIXELS)).reshape(len(PIXELS), -1)
    found = compute_features(KerasBackbone(model))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("mode", ["tf", "torch", "caffe"])
def test_preprocessing_is_that_of_keras(mode):
    model = make_functional()
    preprocess = keras.applications.imagenet_utils.preprocess_input
    expected = np.asarray(model(preprocess(PIXELS.copy(), mode=mode)))
    found = compute_features(KerasBackbone(model, preprocessing=mode))
    np.testing.assert_allclose(found.reshape(expected.shape), expected, atol=1e-4)


def test_a_model_may_take_integers():
    pixels = keras.Input((SIDE, SIDE, 3), dtype="uint8")
    x = layers.Conv2D(4, 3, strides=2)(layers.Rescaling(1 / 255)(pixels))
    model = fill(keras.Model(pixels, layers.GlobalAveragePooling2D()(x)))
    expected = keras.ops.convert_to_numpy(model(IMAGES, training=False))
    np.testing.assert_allclose(extract(KerasBackbone(model)), expected, atol=1e-5)


def test_pooling_applies_to_feature_maps_only():
    model = make_functional()
    maps = np.asarray(model(PIXELS))
    found = extract(KerasBackbone(model), pooling="avg")
    np.testing.assert_allclose(found, maps.mean(axis=(1, 2)), rtol=1e-4, atol=1e-5)
    vectors = KerasBackbone(make_embedding())
    for pooling in ("avg", "max", "flatten"):
        found = compute_features(vectors, pooling=pooling)
        np.testing.assert_allclose(found, make_embedding()(PIXELS), rtol=1e-4)


def test_a_backbone_is_a_snapshot(backbone):
    model = make_functional()
    own = KerasBackbone(model)
    before = compute_features(own)
    model.set_weights([2 * array for array in model.get_weights()])
    model.get_layer("high").name = "other"
    np.testing.assert_array_equal(compute_features(own), before)
    with pytest.raises(AttributeError, match="cannot be changed"):
        own.weights = backbone.weights


def test_backbones_are_compared_by_content(backbone):
    same = KerasBackbone(make_functional())
    others = {
        KerasBackbone(make_functional(seed=1)),
        KerasBackbone(make_functional(), preprocessing="tf"),
        KerasBackbone(make_functional(), name="other"),
        KerasBackbone(make_functional(), stages={"top": "high"}),
        KerasBackbone(make_functional(size=(None, None))),
    }
    assert backbone == same and hash(backbone) == hash(same)
    assert len({backbone, same, *others}) == 6
    assert backbone != "small"
    assert repr(backbone) == "KerasBackbone('small')"
    assert copy.deepcopy(backbone) is backbone
    assert pickle.loads(pickle.dumps(backbone)) == backbone


def test_a_fitted_classifier_is_cloned_and_pickled(fitted):
    again = clone(fitted).set_params(backbone=KerasBackbone(make_functional()))
    found = pickle.loads(pickle.dumps(again.fit(IMAGES, Y))).predict_proba(IMAGES)
    np.testing.assert_array_equal(found, fitted.predict_proba(IMAGES))
    np.testing.assert_allclose(found[:, 1:], fitted.model_(PIXELS), atol=1e-5)
    assert fitted.model_.get_layer("drop").rate == 0.25  # not that of the head


def test_grad_cam_uses_layers_of_inner_models():
    clf = make_classifier(KerasBackbone(make_nested()), epochs=1).fit(IMAGES, Y)
    display = GradCAMDisplay.from_estimator(clf, IMAGES[:1], layer="add")
    assert display.maps[0].shape == (SIDE, SIDE)


SCRIPT = """
import sys
import joblib
import numpy as np

clf, images, expected = joblib.load(sys.argv[1])
np.testing.assert_allclose(clf.predict_proba(images), expected, atol=1e-6)
"""


@pytest.mark.slow
def test_another_process_needs_no_file(tmp_path):
    path = tmp_path / "own.keras"
    make_custom(Squared()).save(path)
    clf = make_classifier(KerasBackbone(path)).fit(IMAGES, Y)
    path.unlink()
    joblib.dump((clf, IMAGES, clf.predict_proba(IMAGES)), tmp_path / "clf.joblib")
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", SCRIPT, tmp_path / "clf.joblib"]
    run = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


@pytest.mark.slow
def test_a_search_compares_backbones_in_worker_processes(tmp_path):
    backbones = [KerasBackbone(make_functional(seed=seed)) for seed in range(3)]
    clf = make_classifier(backbones[0], memory=tmp_path, epochs=1)
    grid = {"backbone": backbones}
    search = GridSearchCV(clf, grid, cv=2, n_jobs=2, error_score="raise")
    scores = search.fit(IMAGES, Y).cv_results_["mean_test_score"]
    one = GridSearchCV(clf, grid, cv=2, error_score="raise").fit(IMAGES, Y)
    np.testing.assert_array_equal(one.cv_results_["mean_test_score"], scores)


def count_files(folder):
    return sum(path.is_file() for path in folder.rglob("*.pkl"))


def test_models_of_other_weights_never_share_cached_features(tmp_path):
    for seed in (0, 1, 0):
        # Without a name of its own, each gets another one from Keras.
        model = make_sequential(seed)
        found = extract(KerasBackbone(model), memory=tmp_path)
        expected = np.asarray(model(PIXELS)).reshape(len(PIXELS), -1)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    assert count_files(tmp_path) == 2 * len(IMAGES)


def test_features_of_own_layers_are_cached_by_their_version(tmp_path, monkeypatch):
    own = KerasBackbone(make_custom(Squared()))
    extract(own, memory=tmp_path)
    monkeypatch.setattr(Squared, "version", 2)
    extract(own, memory=tmp_path)
    assert count_files(tmp_path) == 2 * len(IMAGES)
    with pytest.warns(UserWarning, match=r"backbone=Unversioned.* has no version"):
        extract(KerasBackbone(make_custom(Unversioned(3))), memory=tmp_path)
    assert count_files(tmp_path) == 2 * len(IMAGES)


def layer_weights(model):
    return {layer.name: layer.get_weights() for layer in model.layers if layer.weights}


def test_the_part_above_a_layer_is_fine_tuned():
    own = KerasBackbone(make_functional(), stages={"top": "high"})
    clf = make_classifier(own, trainable="high", learning_rate=0.1, epochs=1)
    after = layer_weights(clf.fit(IMAGES, Y).model_)
    changed = {
        name
        for name, arrays in layer_weights(make_functional()).items()
        if not all(map(np.array_equal, arrays, after[name]))
    }
    assert changed == {"high"}
    network = build_transfer_network(own, trainable="top", **SIZE)
    trained = [layer.name for layer in network.layers if layer.trainable_weights]
    assert trained == ["high", "logits"]
    with pytest.raises(ValueError, match="trainable='middle' is not a part of small"):
        clf.set_params(trainable="middle").fit(IMAGES, Y)


def test_batch_normalisation_inside_of_a_layer_is_not_trained():
    own = KerasBackbone(make_custom(Unversioned(3)))
    for weights, is_trained in (("imagenet", False), (None, True)):
        network = build_transfer_network(
            own, weights=weights, trainable="all", random_state=0, **SIZE
        )
        (layer,) = (each for each in network.layers if isinstance(each, Unversioned))
        assert layer.norm.trainable == is_trained
        assert layer.inner.trainable


def test_a_fit_that_trains_dropout_of_the_network_repeats(backbone):
    def fit():
        clf = make_classifier(backbone, trainable="all", learning_rate=0.01)
        return clf.fit(IMAGES, Y).predict_proba(IMAGES)

    np.testing.assert_array_equal(fit(), fit())


def test_dropout_of_the_network_keeps_its_rate_beside_callbacks():
    """By default, Keras names it as the layers of the head begin."""
    rates = {}

    class Look(keras.callbacks.Callback):
        def on_train_end(self, logs=None):
            for layer in self.model.layers:
                if isinstance(layer, layers.Dropout):
                    rates[layer.name] = layer.rate

    images = keras.Input((SIDE, SIDE, 3))
    maps = layers.Dropout(0.05, name="dropout")(layers.Conv2D(4, 3)(images))
    own = KerasBackbone(keras.Model(images, maps))
    settings = {"trainable": "all", "dropout": 0.9, "keras_callbacks": [Look()]}
    make_classifier(own, **settings).fit(IMAGES, Y)
    assert rates == {"dropout": 0.05, "dropout_1": 0.9}


def test_random_weights_are_those_of_the_initializers(backbone, unchanged_random_state):
    def start(seed):
        network = build_transfer_network(
            backbone, weights=None, random_state=seed, **SIZE
        )
        return network.get_layer("low").get_weights()[0]

    kernel = start(0)
    np.testing.assert_array_equal(kernel, start(0))
    assert not np.array_equal(kernel, start(1))
    limit = np.sqrt(6 / (9 * 3 + 9 * 4))  # Glorot and Bengio 2010
    assert 0.9 * limit < np.abs(kernel).max() <= limit


def test_weights_are_saved_for_the_model_and_loaded_again(tmp_path):
    path = tmp_path / "own.weights.h5"
    own = KerasBackbone(make_nested())
    clf = make_classifier(own, weights=None, epochs=1).fit(IMAGES, Y)
    clf.save_backbone(path)
    model = make_nested(seed=1)
    model.load_weights(path)
    network = keras.Model(clf.model_.input, clf.model_.get_layer("high").output)
    np.testing.assert_allclose(network(PIXELS), model(PIXELS), atol=1e-5)
    assert not np.allclose(make_nested()(PIXELS), model(PIXELS))
    model.save_weights(path)
    saved = compute_features(KerasBackbone(model))
    np.testing.assert_array_equal(compute_features(own, weights=path), saved)


@pytest.mark.parametrize("make", [make_functional, make_sequential])
def test_weights_of_the_model_are_loaded(make, tmp_path):
    path = tmp_path / "own.weights.h5"
    make(seed=1).save_weights(path)
    found = compute_features(KerasBackbone(make()), weights=path)
    np.testing.assert_array_equal(found, compute_features(KerasBackbone(make(seed=1))))


def test_a_file_of_other_weights_is_refused(backbone, tmp_path):
    path = tmp_path / "other.weights.h5"
    make_custom(Squared()).save_weights(path)
    with pytest.raises(ValueError, match=f"{re.escape(str(path))}.*'small'"):
        extract(backbone, weights=path)


def test_the_fitted_network_is_a_keras_model(fitted, tmp_path):
    fitted.export(tmp_path / "network.keras")
    assert read_metadata(tmp_path / "network.keras")["network"] == "small"
    loaded = keras.models.load_model(tmp_path / "network.keras")
    found = np.asarray(loaded(PIXELS))
    np.testing.assert_allclose(found, fitted.predict_proba(IMAGES), atol=1e-5)


def test_bfloat16_is_used_on_request(backbone):
    exact = compute_features(backbone)
    rough = compute_features(backbone, compute_dtype="bfloat16")
    assert not np.array_equal(rough, exact)
    np.testing.assert_allclose(rough, exact, atol=0.03 * np.abs(exact).max())


def test_a_network_of_one_size_refuses_others(backbone):
    for estimator in (TransferClassifier, BottleneckFeatureExtractor):
        with pytest.raises(ValueError, match=r"Set image_size=\(16, 16\)"):
            estimator(backbone).fit(IMAGES, Y)
    with pytest.raises(ValueError, match=r"Set image_size=\(16, 16\)"):
        build_transfer_network(backbone)
    any_size = KerasBackbone(make_functional(size=(None, None)))
    network = build_transfer_network(any_size, image_size=(9, 12))
    assert network.get_layer("high").output.shape == (None, 1, 2, 6)
    with pytest.raises(ValueError, match=r"image_size=\(2, 2\): the network 'small'"):
        extract(any_size, image_size=(2, 2))


def make_with_two_inputs():
    inputs = [keras.Input((SIDE, SIDE, 3)) for _ in range(2)]
    return keras.Model(inputs, layers.Add()(inputs))


class Subclassed(keras.Model):
    def call(self, images):
        return images


def make_grey():
    return keras.Sequential([keras.Input((8, 8, 1)), layers.Conv2D(3, 3)])


def make_classifying(activation="softmax"):
    model = make_embedding()
    x = layers.Dense(3, activation)(layers.Dropout(0.5, name="last")(model.output))
    return keras.Model(model.input, x)


def make_with_lambda():
    images = keras.Input((SIDE, SIDE, 3))
    return keras.Model(images, layers.Lambda(lambda x: x / 255)(images))


def make_tokens():
    images = keras.Input((SIDE, SIDE, 3))
    return keras.Model(images, layers.Reshape((SIDE, SIDE * 3))(images))


def make_with_nan():
    model = make_functional()
    model.set_weights([array + np.nan for array in model.get_weights()])
    return model


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (make_with_two_inputs, "has 2 inputs and 1 outputs"),
        (Subclassed, "layers of model are not connected"),
        (lambda: keras.Sequential(make_sequential().layers), "are not connected"),
        (lambda: make_functional().get_layer("low"), "model is of type Conv2D"),
        (make_grey, r"shape \(None, 8, 8, 1\)"),
        (make_tokens, r"output of shape \(None, 16, 48\).*GlobalAveragePooling1D"),
        (make_classifying, r"get_layer\('last'\).output"),
        (lambda: make_classifying("sigmoid"), "ends in a classifier"),
        (make_with_lambda, "has a lambda"),
        (make_with_nan, "NaN or infinite"),
        (lambda: 5, "model is of type int"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_backbone_is_refused(make, message):
    with pytest.raises((ValueError, TypeError), match=message):
        KerasBackbone(make())


def test_files_of_models(backbone, tmp_path):
    path = tmp_path / "own.keras"
    with pytest.raises(FileNotFoundError, match=re.escape(str(path))):
        KerasBackbone(path)
    path.write_bytes(b"nothing")
    with pytest.raises(ValueError, match=re.escape(str(path))):
        KerasBackbone(str(path))
    make_functional().save(path)
    assert KerasBackbone(path) == backbone


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"preprocessing": "imagenet"}, "preprocessing='imagenet' must be"),
        ({"stages": {"top": "highest"}}, "no layer 'highest'.*low, norm"),
        ({"stages": {"all": "high"}}, "stages has 'all'"),
        ({"stages": ["high"]}, r"stages=\['high'\] must be a dict"),
        ({"name": ""}, "name='' must be"),
        ({"name": "a/b"}, "name='a/b' must be"),
    ],
)
def test_wrong_arguments_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        KerasBackbone(make_functional(), **settings)


def test_a_model_is_not_a_backbone():
    with pytest.raises(ValueError, match="KerasBackbone"):
        extract(make_functional())


def test_names_of_features(backbone):
    extractor = BottleneckFeatureExtractor(backbone, pooling="avg", **SIZE)
    names = extractor.fit(IMAGES).get_feature_names_out()
    assert list(names) == [f"small_{i}" for i in range(6)]


def make_resnet(keras_hub):
    return keras_hub.models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[7],
        stackwise_num_filters=[64],
        stackwise_num_blocks=[1],
        stackwise_num_strides=[1],
        block_type="basic_block",
    )


def make_mobilenet(keras_hub):
    """Its blocks are layers of KerasHub."""
    return keras_hub.models.MobileNetBackbone(
        stackwise_expansion=[[40, 56]],
        stackwise_num_blocks=[2],
        stackwise_num_filters=[[16, 16]],
        stackwise_kernel_size=[[3, 3]],
        stackwise_num_strides=[[2, 1]],
        stackwise_se_ratio=[[None, 0.25]],
        stackwise_activation=[["relu", "hard_swish"]],
        stackwise_padding=[[1, 1]],
        output_num_filters=24,
        input_num_filters=16,
        depthwise_filters=8,
        depthwise_stride=2,
        depthwise_residual=False,
        squeeze_and_excite=0.5,
        last_layer_filter=24,
    )


@pytest.mark.slow
@pytest.mark.parametrize("make", [make_resnet, make_mobilenet])
def test_backbones_of_keras_hub(make, tmp_path):
    model = make(pytest.importorskip("keras_hub"))
    size = {"image_size": (32, 32)}
    images = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), np.uint8)
    own = pickle.loads(pickle.dumps(KerasBackbone(model)))
    expected = np.asarray(model(images.astype(np.float32))).reshape(4, -1)
    for _ in range(2):
        found = extract(own, images, memory=tmp_path, **size)
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)
    assert count_files(tmp_path) == 4
    clf = make_classifier(own, epochs=1, **size).fit(images, Y[:4])
    clf.save_backbone(tmp_path / "own.weights.h5")
    other = make(pytest.importorskip("keras_hub"))
    other.load_weights(tmp_path / "own.weights.h5")
    np.testing.assert_array_equal(model.get_weights()[0], other.get_weights()[0])

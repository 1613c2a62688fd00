# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import re
import subprocess
import sys
import warnings
from functools import partial

import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skinest import BottleneckFeatureExtractor, TransferClassifier, networks

from .conftest import SIZE, random_weights

build_transfer_network = partial(
    networks.build_transfer_network, weights=None, random_state=0
)

LOAD = """
import sys
import keras
import numpy as np

for name in sys.argv[1:]:
    model = keras.models.load_model(f"{name}.keras")
    arrays = np.load(f"{name}.npz")
    outputs = keras.ops.convert_to_numpy(model(arrays["images"]))
    np.testing.assert_allclose(outputs, arrays["outputs"], rtol=1e-5)
    trains = [weight.path for weight in model.trainable_weights]
    assert trains == list(arrays["trains"]), trains
assert not {name for name in sys.modules if name.startswith("skinest")}
"""


def outputs(model, images, **options):
    return keras.ops.convert_to_numpy(model(images, **options))


def names(layers):
    return [layer.name for layer in layers]


@pytest.fixture(scope="module")
def vgg16():
    """Build VGG16 with a small head; its weights may not be changed."""
    model = build_transfer_network(
        image_size=SIZE, hidden_units=(6,), pooling="avg", dropout=0.0
    )
    model.set_weights(random_weights(model, 1))
    return model


STUDY = {"hidden_units": (512,), "pooling": "flatten"}


def test_head_of_the_study_has_the_published_number_of_parameters():
    model = build_transfer_network(**STUDY)
    assert model.count_params() == 27_560_769
    assert sum(int(np.prod(w.shape)) for w in model.trainable_weights) == 12_846_081
    assert model.input_shape == (None, 224, 224, 3)
    assert model.output_shape == (None, 1)


def test_seven_classes_have_the_published_number_of_parameters():
    model = build_transfer_network(**STUDY, n_outputs=7)
    assert model.count_params() == 27_563_847


def test_default_head_is_linear_on_the_mean_of_each_channel():
    model = build_transfer_network(image_size=(32, 32))
    assert model.get_layer("features").output.shape == (None, 512)
    head = ["features", "dropout_1", "logits", "probabilities"]
    assert names(model.layers)[-4:] == head


def test_layers_stand_in_the_documented_order(application):
    model = build_transfer_network(
        "vgg16", image_size=SIZE, hidden_units=(5, 4), n_outputs=3
    )
    backbone = names(application("vgg16").layers)[1:]
    assert names(model.layers) == [
        *("images", "blue", "green", "red", "bgr", "preprocessing"),
        *(*backbone, "features"),
        *("hidden_1", "dropout_1", "hidden_2", "dropout_2", "logits", "probabilities"),
    ]
    assert not any(isinstance(layer, keras.Model) for layer in model.layers)
    head = [model.get_layer(name) for name in ("hidden_1", "hidden_2", "logits")]
    assert [layer.units for layer in head] == [5, 4, 3]
    activations = [layer.activation.__name__ for layer in head]
    assert activations == ["relu", "relu", "linear"]
    assert {model.get_layer(f"dropout_{i}").rate for i in (1, 2)} == {0.5}


def test_without_hidden_layers_dropout_comes_before_the_output():
    model = build_transfer_network(
        image_size=(32, 32), hidden_units=(), dropout=0.3, n_outputs=2
    )
    assert names(model.layers)[-4:] == [
        *("features", "dropout_1", "logits", "probabilities")
    ]
    assert model.get_layer("dropout_1").rate == 0.3


def test_no_dropout_is_no_layer(vgg16):
    assert not any("dropout" in name for name in names(vgg16.layers))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backbone", "compute_dtype"),
    [
        ("vgg16", "float32"),
        ("vgg16", "bfloat16"),
        ("tiny", "bfloat16"),  # with batch normalisation
        pytest.param("mobilenetv2", "float32", marks=pytest.mark.slow),
        pytest.param("mobilenetv2", "bfloat16", marks=pytest.mark.slow),
    ],
)
def test_only_the_backbone_computes_in_bfloat16(backbone, compute_dtype, images):
    policy = keras.config.dtype_policy()
    settings = {
        "image_size": SIZE,
        "hidden_units": (6,) if backbone == "vgg16" else (),
        "pooling": "avg",
    }
    reference = build_transfer_network(backbone, **settings)
    reference.set_weights(random_weights(reference, 1))
    model = build_transfer_network(backbone, **settings, compute_dtype=compute_dtype)
    assert keras.config.dtype_policy() is policy
    assert {weight.dtype for weight in model.weights} == {"float32"}
    first = names(model.layers).index("preprocessing") + 1
    start = names(model.layers).index("features")
    assert {layer.compute_dtype for layer in model.layers[start:]} == {"float32"}
    assert {layer.compute_dtype for layer in model.layers[first:start]} == {
        compute_dtype
    }
    model.set_weights(reference.get_weights())
    found = outputs(model, images)
    assert found.dtype == np.float32
    tolerance = 0 if compute_dtype == "float32" else 0.1
    assert_allclose(found, outputs(reference, images), rtol=0, atol=tolerance)


@pytest.mark.parametrize(
    ("pooling", "pool"),
    [
        ("flatten", lambda maps: maps.reshape(len(maps), -1)),
        ("avg", lambda maps: maps.mean(axis=(1, 2))),
        ("max", lambda maps: maps.max(axis=(1, 2))),
    ],
)
def test_features_are_pooled_maps(pooling, pool, application):
    size = (64, 96)  # maps of 2 x 3 pixels
    settings = {"image_size": size, "pooling": pooling, "hidden_units": ()}
    model = build_transfer_network("tiny", **settings)
    arrays = application("tiny").get_weights()
    model.set_weights([*arrays, *model.get_weights()[len(arrays) :]])
    images = np.random.default_rng(0).uniform(0, 255, (2, *size, 3))
    features = model.get_layer("features")
    maps = outputs(keras.Model(model.input, features.input), images)
    assert maps.shape == (2, 2, 3, 1280)
    found = outputs(keras.Model(model.input, features.output), images)
    assert_allclose(found, pool(maps), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize(
    ("backbone", "size", "pooling", "width"),
    [
        ("vgg16", (224, 224), "flatten", 25_088),
        ("vgg16", (64, 96), "flatten", 3_072),
        pytest.param("vgg19", (32, 32), "avg", 512, marks=pytest.mark.slow),
        pytest.param("mobilenetv2", (32, 32), "max", 1_280, marks=pytest.mark.slow),
    ],
)
def test_number_of_features(backbone, size, pooling, width):
    options = {"image_size": size, "pooling": pooling, "hidden_units": ()}
    model = build_transfer_network(backbone, **options)
    assert model.get_layer("features").output.shape == (None, width)


@pytest.mark.parametrize("n_outputs", [1, 3])
def test_head_is_dense_relu_layers_then_sigmoid_or_softmax(n_outputs, images):
    settings = {"image_size": SIZE, "hidden_units": (5, 4), "n_outputs": n_outputs}
    model = build_transfer_network("tiny", **settings, pooling="avg")
    *of_backbone, kernel, bias = random_weights(model, 2)
    model.set_weights([*of_backbone, 0.02 * kernel, bias])  # so that none is near 0
    arrays = model.get_weights()[-6:]
    features = keras.Model(model.input, model.get_layer("features").output)
    x = outputs(features, images)
    for kernel, bias in (arrays[:2], arrays[2:4]):
        x = np.maximum(x @ kernel + bias, 0)
    logits = x @ arrays[4] + arrays[5]
    if n_outputs == 1:
        expected = 1 / (1 + np.exp(-logits))
    else:
        expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert expected.min() > 0.01
    assert_allclose(outputs(model, images, training=False), expected, rtol=1e-4)


def test_features_are_those_of_the_extractor(weights_file, images):
    pixels = images.astype(np.uint8)
    extractor = BottleneckFeatureExtractor(
        weights=weights_file("vgg16"),
        image_size=SIZE,
        pooling="avg",
        compute_dtype="float32",
    )
    model = networks.build_transfer_network(
        weights=weights_file("vgg16"), image_size=SIZE, pooling="avg", hidden_units=()
    )
    features = keras.Model(model.input, model.get_layer("features").output)
    expected = extractor.fit_transform(list(pixels))
    assert_allclose(outputs(features, pixels), expected, rtol=1e-5, atol=1e-4)


def test_builder_starts_where_the_classifier_does():
    """Compare all but the bias, into which the classifier puts the classes' shares."""
    images = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)
    settings = {"weights": None, "image_size": (32, 32), "pooling": "avg"}
    settings |= {"hidden_units": (4,), "random_state": 0}
    y = np.arange(len(images)) % 2
    clf = TransferClassifier("tiny", **settings, epochs=1, learning_rate=1e-12)
    expected = clf.fit(images, y).model_.get_weights()
    model = networks.build_transfer_network("tiny", **settings)
    for array, start in zip(model.get_weights()[:-1], expected[:-1], strict=True):
        assert_allclose(array, start, atol=1e-6)


def test_weights_of_a_file(application, weights_file):
    model = networks.build_transfer_network(
        image_size=SIZE, weights=weights_file("vgg16"), hidden_units=(2,)
    )
    expected = application("vgg16").get_weights()
    for array, stored in zip(model.get_weights(), expected, strict=False):
        assert_array_equal(array, stored)


def test_seed_draws_the_weights():
    def drawn(seed):
        options = {"image_size": (32, 32), "hidden_units": (4,), "random_state": seed}
        model = build_transfer_network("tiny", **options)
        return np.concatenate([w.ravel() for w in model.get_weights()])

    assert_array_equal(drawn(1), drawn(1))
    assert not np.array_equal(drawn(1), drawn(2))
    np.random.seed(3)  # noqa: NPY002
    first = drawn(None)
    np.random.seed(3)  # noqa: NPY002
    assert_array_equal(drawn(None), first)


@pytest.mark.parametrize(
    ("backbone", "first_layers"),
    [
        (
            "vgg16",
            {
                "stage5": "block5_conv1",
                "stage1": "block1_conv1",
                "block4": "block4_conv1",
                "block4_conv2": "block4_conv2",
            },
        ),
        pytest.param(
            "mobilenetv2",
            {
                "stage5": "block_13_expand",
                "Conv_1": "Conv_1",
                "block_16": "block_16_expand",
                "expanded_conv": "expanded_conv_depthwise",
                "stage1": "Conv1",
            },
            marks=pytest.mark.slow,
        ),
    ],
    ids=["vgg16", "mobilenetv2"],
)
def test_what_trains_starts_at_the_first_layer_of_the_stage(backbone, first_layers):
    for stage in ("head", *first_layers, "all"):
        model = build_transfer_network(
            backbone, image_size=(32, 32), hidden_units=(), trainable=stage
        )
        in_backbone, in_head = [], []
        for layer in model.layers:
            if not isinstance(layer, keras.layers.BatchNormalization):
                is_dense = isinstance(layer, keras.layers.Dense)
                weights = [weight.path for weight in layer.weights]
                (in_head if is_dense else in_backbone).extend(weights)
        n_frozen = 0 if stage == "all" else len(in_backbone)
        if stage not in ("head", "all"):
            n_frozen = next(
                index
                for index, path in enumerate(in_backbone)
                if path.split("/")[0] == first_layers[stage]
            )
        trains = [weight.path for weight in model.trainable_weights]
        norms = [path for path in trains if path.endswith(("gamma", "beta"))]
        assert bool(norms) == (backbone == "mobilenetv2" and stage == "all")
        trains = [path for path in trains if path not in norms]
        assert trains == in_backbone[n_frozen:] + in_head, stage


def test_trainable_of_the_builder_is_that_stage():
    model = build_transfer_network(
        "tiny", image_size=(32, 32), hidden_units=(), trainable="block_16"
    )
    assert [weight.path for weight in model.trainable_weights] == [
        "block_16_expand/kernel",
        "block_16_depthwise/kernel",
        "Conv_1/kernel",
        "logits/kernel",
        "logits/bias",
    ]


def test_batch_normalisation_stays_in_inference(images):
    model = build_transfer_network(
        "tiny",
        image_size=SIZE,
        hidden_units=(),
        pooling="avg",
        dropout=0.0,
        trainable="Conv1",
    )
    model.set_weights(random_weights(model, 1))
    before = model.get_weights()
    expected = outputs(model, images, training=False)
    assert_array_equal(outputs(model, images, training=True), expected)
    for array, earlier in zip(model.get_weights(), before, strict=True):
        assert_array_equal(array, earlier)
    # Were it in training, the outputs would be others.
    for layer in model.layers:
        layer.trainable = True
    assert np.abs(outputs(model, images, training=True) - expected).max() > 1e-3


def test_batch_normalisation_trains_from_scratch_alone(images, weights_file):
    settings = {"image_size": SIZE, "hidden_units": (), "trainable": "all"}
    model = build_transfer_network("tiny", **settings)
    before = {weight.path: weight.numpy() for weight in model.weights}
    model(images, training=True)
    changed = [
        weight.path
        for weight in model.weights
        if not np.array_equal(weight.numpy(), before[weight.path])
    ]
    assert len(changed) == 2 * 4
    assert {path.split("/")[1] for path in changed} == {
        "moving_mean",
        "moving_variance",
    }
    model = build_transfer_network("tiny", **settings, weights=weights_file("tiny"))
    assert not any("gamma" in weight.path for weight in model.trainable_weights)


def test_dropout_drops_in_training_alone(images):
    settings = {"image_size": SIZE, "hidden_units": (16,), "pooling": "avg"}
    model = build_transfer_network("tiny", **settings)
    model.set_weights(random_weights(model, 1))
    expected = outputs(model, images, training=False)
    assert_array_equal(outputs(model, images), expected)
    assert not np.allclose(outputs(model, images, training=True), expected)


@pytest.mark.parametrize(
    ("backbone", "trainable"),
    [("vgg16", "block5"), ("vgg16", "head"), ("tiny", "block_16")],
)
def test_l2_is_a_penalty_on_kernels_that_train(backbone, trainable):
    l2 = 0.01
    model = build_transfer_network(
        backbone,
        image_size=(32, 32),
        hidden_units=(4,),
        l2=l2,
        trainable=trainable,
    )
    model.set_weights(random_weights(model, 1))
    kernels = [
        keras.ops.convert_to_numpy(weight.value)
        for weight in model.trainable_weights
        if weight.name == "kernel"
    ]
    assert len(kernels) == {"block5": 5, "head": 2, "block_16": 5}[trainable]
    penalty = float(sum(keras.ops.convert_to_numpy(loss) for loss in model.losses))
    expected = l2 * sum(np.sum(np.float64(kernel) ** 2) for kernel in kernels)
    assert penalty == pytest.approx(expected, rel=1e-5)


def test_without_l2_there_is_no_penalty():
    options = {"image_size": (32, 32), "hidden_units": (4,), "trainable": "all"}
    assert build_transfer_network(**options, l2=0.0).losses == []


def test_auto_l2_is_a_penalty_on_the_output_alone():
    options = {"image_size": (32, 32), "hidden_units": (4,), "trainable": "all"}
    model = build_transfer_network(**options, l2="auto")
    kernel = keras.ops.convert_to_numpy(model.get_layer("logits").kernel)
    (penalty,) = map(float, model.losses)
    assert penalty == pytest.approx(0.1 * np.sum(np.float64(kernel) ** 2), rel=1e-5)


def test_model_takes_an_array_without_warning(vgg16, images):
    assert vgg16.input.shape == (None, *SIZE, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        vgg16(images)


def test_two_builds_share_all_names():
    def build():
        model = build_transfer_network(image_size=(32, 32), hidden_units=(4,))
        return [weight.path for weight in model.weights]

    assert build() == build()


@pytest.mark.slow
def test_saved_model_needs_no_skinest(tmp_path, images):
    settings = {
        "vgg16": {"hidden_units": (6,), "trainable": "block5", "l2": 0.1},
        "mobilenetv2": {
            "hidden_units": (),
            "trainable": "block_16",
            "compute_dtype": "bfloat16",
            "n_outputs": 3,
        },
    }
    for backbone, options in settings.items():
        model = build_transfer_network(
            backbone, image_size=SIZE, pooling="avg", **options
        )
        model.set_weights(random_weights(model, 1))
        model.save(tmp_path / f"{backbone}.keras")
        np.savez(
            tmp_path / f"{backbone}.npz",
            images=images,
            outputs=outputs(model, images),
            trains=[weight.path for weight in model.trainable_weights],
        )
    subprocess.run(
        [sys.executable, "-c", LOAD, *settings], cwd=tmp_path, check=True, text=True
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"backbone": "resnet18"}, "'backbone' parameter.*'resnet18'"),
        ({"image_size": (224, 31)}, "(224, 31): the network needs 32 pixels"),
        (
            {"backbone": "inceptionv3", "image_size": (80, 74)},
            "(80, 74): the network needs 75 pixels",
        ),
        ({"train_batch_norm": "yes"}, "'train_batch_norm' parameter.*'yes'"),
        ({"image_size": 224}, "'image_size' parameter.*224"),
        ({"image_size": (224.0, 224.0)}, "(224.0, 224.0) must be (height, width)"),
        ({"hidden_units": 512}, "'hidden_units' parameter.*512"),
        ({"pooling": "mean"}, "'pooling' parameter.*'mean'"),
        ({"dropout": 1.0}, "'dropout' parameter.*1.0"),
        ({"l2": -1.0}, "'l2' parameter.*-1.0"),
        ({"n_outputs": 0}, "'n_outputs' parameter.*0"),
        ({"trainable": "block6"}, "'block6' is not a part of vgg16. Choose one of"),
        (
            {"backbone": "mobilenetv2", "trainable": "block5"},
            "'block5' is not a part of mobilenetv2. Choose one of head, stage5, "
            "stage4, stage3, stage2, stage1, all; a block (Conv_1, block_16, block_15, "
            "..., block_1, expanded_conv, Conv1); or the name of a layer.",
        ),
        ({"compute_dtype": "float16"}, "'compute_dtype' parameter.*'float16'"),
    ],
)
def test_wrong_argument_is_named(arguments, message):
    pattern = re.escape(message).replace(r"\.\*", ".*")
    options = {"image_size": (32, 32), "hidden_units": (), **arguments}
    with pytest.raises(ValueError, match=pattern):
        build_transfer_network(**options)

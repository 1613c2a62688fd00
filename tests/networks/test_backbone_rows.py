"""Every row of the table of backbones, compared with the network of Keras."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import itertools
import json
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import get_args

import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_sample_image

from skinest import TransferClassifier, _typing
from skinest._compat import find_producer
from skinest.images import resize
from skinest.inspection import GradCAMDisplay
from skinest.networks import build_transfer_network
from skinest.networks._backbone_stages import list_blocks, set_trainable
from skinest.networks._backbone_table import BACKBONES
from skinest.networks._backbones import build_backbone, make_config
from skinest.networks._transfer_network import BackboneSpec, HeadSpec, build_network
from skinest.networks._weights import load_backbone_weights, save_backbone_weights

from .conftest import error_of, random_weights

# Module of `keras.applications` with the preprocessing, networks from small to large,
# and least side.
FAMILIES = {
    "vgg": ("vgg16", ["VGG16", "VGG19"], 32),
    "resnet": ("resnet", ["ResNet50", "ResNet101", "ResNet152"], 32),
    "resnetv2": ("resnet_v2", ["ResNet50V2", "ResNet101V2", "ResNet152V2"], 32),
    "densenet": ("densenet", ["DenseNet121", "DenseNet169", "DenseNet201"], 32),
    "inceptionv3": ("inception_v3", ["InceptionV3"], 75),
    "inceptionresnet": ("inception_resnet_v2", ["InceptionResNetV2"], 75),
    "xception": ("xception", ["Xception"], 71),
    "mobilenet": ("mobilenet", ["MobileNet"], 32),
    "mobilenetv2": ("mobilenet_v2", ["MobileNetV2"], 32),
    "mobilenetv3": ("mobilenet_v3", ["MobileNetV3Small", "MobileNetV3Large"], 32),
    "efficientnet": ("efficientnet", [f"EfficientNetB{i}" for i in range(8)], 32),
    "efficientnetv2": (
        "efficientnet_v2",
        [f"EfficientNetV2{size}" for size in ("B0", "B1", "B2", "B3", "S", "M", "L")],
        32,
    ),
    "convnext": (
        "convnext",
        [f"ConvNeXt{size}" for size in ("Tiny", "Small", "Base", "Large", "XLarge")],
        32,
    ),
    "nasnet": ("nasnet", ["NASNetMobile", "NASNetLarge"], 32),
}
# A block of the smallest network of each family, and the first layer that it trains.
BLOCKS = {
    "vgg16": ("block5", "block5_conv1"),
    "resnet50": ("conv5_block3", "conv5_block3_1_conv"),
    "resnet50v2": ("conv5_block3", "conv5_block3_1_conv"),
    "densenet121": ("conv5_block16", "conv5_block16_1_conv"),
    "inceptionv3": ("mixed10", "conv2d_89"),
    "inceptionresnetv2": ("block8_10", "conv2d_200"),
    "xception": ("block14", "block14_sepconv1"),
    "mobilenet": ("conv_13", "conv_dw_13"),
    "mobilenetv2": ("block_16", "block_16_expand"),
    "mobilenetv3small": ("expanded_conv_10", "expanded_conv_10_expand"),
    "efficientnetb0": ("block7a", "block7a_expand_conv"),
    "efficientnetv2b0": ("block6h", "block6h_expand_conv"),
    "convnexttiny": (
        "stage_3_block_2",
        "convnext_tiny_stage_3_block_2_depthwise_conv",
    ),
    "nasnetmobile": ("normal_concat_12", "adjust_conv_projection_12"),
}
# Only tests of these run in the usual suite; other tests run VGG16 and MobileNetV2.
# Each shows another kind: preprocessing as "tf", or inside with stochastic depth and
# scaled layers. Networks with parallel branches and numbered layers take longer.
QUICK = {"mobilenet", "convnexttiny"}
STORED = {"mobilenet"}  # and with files


@dataclass
class Row:
    """A backbone, the network of Keras, and ours with the same weights."""

    name: str
    application: str
    module: str
    side: int
    folder: Path

    @cached_property
    def expected(self):
        """Build the network of Keras."""
        model = getattr(keras.applications, self.application)(
            weights=None, include_top=False, input_shape=(self.side, self.side, 3)
        )
        model.set_weights(random_weights(model, 0))
        for layer in model.layers:
            if isinstance(layer, keras.layers.Normalization):
                layer.finalize_state()  # or it would ignore its weights
        return model

    @cached_property
    def path(self):
        """Write a file with the weights of Keras' network."""
        path = self.folder / "keras.weights.h5"
        self.expected.save_weights(path)
        return path

    @cached_property
    def network(self):
        """Build our network, with the weights of that of Keras."""
        spec = BackboneSpec(self.name, (self.side, self.side), "avg", "float32")
        network = build_network(spec, HeadSpec((), 0.0, 0.1, 1), "head", False)
        arrays = self.expected.get_weights()
        if self.module == "efficientnet":
            del arrays[2]  # a count of images
        network.set_weights([*arrays, *network.get_weights()[-2:]])
        return network

    @cached_property
    def images(self):
        generator = np.random.default_rng(0)
        shape = (2, self.side, self.side, 3)
        return generator.uniform(0, 255, shape).astype(np.float32)

    def preprocess(self):
        module = getattr(keras.applications, self.module)
        return module.preprocess_input(self.images.copy())

    def list_trained(self, stage):
        """List the layers in which a stage trains weights, without normalisation."""
        set_trainable(self.network, self.name, stage, False)
        return [layer.name for layer in self.list_layers() if layer.trainable_weights]

    def list_layers(self):
        """List the layers with weights, without batch normalisation and the head."""
        return [
            layer
            for layer in self.network.layers[:-3]
            if layer.weights and not isinstance(layer, keras.layers.BatchNormalization)
        ]


def list_rows(quick):
    """List all rows, of which most are slow."""
    for module, applications, side in FAMILIES.values():
        for application in applications:
            name = application.lower()
            marks = () if name in quick else pytest.mark.slow
            yield pytest.param((name, application, module, side), marks=marks, id=name)


# Pytest runs all tests of a row, and then those of the next one.
@pytest.fixture(scope="module", params=list_rows(QUICK))
def row(request, tmp_path_factory):
    return Row(*request.param, tmp_path_factory.mktemp("row"))


with_files = pytest.mark.parametrize("row", list_rows(STORED), indirect=True)


def compute(tensor, model, images):
    return keras.ops.convert_to_numpy(keras.Model(model.inputs[0], tensor)(images))


def test_table_has_all_convolutional_networks_of_keras():
    assert set(BACKBONES) - {"tiny"} == set(get_args(_typing.BackboneName))
    networks = [name for name in dir(keras.applications) if name[0].isupper()]
    ours = list(itertools.chain(*(networks for _, networks, _ in FAMILIES.values())))
    assert sorted(ours) == sorted(networks)
    assert {name.lower() for name in ours} == set(BACKBONES) - {"tiny"}


def test_the_guide_lists_the_table():
    guide = Path(__file__).parents[2] / "docs" / "guide" / "transfer.rst"
    text = guide.read_text(encoding="utf-8").split(".. list-table:: Backbones")[1]
    rows = text.split("\n\n")[1].split("   * - ")[2:]
    listed = {}
    for line in rows:
        names, preprocessing, side = line.split("     - ")[:3]
        for name, millions in re.findall(r"``(\w+)``\s\((\d+\.\d)\sM\)", names):
            listed[name] = millions, preprocessing.strip(), side.strip()
    assert listed == {
        name: (f"{row.n_parameters / 1e6:.1f}", row.preprocessing, str(row.min_side))
        for name, row in BACKBONES.items()
        if name != "tiny"
    }


def test_preprocessing_is_that_of_keras(row):
    model, expected = row.expected, row.preprocess()
    kinds = (keras.layers.Rescaling, keras.layers.Normalization)
    inside = list(
        itertools.takewhile(lambda layer: isinstance(layer, kinds), model.layers[1:])
    )
    if inside:
        assert_array_equal(expected, row.images)
        expected = compute(inside[-1].output, model, row.images)
    layer = row.network.get_layer("preprocessing")
    found = compute(layer.output, row.network, row.images)
    assert_allclose(found, expected, rtol=0, atol=1e-6 * np.abs(expected).max())


def test_features_are_those_of_keras(row):
    maps = compute(row.expected.outputs[0], row.expected, row.preprocess())
    expected = maps.mean(axis=(1, 2))
    found = compute(row.network.get_layer("features").output, row.network, row.images)
    assert expected.std() > 0
    assert_allclose(found, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


def test_parameters_are_as_many_as_those_of_keras(row):
    assert BACKBONES[row.name].n_parameters == row.expected.count_params()


def test_a_network_has_common_layers_only(row):
    own = [
        part
        for part in row.network.operations
        if not isinstance(part, keras.layers.Layer) or isinstance(part, keras.Model)
    ]
    assert own == []
    kinds = {type(layer).__name__ for layer in row.network.layers}
    # Keras has no common layer for it, but loads it from .keras files.
    assert [kind for kind in kinds if not hasattr(keras.layers, kind)] in (
        [],
        ["LayerScale"],
    )


def test_penalty_reaches_all_kernels(row):
    set_trainable(row.network, row.name, "all", False)
    for weight in row.network.weights:
        is_kernel = len(weight.shape) > 1
        assert (weight.regularizer is not None) == is_kernel, weight.path


def test_stages_train_what_is_above_them(row):
    layers = [layer.name for layer in row.list_layers()]
    n_trained = []
    for stage in ("head", "stage5", "stage4", "stage3", "stage2", "stage1"):
        trained = row.list_trained(stage)
        assert trained == layers[len(layers) - len(trained) :]
        n_trained.append(len(trained))
    assert n_trained == sorted(set(n_trained))
    assert n_trained[0] == 0
    assert n_trained[-1] == len(layers)
    assert row.list_trained("all") == layers


def test_few_and_small_tensors_cross_below_a_stage(row):
    sides = []
    for number in range(1, 6):
        first = BACKBONES[row.name].stages[f"stage{number}"]
        names = [layer.name for layer in row.network.layers]
        below = set(names[: names.index(first)])
        crossing = {
            tensor.name: tensor
            for layer in row.network.layers[names.index(first) :]
            for tensor in keras.tree.flatten(layer.input)
            if find_producer(tensor)[0].name in below
        }
        assert len(crossing) <= (3 if "nasnet" in row.name else 1)
        sides.append(max(tensor.shape[1] for tensor in crossing.values()))
    assert sides == sorted(sides, reverse=True)
    assert sides[0] == row.side
    assert sides[-1] <= row.side / 8


def test_blocks_and_layers_have_their_own_names(row):
    layers = [layer.name for layer in row.network.layers]
    firsts = [layers.index(layer) for layer in list_blocks(row.name).values()]
    assert firsts == sorted(set(firsts))
    last = row.list_layers()[-1].name
    assert row.list_trained(last) == [last]
    if row.name in BLOCKS:
        block, layer = BLOCKS[row.name]
        assert row.list_trained(block)[0] == layer


@with_files
def test_weights_go_to_keras_and_back(row):
    arrays = row.expected.get_weights()
    path = row.folder / "ours.weights.h5"
    weights = load_backbone_weights(row.name, row.path, 0)
    save_backbone_weights(row.name, weights, path)
    row.expected.load_weights(path)
    for found, expected in zip(row.expected.get_weights(), arrays, strict=True):
        assert_array_equal(found, expected)
    assert load_backbone_weights(row.name, path, 0).digest == weights.digest


@with_files
def test_error_says_whose_weights_a_file_seems_to_have(row):
    message = error_of("vgg19" if row.name == "vgg16" else "vgg16", row.path)
    assert f"They seem to be weights of {row.application}: " in message
    assert f"pass backbone={row.name!r}, or another file." in message


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "MobileNetV3Small",  # its classifier has convolutions
        "ConvNeXtTiny",
        "EfficientNetB0",
        "NASNetMobile",
    ],
)
def test_file_of_a_network_with_its_classifier(name, tmp_path):
    application = getattr(keras.applications, name)
    model = application(weights=None, classes=10)
    model.set_weights(random_weights(model, 0))
    path = tmp_path / "full.weights.h5"
    model.save_weights(path)
    weights = load_backbone_weights(name.lower(), path, 0)
    remaining = iter(model.get_weights())
    for array in weights.arrays:  # of the classifier and counts, there are more
        while not np.array_equal(next(remaining), array):
            pass
    message = error_of("vgg16", path)
    assert f"They seem to be weights of {name}: " in message


@pytest.mark.slow
def test_imagenet_weights_of_efficientnet_have_the_deviation_as_variance(tmp_path):
    """Keras' network of its ImageNet weights has a layer more, which divides again."""
    application = keras.applications.EfficientNetB0
    model = application(weights=None, include_top=False, input_shape=(32, 32, 3))
    arrays = random_weights(model, 0)
    mean, deviation = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    path = tmp_path / "some.weights.h5"
    model.set_weights([mean, deviation, *arrays[2:]])
    model.save_weights(path)
    network = build_transfer_network("efficientnetb0", weights=path, random_state=0)
    images = np.random.default_rng(0).uniform(0, 255, (2, 224, 224, 3))
    found = compute(network.get_layer("preprocessing").output, network, images)
    assert_allclose(found, (images / 255 - mean) / deviation, rtol=0, atol=1e-5)
    save_backbone_weights(
        "efficientnetb0", load_backbone_weights("efficientnetb0", path, 0), path
    )
    model.load_weights(path)
    layer = model.layers[2]
    found = compute(layer.output, model, images[:, :32, :32])
    expected = (images[:, :32, :32] / 255 - mean) / deviation
    assert_allclose(found, expected, rtol=0, atol=1e-5)


@pytest.mark.slow
def test_paths_are_dropped_by_the_seed_alone():
    images = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), dtype=np.uint8)

    def fit(seed):
        clf = TransferClassifier(
            "efficientnetb0",
            weights=None,
            image_size=(32, 32),
            dropout=0.0,
            trainable="all",
            epochs=1,
            batch_size=8,
            random_state=seed,
        )
        return clf.fit(images, np.arange(8) % 2).history_["loss"]

    assert fit(0) == fit(0)
    assert fit(0) != fit(1)


@pytest.mark.slow
def test_random_weights_keep_the_scale(row):
    if row.name.startswith("efficientnet"):
        pytest.skip("the scale of random EfficientNets depends on the image")
    # Not in smaller ones, where most of what large kernels see is padding.
    network = build_transfer_network(
        row.name, weights=None, image_size=(160, 160), random_state=0
    )
    photograph = resize(load_sample_image("flower.jpg"), (160, 160))
    found = compute(network.get_layer("features").output, network, photograph[None])
    assert 0.02 < np.sqrt(np.mean(found**2)) < 50


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["mobilenetv3small", "efficientnetb0", "convnexttiny", "densenet121"]
)
def test_preprocessing_is_computed_in_float32(name):
    model = build_backbone(name, (32, 32), compute_dtype="bfloat16")
    layers = [layer.name for layer in model.layers]
    end = layers.index("preprocessing") + 1
    # The input computes nothing.
    assert {layer.compute_dtype for layer in model.layers[1:end]} == {"float32"}
    assert {layer.compute_dtype for layer in model.layers[end:]} == {"bfloat16"}


def test_names_do_not_depend_on_what_was_built_before():
    def list_names():
        config = make_config.__wrapped__("mobilenetv3small", (32, 32))
        return [layer["name"] for layer in json.loads(config)["layers"]]

    expected = list_names()
    counted = keras.layers.ReLU().name
    assert list_names() == expected
    assert "re_lu" in expected
    # Nor do those of the user's layers depend on our networks.
    number = int(f"{counted}_0".split("_")[2])
    assert keras.layers.ReLU().name == f"re_lu_{number + 1}"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Grad-CAM is coarse")
def test_one_epoch_trains_the_stage_alone(row):
    images = np.random.default_rng(0).integers(0, 256, (8, row.side, row.side, 3))
    images = images.astype(np.uint8)
    clf = TransferClassifier(
        row.name,
        weights=None,
        image_size=(row.side, row.side),
        trainable="stage5",
        epochs=1,
        batch_size=4,
        random_state=0,
    ).fit(images, np.arange(8) % 2)
    start = load_backbone_weights(row.name, None, clf._make_seeds()["weights"])
    layers = [layer for layer in row.network.layers[:-3] if layer.weights]
    remaining = iter(zip(start.arrays, clf.model_.get_weights(), strict=False))
    changed = []
    for layer in layers:
        pairs = list(itertools.islice(remaining, len(layer.weights)))
        if not all(itertools.starmap(np.array_equal, pairs)):
            changed.append(layer.name)
    assert changed == row.list_trained("stage5")
    display = GradCAMDisplay.from_estimator(clf, images[:1], target=1)
    assert np.isfinite(display.maps[0]).all()

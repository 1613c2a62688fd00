"""Backbones: pretrained networks without their classifier."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache

from .._compat import fresh_layer_names, preserved_random_state
from ..utils._checks import check_image_size

# For a training from scratch: Keras' .999 would need thousands of steps.
_MOMENTUM = 0.9
_lock = threading.Lock()
# How many channels to cut off before and after each one.
_CHANNELS = {"blue": (2, 0), "green": (1, 1), "red": (0, 2)}
_ZEROS = {"module": "keras.initializers", "class_name": "Zeros", "config": {}}
# Kinds of kernels: those of separable convolutions are of two kinds.
KERNELS = ("kernel", "depthwise", "pointwise")
# Mean and standard deviation of ImageNet's colours, for values from 0 to 1.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Backbone:
    """A network of :mod:`keras.applications`, as a row of the table.

    Parameters
    ----------
    application : str
        Name of its function in `keras.applications`.

    preprocessing : {"caffe", "tf", "torch", "inside"}
        "caffe" converts RGB to BGR and subtracts the mean colour of ImageNet; "tf"
        scales values to [-1, 1]; "torch" scales values to [0, 1], subtracts ImageNet's
        mean colour and divides by its standard deviation. "inside" means that the
        network of Keras has layers for it.

    stages : dict of str to str
        First layer of "stage5" to "stage1", from the top down. Each stage has the
        layers of one resolution and is cut off where few and small tensors cross.

    blocks : str
        A regular expression that matches the beginning of the names of a block's
        layers. Its groups are the name of the block.

    has_named_ends : bool
        Whether only the last layers of the blocks have a name of their own, so that
        `blocks` matches these alone.

    n_parameters : int
        Number of its parameters, as Keras counts them; 0 means not known.

    compute_dtype : {"bfloat16", "float32"}
        The dtype for ``compute_dtype="auto"`` on a processor with AMX, in Keras.

    min_side : int
        Height and width of images in pixels that the network needs.

    openvino : tuple of str, default=()
        Precisions, "float32" or "bfloat16", in which OpenVINO is faster than Keras.
        It then computes the network if it is installed.
    """

    application: str
    preprocessing: str
    stages: dict = field(hash=False)
    blocks: str
    has_named_ends: bool = False
    n_parameters: int = 0
    compute_dtype: str = "float32"
    min_side: int = 32
    openvino: tuple = ()

    @property
    def sample_size(self) -> tuple:
        """A size of images that the network takes."""
        return self.min_side, self.min_side

    def check_image_size(self, image_size):
        """Raise ValueError unless the network takes images of this size."""
        check_image_size(image_size, self.min_side)

    def get_definitions(self) -> dict:
        """Return the classes and functions that Keras does not know."""
        return {}

    def build(self, **options):
        """Build the Keras model without its classifier, with the settings of Keras."""
        import keras

        application = getattr(keras.applications, self.application)
        return application(include_top=False, **options)


def get_backbone(backbone) -> Backbone:
    """Return the row of the table, or what stands for it in a network of the user."""
    from ._backbone_table import BACKBONES  # its rows are instances of the class above

    return BACKBONES[backbone] if isinstance(backbone, str) else backbone.row


def get_architecture(backbone):
    """Return the name of a backbone, or a network of the user without its weights."""
    return backbone if isinstance(backbone, str) else backbone.row


@contextmanager
def _channels_last():
    """Let Keras' applications build networks for images with channels last.

    They have no argument for it, only a setting of the whole process.
    """
    import keras

    with _lock:
        before = keras.config.image_data_format()
        keras.config.set_image_data_format("channels_last")
        try:
            yield
        finally:
            keras.config.set_image_data_format(before)


def build_application(backbone, **options):
    """Build a network of the table without its classifier."""
    with preserved_random_state(), _channels_last(), fresh_layer_names():
        return get_backbone(backbone).build(**options)


@lru_cache(maxsize=32)
def make_config(backbone, image_size) -> str:
    """Return the configuration of preprocessing and network as JSON."""
    import keras

    from ._flat_configs import flatten_config, keep_statistics

    images = keras.Input((*image_size, 3), dtype="float32", name="images")
    pixels = _preprocess(images, get_backbone(backbone).preprocessing)
    network = build_application(backbone, weights=None, input_tensor=pixels)
    # Keras has made its input a list, which causes a warning for an array.
    config = keras.Model(images, network.output, name=str(backbone)).get_config()
    config = json.loads(json.dumps(config))
    is_named = isinstance(backbone, str)
    config = (flatten_config if is_named else keep_statistics)(config)
    for number, layer in enumerate(config["layers"]):
        settings = layer["config"]
        for kernel in KERNELS:
            if f"{kernel}_initializer" in settings:
                settings[f"{kernel}_initializer"] = _ZEROS
        if layer["class_name"] == "BatchNormalization":
            settings["momentum"] = _MOMENTUM
        if "seed" in settings:
            settings["seed"] = number
    return json.dumps(config)


def _preprocess(images, kind):
    import keras

    if kind == "inside":
        return images
    if kind == "torch":
        return keras.layers.Normalization(
            mean=[255 * mean for mean in IMAGENET_MEAN],
            variance=[(255 * std) ** 2 for std in IMAGENET_STD],
            dtype="float32",
            name="preprocessing",
        )(images)
    scale, offset = 1 / 127.5, -1.0
    if kind == "caffe":
        images = _reverse_channels(images)  # to BGR
        scale, offset = 1.0, [-103.939, -116.779, -123.68]
    return keras.layers.Rescaling(
        scale, offset=offset, dtype="float32", name="preprocessing"
    )(images)


def _reverse_channels(images):
    """Reverse the last axis by layers, because .h5 files have no `keras.ops.flip`."""
    import keras

    channels = []
    for name, crop in _CHANNELS.items():
        # So that the last axis, which has the channels, is one of those it crops.
        layer = keras.layers.Cropping2D(
            ((0, 0), crop), data_format="channels_first", dtype="float32", name=name
        )
        channels.append(layer(images))
    return keras.layers.Concatenate(dtype="float32", name="bgr")(channels)


def is_preprocessing(name) -> bool:
    """Return whether a layer of a backbone, by its name, comes before the network."""
    return name.startswith("preprocessing") or name in {"images", "bgr", *_CHANNELS}


def build_backbone(backbone, image_size, *, compute_dtype="float32", l2=0.0):
    """Build preprocessing and backbone as one flat Keras model.

    Parameters
    ----------
    backbone : str
        A name in the table of backbones.

    image_size : tuple of int
        (height, width) of the images in pixels, `min_side` of the backbone or more.

    compute_dtype : {"float32", "bfloat16"}, default="float32"
        Floating-point precision of the network. Preprocessing and weights are always
        float32.

    l2 : float, default=0.0
        L2 penalty on kernels.

    Returns
    -------
    model : keras.Model
        Model from RGB images of shape (n_images, height, width, 3), with values from 0
        to 255, to feature maps. Its kernels are 0.
    """
    config = make_config(backbone, tuple(image_size))
    return build_from_config(backbone, config, compute_dtype, l2)


def build_from_config(backbone, config, compute_dtype, l2=0.0):
    """Build the Keras model of a backbone from its configuration as JSON.

    For the arguments see :func:`build_backbone`.
    """
    import keras

    config = json.loads(config)
    policy = "mixed_bfloat16" if compute_dtype == "bfloat16" else "float32"
    for layer in config["layers"]:
        settings = layer["config"]
        is_layer = {"dtype", "trainable"} <= set(settings)  # not only an operation
        if is_layer:  # whatever the global policy was
            is_before = is_preprocessing(layer["name"])
            settings["dtype"] = "float32" if is_before else policy
        for key in settings:
            if key.endswith("_regularizer"):  # of a user; l2 is the only penalty
                settings[key] = None
        for kernel in KERNELS if l2 else ():
            if f"{kernel}_regularizer" in settings:
                settings[f"{kernel}_regularizer"] = keras.regularizers.serialize(
                    keras.regularizers.L2(l2)
                )
    definitions = get_backbone(backbone).get_definitions()
    with preserved_random_state():
        return keras.Model.from_config(config, custom_objects=definitions)

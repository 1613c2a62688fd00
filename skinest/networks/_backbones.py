"""The table of backbones: pretrained networks without their classifier."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache

from .._compat import preserved_random_state

MIN_SIDE = 32  # halved five times, it is one pixel
# For a training from scratch: Keras' .999 would need thousands of steps.
_MOMENTUM = 0.9
# Approximate standard deviation of preprocessed pixels; it is 58 of 255 in ImageNet.
PIXEL_SCALE = {"caffe": 58.0, "tf": 58 / 127.5}
_lock = threading.Lock()
# How many channels to cut off before and after each one.
_CHANNELS = {"blue": (2, 0), "green": (1, 1), "red": (0, 2)}
_IN_FLOAT32 = {"images", "preprocessing", "bgr", *_CHANNELS}
_ZEROS = {"module": "keras.initializers", "class_name": "Zeros", "config": {}}


@dataclass(frozen=True)
class Backbone:
    """A network of :mod:`keras.applications`, as a row of the table.

    Parameters
    ----------
    application : str
        Name of its function in `keras.applications`.

    stages : dict of str to str
        First layer of each part that can be trained, from the top down.

    preprocessing : {"caffe", "tf"}
        "caffe" converts RGB to BGR and subtracts the mean colour of ImageNet; "tf"
        scales values to [-1, 1].

    compute_dtype : {"bfloat16", "float32"}
        The dtype for ``compute_dtype="auto"`` on a processor with bfloat16, in Keras.

    openvino : tuple of str, default=()
        Precisions, "float32" or "bfloat16", in which OpenVINO computes the network if
        it is installed. benchmarks/bench_backbones.py measures which: those in which it
        is faster than Keras. In bfloat16, the features must also differ from those in
        float32 by no more than 1 % of the largest, because "auto" chooses it then.
    """

    application: str
    stages: dict
    preprocessing: str
    compute_dtype: str
    openvino: tuple = ()

    def build(self, **options):
        """Build the Keras model without its classifier, with the settings of Keras."""
        import keras

        application = getattr(keras.applications, self.application)
        return application(include_top=False, **options)


def _vgg_stages():
    return {f"block{i}": f"block{i}_conv1" for i in range(5, 0, -1)}


def _mobilenetv2_stages():
    blocks = {f"block_{i}": f"block_{i}_expand" for i in range(16, 0, -1)}
    return {"Conv_1": "Conv_1", **blocks, "expanded_conv": "expanded_conv_depthwise"}


BACKBONES = {
    "vgg16": Backbone("VGG16", _vgg_stages(), "caffe", "bfloat16"),
    "vgg19": Backbone("VGG19", _vgg_stages(), "caffe", "bfloat16"),
    # bfloat16 is slower here, and probabilities change by up to .24.
    "mobilenetv2": Backbone(
        "MobileNetV2",
        _mobilenetv2_stages(),
        "tf",
        "float32",
        openvino=("float32",),
    ),
}


def get_backbone(backbone) -> Backbone:
    """Return the row of a name, or a network of the user's own as it is."""
    return BACKBONES[backbone] if isinstance(backbone, str) else backbone


def list_stages(backbone) -> list[str]:
    """Return the values of `trainable` and `fine_tune`, from the top down."""
    return ["head", *get_backbone(backbone).stages, "all"]


def check_stage(backbone, name, stage) -> None:
    """Raise ValueError unless a backbone has this stage."""
    stages = list_stages(backbone)
    if stage not in stages:
        raise ValueError(
            f"{name}={stage!r} is not a part of {backbone}. Choose one of "
            f"{', '.join(stages)}."
        )


def get_first_layer(backbone, stage):
    """Return the lowest backbone layer of a stage; None for "head" and "all"."""
    return get_backbone(backbone).stages.get(stage)


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
    with preserved_random_state(), _channels_last():
        return get_backbone(backbone).build(**options)


@lru_cache(maxsize=32)
def _make_config(backbone, image_size) -> str:
    """Return the configuration of preprocessing and network as JSON."""
    import keras

    images = keras.Input((*image_size, 3), dtype="float32", name="images")
    pixels = _preprocess(images, get_backbone(backbone).preprocessing)
    network = build_application(backbone, weights=None, input_tensor=pixels)
    # Keras has made its input a list, which causes a warning for an array.
    config = keras.Model(images, network.output, name=backbone).get_config()
    for layer in config["layers"]:
        for key in ("kernel_initializer", "depthwise_initializer"):
            if key in layer["config"]:
                layer["config"][key] = _ZEROS
        if "momentum" in layer["config"]:  # batch normalisation
            layer["config"]["momentum"] = _MOMENTUM
    return json.dumps(config)


def _preprocess(images, kind):
    import keras

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


def build_backbone(backbone, image_size, *, compute_dtype="float32", l2=0.0):
    """Build preprocessing and backbone as one flat Keras model.

    Parameters
    ----------
    backbone : {"vgg16", "vgg19", "mobilenetv2"}
        The network.

    image_size : tuple of int
        (height, width) of the images in pixels, 32 or more.

    compute_dtype : {"float32", "bfloat16"}, default="float32"
        Floating-point precision of the layers. Weights are always float32.

    l2 : float, default=0.0
        L2 penalty on kernels.

    Returns
    -------
    model : keras.Model
        Model from RGB images of shape (n_images, height, width, 3), with values from 0
        to 255, to feature maps. Its weights are 0, except scales and variances of batch
        normalisation, which are 1.
    """
    import keras

    config = json.loads(_make_config(backbone, tuple(image_size)))
    policy = "mixed_bfloat16" if compute_dtype == "bfloat16" else "float32"
    for layer in config["layers"]:
        settings = layer["config"]
        if "dtype" in settings and layer["name"] not in _IN_FLOAT32:
            settings["dtype"] = policy
        if l2:
            for key in ("kernel_regularizer", "depthwise_regularizer"):
                if key in settings:
                    settings[key] = keras.regularizers.serialize(
                        keras.regularizers.L2(l2)
                    )
    return keras.Model.from_config(config)

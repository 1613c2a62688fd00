"""Compare the features of each backbone with those of plain Keras.

forward
    Mean of each channel of the last feature maps: `model.predict` of the network of
    `keras.applications` in float32, with `preprocess_input`, and
    `BottleneckFeatureExtractor` in float32 and bfloat16. All sides of a network run in
    turn in one process, with the same weights and images. "difference" is the largest
    difference between features of a side and of plain Keras, divided by the largest
    feature of plain Keras. Random weights are as fast, but for the differences use
    files of trained weights: the table of backbones says "bfloat16" only where they
    stay below .01.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import os
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
from _parts import make_parser, parse, run_part
from make_tables import BACKBONE_SIDES, PLAIN

from skinest import BottleneckFeatureExtractor, clear_models
from skinest._compat import cpu_has_bfloat16
from skinest.datasets import make_dermoscopy
from skinest.networks._backbone_table import BACKBONES
from skinest.networks._weights import load_backbone_weights, save_backbone_weights

PARTS = ("forward",)
BATCH_SIZE = 32
# The smallest network of each family.
USUAL = (
    "vgg16",
    "resnet50",
    "resnet50v2",
    "densenet121",
    "inceptionv3",
    "inceptionresnetv2",
    "xception",
    "mobilenet",
    "mobilenetv2",
    "mobilenetv3small",
    "efficientnetb0",
    "efficientnetv2b0",
    "convnexttiny",
    "nasnetmobile",
)
MODULES = {  # of keras.applications, by the beginning of the name
    "vgg16": "vgg16",
    "vgg19": "vgg19",
    "resnet": "resnet",
    "densenet": "densenet",
    "inceptionv3": "inception_v3",
    "inceptionresnetv2": "inception_resnet_v2",
    "xception": "xception",
    "mobilenetv2": "mobilenet_v2",
    "mobilenetv3": "mobilenet_v3",
    "mobilenet": "mobilenet",
    "efficientnetv2": "efficientnet_v2",
    "efficientnet": "efficientnet",
    "convnext": "convnext",
    "nasnet": "nasnet",
}


def main():
    parser = make_parser(__doc__, PARTS)
    parser.add_argument(
        "--backbones", nargs="+", choices=BACKBONES, default=USUAL, metavar="NAME"
    )
    parser.add_argument(
        "--weights",
        help="imagenet, or a folder with files such as resnet50.weights.h5; default: "
        "random weights",
    )
    parser.add_argument("--side", type=int, default=224, help="pixels")
    options = parse(parser)
    with TemporaryDirectory() as folder:
        for part in options.parts:
            globals()[f"bench_{part}"](options, folder)


def bench_forward(options, folder):
    side = 96 if options.quick else options.side
    images, _ = make_dermoscopy(
        BATCH_SIZE, image_size=(side, side), random_state=0, return_X_y=True
    )
    features = {}

    @cache
    def build(name):
        backbone, _, kind = name.partition(", ")
        file = Path(folder, f"{backbone}.weights.h5")
        if not file.exists():
            clear_models()  # of the backbone before
            weights = load_backbone_weights(
                backbone, find_weights(backbone, options), 0
            )
            save_backbone_weights(backbone, weights, file)
        if kind == PLAIN:
            return build_plain(backbone, file, images)
        fitted = BottleneckFeatureExtractor(
            backbone,
            weights=file,
            image_size=(side, side),
            compute_dtype=kind.rpartition(" ")[2],
            batch_size=BATCH_SIZE,
        ).fit(images)
        return lambda: fitted.transform(images)

    def measure(name):
        function = build(name)
        if name not in features:
            function()  # builds and compiles
        start = perf_counter()
        features[name] = function()
        milliseconds = 1000 * (perf_counter() - start) / len(images)
        plain = features.get(f"{name.partition(', ')[0]}, {PLAIN}", features[name])
        difference = np.abs(features[name] - plain).max() / np.abs(plain).max()
        return {"ms": milliseconds, "difference": float(difference)}

    sides = BACKBONE_SIDES if cpu_has_bfloat16() else BACKBONE_SIDES[:-1]
    run_part(
        "backbones_forward",
        [[f"{backbone}, {side}" for side in sides] for backbone in options.backbones],
        measure,
        options,
        n_runs=5,
        settings={
            "images": len(images),
            "pixels": side,
            "weights": "random" if options.weights is None else "trained",
        },
        tensorflow=True,
    )


def find_weights(backbone, options):
    if options.weights in (None, "imagenet"):
        return options.weights
    return Path(options.weights, f"{backbone}.weights.h5")


def build_plain(backbone, file, images):
    """Return a function that computes the features by the network of Keras."""
    network = getattr(keras.applications, BACKBONES[backbone].application)(
        weights=str(file),
        include_top=False,
        pooling="avg",
        input_shape=images.shape[1:],
    )
    is_v2 = backbone.startswith("resnet") and backbone.endswith("v2")
    name = next(name for start, name in MODULES.items() if backbone.startswith(start))
    module = getattr(keras.applications, "resnet_v2" if is_v2 else name)
    prepared = module.preprocess_input(images.astype(np.float32))
    return lambda: network.predict(prepared, batch_size=BATCH_SIZE, verbose=0)


if __name__ == "__main__":
    main()

"""Compare the features of each backbone with those of plain Keras.

forward
    Mean of each channel of the last feature maps: `model.predict_on_batch` of the
    network of `keras.applications` in float32, with `preprocess_input` (`predict` can
    wait at its end for seconds, see U-Net in README.md), and
    `BottleneckFeatureExtractor` in float32 and bfloat16, computed by Keras and, where
    it is installed, by OpenVINO. All sides of a network run in turn in one process,
    with the same weights and images. "difference" is the largest difference between
    features of a side and of plain Keras, divided by the largest feature of plain
    Keras. Random weights are as fast, but for the differences use files of trained
    weights.
accuracy
    The same sides on the training images of ISIC 2016 part 3: the AUC of a logistic
    regression on the features in 5-fold cross-validation, and the differences.

At the end, the precisions in which OpenVINO is faster in all stored runs are printed:
those of the table of backbones.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import os
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
from _backbone_tables import (
    BACKBONE_PARTS,
    BACKBONE_SIDES,
    FORWARD,
    OPENVINO,
    PLAIN,
    group_runs,
)
from _parts import make_parser, parse, run_part
from _runs import read_record, spread
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skinest import BottleneckFeatureExtractor, clear_models
from skinest._compat import cpu_has_bfloat16
from skinest._identity import find_version
from skinest.datasets import fetch_isic2016_part3, make_dermoscopy
from skinest.images import read_image, resize
from skinest.networks._backbone_table import BACKBONES
from skinest.networks._weights import load_backbone_weights, save_backbone_weights

PARTS = ("forward",)
MAX_FLOAT32_DIFFERENCE = 1e-5  # of features, as a fraction of the largest
BATCH_SIZE = 32
N_FEW = 8  # images of the larger networks
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
    parser = make_parser(__doc__, PARTS, by_name_only=("larger", "accuracy"))
    parser.add_argument(
        "--backbones",
        nargs="+",
        choices=BACKBONES,
        metavar="NAME",
        help="default: the smallest of each family; larger: the others",
    )
    parser.add_argument(
        "--weights",
        help="imagenet, or a folder with files such as resnet50.weights.h5, whose "
        "networks are run; default: random weights",
    )
    parser.add_argument("--side", type=int, default=224, help="pixels")
    options = parse(parser)
    for name, row in BACKBONES.items():  # so that OpenVINO computes where it is asked
        BACKBONES[name] = replace(row, openvino=("float32", "bfloat16"))
    with TemporaryDirectory() as folder:
        for part in options.parts:
            globals()[f"bench_{part}"](options, folder)
    print_faster(options)


def bench_forward(options, folder):
    time_sides("backbones_forward", USUAL, BATCH_SIZE, options, folder)


def bench_larger(options, folder):
    others = [name for name in BACKBONES if name not in USUAL]
    time_sides("backbones_larger", others, N_FEW, options, folder)


def time_sides(part, backbones, n_images, options, folder):
    """Time all sides of networks in turn, on images of one batch."""
    side = 96 if options.quick else options.side
    images, _ = make_dermoscopy(
        n_images, image_size=(side, side), random_state=0, return_X_y=True
    )
    sides = Sides(images, options, folder)

    def measure(name):
        sides.compute(name)  # builds it; large models do not stay for later runs
        start = perf_counter()
        features = sides.compute(name)
        milliseconds = 1000 * (perf_counter() - start) / len(images)
        return {"ms": milliseconds, "difference": sides.compare(name, features)}

    run_sides(part, backbones, images, measure, options, n_runs=5)


def bench_accuracy(options, folder):
    paths, y = fetch_isic2016_part3(options.data_home, return_X_y=True)
    side, step = (96, 12) if options.quick else (options.side, 1)
    paths, y = paths[::step], y[::step]
    images = np.stack([resize(read_image(path), (side, side)) for path in paths])
    sides = Sides(images, options, folder)
    classifier = make_pipeline(
        StandardScaler(),
        LogisticRegression(C=0.001, class_weight="balanced", max_iter=1000),
    )

    def measure(name):
        features = sides.compute(name)
        folds = StratifiedKFold(5, shuffle=True, random_state=0)
        auc = cross_val_score(classifier, features, y, cv=folds, scoring="roc_auc")
        return {
            "AUC": float(auc.mean()),
            "difference": sides.compare(name, features),
        }

    run_sides("backbones_accuracy", USUAL, images, measure, options, n_runs=1)


def run_sides(part, backbones, images, measure, options, n_runs):
    backbones = choose_backbones(backbones, options)
    run_part(
        part,
        [[f"{name}, {side}" for side in list_sides()] for name in backbones],
        measure,
        options,
        n_runs=n_runs,
        settings={
            "images": len(images),
            "pixels": images.shape[1],
            "weights": "random" if options.weights is None else "trained",
        },
        tensorflow=True,
    )


def list_sides():
    """List the sides that this machine can run."""
    sides = BACKBONE_SIDES if find_version("openvino") else (PLAIN, *FORWARD)
    if cpu_has_bfloat16():
        return sides
    return [side for side in sides if not side.endswith("bfloat16")]


class Sides:
    """The sides of all networks, on the same images and weights.

    Parameters
    ----------
    images : ndarray of shape (n_images, height, width, 3)
        Images in the size of the networks.

    options : Namespace
        Options of the command line.

    folder : str
        Folder for files of weights.
    """

    def __init__(self, images, options, folder):
        self._images = images
        self._options = options
        self._folder = folder
        self._plain = {}  # features by name of the backbone
        self._build = cache(self._build)

    def compute(self, name):
        """Return the features of a side."""
        backbone, _, side = name.partition(", ")
        function = self._build(name)
        os.environ["SKINEST_ENGINE"] = "auto" if side in OPENVINO else "keras"
        features = function()
        if side == PLAIN:
            self._plain[backbone] = features
        return features

    def compare(self, name, features):
        """Return the largest difference from plain Keras."""
        backbone = name.partition(", ")[0]
        if backbone not in self._plain:  # its runs are stored
            self.compute(f"{backbone}, {PLAIN}")
        plain = self._plain[backbone]
        return float(np.abs(features - plain).max() / np.abs(plain).max())

    def _build(self, name):
        backbone, _, side = name.partition(", ")
        file = Path(self._folder, f"{backbone}.weights.h5")
        if not file.exists():
            clear_models()  # of the backbone before
            given = find_weights(backbone, self._options)
            weights = load_backbone_weights(backbone, given, 0)
            save_backbone_weights(backbone, weights, file)
        if side == PLAIN:
            return build_plain(backbone, file, self._images)
        fitted = BottleneckFeatureExtractor(
            backbone,
            weights=file,
            image_size=self._images.shape[1:3],
            compute_dtype=side.rpartition(" ")[2],
            batch_size=min(BATCH_SIZE, len(self._images)),
        ).fit(self._images)
        return lambda: fitted.transform(self._images)


def print_faster(options):
    """Print the precisions in which OpenVINO is faster, from all stored runs."""
    print("\n## precisions in which OpenVINO is faster")
    runs = {}
    for part in BACKBONE_PARTS:
        path = Path(options.results, f"backbones_{part}.json")
        runs[part] = group_runs(read_record(path)) if path.exists() else {}
    for name in options.backbones or BACKBONES:
        forward = {**runs["larger"], **runs["forward"]}.get(name, {})
        if OPENVINO[0] in forward:
            print(f"{BACKBONES[name].application}: {find_faster(forward)}")


def find_faster(forward):
    """Return the precisions in which OpenVINO is faster, from the runs by side.

    It is if its median is below the best run of Keras in this precision. float32 is
    left out if features differ from those of Keras by more than 1e-5 of the largest.
    """
    best = {side: spread(runs, "ms").least for side, runs in forward.items()}
    median = {side: spread(runs, "ms").median for side, runs in forward.items()}
    faster = []
    for dtype, ours in zip(("float32", "bfloat16"), OPENVINO, strict=True):
        others = [side for side in (PLAIN, *FORWARD) if side.endswith(dtype)]
        if ours in forward and median[ours] < min(best[side] for side in others):
            faster.append(dtype)
    if spread(forward[OPENVINO[0]], "difference").greatest > MAX_FLOAT32_DIFFERENCE:
        faster = [dtype for dtype in faster if dtype != "float32"]
    return tuple(faster)


def choose_backbones(usual, options):
    """Return the networks that are asked for, or those of `usual` that have weights."""
    if options.weights in (None, "imagenet"):
        return options.backbones or usual
    has_file = {name: find_weights(name, options).exists() for name in BACKBONES}
    missing = [name for name in options.backbones or () if not has_file[name]]
    chosen = options.backbones or [name for name in usual if has_file[name]]
    if missing or not chosen:
        raise SystemExit(
            f"{options.weights} needs a file such as "
            f"{find_weights((missing or usual)[0], options).name}."
        )
    return chosen


def find_weights(backbone, options):
    if options.weights in (None, "imagenet"):
        return options.weights
    return Path(options.weights, f"{backbone}.weights.h5")


def build_plain(backbone, file, images):
    """Return a function that computes the features by the network of Keras."""
    base = getattr(keras.applications, BACKBONES[backbone].application)(
        weights=str(file), include_top=False, input_shape=images.shape[1:]
    )
    # Keras' own `pooling` of ConvNeXt comes before its last normalisation.
    features = keras.layers.GlobalAveragePooling2D(name="features")(base.output)
    network = keras.Model(base.input, features)
    is_v2 = backbone.startswith("resnet") and backbone.endswith("v2")
    name = next(name for start, name in MODULES.items() if backbone.startswith(start))
    module = getattr(keras.applications, "resnet_v2" if is_v2 else name)
    prepared = module.preprocess_input(images.astype(np.float32))
    starts = range(0, len(prepared), BATCH_SIZE)
    batches = [prepared[start : start + BATCH_SIZE] for start in starts]
    return lambda: np.concatenate(list(map(network.predict_on_batch, batches)))


if __name__ == "__main__":
    main()

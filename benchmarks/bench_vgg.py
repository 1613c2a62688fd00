"""Compare VGG16 transfer learning with plain Keras, on real images.

Everything runs on the training images of ISIC 2016 part 3. Both sides start from the
same backbone weights: a file, ImageNet's, or random ones. Random weights are as fast,
but their accuracy means little. The sides run in turn.

head
    50 epochs of training a head on a frozen VGG16 with class weights and augmentation:
    `model.fit` in plain Keras, with the frozen base in the graph, and
    `VGGTransferClassifier` with several `n_augmented_copies`. Both have the same 15 %
    of the images for validation, and each run is in its own process. skinest runs all
    epochs from paths, and its whole time is measured. Plain Keras starts from decoded
    images and a traced graph. It runs one epoch, and its time is multiplied by the
    number of epochs. By default there are 160 training images: five whole batches.
block
    35 epochs of training block5 and a linear head, with the images of `head`. For plain
    Keras, one epoch is timed, and for skinest without keeping the outputs of the frozen
    layers, four; their times are scaled to 35 epochs. skinest with kept outputs runs
    all epochs, and the passes that compute the outputs are in its time. All sides start
    after a fit on one batch. Each run is in its own process.
forward
    Features of VGG16: `model.predict` in float32, and `BottleneckFeatureExtractor` in
    float32 and bfloat16, in one process.
paths
    `fit` from paths, and from images of the right size in memory, for a head and for
    block5 and a head, in one process. Small images are the hard case: reading takes as
    long as for large ones, but the network is faster.
learning
    All epochs on both sides, with all images at 64 pixels: the area under the curve
    (AUC) after training, with intervals. It is printed only.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import json
import os
import sys
from functools import cache
from tempfile import TemporaryDirectory
from time import perf_counter

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
from _parts import in_own_process, make_parser, parse, run_part
from _vgg_sides import (
    BATCH_SIZE,
    classifier,
    copies,
    extractor,
    load_part,
    plain_base,
    preprocess_input,
    split,
    stratified,
    time_block,
    time_plain_epoch,
    train_ours,
    train_plain,
    weights_file,
)
from make_tables import BLOCK_EPOCHS, BLOCKS, HEADS, PLAIN
from sklearn.metrics import roc_auc_score

from skinest._compat import cpu_has_bfloat16
from skinest.datasets import fetch_isic2016_part3
from skinest.model_selection import compare

PARTS = ("head", "block", "forward", "paths")
N_COPIES = dict(zip(HEADS, (0, 1, 3), strict=True))
SMALL_SIDE = 64
CASES = {"block5 and a head": ("block5", 3), "a head": ("head", 10)}


def main():
    options = read_options()
    with TemporaryDirectory() as folder:
        file = weights_file(options.weights, folder)
        if options.worker:
            part, side = options.worker
            print(json.dumps(globals()[f"run_{part}"](side, file, options)))
            return
        for part in options.parts:
            globals()[f"bench_{part}"](file, options)


def read_options():
    parser = make_parser(__doc__, PARTS, ("learning",))
    parser.add_argument("--weights", help="a file or imagenet; default: random")
    parser.add_argument("--side", type=int, help="pixels of head and forward")
    parser.add_argument(
        "--images", type=int, help="number of images of head; 0 means all"
    )
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--learning-rate", type=float, default=1e-4, help="of the head")
    parser.add_argument("--copies", type=int, nargs="+", default=[0, 3])
    parser.add_argument("--block-copies", type=int, default=3)
    options = parse(parser)
    quick = options.quick
    if options.side is None:
        options.side = SMALL_SIDE if quick else 224
    if options.images is None:
        options.images = 60 if quick else 189  # 160 of them, five batches, train
    options.epochs = min(options.epochs, 5) if quick else options.epochs
    options.block_epochs = 6 if quick else BLOCK_EPOCHS
    options.heads = [name for name, n in N_COPIES.items() if n in options.copies]
    return options


def load(options, side, n_images=None, subset="train"):
    paths, y = fetch_isic2016_part3(
        data_home=options.data_home, subset=subset, return_X_y=True
    )
    # Reading also brings the files into the system's cache.
    return load_part(*stratified(paths, y, n_images or None), side)


def name_weights(options):
    if options.weights in (None, "imagenet"):
        return options.weights or "random"
    return "of a file"


# head


def bench_head(file, options):
    train, validation = split(load(options, options.side, options.images))
    run_part(
        "vgg_head",
        [PLAIN, *options.heads],
        in_own_process(__file__, "head", sys.argv[1:]),
        options,
        n_runs=3,
        settings={
            "images to train on": len(train.y),
            "images to validate on": len(validation.y),
            "pixels": options.side,
            "epochs": options.epochs,
            "weights": name_weights(options),
        },
        tensorflow=True,
    )


def run_head(side, file, options):
    parts = split(load(options, options.side, options.images))
    if side == PLAIN:
        epoch = time_plain_epoch(*parts, file, options)
        return {"seconds": options.epochs * epoch, "one epoch": epoch}
    _, seconds = train_ours(*parts, file, options, N_COPIES[side])
    return {"seconds": seconds}


# block


def bench_block(file, options):
    train, validation = split(load(options, options.side, options.images))
    run_part(
        "vgg_block",
        [PLAIN, *BLOCKS],
        in_own_process(__file__, "block", sys.argv[1:]),
        options,
        n_runs=3,
        settings={
            "images to train on": len(train.y),
            "images to validate on": len(validation.y),
            "pixels": options.side,
            "epochs": options.block_epochs,
            "copies": options.block_copies,
            "weights": name_weights(options),
        },
        tensorflow=True,
    )


def run_block(side, file, options):
    parts = split(load(options, options.side, options.images))
    if side == PLAIN:
        epoch = time_plain_epoch(*parts, file, options, first="block5_conv1")
        seconds = options.block_epochs * epoch
    else:
        seconds, epoch = time_block(*parts, file, options, keeps=side == BLOCKS[-1])
    return {"seconds": seconds, "one epoch": epoch}


# forward


def bench_forward(file, options):
    part = load(options, options.side, BATCH_SIZE)
    prepared = preprocess_input(part.pixels.astype(np.float32))
    features = {}

    @cache
    def build(side):
        if side == PLAIN:
            base = plain_base(file, options.side)
            return lambda: base.predict(prepared, batch_size=BATCH_SIZE, verbose=0)
        dtype = side.rpartition(" ")[2]
        fitted = extractor(file, options.side, dtype).fit(part.pixels)
        return lambda: fitted.transform(part.pixels)

    def measure(side):
        function = build(side)
        if side not in features:
            function()  # builds and compiles
        start = perf_counter()
        features[side] = function().reshape(len(prepared), -1)
        milliseconds = 1000 * (perf_counter() - start) / len(prepared)
        plain = features.get(PLAIN, features[side])
        apart = np.linalg.norm(features[side] - plain) / np.linalg.norm(plain)
        return {"ms": milliseconds, "features differ by": float(apart)}

    run_part(
        "vgg_forward",
        [PLAIN, *(f"skinest, {dtype}" for dtype in compute_dtypes())],
        measure,
        options,
        n_runs=5,
        settings={
            "images": len(prepared),
            "pixels": options.side,
            "weights": name_weights(options),
        },
        tensorflow=True,
    )


def compute_dtypes():
    return ("float32", "bfloat16") if cpu_has_bfloat16() else ("float32",)


# paths


def bench_paths(file, options):
    n_images = 32 if options.quick else 128
    part = load(options, SMALL_SIDE, n_images)
    inputs = {"paths": part.paths, "arrays": part.pixels}
    warm = set()

    @cache
    def build(case):
        trainable, epochs = CASES[case]
        stage = {"trainable": trainable, "epochs": epochs, "learning_rate": 1e-4}
        return classifier(file, SMALL_SIDE, **stage, **copies(1))

    def measure(side):
        case, form = side.split(f", {SMALL_SIDE} pixels, ")
        if case not in warm:  # the first run builds and compiles
            build(case).fit(part.pixels, part.y)
            warm.add(case)
        start = perf_counter()
        build(case).fit(inputs[form], part.y)
        return {"seconds": perf_counter() - start}

    run_part(
        "vgg_paths",
        [f"{case}, {SMALL_SIDE} pixels, {form}" for case in CASES for form in inputs],
        measure,
        options,
        n_runs=3,
        settings={
            "images": len(part.y),
            "epochs of block5 and a head": CASES["block5 and a head"][1],
            "epochs of a head": CASES["a head"][1],
            "copies": 1,
            "weights": name_weights(options),
        },
        tensorflow=True,
    )


# learning


def bench_learning(file, options):
    print("\n## learning", flush=True)
    options.side, n_images = SMALL_SIDE, 60 if options.quick else None
    train, validation = split(load(options, SMALL_SIDE, n_images))
    others = validation, load(options, SMALL_SIDE, n_images, "test")
    plain = train_plain(train, validation, others, file, options)
    print(f"AUC after {options.epochs} epochs; less that of plain Keras [95 %]")
    say_areas(PLAIN, plain, plain, others)
    for name in options.heads:
        clf, _ = train_ours(train, validation, file, options, N_COPIES[name])
        found = [clf.predict_proba(part.paths)[:, 1] for part in others]
        say_areas(name, found, plain, others)


def say_areas(name, found, plain, others):
    cells = []
    for kind, ours, its, part in zip(
        ("validation", "test"), found, plain, others, strict=True
    ):
        cells.append(f"{kind} {roc_auc_score(part.y, ours):.3f}")
        if found is not plain:
            gain = compare(roc_auc_score, part.y, ours, its, random_state=0)
            cells.append(f"{gain:+.3f}")
    print(f"{name}:", *cells, flush=True)


if __name__ == "__main__":
    main()

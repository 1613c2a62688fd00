"""Compare UNetSegmenter with the same network in plain Keras, on real images.

Both use lesion masks of the HAM10000 images, from files. Every run is in its own
process, and the sides run in turn.

speed
    Plain Keras is float32, with a simple generator: it reads, resizes and flips a batch
    of pairs at a time. skinest trains from paths in float32 and bfloat16. Measured are
    images per second in training (epochs after the first), in a whole fit (with reading
    and compiling) and in prediction (from paths to masks in the size of the images),
    and peak memory. All sides have the same seed in each run, and oneDNN, which skinest
    turns on when it is imported.
encoder
    The same as `speed` with MobileNetV2 as the encoder, which trains too. Its weights
    are random: they are as fast as others.
paths
    skinest with its defaults, from paths and from images in memory.
pace_speed
    skinest with MobileNetV2 as the encoder and without one, as in the part `pace` of
    encoder_unet.py, in float32: with its scores, how long the same Dice score takes.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import argparse
import json
import os
import sys
from statistics import median
from time import perf_counter

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from _parts import in_own_process, make_parser, parse, run_part
from _quiet import read_peak_memory
from make_tables import PACED, PLAIN, UNETS

BATCH_SIZE = 16
N_IMAGES = {"pace_speed": 96}  # of other parts: 160
EPOCHS = {"pace_speed": 3}  # of other parts: 4
SECONDS = []  # of the epochs of this process
ENCODER = {"encoder": "mobilenetv2", "weights": None, "trainable": "all"}
PACE = {"image_size": (96, 128), "compute_dtype": "float32"}
OF_PACE = dict(
    zip(
        PACED,
        ({**PACE, **ENCODER, "base_filters": 8}, {**PACE, "base_filters": 16}),
        strict=True,
    )
)
SIDES = {
    "speed": (PLAIN, *UNETS),
    "encoder": (PLAIN, *UNETS),
    "paths": ("skinest, paths", "skinest, arrays"),
    "pace_speed": PACED,
}


def main():
    options = read_options()
    if options.worker:
        part, side = options.worker
        print(json.dumps(run_side(part, side, choose_length(part, options))))
        return
    from skinest._compat import cpu_has_bfloat16

    for part in options.parts:
        run_part(
            f"unet_{part}",
            [
                side
                for side in SIDES[part]
                if "bfloat16" not in side or cpu_has_bfloat16()
            ],
            in_own_process(__file__, part, sys.argv[1:]),
            options,
            n_runs=3,
            settings=describe_settings(part, options),
            tensorflow=True,
        )


def describe_settings(part, options):
    """Return the settings of a part, as they are written under its table."""
    options = choose_length(part, options)
    network = {"filters": options.filters, "pixels": options.side}
    if part == "pace_speed":
        network = {"pixels": " x ".join(map(str, PACE["image_size"]))}
    training = {"batches of": BATCH_SIZE, "epochs": options.epochs}
    return {"images": options.images, **network, **training}


def read_options():
    parser = make_parser(__doc__, tuple(SIDES))
    parser.add_argument("--images", type=int)
    parser.add_argument("--filters", type=int, default=16)
    parser.add_argument("--side", type=int, default=128)
    parser.add_argument("--epochs", type=int)
    return parse(parser)


def choose_length(part, options):
    """Return a copy of the options with the numbers of images and epochs of a part."""
    n_images = 32 if options.quick else N_IMAGES.get(part, 160)
    n_epochs = 2 if options.quick else EPOCHS.get(part, 4)
    chosen = {
        "images": options.images or n_images,
        "epochs": options.epochs or n_epochs,
    }
    return argparse.Namespace(**{**vars(options), **chosen})


def run_side(part, side, options):
    """Run a side once in this process."""
    from skinest.datasets import fetch_ham10000_masks

    X, y = fetch_ham10000_masks(options.data_home, return_X_y=True)
    X, y = X[: options.images].tolist(), y[: options.images].tolist()
    network = {"base_filters": options.filters, "random_state": 0}
    network["image_size"] = options.side, options.side
    if part == "encoder":
        network |= ENCODER
    if part == "pace_speed":
        network |= OF_PACE[side]
    run = plain if side == PLAIN else ours
    return {**run(X, y, side, network, options), "peak GB": read_peak_memory()}


def timer():
    """Return a callback that appends the seconds of each epoch to SECONDS."""
    import keras

    class Timer(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.start = perf_counter()

        def on_epoch_end(self, epoch, logs=None):
            SECONDS.append(perf_counter() - self.start)

    return Timer()


def plain(X, y, side, network, options):
    import cv2
    import keras
    import numpy as np

    from skinest.losses import Dice
    from skinest.networks import build_unet

    size = network["image_size"]
    generator = np.random.default_rng(0)

    class Generator(keras.utils.PyDataset):
        def __len__(self):
            return -(-len(X) // BATCH_SIZE)

        def __getitem__(self, index):
            place = slice(index * BATCH_SIZE, (index + 1) * BATCH_SIZE)
            pairs = [self.pair(*names) for names in zip(X[place], y[place])]  # noqa: B905
            images, masks = zip(*pairs, strict=True)
            return np.float32(images), np.float32(masks)[..., None] / 255

        def pair(self, image_path, mask_path):
            image = cv2.cvtColor(cv2.imread(image_path), cv2.COLOR_BGR2RGB)
            mask = cv2.imread(mask_path, cv2.IMREAD_GRAYSCALE)
            image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
            mask = cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST)
            if generator.random() < 0.5:
                image, mask = image[:, ::-1], mask[:, ::-1]
            return image, mask

    model = build_unet(**network)
    model.compile("adam", Dice(), metrics=["accuracy"])
    start = perf_counter()
    model.fit(Generator(), epochs=options.epochs, callbacks=[timer()], verbose=0)
    whole = perf_counter() - start

    def predict():
        images = [cv2.cvtColor(cv2.imread(x), cv2.COLOR_BGR2RGB) for x in X]
        resized = np.float32([cv2.resize(image, size) for image in images])
        # Not by `predict`, which waits for the thread that tunes tf.data.
        batches = range(0, len(X), BATCH_SIZE)
        found = np.concatenate(
            [model.predict_on_batch(resized[k : k + BATCH_SIZE]) for k in batches]
        )
        return [
            cv2.resize(mask, image.shape[1::-1]) > 0.5
            for mask, image in zip(found, images, strict=True)
        ]

    return measure_speeds(options, whole, predict)


def ours(X, y, side, network, options):
    import numpy as np

    from skinest import UNetSegmenter
    from skinest.augmentation import Augmentation
    from skinest.images import read_image
    from skinest.masks import read_mask

    if side == "skinest, arrays":
        X = np.stack([read_image(x) for x in X])
        y = np.stack([read_mask(mask) for mask in y])
    if side in UNETS:
        network["compute_dtype"] = side.rpartition(" ")[2]
    segmenter = UNetSegmenter(
        **network,
        epochs=options.epochs,
        batch_size=BATCH_SIZE,
        augmentation=Augmentation(rotation=0, shift=0),
        keras_callbacks=[timer()],
    )
    start = perf_counter()
    segmenter.fit(X, y)
    whole = perf_counter() - start
    return measure_speeds(options, whole, lambda: segmenter.predict(X))


def measure_speeds(options, whole, predict):
    """Return images per second."""
    predict()  # compiles
    start = perf_counter()
    predict()
    return {
        "training": options.images / median(SECONDS[1:]),
        "whole fit": options.images * options.epochs / whole,
        "prediction": options.images / (perf_counter() - start),
    }


if __name__ == "__main__":
    main()

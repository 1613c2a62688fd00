"""UNetSegmenter beside the same network in plain Keras, on real images.

Lesion masks of the HAM10000 images, from files. Plain Keras is float32, with the
generator that one writes by hand: it reads, resizes and flips a batch of pairs at a
time. skinest trains from paths in float32 and as it comes, and as it comes from images
in memory. Every run is a process of its own, and the sides take turns:

- images per second in training, epochs after the first;
- images per second of a whole fit, with reading and compiling;
- images per second in prediction, from paths to masks in the size of the images;
- peak resident memory.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import argparse
import json
import os
import subprocess
import sys
from collections import defaultdict
from statistics import median
from time import perf_counter

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

PLAIN = "plain Keras, float32"
SIDES = {
    PLAIN: None,
    "skinest, float32": {"compute_dtype": "float32"},
    "skinest": {},
    "skinest, from arrays": {},
}
BATCH_SIZE = 16
SECONDS = []  # of the epochs of this process


def main():
    options = read_options()
    if options.worker:
        print(json.dumps(work(options)))
        return
    import joblib

    from skinest._compat import cpu_has_bfloat16

    has = "has" if cpu_has_bfloat16() else "has not"
    print(
        f"{joblib.cpu_count()} cores, the processor {has} bfloat16; {options.images} "
        f"images, {options.filters} filters, {options.side} x {options.side} pixels, "
        f"{options.epochs} epochs, {options.runs} runs",
        flush=True,
    )
    results = defaultdict(list)
    for _ in range(options.runs):
        for side in SIDES:
            results[side].append(run(side))
    say(results)


def read_options():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=320)
    parser.add_argument("--filters", type=int, default=16)
    parser.add_argument("--side", type=int, default=128)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--data-home", help="folder of the HAM10000 archives")
    parser.add_argument("--worker", choices=SIDES, help=argparse.SUPPRESS)
    return parser.parse_args()


def run(side):
    command = [sys.executable, __file__, "--worker", side, *sys.argv[1:]]
    output = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    return json.loads(output.stdout.splitlines()[-1])


def say(results):
    names = ("training", "whole fit", "prediction", "peak memory")
    middle = {
        side: {name: median(each[name] for each in runs) for name in names}
        for side, runs in results.items()
    }
    print("\nimages per second (times plain Keras'), and peak memory; medians")
    for side, values in middle.items():
        cells = [
            f"{name} {values[name]:.1f} ({values[name] / middle[PLAIN][name]:.2f})"
            for name in names[:3]
        ]
        print(f"{side:22}", *cells, f"{values['peak memory'] / 1e9:.2f} GB", sep="  ")
    paths, arrays = middle["skinest"], middle["skinest, from arrays"]
    for name in ("training", "whole fit"):
        print(f"{name}, paths / arrays: {arrays[name] / paths[name]:.2f} of the time")


def work(options):
    """One run of a side in this process."""
    import resource

    from skinest.datasets import fetch_ham10000_masks

    X, y = fetch_ham10000_masks(options.data_home, return_X_y=True)
    X, y = X[: options.images].tolist(), y[: options.images].tolist()
    side = plain if options.worker == PLAIN else ours
    result = side(X, y, options)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {**result, "peak memory": 1024 * peak}


def timer():
    """A callback that appends the seconds of each epoch to SECONDS."""
    import keras

    class Timer(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.start = perf_counter()

        def on_epoch_end(self, epoch, logs=None):
            SECONDS.append(perf_counter() - self.start)

    return Timer()


def plain(X, y, options):
    import cv2
    import keras
    import numpy as np

    from skinest.losses import Dice
    from skinest.networks import build_unet

    size = options.side, options.side

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
            if np.random.default_rng().random() < 0.5:
                image, mask = image[:, ::-1], mask[:, ::-1]
            return image, mask

    model = build_unet(base_filters=options.filters, image_size=size)
    model.compile("adam", Dice(), metrics=["accuracy"])
    start = perf_counter()
    model.fit(Generator(), epochs=options.epochs, callbacks=[timer()], verbose=0)
    whole = perf_counter() - start

    def predict():
        images = [cv2.cvtColor(cv2.imread(x), cv2.COLOR_BGR2RGB) for x in X]
        resized = np.float32([cv2.resize(image, size) for image in images])
        found = model.predict(resized, batch_size=BATCH_SIZE, verbose=0)
        return [
            cv2.resize(mask, image.shape[1::-1]) > 0.5
            for mask, image in zip(found, images, strict=True)
        ]

    return speeds(options, whole, predict)


def ours(X, y, options):
    import numpy as np

    from skinest import UNetSegmenter
    from skinest.augmentation import Augmentation
    from skinest.images import read_image
    from skinest.masks import read_mask

    if options.worker == "skinest, from arrays":
        X = np.stack([read_image(x) for x in X])
        y = np.stack([read_mask(mask) for mask in y])
    segmenter = UNetSegmenter(
        base_filters=options.filters,
        image_size=(options.side, options.side),
        epochs=options.epochs,
        batch_size=BATCH_SIZE,
        augmentation=Augmentation(rotation=0, shift=0),
        keras_callbacks=[timer()],
        random_state=0,
        **SIDES[options.worker],
    )
    start = perf_counter()
    segmenter.fit(X, y)
    whole = perf_counter() - start
    return speeds(options, whole, lambda: segmenter.predict(X))


def speeds(options, whole, predict):
    """Images per second."""
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

"""VGG16 transfer learning beside plain Keras, on real images.

Everything runs on the training images of ISIC 2016 part 3. Both sides start from the
same backbone weights: a file, ImageNet's, or drawn ones, which are as fast but tell
little of accuracy.

head
    Epochs of training a head on a frozen VGG16 with class weights and augmentation:
    `model.fit` in plain Keras, frozen base in the graph, against
    `VGGTransferClassifier` with several `n_augmented_copies`; both with the same 15 %
    of the images to validate on. skinest runs all epochs, from paths. Plain Keras
    starts from decoded images and runs its first epoch and a few more; the mean of
    those stands for the time of the others. With ``--full`` it runs all, and only
    then is there an area under the curve (AUC) of its last epoch.
forward
    Features by VGG16: `model.predict` in float32 against
    `BottleneckFeatureExtractor` in float32 and as it comes; the median of alternating
    runs.
paths
    `fit` from paths against `fit` from images of the right size in memory, for a
    head and for block5 and a head; the ratio of the medians of alternating runs.
    Small images are the hard case: reading is as slow, and the network is not.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import argparse
import os
import platform
import sys
from collections import defaultdict
from contextlib import suppress
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import joblib
import keras
import numpy as np
import psutil
import sklearn
import tensorflow as tf
from _vgg_sides import (
    BATCH_SIZE,
    auc_difference,
    classifier,
    copies,
    extractor,
    load_part,
    plain_base,
    preprocess_input,
    split,
    stratified,
    train_ours,
    train_plain,
    weights_file,
)
from sklearn.metrics import roc_auc_score

import skinest
from skinest._compat import cpu_has_bfloat16, resolve_compute_dtype
from skinest.datasets import fetch_isic2016_part3

PARTS = ("head", "forward", "paths")
N_COPIES = (0, 1, 3)
PLAIN = "plain Keras"
SMALL_SIDE = 64


def main():
    options = read_options()
    say_machine()
    with TemporaryDirectory() as folder:
        file = weights_file(options.weights, folder)
        named = "drawn (weights=None)" if options.weights is None else options.weights
        print(f"backbone weights: {named}", flush=True)
        for part in options.parts or PARTS:
            print(f"\n## {part}", flush=True)
            globals()[f"bench_{part}"](file, options)


def read_options():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=" ".join(PARTS))
    parser.add_argument("--quick", action="store_true", help="a small rehearsal")
    parser.add_argument("--full", action="store_true", help="run all plain epochs")
    parser.add_argument("--weights", help="a file or imagenet; default: drawn ones")
    parser.add_argument("--side", type=int, help="pixels, default 224")
    parser.add_argument("--images", type=int, help="how many; default all")
    parser.add_argument("--epochs", type=int, help="default 50")
    parser.add_argument(
        "--epochs-measured", type=int, default=2, help="plain ones after the first"
    )
    parser.add_argument("--learning-rate", type=float, default=1e-5, help="of the head")
    parser.add_argument("--copies", type=int, nargs="+", help=f"default {N_COPIES}")
    parser.add_argument("--data-home", help="folder of the ISIC archives")
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"{sorted(unknown)} is none of {', '.join(PARTS)}")
    quick = options.quick
    options.side = options.side or (SMALL_SIDE if quick else 224)
    options.images = options.images or (60 if quick else None)
    options.epochs = options.epochs or (5 if quick else 50)
    options.copies = options.copies or (N_COPIES[::2] if quick else N_COPIES)
    if not 0 < options.epochs_measured < options.epochs:
        parser.error("--epochs-measured must be at least 1 and below --epochs")
    options.n_plain = options.epochs if options.full else 1 + options.epochs_measured
    options.n_forward = BATCH_SIZE * (1 if quick else 2)
    options.n_runs = 2 if quick else 5
    return options


def say_machine():
    cores, memory = joblib.cpu_count(), psutil.virtual_memory().total / 2**30
    has = "has" if cpu_has_bfloat16() else "has not"
    print(
        f"{cores} cores of {processor()}, {memory:.0f} GiB, {platform.system()}; the "
        f"processor {has} bfloat16"
    )
    print(
        f"Python {platform.python_version()}, scikit-learn {sklearn.__version__}, "
        f"Keras {keras.__version__} on {keras.backend.backend()}, TensorFlow "
        f"{tf.__version__}, NumPy {np.__version__}, skinest {skinest.__version__}"
    )
    print(f"load of the machine at the start: {psutil.getloadavg()[0]:.1f}", flush=True)


def processor():
    with suppress(OSError, StopIteration):  # where there is no such file or line
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        line = next(line for line in lines if line.startswith("model name"))
        return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def load(options, side, n_images=None, subset="train"):
    paths, y = fetch_isic2016_part3(
        data_home=options.data_home, subset=subset, return_X_y=True
    )
    wanted = [n for n in (n_images, options.images) if n is not None]
    # Reading also brings the files into the system's cache.
    return load_part(*stratified(paths, y, min(wanted, default=None)), side)


# head


def bench_head(file, options):
    train, validation = split(load(options, options.side))
    test = load(options, options.side, subset="test")
    parts = train, validation, test
    print(
        f"{len(train.y)} training, {len(validation.y)} validation and {len(test.y)} "
        f"test images of {options.side} pixels, {options.epochs} epochs, Adam "
        f"{options.learning_rate:g}"
    )
    results = {}
    for n_copies in options.copies:
        name = f"skinest, {n_copies} copies" if n_copies else "skinest, no augmentation"
        results[name] = train_ours(*parts, file, options, n_copies)
        say_result(name, results[name])
    results[PLAIN] = train_plain(*parts, file, options)
    say_result(PLAIN, results[PLAIN])
    say_times(results, options)
    say_learning(results, options)
    say_end(results, (validation.y, test.y), options)


def say_result(name, result):
    seconds = result.seconds
    print(
        f"{name}: {result.start:.1f} s to the first epoch, which took {seconds[0]:.1f} "
        f"s; {len(seconds) - 1} more of {np.mean(seconds[1:]):.2f} s",
        flush=True,
    )


def say_times(results, options):
    slow = results[PLAIN].total(options.epochs)
    rows = []
    for name, result in results.items():
        seconds = result.total(options.epochs)
        values = result.start, seconds - result.start, seconds, slow / seconds
        rows.append([name, *(f"{value:.1f}" for value in values)])
    print(f"\nSeconds of {options.epochs} epochs")
    say_table(["side", "before", "epochs", "in all", "times faster"], rows)
    if options.n_plain < options.epochs:
        ran = ", ".join(f"{value:.1f}" for value in results[PLAIN].seconds)
        print(
            f"{PLAIN} is extrapolated from {options.n_plain} epochs of {ran} s: the "
            f"first, and {options.epochs - 1} times the mean of the others."
        )


def say_learning(results, options):
    tens = range(10, options.epochs, 10)
    shown = sorted({1, *tens, options.n_plain, options.epochs})
    rows = []
    for name, result in results.items():
        values = dict(enumerate(result.history["val_auc"], start=1))
        cells = [f"{values[n]:.3f}" if n in values else "not run" for n in shown]
        rows.append([name, *cells])
    print("\nAUC on the validation images after so many epochs, by Keras' metric")
    say_table(["side", *shown], rows)


def say_end(results, labels, options):
    """Print the exact areas of the sides that have run to the end."""
    ended = {name: r for name, r in results.items() if len(r.seconds) == options.epochs}
    plain = ended.get(PLAIN)
    rows = [[name, *areas(result, plain, labels)] for name, result in ended.items()]
    minus = ["minus plain's [95 %]"] if plain else []
    print(f"\nAUC after {options.epochs} epochs, by scikit-learn")
    say_table(["side", "validation", *minus, "test", *minus], rows)
    if plain is None:
        print(f"{PLAIN} has none: it did not run so far (see --full).")


def areas(result, plain, labels):
    cells = []
    for part, y in enumerate(labels):
        ours = result.probabilities[part]
        cells.append(f"{roc_auc_score(y, ours):.3f}")
        if result is plain:
            cells.append("")
        elif plain:
            cells.append(auc_difference(y, ours, plain.probabilities[part]))
    return cells


# forward


def bench_forward(file, options):
    part = load(options, options.side, options.n_forward)
    base = plain_base(file, options.side)
    prepared = preprocess_input(part.pixels.astype(np.float32))
    dtype = resolve_compute_dtype("auto", "bfloat16")
    single = extractor(file, options.side, "float32").fit(part.pixels)
    auto = extractor(file, options.side, "auto").fit(part.pixels)
    sides = {
        "plain model.predict": lambda: base.predict(
            prepared, batch_size=BATCH_SIZE, verbose=0
        ).reshape(len(prepared), -1),
        "skinest, float32": lambda: single.transform(part.pixels),
        f"skinest, auto: {dtype}": lambda: auto.transform(part.pixels),
    }
    print(f"{len(prepared)} images of {options.side} pixels, in memory")
    features, seconds = alternate(sides, options.n_runs)
    plain = next(iter(sides))
    rows = []
    for name, values in seconds.items():
        each = [1000 * value / len(prepared) for value in values]
        faster = median(seconds[plain]) / median(values)
        apart = np.linalg.norm(features[name] - features[plain])
        apart /= np.linalg.norm(features[plain])
        cells = f"{median(each):.1f}", f"{min(each):.1f} to {max(each):.1f}"
        rows.append([name, *cells, f"{faster:.2f}", f"{apart:.0e}"])
    header = ["side", "median ms per image", f"of {options.n_runs} runs"]
    say_table([*header, "times faster", "features differ by"], rows)


def alternate(sides, n_runs):
    """Return each side's last result, and its seconds in each run after the first."""
    returned, seconds = {}, defaultdict(list)
    for run in range(n_runs + 1):
        for name, function in sides.items():
            start = perf_counter()
            returned[name] = function()
            if run:  # the first builds and compiles
                seconds[name].append(perf_counter() - start)
    return returned, seconds


# paths


def bench_paths(file, options):
    cases = [("block5", SMALL_SIDE, 256, 3), ("head", SMALL_SIDE, 256, 10)]
    if options.side != SMALL_SIDE:
        cases.append(("head", options.side, 96, 10))
    rows = []
    for trainable, side, n_images, epochs in cases:
        part = load(options, side, n_images)
        stage = {"trainable": trainable, "epochs": epochs, "learning_rate": 1e-4}
        clf = classifier(file, side, **stage, **copies(1))
        sides = {
            "paths": lambda clf=clf, part=part: clf.fit(part.paths, part.y),
            "arrays": lambda clf=clf, part=part: clf.fit(part.pixels, part.y),
        }
        _, seconds = alternate(sides, options.n_runs)
        paths, arrays = median(seconds["paths"]), median(seconds["arrays"])
        values = (f"{value:.2f}" for value in (paths, arrays, paths / arrays))
        rows.append([trainable, side, len(part.y), epochs, *values])
        print(f"{trainable} at {side} pixels: {paths / arrays:.2f}", flush=True)
    print(f"seconds of fit, medians of {options.n_runs} alternating runs")
    header = ["trainable", "pixels", "images", "epochs", "from paths", "from arrays"]
    say_table([*header, "paths / arrays"], rows)


def say_table(header, rows):
    table = [[str(cell) for cell in row] for row in [header, *rows]]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        cells = zip(row, widths, strict=True)
        print("  ".join(cell.ljust(width) for cell, width in cells).rstrip())
    sys.stdout.flush()


if __name__ == "__main__":
    main()

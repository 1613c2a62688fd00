"""Combine classifiers of the seven diagnoses of HAM10000 by a vote and by a stack.

The lesions are split as in ../examples/plot_task2_vgg.py: each member is trained on the
training images and predicts the validation and the test images. The validation images
choose between members, vote and stack, and train the stack. The test images are used
once, at the end. The predicted probabilities of each member are kept in the folder
--state, and a training that was stopped continues.

With --refit, the members are trained on the training and the validation images, with
the same settings, and only their votes are scored.

Usage: python benchmarks/vote_ham10000.py --vgg16 FILE --mobilenetv2 FILE --state DIR
       [--refit]
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import argparse
from functools import partial
from pathlib import Path
from time import perf_counter

import numpy as np
from _clinic_members import (
    BALANCE,
    BATCH_SIZE,
    LIGHT,
    make_rate,
)
from _examples import study, weigh_classes, write_scores
from _runs import make_file_name
from _splits import split_by_lesion
from _task2 import METRICS
from _vote import score_all, score_votes

from skinest import Augmentation, TransferClassifier
from skinest.datasets import fetch_isic2018_task3

SHAPES = Augmentation(
    rotation=180,
    shift=0.1,
    zoom=0.3,
    vertical_flip=True,
    brightness=0.15,
    contrast=0.2,
)


def main():
    options = read_options()
    data = fetch_isic2018_task3(options.data_home)
    position = [study.TASK2_NAMES.index(name) for name in data.target_names]
    X, y, groups = data.paths, np.array(position)[data.target], data.groups
    train, validation, test = split_by_lesion(y, groups)
    if options.refit:
        train, validation = np.concatenate([train, validation]), validation[:0]
    asked = X[np.concatenate([validation, test])]
    held_out, tested = {}, {}
    for name in options.members or MEMBERS:
        probabilities = predict(name, (X[train], y[train]), asked, options)
        held_out[name], tested[name] = np.split(probabilities, [len(validation)])
    if options.members:
        return
    truths = [(y[part], groups[part]) for part in (validation, test)]
    priors = find_priors(y[train])
    if options.refit:
        scores = score_votes(tested, truths[1], priors)
    else:
        scores = score_all(held_out, tested, *truths, priors)
    show(scores)
    write_scores(options.scores, scores)


def find_priors(y):
    """Return class frequencies, with the class weights of the members and without."""
    priors = np.bincount(y) / len(y)
    weighted = priors * list(weigh_classes(y, BALANCE).values())
    return weighted / weighted.sum(), priors


def read_options():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for backbone in ("vgg16", "mobilenetv2"):
        parser.add_argument(f"--{backbone}", default="imagenet", help="weights file")
    parser.add_argument("--data-home", help="folder of the archives")
    parser.add_argument(
        "--members", nargs="+", choices=MEMBERS, help="train only these, and stop"
    )
    parser.add_argument(
        "--refit", action="store_true", help="train on the validation images too"
    )
    parser.add_argument("--scores", type=Path, help="JSON file to write scores to")
    parser.add_argument(
        "--state", type=Path, required=True, help="folder for what is done"
    )
    options = parser.parse_args()
    options.state.mkdir(parents=True, exist_ok=True)
    return options


# Members


def predict(name, train, X, options):
    """Return the probabilities of a member, which is trained if they are not kept."""
    kind = " refit" if options.refit else ""
    folder = options.state / make_file_name(f"{name}{kind}")
    path = folder.with_suffix(".npy")
    if not path.exists():
        start = perf_counter()
        probabilities = MEMBERS[name](*train, X, folder, options)
        print(f"{name}: {(perf_counter() - start) / 60:.1f} minutes", flush=True)
        np.save(path, probabilities)
    return np.load(path)


def tune(
    X_train,
    y_train,
    X,
    folder,
    options,
    *,
    backbone,
    side,
    epochs,
    copies,
    peak,
    lowest,
    augmentation=LIGHT,
):
    """Fine-tune a network from its part `lowest` up, and predict four views."""
    return (
        TransferClassifier(
            backbone,
            weights=getattr(options, backbone),
            train_batch_norm=True,
            image_size=(side, side),
            dropout=0.3,
            l2=0.0,
            trainable=lowest,
            epochs=epochs,
            learning_rate=make_rate(len(y_train), epochs, peak),
            batch_size=BATCH_SIZE,
            class_weight=weigh_classes(y_train, BALANCE),
            augmentation=augmentation,
            n_augmented_copies=copies,
            n_prediction_views=4,
            checkpoint=folder,
            random_state=0,
            verbose=1,
        )
        .fit(X_train, y_train)
        .predict_proba(X)
    )


tune_mobilenetv2 = partial(
    tune, backbone="mobilenetv2", copies=9, peak=5e-4, lowest="block_4"
)
MEMBERS = {
    "VGG16": partial(
        tune,
        backbone="vgg16",
        side=96,
        epochs=5,
        copies=2,
        peak=1e-4,
        lowest="block4",
    ),
    "MobileNetV2": partial(tune_mobilenetv2, side=192, epochs=16),
    "MobileNetV2, 224 pixels": partial(
        tune_mobilenetv2, side=224, epochs=14, augmentation=SHAPES
    ),
}


def show(scores):
    for name, row in scores["rows"].items():
        cells = (f"{metric} {row['scores'][metric][0]:.3f}" for metric in METRICS)
        print(f"{name:16s}", *cells)
    if "chosen" in scores:
        print("Chosen by the validation images:", scores["chosen"])
    for name, gains in scores["adds"].items():
        for metric, (gain, low, high) in gains.items():
            print(f"{name} adds {gain:+.3f} [{low:+.3f}, {high:+.3f}] of {metric}")


if __name__ == "__main__":
    main()

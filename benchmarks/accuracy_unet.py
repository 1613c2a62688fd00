"""Measure how well U-Nets segment lesions, globules and streaks.

lesion
    Lesion masks of the HAM10000 images. The network is trained on most lesions, for at
    most half an hour on two cores. Dice and IoU of the foreground are computed for each
    image of the other lesions, with bootstrap intervals over lesions.
globules, streaks
    Masks of synthetic structures that are small, sparse and only partly visible. The
    settings of the study (dice loss, Adam 3e-5, 20 epochs of 8 steps of 80 images) are
    compared with ours. Ours are also trained with masks in another order than the
    images, as the generators of the study did.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import argparse
import os
from pathlib import Path
from time import perf_counter

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # Keras comes before skinest

import joblib
import keras
import numpy as np
from _examples import write_scores
from _lesions import keep_lesions, score_lesions

from skinest import UNetSegmenter
from skinest.augmentation import Augmentation
from skinest.datasets import make_dermoscopy
from skinest.losses import WeightedCrossentropy
from skinest.metrics import dice_score, segmentation_report

PARTS = ("lesion", "globules", "streaks")
N_TRAIN, N_TEST = 640, 335  # of synthetic images, as in the study


def main():
    options = read_options()
    print(f"{joblib.cpu_count()} cores, Keras {keras.__version__}", flush=True)
    scores = {}
    for part in options.parts or PARTS:
        print(f"\n## {part}", flush=True)
        is_lesion = part == "lesion"
        scores[part] = lesions(options) if is_lesion else structures(part, options)
        write_scores(options.scores, scores)


def read_options():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=" ".join(PARTS))
    parser.add_argument("--data-home", help="folder of the HAM10000 archives")
    parser.add_argument(
        "--images", type=int, help="number of training images; default all"
    )
    parser.add_argument("--epochs", type=int, help="default: those of the settings")
    parser.add_argument(
        "--filters", type=int, default=16, help="of lesions, default 16"
    )
    parser.add_argument(
        "--study-filters", type=int, default=64, help="of the study's, default 64"
    )
    parser.add_argument("--side", type=int, nargs=2, default=(96, 128))
    parser.add_argument("--save", help="file for the segmenter of lesions")
    parser.add_argument("--scores", type=Path, help="JSON file to write scores to")
    parser.add_argument(
        "--state", type=Path, help="folder from which a stopped run continues"
    )
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"{sorted(unknown)} is not in {', '.join(PARTS)}")
    return options


def lesions(options):
    """Train on lesions, and return the scores of others with intervals."""
    data, rest, test = keep_lesions(options.data_home)
    train = rest[: options.images]
    epochs = options.epochs or 13
    steps = epochs * -(-len(train) // 16)
    segmenter = UNetSegmenter(
        base_filters=options.filters,
        image_size=tuple(options.side),
        loss="dice_crossentropy",
        epochs=epochs,
        learning_rate=keras.optimizers.schedules.CosineDecay(
            0.0, steps, alpha=0.01, warmup_target=2e-3, warmup_steps=steps // 20
        ),
        augmentation=Augmentation(
            rotation=20,
            shift=0.05,
            zoom=0.1,
            vertical_flip=True,
            brightness=0.05,
            contrast=0.1,
        ),
        checkpoint=options.state and options.state / "lesion",
        random_state=0,
        verbose=1,
    )
    print(
        f"{len(train)} images to train on, {len(test)} of "
        f"{len(set(data.groups[test]))} other lesions to test on; "
        f"{options.filters} filters, {options.side} pixels",
        flush=True,
    )
    start = perf_counter()
    segmenter.fit(data.paths[train], data.mask_paths[train])
    print(f"fit: {(perf_counter() - start) / 60:.1f} minutes")
    if options.save:
        joblib.dump(segmenter, options.save)
    return score_lesions(segmenter, data, test)


def structures(task, options):
    images, masks = make_dermoscopy(
        N_TRAIN + N_TEST, task=task, random_state=0, return_X_y=True
    )
    X_train, y_train = images[:N_TRAIN], masks[:N_TRAIN]
    X_test, y_test = images[N_TRAIN:], masks[N_TRAIN:]
    share, empty = (masks > 0).mean(), (masks == 0).all(axis=(1, 2)).mean()
    nothing = [
        dice_score(y_test, 0 * y_test, average=average, zero_division=1.0)
        for average in ("pooled", "imagewise")
    ]
    print("found nowhere: pooled Dice {:.3f}, mean of images {:.3f}".format(*nothing))
    print(f"{share:.3%} of the pixels are {task}, {empty:.0%} of the masks are empty")
    y_shuffled = np.random.default_rng(0).permutation(y_train)
    scores = {}
    for name, (segmenter, y) in {
        "ours": (recommended(), y_train),
        "ours, masks in another order": (recommended(), y_shuffled),
        "study's": (study(options.study_filters), y_train),
    }.items():
        if options.epochs:
            segmenter.set_params(epochs=options.epochs)
        if options.state:
            segmenter.set_params(checkpoint=options.state / f"{task}-{len(scores)}")
        start = perf_counter()
        segmenter.fit(X_train, y)
        print(f"\n{name}: fit in {(perf_counter() - start) / 60:.1f} minutes")
        predicted = segmenter.predict(X_test)
        pooled = segmentation_report(
            y_test,
            predicted,
            labels=[255],
            average="pooled",
            zero_division=np.nan,
            output_dict=True,
        )
        scores[name] = pooled["255"]
        print(
            segmentation_report(y_test, predicted, average="pooled", zero_division=1.0),
            flush=True,
        )
        mean = dice_score(y_test, predicted, zero_division=1.0)
        print(f"Dice of each image, mean: {mean:.3f}")
    return scores


def study(base_filters):
    """Return the settings of the study, without its errors."""
    return UNetSegmenter(
        base_filters=base_filters,
        loss="dice",
        epochs=20,
        learning_rate=3e-5,
        batch_size=80,
        augmentation=Augmentation(rotation=45, shift=0.2, zoom=0.2, brightness=0.2),
        random_state=0,
    )


def recommended():
    """Return a segmenter for sparse masks.

    Dice loss alone predicts no foreground, and balanced weights predict too much.
    """
    return UNetSegmenter(
        base_filters=16,
        loss=WeightedCrossentropy((1.0, 5.0)),
        epochs=20,
        learning_rate=1e-3,
        augmentation=Augmentation(rotation=180, zoom=0.1, vertical_flip=True),
        random_state=0,
    )


if __name__ == "__main__":
    main()

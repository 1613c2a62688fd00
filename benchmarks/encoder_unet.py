"""Measure U-Nets with a pretrained encoder on lesions and on small structures.

lesion
    Trained on lesions of HAM10000, with changes of light, colour and scale, hairs and
    dark corners. A tenth of the lesions is kept for "test". A tenth of the others is
    not trained on, and scored after each epoch and at the end: choose settings by them.
    The segmenter is saved in --save, and a training that was stopped continues from
    --state.
test
    The saved segmenter on the lesions that were kept: Dice, IoU, the fraction of images
    below a Dice score of .7, and how often pixels of each predicted probability are
    lesion. Intervals are over lesions.
pace
    The Dice score on the images to choose by after each epoch on 2,000 images: with the
    encoder, and without it as in accuracy_unet.py.
few
    What an encoder is worth with few masks: 50, 200 and 800 training images, with and
    without one, tested on 400 images of other lesions that all share. All networks see
    the same number of images, so that with fewer masks each is seen more often. Each
    cell is stored when it is done.
globules, streaks
    Masks of small synthetic structures, of which most are empty, with foreground in
    half of the images of each epoch. The threshold is chosen on an eighth of the
    training images. The Dice score is that of the pixels of all test images together.
folder
    The saved segmenter on images and masks of another clinic, in two folders. Its
    scores are printed only.

What is stored is not computed again, and never mixed with other settings or machines:
with --again it is discarded. Give trials a folder of --results.

Usage: python benchmarks/encoder_unet.py lesion few --weights mobilenetv2.weights.h5
       --save lesion.joblib
       python benchmarks/encoder_unet.py test --save lesion.joblib
       python benchmarks/encoder_unet.py folder --save lesion.joblib --images FOLDER
       --masks FOLDER
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import argparse
import os
from copy import copy
from functools import partial
from pathlib import Path
from time import perf_counter

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # Keras comes before skinest

import joblib
import keras
import numpy as np
from _lesion_changes import LesionChanges
from _lesions import keep_lesions, score, score_lesions, show
from _quiet import describe_machine
from _runs import RESULTS, continue_record, write_record
from sklearn.model_selection import GroupShuffleSplit

from skinest import Augmentation, UNetSegmenter
from skinest.datasets import load_mask_folder, make_dermoscopy
from skinest.masks import read_mask
from skinest.metrics import dice_score, segmentation_report

NUMBERS = (50, 200, 800)  # of training images
N_SEEN = 4800  # images that each network of "few" sees in training
N_COMPARED = 400
N_PACE = 2000
PACE_EPOCHS = 5
PLAIN_FILTERS = 16  # without an encoder
N_TRAIN, N_CHOICE, N_TEST = 560, 80, 335  # of synthetic images
BATCH_SIZE = 16
SIDES = 128, 160  # of real images
STRUCTURE_SIDES = 128, 128
N_BINS = 10
PLAIN_RATE = 2e-3  # the largest learning rate without an encoder


def main():
    options = read_options()
    for part in options.parts:
        print(f"\n## {part}", flush=True)
        PART_OF[part](copy(options))  # parts change their options


def read_options():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="+", choices=PART_OF)
    parser.add_argument("--data-home", help="folder of the HAM10000 archives")
    parser.add_argument("--encoder", default="mobilenetv2", help="or none")
    parser.add_argument("--again", action="store_true", help="discard stored results")
    parser.add_argument("--weights", default="imagenet", help="of the encoder")
    parser.add_argument(
        "--train-batch-norm", action=argparse.BooleanOptionalAction, default=True
    )
    parser.add_argument(
        "--side", type=int, nargs=2, help="default 128 160; structures: 128 128"
    )
    parser.add_argument("--dtype", default="float32", help="of the computation")
    parser.add_argument("--filters", type=int, default=8)
    parser.add_argument("--n-images", type=int, help="of lesion; default: all")
    parser.add_argument("--rate", type=float, default=2e-3, help="largest with encoder")
    parser.add_argument("--epochs", type=int, default=12, help="of lesion")
    parser.add_argument("--structure-epochs", type=int, default=20)
    parser.add_argument("--views", type=int, default=4, help="of predictions")
    parser.add_argument("--save", type=Path, help="file of the segmenter")
    parser.add_argument("--state", type=Path, help="folder of a stopped training")
    parser.add_argument("--images", type=Path, help="images of another clinic")
    parser.add_argument("--masks", type=Path, help="their masks")
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    if options.encoder == "none":
        options.encoder = None
    return options


def choose_rate(options, encoder):
    return options.rate if encoder else PLAIN_RATE


def make_segmenter(options, n_images, epochs, encoder):
    """Return a segmenter whose learning rate rises for a tenth of the steps."""
    n_steps = epochs * -(-n_images // BATCH_SIZE)
    n_rising = max(1, n_steps // 10)
    rate = keras.optimizers.schedules.CosineDecay(
        0.0,
        max(1, n_steps - n_rising),
        alpha=0.01,
        warmup_target=choose_rate(options, encoder),
        warmup_steps=n_rising,
    )
    return UNetSegmenter(
        encoder=encoder,
        weights=options.weights,
        trainable="all",
        train_batch_norm=options.train_batch_norm,
        base_filters=options.filters,
        image_size=tuple(options.side or SIDES),
        loss="dice_crossentropy",
        epochs=epochs,
        learning_rate=rate,
        batch_size=BATCH_SIZE,
        augmentation=LesionChanges(),
        postprocess=["largest", "fill_holes"],
        n_prediction_views=options.views,
        compute_dtype=options.dtype,
        checkpoint=options.state,
        random_state=0,
        verbose=1,
    )


def split_lesions(options):
    """Return the data, and positions of the images to train, to choose and to test."""
    data, rest, test = keep_lesions(options.data_home)
    chosen = choose_lesions(data, rest)
    return data, np.delete(rest, chosen), rest[chosen], test


def choose_lesions(data, rest):
    """Return the places in `rest` of images to choose by."""
    splitter = GroupShuffleSplit(1, test_size=0.1, random_state=1)
    return next(splitter.split(rest, groups=data.groups[rest]))[1]


def measure_fit(segmenter, X, y, **validation) -> dict:
    """Fit a segmenter, and return minutes of the clock and of the processors."""
    start, used = perf_counter(), sum(os.times()[:2])
    segmenter.fit(X, y, **validation)
    used = sum(os.times()[:2]) - used
    return {"minutes": (perf_counter() - start) / 60, "core minutes": used / 60}


def measure_reliability(segmenter, paths, mask_paths) -> dict:
    """Return how often pixels of each range of probabilities are lesion.

    The expected calibration error is the mean distance of both, weighted by pixels.
    """
    counts = np.zeros((3, N_BINS))  # pixels, their probabilities, those of lesions
    for path, mask_path in zip(paths, mask_paths, strict=True):
        found = segmenter.predict_proba([path])[0][..., 1].ravel()
        is_lesion = read_mask(mask_path).ravel() > 0
        bins = np.minimum((found * N_BINS).astype(int), N_BINS - 1)
        for row, weights in zip(counts, (None, found, is_lesion), strict=True):
            row += np.bincount(bins, weights, N_BINS)
    n_pixels, predicted, true = counts
    error = np.abs(predicted - true).sum() / n_pixels.sum()
    predicted, true = (each / np.maximum(n_pixels, 1) for each in (predicted, true))
    return {
        "pixels": n_pixels.astype(int).tolist(),
        "predicted": predicted.tolist(),
        "true": true.tolist(),
        "expected calibration error": float(error),
    }


def lesion(options):
    data, train, choice, _ = split_lesions(options)
    train, rate = train[: options.n_images], choose_rate(options, options.encoder)
    settings = {
        "images": len(train),
        "epochs": options.epochs,
        "largest learning rate": rate,
    }
    path, record = begin(options, "unet_lesion_choice", settings)
    if is_done(path, record):
        return
    chosen = {"X_val": data.paths[choice], "y_val": data.mask_paths[choice]}
    encoder = options.encoder
    segmenter = make_segmenter(options, len(train), options.epochs, encoder)
    fit = measure_fit(segmenter, data.paths[train], data.mask_paths[train], **chosen)
    if options.save is not None:
        segmenter.set_params(augmentation=None)  # other programs do not know its class
        joblib.dump(segmenter, options.save)
    fit["val_dice"] = segmenter.history_["val_dice"]
    print(fit, flush=True)
    scores = score_lesions(segmenter, data, choice)
    write_record(path, {**record, **fit, **scores})


def test(options):
    data, _, part = keep_lesions(options.data_home)
    segmenter = joblib.load(options.save).set_params(n_prediction_views=options.views)
    options.filters, options.side = segmenter.base_filters, segmenter.image_size
    options.encoder, options.dtype = segmenter.encoder, segmenter.compute_dtype
    options.train_batch_norm = segmenter.train_batch_norm
    path, record = begin(options, "unet_lesion")
    if is_done(path, record):
        return
    scores = score_lesions(segmenter, data, part)
    chosen = data.paths[part], data.mask_paths[part]
    reliability = measure_reliability(segmenter, *chosen)
    print(f"calibration error {reliability['expected calibration error']:.4f}")
    write_record(path, {**record, **scores, "reliability": reliability})


def pace(options):
    path, record = begin(options, "unet_pace", {"largest learning rate": options.rate})
    if is_done(path, record):
        return
    data, train, choice, _ = split_lesions(options)
    train = train[:N_PACE]
    chosen = {"X_val": data.paths[choice], "y_val": data.mask_paths[choice]}
    cells = []
    for encoder in dict.fromkeys((options.encoder, None)):
        segmenter = make_segmenter(options, N_PACE, PACE_EPOCHS, encoder)
        if encoder is None:
            segmenter.set_params(base_filters=PLAIN_FILTERS)
        segmenter.set_params(checkpoint=None, verbose=0)
        segmenter.fit(data.paths[train], data.mask_paths[train], **chosen)
        cell = {
            "encoder": segmenter.encoder,
            "filters": segmenter.base_filters,
            "val_dice": segmenter.history_["val_dice"],
        }
        print(cell, flush=True)
        cells.append(cell)
    write_record(path, {**record, "images": N_PACE, "cells": cells})


def few(options):
    path, record = begin(options, "unet_few", {"largest learning rate": options.rate})
    cells = record.setdefault("cells", [])
    done = {(cell["images"], cell["encoder"]) for cell in cells}
    data, rest, _ = keep_lesions(options.data_home)
    compared = choose_lesions(data, rest)[:N_COMPARED]
    test, rest = rest[compared], np.delete(rest, compared)
    for n_images in NUMBERS:
        for encoder in dict.fromkeys((options.encoder, None)):
            if (n_images, encoder) in done:
                continue
            epochs = N_SEEN // n_images
            segmenter = make_segmenter(options, n_images, epochs, encoder)
            segmenter.set_params(checkpoint=None, verbose=0)
            seen = rest[:n_images]
            fit = measure_fit(segmenter, data.paths[seen], data.mask_paths[seen])
            predicted = segmenter.predict(data.paths[test])
            scores = score(data.mask_paths[test], predicted, data.groups[test])
            print(f"\n{n_images} images, encoder {encoder}: {fit}")
            show(scores)
            cells.append({"images": n_images, "encoder": encoder, **fit, **scores})
            write_record(path, record)


def structures(task, options):
    options.side = options.side or STRUCTURE_SIDES
    encoder, n_epochs = options.encoder, options.structure_epochs
    settings = {
        "epochs": n_epochs,
        "largest learning rate": choose_rate(options, encoder),
    }
    path, record = begin(options, f"unet_{task}", settings)
    if is_done(path, record):
        return
    images, masks = make_dermoscopy(
        N_TRAIN + N_CHOICE + N_TEST, task=task, random_state=0, return_X_y=True
    )
    (X, X_choice, X_test), (y, y_choice, y_test) = (
        np.split(each, [N_TRAIN, N_TRAIN + N_CHOICE]) for each in (images, masks)
    )
    pooled = partial(dice_score, average="pooled", labels=[255])
    segmenter = make_segmenter(options, N_TRAIN, n_epochs, encoder)
    segmenter.set_params(
        postprocess=None,
        foreground_fraction=0.5,
        augmentation=Augmentation(rotation=180, zoom=0.1, vertical_flip=True),
    )
    fit = measure_fit(segmenter, X, y)
    print(fit, flush=True)
    of_choice = segmenter.predict_proba(X_choice)[..., 1]
    thresholds = np.arange(1, 20) / 20
    found = [
        pooled(y_choice, np.uint8(255) * (of_choice > threshold))
        for threshold in thresholds
    ]
    segmenter.set_params(threshold=float(thresholds[np.argmax(found)]))
    predicted = segmenter.predict(X_test)
    report = segmentation_report(
        y_test,
        predicted,
        labels=[255],
        average="pooled",
        extra_columns=["blob F1"],
        zero_division=np.nan,
        output_dict=True,
    )["255"]
    print(f"threshold {segmenter.threshold}: {report}")
    found = {**fit, "threshold": segmenter.threshold, **report}
    write_record(path, {**record, **found})


def folder(options):
    found = load_mask_folder(options.images, options.masks)
    print(found.DESCR)
    segmenter = joblib.load(options.save).set_params(n_prediction_views=options.views)
    show(score(found.mask_paths, segmenter.predict(found.paths)))


def begin(options, name, more=()):
    """Return the path and the record of a part, which continues if it is stored.

    Parameters
    ----------
    options : Namespace
        Options of the part.

    name : str
        Name of the file.

    more : dict
        Settings that not all parts have.
    """
    path = options.results / f"{name}.json"
    settings = {
        "encoder": options.encoder,
        "pixels": list(options.side or SIDES),
        "filters": options.filters,
        "views": options.views,
        "computation": options.dtype,
        "trains batch normalisation": options.train_batch_norm,
        **dict(more),
    }
    machine = describe_machine(with_tensorflow=True)
    content = {"machine": machine, "settings": settings}
    return path, continue_record(path, content, options.again)


def is_done(path, record):
    """Return whether a record has scores, and say so."""
    has_scores = bool(set(record) - {"machine", "settings"})
    if has_scores:
        print(f"stored in {path}; --again makes it again", flush=True)
    return has_scores


PART_OF = {
    "lesion": lesion,
    "test": test,
    "pace": pace,
    "few": few,
    "globules": partial(structures, "globules"),
    "streaks": partial(structures, "streaks"),
    "folder": folder,
}

if __name__ == "__main__":
    main()

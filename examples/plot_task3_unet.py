"""
Globules and streaks by a U-Net
===============================

The study's third task: masks of globules, then of streaks, by its four losses, and by
settings of our own.

Both are small, sparse and missing in most images: calling nothing a globule anywhere
is right for 98 % of the pixels. Precision, recall, IoU and Dice of the foreground,
pooled over all test images, say what was found; accuracy, an IoU that counts the
background in, and the study's own "Dice" do not, and are printed to show it. The
study's figures failed through its code (masks in another order than the images, light
changed in masks, a loss taken along the axis of three equal channels); here its
settings run without these faults, and beside them cross entropy with the foreground
weighed 5 times and a higher learning rate.

Without arguments it takes synthetic images, a small network and few steps, after which
the order of the losses means little. On the masks of ISIC 2016 part 2B where
``--data-home`` or the environment variable ``SKINEST_DATA`` names a folder with its
archives; ``--full`` is the study's setting, days on a processor.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from time import perf_counter
from types import SimpleNamespace

import cv2
import matplotlib
import numpy as np
from _script import (
    make_console,
    on_archives,
    parse_arguments,
    print_differences,
    save,
    shortened,
)
from _study import (
    TASK3,
    TASK3_BASELINE,
    TASK3_N_TEST,
    TASK3_N_TRAIN,
    TASK3_N_VALIDATION,
)
from _task3 import measure, with_overlaps
from rich.table import Table

from skinest import Augmentation, UNetSegmenter
from skinest.datasets import fetch_isic2016_part2b, make_dermoscopy
from skinest.images import check_images, resize
from skinest.inspection import SegmentationDisplay, TrainingHistoryDisplay
from skinest.losses import WeightedCrossentropy
from skinest.masks import check_masks

QUICK = {
    "images": 240,
    "side": 64,
    "batch": 16,
    "filters": 8,
    "epochs": 0.5,
    "rates": 30.0,
}
STUDY = {
    "images": None,
    "side": 128,
    "batch": 80,
    "filters": 64,
    "epochs": 1.0,
    "rates": 1.0,
}
N_IMAGES = TASK3_N_TRAIN + TASK3_N_VALIDATION + TASK3_N_TEST
HELD_OUT = TASK3_N_VALIDATION / (TASK3_N_TRAIN + TASK3_N_VALIDATION)
LOSSES = tuple(TASK3["globules"])
OURS = "ours"
METRICS = ["accuracy", "loss", "precision", "recall", "dice"]
N_SHOWN = 6

# %%
# Images and their masks. Of the drawn ones as large a share is tested on as in the
# study.


def read_arguments():
    def more(parser):
        parser.add_argument(
            "--features",
            nargs="+",
            choices=tuple(TASK3),
            default=list(TASK3),
            help="what to find (default: both)",
        )
        parser.add_argument(
            "--losses",
            nargs="+",
            choices=(*LOSSES, OURS),
            default=[*LOSSES, OURS],
            help="what to train by (default: all)",
        )

    return parse_arguments(
        __doc__, "ISIC 2016 part 2B", QUICK, STUDY, network=False, more=more
    )


def load(feature, arguments):
    """Load images and masks to train on and to test on, in the size of the network."""
    size = arguments.side, arguments.side
    if on_archives(arguments.data_home, "ISBI2016_ISIC_Part2B_*", arguments.full):
        parts = {}
        for subset in ("train", "test"):
            paths, mask_paths = fetch_isic2016_part2b(
                feature,
                arguments.data_home,
                subset=subset,
                download_if_missing=arguments.full,
                return_X_y=True,
            )
            chosen = slice(arguments.images)
            parts[subset] = (
                np.stack([resize(X, size) for X in check_images(paths[chosen])]),
                np.stack([resized(y, size) for y in check_masks(mask_paths[chosen])]),
            )
        return SimpleNamespace(source="ISIC 2016 part 2B", **parts)
    n_images = arguments.images or N_IMAGES
    X, y = make_dermoscopy(
        n_images, task=feature, image_size=size, random_state=0, return_X_y=True
    )
    n_test = round(n_images * TASK3_N_TEST / N_IMAGES)
    return SimpleNamespace(
        source="synthetic images",
        train=(X[n_test:], y[n_test:]),
        test=(X[:n_test], y[:n_test]),
    )


def resized(mask, size):
    """Resize labels to those at the nearest pixels."""
    return cv2.resize(mask, size[::-1], interpolation=cv2.INTER_NEAREST)


# %%
# The study's settings, and ours. Twenty epochs of 8 steps of 80 images are twenty
# passes over its 640 training images.


def segmenter(loss, arguments):
    """Return the study's settings with one of its losses, or ours."""
    study = UNetSegmenter(
        base_filters=arguments.filters,
        image_size=(arguments.side, arguments.side),
        loss=loss,
        epochs=shortened(20, arguments.epochs),
        learning_rate=3e-5 * arguments.rates,
        batch_size=arguments.batch,
        augmentation=Augmentation(
            rotation=45, shift=0.2, zoom=0.2, horizontal_flip=True, brightness=0.2
        ),
        validation_fraction=HELD_OUT,
        random_state=0,
    )
    if loss != OURS:
        return study
    return study.set_params(
        loss=WeightedCrossentropy((1.0, 5.0)),
        learning_rate=1e-3,
        batch_size=16,
        augmentation=Augmentation(rotation=180, zoom=0.1, vertical_flip=True),
    )


def fit_all(console, arguments, data):
    """Return fitted segmenters and their figures by loss."""
    X_test, y_test = data.test
    fitted, figures = {}, {}
    figures["nothing found"] = measure(y_test, np.zeros_like(y_test), 0.0 * y_test)
    for loss in arguments.losses:
        start = perf_counter()
        fitted[loss] = segmenter(loss, arguments).fit(*data.train)
        probabilities = fitted[loss].predict_proba(X_test)[..., 1]
        predicted = fitted[loss].predict(X_test)
        figures[loss] = measure(y_test, predicted, probabilities)
        console.print(f"  {loss}: {perf_counter() - start:.0f} s")
    return fitted, figures


# %%
# Tables by loss, beside the study's.


def describe(console, feature, data):
    masks = data.test[1] > 0
    share, empty = masks.mean(), np.mean(~masks.any(axis=(1, 2)))
    console.print(
        f"[bold]{feature.capitalize()}[/bold], {data.source}: {len(data.train[0])} "
        f"images to train on, {len(masks)} to test on; {share:.1%} of their pixels "
        f"are marked, and nothing in {empty:.0%} of the masks"
    )


def print_figures(console, feature, figures):
    table = Table(title=f"{feature.capitalize()}, pooled over the test images, by loss")
    names = ("accuracy", "precision", "recall", "IoU", "Dice")
    short = ("accuracy", "precision", "recall", "IoU", "Dice", "mean IoU", '"Dice"')
    for name in ("", *short):
        table.add_column(name, justify="right" if name else "left")

    def add(name, row, **style):
        keys = (*names, "mean IoU with background", "channel Dice")
        cells = (
            f"{row[key]:.3f}" if np.isfinite(row.get(key, np.nan)) else "-"
            for key in keys
        )
        table.add_row(name, *cells, **style)

    for name, row in figures.items():
        add(name, row, end_section=name == list(figures)[-1])
    add("study: nothing found", TASK3_BASELINE)
    for loss, row in TASK3[feature].items():
        add(f"study: {loss}", with_overlaps(row))
    console.print(table)


def plot_losses(figures, feature):
    """Plot precision, recall and Dice of the foreground by loss."""
    import matplotlib.pyplot as plt

    names = ("precision", "recall", "Dice")
    rows = {name: row for name, row in figures.items() if name != "nothing found"}
    rows |= {
        f"study: {name}": with_overlaps(row) for name, row in TASK3[feature].items()
    }
    figure, axes = plt.subplots(
        figsize=(8, 0.55 * len(rows) + 1.2), layout="constrained"
    )
    places = np.arange(len(rows))
    for offset, name in enumerate(names):
        widths = np.nan_to_num([row[name] for row in rows.values()])
        axes.barh(places + 0.26 * (offset - 1), widths, height=0.26, label=name)
    axes.set_yticks(places, rows)
    axes.invert_yaxis()
    axes.set(xlim=(0, 1), title=f"{feature.capitalize()}: what was found, by loss")
    axes.grid(axis="x", alpha=0.3)
    figure.legend(loc="outside right upper")
    return figure


def plot(fitted, figures, feature, data):
    """Plot figures by their names: losses, curves of training, masks."""
    yield "losses", plot_losses(figures, feature)
    for loss in dict.fromkeys((next(iter(fitted)), list(fitted)[-1])):
        display = TrainingHistoryDisplay.from_estimator(fitted[loss], metrics=METRICS)
        display.figure_.suptitle(f"{feature.capitalize()}, {loss}")
        yield f"history_{loss}", display.figure_
    X_test, y_test = data.test
    areas = (y_test > 0).sum(axis=(1, 2))
    shown = np.argsort(areas)[::-1][:N_SHOWN]
    display = SegmentationDisplay.from_estimator(
        list(fitted.values())[-1],
        X_test[shown],
        y_test[shown],
        target_names=[feature],
    )
    display.figure_.suptitle(f"Largest masks of {feature}, found by {list(fitted)[-1]}")
    yield "masks", display.figure_


def differences(source, n_train, n_test):
    return (
        f"{source}: {n_train} images to train on, of which {HELD_OUT:.0%} are held "
        f"out, and {n_test} to test on; {TASK3_N_TRAIN}, {TASK3_N_VALIDATION} more "
        f"and {TASK3_N_TEST} of ISIC 2016 part 2B in the study",
        "images and masks stay together, light changes images alone, losses are those "
        "of the foreground, and weighted cross entropy is balanced",
        "one output channel; three equal ones in the study",
        f'"{OURS}" is cross entropy with the foreground weighed 5 times, Adam 1e-3 and '
        "batches of 16 images that are turned by any angle",
    )


def main():
    arguments = read_arguments()
    matplotlib.use("agg")
    console = make_console()
    paths = []
    for feature in arguments.features:
        data = load(feature, arguments)
        if not paths:
            sizes = len(data.train[0]), len(data.test[0])
            lines = differences(data.source, *sizes)
            print_differences(console, arguments, STUDY, lines)
        describe(console, feature, data)
        fitted, figures = fit_all(console, arguments, data)
        print_figures(console, feature, figures)
        for name, figure in plot(fitted, figures, feature, data):
            path = arguments.figures / f"task3_unet_{feature}_{name}.png"
            paths.append(save(figure, path))
    console.print(
        'Pooled, so that images weigh by their pixels. "mean IoU" counts the '
        'background in, and "Dice" is the study\'s along the channel axis: both are '
        "high where nothing is found. The study's IoU and Dice of the foreground "
        "follow from its precision and recall."
    )
    for path in paths:
        console.print(f"Figure: {path}")


# %%
# What it prints and draws, with the masks that the last of the segmenters found.

if __name__ == "__main__":
    main()

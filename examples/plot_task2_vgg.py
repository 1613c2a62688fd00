"""
Seven diagnoses by VGG16, and the effect of a leak
==================================================

This example reproduces the second task of the study: a VGG16 is trained in two stages,
with two schedules. The images are split by image, as in the study, and by lesion.

Both schedules are tested after each stage. Training of a stage stops when the
validation loss has not improved for 15 epochs, and the epoch with the best accuracy on
the validation images is kept. In a split by image, the training set may
have other images of the lesions in the test set. A split by lesion prevents this leak.
The last table measures its effect: a classifier on features of the network is tested on
the same images after training with and without other images of the tested lesions. Both
training sets have the same number of images of each class.

By default the example uses synthetic images, random weights and few epochs, so that it
downloads nothing. The networks then learn hardly anything and only show usage. The
effect of the leak is small. You can see it best in the scores of the test images whose
lesion has other images. With ``--data-home`` or the environment variable
``SKINEST_DATA`` it uses the archives of ISIC 2018 task 3 (HAM10000) in that folder and
ImageNet weights. ``--full`` uses the study's settings.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from pathlib import Path

import matplotlib
import numpy as np
from _leak import plot_leak, print_leak, summarize_leak
from _script import (
    describe_weights,
    existing_weights,
    labels_of,
    make_console,
    on_archives,
    open_state,
    parse_arguments,
    plot_matrices,
    print_differences,
    print_matrix,
    print_reports,
    report_of,
    save,
    shortened,
    weights_of,
    write_scores,
)
from _splits import (
    SPLITS,
    measure_leak,
    seen,
    split_by_image,
    split_by_lesion,
    take_lesions,
)
from _stages import stop_as_the_study, train_stages
from _study import (
    TASK2_BASELINE,
    TASK2_BEST,
    TASK2_MATRIX,
    TASK2_N_IMAGES,
    TASK2_NAMES,
    TASK2_SCHEDULES,
    VGG_HEAD,
)
from _task2 import name_fit, score, weigh_classes
from rich.table import Table
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from skinest import Augmentation, BottleneckFeatureExtractor, VGGTransferClassifier
from skinest.datasets import fetch_isic2018_task3, make_dermoscopy
from skinest.inspection import TrainingHistoryDisplay

STUDY = {
    "images": None,
    "side": 224,
    "batch": 128,
    "epochs": 1.0,
    "rates": 1.0,
    "copies": 3,
    "balance": 1.0,
    "lowest": "all",
}
QUICK = STUDY | {"images": 500, "side": 32, "batch": 16, "epochs": 0.1, "rates": 3.0}

# %%
# The images, and the two ways to split them.


def read_arguments():
    def more(parser):
        parser.add_argument(
            "--only", choices=("schedules", "leak"), help="run only this part"
        )
        parser.add_argument(
            "--splits",
            nargs="+",
            choices=SPLITS,
            default=SPLITS,
            help="how to split the images for the schedules (default: both)",
        )
        parser.add_argument(
            "--schedules",
            nargs="+",
            choices=TASK2_SCHEDULES,
            help="schedules to train (default: both, but without --full only "
            f'"{TASK2_BEST}" by lesion)',
        )
        parser.add_argument(
            "--repeats",
            type=int,
            choices=range(2, 101),
            metavar="2..100",
            help="number of splits to measure the leak on "
            "(default: 10; synthetic images: 20)",
        )
        parser.add_argument(
            "--leak-backbone",
            choices=("vgg16", "vgg19", "mobilenetv2"),
            default="vgg16",
            help="backbone for the features to measure the leak on",
        )
        parser.add_argument(
            "--leak-weights",
            type=existing_weights,
            help="weights of this backbone (default for vgg16: as --weights; for "
            "others: imagenet for real images, none for synthetic images)",
        )
        parser.add_argument(
            "--leak-side",
            type=int,
            help="height and width of its images (default: --side, at least 64)",
        )
        parser.add_argument(
            "--memory",
            type=Path,
            help="folder for outputs of frozen layers (default: in --state)",
        )

    return parse_arguments(__doc__, "ISIC 2018 task 3", QUICK, STUDY, more=more)


def load(arguments):
    """Load images, class indices in TASK2_NAMES, and lesions."""
    is_real = on_archives(
        arguments.data_home, "ISIC2018_Task3_Training_*", arguments.full
    )
    if is_real:
        data = fetch_isic2018_task3(
            arguments.data_home, download_if_missing=arguments.full
        )
        X = data.paths
    else:
        n_images = arguments.images or TASK2_N_IMAGES
        data = make_dermoscopy(n_images, task="diagnosis", random_state=0)
        X = data.images
    position = [TASK2_NAMES.index(name) for name in data.target_names]
    y = np.array(position)[data.target]
    taken = take_lesions(arguments.images, y, data.groups)
    return is_real, X[taken], y[taken], data.groups[taken]


def print_images(console, y, groups, splits):
    table = Table(title="Images by class and split: training / validation / test")
    for name in ("", "images", "lesions", *SPLITS):
        table.add_column(name, justify="right" if name else "left")

    def add(name, chosen, **style):
        counts = (
            " / ".join(str(np.isin(part, chosen).sum()) for part in splits[split])
            for split in SPLITS
        )
        n_lesions = len(np.unique(groups[chosen]))
        table.add_row(name, str(len(chosen)), str(n_lesions), *counts, **style)

    for label, name in enumerate(TASK2_NAMES):
        add(name, np.flatnonzero(y == label), end_section=label == len(TASK2_NAMES) - 1)
    add("all", np.arange(len(y)))
    console.print(table)
    for split in SPLITS:
        train, _, test = splits[split]
        share = seen(groups, train, test).mean()
        console.print(
            f"Split {split}: {share:.1%} of the test images show a lesion that is also "
            "in the training set"
        )
    console.print(
        f"Always {TASK2_NAMES[np.bincount(y).argmax()]}: accuracy "
        f"{np.bincount(y).max() / len(y):.3f}; study {TASK2_BASELINE['accuracy']:.3f}"
    )


# %%
# Training in two stages. The second fit continues from the weights of the first, so
# that the network can be tested in between.


def classifier(arguments, weights, memory):
    """Return a classifier with the study's settings for both schedules."""
    return VGGTransferClassifier(
        weights=weights,
        image_size=(arguments.side, arguments.side),
        **VGG_HEAD,
        l2=5e-4,
        batch_size=arguments.batch,
        augmentation=Augmentation(
            rotation=10, shift=0.1, zoom=0.1, horizontal_flip=True, vertical_flip=True
        ),
        n_augmented_copies=arguments.copies,
        keras_callbacks=stop_as_the_study(15, "val_accuracy"),
        warm_start=True,
        memory=memory,
        random_state=0,
        verbose=int(arguments.state is not None),
    )


def list_stages(arguments, schedule):
    """Return the parameters of the classifier in each stage of a schedule."""
    return [
        {
            "trainable": arguments.lowest if lowest == "all" else lowest,
            "epochs": shortened(epochs, arguments.epochs),
            "learning_rate": rate * arguments.rates,
        }
        for lowest, epochs, rate in TASK2_SCHEDULES[schedule]["stages"]
    ]


def run_schedule(console, arguments, clf, schedule, data, split, folder):
    """Return scores after each stage, and the classifier."""
    X, y, groups = data
    train, validation, test = split
    clf.set_params(class_weight=weigh_classes(y[train], arguments.balance))
    trainings = train_stages(
        clf,
        list_stages(arguments, schedule),
        lambda clf: clf.fit(
            X[train], y[train], X_val=X[validation], y_val=y[validation]
        ),
        X[np.concatenate([validation, test])],
        folder,
        keeps_state=arguments.state is not None,
    )
    results = []
    for trained in trainings:
        labels = trained.classifier.classes_[trained.probabilities.argmax(axis=1)]
        held_out, predicted = np.split(labels, [len(validation)])
        results.append(
            {
                **score(y[test], predicted, groups[test]),
                "validation": score(y[validation], held_out, groups[validation], 100),
                "trainable": trained.classifier.trainable,
                "n_epochs": trained.classifier.n_iter_per_stage_[-1],
                "seconds": trained.seconds,
            }
        )
        console.print(
            "  {trainable}: {n_epochs} epochs in {seconds:.0f} s, accuracy "
            "{accuracy:.3f}".format(
                **results[-1], accuracy=np.mean(predicted == y[test])
            )
        )
    return results, trained.classifier


def run(console, arguments, clf, folder, data, splits):
    """Train the schedules, and return scores and classifier of each."""
    fits = {}
    for split in arguments.splits:
        only_best = split == "by lesion" and not arguments.full
        default = [TASK2_BEST] if only_best else list(TASK2_SCHEDULES)
        for schedule in arguments.schedules or default:
            console.print(f"Split {split}, {schedule}")
            fits[split, schedule] = run_schedule(
                console,
                arguments,
                clone(clf),
                schedule,
                data,
                splits[split],
                folder / name_fit(split, schedule),
            )
    return fits


def print_schedules(console, fits):
    table = Table(title="Accuracy on test images")
    for name in ("schedule", "split", "after stage 1", "after stage 2"):
        table.add_column(name, justify="right" if "after" in name else "left")
    for schedule, study in TASK2_SCHEDULES.items():
        for split in SPLITS:
            if (split, schedule) in fits:
                results, _ = fits[split, schedule]
                cells = (f"{each['scores']['accuracy'][0]:.3f}" for each in results)
                table.add_row(schedule, split, *cells)
        cells = (f"{accuracy:.2f}" for accuracy in study["accuracy"])
        table.add_row(schedule, "study, by image", *cells, end_section=True)
    console.print(table)
    console.print(
        "Each row is one network. The test images by image and by lesion differ; if "
        "there are few, most of the difference is due to chance. The leak is measured "
        "below.\nThe loss in the training curves jumps at the start of stage 2: "
        "more layers are trained and the L2 penalty includes them."
    )


# %%
# The effect of the leak.


def leak(arguments, weights, memory, X, y, groups):
    """Return scores of a support vector machine on a network's features, by split."""
    side = arguments.leak_side or max(arguments.side, 64)
    extractor = BottleneckFeatureExtractor(
        arguments.leak_backbone,
        weights=weights,
        pooling="avg",
        image_size=(side, side),
        memory=memory,
        random_state=0,
    )
    features = extractor.fit(X).transform(X)
    n_components = min(64, len(X) // 4)
    machine = make_pipeline(
        StandardScaler(),
        PCA(n_components, random_state=0),
        StandardScaler(),
        SVC(C=10, class_weight="balanced"),
    )
    return measure_leak(machine, features, y, groups, arguments.repeats)


# %%
# Tables and plots, next to those of the study.


def report(console, fits):
    """Print scores by class after the last stage, and return the matrices."""
    study = report_of(*labels_of(TASK2_MATRIX), TASK2_NAMES)
    matrices = {"study, by image": np.array(TASK2_MATRIX)}
    for (split, schedule), (results, _) in fits.items():
        if schedule == TASK2_BEST or len(fits) == 1:
            console.print(f"[bold]Split {split}, {schedule}")
            print_reports(console, TASK2_NAMES, results[-1]["report"], study)
            matrix = results[-1]["matrix"]
            print_matrix(console, f"skinest, {split}", TASK2_NAMES, matrix)
            matrices[f"skinest, {split}"] = matrix
    print_matrix(console, "study, by image", TASK2_NAMES, TASK2_MATRIX)
    return matrices


def plot_histories(fits):
    """Plot accuracy and loss by epoch for each schedule of the first split."""
    import matplotlib.pyplot as plt

    first, _ = next(iter(fits))
    shown = {
        schedule: clf for (split, schedule), (_, clf) in fits.items() if split == first
    }
    figure, axes = plt.subplots(
        len(shown),
        2,
        figsize=(9, 3.25 * len(shown)),
        layout="constrained",
        squeeze=False,
    )
    for row, (schedule, clf) in zip(axes, shown.items(), strict=True):
        TrainingHistoryDisplay.from_estimator(clf, metrics=["accuracy", "loss"], ax=row)
        for axis in row:
            axis.set_title(schedule)
    return figure


def differences(arguments, is_real, weights, splits):
    n_images = sum(len(part) for part in splits["by image"])
    source = "HAM10000" if is_real else "synthetic images"
    return (
        f"{source}: {n_images} images; {TASK2_N_IMAGES} of HAM10000 in the study",
        describe_weights(weights),
        "while layers are frozen, each epoch uses an image or one of its "
        f"{arguments.copies} augmented copies, for which their outputs are computed "
        "once",
    )


def main():
    arguments = read_arguments()
    matplotlib.use("agg")
    console = make_console()
    is_real, X, y, groups = load(arguments)
    arguments.repeats = arguments.repeats or (10 if is_real else 20)
    weights = weights_of(arguments.weights, is_real)
    splits = dict(
        zip(SPLITS, (split_by_image(y), split_by_lesion(y, groups)), strict=True)
    )
    lines = differences(arguments, is_real, weights, splits)
    lines = print_differences(console, arguments, STUDY, lines)
    print_images(console, y, groups, splits)
    figures, scores = {}, {"differences": lines}
    with open_state(arguments) as folder:
        memory = arguments.memory or folder / "memory"
        if arguments.only != "leak":
            clf = classifier(arguments, weights, memory)
            fits = run(console, arguments, clf, folder, (X, y, groups), splits)
            scores["schedules"] = {
                f"{schedule}, {split}": results
                for (split, schedule), (results, _) in fits.items()
            }
            print_schedules(console, fits)
            matrices = report(console, fits)
            figures["history"] = plot_histories(fits)
            figures["confusion"] = plot_matrices(matrices, TASK2_NAMES)
        if arguments.only != "schedules":
            if arguments.leak_weights or arguments.leak_backbone != "vgg16":
                weights = weights_of(arguments.leak_weights, is_real)
            gains = leak(arguments, weights, memory, X, y, groups)
            scores["leak"] = summarize_leak(gains)
            print_leak(console, gains, arguments)
            figures["leak"] = plot_leak(gains)
    write_scores(arguments.scores, scores)
    for name, figure in figures.items():
        path = save(figure, arguments.figures / f"task2_vgg_{name}.png")
        console.print(f"Saved {path}")


# %%
# All tables and plots.

if __name__ == "__main__":
    main()

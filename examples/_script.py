"""Functions shared by the scripts of the study: arguments, tables and plots."""

import argparse
import json
import os
import sys
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from rich.console import Console
from rich.table import Table
from sklearn.metrics import ConfusionMatrixDisplay, classification_report

# Arguments that shorten a run: the help text, and the text for a difference from the
# study.
SHORTENING = {
    "images": ("number of images", None),
    "side": (
        "height and width to resize images to",
        "{0} x {0} pixels; {1} x {1} in the study",
    ),
    "batch": ("batch size in training", "batches of {0}; {1} in the study"),
    "filters": (
        "filters of the first level",
        "{0} filters at the first level; {1} in the study",
    ),
    "epochs": (
        "epochs, as a fraction of the study's",
        "epochs: {0:g} times as many as in the study",
    ),
    "rates": (
        "factor on the study's learning rates",
        "learning rates: {0:g} times the study's",
    ),
    "copies": ("augmented copies of each image while layers are frozen", None),
    "balance": (
        "how strongly class weights balance the classes: 1 fully, 0 not at all",
        "class weights: those of the study to the power {0:g}",
    ),
    "lowest": (
        "lowest part to train where the study trained all layers",
        "layers trained in the last stage: {0} and above; all in the study",
    ),
}
AVERAGES = {"macro avg": "macro average", "weighted avg": "weighted average"}


def parse_arguments(doc, archives, quick, study, *, network=True, more=None):
    """Read a script's arguments: a quick run by default, the study's with --full.

    Parameters
    ----------
    doc : str
        The docstring of the script.

    archives : str
        Name of the archives that the script reads.

    quick, study : dict
        Values of the arguments in SHORTENING. `images` is None for all images.

    network : bool, default=True
        Whether the script starts from the weights of a network.

    more : callable, default=None
        Function that adds other arguments to the parser.
    """
    parser = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data-home",
        default=os.environ.get("SKINEST_DATA"),
        help=f"folder with the archives of {archives} (default: $SKINEST_DATA)",
    )
    parser.add_argument("--figures", type=Path, default=Path("figures"))
    add_outputs(parser)
    parser.add_argument(
        "--full",
        action="store_true",
        help="the study's full settings, on real images (downloaded if missing)",
    )
    for name, value in quick.items():
        with_full = "all" if study[name] is None else study[name]
        parser.add_argument(
            f"--{name}",
            type=type(value),
            help=f"{SHORTENING[name][0]} (default: {value}; with --full: {with_full})",
        )
    if network:
        parser.add_argument(
            "--weights",
            type=existing_weights,
            help="weights of VGG16: a file, imagenet (downloaded; the default for real "
            "images) or none (random; the default for synthetic images)",
        )
    if more is not None:
        more(parser)
    # A notebook has no arguments.
    arguments = parser.parse_args([] if "ipykernel" in sys.modules else None)
    for name, value in (study if arguments.full else quick).items():
        if getattr(arguments, name) is None:
            setattr(arguments, name, value)
    return arguments


def add_outputs(parser):
    """Add the arguments for a run that can be stopped, and for its scores."""
    parser.add_argument(
        "--state",
        type=Path,
        help="folder for what is done, from which the next run continues; it has "
        "pickles: use only what you trust",
    )
    parser.add_argument("--scores", type=Path, help="JSON file to write scores to")


@contextmanager
def open_state(arguments):
    """Yield the folder of the state, or a temporary one."""
    if arguments.state is None:
        with TemporaryDirectory() as folder:
            yield Path(folder)
    else:
        arguments.state.mkdir(parents=True, exist_ok=True)
        yield arguments.state


def write_scores(path, scores):
    """Write scores to a JSON file, if there is a path."""
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(_round(scores), indent=1) + "\n")


def _round(value):
    """Convert scores to what JSON knows, with five decimals."""
    if isinstance(value, dict):
        return {str(key): _round(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_round(each) for each in value]
    if isinstance(value, str | None):
        return value
    rounded = np.round(value, 5).tolist()
    if isinstance(rounded, list):
        return _round(rounded)
    return None if rounded != rounded else rounded


def make_console():
    """Return a console; outside a terminal it is wide enough for the tables."""
    return Console(width=None if sys.stdout.isatty() else 100)


def existing_weights(text):
    """Return the argument if it is an existing file, "imagenet" or "none"."""
    if text not in ("imagenet", "none") and not Path(text).is_file():
        raise argparse.ArgumentTypeError(
            f"{text} is not a file, imagenet or none: check the path"
        )
    return text


def weights_of(name, is_real):
    """Return the argument `weights` of a classifier."""
    name = name or ("imagenet" if is_real else "none")
    return None if name == "none" else name


def on_archives(data_home, pattern, download):
    """Return whether to use real images, from archives in a folder or by download."""
    if download or not data_home:
        return download
    if not Path(data_home).is_dir():
        raise SystemExit(
            f"There is no folder {data_home} with archives of real images."
        )
    return any(Path(data_home).glob(pattern))


def take(n_images, y):
    """Return positions of `n_images` images, with the same class frequencies."""
    positions = np.random.default_rng(0).permutation(len(y))
    if n_images is None or n_images >= len(y):
        return np.arange(len(y))
    # Evenly spaced positions in the images sorted by class keep class frequencies.
    positions = positions[np.argsort(y[positions], kind="stable")]
    spaced = (np.arange(n_images) + 0.5) * len(y) / n_images
    return np.sort(positions[spaced.astype(int)])


def shortened(epochs, share):
    return max(1, round(epochs * share))


def print_differences(console, arguments, study, lines):
    """Print and return differences from the study: the lines and changed arguments."""
    lines = list(lines)
    for name, value in study.items():
        text = SHORTENING[name][1]
        if text is not None and getattr(arguments, name) != value:
            lines.append(text.format(getattr(arguments, name), value))
    print_lines(console, "What differs from the study:", lines)
    return lines


def print_lines(console, title, lines):
    console.print(title)
    for line in lines:
        console.print(f"- {line}", highlight=False)


def describe_weights(weights):
    """Return a line on the weights of VGG16, here and in the study."""
    whose = {None: "random, not pretrained", "imagenet": "ImageNet"}
    ours = whose.get(weights, f"from {Path(weights or '').name}")
    return f"weights of VGG16: {ours}; ImageNet in the study"


def labels_of(matrix):
    """Return true and predicted labels that have this confusion matrix."""
    matrix = np.asarray(matrix)
    truth, predicted = np.indices(matrix.shape).reshape(2, -1)
    return np.repeat(truth, matrix.ravel()), np.repeat(predicted, matrix.ravel())


def report_of(y, predicted, names):
    """Return `classification_report` of labels that are positions in `names`."""
    return classification_report(
        y,
        predicted,
        labels=np.arange(len(names)),
        target_names=names,
        output_dict=True,
        zero_division=0,
    )


def print_reports(console, names, ours, study):
    """Print precision, recall, F1 and support by class, with those of the study."""
    table = Table(title="Precision, recall, F1 and number of test images by class")
    table.add_column("")
    for whose in ("ours", "study"):
        for metric in ("prec.", "recall", "F1", "images"):
            table.add_column(f"{whose}\n{metric}", justify="right")
    for name in (*names, *AVERAGES):
        cells = []
        for report in (ours, study):
            row = report[name]
            cells += [f"{row[key]:.2f}" for key in ("precision", "recall", "f1-score")]
            cells.append(f"{row['support']:.0f}")
        table.add_row(AVERAGES.get(name, name), *cells)
    console.print(table)
    console.print(
        "Accuracy: ours {:.3f}, study {:.3f}".format(
            *(accuracy_of(report) for report in (ours, study))
        )
    )


def accuracy_of(report):
    """Return the accuracy, which is the weighted average of recall."""
    return report["weighted avg"]["recall"]


def print_matrix(console, title, names, matrix):
    console.print(f"{title} (rows: truth, columns: prediction)")
    table = Table()
    table.add_column("")
    for name in names:
        table.add_column(name, justify="right")
    for name, row in zip(names, matrix, strict=True):
        table.add_row(name, *map(str, row))
    console.print(table)


def plot_matrices(matrices, names):
    """Plot confusion matrices side by side, coloured by the fraction of each row."""
    import matplotlib.pyplot as plt

    width = 2.2 + 0.45 * len(names)
    figure, axes = plt.subplots(
        1,
        len(matrices),
        figsize=(width * len(matrices), width),
        layout="constrained",
        squeeze=False,
    )
    for axis, (title, matrix) in zip(axes[0], matrices.items(), strict=True):
        matrix = np.asarray(matrix)
        shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
        display = ConfusionMatrixDisplay(shares, display_labels=names)
        display.plot(ax=axis, cmap="Blues", colorbar=False, im_kw={"clim": (0, 1)})
        for text, count in zip(display.text_.ravel(), matrix.ravel(), strict=True):
            text.set_text(str(count))
        axis.set_title(title)
    return figure


def save(figure, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    return path

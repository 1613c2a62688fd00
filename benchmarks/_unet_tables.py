"""Tables of U-Nets with an encoder in README.md, from the files in `results`."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from functools import partial
from pathlib import Path
from textwrap import fill

from _gain_tables import show
from _quiet import describe_briefly
from _runs import read_record, say_interval, say_score

COLUMNS = ("precision", "recall", "IoU", "Dice", "blob F1")


def read(part, folder):
    """Return the stored results of a part of encoder_unet.py, or None."""
    path = Path(folder, f"unet_{part}.json")
    return read_record(path) if path.exists() else None


def describe(stored, minutes):
    """Say how long the trainings took, and where."""
    settings = stored["settings"]
    trains_norms = settings.get("trains batch normalisation", False)
    norms = ", batch normalisation is trained" if trains_norms else ""
    return (
        f"{settings['pixels'][0]} x {settings['pixels'][1]} pixels, "
        f"{settings['filters']} filters, {settings['views']} views, "
        f"{settings['computation']}{norms}; {minutes:.0f} minutes of processor time; "
        f"{describe_briefly(stored['machine'])}."
    )


def show_lesion(folder):
    parts = {"lesion_choice": "to choose by", "lesion": "test, once"}
    found = {title: read(part, folder) for part, title in parts.items()}
    if None in found.values():
        return None
    names = "Dice", "IoU", "below .7"
    lines = [
        "| images | Dice | IoU | fraction of images with Dice below .7 |",
        "|---|---|---|---|",
    ]
    for title, stored in found.items():
        scores = " | ".join(say_interval(stored[name]) for name in names)
        lines.append(f"| {title} | {scores} |")
    stored = found["to choose by"]
    bins, say = found["test, once"]["reliability"], partial(say_score, digits=2)
    error = bins["expected calibration error"]
    lines += [
        "",
        fill(describe(stored, stored["core minutes"]), 88),
        "",
        "Probabilities of pixels of the test images, and the fraction that is lesion\n"
        f"(expected calibration error {error:.3f}):".replace("0.", "."),
        "",
        f"| predicted | {' | '.join(map(say, bins['predicted']))} |",
        "|---|" + "---|" * len(bins["predicted"]),
        f"| lesion | {' | '.join(map(say, bins['true']))} |",
    ]
    return "\n".join(lines)


def show_pace(folder):
    stored = read("pace", folder)
    if stored is None:
        return None
    epochs = range(1, 1 + len(stored["cells"][0]["val_dice"]))
    lines = [
        f"| Dice after epoch | {' | '.join(map(str, epochs))} |",
        "|---|" + "---|" * len(epochs),
    ]
    for cell in stored["cells"]:
        cells = map(say_score, cell["val_dice"])
        name = f"encoder {cell['encoder'] or 'none'}, {cell['filters']} filters"
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", f"{stored['images']:,} training images."])


def show_crop(folder):
    path = Path(folder, "segment_crop.json")
    if not path.exists():
        return None
    stored = read_record(path)
    machine = f"{describe_briefly(stored['machine'])}."
    return "\n\n".join([show(stored["rows"]), fill(machine, 88)])


def show_few(folder):
    stored = read("few", folder)
    if stored is None:
        return None
    lines = [
        "| images | encoder | Dice | IoU | Dice below .7 |",
        "|---|---|---|---|---|",
    ]
    for cell in stored["cells"]:
        scores = (say_interval(cell[name]) for name in ("Dice", "IoU", "below .7"))
        cells = cell["images"], cell["encoder"] or "none", *scores
        lines.append(f"| {' | '.join(map(str, cells))} |")
    minutes = sum(cell["core minutes"] for cell in stored["cells"])
    return "\n".join([*lines, "", fill(describe(stored, minutes), 88)])


def show_structures(folder):
    found = {task: read(task, folder) for task in ("globules", "streaks")}
    if None in found.values():
        return None
    titles = " | ".join([*COLUMNS, "threshold"])
    lines = [f"| | {titles} |", "|---|" + "---|" * (len(COLUMNS) + 1)]
    for task, stored in found.items():
        scores = " | ".join(say_score(stored[name]) for name in COLUMNS)
        lines.append(f"| {task} | {scores} | {stored['threshold']:.2f} |")
    minutes = sum(stored["core minutes"] for stored in found.values())
    stored = found["globules"]
    return "\n".join([*lines, "", fill(describe(stored, minutes), 88)])


UNET_TABLES = {
    "unet_lesion": show_lesion,
    "unet_pace": show_pace,
    "segment_crop": show_crop,
    "unet_few": show_few,
    "unet_structures": show_structures,
}

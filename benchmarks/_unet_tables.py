"""Tables of U-Nets with an encoder in README.md, from the files in `results`."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import json
from pathlib import Path
from textwrap import fill

from _quiet import describe_briefly

COLUMNS = ("precision", "recall", "IoU", "Dice", "blob F1")


def read(part, folder):
    """Return the stored results of a part of encoder_unet.py, or None."""
    path = Path(folder, f"unet_{part}.json")
    return json.loads(path.read_text()) if path.exists() else None


def say(score):
    """Format a score and its limits: .933 [.925, .939]."""
    estimate, low, high = (f"{each:.3f}".removeprefix("0") for each in score)
    return f"{estimate} [{low}, {high}]"


def describe(stored, minutes):
    """Say how long the trainings took, and where."""
    settings = stored["settings"]
    return (
        f"{settings['pixels'][0]} x {settings['pixels'][1]} pixels, "
        f"{settings['filters']} filters, {settings['views']} views, "
        f"{settings['computation']}; {minutes:.0f} minutes of processor time; "
        f"{describe_briefly(stored['machine'])}."
    )


def show_few(folder):
    stored = read("few", folder)
    if stored is None:
        return None
    lines = [
        "| images | encoder | Dice | IoU | Dice below .7 |",
        "|---|---|---|---|---|",
    ]
    for cell in stored["cells"]:
        scores = (say(cell[name]) for name in ("Dice", "IoU", "below .7"))
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
        scores = " | ".join(f"{stored[name]:.3f}".lstrip("0") for name in COLUMNS)
        lines.append(f"| {task} | {scores} | {stored['threshold']:.2f} |")
    minutes = sum(stored["core minutes"] for stored in found.values())
    stored = found["globules"]
    return "\n".join([*lines, "", fill(describe(stored, minutes), 88)])


UNET_TABLES = {"unet_few": show_few, "unet_structures": show_structures}

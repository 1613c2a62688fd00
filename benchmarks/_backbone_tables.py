"""Tables of the features of each backbone in README.md, one row for each network."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from pathlib import Path
from textwrap import fill

from _quiet import is_quiet
from _runs import (
    describe_record,
    read_record,
    say_number,
    spread,
    times_as_good,
)

PLAIN = "plain Keras, float32"
FORWARD = ("skinest, float32", "skinest, bfloat16")
OPENVINO = ("skinest with OpenVINO, float32", "skinest with OpenVINO, bfloat16")
BACKBONE_SIDES = (PLAIN, *FORWARD, *OPENVINO)
BACKBONE_PARTS = "forward", "larger"  # each has runs of other networks


def group_runs(record):
    """Return the runs of a record by network and side."""
    found = {}
    for name, runs in record["runs"].items():
        backbone, _, side = name.partition(", ")
        found.setdefault(backbone, {})[side] = runs
    return found


def show_times(folder):
    """Return the times of all sides, and how many times as fast they are."""
    tables = []
    for part in BACKBONE_PARTS:
        path = Path(folder, f"backbones_{part}.json")
        if path.exists():
            record = read_record(path)
            tables += [_show_milliseconds(record), _show_factors(record)]
            tables.append(fill(describe_record(record), 88))
    return "\n\n".join(tables) or None


def _show_milliseconds(record):
    rows = []
    for backbone, sides in group_runs(record).items():
        cells = []
        for side in BACKBONE_SIDES:
            runs = sides.get(side, ())
            if not runs:
                cells.append("")
                continue
            found = spread(runs, "ms")
            mark = "" if all(map(is_quiet, runs)) else " *"
            least, greatest = say_number(found.least), say_number(found.greatest)
            cells.append(f"{say_number(found.median)} ({least} to {greatest}){mark}")
        rows.append([backbone, *cells])
    return _format(["ms an image", *BACKBONE_SIDES], rows)


def _show_factors(record):
    rows = []
    for backbone, sides in group_runs(record).items():
        plain = spread(sides[PLAIN], "ms")
        cells = []
        for side in BACKBONE_SIDES[1:]:
            if side in sides:
                times = times_as_good(spread(sides[side], "ms"), plain)
                cells.append(" / ".join(map(say_number, times)))
            else:
                cells.append("")
        rows.append([backbone, *cells])
    return _format(["times as fast as plain Keras", *BACKBONE_SIDES[1:]], rows)


def show_differences(folder):
    """Return the largest difference of the features of each side."""
    rows = []
    for part in BACKBONE_PARTS:
        path = Path(folder, f"backbones_{part}.json")
        found = group_runs(read_record(path)) if path.exists() else {}
        for backbone, sides in found.items():
            greatest = (
                f"{spread(sides[side], 'difference').greatest:.1g}"
                if side in sides
                else ""
                for side in BACKBONE_SIDES[1:]
            )
            rows.append([backbone, *greatest])
    header = ["largest difference of features", *BACKBONE_SIDES[1:]]
    return _format(header, rows) if rows else None


def show_accuracy(folder):
    """Return the AUC of a classifier on the features, and their difference."""
    path = Path(folder, "backbones_accuracy.json")
    if not path.exists():
        return None
    record, rows = read_record(path), []
    for backbone, sides in group_runs(record).items():
        for side in filter(sides.get, BACKBONE_SIDES):
            auc = spread(sides[side], "AUC").median
            difference = spread(sides[side], "difference").greatest
            rows.append([f"{backbone}, {side}", f"{auc:.4f}", f"{difference:.1g}"])
    table = _format(["", "AUC", "largest difference of features"], rows)
    return f"{table}\n\n{fill(describe_record(record), 88)}"


def _format(header, rows):
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


BACKBONE_TABLES = {
    "backbones_forward": show_times,
    "backbones_difference": show_differences,
    "backbones_accuracy": show_accuracy,
}

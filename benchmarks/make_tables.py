"""Write the tables of speeds in README.md, and of docs/study.rst, from `results`.

Each table of README.md is between two comments, `<!-- table NAME -->` and `<!-- end
-->`. The text between them is replaced if there are results for it. A test checks that
the pages agree with the files. With --results, the tables of another folder are written
into tables.md in it.

Usage: python benchmarks/make_tables.py [--results FOLDER]
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import argparse
import math
import re
from dataclasses import dataclass
from pathlib import Path
from textwrap import fill

from _backbone_tables import BACKBONE_TABLES, FORWARD, PLAIN
from _gain_tables import GAIN_TABLES
from _near_duplicate_tables import NEAR_DUPLICATE_TABLES
from _runs import (
    RESULTS,
    Spread,
    describe_quiet,
    describe_record,
    read_record,
    say_number,
    spread,
    times_as_good,
)
from _study_tables import fill_in_study
from _unet_tables import UNET_TABLES, read

README = Path(__file__).parent / "README.md"
STUDY = Path(__file__).parents[1] / "docs" / "study.rst"


@dataclass(frozen=True)
class Row:
    """A row of a table: one number from the runs of one side.

    Parameters
    ----------
    label : str
        Label in the table.

    side, measure : str
        Names of the side and of the number in the record.
    """

    label: str
    side: str
    measure: str


@dataclass(frozen=True)
class Table:
    """A table of spreads, with comparisons and a closing sentence.

    Parameters
    ----------
    record : str
        Name of the file of results.

    unit : str
        Title of the column of labels.

    rows : tuple of Row
        Rows of the table.

    pairs : tuple of (str, str)
        Labels of rows that are compared: ours and the other.

    higher_is_better : bool
        Whether the numbers are speeds, not times.

    closing : callable
        Returns a sentence from the spreads by label and the folder of results.
    """

    record: str
    unit: str
    rows: tuple
    pairs: tuple = ()
    higher_is_better: bool = False
    closing: object = None


def compare_growth(spreads, folder):
    """Return a sentence on the exponents by which time and memory grow."""

    def exponent(kind):
        few, many = spreads[f"{kind}, 600 images"], spreads[f"{kind}, 9,600 images"]
        return math.log(many.median / few.median) / math.log(16)

    return (
        f"From 600 to 9,600 images, 16 times as many, time grows by the exponent "
        f"{exponent('seconds'):.2f} and peak memory by {exponent('peak GB'):.2f}. With "
        f"an exponent of 1 both would be 16 times as much."
    )


def compare_pace(spreads, folder):
    """Return a sentence on the time to the best Dice score without an encoder.

    It is empty if the folder has no Dice scores with an encoder and without one.
    """
    stored = read("pace", folder)
    if stored is None or len(stored["cells"]) < len(PACED):
        return ""
    n_images = stored["images"]
    by_encoder, plain = (cell["val_dice"] for cell in stored["cells"])
    goal = max(plain)
    reached = [
        1 + next(epoch for epoch, dice in enumerate(scores) if dice >= goal)
        for scores in (by_encoder, plain)
    ]
    seconds = [
        epochs * n_images / spreads[f"training: {side}"].median
        for epochs, side in zip(reached, PACED, strict=True)
    ]
    return (
        f"The best Dice score without an encoder is reached after {reached[1]} epochs "
        f"of {n_images:,} images, which take {seconds[1]:.0f} s at this speed. With "
        f"the encoder it takes {reached[0]}, {seconds[0]:.0f} s."
    )


SEARCH = (
    Row("skinest, empty `memory`", "skinest", "empty memory"),
    Row("skinest, full `memory`", "skinest", "full memory"),
    Row("(a) OpenCV's classes in a Pipeline", "OpenCV", "plain"),
    Row("(b) the same in `Pipeline(memory=...)`", "OpenCV", "cached"),
)
SIZES = ("600 images", "2,400 images", "9,600 images")
SEARCHED = ("2,000 images", "4,000 images", "7,938 images")
HEADS = ("skinest, no augmentation", "skinest, 1 copy", "skinest, 3 copies")
BLOCKS = ("skinest, nothing kept", "skinest")
BLOCK_EPOCHS = 35
STAGES = {f"{BLOCK_EPOCHS} epochs": "seconds", "an epoch": "one epoch"}
PATHS = ("block5 and a head, 64 pixels", "a head, 64 pixels")
UNETS = ("skinest, float32", "skinest, bfloat16")
PACED = ("encoder mobilenetv2, 8 filters", "encoder none, 16 filters")
FILES = ("JPEG images", "PNG images", "PNG masks")
VIEWED_NETWORKS = ("mobilenetv2", "vgg16", "U-Net")
VIEWS = ("1 view", "2 views", "4 views", "8 views")
VIEWED = tuple(f"{name}, {number}" for name in VIEWED_NETWORKS for number in VIEWS)
TIMED = ("training", "whole fit", "prediction")
TABLES = {
    "bovw_search": Table(
        "bovw_search",
        "seconds",
        SEARCH,
        tuple((ours.label, other.label) for ours in SEARCH[:2] for other in SEARCH[2:]),
    ),
    "bovw_extract": Table(
        "bovw_extract",
        "seconds",
        tuple(Row(side, side, "seconds") for side in ("skinest", "OpenCV")),
        (("skinest", "OpenCV"),),
    ),
    "bovw_growth": Table(
        "bovw_growth",
        "`fit`",
        tuple(
            Row(f"{label}, {size}", size, measure)
            for label, measure in (
                ("seconds", "seconds"),
                ("peak GB", "peak"),
                ("GB before", "before"),
            )
            for size in SIZES
        ),
        closing=compare_growth,
    ),
    "near_duplicates_growth": Table(
        "near_duplicates_growth",
        "search within HAM10000",
        tuple(
            Row(f"{label}, {size}", size, measure)
            for label, measure in (
                ("seconds", "seconds"),
                ("processor seconds", "processor seconds"),
                ("peak GB", "peak"),
                ("GB before", "before"),
            )
            for size in SEARCHED
        ),
    ),
    "vgg_head": Table(
        "vgg_head",
        "seconds of 50 epochs",
        tuple(Row(side, side, "seconds") for side in (PLAIN, *HEADS)),
        tuple((side, PLAIN) for side in HEADS),
    ),
    "vgg_block": Table(
        "vgg_block",
        "seconds",
        tuple(
            Row(f"{what}: {side}", side, measure)
            for what, measure in STAGES.items()
            for side in (PLAIN, *BLOCKS)
        ),
        tuple(
            (f"{what}: {BLOCKS[-1]}", f"{what}: {other}")
            for what in STAGES
            for other in (PLAIN, BLOCKS[0])
        ),
    ),
    "vgg_forward": Table(
        "vgg_forward",
        "ms an image",
        tuple(Row(side, side, "ms") for side in (PLAIN, *FORWARD)),
        tuple((side, PLAIN) for side in FORWARD),
    ),
    "vgg_paths": Table(
        "vgg_paths",
        "seconds of `fit`",
        tuple(
            Row(f"{case}, {form}", f"{case}, {form}", "seconds")
            for case in PATHS
            for form in ("paths", "arrays")
        ),
        tuple((f"{case}, paths", f"{case}, arrays") for case in PATHS),
    ),
    **{
        name: Table(
            name,
            "images a second",
            tuple(
                Row(f"{what}: {side}", side, what)
                for what in TIMED
                for side in (PLAIN, *UNETS)
            ),
            tuple(
                (f"{what}: {side}", f"{what}: {PLAIN}")
                for what in TIMED
                for side in UNETS
            ),
            higher_is_better=True,
        )
        for name in ("unet_speed", "unet_encoder")
    },
    "unet_memory": Table(
        "unet_speed",
        "peak GB",
        tuple(Row(side, side, "peak GB") for side in (PLAIN, *UNETS)),
    ),
    "reading": Table(
        "reading",
        "ms a file",
        tuple(
            Row(f"{kind}: {side}", f"{side}, {kind}", "ms")
            for kind in FILES
            for side in ("OpenCV", "skinest")
        ),
        tuple((f"{kind}: skinest", f"{kind}: OpenCV") for kind in FILES),
    ),
    "unet_paths": Table(
        "unet_paths",
        "images a second",
        tuple(
            Row(f"{what}: from {form}", f"skinest, {form}", what)
            for what in TIMED[:2]
            for form in ("paths", "arrays")
        ),
        tuple((f"{what}: from paths", f"{what}: from arrays") for what in TIMED[:2]),
        higher_is_better=True,
    ),
    "unet_pace_speed": Table(
        "unet_pace_speed",
        "images a second",
        tuple(Row(f"{what}: {side}", side, what) for what in TIMED for side in PACED),
        tuple(tuple(f"{what}: {side}" for side in PACED) for what in TIMED),
        higher_is_better=True,
        closing=compare_pace,
    ),
    "views_speed": Table(
        "views_speed",
        "ms an image",
        tuple(Row(side, side, "ms") for side in VIEWED),
        tuple(
            (f"{name}, {number}", f"{name}, 1 view")
            for name in VIEWED_NETWORKS
            for number in VIEWS[1:]
        ),
    ),
}
# Other tables, each made by a function of the folder of results.
SCORE_TABLES = {
    **GAIN_TABLES,
    **UNET_TABLES,
    **BACKBONE_TABLES,
    **{name: show for name, (_, show) in NEAR_DUPLICATE_TABLES.items()},
}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--results", type=Path, help="folder; default: the committed")
    folder = parser.parse_args().results
    if folder is not None:
        path = folder / "tables.md"
        path.write_text(list_tables(folder), encoding="utf-8")
        print(f"The tables are in {path}.")
        return
    rewrite(README, fill_in_tables)
    rewrite(STUDY, fill_in_study)


def rewrite(path, fill_in):
    text = path.read_text(encoding="utf-8")
    path.write_text(fill_in(text), encoding="utf-8")


def fill_in_tables(page, folder=RESULTS):
    """Return the page with all tables for which there are results."""

    def write(found):
        table = render(found["name"], folder)
        return found[0] if table is None else f"{found[1]}\n\n{table}\n\n{found[4]}"

    return re.sub(
        r"(<!-- table (?P<name>\w+) -->)(\n.*?)(<!-- end -->)",
        write,
        page,
        flags=re.DOTALL,
    )


def list_tables(folder):
    """Return all tables for which a folder has results, each below its name."""
    tables = {name: render(name, folder) for name in (*TABLES, *SCORE_TABLES)}
    shown = [f"## {name}\n\n{table}\n" for name, table in tables.items() if table]
    return "\n".join(shown)


def render(name, folder=RESULTS):
    """Return the table of a name, or None without results."""
    if name in TABLES:
        return make_table(TABLES[name], folder)
    return SCORE_TABLES[name](folder)


def make_table(table, folder=RESULTS):
    """Return a table with its comparisons and its machine, or None without results."""
    path = Path(folder, f"{table.record}.json")
    if not path.exists():
        return None
    record = read_record(path)
    runs = {}
    for row in table.rows:
        found = record["runs"].get(row.side)
        if found:  # not for a side that the processor cannot run
            runs[row.label] = found, row.measure
    if not runs:
        return None
    spreads = {label: spread(*found) for label, found in runs.items()}
    lines = [f"| {table.unit} | median | least to greatest | runs | |"]
    lines.append("|---|---|---|---|---|")
    remarks = {label: describe_quiet(found) for label, (found, _) in runs.items()}
    for label, (found, _) in runs.items():
        cells = say(spreads[label]), len(found), remarks[label]
        lines.append(f"| {label} | {' | '.join(map(str, cells))} |")
    pairs = [pair for pair in table.pairs if set(pair) <= set(spreads)]
    if pairs:
        lines += [
            "",
            "| times as fast | our median / their median | our median / their best | |",
            "|---|---|---|---|",
        ]
    for ours, other in pairs:
        times = times_as_good(spreads[ours], spreads[other], table.higher_is_better)
        remark = "not quiet" if remarks[ours] or remarks[other] else ""
        cells = f"{ours} / {other}", *map(say_number, times), remark
        lines.append(f"| {' | '.join(cells)} |")
    if table.closing:
        sentence = table.closing(spreads, folder)
        lines += ["", fill(sentence, 88)] if sentence else []
    lines += ["", fill(describe_record(record), 88)]
    return "\n".join(lines)


def say(numbers: Spread):
    least, greatest = say_number(numbers.least), say_number(numbers.greatest)
    return f"{say_number(numbers.median)} | {least} to {greatest}"


if __name__ == "__main__":
    main()

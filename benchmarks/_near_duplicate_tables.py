"""Tables of near-duplicates in README.md, from the files in `results`."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from pathlib import Path
from textwrap import fill

from _quiet import describe_briefly
from _runs import read_record

DEFAULT = 0.75  # threshold of find_near_duplicates
SHOWN = (0.7, DEFAULT, 0.8)


def read(part, folder):
    """Return the stored results of a part, or None."""
    path = Path(folder, f"near_duplicates_{part}.json")
    return read_record(path) if path.exists() else None


def describe(stored):
    """Say how long a part took, and where."""
    return (
        f"{stored['seconds']:,.0f} s, of which {stored['processor seconds']:,.0f} s of "
        f"processor time; {describe_briefly(stored['machine'])}; {stored['day']}."
    )


def add_up(half, names, column):
    """Return the number of changed images, of found ones and of wrong pairs."""
    rows = [half[name] for name in names]
    return [
        sum(row["images"] for row in rows),
        *(sum(row[kind][column] for row in rows) for kind in ("found", "wrong")),
    ]


def show_thresholds(folder):
    stored = read("changes", folder)
    if stored is None:
        return None
    lines = ["| threshold | recall | wrong pairs | precision |", "|---|---|---|---|"]
    for column, threshold in enumerate(stored["thresholds"]):
        counts = add_up(stored["choice"], stored["promised"], column)
        n_wrong, (recall, precision) = counts[-1], rates(*counts)
        lines.append(
            f"| {threshold:.2f} | {recall:.3f} | {n_wrong} | {precision:.3f} |"
        )
    return "\n".join(lines)


def show_changes(folder):
    stored = read("changes", folder)
    if stored is None:
        return None
    titles = [f"recall at {threshold}" for threshold in SHOWN]
    titles += [f"wrong pairs at {DEFAULT}", f"precision at {DEFAULT}"]
    lines = [f"| change | {' | '.join(titles)} |", "|---|" + "---|" * len(titles)]
    columns = [stored["thresholds"].index(threshold) for threshold in SHOWN]
    n_images = stored["report"]["none"]["images"]
    searched = (
        f"{n_images} changed images of each kind, searched for in "
        f"{stored['originals']['report']:,} images; {describe(stored)}"
    )
    for name in stored["report"]:
        counts = [add_up(stored["report"], [name], column) for column in columns]
        n_wrong, precision = counts[1][-1], rates(*counts[1])[1]
        cells = [f"{rates(*each)[0]:.3f}" for each in counts]
        cells += [f"{n_wrong}", f"{precision:.3f}"]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", fill(searched, 88)])


def show_features(folder):
    stored = read("features", folder)
    if stored is None:
        return None
    titles = "recall | wrong pairs | recall with features | wrong pairs with features"
    lines = [f"| change | {titles} |", "|---|---|---|---|---|"]
    for name, (n_images, *counts) in stored["changes"].items():
        cells = [
            f"{count / n_images:.2f}" if place % 2 == 0 else str(count)
            for place, count in enumerate(counts)
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", fill(describe(stored), 88)])


def rates(n_images, n_found, n_wrong):
    """Return recall and precision. Without any pair, the precision is 1."""
    n_pairs = n_found + n_wrong
    return n_found / n_images, n_found / n_pairs if n_pairs else 1.0


def show_ham10000(folder):
    stored = read("ham10000", folder)
    if stored is None:
        return None
    lines = ["| score | pairs | of one lesion | near-identical at 16 x 12 pixels |"]
    lines.append("|---|---|---|---|")
    for low, high, *counts in reversed(stored["by score"]):
        cells = " | ".join(map(str, counts))
        lines.append(f"| {low:.2f} to {high:.2f} | {cells} |")
    return "\n".join([*lines, "", fill(describe(stored), 88)])


def show_sources(folder):
    stored = read("sources", folder)
    if stored is None:
        return None
    title = f"pairs of {DEFAULT} or more"
    lines = [f"| set | images | in HAM10000 | {title} | highest score |"]
    lines.append("|---|---|---|---|---|")
    for name, found in stored["sets"].items():
        cells = found["images"], found["others"], found["pairs"], found["highest"]
        lines.append(f"| {name} | {' | '.join(map(str, cells))} |")
    return "\n".join([*lines, "", fill(describe(stored), 88)])


NEAR_DUPLICATE_TABLES = {  # with the part of near_duplicates.py that they show
    "near_duplicates_thresholds": ("changes", show_thresholds),
    "near_duplicates_changes": ("changes", show_changes),
    "near_duplicates_features": ("features", show_features),
    "near_duplicates_ham10000": ("ham10000", show_ham10000),
    "near_duplicates_sources": ("sources", show_sources),
}

"""Tables of recipes in README.md: scores, and gains over other recipes."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from pathlib import Path
from statistics import mean

from _runs import read_record, say_interval, say_score

SCORES = ["roc_auc", "average_precision"]  # of cross_source.py
METRICS = ("AUC", "average precision")
CELLS = {
    "ham_to_isic": "HAM10000 to ISIC 2016",
    "isic_to_ham": "ISIC 2016 to HAM10000",
    "isic_to_unseen": "ISIC 2016 to other lesions of HAM10000",
    "isic_folds": "ISIC 2016, 5 folds",
    "test": "ISIC 2016, test images",
}
AWAY = "ham_to_isic", "isic_to_ham"


def show(rows):
    """Return tables in Markdown: scores of each cell, gains, and means."""
    tables = [show_cell(rows, cell, title) for cell, title in CELLS.items()]
    tables.append(show_means(rows))
    return "\n\n".join(filter(None, tables))


def show_cell(rows, cell, title):
    """Return a table of scores, and gains over the reference, or None without rows."""
    lines = [
        f"| {title} | AUC | gain | average precision | gain | over |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        if f"{cell}, AUC" not in row:
            continue
        columns = []
        for metric in METRICS:
            gain = row.get(f"{cell}, {metric}, gain")
            gain = say_interval(gain, sign="+") if gain else ""
            columns += [say_interval(row[f"{cell}, {metric}"]), gain]
        columns.append(row["reference"] if gain else "")
        lines.append(f"| {row['recipe']} | {' | '.join(columns)} |")
    return "\n".join(lines) if len(lines) > 2 else None


def show_means(rows):
    """Return a table of the means of both directions, in Markdown."""
    lines = ["| mean of both directions | AUC | average precision |", "|---|---|---|"]
    for row in rows:
        if all(f"{cell}, AUC" in row for cell in AWAY):
            means = [
                sum(row[f"{cell}, {metric}"][0] for cell in AWAY) / 2
                for metric in METRICS
            ]
            cells = " | ".join(map(say_score, means))
            lines.append(f"| {row['recipe']} | {cells} |")
    return "\n".join(lines)


def show_clinics(folder):
    """Return the tables of other_clinics.py, or None without results."""
    path = Path(folder, "other_clinics.json")
    return show(read_record(path)["rows"]) if path.exists() else None


# Scores across sources


def show_cross_source(folder):
    """Return a table of the recipes of cross_source.py, or None without results.

    They are in the order of their mean AUC on other sources.
    """
    records = [read_record(path) for path in Path(folder).glob("cross_source/*.json")]
    if not records:
        return None
    records.sort(key=lambda record: average_away(record, "roc_auc"))
    pairs = dict.fromkeys(
        (row["train"], row["test"]) for record in records for row in record["rows"]
    )
    heads = [f"{train} to {test}" for train, test in pairs]
    lines = [
        f"| AUC / average precision | {' | '.join(heads)} | mean of other sources |",
        f"|{'---|' * (len(heads) + 2)}",
    ]
    for record in records:
        row_of = {(row["train"], row["test"]): row for row in record["rows"]}
        cells = [describe(row_of[pair]) if pair in row_of else "" for pair in pairs]
        means = (average_away(record, score) for score in SCORES)
        cells.append(" / ".join(f"{mean:.3f}" for mean in means))
        lines.append(f"| {record['recipe']} | {' | '.join(cells)} |")
    return "\n".join(lines)


def average_away(record, score):
    """Return the mean of a score over the rows of which the sources differ."""
    return mean(row[score][0] for row in record["rows"] if row["train"] != row["test"])


def describe(row):
    """Return the scores of a row with their intervals."""
    texts = ("{:.3f} [{:.3f}, {:.3f}]".format(*row[score]) for score in SCORES)
    return " / ".join(texts)


GAIN_TABLES = {"other_clinics": show_clinics, "cross_source": show_cross_source}

"""Tables of recipes, with their gains over other recipes, in README.md."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import re
from pathlib import Path

README = Path(__file__).parent / "README.md"
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
            gain = _format(row.get(f"{cell}, {metric}, gain"), "+")
            columns += [_format(row.get(f"{cell}, {metric}"), ""), gain]
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
            cells = (f"{mean:.3f}".replace("0.", ".") for mean in means)
            lines.append(f"| {row['recipe']} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _format(values, sign):
    """Return a score and its interval, or an empty text for None."""
    if values is None:
        return ""
    score, low, high = (f"{value:{sign}.3f}".replace("0.", ".") for value in values)
    return f"{score} [{low}, {high}]"


def read_readme(place="other clinics"):
    """Return the tables at a place of README.md."""
    return _find(place).search(README.read_text(encoding="utf-8"))[0].strip()


def write_readme(tables, place="other clinics"):
    """Replace the tables at a place of README.md."""
    text = README.read_text(encoding="utf-8")
    text = _find(place).sub(lambda _: f"\n{tables}\n", text)
    README.write_text(text, encoding="utf-8")


def _find(place):
    return re.compile(rf"(?<=<!-- {place} -->\n).*?(?=\n<!-- end -->)", re.DOTALL)

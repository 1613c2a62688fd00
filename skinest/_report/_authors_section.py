"""Section of a report: what only the authors of a paper know."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from ._checklists import CITATIONS, ITEMS
from ._report_blocks import Link, Table, Text
from ._study import MASKS

_NAMES = {
    "data": "Data",
    "model": "Model",
    "scores": "Scores",
    "curves": "Plots",
    "thresholds": "Thresholds",
    "subgroups": "Subgroups",
}


def check_answers(answers):
    """Raise an error if a text is not for an item of a checklist."""
    known = {item.key for item in ITEMS}
    unknown = [key for key in answers if key not in known]
    if unknown:
        raise ValueError(
            f"answers has {unknown}, which are not items of the checklists. Keys are "
            "such as 'TRIPOD+AI 5a' and 'CLEAR Derm 3'."
        )
    others = [key for key, text in answers.items() if not isinstance(text, str)]
    if others:
        raise ValueError(f"answers[{others[0]!r}] is not a string.")


def list_author_items(study):
    """Return the items of two checklists, with blanks for the authors."""
    answers, names = study.options.answers, dict(_NAMES)
    if study.kind == MASKS:
        del names["thresholds"]
    if study.metadata is None:
        del names["subgroups"]
    yield Text(
        "Items of two checklists for papers, in short words: read the checklists "
        "themselves before you submit. A blank is what only the authors know."
    )
    rows = []
    for item in ITEMS:
        links = [
            Link(names[section], section)
            for section in item.sections
            if section in names
        ]
        answer = answers.get(item.key)
        if answer is None and not item.needs_author:
            answer = "in this report"
        rows.append([item.key, item.topic, links, answer])
    n_blank = sum(row[-1] is None for row in rows)
    header = ["Item", "Topic", "Here", "Authors"]
    caption = f"Items of TRIPOD+AI and CLEAR Derm, {n_blank} of them blank"
    yield Table(header, rows, caption, n_texts=4)
    yield from (Text(citation, "note") for citation in CITATIONS)

"""Import settings of the study and functions from the folder of the examples."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "examples"))

import _study as study
from _script import labels_of, report_of, write_scores
from _task1 import add_intervals, evaluate
from _task2 import weigh_classes
from _task3 import with_overlaps

__all__ = [
    "add_intervals",
    "evaluate",
    "labels_of",
    "report_of",
    "study",
    "weigh_classes",
    "with_overlaps",
    "write_scores",
]

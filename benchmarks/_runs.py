"""Run sides in turn, and store the runs in JSON files.

Each part of a benchmark has one file in `results`, with every run of every side. So a
part that was stopped can continue, and `make_tables.py` can write the tables of
`README.md`.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import json
import math
import subprocess
import sys
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from statistics import median

from _quiet import (
    MAX_SHARE,
    compare_counters,
    describe_briefly,
    is_quiet,
    read_counters,
    read_load,
)

RESULTS = Path(__file__).parent / "results"
NONE = "–"  # noqa: RUF001


class Record:
    """The runs of one part, in a JSON file to which each run is added.

    Parameters
    ----------
    name : str
        Name of the file.

    settings : dict
        Settings of the runs. Runs with other settings are never added.

    machine : dict
        Result of `describe_machine`. Runs on other machines are never added.

    folder : Path
        Folder of the file.

    again : bool
        Whether to discard the runs in the file.
    """

    def __init__(self, name, settings, machine, folder=RESULTS, again=False):
        self.path = Path(folder, f"{name}.json")
        content = {"settings": settings, "machine": machine, "days": []}
        content |= {"loads": [], "runs": {}}
        self.content = continue_record(self.path, content, again)

    @property
    def runs(self):
        return self.content["runs"]

    def add(self, side, run):
        self.runs.setdefault(side, []).append(run)
        days, today = self.content["days"], date.today().isoformat()
        if today not in days:
            days.append(today)
        self.write()

    def note_load(self):
        """Store the load average, at the start and at the end of a part."""
        self.content["loads"].append(read_load())
        if self.runs:
            self.write()

    def write(self):
        write_record(self.path, self.content)


def continue_record(path, content, again=False):
    """Return what is stored in a file, or the new content if there is no file.

    What has other settings or another machine is never mixed: that ends the program.
    With `again`, the stored content is discarded.
    """
    content = json.loads(json.dumps(content))  # the same types as after reading
    if again or not path.exists():
        return content
    stored = read_record(path)
    for key in ("settings", "machine"):
        if stored[key] != content[key]:
            sys.exit(f"{path} has other {key}: choose --again or --results")
    return stored


def write_record(path, content):
    """Write JSON into a file, at once or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    new.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    new.replace(path)


def read_record(path):
    return json.loads(Path(path).read_text(encoding="utf-8"))


def alternate(sides, n_runs, measure, record):
    """Run all sides in turn, A B A B, and store each run.

    Parameters
    ----------
    sides : iterable of str
        Names of the sides.

    n_runs : int
        Number of runs of each side.

    measure : callable
        Makes one run of a side, and returns numbers by name.

    record : Record
        Record with earlier runs, to which new runs are added.
    """
    for number in range(n_runs):
        for side in sides:
            if len(record.runs.get(side, ())) > number:
                continue
            before = read_counters()
            values = measure(side)
            run = values | compare_counters(before, read_counters())
            record.add(side, run)
            print(f"{number + 1}. {side}: {describe_run(run)}", flush=True)


def describe_run(run):
    values = [
        f"{name} {value:.4g}"
        for name, value in run.items()
        if isinstance(value, int | float) and name not in ("others", "stolen")
    ]
    if not is_quiet(run):
        values.append(f"not quiet: {describe_noise([run])}")
    return ", ".join(values)


def describe_noise(runs):
    """Return a text with the most processor time that was used by others or stolen."""
    words = {"others": "others used {:.0f} %", "stolen": "{:.0f} % stolen"}
    most = {name: max(run[name] for run in runs) for name in words}
    return ", ".join(
        text.format(100 * most[name])
        for name, text in words.items()
        if most[name] > MAX_SHARE
    )


def describe_quiet(runs):
    """Return a remark if the machine was not quiet in some runs."""
    noisy = [run for run in runs if not is_quiet(run)]
    if not noisy:
        return ""
    return f"not quiet in {len(noisy)} of {len(runs)}: {describe_noise(noisy)}"


def run_in_new_process(script, *arguments):
    """Run a script, and return the JSON in the last line that it prints.

    Its messages, most of them from TensorFlow, are printed only if it fails.
    """
    command = [sys.executable, str(script), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{done.stderr}\nThis run failed; those before it are stored.")
    return json.loads(done.stdout.splitlines()[-1])


# Numbers of several runs


@dataclass(frozen=True)
class Spread:
    """Median, minimum and maximum of a number over the runs of a side."""

    median: float
    least: float
    greatest: float


def spread(runs, name):
    values = [run[name] for run in runs]
    return Spread(median(values), min(values), max(values))


def times_as_good(ours, other, higher_is_better=False):
    """Return by which factor our runs are better than those of another side.

    Parameters
    ----------
    ours, other : Spread
        Numbers of both sides.

    higher_is_better : bool
        Whether the numbers are speeds, not times.

    Returns
    -------
    by_median : float
        Factor between both medians.

    by_best : float
        Factor between our median and the other's best run: a cautious number.
    """
    if higher_is_better:
        return ours.median / other.median, ours.median / other.greatest
    return other.median / ours.median, other.least / ours.median


# Text


def say_number(value):
    """Format a number with three digits: 0.964, 2.84, 16.1, 112, 2,938."""
    if value >= 100:
        return f"{value:,.0f}"
    digits = 2 - math.floor(math.log10(abs(value))) if value else 2
    return f"{value:.{min(digits, 3)}f}"


def say_score(value, digits=3, sign=""):
    """Format a score without the zero before the point, as in ".812"."""
    if value is None or math.isnan(value):
        return NONE
    text = f"{value:{sign}.{digits}f}"
    return text.replace("0.", ".", 1) if abs(value) < 1 else text


def say_interval(values, limit_digits=3, sign=""):
    """Format a score, and the limits of its interval if they are known."""
    score, *limits = values
    text = ", ".join(say_score(limit, limit_digits, sign) for limit in limits)
    return say_score(score, sign=sign) + (f" [{text}]" if limits else "")


def make_file_name(name):
    """Return the name of a recipe or of a member as a file has it."""
    return name.lower().replace(",", "").replace(" ", "_")


def describe_record(record):
    """Describe the settings, the machine and the days of a record."""
    settings = ", ".join(
        f"{name} {value}" for name, value in record["settings"].items()
    )
    versions = record["machine"]["versions"]
    versions = ", ".join(f"{name} {value}" for name, value in versions.items())
    loads = record["loads"]
    return (
        f"{settings[0].upper()}{settings[1:]}; {describe_briefly(record['machine'])}; "
        f"{versions}; {' and '.join(record['days'])}, load average {min(loads):.2f} to "
        f"{max(loads):.2f} at the starts and ends."
    )

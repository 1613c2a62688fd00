"""Runs of sides that take turns, kept in JSON files.

Each part of a benchmark is one file in `results`. It holds every run of every side, so
that a part that was stopped goes on where it ended, and so that `make_tables.py` can
write the tables of `README.md`.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import json
import subprocess
import sys
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from statistics import median

from _quiet import MAX_SHARE, compare_counters, is_quiet, read_counters, read_load

RESULTS = Path(__file__).parent / "results"


class Record:
    """The runs of one part, in a JSON file that grows by each run.

    Parameters
    ----------
    name : str
        Names the file.

    settings : dict
        What was measured; runs of other settings are never mixed.

    machine : dict
        Of `describe_machine`; nor are runs of other machines.

    folder : Path
        Where the file is.

    again : bool
        Whether to leave the runs that the file has.
    """

    def __init__(self, name, settings, machine, folder=RESULTS, again=False):
        self.path = Path(folder, f"{name}.json")
        settings = json.loads(json.dumps(settings))  # as it is read again
        self.content = {"settings": settings, "machine": machine, "days": []}
        self.content |= {"loads": [], "runs": {}}
        if self.path.exists() and not again:
            stored = read_record(self.path)
            for key in ("settings", "machine"):
                if stored[key] != self.content[key]:
                    sys.exit(
                        f"{self.path} has other {key}: choose --again or --results"
                    )
            self.content = stored

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
        """Write the load average down, at the start and at the end of a part."""
        self.content["loads"].append(read_load())
        if self.runs:
            self.write()

    def write(self):
        self.path.parent.mkdir(parents=True, exist_ok=True)
        new = self.path.with_suffix(".new")
        new.write_text(json.dumps(self.content, indent=1) + "\n")
        new.replace(self.path)  # at once, so that a stop leaves a whole file


def read_record(path):
    return json.loads(Path(path).read_text())


def alternate(sides, n_runs, measure, record):
    """Run all sides in turn, A B A B, and write each run down.

    Parameters
    ----------
    sides : iterable of str
        Names of the sides.

    n_runs : int
        Runs of each.

    measure : callable
        Makes one run of a side; returns numbers by name.

    record : Record
        Holds the runs that there are, and gets those that are missing.
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
    """Say how much of the processors was used by others, or stolen, at most."""
    words = {"others": "others used {:.0f} %", "stolen": "{:.0f} % stolen"}
    most = {name: max(run[name] for run in runs) for name in words}
    return ", ".join(
        text.format(100 * most[name])
        for name, text in words.items()
        if most[name] > MAX_SHARE
    )


def run_in_new_process(script, *arguments):
    """Run a script, and return what the last line that it prints says in JSON.

    What it says of errors, TensorFlow much of it, is shown only if it fails.
    """
    command = [sys.executable, str(script), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{done.stderr}\nThis run failed; those before it are stored.")
    return json.loads(done.stdout.splitlines()[-1])


# Numbers of several runs


@dataclass(frozen=True)
class Spread:
    """The median, least and greatest of what the runs of a side gave."""

    median: float
    least: float
    greatest: float


def spread(runs, name):
    values = [run[name] for run in runs]
    return Spread(median(values), min(values), max(values))


def times_as_good(ours, other, higher_is_better=False):
    """Return how many times as good our runs are as another side's.

    Parameters
    ----------
    ours, other : Spread
        Numbers of both sides.

    higher_is_better : bool
        Whether they are speeds rather than times.

    Returns
    -------
    by_median : float
        From our median and the other's.

    by_best : float
        From our median and the other's best run: the careful number.
    """
    if higher_is_better:
        return ours.median / other.median, ours.median / other.greatest
    return other.median / ours.median, other.least / ours.median

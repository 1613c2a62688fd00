"""Cases in child processes, whose time, memory and output are watched.

A child writes one line of JSON before each case and one after it. A child that does not
end a case in time is killed, and another one goes on with the next case.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import json
import os
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import psutil

ROOT = Path(__file__).parents[2]
MAX_SECONDS = 10  # of processor time for one case
START_SECONDS = 60  # of processor time, to import TensorFlow
MAX_WAIT = 600  # seconds for one case or for the start, on a busy machine too
MAX_BYTES = 2 * 2**30  # of memory of a child
STOPPED = 75  # exit status of a child that used too much memory, and reported it


class Outcome(NamedTuple):
    """What happened in all cases."""

    counts: Counter
    faults: list
    longest: float
    peak: int

    def __str__(self):
        parts = ", ".join(f"{n} {what}" for what, n in self.counts.most_common())
        return (
            f"{sum(self.counts.values())} cases: {parts}; {len(self.faults)} faults; "
            f"longest {self.longest:.2f} s, peak {self.peak / 2**20:.0f} MB"
        )


def run_cases(task, n_cases, folder, *, options=()):
    """Run a module of this folder on numbered cases, in two processes.

    Parameters
    ----------
    task : str
        Name of a module with a function ``run(numbers, folder, *options)``, which
        calls `report` of :mod:`tests.fuzz.reporting` for each case.

    n_cases : int
        Number of cases.

    folder : Path
        Folder for files.

    options : tuple of str
        More arguments of the function.

    Returns
    -------
    outcome : Outcome
    """
    half = n_cases // 2
    ranges = [(0, half), (half, n_cases)]
    with ThreadPoolExecutor(len(ranges)) as pool:
        lines = pool.map(lambda r: list(run_range(task, *r, folder, options)), ranges)
        return summarise([line for part in lines for line in part])


def summarise(lines):
    faults = [line for line in lines if line["result"] == "fault"]
    return Outcome(
        Counter(line["result"] for line in lines),
        faults,
        max((line.get("seconds", 0) for line in lines), default=0),
        max((line.get("peak", 0) for line in lines), default=0),
    )


def run_range(task, start, stop, folder, options):
    """Yield the result of each case, with a new child after one that failed."""
    while start < stop:
        child = Child(task, start, stop, Path(folder), options)
        last = start - 1
        for line in child.follow():
            last = line["case"]
            yield line
        start = last + 1
        if child.fault is not None:
            yield {"case": start, "result": "fault", "reason": child.fault}
            start += 1
        elif child.process.returncode != STOPPED:
            return


class Child:
    """A process that runs the cases from `start` to `stop`."""

    def __init__(self, task, start, stop, folder, options):
        self.fault = None
        self.results = folder / f"results-{start}.jsonl"
        self.results.touch()
        self.printed = folder / f"printed-{start}.txt"
        command = [sys.executable, "-m", "tests.fuzz.reporting", task]
        with open(self.printed, "wb") as printed:
            self.process = subprocess.Popen(
                [*command, str(start), str(stop), str(folder), *options],
                cwd=ROOT,
                env={**os.environ, "TF_NUM_INTRAOP_THREADS": "1"},
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=printed,
            )

    def measure_time(self):
        """Return the processor time of the child, in seconds."""
        try:
            times = psutil.Process(self.process.pid).cpu_times()
        except psutil.Error:  # it has ended
            return 0.0
        return times.user + times.system

    def follow(self):
        """Yield results until the child ends, and set `fault` if it fails."""
        about = rest = ""
        start, used, allowed = time.monotonic(), 0, START_SECONDS
        with open(self.results) as file:
            while True:
                has_ended = self.process.poll() is not None
                *complete, rest = (rest + file.read()).split("\n")
                for line in map(json.loads, complete):
                    start, used = time.monotonic(), self.measure_time()
                    allowed = MAX_SECONDS
                    if line["result"] == "begun":
                        about = line["about"]
                    else:
                        yield line
                if has_ended:
                    break
                is_late = time.monotonic() - start > MAX_WAIT
                if is_late or self.measure_time() - used > allowed:
                    self.process.kill()
                    self.process.wait()
                    self.fault = f"no end after {MAX_SECONDS} s: {about}"
                    return
                time.sleep(0.1)
        if self.process.returncode not in (0, STOPPED):
            printed = self.printed.read_text(errors="replace")[-3000:]
            self.fault = f"exit status {self.process.returncode}: {about} {printed}"

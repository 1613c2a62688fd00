"""A child process of a fuzz: it runs cases, and reports each.

Use: python -m tests.fuzz.reporting TASK START STOP FOLDER [OPTION ...]
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import importlib
import json
import os
import sys
import time
import traceback
import warnings
from pathlib import Path

from tests.fuzz.watching import MAX_BYTES, STOPPED

GUARD = 12 * 2**30  # bytes of address space, so that no case harms the machine


class Fault(Exception):
    """What no case may do."""


class Reporter:
    """Write a line before and after each case."""

    def __init__(self, start, folder):
        self.file = open(Path(folder) / f"results-{start}.jsonl", "a")
        self.n_printed = 0

    def write(self, case, result, **more):
        self.file.write(json.dumps({"case": case, "result": result, **more}) + "\n")
        self.file.flush()

    def run(self, case, function, *arguments, about=""):
        """Run a case. It returns one word, such as "image", or raises Fault."""
        self.write(case, "begun", about=about)
        start = time.process_time()
        reason = None
        try:
            with warnings.catch_warnings(record=True) as warned:
                warnings.simplefilter("always")
                result = function(*arguments, warned)
        except Fault as fault:
            result, reason = "fault", str(fault)
        except BaseException as error:  # each is a fault
            result, reason = "fault", describe(error)
        seconds = time.process_time() - start
        peak = measure_peak()
        if peak > MAX_BYTES:
            result, reason = "fault", f"{peak / 2**20:.0f} MB of memory"
        if (n_printed := self.count_printed()) > self.n_printed:
            self.n_printed = n_printed
            result, reason = "fault", "something was printed"
        self.write(case, result, reason=reason, seconds=seconds, peak=peak)
        if peak > MAX_BYTES:
            os._exit(STOPPED)  # the next child begins with little memory

    def count_printed(self):
        sys.stdout.flush()
        sys.stderr.flush()
        return os.fstat(1).st_size


def describe(error):
    """Return an error as text, with the line of skinest that raised it."""
    lines = traceback.extract_tb(error.__traceback__)
    places = [f"{Path(line.filename).name}:{line.lineno}" for line in lines[-3:]]
    return f"{type(error).__name__}: {str(error)[:600]} at {' '.join(places)}"


def measure_peak():
    """Return the largest memory so far, in bytes. Windows has no such module."""
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def check_message(error, *names):
    """Raise Fault unless a message is short and has one of the names.

    Those of scikit-learn's check of parameters have the whole value.
    """
    text = str(error)
    if not any(name in text for name in names):
        raise Fault(f"names nothing: {describe(error)}")
    if len(text) > 1500 and type(error).__name__ != "InvalidParameterError":
        raise Fault(f"a message of {len(text)} characters: {text[:200]}")


def main(task, start, stop, folder, *options):
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (GUARD, GUARD))
    reporter = Reporter(start, folder)
    module = importlib.import_module(f"tests.fuzz.{task}")
    module.run(reporter, range(int(start), int(stop)), Path(folder), *options)


if __name__ == "__main__":
    main(*sys.argv[1:])
    os._exit(0)  # TensorFlow's end takes seconds on a busy machine

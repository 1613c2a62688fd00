"""Common functions of the benchmark scripts: options, and runs of a part."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import argparse
from itertools import chain
from pathlib import Path
from tempfile import gettempdir

from _quiet import describe_machine, say_machine
from _runs import RESULTS, Record, alternate, run_in_new_process
from make_tables import SCORE_TABLES, TABLES, render

import skinest  # noqa: F401  before TensorFlow, so that all sides have oneDNN


def make_parser(description, parts, by_name_only=()):
    """Return a parser with the options that all scripts have."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = ", ".join(parts)
    if by_name_only:
        names += f"; only when named: {', '.join(by_name_only)}"
    parser.add_argument("parts", nargs="*", metavar="PART", help=names)
    parser.set_defaults(usual_parts=parts, known_parts=[*parts, *by_name_only])
    parser.add_argument("--quick", action="store_true", help="a short trial run")
    parser.add_argument("--runs", type=int, help="of each side")
    parser.add_argument("--again", action="store_true", help="discard the stored runs")
    parser.add_argument(
        "--results", type=Path, help=f"folder; default {RESULTS.name} beside the script"
    )
    parser.add_argument("--data-home", help="folder of the images' archives")
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    return parser


def parse(parser):
    """Return the options. A trial run never changes the committed results."""
    options = parser.parse_args()
    if unknown := set(options.parts) - set(options.known_parts):
        parser.error(f"no part is named {', '.join(sorted(unknown))}")
    options.parts = options.parts or options.usual_parts
    if options.results is None:
        rehearsal = Path(gettempdir(), "skinest-benchmarks")
        options.results = rehearsal if options.quick else RESULTS
    return options


def run_part(name, sides, measure, options, *, n_runs, settings, tensorflow=False):
    """Run the sides of a part in turn, and print the table if there is one.

    Parameters
    ----------
    name : str
        Name of the file of results and of its table.

    sides : sequence of str, or of sequences of str
        Names of the sides, or groups of them. All sides of a group run in turn.

    measure : callable
        Makes one run of a side, and returns numbers by name.

    options : Namespace
        Options of the command line.

    n_runs : int
        Number of runs of each side, if the options have none.

    settings : dict
        Settings, as they are written under the table.

    tensorflow : bool
        Whether TensorFlow is used.
    """
    print(f"\n## {name}", flush=True)
    n_runs = options.runs or (2 if options.quick else n_runs)
    machine = describe_machine(tensorflow)
    record = Record(name, settings, machine, options.results, options.again)
    groups = [sides] if isinstance(sides[0], str) else sides
    if all(len(record.runs.get(side, ())) >= n_runs for side in chain(*groups)):
        print("all runs are stored; --again makes new ones")
    else:
        say_machine(machine)
        record.note_load()
        for group in groups:
            alternate(group, n_runs, measure, record)
        say_machine(machine)
        record.note_load()
    if name in TABLES or name in SCORE_TABLES:
        print(f"\n{render(name, options.results) or ''}", flush=True)


def in_own_process(script, part, arguments):
    """Return a function that runs a side by the same script in a new process."""

    def measure(side):
        return run_in_new_process(script, "--worker", part, side, *arguments)

    return measure

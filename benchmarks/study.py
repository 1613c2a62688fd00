"""Make the results of docs/study.rst again, and write its tables.

Each part runs one script on the archives, and stores its scores, the machine and the
time in results/study/PART.json. A part that is stored is not run again, and a part that
was stopped continues. Without names, all parts run, the short ones first.

Usage: python benchmarks/study.py [PART ...] --vgg16 FILE --mobilenetv2 FILE
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from tempfile import gettempdir
from time import perf_counter

from _quiet import compare_counters, describe_machine, is_quiet, read_counters
from _study_tables import FOLDER, fill_in_study
from make_tables import STUDY

ROOT = Path(__file__).parents[1]
POLL = 5  # seconds


@dataclass(frozen=True)
class Part:
    """A script with its arguments.

    Parameters
    ----------
    script : str
        Path of the script in the repository.

    arguments : str
        Arguments, in which ``{vgg16}`` and ``{mobilenetv2}`` are files of weights.

    can_continue : bool
        Whether it has the argument `--state`.
    """

    script: str
    arguments: str = ""
    can_continue: bool = False


VGG = "examples/plot_task2_vgg.py"
# With --lowest all, an epoch of the last stage takes many times as long.
BLOCK5 = (
    "--full --only schedules --side 128 --copies 2 --balance 0.5 --lowest block5 "
    "--weights {vgg16} --schedules"
)
SCHEDULES = {"block5": "block5, then all", "head": "head, then all"}
PARTS = {
    "words": Part("examples/plot_task1_bovw.py"),
    "encodings": Part(
        "benchmarks/accuracy_bovw.py", "test --recipes study defaults best"
    ),
    "transfer": Part("examples/plot_task1_transfer.py", "--weights {mobilenetv2}"),
    "malignant": Part(
        "examples/plot_task1_vgg.py", "--full --block5 --weights {vgg16}", True
    ),
    "leak": Part(
        VGG,
        "--only leak --images 10015 --leak-backbone mobilenetv2 "
        "--leak-weights {mobilenetv2} --leak-side 128",
    ),
    "mobilenetv2_by_lesion": Part(
        "benchmarks/accuracy_ham10000.py",
        "--backbone mobilenetv2 --weights {mobilenetv2}",
        True,
    ),
    **{
        f"{name}_{split.replace(' ', '_')}": Part(
            VGG, f"{BLOCK5} '{schedule}' --splits '{split}'", True
        )
        for name, schedule in SCHEDULES.items()
        for split in ("by lesion", "by image")
    },
    "structures": Part(
        "benchmarks/accuracy_unet.py", "globules streaks --study-filters 16", True
    ),
    "losses": Part("examples/plot_task3_unet.py", "--images 1142 --epochs 1", True),
}


def main():
    options = read_options()
    try:
        for name in options.parts:
            run_part(name, PARTS[name], options)
            STUDY.write_text(fill_in_study(STUDY.read_text()))
    except KeyboardInterrupt:
        sys.exit(f"Stopped. The same command continues from {options.state}.")


def read_options():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=" ".join(PARTS))
    for backbone in ("vgg16", "mobilenetv2"):
        parser.add_argument(
            f"--{backbone}", default="imagenet", help="weights file; default: download"
        )
    parser.add_argument("--data-home", help="folder of the archives")
    parser.add_argument("--again", action="store_true", help="discard stored results")
    parser.add_argument(
        "--state",
        type=Path,
        default=Path(gettempdir(), "skinest-study"),
        help="folder for parts that are not finished (default: %(default)s)",
    )
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"no part is named {', '.join(sorted(unknown))}")
    options.parts = options.parts or list(PARTS)
    return options


def run_part(name, part, options):
    """Run the script of a part, unless its results are stored."""
    path = FOLDER / f"{name}.json"
    if path.exists() and not options.again:
        print(f"{name}: stored in {path}; --again makes it again", flush=True)
        return
    state = options.state / name
    if options.again:
        shutil.rmtree(state, ignore_errors=True)
    state.mkdir(parents=True, exist_ok=True)
    scores = state / "scores.json"
    command = make_command(part, options, state, scores)
    print(f"\n## {name}\n{' '.join(command[1:])}", flush=True)
    before = read_counters()
    seconds = run_and_count(command, options, state / "seconds.json")
    noise = compare_counters(before, read_counters())
    record = {
        "command": describe_command(part),
        "machine": describe_machine(with_tensorflow=True),
        "day": date.today().isoformat(),
        "minutes": round(seconds / 60, 1),
        "scores": json.loads(scores.read_text()),
    }
    if not is_quiet(noise):
        record["note"] = "while other programs used the processor too"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, indent=1) + "\n")


def make_command(part, options, state, scores):
    """Return the command of a part as a list."""
    weights = {"vgg16": options.vgg16, "mobilenetv2": options.mobilenetv2}
    arguments = [each.format(**weights) for each in shlex.split(part.arguments)]
    command = [sys.executable, str(ROOT / part.script), *arguments]
    command += ["--scores", str(scores)]
    if part.can_continue:
        command += ["--state", str(state / "state")]
    return command


def describe_command(part):
    """Return the command as the page shows it."""
    arguments = part.arguments.format(vgg16="FILE", mobilenetv2="FILE")
    return f"python {part.script} {arguments}".strip()


def run_and_count(command, options, file):
    """Run a command, and return its seconds with those of earlier, stopped runs.

    The seconds are written to a file while it runs, so that they are known even if all
    is killed.
    """
    before = json.loads(file.read_text()) if file.exists() else 0
    environment = dict(os.environ)
    if options.data_home:
        environment["SKINEST_DATA"] = options.data_home
    start = perf_counter()
    with subprocess.Popen(command, env=environment, cwd=file.parent) as process:
        while process.poll() is None:
            try:
                process.wait(POLL)
            except subprocess.TimeoutExpired:
                pass
            file.write_text(json.dumps(before + perf_counter() - start))
    if process.returncode:
        sys.exit(f"This part failed; what is done is kept in {file.parent}.")
    return before + perf_counter() - start


if __name__ == "__main__":
    main()

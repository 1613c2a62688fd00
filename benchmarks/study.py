"""Make the results of docs/study.rst again, and write its tables.

Each part runs one script on the archives, and stores its scores, the machine and the
time in results/study/PART.json. A part that is stored is not run again, and a part that
was stopped continues. Without names, all parts run, the short ones first. Missing
archives are downloaded before the first of them.

Usage: python benchmarks/study.py [PART ...] --vgg16 FILE --mobilenetv2 FILE
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import argparse
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from tempfile import gettempdir
from time import perf_counter

import psutil
from _quiet import compare_counters, describe_machine, is_quiet, read_counters
from _runs import read_record, write_record
from _study_tables import FOLDER, fill_in_study
from make_tables import STUDY, rewrite

from skinest.datasets import (
    fetch_isic2016_part3,
    fetch_isic2018_task3,
    get_data_home,
)

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
        Arguments, in which ``{vgg16}`` and ``{mobilenetv2}`` are files of weights, and
        ``{state}`` is the folder of all parts that are not finished.

    can_continue : bool
        Whether it has the argument `--state`.

    fetch : callable or None
        ``fetch(data_home)`` downloads the archives that are missing. None means that
        the part has synthetic images, whatever archives there are.
    """

    script: str
    arguments: str = ""
    can_continue: bool = False
    fetch: Callable | None = None


def fetch_task1(data_home):
    for subset in ("train", "test"):
        fetch_isic2016_part3(data_home, subset=subset)


def fetch_task2(data_home):
    fetch_isic2018_task3(data_home)


VGG = "examples/plot_task2_vgg.py"
# With --lowest all, an epoch of the last stage takes many times as long. Batches and
# epochs are a quarter of the study's, so the number of steps is the same.
BLOCK5 = (
    "--full --only schedules --side 128 --batch 32 --epochs 0.25 --copies 2 "
    "--balance 0.5 --lowest block5 --weights {vgg16} --memory {state}/memory "
    "--schedules"
)
VOTE = "--vgg16 {vgg16} --mobilenetv2 {mobilenetv2}"
SCHEDULES = {"block5": "block5, then all", "head": "head, then all"}
PARTS = {
    "words": Part("examples/plot_task1_bovw.py", fetch=fetch_task1),
    "encodings": Part(
        "benchmarks/accuracy_bovw.py",
        "test --recipes study defaults best",
        fetch=fetch_task1,
    ),
    "transfer": Part(
        "examples/plot_task1_transfer.py",
        "--weights {mobilenetv2}",
        fetch=fetch_task1,
    ),
    "malignant": Part(
        "examples/plot_task1_vgg.py",
        "--full --block5 --weights {vgg16}",
        can_continue=True,
        fetch=fetch_task1,
    ),
    "leak": Part(
        VGG,
        "--only leak --images 10015 --leak-backbone mobilenetv2 "
        "--leak-weights {mobilenetv2} --leak-side 128",
        fetch=fetch_task2,
    ),
    "mobilenetv2_by_lesion": Part(
        "benchmarks/accuracy_ham10000.py",
        "--backbone mobilenetv2 --weights {mobilenetv2}",
        can_continue=True,
        fetch=fetch_task2,
    ),
    **{
        f"{name}_{split.replace(' ', '_')}": Part(
            VGG,
            f"{BLOCK5} '{schedule}' --splits '{split}'",
            can_continue=True,
            fetch=fetch_task2,
        )
        for name, schedule in SCHEDULES.items()
        for split in ("by lesion", "by image")
    },
    **{
        f"vote{name}": Part(
            "benchmarks/vote_ham10000.py",
            f"{VOTE}{more}",
            can_continue=True,
            fetch=fetch_task2,
        )
        for name, more in (("", ""), ("_refit", " --refit"))
    },
    "structures": Part(
        "benchmarks/accuracy_unet.py",
        "globules streaks --study-filters 16",
        can_continue=True,
    ),
    "losses": Part(
        "examples/plot_task3_unet.py",
        "--images 1142 --side 128 --batch 80 --filters 64 --epochs 1 --rates 1 "
        "--features globules "
        "--losses dice jaccard weighted_crossentropy binary_crossentropy",
        can_continue=True,
    ),
}


def main():
    options = read_options()
    fetch_images(options)
    try:
        for name in options.parts:
            run_part(name, PARTS[name], options)
            rewrite(STUDY, fill_in_study)
    except KeyboardInterrupt:
        sys.exit(f"Stopped. The same command continues from {options.state}.")


def read_options():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=" ".join(PARTS))
    backbones = "vgg16", "mobilenetv2"
    for backbone in backbones:
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
    # Each script runs in a folder of its own.
    options.state = options.state.resolve()
    for name in backbones:
        path = Path(getattr(options, name))
        if path.exists():
            setattr(options, name, str(path.resolve()))
    return options


def fetch_images(options):
    """Download missing archives of all parts that run, before the first of them."""
    wanted = [PARTS[name] for name in options.parts if not is_stored(name, options)]
    for fetch in dict.fromkeys(part.fetch for part in wanted if part.fetch):
        fetch(options.data_home)


def is_stored(name, options):
    return find_record(name).exists() and not options.again


def find_record(name):
    return FOLDER / f"{name}.json"


def run_part(name, part, options):
    """Make the results of a part, unless they are stored."""
    if is_stored(name, options):
        print(f"{name}: stored in {find_record(name)}; --again makes it again")
        return
    if options.again:
        shutil.rmtree(options.state / name, ignore_errors=True)
    run_script(name, part, options)


def run_script(name, part, options):
    """Run the script of a part, and store its results."""
    path, state = find_record(name), options.state / name
    state.mkdir(parents=True, exist_ok=True)
    scores = state / "scores.json"
    command = make_command(part, options, state, scores)
    print(f"\n## {name}\n{' '.join(command[1:])}", flush=True)
    before = read_counters()
    environment = make_environment(part, options)
    times = run_and_count(command, environment, state / "times.json")
    noise = compare_counters(before, read_counters())
    record = {
        "command": describe_command(part),
        "machine": describe_machine(with_tensorflow=True),
        "day": date.today().isoformat(),
        "minutes": round(times["wall"] / 60, 1),
        "scores": read_record(scores),
    }
    if not is_quiet(noise):
        minutes = times["processor"] / 60
        record["note"] = (
            f"{minutes:.0f} minutes of processor time, while other programs used the "
            "processor too"
        )
    write_record(path, record)


def make_command(part, options, state, scores):
    """Return the command of a part as a list."""
    files = {"vgg16": options.vgg16, "mobilenetv2": options.mobilenetv2}
    files["state"] = options.state
    arguments = [each.format(**files) for each in shlex.split(part.arguments)]
    command = [sys.executable, str(ROOT / part.script), *arguments]
    command += ["--scores", str(scores)]
    if part.can_continue:
        command += ["--state", str(state / "state")]
    return command


def make_environment(part, options):
    """Return the environment, with the folder of archives only for real images."""
    environment = dict(os.environ)
    environment.pop("SKINEST_DATA", None)
    if part.fetch:
        folder = Path(get_data_home(options.data_home)).resolve()
        environment["SKINEST_DATA"] = str(folder)
    return environment


def describe_command(part):
    """Return the command as the page shows it."""
    arguments = part.arguments.format(vgg16="FILE", mobilenetv2="FILE", state="FOLDER")
    return f"python {part.script} {arguments}".strip()


def run_and_count(command, environment, file):
    """Run a command, and return its times in seconds with those of stopped runs.

    They are written to a file while it runs, so that they are known even if all is
    killed.

    Returns
    -------
    times : dict of str to float
        The time on the clock ("wall"), and that of all cores ("processor").
    """
    before = {"wall": 0.0, "processor": 0.0}
    if file.exists():
        before = read_record(file)
    start, times = perf_counter(), before
    with subprocess.Popen(command, env=environment, cwd=file.parent) as process:
        watched = psutil.Process(process.pid)
        while process.poll() is None:
            with suppress(psutil.NoSuchProcess):
                times = {
                    "wall": before["wall"] + perf_counter() - start,
                    "processor": before["processor"] + sum(watched.cpu_times()[:4]),
                }
                write_record(file, times)
            with suppress(subprocess.TimeoutExpired):
                process.wait(POLL)
    if process.returncode:
        sys.exit(f"This part failed; what is done is kept in {file.parent}.")
    return times


if __name__ == "__main__":
    main()

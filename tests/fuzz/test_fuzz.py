"""Thousands of damaged files and wrong arguments: clear errors only, and in time.

The numbers of cases are environment variables, and so is the seed. The guide has the
numbers of a run.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import os
import sys

import pytest

from tests.fuzz.archives import write_homes
from tests.fuzz.files import write_bases
from tests.fuzz.watching import MAX_BYTES, MAX_SECONDS, run_cases

N_FILES = int(os.environ.get("SKINEST_FUZZ_FILES", 20_000))
N_OBJECTS = int(os.environ.get("SKINEST_FUZZ_OBJECTS", 5_000))
N_ARCHIVES = int(os.environ.get("SKINEST_FUZZ_ARCHIVES", 3_000))
SEED = os.environ.get("SKINEST_FUZZ_SEED", "0")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="measures memory as Unix does"),
]


def check(outcome, n_cases):
    print(outcome)
    assert not outcome.faults, "\n".join(map(str, outcome.faults[:20]))
    assert sum(outcome.counts.values()) >= 0.95 * n_cases
    assert outcome.longest < MAX_SECONDS
    assert outcome.peak < MAX_BYTES


def test_damaged_files_give_pixels_or_an_error_that_names_the_file(tmp_path):
    write_bases(tmp_path / "bases")
    check(run_cases("files", N_FILES, tmp_path, options=(SEED,)), N_FILES)


def test_wrong_arguments_give_an_error_that_names_them(tmp_path):
    write_bases(tmp_path / "bases")
    check(run_cases("objects", N_OBJECTS, tmp_path, options=(SEED,)), N_OBJECTS)


def test_damaged_archives_give_data_or_an_error_that_names_the_file(tmp_path):
    write_homes(tmp_path)
    check(run_cases("archives", N_ARCHIVES, tmp_path, options=(SEED,)), N_ARCHIVES)

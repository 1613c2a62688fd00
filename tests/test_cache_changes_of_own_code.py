"""What the cache of visual words notices of more kinds of code of the user."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import pytest

from tests.cache_rows import check_row, run_in_two_processes
from tests.own_code import KINDS
from tests.test_cache_changes import OWN, list_own_rows

ROWS = list_own_rows(name for name in OWN if name not in KINDS)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rows")
    return run_in_two_processes("tests.test_cache_changes_of_own_code", folder)


@pytest.mark.slow
@pytest.mark.parametrize("name", ROWS)
def test_a_cache_never_lies(name, results):
    before, after = (each[name] for each in results)
    check_row(ROWS[name][1], before, after)

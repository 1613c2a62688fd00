"""The same seed, the same bits; and no global state that is touched."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

import skinest

from . import seeded_fits


def start_process(*names):
    """Start a process that makes fits, while they are made in this one too."""
    script = Path(seeded_fits.__file__)
    environment = {**os.environ, "PYTHONPATH": str(script.parents[2])}
    return subprocess.Popen(
        [sys.executable, script, *names],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**environment, "PYTHONHASHSEED": "7"},
    )


def read_process(process):
    """Return what the fits give in a process."""
    output, errors = process.communicate()
    assert process.returncode == 0, errors
    return json.loads(output)


@pytest.fixture(scope="module", autouse=True)
def other_process():
    with start_process() as process:
        yield process


@pytest.fixture(scope="module")
def here():
    """Return what the fits give in this process."""
    return {name: seeded_fits.fit(name) for name in seeded_fits.FITS}


@pytest.fixture(scope="module")
def in_another_process(other_process):
    return read_process(other_process)


def test_global_states_are_told_apart():
    list_changed, state = seeded_fits.list_changed_states, random.getstate()
    assert list_changed(random.random) == ["random"]
    random.setstate(state)
    assert list_changed(lambda: keras.random.uniform((1,))) == ["keras generator"]
    state = np.random.get_state()  # noqa: NPY002
    assert list_changed(np.random.rand) == ["numpy"]
    np.random.set_state(state)  # noqa: NPY002


@pytest.mark.slow
@pytest.mark.parametrize("name", [*seeded_fits.FITS, "bfloat16 head"])
def test_global_seeds_change_nothing_and_stay_where_models_are_used_again(name, here):
    expected = here[name] if name in here else seeded_fits.fit(name)
    again, state = [], random.getstate()
    random.seed(5)
    changed = seeded_fits.list_changed_states(
        lambda: again.extend(seeded_fits.fit(name))
    )
    random.setstate(state)
    assert again == expected
    assert changed == []


@pytest.mark.slow
@pytest.mark.usefixtures("own_models")
@pytest.mark.parametrize("name", seeded_fits.SLOW)
def test_a_network_that_is_built_again_gives_the_same_bits(name):
    first = seeded_fits.fit(name)
    skinest.clear_models()
    assert seeded_fits.fit(name) == first


@pytest.mark.parametrize("name", seeded_fits.FITS)
def test_same_seed_gives_the_same_bits_in_two_processes(name, here, in_another_process):
    assert in_another_process["digests"][name] == here[name]


@pytest.mark.slow
def test_the_same_holds_for_slow_fits():
    with start_process(*seeded_fits.SLOW) as process:
        here = {name: seeded_fits.fit(name) for name in seeded_fits.SLOW}
        assert read_process(process)["digests"] == here


def test_no_global_state_is_touched_where_models_are_made(in_another_process):
    assert in_another_process["changed"] == {"fits": [], "networks": []}

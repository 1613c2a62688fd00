"""Fits that are killed, and continue to the same result.

The slow tests kill a process. The others bring back what a fit had on the disk after it
has written a checkpoint, which is quicker.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import json
import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.callbacks import needs_callbacks

from . import broken_fits
from .broken_fits import N_WRITES, Copies, describe, fit_broken, make_estimator
from .test_callbacks import Recorder


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "checkpoint"


@pytest.fixture
def copies(folder):
    return Copies(folder)


@pytest.fixture(scope="module")
def plain():
    """Fit without checkpoints, each once."""
    fitted = {}

    def fit(name):
        if name not in fitted:
            estimator, data = make_estimator(name)
            fitted[name] = describe(estimator.fit(*data))
        return fitted[name]

    return fit


def run(*arguments):
    """Fit in another process; return what it prints, and how it ends."""
    script = Path(broken_fits.__file__)
    process = subprocess.run(
        [sys.executable, script, *map(str, arguments)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(script.parents[2])},
    )
    return process.stdout, process.returncode


KILLED = [
    (name, number, place)
    for name, n_writes in N_WRITES.items()
    for number in range(1, n_writes + 1)
    for place in ("before", "after")
]


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL")
@pytest.mark.parametrize(("name", "number", "place"), KILLED)
def test_a_killed_fit_goes_on_to_the_same_bits(name, number, place, plain, folder):
    output, code = run(name, folder, number, place)
    assert (output, code) == ("", -signal.SIGKILL)
    assert (folder / "checkpoint.npz").exists() == (number > 1 or place == "after")
    estimator, data = make_estimator(name, folder)
    assert describe(estimator.fit(*data)) == plain(name)
    assert list(folder.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", N_WRITES)
def test_an_unbroken_fit_has_the_same_bits_in_another_process(name, plain, folder):
    output, code = run(name, "-", 0, "before")
    assert code == 0
    assert json.loads(output) == plain(name)
    output, code = run(name, folder, 0, "before")
    assert json.loads(output) == plain(name)


# Within a stage, between two, and after the last epoch.
PLACES = {"head and network": (1, 3, 5), "segmenter": (2,)}


@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        *PLACES.items(),
        *(
            pytest.param(name, range(1, n_writes + 1), marks=pytest.mark.slow)
            for name, n_writes in N_WRITES.items()
        ),
    ],
)
def test_a_fit_goes_on_from_a_place_to_the_same_bits(
    name, numbers, plain, folder, copies
):
    estimator, data = make_estimator(name, folder)
    assert describe(copies.fit(estimator, data)) == plain(name)
    assert list(folder.iterdir()) == []
    for number in numbers:
        copies.restore(number)
        estimator, data = make_estimator(name, folder)
        assert describe(estimator.fit(*data)) == plain(name), number
        assert list(folder.iterdir()) == []


def test_a_fit_that_was_stopped_goes_on(plain, folder):
    estimator, data = make_estimator("two heads", folder)
    fit_broken(estimator, data, 1)
    assert not hasattr(estimator, "n_iter_")
    assert describe(estimator.fit(*data)) == plain("two heads")


def test_a_stage_that_was_stopped_early_is_not_trained_again(folder, copies):
    settings = {"epochs": 6, "n_iter_no_change": 1, "learning_rate": 0.5}
    estimator, data = make_estimator("head and network", folder, **settings)
    expected = describe(copies.fit(estimator, data))
    n_first = estimator.n_iter_per_stage_[0]
    assert n_first < 6
    copies.restore(n_first)
    assert describe(estimator.fit(*data)) == expected


def test_seeds_are_those_of_the_first_try(folder, copies):
    state = np.random.get_state()  # noqa: NPY002
    settings = {"random_state": None, "validation_fraction": 0.25}
    estimator, data = make_estimator("two heads", folder, **settings)
    try:
        expected = describe(copies.fit(estimator, data))
        copies.restore(1)
        assert describe(estimator.fit(*data)) == expected
        assert describe(estimator.fit(*data)) != expected
    finally:
        np.random.set_state(state)  # noqa: NPY002


def test_a_warm_start_goes_on_from_the_last_fit(folder, copies):
    settings = {"warm_start": True, "fine_tune": None}
    first, data = make_estimator("two heads", folder, **settings)
    first.fit(*data)
    second = pickle.loads(pickle.dumps(first))
    expected = describe(copies.fit(second, data))
    copies.restore(1)
    assert describe(first.fit(*data)) == expected
    assert first.n_iter_per_stage_ == [2, 2]


def test_the_number_of_epochs_of_the_running_stage_can_change(folder, copies):
    settings = {"fine_tune": None}
    estimator, data = make_estimator("two heads", None, **settings, epochs=3)
    expected = describe(estimator.fit(*data))
    estimator.set_params(checkpoint=folder, epochs=2)
    copies.fit(estimator, data)
    for last in (1, 2):  # in the stage, and after its last epoch
        copies.restore(last)
        assert describe(estimator.set_params(epochs=3).fit(*data)) == expected
    copies.restore(2)
    with pytest.raises(ValueError, match="2 epochs of its stage are done"):
        estimator.set_params(epochs=1).fit(*data)
    copies.restore(3)
    with pytest.raises(ValueError, match="epochs was 2 and is 3"):
        estimator.set_params(epochs=3).fit(*data)


@needs_callbacks
def test_a_stop_by_a_callback_of_scikit_learn_is_kept(folder, copies):
    estimator, data = make_estimator("two heads", folder)
    expected = describe(copies.fit(estimator.set_callbacks(Recorder(1)), data))
    assert estimator.n_iter_per_stage_ == [1]
    for number in (1, 2):
        copies.restore(number)
        recorder = Recorder()
        assert describe(estimator.set_callbacks(recorder).fit(*data)) == expected
        assert recorder.ended["epoch"] == 0
        assert recorder.begun == recorder.ended


def test_verbose_says_that_a_fit_goes_on(folder, copies, capsys):
    estimator, data = make_estimator("two heads", folder, verbose=1)
    copies.fit(estimator, data)
    assert "Continuing" not in capsys.readouterr().out
    copies.restore(4)
    estimator.fit(*data)
    assert "[TransferClassifier] Continuing after epoch 3: " in capsys.readouterr().out

"""The same seed, the same bits; and no global state that is touched."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

from . import seeded_fits
from .conftest import bits, is_same, layers_of, small


@pytest.fixture(scope="module", autouse=True)
def other_process():
    """Start a process that begins with the fits, while other tests run in this one."""
    script = Path(seeded_fits.__file__)
    environment = {**os.environ, "PYTHONPATH": str(script.parents[2])}
    with subprocess.Popen(
        [sys.executable, script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**environment, "PYTHONHASHSEED": "7"},
    ) as process:
        yield process


@pytest.fixture(scope="module")
def here():
    """Fit in this process."""
    return {name: seeded_fits.fit(name) for name in seeded_fits.FITS}


@pytest.fixture(scope="module")
def in_another_process(other_process):
    """Return what the fits give there."""
    output, errors = other_process.communicate()
    assert other_process.returncode == 0, errors
    return json.loads(output)


def test_no_global_state_is_touched_where_models_are_used_again():
    assert seeded_fits.changed_states(lambda: seeded_fits.fit("float32 head")) == []


def test_global_states_are_told_apart():
    import keras

    state = random.getstate()
    assert seeded_fits.changed_states(random.random) == ["random"]
    random.setstate(state)
    assert seeded_fits.changed_states(lambda: keras.random.uniform((1,))) == [
        "keras generator"
    ]
    state = np.random.get_state()  # noqa: NPY002
    assert seeded_fits.changed_states(np.random.rand) == ["numpy"]
    np.random.set_state(state)  # noqa: NPY002


def test_global_seeds_change_nothing(images, y):
    first = bits(small().fit(images, y))
    state = random.getstate()
    random.seed(5)
    again = bits(small().fit(images, y))
    random.setstate(state)
    assert again == first


def test_another_seed_draws_other_weights(images, y):
    one = layers_of(small(epochs=1).fit(images, y).model_)
    other = layers_of(small(epochs=1, random_state=1).fit(images, y).model_)
    assert not is_same(one["Conv_1"], other["Conv_1"])
    assert not is_same(one["logits"], other["logits"])


def test_generator_goes_on_from_fit_to_fit(images, y):
    generator = np.random.RandomState(0)
    one = bits(small(epochs=1, random_state=generator).fit(images, y))
    two = bits(small(epochs=1, random_state=generator).fit(images, y))
    assert one != two
    assert one == bits(small(epochs=1, random_state=0).fit(images, y))


def test_dropout_is_random_anew_in_each_stage_and_each_fit(images):
    # Nothing is learned, and there are two orders of two images: what differs more
    # often is by dropout.
    settings = {"epochs": 1, "learning_rate": 1e-12, "optimizer": "sgd"}
    second = {"fine_tune": "head", "fine_tune_epochs": 1}
    clf = small(**settings, **second, fine_tune_learning_rate=1e-12)
    losses = {}
    for dropout in (0.5, 0.0):
        clf.set_params(dropout=dropout, warm_start=False).fit(images[:2], [0, 1])
        clf.set_params(warm_start=True)
        for _ in range(2):
            clf.fit(images[:2], [0, 1])
        losses[dropout] = clf.history_["loss"]
    assert len(set(losses[0.5])) == clf.n_iter_ == 6
    assert_allclose(losses[0.0], losses[0.0][0], rtol=1e-6)


@pytest.mark.parametrize("name", seeded_fits.FITS)
def test_same_seed_gives_the_same_bits_again(name, here):
    assert seeded_fits.fit(name) == here[name]


@pytest.mark.parametrize("name", seeded_fits.FITS)
def test_same_seed_gives_the_same_bits_in_two_processes(name, here, in_another_process):
    assert in_another_process["digests"][name] == here[name]


def test_no_global_state_is_touched_where_models_are_made(in_another_process):
    assert in_another_process["changed"] == []

"""The benchmark that combines classifiers of seven diagnoses."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import importlib
from functools import partial

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.metrics import accuracy_score

N_CLASSES = 7


@pytest.fixture(scope="module")
def benchmark():
    """Return the module, with one metric and few samples, as intervals take long."""
    module = importlib.import_module("_vote")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "METRICS", {"accuracy": accuracy_score})
        for name in ("score", "list_gains"):
            few = partial(getattr(module, name), n_samples=10)
            patch.setattr(module, name, few)
        yield module


@pytest.fixture
def halves():
    """Labels, lesions, and two members that know every other lesion each."""
    y = np.tile(np.repeat(np.arange(N_CLASSES), 2), 6)
    groups = np.arange(len(y)) // 2
    rng = np.random.default_rng(0)
    members = {}
    for name, parity in (("first", 0), ("second", 1)):
        probabilities = np.full((len(y), N_CLASSES), 1 / N_CLASSES)
        known = np.flatnonzero(rng.permutation(groups) % 2 == parity)
        probabilities[known] = 0.01
        probabilities[known, y[known]] = 0.94
        probabilities += 1e-3 * rng.random(probabilities.shape)
        members[name] = probabilities / probabilities.sum(axis=1, keepdims=True)
    return members, y, groups


EVEN = (np.full(N_CLASSES, 1 / N_CLASSES),) * 2


def test_vote_and_stack_know_what_either_member_knows(benchmark, halves):
    members, y, groups = halves
    rows = benchmark.combine(members, members, y, groups, EVEN)
    accuracy = {name: (p.argmax(axis=1) == y).mean() for name, (_, p) in rows.items()}
    assert accuracy["first"] < 0.7 < min(accuracy["soft vote"], accuracy["stack"])
    assert_allclose(rows["soft vote"][1], sum(members.values()) / 2)


def test_a_vote_is_adjusted_to_other_class_frequencies(benchmark, halves):
    members, y, groups = halves
    priors = EVEN[0], np.arange(1, 8) / 28
    rows = benchmark.combine(members, members, y, groups, priors)
    expected = rows["soft vote"][1] * priors[1]
    expected /= expected.sum(axis=1, keepdims=True)
    assert_allclose(rows["soft vote, adjusted"][1], expected)


def test_without_validation_images_members_and_votes_are_scored(benchmark, halves):
    members, *truth = halves
    priors = EVEN[0], np.arange(1, 8) / 28
    found = benchmark.score_votes(members, truth, priors)
    assert list(found["rows"]) == [*members, "soft vote", "soft vote, adjusted"]
    accuracy = {
        name: row["scores"]["accuracy"][0] for name, row in found["rows"].items()
    }
    assert accuracy["first"] < 0.7 < accuracy["soft vote"]
    gain, *_ = found["adds"]["second"]["accuracy"]
    assert gain == pytest.approx(accuracy["soft vote"] - accuracy["first"])


def test_probabilities_of_a_stack_are_of_lesions_that_it_was_not_trained_on(
    benchmark, halves
):
    _, y, groups = halves
    noise = {"noise": np.random.default_rng(0).dirichlet(np.ones(N_CLASSES), len(y))}
    held_out, known = benchmark.combine(noise, noise, y, groups, EVEN)["stack"]
    assert (held_out.argmax(axis=1) == y).mean() < 0.25  # the chance level is 1 / 7
    assert (held_out != known).any()


def test_what_a_member_adds_is_against_the_vote_of_the_others(benchmark, halves):
    members, y, groups = halves
    gains = benchmark.list_gains(members, y, groups)
    together = sum(members.values()).argmax(axis=1) == y
    for name, other in ("first", "second"), ("second", "first"):
        gain, low, high = gains[name]["accuracy"]
        alone = members[other].argmax(axis=1) == y
        assert gain == pytest.approx(together.mean() - alone.mean())
        assert 0 < low < gain < high


def test_a_member_that_repeats_another_adds_nothing(benchmark, halves):
    members, *truth = halves
    same = {"first": members["first"], "again": members["first"]}
    gains = benchmark.list_gains(same, *truth)
    assert [each["accuracy"][0] for each in gains.values()] == [0, 0]

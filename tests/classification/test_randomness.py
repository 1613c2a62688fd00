"""What is random in a fit, and by which seed."""

import numpy as np
from numpy.testing import assert_allclose

from .conftest import bits, is_same, layers_of, small


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

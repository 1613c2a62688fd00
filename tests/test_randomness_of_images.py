"""What differs from image to image, from epoch to epoch and from fit to fit."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np
from numpy.testing import assert_allclose

from .classification.conftest import make_images, small

N_IMAGES = 12
Y = np.arange(N_IMAGES) % 2


def test_dropout_is_random_anew_in_each_stage_and_each_fit():
    # Nothing is learned, and there are two orders of two images: what differs more
    # often is by dropout.
    settings = {"epochs": 1, "learning_rate": 1e-12, "optimizer": "sgd"}
    second = {"fine_tune": "head", "fine_tune_epochs": 1}
    clf = small(**settings, **second, fine_tune_learning_rate=1e-12, warm_start=True)
    losses = {}
    for dropout in (0.5, 0.0):
        clf.set_params(dropout=dropout, warm_start=False).fit(make_images(2), [0, 1])
        clf.set_params(warm_start=True)
        for _ in range(2):
            clf.fit(make_images(2), [0, 1])
        losses[dropout] = clf.history_["loss"]
    assert len(set(losses[0.5])) == clf.n_iter_ == 6
    assert_allclose(losses[0.0], losses[0.0][0], rtol=1e-6)


def test_each_image_in_each_epoch_is_augmented_by_a_draw_of_its_own():
    drawn = []

    def draw(image, generator):
        drawn.append(generator.integers(2**60))
        return image

    clf = small(trainable="Conv_1", augmentation=draw, epochs=3)
    clf.fit(make_images(N_IMAGES), Y)
    assert len(set(drawn)) == len(drawn) == 3 * N_IMAGES


def test_l2_is_a_penalty_on_kernels_of_the_backbone_that_train():
    settings = {"trainable": "block_16", "epochs": 1, "learning_rate": 1e-12}
    images = make_images(N_IMAGES)
    plain = small(**settings).fit(images, Y)
    clf = small(**settings, l2=1e-3).fit(images, Y)
    squares = []
    for weight in plain.model_.trainable_weights:
        if "kernel" in weight.name:  # also of depthwise convolutions
            squares.append((weight.numpy() ** 2).sum())
    assert len(squares) == 5
    penalty = clf.history_["loss"][0] - plain.history_["loss"][0]
    assert_allclose(penalty, 1e-3 * sum(squares), rtol=1e-4)

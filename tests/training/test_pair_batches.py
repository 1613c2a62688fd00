"""Batches of images with their masks: nothing comes between the two."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import keras
import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skinest._training._batches import OUTSIDE, PairBatches, as_dataset
from skinest.augmentation import Augmentation

N_PAIRS = 13  # in batches of 4, 4, 4 and 1
SHAPE = (6, 8)
CODE_WEIGHTS = np.zeros(256, dtype=np.float32)
CODE_WEIGHTS[:3] = [0.5, 2, 7]


@pytest.fixture(scope="module")
def pairs():
    """Masks of noise, and images that hold the mask and the number of their pair."""
    generator = np.random.default_rng(0)
    masks = generator.integers(0, 3, (N_PAIRS, *SHAPE), dtype=np.uint8)
    masks[:, :, -1] = OUTSIDE
    numbers = np.broadcast_to(np.arange(N_PAIRS)[:, None, None], masks.shape)
    return np.stack([masks, numbers, 0 * masks], axis=-1).astype(np.uint8), masks


made = []


@pytest.fixture(autouse=True)
def released():
    """Ends the threads of batches that a test has made."""
    yield
    while made:
        made.pop().release()


def batches_of(pairs, seed=0, augmentation=None, positions=None, **options):
    positions = np.arange(N_PAIRS) if positions is None else np.array(positions)
    weights = (100 + positions).astype(np.float32)
    batches = PairBatches(
        *pairs, CODE_WEIGHTS, positions, augmentation, weights, 4, seed, **options
    )
    made.append(batches)
    return batches


def read(batches, epoch=0):
    """The batches of an epoch, each array joined."""
    batches.begin_epoch(epoch)
    parts = [batches[index] for index in range(len(batches))]
    return [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]


def check(images, targets, weights):
    """Raise unless each image has its own mask, with weights of pixels and images."""
    assert_array_equal(targets[..., 0], images[..., 0])
    assert_array_equal(targets[..., 1], CODE_WEIGHTS[images[..., 0]])
    assert_array_equal(weights, 100 + images[:, 0, 0, 1].astype(np.float32))


def order_of(batch):
    return batch[0][:, 0, 0, 1].tolist()


@pytest.mark.parametrize("augmentation", [None, Augmentation(rotation=180, shift=0.3)])
def test_each_pair_is_in_each_epoch_once_and_whole(augmentation, pairs):
    def move(image, mask, random_state):
        # Nearest pixels, so that the image still holds its mask.
        moved = augmentation(np.repeat(mask[..., None], 3, -1), random_state, mask=mask)
        image[..., 0] = moved[1]
        return image, moved[1]

    batches = batches_of(pairs, augmentation=augmentation and move)
    orders = []
    for epoch in range(4):
        batch = read(batches, epoch)
        check(*batch)
        orders.append(tuple(order_of(batch)))
        assert sorted(orders[-1]) == list(range(N_PAIRS))
    assert len(set(orders)) == 4
    assert tuple(range(N_PAIRS)) not in orders


def test_padding_has_no_weight(pairs):
    _, targets, _ = read(batches_of(pairs))
    is_padding = targets[..., 0] == OUTSIDE
    assert_array_equal(is_padding[..., -1], True)
    assert_array_equal(targets[..., 1][is_padding], 0)
    assert (targets[..., 1][~is_padding] > 0).all()


def test_without_augmentation_pairs_are_as_they_are(pairs):
    images, targets, _ = read(batches_of(pairs, seed=None))
    assert images.dtype == np.uint8
    assert targets.dtype == np.float32
    assert_array_equal(images, pairs[0])
    assert_array_equal(targets[..., 0], pairs[1])


def test_order_is_that_of_seed_and_epoch_alone(pairs):
    def order(seed, epoch, before=()):
        batches = batches_of(pairs, seed)
        for earlier in before:
            read(batches, earlier)
        return order_of(read(batches, epoch))

    expected = order(7, 2)
    assert order(7, 2, before=(0, 1)) == expected
    assert order(7, 2, before=(3, 2, 5)) == expected
    assert order(8, 2) != expected
    assert order(None, 2) == list(range(N_PAIRS))


def test_some_pairs_are_read(pairs):
    batches = batches_of(pairs, positions=[9, 2, 11])
    assert len(batches) == 1
    batch = read(batches)
    check(*batch)
    assert sorted(order_of(batch)) == [2, 9, 11]


def test_a_pair_is_changed_by_seed_epoch_and_position_alone(pairs):
    turn = Augmentation(rotation=180)

    def in_place(epoch, **options):
        images, targets, weights = read(
            batches_of(pairs, augmentation=turn, **options), epoch
        )
        order = np.argsort(weights)
        return images[order], targets[order]

    images, targets = in_place(1)
    assert not np.array_equal(images, pairs[0])
    # Whatever else is trained on, however many threads read.
    chosen = [2, 9, 11]
    for options in (
        {"positions": chosen},
        {"positions": chosen[::-1], "n_threads": 4},
        {"positions": chosen, "n_threads": 1},
    ):
        some = in_place(1, **options)
        assert_array_equal(some[0], images[chosen])
        assert_array_equal(some[1], targets[chosen])
    for other in (in_place(0), in_place(1, seed=1)):
        same = [np.array_equal(*two) for two in zip(other[0], images, strict=True)]
        assert not any(same)


def test_batches_leave_pairs_as_they_are(pairs):
    copies = [array.copy() for array in pairs]

    def spoil(image, mask, random_state):
        image[:], mask[:] = 0, 0
        return image, mask

    read(batches_of(pairs, augmentation=spoil))
    for array, copy in zip(pairs, copies, strict=True):
        assert_array_equal(array, copy)


def test_keras_reads_what_the_batches_hold(pairs):
    turn = Augmentation(rotation=180)
    expected = read(batches_of(pairs, augmentation=turn), 3)
    batches = batches_of(pairs, augmentation=turn)
    batches.begin_epoch(3)
    dataset = as_dataset(batches)
    if keras.backend.backend() != "tensorflow":
        assert dataset is batches
        return
    assert int(dataset.cardinality()) == 4
    parts = list(dataset.as_numpy_iterator())
    assert [len(part[0]) for part in parts] == [4, 4, 4, 1]
    joined = [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]
    for array, other in zip(joined, expected, strict=True):
        assert array.dtype == other.dtype
        assert_array_equal(array, other)


def test_a_batch_may_be_read_out_of_turn(pairs):
    batches = batches_of(pairs)
    third, first = batches[2], batches[0]
    in_turn = read(batches_of(pairs))
    for array, expected in zip(third, in_turn, strict=True):
        assert_array_equal(array, expected[8:12])
    for array, expected in zip(first, in_turn, strict=True):
        assert_array_equal(array, expected[:4])


def test_what_goes_wrong_is_kept_as_it_was_raised(pairs):
    def no_luck(image, mask, random_state):
        if image[0, 0, 1] == 9:
            raise ArithmeticError("no luck")
        return image, mask

    batches = batches_of(pairs, augmentation=no_luck)
    with pytest.raises(ArithmeticError, match="no luck") as raised:
        read(batches)
    assert batches.error is raised.value


def test_released_batches_hold_no_data(pairs):
    batches = batches_of(pairs)
    read(batches)
    batches.release()
    held = [value for value in vars(batches).values() if isinstance(value, np.ndarray)]
    assert sum(value.nbytes for value in held) <= CODE_WEIGHTS.nbytes
    with pytest.raises(RuntimeError, match="shutdown"):
        batches._readers.submit(print)

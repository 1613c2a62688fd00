"""The training of a segmenter, from its data to what it has learned."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from .._apply_augmentation import check_pair_augmentation
from .._training._norm_statistics import restore_statistics
from .._training._train_network import train_network
from .._training._training_stages import list_stages
from ..networks._backbone_stages import resolve_batch_norm
from ..networks._encoders import DECODER
from ._network_start import load_encoder, start_network
from ._training_pairs import check_pairs, read_and_split


def train_segmenter(segmenter, data, checkpoint):
    """Train a segmenter in all stages, or continue from a checkpoint.

    Parameters
    ----------
    segmenter : UNetSegmenter
        The segmenter, whose parameters are valid.

    data : tuple
        `X`, `y`, `sample_weight`, `groups`, `X_val` and `y_val`.

    checkpoint : Checkpoint
        The file from which the fit continues if it is killed.
    """
    from ..losses._resolve import resolve_loss
    from ._pixels import PairBatches, describe_objective, describe_training

    augmentation, seeds = segmenter.augmentation, checkpoint.seeds
    seed = seeds["weights"]
    if augmentation is not None:
        augmentation = check_pair_augmentation(augmentation)
    checked = check_pairs(segmenter, *data)
    of_encoder = load_encoder(segmenter, seed)
    stages = _list_stages(segmenter)
    n_tasks = sum(stage.epochs for stage in stages)
    n_tasks += 1 if checked.given is None else 2  # reads of pairs
    fitting = segmenter._begin_fit(*data[:2], checkpoint, n_tasks)
    pairs, train, validation = read_and_split(checked, fitting)
    attributes, class_weights = start_network(segmenter, train, pairs, of_encoder, seed)
    attributes["_part"] = _find_part(segmenter, stages[-1])
    arrays = attributes["_weights"]
    arrays = fitting.resume(arrays) or arrays
    spec = attributes["_spec"]
    has_class_weight = segmenter.class_weight is not None
    loss = resolve_loss(segmenter.loss, has_class_weight, spec.n_outputs)
    objective = describe_objective(loss, spec.n_outputs, segmenter.threshold)

    def make_batches(split, **settings):
        if split is None:
            return None
        return PairBatches(
            split=split,
            class_weights=class_weights,
            batch_size=segmenter.batch_size,
            epoch=fitting.epoch,
            **settings,
        )

    def collect_attributes(arrays):
        return {**attributes, "_weights": arrays}

    for stage in fitting.iterate_stages(stages):
        part = _find_part(segmenter, stage)
        described = describe_training(spec, part, arrays)
        batches = make_batches(
            train,
            augmentation=augmentation,
            foreground_fraction=segmenter.foreground_fraction,
            seed=seeds["shuffle"],
        )
        _, trains_norms = part
        if segmenter.encoder is not None and trains_norms:
            described = restore_statistics(described, batches, segmenter)
        arrays = train_network(
            fitting,
            described,
            objective,
            batches=batches,
            validation=make_batches(validation, seed=None),
            epochs=stage.epochs,
            learning_rate=stage.learning_rate,
            attributes_of=collect_attributes,
        )
    segmenter._end_fit(fitting, collect_attributes(arrays))


def _list_stages(segmenter):
    """Return the stages of a fit: one without an encoder."""
    stages = list_stages(segmenter)
    return stages[:1] if segmenter.encoder is None else stages


def _find_part(segmenter, stage) -> tuple[str, bool]:
    """Return the lowest part that trains, and whether its batch normalisation does."""
    if segmenter.encoder is None:
        return "all", True
    norms = resolve_batch_norm(
        segmenter.train_batch_norm, stage.trainable, segmenter.weights is None
    )
    return stage.trainable, norms and stage.trainable != DECODER

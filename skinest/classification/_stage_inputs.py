"""Inputs of each stage of training: images, or features below the part that trains."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import warnings
from contextlib import closing, suppress
from dataclasses import dataclass

from .._training._batches import Split, allocate
from .._training._features import AugmentedCopies, iterate_features
from .._training._models import are_same
from .._training._network_estimator import Fitting
from ..utils._deprecation import renamed_parameter
from ._training_data import FeatureBatches, ImageBatches


def make_copies(estimator, augmentation, seed):
    """Return the augmented copies that are used while a part is frozen."""
    n_copies = renamed_parameter(
        "n_views", estimator.n_views, "n_augmented_copies", estimator.n_augmented_copies
    )
    n_copies = 0 if augmentation is None else n_copies
    return AugmentedCopies(n_copies, augmentation, seed)


@dataclass(kw_only=True)
class StageInputs:
    """Training and validation data of all stages of a fit.

    While a part of the backbone is frozen, its outputs are computed once for each image
    and augmented copy. They are kept until a stage needs others.

    Parameters
    ----------
    fitting : Fitting
        The fit.

    train, validation : Split
        The images. `validation` can be None.

    augmentation : Augmentation, callable, Keras layer or None
        Random changes of training images while no part of the backbone is frozen.

    copies : AugmentedCopies
        Copies of training images while a part is frozen.
    """

    fitting: Fitting
    train: Split
    validation: Split | None
    augmentation: object
    copies: AugmentedCopies
    _boundary: object = None
    _base: tuple = ()
    _features: tuple | None = None

    def make_batches(self, network, boundary):
        """Return training and validation data of a stage, and where their features are.

        Parameters
        ----------
        network : TransferNetwork
            The network before the stage.

        boundary : Boundary or None
            The boundary below the part that trains. None if no part is frozen.

        Returns
        -------
        batches, validation : Batches
            `validation` is None if there are no validation images.

        boundary : Boundary or None
            None if the batches have images instead of features.

        Warns
        -----
        UserWarning
            If there is too little space for the features.
        """
        if boundary is None:
            self._boundary, self._features = None, None
            augmented = {"augmentation": self.augmentation}
        else:
            self._keep_features(network, boundary)
            augmented = {"copies": self.copies}
        if self._features is None:
            batches = self._make(ImageBatches, self.train, **augmented)
            return batches, self._make(ImageBatches, self.validation), None
        of_train, of_validation = self._features
        return (
            self._make(FeatureBatches, self.train, features=of_train),
            self._make(FeatureBatches, self.validation, features=of_validation),
            boundary,
        )

    def _make(self, kind, split, **inputs):
        if split is None:
            return None
        return kind(
            split=split,
            batch_size=self.fitting.estimator.batch_size,
            seed=self.fitting.seeds["shuffle"] if split is self.train else None,
            epoch=self.fitting.epoch,
            **inputs,
        )

    def _keep_features(self, network, boundary):
        """Compute the features of a boundary, unless the last stage had the same."""
        base = network.backbone.arrays[: boundary.n_weights]
        if boundary == self._boundary and are_same(base, self._base):
            return
        self._boundary, self._base = boundary, base
        self._features = None  # frees the space of the last stage
        try:
            of_train = self._allocate(self.train, self.copies.n_copies, boundary)
            of_validation = self._allocate(self.validation, 0, boundary)
        except OSError as error:
            if not boundary.crossing:  # a head has always needed its features
                raise
            warnings.warn(
                "The frozen part of the network is computed again in each epoch, "
                f"because there is no space for its outputs: {error.strerror}.",
                stacklevel=2,
            )
            for split in filter(None, (self.train, self.validation)):
                with suppress(OSError):  # then images are read again too
                    split.images.keep_pixels()
            return
        self._fill(of_train, network, self.train, self.copies)
        self._fill(of_validation, network, self.validation, None)
        self._features = of_train, of_validation

    def _allocate(self, split, n_copies, boundary):
        if split is None:
            return None
        shape = len(split.positions), 1 + n_copies, boundary.n_features
        return allocate(shape, boundary.dtype)

    def _fill(self, features, network, split, copies):
        """Compute the features of a split, or read them from `memory`."""
        if split is None:
            return
        n_images, batch_size = len(features), self.fitting.estimator.batch_size
        is_given = network.is_given_below(self._boundary)
        batches = iterate_features(
            split.images,
            network.backbone_spec,
            network.backbone,
            batch_size=batch_size,
            memory=self.fitting.cache if is_given else None,
            positions=split.positions,
            copies=copies,
            boundary=self._boundary,
        )
        tasks = self.fitting.iterate(
            batches,
            -(-n_images // batch_size),
            "compute-features",
            f"Computing features of {n_images} images",
        )
        n_done = 0
        with closing(tasks):
            for batch in tasks:
                features[n_done : n_done + len(batch)] = batch
                n_done += len(batch)

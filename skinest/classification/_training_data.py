"""Training data of a classifier: labels, weights, features, batches of images."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import warnings
from dataclasses import dataclass, replace

import numpy as np
from sklearn.preprocessing import LabelEncoder
from sklearn.utils.multiclass import check_classification_targets

from .._apply_augmentation import apply_augmentation
from .._training._batches import Batches, PrefetchedBatches, Split
from .._training._features import AugmentedCopies, ResizedImages
from .._training._hold_out import (
    check_classes_can_be_split,
    check_fraction,
    resolve_validation_fraction,
    split_data,
)
from ..images import check_images
from ..utils._checks import (
    as_column,
    balance_weights,
    check_groups,
    check_training_weight,
    read_class_weight,
)


def encode_labels(y):
    """Return the sorted classes and the class index of each label.

    Raises
    ------
    ValueError
        If `y` is None, has no class labels, lacks a label, or has one class only.
    """
    if y is None:
        raise ValueError("y is None. Pass y, the label of each image.")
    y = as_column(y, "y")
    check_classification_targets(y)
    encoder = LabelEncoder()
    class_indices = encoder.fit_transform(y)
    classes = encoder.classes_
    if len(classes) < 2:
        raise ValueError(
            f"y holds one class only, {classes.tolist()[0]!r}, in {len(y)} images. A "
            "classifier needs images of two classes or more."
        )
    return classes, class_indices


def encode_known_labels(y, classes, n_images):
    """Return the index of each validation label among the training classes.

    Raises
    ------
    ValueError
        If the number of labels is wrong, or a label is not a training class.
    """
    y = as_column(y, "y_val")
    if len(y) != n_images:
        raise ValueError(
            f"X_val has {n_images} images, but y_val has {len(y)} entries. Pass one "
            "label for each image."
        )
    unknown = [label for label in np.unique(y).tolist() if label not in classes]
    if unknown:
        raise ValueError(
            f"y_val has the labels {unknown}, but the training images have "
            f"{classes.tolist()} only."
        )
    return np.searchsorted(classes, y)


def make_targets(class_indices, n_classes) -> np.ndarray:
    """Return target outputs: 0 or 1 for a sigmoid, one-hot for a softmax."""
    if n_classes == 2:
        return class_indices[:, np.newaxis].astype(np.float32)
    return np.eye(n_classes, dtype=np.float32)[class_indices]


def weigh_classes(class_weight, classes, class_indices, sample_weight) -> np.ndarray:
    """Return the weight of each class.

    An image of weight 2 counts as two images. A class whose images all have the weight
    0 gets the weight 1.

    Raises
    ------
    ValueError
        If a class is missing from a dict, or the dict has an unknown class.
    """
    if isinstance(class_weight, dict):
        return read_class_weight(class_weight, classes)
    if class_weight is None:
        return np.ones(len(classes))
    return balance_weights(np.bincount(class_indices, sample_weight, len(classes)))


@dataclass(kw_only=True)
class FeatureBatches(Batches):
    """Batches of features: of the image or a random copy of it in each epoch.

    Parameters
    ----------
    features : ndarray of shape (n_chosen, n_variants, n_features)
        Features of the images of the split and of their augmented copies.
    """

    features: np.ndarray

    @property
    def signature(self):
        return (
            (self.features.shape[2:], self.features.dtype),
            (self.split.targets.shape[1:], np.float32),
            ((), np.float32),
        )

    def begin_epoch(self, epoch):
        super().begin_epoch(epoch)
        self._variants = self.choose_variants(self.features.shape[1])

    def _make_batch(self, index, chosen):
        targets = self.split.targets[self.split.positions[chosen]]
        return self.features[chosen, self._variants[chosen]], targets


@dataclass(kw_only=True)
class ImageBatches(PrefetchedBatches):
    """Batches of images of one size.

    Parameters
    ----------
    augmentation : Augmentation, callable, Keras layer or None
        Random changes of the images, other ones in each epoch. It needs a seed.

    copies : AugmentedCopies, default=None
        Use the image or one of these copies in each epoch, instead of `augmentation`.
    """

    augmentation: object = None
    copies: AugmentedCopies | None = None

    @property
    def signature(self):
        return (
            ((*self.split.images.size, 3), np.uint8),
            (self.split.targets.shape[1:], np.float32),
            ((), np.float32),
        )

    def begin_epoch(self, epoch):
        super().begin_epoch(epoch)
        n_variants = 1 if self.copies is None else 1 + self.copies.n_copies
        self._variants = self.choose_variants(n_variants)

    def _read(self, places):
        chosen = self._order[places]
        positions = self.split.positions[chosen]
        pixels = list(map(self._augment, positions, self._variants[chosen]))
        return np.stack(pixels), self.split.targets[positions]

    def _augment(self, position, number):
        image = self.split.images[position]
        if number:
            return self.copies.make(image, number)
        if self.copies is None and self.augmentation is not None:
            generator = self._make_generator(position)
            return apply_augmentation(self.augmentation, image, generator)
        return image


def split_images(estimator, X, y, sample_weight, groups, X_val, y_val, seed):
    """Check images, labels and weights, and split them for training and validation.

    Images of weight 0 are left out.

    Returns
    -------
    classes : ndarray of shape (n_classes,)
    totals : ndarray of shape (n_classes,)
        Sum of the weights of the training images of each class.
    train : Split
    validation : Split or None
    """
    images = check_images(X, y)
    classes, indices = encode_labels(y)
    own = check_training_weight(sample_weight, len(indices))
    groups = check_groups(groups, len(indices))
    kept = np.flatnonzero(own)
    indices, own = indices[kept], own[kept]
    data = _make_split(estimator, images, kept, indices, own, len(classes))
    fraction = resolve_validation_fraction(estimator, X_val)
    groups = None if groups is None else groups[kept]
    train, validation = _split_by_class(data, fraction, groups, seed, indices, classes)
    # Images that are held out do not count, or the others would not be balanced.
    counted = indices[train.positions], own[train.positions]
    class_weights = weigh_classes(estimator.class_weight, classes, *counted)
    train = _weigh_training(train, class_weights[indices])
    totals = np.bincount(
        indices[train.positions], train.sample_weight[train.positions], len(classes)
    )
    if X_val is not None:
        images = check_images(X_val, name="X_val")
        indices = encode_known_labels(y_val, classes, len(images))
        rows = np.arange(len(images))
        ones = np.ones(len(images))
        validation = _make_split(estimator, images, rows, indices, ones, len(classes))
    if validation is not None:
        validation = _weigh(validation, class_weights[indices])
        validation = _check_validation(
            estimator, validation, indices[validation.positions], classes
        )
    return classes, totals, train, validation


def _split_by_class(data, fraction, groups, seed, indices, classes):
    """Return the training and the validation set, or None for the latter.

    Raises
    ------
    ValueError
        If there are too few images, in total or of one class, or too few groups.
    """
    if fraction is not None:
        check_classes_can_be_split(indices, fraction, groups, classes)
    check_fraction(fraction, len(indices), groups)
    contents = indices[:, np.newaxis] == np.arange(len(classes))
    train, validation = split_data(data, fraction, groups, seed, contents)
    if len(np.setdiff1d(indices, indices[train.positions])):
        raise ValueError(
            f"validation_fraction={fraction}: no split by groups has been found that "
            "has training images of every class. Pass X_val and y_val."
        )
    return train, validation


def _weigh(data, weights):
    """Return images with these weights of their classes too."""
    return replace(data, sample_weight=data.sample_weight * weights)


def _weigh_training(train, weights):
    """Return training images with scaled weights, without those of weight 0."""
    train = _weigh(train, weights)
    weighs = train.sample_weight[train.positions] > 0  # class weights can be 0
    if not weighs.any():
        raise ValueError(
            "All training images have the weight 0, because of sample_weight and "
            "class_weight. Raise a weight, or hold out other images."
        )
    return replace(train, positions=train.positions[weighs]).scale_weights()


def _check_validation(estimator, validation, class_indices, classes):
    """Return the validation set with scaled weights, and warn if it lacks a class."""
    if not validation.sample_weight[validation.positions].any():
        raise ValueError(
            "All validation images have the weight 0, because of class_weight. Raise a "
            "weight, or validate on other images."
        )
    absent = np.setdiff1d(np.arange(len(classes)), class_indices)
    if len(absent):
        if estimator.early_stopping and estimator.monitor == "val_auc":
            raise ValueError(
                "monitor='val_auc' needs validation images of all classes, but there "
                f"are none of {classes[absent].tolist()}. Choose another metric, or "
                "pass other images as X_val."
            )
        warnings.warn(
            f"There are no validation images of {classes[absent].tolist()}, so "
            "val_precision, val_recall and val_auc say nothing about these classes. "
            "Raise validation_fraction, use smaller groups, or pass other images as "
            "X_val.",
            UserWarning,
            stacklevel=2,
        )
    return validation.scale_weights()


def _make_split(estimator, images, rows, class_indices, sample_weight, n_classes):
    """Return the images of some rows with targets and weights."""
    return Split(
        ResizedImages(images, tuple(map(int, estimator.image_size)), rows),
        make_targets(class_indices, n_classes),
        sample_weight,
        sample_weight,
        np.arange(len(rows)),
    )

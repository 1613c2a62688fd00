"""Training data of a classifier: labels, weights, features, batches of images."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from contextlib import closing
from dataclasses import dataclass

import numpy as np
from sklearn.preprocessing import LabelEncoder
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets

from .._apply_augmentation import apply_augmentation
from .._training._batches import Batches, PrefetchedBatches, Split, allocate
from .._training._features import AugmentedCopies, ResizedImages, iterate_features
from .._training._network_estimator import resolve_validation_fraction, split_data
from ..images import check_images
from ..networks._transfer_network import count_features
from ..utils._checks import as_column, check_sample_weight, read_class_weight
from ..utils._deprecation import renamed_parameter


def encode_labels(y):
    """Return the sorted classes and the class index of each label.

    Raises
    ------
    ValueError
        If `y` is None, has no class labels, or has one class only.
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


def weigh_classes(class_weight, classes, class_indices) -> np.ndarray:
    """Return the weight of each class.

    Raises
    ------
    ValueError
        If a class is missing from a dict, or the dict has an unknown class.
    """
    if isinstance(class_weight, dict):
        return read_class_weight(class_weight, classes)
    numbers = np.arange(len(classes))
    return compute_class_weight(class_weight, classes=numbers, y=class_indices)


def make_objective(n_outputs) -> dict:
    """Return loss and metrics, as arguments for Keras' `compile`."""
    from keras import metrics

    if n_outputs == 1:
        loss, accuracy = "binary_crossentropy", metrics.BinaryAccuracy
    else:
        loss, accuracy = "categorical_crossentropy", metrics.CategoricalAccuracy
    return {
        "loss": loss,
        "metrics": [
            accuracy(name="accuracy"),
            metrics.Precision(name="precision"),
            metrics.Recall(name="recall"),
            metrics.AUC(name="auc"),
        ],
    }


@dataclass(kw_only=True)
class FeatureBatches(Batches):
    """Batches of features: of the image or a random copy of it in each epoch.

    Without a seed, no copies are used.

    Parameters
    ----------
    features : ndarray of shape (n_chosen, n_variants, n_features)
        Features of the images of the split and of their augmented copies.
    """

    features: np.ndarray

    @property
    def signature(self):
        return (
            (self.features.shape[2:], np.float32),
            (self.split.targets.shape[1:], np.float32),
            ((), np.float32),
        )

    def begin_epoch(self, epoch):
        super().begin_epoch(epoch)
        n_images, n_variants = self.features.shape[:2]
        self._variant = np.zeros(n_images, dtype=int)
        if self.seed is not None:
            generator = np.random.default_rng([self.seed, epoch, 1])
            self._variant = generator.integers(n_variants, size=n_images)

    def _make_batch(self, index, chosen):
        targets = self.split.targets[self.split.positions[chosen]]
        return self.features[chosen, self._variant[chosen]], targets


@dataclass(kw_only=True)
class ImageBatches(PrefetchedBatches):
    """Batches of images of one size, augmented again in each epoch.

    Parameters
    ----------
    augmentation : Augmentation, callable, Keras layer or None
        Random changes of the images. It needs a seed.
    """

    augmentation: object

    @property
    def signature(self):
        return (
            ((*self.split.images.size, 3), np.uint8),
            (self.split.targets.shape[1:], np.float32),
            ((), np.float32),
        )

    def _read(self, chosen):
        positions = self.split.positions[chosen]
        pixels = []
        for position in positions:
            image = self.split.images[position]
            if self.augmentation is not None:
                generator = self._make_generator(position)
                image = apply_augmentation(self.augmentation, image, generator)
            pixels.append(image)
        return np.stack(pixels), self.split.targets[positions]


def split_images(estimator, X, y, sample_weight, groups, X_val, y_val, seed):
    """Check images, labels and weights, and split them for training and validation.

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
    class_weights = weigh_classes(estimator.class_weight, classes, indices)
    own = check_sample_weight(sample_weight, len(indices))
    weights = own * class_weights[indices]
    data = _make_split(estimator, images, indices, weights, classes)
    fraction = resolve_validation_fraction(estimator, X_val)
    train, validation = split_data(data, fraction, groups, seed, indices, classes)
    totals = np.bincount(
        indices[train.positions], data.sample_weight[train.positions], len(classes)
    )
    if X_val is not None:
        images = check_images(X_val, name="X_val")
        indices = encode_known_labels(y_val, classes, len(images))
        weights = class_weights[indices]
        validation = _make_split(estimator, images, indices, weights, classes)
    return classes, totals, train, validation


def _make_split(estimator, images, class_indices, weights, classes):
    """Return all images with targets and weights.

    Resized images are stored in memory if a stage trains the backbone, because it
    needs each image in each epoch.
    """
    n_images, size = len(images), tuple(map(int, estimator.image_size))
    is_kept = {estimator.trainable, estimator.fine_tune} - {"head", None}
    pixels = allocate((n_images, *size, 3), np.uint8) if is_kept else None
    return Split(
        ResizedImages(images, size, pixels),
        make_targets(class_indices, len(classes)),
        weights.astype(np.float32),
        np.arange(n_images),
    )


def make_copies(estimator, augmentation, seed):
    """Return the augmented copies that a head is trained on, besides the images."""
    n_copies = renamed_parameter(
        "n_views", estimator.n_views, "n_augmented_copies", estimator.n_augmented_copies
    )
    n_copies = 0 if augmentation is None else n_copies
    return AugmentedCopies(n_copies, augmentation, seed)


def collect_features(fitting, network, split, copies):
    """Compute the features of a split, or return None if there is no split."""
    if split is None:
        return None
    batch_size = fitting.estimator.batch_size
    n_variants = 1 if copies is None else 1 + copies.n_copies
    shape = len(split.positions), n_variants, count_features(network.backbone_spec)
    features, n_done = allocate(shape, np.float32), 0
    batches = iterate_features(
        split.images,
        network.backbone_spec,
        network.backbone,
        batch_size=batch_size,
        memory=fitting.cache if network.is_backbone_given else None,
        positions=split.positions,
        copies=copies,
    )
    n_images = len(split.positions)
    tasks = fitting.iterate(
        batches,
        -(-n_images // batch_size),
        "compute-features",
        f"Computing features of {n_images} images",
    )
    with closing(tasks):
        for batch in tasks:
            features[n_done : n_done + len(batch)] = batch
            n_done += len(batch)
    return features


def make_batches(fitting, split, features, augmentation=None, seed=None):
    """Return batches of features or, if `features` is None, of images."""
    if split is None:
        return None
    settings = {
        "split": split,
        "batch_size": fitting.estimator.batch_size,
        "seed": seed,
        "epoch": fitting.epoch,
    }
    if features is None:
        return ImageBatches(augmentation=augmentation, **settings)
    return FeatureBatches(features=features, **settings)

"""Images to labels by a pretrained network."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import os
from contextlib import closing
from functools import partial
from numbers import Integral, Real

import joblib
import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from .._apply_augmentation import check_augmentation
from .._cache import Cache
from .._compat import (
    Interval,
    StrOptions,
    fit_context,
    resolve_compute_dtype,
    with_callbacks,
)
from .._training._batches import Split, allocate
from .._training._features import AugmentedCopies, ResizedImages, iterate_features
from .._training._models import borrow_model, train_network
from .._training._network_estimator import (
    LEARNING_RATE,
    NetworkEstimator,
    make_output_bias,
    split_data,
)
from ..images import check_images
from ..networks._backbones import BACKBONES, MIN_SIDE, list_stages
from ..networks._transfer_network import (
    BackboneSpec,
    HeadSpec,
    TransferNetwork,
    check_hidden_units,
    count_features,
    make_random_head,
)
from ..networks._weights import load_backbone_weights, save_backbone_weights
from ..utils._checks import check_image_size, check_sample_weight
from ..utils._deprecation import DEPRECATED, NOT_PASSED, renamed_parameter
from ._docs import NOTES, STAGES, parameters
from ._training_data import (
    FeatureBatches,
    ImageBatches,
    encode_known_labels,
    encode_labels,
    make_objective,
    make_targets,
    weigh_classes,
)


class TransferClassifier(ClassifierMixin, NetworkEstimator):
    __doc__ = f"""Classify images by a pretrained network with a new head.

    Preprocessing, the backbone, pooling, dense layers and a sigmoid, or a softmax for
    more than two classes, make one network. It trains in one or two stages. While the
    backbone is frozen, its features of each image are computed once, and only the
    head is trained on them.

    Parameters
    ----------
    backbone : {{"vgg16", "vgg19", "mobilenetv2"}}, default="vgg16"
        The network of `keras.applications` that the head stands on.

    {parameters(STAGES)}

    See Also
    --------
    VGGTransferClassifier : The same for VGG16 and VGG19.
    BottleneckFeatureExtractor : Features for any other classifier.

    Notes
    -----
    {NOTES}

    References
    ----------
    M. Sandler et al., "MobileNetV2: inverted residuals and linear bottlenecks",
    CVPR 2018.

    Examples
    --------
    >>> from skinest import TransferClassifier
    >>> from skinest.datasets import make_dermoscopy
    >>> images, y = make_dermoscopy(20, random_state=0, return_X_y=True)
    >>> clf = TransferClassifier(
    ...     "mobilenetv2", weights=None, image_size=(32, 32), pooling="avg",
    ...     hidden_units=(), epochs=2, random_state=0,
    ... )
    >>> clf.fit(images, y).predict_proba(images).shape
    (20, 2)
    """

    _metrics = ("loss", "accuracy", "precision", "recall", "auc")
    _seeded = ("weights", "head", "copies", "hold_out", "shuffle", "dropout")
    _learning_rates = ("learning_rate", "fine_tune_learning_rate")

    _parameter_constraints: dict = {
        **NetworkEstimator._parameter_constraints,
        "backbone": [StrOptions({"vgg16", "vgg19", "mobilenetv2"})],
        "weights": [str, os.PathLike, None],
        "hidden_units": [tuple, list],
        "pooling": [StrOptions({"flatten", "avg", "max"})],
        "l2": [Interval(Real, 0, None, closed="left")],
        "trainable": [str],
        "fine_tune": [str, None],
        "fine_tune_epochs": [Interval(Integral, 1, None, closed="left")],
        "fine_tune_learning_rate": LEARNING_RATE,
        "n_augmented_copies": [Interval(Integral, 1, None, closed="left")],
        "memory": [str, os.PathLike, joblib.Memory, None],
        "n_views": [Interval(Integral, 1, None, closed="left"), NOT_PASSED],
    }

    def __init__(
        self,
        backbone="vgg16",
        *,
        weights="imagenet",
        image_size=(224, 224),
        hidden_units=(512,),
        pooling="flatten",
        dropout=0.5,
        l2=0.0,
        trainable="head",
        epochs=50,
        learning_rate=1e-4,
        optimizer="adam",
        batch_size=32,
        fine_tune=None,
        fine_tune_epochs=20,
        fine_tune_learning_rate=1e-6,
        class_weight=None,
        augmentation=None,
        n_augmented_copies=3,
        validation_fraction=None,
        early_stopping=False,
        n_iter_no_change=10,
        monitor="val_loss",
        compute_dtype="auto",
        memory=None,
        keras_callbacks=None,
        warm_start=False,
        random_state=None,
        verbose=0,
        n_views=DEPRECATED,
    ):
        self.backbone = backbone
        self.weights = weights
        self.image_size = image_size
        self.hidden_units = hidden_units
        self.pooling = pooling
        self.dropout = dropout
        self.l2 = l2
        self.trainable = trainable
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.optimizer = optimizer
        self.batch_size = batch_size
        self.fine_tune = fine_tune
        self.fine_tune_epochs = fine_tune_epochs
        self.fine_tune_learning_rate = fine_tune_learning_rate
        self.class_weight = class_weight
        self.augmentation = augmentation
        self.n_augmented_copies = n_augmented_copies
        self.validation_fraction = validation_fraction
        self.early_stopping = early_stopping
        self.n_iter_no_change = n_iter_no_change
        self.monitor = monitor
        self.compute_dtype = compute_dtype
        self.memory = memory
        self.keras_callbacks = keras_callbacks
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose
        self.n_views = n_views

    @with_callbacks
    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, *, sample_weight=None, groups=None, X_val=None, y_val=None):
        """Train the network.

        Parameters
        ----------
        X : array, list of arrays or paths of length n_images
            Training images, see :mod:`skinest.images`.

        y : array-like of shape (n_images,)
            Their labels, of two classes or more.

        sample_weight : array-like of shape (n_images,), default=None
            Weights of images in the loss, multiplied by those of `class_weight`.

        groups : array-like of shape (n_images,), default=None
            What images belong together, such as lesions: none is on both sides of
            the split by `validation_fraction`, their only use.

        X_val : array, list of arrays or paths, default=None
            Images to validate on, in place of `validation_fraction`.

        y_val : array-like, default=None
            Their labels, of which the training images have each.

        Returns
        -------
        self : TransferClassifier
            The fitted classifier.

        Raises
        ------
        ValueError
            If an argument is wrong, a class has too few images to be split, a
            file of weights does not fit the backbone, or `warm_start` meets other
            classes or another network than the last fit's.
        OSError
            If ImageNet's weights cannot be downloaded, or a file is missing.
        """
        self._check_settings(X_val, y_val)
        augmentation = self.augmentation
        if augmentation is not None:
            augmentation = check_augmentation(augmentation)
        seeds = self._make_seeds()
        copies = self._make_copies(augmentation, seeds["copies"])
        classes, totals, train, validation = self._split(
            X, y, sample_weight, groups, X_val, y_val, seeds["hold_out"]
        )
        network = self._start(classes, totals, seeds)
        stages, n_tasks = self._list_stages()
        if "head" in (self.trainable, self.fine_tune):  # passes that compute features
            n_tasks += 1 if validation is None else 2
        fitting = self._begin_fit(X, y, seeds, n_tasks)
        features = None, None
        for trainable, epochs, rate in stages:
            if trainable != "head":  # the backbone changes
                features = None, None
            elif features[0] is None:
                features = (
                    self._collect_features(fitting, network, train, copies),
                    self._collect_features(fitting, network, validation, None),
                )

            def collect_attributes(arrays, network=network, trainable=trainable):
                return {
                    "classes_": classes,
                    "_network": network.replace_weights(trainable, arrays),
                    "_trainable": self.fine_tune or self.trainable,
                    "_model": None,
                }

            arrays = train_network(
                fitting,
                **network.describe_training(trainable, self.l2),
                objective=partial(make_objective, network.head_spec.n_outputs),
                batches=self._make_batches(
                    fitting, train, features[0], augmentation, seeds["shuffle"]
                ),
                validation=self._make_batches(fitting, validation, features[1]),
                epochs=epochs,
                learning_rate=rate,
                attributes_of=collect_attributes,
            )
            attributes = collect_attributes(arrays)
            network = attributes["_network"]
            if fitting.stopped:
                break
        self._end_fit(fitting, attributes)
        return self

    def predict_proba(self, X):
        """Predict the probability of each class.

        Parameters
        ----------
        X : array, list of arrays or paths of length n_images
            Images, see :mod:`skinest.images`.

        Returns
        -------
        probabilities : ndarray of shape (n_images, n_classes), dtype float32
            In the order of `classes_`.
        """
        check_is_fitted(self)
        network = self._network
        description = network.describe_training("head", 0)
        batches = iterate_features(
            ResizedImages(check_images(X), network.backbone_spec.image_size),
            network.backbone_spec,
            network.backbone,
            batch_size=self.batch_size,
            memory=self.memory if network.is_backbone_given else None,
        )
        outputs = []
        with (
            borrow_model(description["key"], description["build"]) as head,
            closing(batches),
        ):
            head.load(network.head)
            for features in batches:
                outputs.append(head.predict(features[:, 0], self.batch_size))
        outputs = np.concatenate(outputs)
        return np.hstack([1 - outputs, outputs]) if len(self.classes_) == 2 else outputs

    def predict(self, X):
        """Predict the most probable class of each image.

        Parameters
        ----------
        X : array, list of arrays or paths of length n_images
            Images, see :mod:`skinest.images`.

        Returns
        -------
        labels : ndarray of shape (n_images,)
            Labels, as they were in `y`.
        """
        check_is_fitted(self)
        return self.classes_[self.predict_proba(X).argmax(axis=1)]

    @property
    def model_(self):
        """The fitted network as one flat Keras model."""
        check_is_fitted(self)
        if self._model is None:
            self._model = self._network.build(self._trainable)
        return self._model

    def save_backbone(self, path):
        """Save the weights of the backbone, to give as `weights` or to Keras.

        Parameters
        ----------
        path : str or path
            The file; its name ends in ".weights.h5". The network of
            `keras.applications` without its top can load it.

        Raises
        ------
        ValueError
            If the name ends otherwise.
        """
        check_is_fitted(self)
        network = self._network
        save_backbone_weights(network.backbone_spec.backbone, network.backbone, path)

    def _check_settings(self, X_val, y_val):
        """Raise ValueError for what the constraints of parameters cannot say."""
        check_image_size(self.image_size, MIN_SIDE)
        names = list_stages(self.backbone)
        for name in ("trainable", "fine_tune"):
            value = getattr(self, name)
            if value not in (*names, None):
                raise ValueError(
                    f"{name}={value!r} is no part of {self.backbone}: choose one of "
                    f"{', '.join(names)}."
                )
        check_hidden_units(self.hidden_units)
        self._check_training(X_val, y_val)
        if self.memory is not None:
            Cache(self.memory)

    def _split(self, X, y, sample_weight, groups, X_val, y_val, seed):
        """Check images, labels and weights, and hold images out.

        Returns
        -------
        classes : ndarray of shape (n_classes,)
        totals : ndarray of shape (n_classes,)
            What the images of each class that are trained on weigh in all.
        train : Split
        validation : Split or None
        """
        images = check_images(X, y)
        classes, indices = encode_labels(y)
        class_weights = weigh_classes(self.class_weight, classes, indices)
        own = check_sample_weight(sample_weight, len(indices))
        data = self._make_split(images, indices, own * class_weights[indices], classes)
        fraction = self.validation_fraction if X_val is None else None
        train, validation = split_data(data, fraction, groups, seed, indices, classes)
        at = train.positions
        totals = np.bincount(indices[at], data.sample_weight[at], len(classes))
        if X_val is not None:
            images = check_images(X_val, name="X_val")
            indices = encode_known_labels(y_val, classes, len(images))
            weights = class_weights[indices]
            validation = self._make_split(images, indices, weights, classes)
        return classes, totals, train, validation

    def _make_split(self, images, class_indices, weights, classes):
        """Return all images with targets and weights, kept where they are read again.

        A stage that trains the backbone takes each image in each epoch.
        """
        n_images, size = len(images), tuple(map(int, self.image_size))
        is_kept = {self.trainable, self.fine_tune} - {"head", None}
        pixels = allocate((n_images, *size, 3), np.uint8) if is_kept else None
        return Split(
            ResizedImages(images, size, pixels),
            make_targets(class_indices, len(classes)),
            weights.astype(np.float32),
            np.arange(n_images),
        )

    def _start(self, classes, totals, seeds):
        """Return the network before training, or that of the last fit."""
        preferred = BACKBONES[self.backbone].compute_dtype
        backbone_spec = BackboneSpec(
            self.backbone,
            tuple(map(int, self.image_size)),
            self.pooling,
            resolve_compute_dtype(self.compute_dtype, preferred),
        )
        n_outputs = 1 if len(classes) == 2 else len(classes)
        units = tuple(map(int, self.hidden_units))
        head_spec = HeadSpec(units, float(self.dropout), float(self.l2), n_outputs)
        if self.warm_start and hasattr(self, "_network"):
            self._check_continues(classes, backbone_spec, head_spec)
            return self._network
        backbone = load_backbone_weights(self.backbone, self.weights, seeds["weights"])
        n_features = count_features(backbone_spec)
        head = make_random_head(n_features, (*units, n_outputs), seeds["head"])
        head[-1] = make_output_bias(totals)
        return TransferNetwork(backbone_spec, head_spec, backbone, tuple(head))

    def _check_continues(self, classes, backbone_spec, head_spec):
        """Raise ValueError unless `warm_start` can go on from the last fit."""
        if not np.array_equal(self.classes_, classes):
            raise ValueError(
                f"warm_start: y holds {classes.tolist()}, but that of the last fit "
                f"{self.classes_.tolist()}. Set warm_start=False to start anew."
            )
        last = self._network
        if (backbone_spec, head_spec) != (last.backbone_spec, last.head_spec):
            raise ValueError(
                "warm_start: the network's settings differ from those of the last fit. "
                "Put backbone, image_size, pooling, hidden_units, dropout, l2 and "
                "compute_dtype back, or set warm_start=False to start anew."
            )

    def _make_copies(self, augmentation, seed):
        """Return what a head is trained on beside the images themselves."""
        n_copies = renamed_parameter(
            "n_views", self.n_views, "n_augmented_copies", self.n_augmented_copies
        )
        n_copies = 0 if augmentation is None else n_copies
        return AugmentedCopies(n_copies, augmentation, seed)

    def _list_stages(self):
        """List the lowest part, epochs and rate of each stage; count all epochs."""
        rate = self.learning_rate if isinstance(self.optimizer, str) else None
        stages = [(self.trainable, self.epochs, rate)]
        if self.fine_tune is None:
            return stages, self.epochs
        rate = self.fine_tune_learning_rate
        stages.append((self.fine_tune, self.fine_tune_epochs, rate))
        return stages, self.epochs + self.fine_tune_epochs

    def _collect_features(self, fitting, network, split, copies):
        """Compute the features of a split, if there is one."""
        if split is None:
            return None
        n_variants = 1 if copies is None else 1 + copies.n_copies
        shape = len(split.positions), n_variants, count_features(network.backbone_spec)
        features, n_done = allocate(shape, np.float32), 0
        batches = iterate_features(
            split.images,
            network.backbone_spec,
            network.backbone,
            batch_size=self.batch_size,
            memory=self.memory if network.is_backbone_given else None,
            positions=split.positions,
            copies=copies,
        )
        n_batches = -(-len(split.positions) // self.batch_size)
        with closing(fitting.iterate(batches, n_batches, "compute-features")) as tasks:
            for batch in tasks:
                features[n_done : n_done + len(batch)] = batch
                n_done += len(batch)
        return features

    def _make_batches(self, fitting, split, features, augmentation=None, seed=None):
        """Return batches of features, or of images where there are none."""
        if split is None:
            return None
        settings = {
            "split": split,
            "batch_size": self.batch_size,
            "seed": seed,
            "epoch": fitting.epoch,
        }
        if features is None:
            return ImageBatches(augmentation=augmentation, **settings)
        return FeatureBatches(features=features, **settings)

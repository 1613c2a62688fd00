"""Images to labels by a pretrained network."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import os
from functools import partial
from numbers import Integral, Real

import joblib
import numpy as np
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.callback import with_callbacks
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from .._augmenting import check_augmentation
from .._training._estimator import NetworkEstimator
from ..images import check_images
from ._docs import NOTES, parameters

_MAX_SEED = np.iinfo(np.int32).max


_STAGES = """\
a stage ("block5" to "block1" of VGG16 and VGG19; "Conv_1", "block_16" to "block_1"
        and "expanded_conv" of MobileNetV2)"""


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

    {parameters(_STAGES)}

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

    _parameter_constraints: dict = {
        "backbone": [StrOptions({"vgg16", "vgg19", "mobilenetv2"})],
        "weights": [str, os.PathLike, None],
        "image_size": [tuple, list],
        "hidden_units": [tuple, list],
        "pooling": [StrOptions({"flatten", "avg", "max"})],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "l2": [Interval(Real, 0, None, closed="left")],
        "trainable": [str],
        "epochs": [Interval(Integral, 1, None, closed="left")],
        "learning_rate": [
            Interval(Real, 0, None, closed="neither"),
            HasMethods(["get_config", "__call__"]),
        ],
        "optimizer": [str, HasMethods(["get_config", "apply"])],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "fine_tune": [str, None],
        "fine_tune_epochs": [Interval(Integral, 1, None, closed="left")],
        "fine_tune_learning_rate": [
            Interval(Real, 0, None, closed="neither"),
            HasMethods(["get_config", "__call__"]),
        ],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "augmentation": [callable, None],
        "n_views": [Interval(Integral, 1, None, closed="left")],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither"), None],
        "early_stopping": ["boolean"],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "monitor": [str],
        "compute_dtype": [StrOptions({"auto", "float32", "bfloat16"})],
        "memory": [str, os.PathLike, joblib.Memory, None],
        "keras_callbacks": [list, tuple, None],
        "warm_start": ["boolean"],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
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
        n_views=3,
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
        self.n_views = n_views
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

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=True)
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
        from ._fitting import Fit
        from ._preparing import (
            SEEDS,
            check_settings,
            parts_of,
            plans_of,
            start_of,
            views_of,
        )

        check_settings(self)
        augmentation = check_augmentation(self.augmentation)
        rng = check_random_state(self.random_state)
        seeds = {name: rng.randint(_MAX_SEED) for name in SEEDS}
        classes, codes, train, validation = parts_of(
            self, X, y, sample_weight, groups, X_val, y_val, seeds["hold_out"]
        )
        state = start_of(self, classes, codes, train.sample_weight, seeds)
        plans = plans_of(self)
        fitting = Fit(
            settings=self,
            train_part=train,
            validation_part=validation,
            views=views_of(self, augmentation, seeds),
            augmentation=augmentation,
            seeds=seeds,
            context=self._open_context(plans, validation),
            hook_arguments={"estimator": self, "X": X, "y": y},
            attributes_of=partial(_attributes, classes=classes),
            first_epoch=self._n_done(),
        )
        fitting.context.call_on_fit_task_begin(**fitting.hook_arguments)
        attributes = _attributes(fitting.run(state, plans), classes)
        vars(self).update(attributes)
        self._keep_records(fitting)
        self._lowest = self.fine_tune or self.trainable
        fitting.context.call_on_fit_task_end(
            **fitting.hook_arguments, reconstruction_attributes=attributes
        )
        return self

    def predict_proba(self, X):
        """Probabilities of the classes.

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
        from ._fitting import probabilities

        outputs = probabilities(self._state, check_images(X), self)
        return np.hstack([1 - outputs, outputs]) if len(self.classes_) == 2 else outputs

    def predict(self, X):
        """The most probable class of each image.

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
        from ._fitting import network_of

        if self._model is None:
            self._model = network_of(self._state, self._lowest)
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
        from ..networks._weights import save_backbone_weights

        backbone = self._state.trunk_spec.backbone
        save_backbone_weights(backbone, self._state.trunk, path)

    def _open_context(self, plans, validation):
        """Epochs of all stages, and a pass over the images for each set of features."""
        n_passes = 1 if validation is None else 2
        has_head = any(plan.lowest == "head" for plan in plans)
        n_epochs = sum(plan.epochs for plan in plans)
        return self._init_callback_context(max_subtasks=n_epochs + has_head * n_passes)


class VGGTransferClassifier(TransferClassifier):
    __doc__ = f"""Classify images by VGG16 or VGG19 with a new head.

    Preprocessing, the backbone, pooling, dense layers and a sigmoid, or a softmax for
    more than two classes, make one network. It trains in one or two stages. While the
    backbone is frozen, its features of each image are computed once, and only the
    head is trained on them.

    Parameters
    ----------
    backbone : {{"vgg16", "vgg19"}}, default="vgg16"
        The network of `keras.applications` that the head stands on.

    {parameters('"block5" to "block1"')}

    See Also
    --------
    TransferClassifier : The same for more backbones.
    BottleneckFeatureExtractor : Features for any other classifier.

    Notes
    -----
    {NOTES}

    References
    ----------
    K. Simonyan and A. Zisserman, "Very deep convolutional networks for large-scale
    image recognition", ICLR 2015, arXiv:1409.1556.

    Examples
    --------
    Benign or malignant: the head alone, on ImageNet's features.

    >>> from skinest import VGGTransferClassifier
    >>> from skinest.augmentation import Augmentation
    >>> task1 = VGGTransferClassifier(
    ...     epochs=100, learning_rate=1e-5, batch_size=32, dropout=0.5,
    ...     class_weight="balanced", augmentation=Augmentation(),
    ...     validation_fraction=0.15, early_stopping=True, n_iter_no_change=10,
    ... )

    Seven diagnoses: block5 and the head, then all layers.

    >>> task2 = VGGTransferClassifier(
    ...     trainable="block5", epochs=35, learning_rate=1e-4,
    ...     fine_tune="all", fine_tune_epochs=20, fine_tune_learning_rate=1e-6,
    ...     batch_size=128, l2=5e-4, class_weight="balanced",
    ...     augmentation=Augmentation(zoom=0.1, vertical_flip=True),
    ...     validation_fraction=0.15, early_stopping=True, n_iter_no_change=15,
    ... )

    From scratch, on images of 32 x 32 pixels:

    >>> from skinest.datasets import make_dermoscopy
    >>> images, y = make_dermoscopy(20, random_state=0, return_X_y=True)
    >>> clf = VGGTransferClassifier(
    ...     weights=None, image_size=(32, 32), hidden_units=(16,), epochs=2,
    ...     random_state=0,
    ... )
    >>> clf.fit(images, y).predict_proba(images).shape
    (20, 2)
    """

    _parameter_constraints: dict = {
        **TransferClassifier._parameter_constraints,
        "backbone": [StrOptions({"vgg16", "vgg19"})],
    }


def _attributes(state, classes):
    """What makes an estimator ready to predict."""
    return {"classes_": classes, "_state": state, "_model": None}

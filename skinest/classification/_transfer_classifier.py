"""Images to labels by a pretrained network."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import os
from functools import partial
from numbers import Integral, Real
from typing import TYPE_CHECKING, Self

import numpy as np
from sklearn.base import ClassifierMixin

from .._apply_augmentation import check_augmentation
from .._compat import (
    Interval,
    StrOptions,
    fit_context,
    resolve_compute_dtype,
    with_callbacks,
)
from .._training._models import train_network
from .._training._network_estimator import (
    LEARNING_RATE,
    NetworkEstimator,
    make_output_bias,
)
from ..networks._backbones import BACKBONES, MIN_SIDE, check_stage
from ..networks._transfer_network import (
    BackboneSpec,
    HeadSpec,
    TransferNetwork,
    check_hidden_units,
    count_features,
    make_random_head,
)
from ..networks._weights import load_backbone_weights
from ..utils._checks import check_image_size
from ..utils._deprecation import DEPRECATED, NOT_PASSED
from ._class_prediction import ClassPredictionMixin
from ._training_data import (
    collect_features,
    make_batches,
    make_copies,
    make_objective,
    split_images,
)

if TYPE_CHECKING:
    from .. import _typing as t


class TransferClassifier(ClassPredictionMixin, ClassifierMixin, NetworkEstimator):
    """Classify images by a pretrained network with a new head.

    Preprocessing, the backbone, pooling, dense layers and a sigmoid, or a softmax for
    more than two classes, make one network. It trains in one or two stages. While the
    backbone is frozen, its features of each image are computed once, and only the
    head is trained on them.

    Parameters
    ----------
    backbone : {"vgg16", "vgg19", "mobilenetv2"}, default="vgg16"
        The network of `keras.applications` that makes features of images.

    weights : "imagenet", str, path or None, default="imagenet"
        Where the backbone's weights are from. "imagenet" is what `keras.applications`
        downloads once. A path names a file that Keras' `save_weights` wrote of this
        network, with or without its top, or one by
        :meth:`TransferClassifier.save_backbone`. None starts from random ones (He et
        al. 2015).

    image_size : tuple of int, default=(224, 224)
        (height, width) in pixels, 32 or more, that images are resized to.

    hidden_units : tuple of int, default=()
        Units of each dense ReLU layer between features and output; ``()`` is none.

    pooling : {"avg", "max", "flatten"}, default="avg"
        How the backbone's last feature maps, of shape (rows, columns, channels), become
        a vector: the mean or maximum of each channel, or all values.

    dropout : float, default=0.5
        Rate of dropout after each hidden layer, or before the output where there is
        none, in [0, 1).

    l2 : float or "auto", default="auto"
        L2 penalty on the kernel of each layer that trains. "auto" is 0.1 on the kernel
        of the output alone, and none on hidden layers and the backbone.

    trainable : str, default="head"
        The lowest part of the network that trains in the first stage: "head", a stage
        ("block5" to "block1" of VGG16 and VGG19; "Conv_1", "block_16" to "block_1" and
        "expanded_conv" of MobileNetV2), or "all". All above it trains too; batch
        normalisation never does.

    epochs : int, default=50
        Passes over the images in the first stage.

    learning_rate : float or LearningRateSchedule, default=1e-3
        Learning rate of the first stage, where `optimizer` is a name. The default suits
        a head on a frozen backbone; use 1e-4 or less where `trainable` names more.

    optimizer : str or keras.optimizers.Optimizer, default="adam"
        What trains both stages, by Keras' name or as an object, which is copied and
        whose own learning rate holds in the first stage.

    batch_size : int, default=32
        Images in a step of training, and through the network at a time.

    fine_tune : str, default=None
        The lowest part that trains in a second stage, which starts from the weights
        that the first ended with. None means no second stage.

    fine_tune_epochs : int, default=20
        Passes over the images in the second stage.

    fine_tune_learning_rate : float or LearningRateSchedule, default=1e-6
        Learning rate of the second stage.

    class_weight : dict, "balanced" or None, default=None
        Weights of classes in the loss, as ``{label: weight}`` in the labels of `y`.
        "balanced" is n_images / (n_classes * n_images_of_class).

    augmentation : Augmentation, callable or keras.layers.Layer, default=None
        What changes training images at random, see
        :class:`skinest.Augmentation`. A callable is called with an
        image, a ``uint8`` array of shape (height, width, 3) and of `image_size`, and
        a :class:`numpy.random.Generator`, and returns such an image.

    n_augmented_copies : int, default=3
        With `augmentation`, the number of augmented copies of each image that a head
        is trained on beside the image itself, where the head trains alone: each epoch
        takes the image or one of its copies at random. Where the backbone trains,
        every epoch makes new ones.

    validation_fraction : float, default=None
        The share of the training images that is held out and measured after each
        epoch, in (0, 1): stratified by class, or by whole `groups`. None is 0.1 where
        `early_stopping` needs held-out images and `X_val` is not given, else it holds
        none out.

    early_stopping : bool, default=False
        Stop a stage when `monitor` has not improved for `n_iter_no_change` epochs. The
        weights of the stage's best epoch are restored even if all epochs ran; an
        earlier stage's do not count, even where they were better.

    n_iter_no_change : int, default=10
        How many epochs to wait for an improvement.

    monitor : str, default="val_loss"
        What early stopping looks at: "loss", "accuracy", "precision", "recall" or
        "auc", with ``"val_"`` before it for the held-out images.

    compute_dtype : {"auto", "float32", "bfloat16"}, default="auto"
        Floating-point precision of the backbone. "auto" is bfloat16 for VGG16 and VGG19
        on a processor that has it, and float32 otherwise. Weights and outputs are
        float32 either way.

    memory : str, path or joblib.Memory, default=None
        Where features are kept, so that a search over settings of the head computes
        each of them once. A file is known by its path, size and times of change, an
        array by its content. Give `random_state` an integer, so that augmented copies
        and random weights are the same in every fit.

    keras_callbacks : list of keras.callbacks.Callback, default=None
        Called in training, on copies.

    warm_start : bool, default=False
        Go on from the weights that the last `fit` ended with. Epochs, `history_` and
        `n_iter_` are counted on; the optimizer starts anew. With `validation_fraction`
        give `random_state` an integer, so that the same images stay held out.

    random_state : int, RandomState instance or None, default=None
        Seeds weights, validation images, order, augmentation and dropout. The same
        integer gives the same bits on a processor; no global state is touched.

    verbose : int, default=0
        Above 0, each pass over the images prints a line.

    n_views : int
        The old name of `n_augmented_copies`.

        .. deprecated:: 0.1
           It will be removed in 0.2.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted.

    model_ : keras.Model
        The fitted network as one flat Keras model, from RGB images of
        `image_size`, an array of shape (n_images, height, width, 3) and values 0 to
        255, to probabilities: of ``classes_[1]`` where there are two classes, else of
        each. It is a copy, for Grad-CAM, export and the like: training it changes no
        prediction here.

    history_ : dict of str to list of float
        Loss, accuracy, precision, recall and AUC after each epoch of all stages, and
        ``"val_"`` of each where there are validation images. With more than two classes
        precision and recall count each class' probability above 0.5 (micro average).
        With `warm_start`, NaN where one of the fits has not measured it.

    n_iter_ : int
        The number of epochs.

    n_iter_per_stage_ : list of int
        The number of epochs of each stage.

    See Also
    --------
    VGGTransferClassifier : The same for VGG16 and VGG19.
    BottleneckFeatureExtractor : Features for any other classifier.

    Notes
    -----
    The output starts at the classes' shares: with two classes its bias is the log odds
    of the second, otherwise the log shares; with `class_weight` or `sample_weight`,
    shares of the weights, so that with "balanced" all classes start equal.

    `val_loss` is weighted as `loss` is, by class and sample weights; images in `X_val`
    by class weights alone.

    `fit` gets `groups` inside a Pipeline and GridSearchCV in one of two ways:
    ``search.fit(X, y, clf__groups=groups)`` with the step's name, or metadata routing,
    ``clf.set_fit_request(groups=True)`` under
    ``sklearn.set_config(enable_metadata_routing=True)`` and
    ``search.fit(X, y, groups=groups)``. Without routing a plain ``groups=groups``
    reaches only the search's own splitter.

    A pickle holds weights, no optimizer: 59 MB for VGG16, 110 MB with one hidden layer
    of 512 units on flattened maps of 224 x 224 pixels.

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
        "l2": [Interval(Real, 0, None, closed="left"), StrOptions({"auto"})],
        "trainable": [str],
        "fine_tune": [str, None],
        "fine_tune_epochs": [Interval(Integral, 1, None, closed="left")],
        "fine_tune_learning_rate": LEARNING_RATE,
        "n_augmented_copies": [Interval(Integral, 1, None, closed="left")],
        "n_views": [Interval(Integral, 1, None, closed="left"), NOT_PASSED],
    }

    def __init__(
        self,
        backbone: t.BackboneName = "vgg16",
        *,
        weights: t.PathLike | None = "imagenet",
        image_size: t.ImageSize = (224, 224),
        hidden_units: tuple[int, ...] = (),
        pooling: t.Pooling = "avg",
        dropout: float = 0.5,
        l2: t.Penalty = "auto",
        trainable: str = "head",
        epochs: int = 50,
        learning_rate: t.LearningRate = 1e-3,
        optimizer: t.OptimizerLike = "adam",
        batch_size: int = 32,
        fine_tune: str | None = None,
        fine_tune_epochs: int = 20,
        fine_tune_learning_rate: t.LearningRate = 1e-6,
        class_weight: t.ClassWeight = None,
        augmentation: t.AugmentationLike = None,
        n_augmented_copies: int = 3,
        validation_fraction: float | None = None,
        early_stopping: bool = False,
        n_iter_no_change: int = 10,
        monitor: str = "val_loss",
        compute_dtype: t.AutoDtype = "auto",
        memory: t.MemoryLike = None,
        keras_callbacks: t.KerasCallbacks = None,
        warm_start: bool = False,
        random_state: t.RandomStateLike = None,
        verbose: int = 0,
        n_views: int | str = DEPRECATED,
    ) -> None:
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
    def fit(
        self,
        X: t.ImagesLike,
        y: t.ArrayLike,
        *,
        sample_weight: t.ArrayLike | None = None,
        groups: t.ArrayLike | None = None,
        X_val: t.ImagesLike | None = None,
        y_val: t.ArrayLike | None = None,
    ) -> Self:
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
        copies = make_copies(self, augmentation, seeds["copies"])
        classes, totals, train, validation = split_images(
            self, X, y, sample_weight, groups, X_val, y_val, seeds["hold_out"]
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
                    collect_features(fitting, network, train, copies),
                    collect_features(fitting, network, validation, None),
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
                **network.describe_training(trainable),
                objective=partial(make_objective, network.head_spec.n_outputs),
                batches=make_batches(
                    fitting, train, features[0], augmentation, seeds["shuffle"]
                ),
                validation=make_batches(fitting, validation, features[1]),
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

    def _check_settings(self, X_val, y_val):
        """Raise ValueError for what the constraints of parameters cannot say."""
        check_image_size(self.image_size, MIN_SIDE)
        check_stage(self.backbone, "trainable", self.trainable)
        if self.fine_tune is not None:
            check_stage(self.backbone, "fine_tune", self.fine_tune)
        check_hidden_units(self.hidden_units)
        self._check_training(X_val, y_val)

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
        l2 = self.l2 if self.l2 == "auto" else float(self.l2)
        head_spec = HeadSpec(units, float(self.dropout), l2, n_outputs)
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

    def _list_stages(self):
        """List the lowest part, epochs and rate of each stage; count all epochs."""
        rate = self.learning_rate if isinstance(self.optimizer, str) else None
        stages = [(self.trainable, self.epochs, rate)]
        if self.fine_tune is None:
            return stages, self.epochs
        rate = self.fine_tune_learning_rate
        stages.append((self.fine_tune, self.fine_tune_epochs, rate))
        return stages, self.epochs + self.fine_tune_epochs

"""Classification with a pretrained network and a new head."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import os
from numbers import Integral, Real
from typing import TYPE_CHECKING, Self

from sklearn.base import ClassifierMixin

from .._apply_augmentation import check_augmentation
from .._compat import Interval, StrOptions, fit_context, with_callbacks
from .._training._checkpoint import open_checkpoint
from .._training._network_estimator import LEARNING_RATE, NetworkEstimator
from ..networks._backbone_stages import check_stage
from ..networks._backbones import get_backbone
from ..networks._transfer_network import BACKBONE, BATCH_NORM, check_hidden_units
from ..utils._deprecation import DEPRECATED, NOT_PASSED
from ._class_prediction import ClassPredictionMixin
from ._stage_inputs import StageInputs, make_copies
from ._stages import (
    count_tasks,
    describe_engine,
    list_transfer_stages,
    needs_pixels,
    train_stage,
)
from ._training_data import split_images
from ._transfer_start import start_network

if TYPE_CHECKING:
    from .. import _typing as t
    from ..networks import KerasBackbone


class TransferClassifier(ClassPredictionMixin, ClassifierMixin, NetworkEstimator):
    """Classify images with a pretrained network and a new head.

    The network consists of preprocessing, the backbone, pooling, dense layers, and a
    sigmoid for two classes or a softmax for more. It is trained in one or two stages.
    The outputs of frozen layers are computed only once for each image, and the layers
    above are trained on them.

    Parameters
    ----------
    backbone : str or KerasBackbone, default="vgg16"
        Name of a network of `keras.applications` in lower case, such as "resnet50" or
        "efficientnetb0", without its classifier; :ref:`backbones` lists all of them. Or
        a network of your own, see :class:`skinest.networks.KerasBackbone`.

    weights : "imagenet", str, path or None, default="imagenet"
        Weights of the backbone. "imagenet" downloads those of `keras.applications`
        once; for a network of your own it means those that it came with. A path is a
        file of weights of this network, with or without its top, written by Keras'
        `save_weights` or by :meth:`TransferClassifier.save_backbone`. None means random
        weights (He et al. 2015), or those that the layers of your own network start
        with.

    image_size : tuple of int, default=(224, 224)
        (height, width) to which images are resized, in pixels, 32 or more each. A few
        backbones need more, see :ref:`backbones`. A network of your own may take one
        size only.

    hidden_units : tuple of int, default=()
        Number of units of each dense ReLU layer between features and output. ``()``
        means no such layer.

    pooling : {"avg", "max", "flatten"}, default="avg"
        How feature maps, of shape (rows, columns, channels), are converted to a vector:
        the mean or maximum of each channel, or all values. It has no effect if the
        backbone makes a vector.

    dropout : float, default=0.5
        Dropout rate in [0, 1) after each hidden layer or, without hidden layers, before
        the output.

    l2 : float or "auto", default="auto"
        L2 penalty on the kernels of the trained layers. "auto" is 0.1 on the kernel of
        the output alone.

    trainable : str, default="head"
        The lowest part to train in the first stage. All layers above it are trained
        too, except batch normalisation, see `train_batch_norm`. "head"; a stage,
        "stage5" to "stage1", from the top down; "all"; a block of the backbone, such as
        "block5" of VGG16; or the name of a layer. :ref:`backbones` lists them.

    epochs : int, default=50
        Number of epochs of the first stage.

    learning_rate : float or LearningRateSchedule, default=1e-3
        Learning rate of the first stage. Not used if `optimizer` is an object. The
        default is for a frozen backbone; to train more than a head, use 1e-4 or less.

    optimizer : str or keras.optimizers.Optimizer, default="adam"
        Optimizer of both stages: its name in Keras, or an object, which is copied. The
        learning rate of an object is used in the first stage.

    batch_size : int, default=32
        Number of images in a batch, for training and for prediction.

    fine_tune : str, default=None
        The lowest part to train in a second stage, which continues from the weights of
        the first. None means no second stage.

    fine_tune_epochs : int, default=20
        Number of epochs of the second stage.

    fine_tune_learning_rate : float or LearningRateSchedule, default=1e-6
        Learning rate of the second stage.

    train_batch_norm : bool or "auto", default="auto"
        Whether batch normalisation of the backbone is trained in the part that trains.
        If not, it keeps its statistics. "auto" trains it only with "all" and
        ``weights=None``. If the weights have no statistics, as those of many networks
        for predictions, they are first computed from training images, and the outputs
        stay the same.

    class_weight : dict, "balanced" or None, default=None
        Weights of classes in the loss, as ``{label: weight}`` for the labels in `y`.
        "balanced" is n_images / (n_classes * n_images_of_class), where images count by
        `sample_weight`. Held-out images do not count, nor do classes without weight.
        None means 1.

    augmentation : Augmentation, callable or keras.layers.Layer, default=None
        Random changes of training images, see :class:`skinest.Augmentation`. A callable
        receives an image, a ``uint8`` array of shape (height, width, 3) and of
        `image_size`, and a :class:`numpy.random.Generator`. It returns an image of the
        same shape and dtype.

    n_augmented_copies : int, default=3
        Number of augmented copies of each image while the backbone, or a lower part of
        it, is frozen. Each epoch uses the image or one of its copies, at random. If no
        layer is frozen, this is not used: images are augmented in every epoch. Without
        `augmentation` there are no copies.

    n_prediction_views : {1, 2, 4, 8}, default=1
        Number of views of each image whose predicted probabilities are averaged
        (test-time augmentation). 2 are the image and its mirror image (Simonyan and
        Zisserman 2015), 4 are these and both upside down, 8 are these and all four
        turned by 90 degrees (Moshkov et al. 2020). Only predictions depend on it, so it
        can be changed after `fit`; `history_` and `model_` are of one view. See
        :ref:`prediction-views`.

    validation_fraction : float, default=None
        Fraction of the training images, in (0, 1), to hold out for validation metrics.
        The split is stratified by class or, with `groups`, never divides a group. Each
        class is in both sets if it has enough images or groups. None means 0.1 if
        `early_stopping` needs held-out images and `X_val` is not given; otherwise no
        images are held out.

    early_stopping : bool, default=False
        Stop a stage when `monitor` has not improved for `n_iter_no_change` epochs. The
        weights of the best epoch of the stage are restored even if all epochs ran.
        Epochs of an earlier stage do not count, even if they were better.

    n_iter_no_change : int, default=10
        Number of epochs without improvement before early stopping.

    monitor : str, default="val_loss"
        Metric for early stopping: "loss", "accuracy", "precision", "recall" or "auc",
        with the prefix ``"val_"`` for the validation images, see `history_`. For two
        classes, precision and recall are those of ``classes_[1]``.

    compute_dtype : {"auto", "float32", "bfloat16"}, default="auto"
        Floating-point precision of the backbone. "auto" is bfloat16 for VGG16 and VGG19
        on processors with AMX, and float32 otherwise, see also :ref:`openvino`.
        The other values are never replaced. Weights and outputs are always float32.

    memory : str, path or joblib.Memory, default=None
        Folder where the outputs of frozen layers are cached, so that all fits of a
        search and all folds compute them once. A file is identified by its path, inode,
        size and times of change, an array by its content. Set `random_state` to an
        integer, so that augmented copies and random weights are the same in every fit.
        The copies of your own augmentation are cached only if it has an attribute
        `version`, see :ref:`own-code`.

    checkpoint : str or path, default=None
        Folder for the state of a running fit. A fit that was killed continues from its
        last finished epoch when `fit` is called again with the same arguments, and
        gives the same result as an unbroken one. ``{fit}`` in the path is replaced by a
        name of the fit, so that fits side by side, as in a search, have folders of
        their own. See :ref:`checkpoints`.

    keras_callbacks : list of keras.callbacks.Callback, default=None
        Callbacks for the training by Keras. Their `model` is the whole network. Each
        fit uses copies of them for all its stages, and a warm start uses the same
        copies again.

    warm_start : bool, default=False
        Continue from the weights of the last `fit`. `history_` and `n_iter_` continue
        too, but the optimizer is new. With `validation_fraction`, set `random_state` to
        an integer, so that the same images are held out again.

    random_state : int, RandomState instance or None, default=None
        Seed of weights, validation split, order of images, augmentation and dropout.
        The same integer gives identical results on a CPU. No global state is changed.

    verbose : int, default=0
        If above 0, print a line for each pass over the images.

    n_views : int
        Old name of `n_augmented_copies`, not of `n_prediction_views`.

        .. deprecated:: 0.1
           It will be removed in 0.2.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Sorted labels.

    model_ : keras.Model
        The fitted network, without nested models. The input is an array of RGB images
        of `image_size`, of shape (n_images, height, width, 3), with values from 0 to
        255. The output is the probability of ``classes_[1]`` for two classes, or of
        each class for more. It is a copy, for example for Grad-CAM or export: training
        it does not change the predictions of the classifier.

    history_ : dict of str to list of float
        "loss", "accuracy", "precision", "recall" and "auc" after each epoch of all
        stages; with the prefix ``"val_"`` for the validation images, if there are any.
        scikit-learn computes the same from the same predictions: `log_loss` (without
        the L2 penalty), `accuracy_score`, `precision_score` and `recall_score` of
        ``classes_[1]``, and `roc_auc_score`. For more than two classes, the last three
        are micro averages over all probabilities, where those above 0.5 count as
        predicted. Training metrics are of the predictions during the epoch, with
        dropout and augmentation. With `warm_start`, values that a fit did not compute
        are NaN.

    n_iter_ : int
        Number of epochs of all stages.

    n_iter_per_stage_ : list of int
        Number of epochs of each stage.

    See Also
    --------
    VGGTransferClassifier : The same with VGG16 and VGG19 only.
    BottleneckFeatureExtractor : The same features for other classifiers.
    skinest.inspection.TrainingHistoryDisplay : Plot of `history_`.
    skinest.inspection.GradCAMDisplay : Areas that raise the score of a class.

    Notes
    -----
    The initial output bias is the log odds of the second of two classes, or the log
    frequencies of more than two classes. The frequencies are weighted by `class_weight`
    and `sample_weight`: with "balanced", all classes start with the same probability.

    Only ratios of weights count. The loss is weighted by `class_weight` and
    `sample_weight`, other metrics by `sample_weight`, which is 1 in `X_val`. An image
    of weight 0 is left out, but its label is in `classes_`. An image of weight 2 is the
    same as two images, if a batch has all images and there is neither dropout nor
    augmentation. Otherwise it is nearly the same, because two images can be in two
    batches. With `validation_fraction`, give repeated images the same group.

    Inside a Pipeline in GridSearchCV, `groups` can be passed to `fit` in two ways: with
    the name of the step, as in ``search.fit(X, y, clf__groups=groups)``; or by metadata
    routing, with ``sklearn.set_config(enable_metadata_routing=True)``,
    ``clf.set_fit_request(groups=True)`` and ``search.fit(X, y, groups=groups)``.
    Without routing, ``groups=groups`` is passed only to the splitter of the search.

    A pickle contains the weights but not the optimizer: 59 MB for VGG16, 110 MB with
    one hidden layer of 512 units on flattened feature maps of 224 x 224 pixels.

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
    _epochs = ("epochs", "fine_tune_epochs")
    _unused_in_training = ("n_prediction_views",)

    _parameter_constraints: dict = {
        **NetworkEstimator._parameter_constraints,
        "backbone": BACKBONE,
        "weights": [str, os.PathLike, None],
        "hidden_units": [tuple, list],
        "pooling": [StrOptions({"flatten", "avg", "max"})],
        "l2": [Interval(Real, 0, None, closed="left"), StrOptions({"auto"})],
        "trainable": [str],
        "train_batch_norm": BATCH_NORM,
        "fine_tune": [str, None],
        "fine_tune_epochs": [Interval(Integral, 1, None, closed="left")],
        "fine_tune_learning_rate": LEARNING_RATE,
        "n_augmented_copies": [Interval(Integral, 1, None, closed="left")],
        "n_views": [Interval(Integral, 1, None, closed="left"), NOT_PASSED],
    }

    def __init__(
        self,
        backbone: t.BackboneName | KerasBackbone = "vgg16",
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
        train_batch_norm: t.BatchNorm = "auto",
        class_weight: t.ClassWeight = None,
        augmentation: t.AugmentationLike = None,
        n_augmented_copies: int = 3,
        n_prediction_views: t.NumberOfViews = 1,
        validation_fraction: float | None = None,
        early_stopping: bool = False,
        n_iter_no_change: int = 10,
        monitor: str = "val_loss",
        compute_dtype: t.AutoDtype = "auto",
        memory: t.MemoryLike = None,
        checkpoint: t.PathLike | None = None,
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
        self.train_batch_norm = train_batch_norm
        self.class_weight = class_weight
        self.augmentation = augmentation
        self.n_augmented_copies = n_augmented_copies
        self.n_prediction_views = n_prediction_views
        self.validation_fraction = validation_fraction
        self.early_stopping = early_stopping
        self.n_iter_no_change = n_iter_no_change
        self.monitor = monitor
        self.compute_dtype = compute_dtype
        self.memory = memory
        self.checkpoint = checkpoint
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
            Labels of the images, with two classes or more.

        sample_weight : array-like of shape (n_images,), default=None
            Weights of images in the loss and in metrics. In the loss, they are
            multiplied by `class_weight`.

        groups : array-like of shape (n_images,), default=None
            Group of each image, such as its lesion. The split by
            `validation_fraction` never divides a group. Not used otherwise.

        X_val : array, list of arrays or paths, default=None
            Validation images, instead of `validation_fraction`.

        y_val : array-like, default=None
            Labels of `X_val`. Each must also be in `y`.

        Returns
        -------
        self : TransferClassifier
            The fitted classifier.

        Raises
        ------
        ValueError
            If an argument is invalid, a class has too few images to be split, a file
            of weights does not fit the backbone, `checkpoint` has the state of another
            fit, or, with `warm_start`, classes or network differ from those of the last
            fit.
        NotImplementedError
            If Keras cannot train on its backend.
        OSError
            If weights cannot be downloaded, or a file is missing.

        Warns
        -----
        ConvergenceWarning
            If the loss is NaN or infinite. PyTorch may raise a ValueError.
        UserWarning
            If there are no validation images of a class, if there is too little space
            for the outputs of frozen layers, so that each epoch computes them again, or
            if batch normalisation is to train and has no statistics.
        """
        self._check_settings(X_val, y_val)
        data = X, y, sample_weight, groups, X_val, y_val
        with open_checkpoint(self, *data) as checkpoint:
            augmentation, seeds = self.augmentation, checkpoint.seeds
            if augmentation is not None:
                augmentation = check_augmentation(augmentation)
            copies = make_copies(self, augmentation, seeds["copies"])
            classes, totals, train, validation = split_images(
                self, *data, seeds["hold_out"]
            )
            network = start_network(self, classes, totals, seeds)
            stages = list_transfer_stages(self, network.backbone_spec)
            splits = list(filter(None, (train, validation)))
            if needs_pixels(stages):
                for split in splits:
                    split.images.keep_pixels()
            n_tasks = count_tasks(stages, len(splits), bool(self.keras_callbacks))
            fitting = self._begin_fit(*data[:2], checkpoint, n_tasks)
            initial = *network.backbone.arrays, *network.head
            engine = describe_engine(stages, network.backbone_spec)
            network = network.replace_weights(fitting.resume(initial, engine))
            inputs = StageInputs(
                fitting=fitting,
                train=train,
                validation=validation,
                augmentation=augmentation,
                copies=copies,
            )

            def collect_attributes(arrays):
                return {
                    "classes_": classes,
                    "_network": network.replace_weights(arrays),
                    "_trainable": self.fine_tune or self.trainable,
                    "_model": None,
                }

            for stage in fitting.iterate_stages(stages):
                arrays = train_stage(
                    fitting, network, stage, inputs, collect_attributes
                )
                network = network.replace_weights(arrays)
            self._end_fit(fitting, collect_attributes(()))
        return self

    def _check_settings(self, X_val, y_val):
        """Raise ValueError for errors that the parameter constraints cannot find."""
        get_backbone(self.backbone).check_image_size(self.image_size)
        check_stage(self.backbone, "trainable", self.trainable)
        if self.fine_tune is not None:
            check_stage(self.backbone, "fine_tune", self.fine_tune)
        check_hidden_units(self.hidden_units)
        self._check_training(X_val, y_val)

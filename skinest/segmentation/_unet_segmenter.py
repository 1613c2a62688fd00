"""Segmentation with a U-Net."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import os
from numbers import Integral, Real
from typing import TYPE_CHECKING, Self

from .._compat import Interval, StrOptions, fit_context, with_callbacks
from .._training._checkpoint import open_checkpoint
from .._training._network_estimator import LEARNING_RATE, NetworkEstimator
from ..networks._transfer_network import BATCH_NORM, ENCODER
from ..networks._unet_network import BASE_FILTERS, DEPTH
from ._mask_prediction import MaskPredictionMixin
from ._network_start import check_settings
from ._postprocessing import STEPS
from ._train_segmenter import train_segmenter

if TYPE_CHECKING:
    from .. import _typing as t
    from ..networks import KerasBackbone


class UNetSegmenter(MaskPredictionMixin, NetworkEstimator):
    """Segment structures in images with a U-Net.

    Images and masks are read once, as pairs, and resized to the size of the network.
    The image and mask of a pair are augmented and shuffled together. Predictions have
    the size of each image and the labels of the training masks.

    With an `encoder`, the contracting path is a pretrained network, and the network is
    trained in one or two stages. This is better if there are few masks.

    Parameters
    ----------
    encoder : str or KerasBackbone, default=None
        Contracting path of the network: the name of a backbone, such as "mobilenetv2",
        "vgg16" or any other in :ref:`backbones`, or a network of your own, see
        :class:`skinest.networks.KerasBackbone`. Its preprocessing is included. None is
        that of the U-Net paper, with random weights.

    weights : "imagenet", str, path or None, default="imagenet"
        Weights of the encoder, as those of the backbone of a
        :class:`TransferClassifier`: a file may also be one of its `save_backbone`. Not
        used without an encoder.

    depth : int or "auto", default="auto"
        Number of times that the image size is halved, at most 16. "auto" is 4 or, with
        an encoder, as often as the encoder halves it: 4 for VGG, 5 for all others in
        :ref:`backbones`.

    base_filters : int or "auto", default="auto"
        Number of filters of the first level. It doubles at each further level. "auto"
        is 64 or, with an encoder, 16. An encoder has its own filters; then these are
        those of the expanding path.

    image_size : tuple of int, default=(128, 128)
        (height, width) to which images are resized, in pixels, multiples of
        ``2 ** depth``.

    pad_to_aspect_ratio : bool, default=False
        Whether to keep the aspect ratio of each image and pad it with its border
        pixels. Losses and metrics ignore the padding. If False, images are stretched.

    loss : str, loss of :mod:`skinest.losses` or keras.losses.Loss, default="dice"
        "dice", "jaccard", "binary_crossentropy", "weighted_crossentropy", "focal",
        "tversky", "dice_crossentropy", the name of a Keras loss, or an instance.
        "weighted_crossentropy" weights pixels by `class_weight`. If that is None, it
        uses "balanced".

    class_weight : dict, "balanced" or None, default=None
        Weights of pixels in the loss, as ``{label: weight}`` for the labels in masks.
        "balanced" is n_pixels / (n_classes * n_pixels_of_class), where pixels count by
        `sample_weight` of their image. Held-out images do not count, nor do classes
        without a pixel at `image_size`.

    dropout : float, default=0.0
        Dropout rate at the bottom of the network, in [0, 1).

    batch_norm : bool, default=True
        Whether to use batch normalisation in the contracting path or, with an encoder,
        in the expanding path. An encoder has its own.

    trainable : str, default="decoder"
        The lowest part of the encoder to train in the first stage. All layers above it
        are trained too, except batch normalisation of the encoder, see
        `train_batch_norm`. "decoder", which freezes the encoder; a stage, "stage5" to
        "stage1", from the top down; "all"; a block of the encoder; or the name of a
        layer. Not used without an encoder, nor are `fine_tune` and `train_batch_norm`.

    epochs : int, default=20
        Number of epochs of the first stage, which is the only one without `fine_tune`.

    learning_rate : float or LearningRateSchedule, default=1e-3
        Learning rate of the first stage. Not used if `optimizer` is an object. To train
        a pretrained encoder, use 1e-4 or less.

    optimizer : str or keras.optimizers.Optimizer, default="adam"
        Optimizer of both stages: its name in Keras, or an object, which is copied. The
        learning rate of an object is used in the first stage.

    batch_size : int, default=16
        Number of images in a batch, for training and for prediction. Training stores
        all feature maps: 106 MB for one image in the default network.

    fine_tune : str, default=None
        The lowest part to train in a second stage, which continues from the weights of
        the first. None means no second stage.

    fine_tune_epochs : int, default=20
        Number of epochs of the second stage.

    fine_tune_learning_rate : float or LearningRateSchedule, default=1e-4
        Learning rate of the second stage.

    train_batch_norm : bool or "auto", default="auto"
        Whether batch normalisation of the encoder is trained in the part that trains.
        If not, it keeps its statistics. "auto" trains it only with "all" and
        ``weights=None``. If the weights have no statistics, as those of many networks
        for predictions, they are first computed from training images, and the outputs
        stay the same.

    augmentation : Augmentation, callable or keras.layers.Layer, default=None
        Random changes of training pairs, see :class:`skinest.Augmentation`. A callable
        receives a ``uint8`` image of shape (height, width, 3), its ``uint8`` mask of
        shape (height, width), both of `image_size`, and a
        :class:`numpy.random.Generator`. It returns an image and a mask of the same
        shapes and dtypes. The values of the mask are class indices, which are positions
        in `classes_`, and 255 in the padding and for `ignore_label`. Pixels that a
        Keras layer fills with a constant do not count either.

    foreground_fraction : float, default=None
        Fraction of the training images in each epoch, in (0, 1], whose masks have
        foreground. Some are repeated, with other augmentation, or left out. For small
        structures that most images lack. None uses each image once.

    n_prediction_views : {1, 2, 4, 8}, default=1
        Number of views of each image whose predicted probabilities are averaged
        (test-time augmentation). 2 are the image and its mirror image (Simonyan and
        Zisserman 2015), 4 are these and both upside down, 8 are these and all four
        turned by 90 degrees (Moshkov et al. 2020). Masks are turned back first. Only
        predictions depend on it, so it can be changed after `fit`; `history_` and
        `model_` are of one view. See :ref:`prediction-views`.

    threshold : float, default=0.5
        Probability in (0, 1) above which a pixel is foreground, for two labels.

    postprocess : str, callable, list of these or None, default=None
        What is done to each predicted mask, in this order. "largest" keeps the largest
        connected component of each label, "fill_holes" fills the holes in each. A
        callable receives a mask, of shape (height, width), and returns another one with
        the same labels. Probabilities and `history_` do not depend on it, and it can be
        changed after `fit`.

    tile_overlap : float, default=None
        Predict large images in tiles and blend them. Tiles overlap by this fraction of
        their side, in [0, 1). A tile has the median size of the training images, so
        that structures have the same size as in training. None predicts each image as
        a whole.

    crop_margin : float, default=0.1
        Margin that :meth:`transform` adds around the foreground, as a fraction of its
        height and width.

    ignore_label : int, default=None
        Label of pixels that are not labelled, such as 255 or -1. They count nowhere:
        not in the loss, class weights and metrics, nor in :meth:`score`. It is never
        predicted. Images that have only such pixels are left out. When a mask is
        resized, a pixel gets this label if the label covers most of it. Metrics need
        this argument too, and so do scorers other than those of :mod:`skinest.metrics`.

    mask_threshold : float, default=None
        Fraction of white, in (0, 1), above which a pixel of a mask is foreground. Masks
        that have smooth edges, or were saved as JPEG, then have the labels 0 and 1, see
        :mod:`skinest.masks`.

    validation_fraction : float, default=None
        Fraction of the training images, in (0, 1), to hold out for validation metrics.
        The split is random or, with `groups`, never divides a group. Each label is in
        both sets if enough masks or groups have it. None means 0.1 if `early_stopping`
        needs held-out images and `X_val` is not given; otherwise no images are held
        out.

    early_stopping : bool, default=False
        Stop a stage when `monitor` has not improved for `n_iter_no_change` epochs. The
        weights of the best epoch of the stage are restored even if all epochs ran.
        Epochs of an earlier stage do not count, even if they were better.

    n_iter_no_change : int, default=10
        Number of epochs without improvement before early stopping.

    monitor : str, default="val_loss"
        Metric for early stopping: "loss", "accuracy", "precision", "recall", "iou" or
        "dice", with the prefix ``"val_"`` for the validation images, see `history_`.

    compute_dtype : {"auto", "float32", "bfloat16"}, default="auto"
        Floating-point precision of the network. "auto" is bfloat16 on processors with
        AMX, and float32 otherwise; of the encoders, it is bfloat16 for VGG16 and VGG19
        only. Weights and outputs are always float32.

    memory : str, path or joblib.Memory, default=None
        Folder where pairs of image and mask files are cached in the size of the
        network, so that a search decodes each file once. A file is identified by its
        path, inode, size and times of change.

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

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Sorted labels of the training masks. The first is the background.

    model_ : keras.Model
        The fitted network. The input is an array of RGB images of `image_size`, of
        shape (n_images, height, width, 3), with values from 0 to 255. For each pixel,
        the output is the probability of ``classes_[1]`` for two labels, or of each
        label for more. It is a copy: training it does not change predictions.

    tile_shape_ : tuple of int
        (height, width) of a tile: the median size of the training images.

    history_ : dict of str to list of float
        "loss", "accuracy", "precision", "recall", "iou" and "dice" after each epoch,
        with the prefix ``"val_"`` for the validation images. The last five are of all
        pixels together, in the size of the network, and equal scikit-learn's. The last
        four are of the foreground: of ``classes_[1]`` or, for more than two labels,
        means over all labels except the first. A label that is neither in the masks nor
        predicted counts 1. Images count by `sample_weight`. With `warm_start`, values
        that a fit did not compute are NaN.

    n_iter_ : int
        Number of epochs of all stages.

    n_iter_per_stage_ : list of int
        Number of epochs of each stage; a warm start adds entries.

    See Also
    --------
    skinest.metrics.segmentation_report : Scores of predicted masks.
    skinest.networks.build_unet : Only the network, as a Keras model.
    skinest.model_selection.tune_mask_threshold : Choice of `threshold`.
    skinest.inspection.SegmentationDisplay : Plot of predicted masks.

    Notes
    -----
    Only ratios of sample weights count. An image of weight 0 is left out. An image of
    weight 2 is the same as two images, if a batch has all images and there is neither
    batch normalisation nor dropout nor augmentation. Otherwise it is nearly the same,
    because two images can be in two batches. With `validation_fraction`, give repeated
    images the same group.

    For scikit-learn this is not a classifier: folds are not stratified by masks. Use
    ``cross_val_predict`` with ``method="predict"`` only.

    Inside a Pipeline in GridSearchCV, pass `groups` to `fit` by ``segmenter__groups=``
    or by metadata routing with ``set_fit_request(groups=True)``. Otherwise, ``groups=``
    is passed only to the splitter of the search.

    References
    ----------
    O. Ronneberger, P. Fischer and T. Brox, "U-Net: convolutional networks for
    biomedical image segmentation", MICCAI 2015, arXiv:1505.04597.

    Examples
    --------
    >>> from skinest import UNetSegmenter
    >>> from skinest.datasets import make_dermoscopy
    >>> images, masks = make_dermoscopy(
    ...     12, task="lesion", image_size=(64, 64), random_state=0, return_X_y=True
    ... )
    >>> segmenter = UNetSegmenter(
    ...     depth=2, base_filters=4, image_size=(32, 32), epochs=2, random_state=0
    ... )
    >>> segmenter.fit(images, masks).predict(images).shape
    (12, 64, 64)
    >>> segmenter.classes_
    array([  0, 255], dtype=uint8)

    A pretrained encoder, with which first the decoder is trained, then all layers:

    >>> pretrained = UNetSegmenter(
    ...     encoder="mobilenetv2", epochs=10, fine_tune="all", fine_tune_epochs=10
    ... )
    """

    _metrics = ("loss", "accuracy", "precision", "recall", "iou", "dice")
    _seeded = ("weights", "hold_out", "shuffle", "dropout")
    _learning_rates = ("learning_rate", "fine_tune_learning_rate")
    _epochs = ("epochs", "fine_tune_epochs")
    _unused_in_training = (
        "crop_margin",
        "n_prediction_views",
        "postprocess",
        "tile_overlap",
    )
    _used_in_predictions = ("batch_size", "threshold", *_unused_in_training)

    _parameter_constraints: dict = {
        **NetworkEstimator._parameter_constraints,
        "encoder": ENCODER,
        "weights": [str, os.PathLike, None],
        "depth": DEPTH,
        "base_filters": BASE_FILTERS,
        "trainable": [str],
        "fine_tune": [str, None],
        "fine_tune_epochs": [Interval(Integral, 1, None, closed="left")],
        "fine_tune_learning_rate": LEARNING_RATE,
        "train_batch_norm": BATCH_NORM,
        "pad_to_aspect_ratio": ["boolean"],
        "loss": [str, callable],
        "batch_norm": ["boolean"],
        "threshold": [Interval(Real, 0, 1, closed="neither")],
        "foreground_fraction": [Interval(Real, 0, 1, closed="right"), None],
        "postprocess": [StrOptions(set(STEPS)), callable, list, tuple, None],
        "tile_overlap": [Interval(Real, 0, 1, closed="left"), None],
        "crop_margin": [Interval(Real, 0, None, closed="left")],
        "ignore_label": [Integral, None],
        "mask_threshold": [Interval(Real, 0, 1, closed="neither"), None],
    }

    def __init__(
        self,
        *,
        encoder: t.BackboneName | KerasBackbone | None = None,
        weights: t.PathLike | None = "imagenet",
        depth: t.AutoNumber = "auto",
        base_filters: t.AutoNumber = "auto",
        image_size: t.ImageSize = (128, 128),
        pad_to_aspect_ratio: bool = False,
        loss: t.LossLike = "dice",
        class_weight: t.ClassWeight = None,
        dropout: float = 0.0,
        batch_norm: bool = True,
        trainable: str = "decoder",
        epochs: int = 20,
        learning_rate: t.LearningRate = 1e-3,
        optimizer: t.OptimizerLike = "adam",
        batch_size: int = 16,
        fine_tune: str | None = None,
        fine_tune_epochs: int = 20,
        fine_tune_learning_rate: t.LearningRate = 1e-4,
        train_batch_norm: t.BatchNorm = "auto",
        augmentation: t.AugmentationLike = None,
        foreground_fraction: float | None = None,
        n_prediction_views: t.NumberOfViews = 1,
        threshold: float = 0.5,
        postprocess: t.Postprocess = None,
        tile_overlap: float | None = None,
        crop_margin: float = 0.1,
        ignore_label: int | None = None,
        mask_threshold: float | None = None,
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
    ) -> None:
        self.encoder = encoder
        self.weights = weights
        self.depth = depth
        self.base_filters = base_filters
        self.image_size = image_size
        self.pad_to_aspect_ratio = pad_to_aspect_ratio
        self.loss = loss
        self.class_weight = class_weight
        self.dropout = dropout
        self.batch_norm = batch_norm
        self.trainable = trainable
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.optimizer = optimizer
        self.batch_size = batch_size
        self.fine_tune = fine_tune
        self.fine_tune_epochs = fine_tune_epochs
        self.fine_tune_learning_rate = fine_tune_learning_rate
        self.train_batch_norm = train_batch_norm
        self.augmentation = augmentation
        self.foreground_fraction = foreground_fraction
        self.n_prediction_views = n_prediction_views
        self.threshold = threshold
        self.postprocess = postprocess
        self.tile_overlap = tile_overlap
        self.crop_margin = crop_margin
        self.ignore_label = ignore_label
        self.mask_threshold = mask_threshold
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

    @with_callbacks
    @fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: t.ImagesLike,
        y: t.MasksLike,
        *,
        sample_weight: t.ArrayLike | None = None,
        groups: t.ArrayLike | None = None,
        X_val: t.ImagesLike | None = None,
        y_val: t.MasksLike | None = None,
    ) -> Self:
        """Train the network.

        Parameters
        ----------
        X : array, list of arrays or paths of length n_images
            Training images, see :mod:`skinest.images`.

        y : array, list of arrays or paths of length n_images
            Masks of the images, see :mod:`skinest.masks`. Each has the height and
            width of its image.

        sample_weight : array-like of shape (n_images,), default=None
            Weights of images in the loss and in metrics.

        groups : array-like of shape (n_images,), default=None
            Group of each image, such as its lesion. The split by
            `validation_fraction` never divides a group. Not used otherwise.

        X_val : array, list of arrays or paths, default=None
            Validation images, instead of `validation_fraction`.

        y_val : array, list of arrays or paths, default=None
            Masks of `X_val`, with labels of the training masks only.

        Returns
        -------
        self : UNetSegmenter
            The fitted segmenter.

        Raises
        ------
        ValueError
            If an argument or a mask is invalid, a mask does not have the size of its
            image, an image is smaller than ``2 ** depth`` pixels, no pixel has a label
            other than `ignore_label`, a file of weights does not fit the encoder,
            `checkpoint` has the state of another fit, or, with `warm_start`, labels or
            network differ from those of the last fit. All pairs are read before
            training begins.
        NotImplementedError
            If Keras cannot train on its backend.
        OSError
            If a file is missing, or weights cannot be downloaded.

        Warns
        -----
        ConvergenceWarning
            If the loss is NaN or infinite. PyTorch may raise a ValueError.
        UserWarning
            If all masks have one label only, or no validation mask has a label of the
            foreground.
        """
        self._check_training(X_val, y_val)
        check_settings(self)
        data = X, y, sample_weight, groups, X_val, y_val
        with open_checkpoint(self, *data) as checkpoint:
            train_segmenter(self, data, checkpoint)
        return self

"""Masks of images by a U-Net."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

from dataclasses import replace
from functools import partial
from numbers import Integral, Real
from typing import TYPE_CHECKING, Self

import numpy as np

from .._apply_augmentation import check_pair_augmentation
from .._compat import Interval, fit_context, resolve_compute_dtype, with_callbacks
from .._training._batches import Split
from .._training._models import train_network
from .._training._network_estimator import (
    NetworkEstimator,
    make_output_bias,
    resolve_validation_fraction,
    split_data,
)
from ..networks._unet_network import (
    UNetSpec,
    build,
    check_unet_size,
    make_random_weights,
)
from ..utils._checks import check_sample_weight
from ._mask_prediction import MaskPredictionMixin
from ._pairs import (
    Letterbox,
    PairCollection,
    count_pixels,
    read_pairs,
    warn_of_one_label,
)

if TYPE_CHECKING:
    from .. import _typing as t

_COMPUTE_DTYPE = "bfloat16"  # what "auto" prefers


class UNetSegmenter(MaskPredictionMixin, NetworkEstimator):
    """Find masks of structures in images by a U-Net.

    Images and masks are read once, as pairs, and brought to the size of the network;
    each pair is augmented and shuffled as one. What is predicted comes back in the
    size of each image and in the labels of the training masks.

    Parameters
    ----------
    depth : int, default=4
        How many times the network halves an image.

    base_filters : int, default=64
        Filters of its first level; each further level has twice as many.

    image_size : tuple of int, default=(128, 128)
        (height, width) in pixels that images are resized to, multiples of
        ``2 ** depth``.

    pad_to_aspect_ratio : bool, default=False
        Keep the aspect ratio of each image and pad it by its edges, where predictions
        count in no loss and no metric; else images are squeezed.

    loss : str, loss of :mod:`skinest.losses` or keras.losses.Loss, default="dice"
        "dice", "jaccard", "binary_crossentropy", "weighted_crossentropy", "focal",
        "tversky", "dice_crossentropy" or another name that Keras knows, or an
        instance. "weighted_crossentropy" weighs pixels by `class_weight`, and is
        balanced where that is None.

    class_weight : dict, "balanced" or None, default=None
        Weights of pixels in the loss by their label, as ``{label: weight}``.
        "balanced" is n_pixels / (n_classes * n_pixels_of_class).

    dropout : float, default=0.0
        Rate of dropout at the bottom of the network, in [0, 1).

    batch_norm : bool, default=True
        Batch normalisation in the contracting path.

    epochs : int, default=20
        Passes over the images.

    learning_rate : float or LearningRateSchedule, default=1e-3
        Learning rate, where `optimizer` is a name.

    optimizer : str or keras.optimizers.Optimizer, default="adam"
        What trains, by Keras' name or as an object, which is copied and whose own
        learning rate holds.

    batch_size : int, default=16
        Images in a step of training, and through the network at a time. It is half of
        the classifiers' because the feature maps of one image take 106 MB in the
        default network, and training keeps them all.

    augmentation : Augmentation, callable or keras.layers.Layer, default=None
        What changes training pairs at random, see
        :class:`skinest.Augmentation`. A callable is called with a
        ``uint8`` image of shape (height, width, 3), its ``uint8`` mask of shape
        (height, width), both of `image_size`, and a :class:`numpy.random.Generator`,
        and returns such a pair. The mask holds positions in `classes_`, and 255 where
        the image is padded.

    threshold : float, default=0.5
        Probability above which a pixel is foreground, in (0, 1), of two labels.

    tile_overlap : float, default=None
        Predict large images in tiles that overlap by this share of their side, in
        [0, 1), and blend them. A tile is as large as the median training image, so
        that structures have the size that they were trained in. None takes each image
        as a whole.

    crop_margin : float, default=0.1
        What :meth:`transform` adds around the foreground, as a share of its height
        and width.

    validation_fraction : float, default=None
        The share of the training images that is held out and measured after each
        epoch, in (0, 1): at random, or by whole `groups`. None is 0.1 where
        `early_stopping` needs held-out images and `X_val` is not given, else it holds
        none out.

    early_stopping : bool, default=False
        Stop when `monitor` has not improved for `n_iter_no_change` epochs. The weights
        of the best epoch are restored even if all epochs ran.

    n_iter_no_change : int, default=10
        Number of epochs without improvement before early stopping.

    monitor : str, default="val_loss"
        What early stopping looks at: "loss", "accuracy", "precision", "recall", "iou"
        or "dice", with ``"val_"`` before it for the held-out images.

    compute_dtype : {"auto", "float32", "bfloat16"}, default="auto"
        Floating-point precision of the network. "auto" is bfloat16 on a processor that
        has it, and float32 otherwise. Weights and outputs are float32 either way.

    memory : str, path or joblib.Memory, default=None
        Folder where pairs of files are cached in the size of the network, so that each
        file is decoded once in a search. A file is identified by its path, inode,
        size and times of change.

    keras_callbacks : list of keras.callbacks.Callback, default=None
        Callbacks for the training by Keras. Each fit uses copies of them.

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
        The labels of the training masks, sorted. The first is the background.

    model_ : keras.Model
        The fitted network, from RGB images of `image_size`, an array of shape
        (n_images, height, width, 3) and values 0 to 255, to probabilities of each
        pixel: of ``classes_[1]`` where there are two labels, else of each. It is a
        copy: training it changes no prediction.

    tile_shape_ : tuple of int
        Median (height, width) of the training images, the size of a tile.

    history_ : dict of str to list of float
        Loss, accuracy, precision, recall, IoU ("iou") and Dice ("dice") after each
        epoch, over all pixels at the size of the network, the last four as means over
        the labels but the first; ``"val_"`` of each where there are validation images.

    n_iter_ : int
        The number of epochs.

    n_iter_per_stage_ : list of int
        The number of epochs of each `fit`, more than one after a warm start.

    See Also
    --------
    skinest.metrics.segmentation_report : How good masks are.
    skinest.networks.build_unet : The network alone.

    Notes
    -----
    The tag says that this is no classifier: folds are not stratified by masks. In
    ``cross_val_predict`` only ``method="predict"`` has a meaning.

    `fit` gets `groups` inside a Pipeline and GridSearchCV by ``segmenter__groups=`` or
    by metadata routing with ``set_fit_request(groups=True)``; a plain ``groups=``
    reaches only the search's own splitter.

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
    """

    _metrics = ("loss", "accuracy", "precision", "recall", "iou", "dice")
    _seeded = ("weights", "hold_out", "shuffle", "dropout")

    _parameter_constraints: dict = {
        **NetworkEstimator._parameter_constraints,
        "depth": [Interval(Integral, 1, None, closed="left")],
        "base_filters": [Interval(Integral, 1, None, closed="left")],
        "pad_to_aspect_ratio": ["boolean"],
        "loss": [str, callable],
        "batch_norm": ["boolean"],
        "threshold": [Interval(Real, 0, 1, closed="neither")],
        "tile_overlap": [Interval(Real, 0, 1, closed="left"), None],
        "crop_margin": [Interval(Real, 0, None, closed="left")],
    }

    def __init__(
        self,
        *,
        depth: int = 4,
        base_filters: int = 64,
        image_size: t.ImageSize = (128, 128),
        pad_to_aspect_ratio: bool = False,
        loss: t.LossLike = "dice",
        class_weight: t.ClassWeight = None,
        dropout: float = 0.0,
        batch_norm: bool = True,
        epochs: int = 20,
        learning_rate: t.LearningRate = 1e-3,
        optimizer: t.OptimizerLike = "adam",
        batch_size: int = 16,
        augmentation: t.AugmentationLike = None,
        threshold: float = 0.5,
        tile_overlap: float | None = None,
        crop_margin: float = 0.1,
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
    ) -> None:
        self.depth = depth
        self.base_filters = base_filters
        self.image_size = image_size
        self.pad_to_aspect_ratio = pad_to_aspect_ratio
        self.loss = loss
        self.class_weight = class_weight
        self.dropout = dropout
        self.batch_norm = batch_norm
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.optimizer = optimizer
        self.batch_size = batch_size
        self.augmentation = augmentation
        self.threshold = threshold
        self.tile_overlap = tile_overlap
        self.crop_margin = crop_margin
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
            Their masks, see :mod:`skinest.masks`, each of the height and width of its
            image.

        sample_weight : array-like of shape (n_images,), default=None
            Weights of images in the loss.

        groups : array-like of shape (n_images,), default=None
            What images belong together, such as lesions: none is on both sides of
            the split by `validation_fraction`, their only use.

        X_val : array, list of arrays or paths, default=None
            Images to validate on, in place of `validation_fraction`.

        y_val : array, list of arrays or paths, default=None
            Their masks, of no labels but those of the training masks.

        Returns
        -------
        self : UNetSegmenter
            The fitted segmenter.

        Raises
        ------
        ValueError
            If an argument is wrong, a mask is none or has another size than its
            image, an image is smaller than ``2 ** depth`` pixels, or `warm_start`
            meets other labels or another network than the last fit's. All pairs are
            read before training begins.
        OSError
            If a file is missing.

        Warns
        -----
        UserWarning
            If all masks hold one label only.
        """
        from ..losses._resolve import resolve_loss
        from ._pixels import PairBatches, make_objective

        self._check_settings(X_val, y_val)
        augmentation = self.augmentation
        if augmentation is not None:
            augmentation = check_pair_augmentation(augmentation)
        seeds = self._make_seeds()
        train, validation = self._split(
            X, y, sample_weight, groups, X_val, y_val, seeds["hold_out"]
        )
        n_reads = 1 if X_val is None else 2
        fitting = self._begin_fit(X, y, seeds, n_tasks=self.epochs + n_reads)
        train, validation, pairs = self._read(train, validation, fitting)
        attributes, class_weights = self._start(train, pairs, seeds["weights"])
        spec = attributes["_spec"]
        has_class_weight = self.class_weight is not None
        loss = resolve_loss(self.loss, has_class_weight, spec.n_outputs)
        settings = {
            "class_weights": class_weights,
            "batch_size": self.batch_size,
            "epoch": fitting.epoch,
        }
        batches = PairBatches(
            split=train, augmentation=augmentation, seed=seeds["shuffle"], **settings
        )
        if validation is not None:
            validation = PairBatches(split=validation, seed=None, **settings)

        def collect_attributes(arrays):
            return {**attributes, "_weights": arrays}

        is_named = isinstance(self.optimizer, str)
        arrays = train_network(
            fitting,
            key=("unet", spec, loss.key, self.threshold),
            build=partial(build, spec),
            objective=partial(make_objective, loss, spec.n_outputs, self.threshold),
            weights=attributes["_weights"],
            batches=batches,
            validation=validation,
            epochs=self.epochs,
            learning_rate=self.learning_rate if is_named else None,
            has_convolutions=True,
            attributes_of=collect_attributes,
        )
        self._end_fit(fitting, collect_attributes(arrays))
        return self

    def _check_settings(self, X_val, y_val):
        """Raise ValueError for what the constraints of parameters cannot say."""
        from ._pixels import check_pixel_loss

        check_unet_size(self.image_size, self.depth)
        self._check_training(X_val, y_val)
        check_pixel_loss(self)

    def _split(self, X, y, sample_weight, groups, X_val, y_val, seed):
        """Return what is trained on and what is validated on, before it is read."""
        size = tuple(map(int, self.image_size))
        letterbox = Letterbox(size, self.pad_to_aspect_ratio)
        pairs = PairCollection(X, y, letterbox, 2**self.depth)
        n_pairs = len(pairs.images)
        weights = check_sample_weight(sample_weight, n_pairs).astype(np.float32)
        data = Split(pairs, None, weights, np.arange(n_pairs))
        fraction = resolve_validation_fraction(self, X_val)
        train, validation = split_data(data, fraction, groups, seed)
        if X_val is not None:
            names = "X_val", "y_val"
            pairs = PairCollection(X_val, y_val, letterbox, 2**self.depth, names)
            positions = np.arange(len(pairs.images))
            weights = np.ones(len(positions), np.float32)
            validation = Split(pairs, None, weights, positions)
        return train, validation

    def _read(self, train, validation, fitting):
        """Read all pairs, in the class indices of the training masks."""
        pairs = read_pairs(train.images, fitting)
        if validation is not None:
            held_out = pairs
            if validation.images is not train.images:
                held_out = read_pairs(validation.images, fitting)
                held_out = held_out.encode_by(pairs.classes)
            validation = replace(
                validation, images=held_out.images, targets=held_out.masks
            )
        train = replace(train, images=pairs.images, targets=pairs.masks)
        return train, validation, pairs

    def _start(self, train, pairs, seed):
        """Return what training starts with.

        Returns
        -------
        attributes : dict
            Those of a new network, or of the last fit.
        class_weights : ndarray of shape (256,), dtype float32
            Weights of pixels by class index, 0 beside the images.
        """
        from ._pixels import weigh_pixels

        classes, n_classes = pairs.classes, len(pairs.classes)
        counts = count_pixels(train, n_classes)
        warn_of_one_label(classes, counts)
        class_weights = weigh_pixels(self, classes, counts)
        letterbox = pairs.letterbox
        spec = UNetSpec(
            int(self.depth),
            int(self.base_filters),
            letterbox.size,
            float(self.dropout),
            bool(self.batch_norm),
            1 if n_classes <= 2 else n_classes,
            resolve_compute_dtype(self.compute_dtype, _COMPUTE_DTYPE),
        )
        if self.warm_start and hasattr(self, "_weights"):
            self._check_continues(classes, spec, letterbox)
            weights, tile_shape = self._weights, self.tile_shape_
        else:
            bias = make_output_bias(counts * class_weights)
            weights = tuple(make_random_weights(spec, bias, seed))
            median = np.median(pairs.shapes[train.positions], axis=0)
            tile_shape = tuple(np.rint(median).astype(int).tolist())
        attributes = {
            "classes_": classes,
            "tile_shape_": tile_shape,
            "_spec": spec,
            "_weights": weights,
            "_letterbox": letterbox,
            "_model": None,
        }
        table = np.pad(class_weights, (0, 256 - n_classes)).astype(np.float32)
        return attributes, table

    def _check_continues(self, classes, spec, letterbox):
        """Raise ValueError unless `warm_start` can go on from the last fit."""
        if not np.array_equal(self.classes_, classes):
            raise ValueError(
                f"warm_start: the masks hold {classes.tolist()}, but those of the last "
                f"fit {self.classes_.tolist()}. Set warm_start=False to start anew."
            )
        if (spec, letterbox) != (self._spec, self._letterbox):
            raise ValueError(
                "warm_start: the network's settings differ from those of the last fit. "
                "Put depth, base_filters, image_size, pad_to_aspect_ratio, dropout, "
                "batch_norm and compute_dtype back, or set warm_start=False to start "
                "anew."
            )

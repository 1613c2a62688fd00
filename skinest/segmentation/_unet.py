"""Masks of images by a U-Net."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from contextlib import ExitStack, closing
from functools import partial
from numbers import Integral, Real

import numpy as np
from sklearn.base import _fit_context
from sklearn.callback import with_callbacks
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from .._augmenting import check_pair_augmentation
from .._training._estimator import NetworkEstimator
from ..images import check_images
from ..metrics import dice_score

_MAX_SEED = np.iinfo(np.int32).max


class UNetSegmenter(NetworkEstimator):
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
        Images in a step of training, and through the network at a time.

    augmentation : Augmentation, callable or keras.layers.Layer, default=None
        What changes training pairs at random, see
        :class:`skinest.augmentation.Augmentation`. A callable is called with a
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
        epoch, in (0, 1): at random, or by whole `groups`.

    early_stopping : bool, default=False
        Stop when `monitor` has not improved for `n_iter_no_change` epochs. The
        weights of the best epoch are kept either way.

    n_iter_no_change : int, default=10
        How many epochs to wait for an improvement.

    monitor : str, default="val_loss"
        What early stopping looks at: "loss", "accuracy", "precision", "recall", "iou"
        or "dice", with ``"val_"`` before it for the held-out images.

    compute_dtype : {"auto", "float32", "bfloat16"}, default="auto"
        What the network computes in. "auto" is bfloat16 on a processor that has it.
        Weights and outputs are float32 either way.

    keras_callbacks : list of keras.callbacks.Callback, default=None
        Called in training, on copies.

    warm_start : bool, default=False
        Go on from the weights that the last `fit` ended with. Epochs and `history_`
        are counted on; the optimizer starts anew.

    random_state : int, RandomState instance or None, default=None
        Draws weights, validation images, order, augmentation and dropout. The same
        integer gives the same bits on a processor; no global state is touched.

    verbose : int, default=0
        1 and 2 show epochs in Keras' two ways.

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

    _parameter_constraints: dict = {
        "depth": [Interval(Integral, 1, None, closed="left")],
        "base_filters": [Interval(Integral, 1, None, closed="left")],
        "image_size": [tuple, list],
        "pad_to_aspect_ratio": ["boolean"],
        "loss": [str, callable],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "batch_norm": ["boolean"],
        "epochs": [Interval(Integral, 1, None, closed="left")],
        "learning_rate": [
            Interval(Real, 0, None, closed="neither"),
            HasMethods(["get_config", "__call__"]),
        ],
        "optimizer": [str, HasMethods(["get_config", "apply"])],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "augmentation": [callable, None],
        "threshold": [Interval(Real, 0, 1, closed="neither")],
        "tile_overlap": [Interval(Real, 0, 1, closed="left"), None],
        "crop_margin": [Interval(Real, 0, None, closed="left")],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither"), None],
        "early_stopping": ["boolean"],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "monitor": [str],
        "compute_dtype": [StrOptions({"auto", "float32", "bfloat16"})],
        "keras_callbacks": [list, tuple, None],
        "warm_start": ["boolean"],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        *,
        depth=4,
        base_filters=64,
        image_size=(128, 128),
        pad_to_aspect_ratio=False,
        loss="dice",
        class_weight=None,
        dropout=0.0,
        batch_norm=True,
        epochs=20,
        learning_rate=1e-3,
        optimizer="adam",
        batch_size=16,
        augmentation=None,
        threshold=0.5,
        tile_overlap=None,
        crop_margin=0.1,
        validation_fraction=None,
        early_stopping=False,
        n_iter_no_change=10,
        monitor="val_loss",
        compute_dtype="auto",
        keras_callbacks=None,
        warm_start=False,
        random_state=None,
        verbose=0,
    ):
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
        from ._fitting import SEEDS, Fit, as_reading
        from ._pairs import read_pairs, sources_of
        from ._preparing import check_settings, frame_of, parts_of, split, start_of

        check_settings(self)
        augmentation = check_pair_augmentation(self.augmentation)
        rng = check_random_state(self.random_state)
        seeds = {name: rng.randint(_MAX_SEED) for name in SEEDS}
        source, given = sources_of(X, y, X_val, y_val, 2**self.depth)
        halves = split(self, source, given, sample_weight, groups, seeds["hold_out"])
        context = self._init_callback_context(
            max_subtasks=self.epochs + (1 if given is None else 2)
        )
        hook_arguments = {"estimator": self, "X": X, "y": y}
        context.call_on_fit_task_begin(**hook_arguments)
        tasks = partial(as_reading, context, self)
        with ExitStack() as stack:
            train, validation = parts_of(
                halves,
                *(
                    stack.enter_context(read_pairs(each, frame_of(self), tasks))
                    for each in (source, given)
                    if each is not None
                ),
            )
            state, loss, class_weights = start_of(self, train, seeds["weights"])
            attributes_of = partial(_attributes, classes=train.pairs.classes)
            fitting = Fit(
                settings=self,
                seeds=seeds,
                context=context,
                hook_arguments=hook_arguments,
                attributes_of=attributes_of,
                first_epoch=self._n_done(),
                loss=loss,
                class_weights=class_weights,
                augmentation=augmentation,
            )
            attributes = attributes_of(fitting.run(state, train, validation))
        vars(self).update(attributes)
        self._keep_records(fitting)
        context.call_on_fit_task_end(
            **hook_arguments, reconstruction_attributes=attributes
        )
        return self

    def predict_proba(self, X):
        """Probabilities of the labels of each pixel.

        Parameters
        ----------
        X : array, list of arrays or paths of length n_images
            Images, see :mod:`skinest.images`.

        Returns
        -------
        probabilities : ndarray of shape (n_images, height, width, n_classes) or \
object array of ndarray of shape (height, width, n_classes), dtype float32
            In the order of `classes_`: an array where `X` is one of numbers, else an
            object array, one entry for each image.
        """
        return self._collected(X, self._probabilities)

    def predict(self, X):
        """The mask of each image.

        Parameters
        ----------
        X : array, list of arrays or paths of length n_images
            Images, see :mod:`skinest.images`.

        Returns
        -------
        masks : ndarray of shape (n_images, height, width) or object array of ndarray \
of shape (height, width)
            Labels of the pixels, as they were in the training masks: an array where
            `X` is one of numbers, else an object array, one entry for each image.
        """
        return self._collected(X, self._mask)

    def transform(self, X):
        """Crop each image to its foreground.

        Parameters
        ----------
        X : array, list of arrays or paths of length n_images
            Images, see :mod:`skinest.images`.

        Returns
        -------
        images : object array of ndarray of shape (height, width, 3), dtype uint8
            What is predicted as foreground with a margin around it, or the whole
            image where there is none, in RGB.
        """
        check_is_fitted(self)
        images = check_images(X)
        cropped = np.empty(len(images), dtype=object)
        with closing(self._outputs(images)) as all_outputs:
            for position, outputs in enumerate(all_outputs):
                is_foreground = self._mask(outputs) != self.classes_[0]
                cropped[position] = _crop(
                    images[position], is_foreground, self.crop_margin
                )
        return cropped

    def set_output(self, *, transform=None):
        """Do nothing: images are never put into tables.

        So a Pipeline that holds a segmenter can set the output of its other steps.

        Parameters
        ----------
        transform : str, default=None
            Not used.

        Returns
        -------
        self : UNetSegmenter
            This estimator.
        """
        return self

    def score(self, X, y, sample_weight=None):
        """Mean Dice coefficient of the foreground of each image.

        Parameters
        ----------
        X : array, list of arrays or paths of length n_images
            Images, see :mod:`skinest.images`.

        y : array, list of arrays or paths of length n_images
            Their masks, of no labels but those of `classes_`.

        sample_weight : array-like of shape (n_images,), default=None
            Weights of images.

        Returns
        -------
        score : float
            In [0, 1]; see :func:`skinest.metrics.dice_score`. An empty mask that is
            predicted empty counts 1.

        Raises
        ------
        ValueError
            If images and masks differ in number or size, or a mask holds a label that
            no training mask did.
        """
        from ._pairs import PairSource

        check_is_fitted(self)
        source = PairSource(X, y, 2**self.depth)
        shapes = self._check_known(source.masks)
        predicted = self.predict(X)
        for position, (shape, found) in enumerate(zip(shapes, predicted, strict=True)):
            source.check_shape(position, shape, found.shape)
        has_foreground = len(self.classes_) > 1
        return dice_score(
            source.masks,
            predicted,
            labels=self.classes_[1:] if has_foreground else None,
            sample_weight=sample_weight,
        )

    @property
    def model_(self):
        """The fitted network as a Keras model."""
        check_is_fitted(self)
        from ..networks._unet import build

        if self._model is None:
            self._model = build(self._state.spec)
            self._model.set_weights(self._state.weights.arrays)
        return self._model

    def _probabilities(self, outputs):
        """Probabilities of all labels from outputs of the network."""
        if len(self.classes_) == 1:
            return np.ones_like(outputs)
        if len(self.classes_) == 2:
            return np.concatenate([1 - outputs, outputs], axis=-1)
        return outputs

    def _mask(self, outputs):
        """Labels from outputs of the network."""
        if len(self.classes_) == 1:
            return np.full(outputs.shape[:2], self.classes_[0])
        if len(self.classes_) == 2:
            return self.classes_[(outputs[..., 0] > self.threshold).astype(np.intp)]
        return self.classes_[outputs.argmax(axis=-1)]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags

    def _outputs(self, images):
        from ._fitting import outputs_of

        return outputs_of(self._state, images, self.batch_size, self.tile_overlap)

    def _collected(self, X, make):
        """What is made of the outputs for each image, in the form that X has."""
        check_is_fitted(self)
        images = check_images(X)
        made = np.empty(len(images), dtype=object)
        with closing(self._outputs(images)) as all_outputs:
            for position, outputs in enumerate(all_outputs):
                made[position] = make(outputs)
        is_stack = isinstance(X, np.ndarray) and X.dtype.kind in "uif"
        return np.stack(list(made)) if is_stack else made

    def _check_known(self, masks):
        """Raise ValueError for labels of no training mask; else shapes of the masks."""
        shapes = []
        for position in range(len(masks)):
            mask, labels = masks.read(position)
            shapes.append(mask.shape)
            unknown = np.setdiff1d(labels, self.classes_).tolist()
            if unknown:
                raise ValueError(
                    f"{masks.where(position)} holds {unknown}, which the training "
                    f"masks, with {self.classes_.tolist()}, do not."
                )
        return shapes


def _crop(image, is_foreground, margin):
    """The image around its foreground; all of it where there is none."""
    if not is_foreground.any():
        return image
    place = []
    for axis, length in enumerate(is_foreground.shape):
        found = np.flatnonzero(is_foreground.any(axis=1 - axis))
        extra = round(margin * (found[-1] + 1 - found[0]))
        start, stop = found[0] - extra, found[-1] + 1 + extra
        place.append(slice(max(0, start), min(length, stop)))
    return image[tuple(place)].copy()


def _attributes(state, classes):
    """What makes a segmenter ready to predict."""
    return {
        "classes_": classes,
        "tile_shape_": state.tile_shape,
        "_state": state,
        "_model": None,
    }

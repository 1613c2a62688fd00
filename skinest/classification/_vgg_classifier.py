"""Images to labels by VGG16 or VGG19."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from .._compat import StrOptions
from ._transfer_classifier import TransferClassifier


class VGGTransferClassifier(TransferClassifier):
    """Classify images by VGG16 or VGG19 with a new head.

    Preprocessing, the backbone, pooling, dense layers and a sigmoid, or a softmax for
    more than two classes, make one network. It trains in one or two stages. While the
    backbone is frozen, its features of each image are computed once, and only the
    head is trained on them.

    Parameters
    ----------
    backbone : {"vgg16", "vgg19"}, default="vgg16"
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
        The lowest part of the network that trains in the first stage: "head", "block5"
        to "block1", or "all". All above it trains too.

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
    TransferClassifier : The same for more backbones.
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
    K. Simonyan and A. Zisserman, "Very deep convolutional networks for large-scale
    image recognition", ICLR 2015, arXiv:1409.1556.

    Examples
    --------
    A linear head on averaged features of ImageNet's weights:

    >>> from skinest import Augmentation, VGGTransferClassifier
    >>> default = VGGTransferClassifier(class_weight="balanced")

    The larger head of the study that the examples reproduce, 512 units on flattened
    feature maps, with 27,560,769 parameters in all:

    >>> study = VGGTransferClassifier(
    ...     hidden_units=(512,), pooling="flatten", dropout=0.5, l2=0.0,
    ...     epochs=50, learning_rate=1e-4,
    ... )

    Its settings for benign or malignant:

    >>> from sklearn.base import clone
    >>> task1 = clone(study).set_params(
    ...     epochs=100, learning_rate=1e-5, class_weight="balanced",
    ...     augmentation=Augmentation(), validation_fraction=0.15,
    ...     early_stopping=True, n_iter_no_change=10,
    ... )

    Its settings for seven diagnoses: block5 and the head, then all layers.

    >>> task2 = clone(study).set_params(
    ...     trainable="block5", epochs=35,
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

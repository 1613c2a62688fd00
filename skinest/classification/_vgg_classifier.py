"""Classification with VGG16 or VGG19 and a new head."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from .._compat import StrOptions
from ._transfer_classifier import TransferClassifier


class VGGTransferClassifier(TransferClassifier):
    """Classify images with VGG16 or VGG19 and a new head.

    The network consists of preprocessing, the backbone, pooling, dense layers, and a
    sigmoid for two classes or a softmax for more. It is trained in one or two stages.
    While the backbone is frozen, its features of each image are computed once, and only
    the head is trained on them.

    Parameters
    ----------
    backbone : {"vgg16", "vgg19"}, default="vgg16"
        Network of `keras.applications` without its classifier.

    weights : "imagenet", str, path or None, default="imagenet"
        Weights of the backbone. "imagenet" downloads those of `keras.applications`
        once. A path is a file of weights of this network, with or without its top,
        written by Keras' `save_weights` or by :meth:`TransferClassifier.save_backbone`.
        None means random weights (He et al. 2015).

    image_size : tuple of int, default=(224, 224)
        (height, width) to which images are resized, in pixels, 32 or more each.

    hidden_units : tuple of int, default=()
        Number of units of each dense ReLU layer between features and output. ``()``
        means no such layer.

    pooling : {"avg", "max", "flatten"}, default="avg"
        How feature maps, of shape (rows, columns, channels), are converted to a vector:
        the mean or maximum of each channel, or all values.

    dropout : float, default=0.5
        Dropout rate in [0, 1) after each hidden layer or, without hidden layers, before
        the output.

    l2 : float or "auto", default="auto"
        L2 penalty on the kernels of the trained layers. "auto" is 0.1 on the kernel of
        the output alone.

    trainable : str, default="head"
        The lowest part to train in the first stage: "head", "block5" to "block1", which
        are "stage5" to "stage1" too, "all", or the name of a layer. All layers above it
        are trained too.

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
        Not used, because VGG16 and VGG19 have no batch normalisation.

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
    TransferClassifier : The same with more backbones.
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
    K. Simonyan and A. Zisserman, "Very deep convolutional networks for large-scale
    image recognition", ICLR 2015, arXiv:1409.1556.

    Examples
    --------
    A linear head on averaged features, with weights from ImageNet:

    >>> from skinest import Augmentation, VGGTransferClassifier
    >>> default = VGGTransferClassifier(class_weight="balanced")

    The larger head of the study that the examples reproduce: 512 units on flattened
    feature maps. The network has 27,560,769 parameters:

    >>> study = VGGTransferClassifier(
    ...     hidden_units=(512,), pooling="flatten", dropout=0.5, l2=0.0,
    ...     epochs=50, learning_rate=1e-4,
    ... )

    The settings of the study for benign or malignant lesions:

    >>> from sklearn.base import clone
    >>> task1 = clone(study).set_params(
    ...     epochs=100, learning_rate=1e-5, class_weight="balanced",
    ...     augmentation=Augmentation(), validation_fraction=0.15,
    ...     early_stopping=True, n_iter_no_change=10,
    ... )

    The settings of the study for seven diagnoses. The first stage trains block5 and the
    head, the second stage all layers:

    >>> task2 = clone(study).set_params(
    ...     trainable="block5", epochs=35,
    ...     fine_tune="all", fine_tune_epochs=20, fine_tune_learning_rate=1e-6,
    ...     batch_size=128, l2=5e-4, class_weight="balanced",
    ...     augmentation=Augmentation(zoom=0.1, vertical_flip=True),
    ...     validation_fraction=0.15, early_stopping=True, n_iter_no_change=15,
    ... )

    Random initial weights and images of 32 x 32 pixels:

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

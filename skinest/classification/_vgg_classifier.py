"""Images to labels by VGG16 or VGG19."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from .._compat import StrOptions
from ._docs import NOTES, parameters
from ._transfer_classifier import TransferClassifier


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

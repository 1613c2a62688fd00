"""A function that builds a transfer network for the user's own code."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import os
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

from sklearn.utils import check_random_state

from .._compat import Interval, StrOptions, validate_params
from ..utils._checks import MAX_SEED
from ._backbone_stages import resolve_batch_norm
from ._backbones import get_architecture, get_backbone
from ._scikeras import compile_network, resolve_image_size, resolve_n_outputs
from ._transfer_network import (
    BACKBONE,
    BATCH_NORM,
    BackboneSpec,
    HeadSpec,
    build_network,
    check_hidden_units,
    count_features,
    make_random_head,
)
from ._weights import load_backbone_weights

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import keras

    from .._typing import (
        BackboneName,
        BatchNorm,
        ComputeDtype,
        ImageSize,
        PathLike,
        Penalty,
        Pooling,
        RandomStateLike,
    )
    from ._keras_backbone import KerasBackbone


@validate_params(
    {
        "backbone": BACKBONE,
        "weights": [str, os.PathLike, None],
        "image_size": [tuple, list, None],
        "hidden_units": [tuple, list],
        "pooling": [StrOptions({"flatten", "avg", "max"})],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "l2": [Interval(Real, 0, None, closed="left"), StrOptions({"auto"})],
        "n_outputs": [Interval(Integral, 1, None, closed="left"), None],
        "trainable": [str],
        "train_batch_norm": BATCH_NORM,
        "compute_dtype": [StrOptions({"float32", "bfloat16"})],
        "random_state": ["random_state"],
        "meta": [dict, None],
        "compile_kwargs": [dict, None],
    },
    prefer_skip_nested_validation=True,
)
def build_transfer_network(
    backbone: BackboneName | KerasBackbone = "vgg16",
    *,
    weights: PathLike | None = "imagenet",
    image_size: ImageSize | None = None,
    hidden_units: Sequence[int] = (),
    pooling: Pooling = "avg",
    dropout: float = 0.5,
    l2: Penalty = "auto",
    n_outputs: int | None = None,
    trainable: str = "head",
    train_batch_norm: BatchNorm = "auto",
    compute_dtype: ComputeDtype = "float32",
    random_state: RandomStateLike = None,
    meta: Mapping[str, Any] | None = None,
    compile_kwargs: Mapping[str, Any] | None = None,
) -> keras.Model:
    """Build a transfer network as one flat Keras model.

    Use it if your code trains Keras models itself, or as `model=` of
    `scikeras.wrappers.KerasClassifier`. Otherwise use
    :class:`~skinest.TransferClassifier`: it trains the same network, accepts images of
    any size and form, and computes the features of a frozen backbone once instead of in
    each epoch.

    The layers are, in this order: the input ``images`` (RGB, values from 0 to 255), the
    preprocessing (several layers for some backbones), the layers of the backbone with
    their names in Keras, ``features`` (the pooling), ``hidden_1``, ``dropout_1`` and so
    on, ``logits`` and ``probabilities``.

    Parameters
    ----------
    backbone : str or KerasBackbone, default="vgg16"
        Name of a network of `keras.applications` in lower case, such as "resnet50" or
        "efficientnetb0", without its classifier; :ref:`backbones` lists all of them. Or
        a network of your own, see :class:`skinest.networks.KerasBackbone`.

    weights : "imagenet", path or None, default="imagenet"
        Weights of the backbone: "imagenet", which are downloaded at the first use, or
        those that a network of your own came with; a file with weights; or None for
        random weights.

    image_size : tuple of int, default=None
        (height, width) of the images in pixels, 32 or more. A few backbones need more,
        see :ref:`backbones`. None means the size of the images in `meta` or, without
        `meta`, (224, 224).

    hidden_units : tuple of int, default=()
        Number of units of each dense ReLU layer between features and output. The
        default adds no such layer.

    pooling : {"avg", "max", "flatten"}, default="avg"
        How feature maps are converted to a vector: the mean or maximum of each channel,
        or all values.

    dropout : float, default=0.5
        Dropout rate after each hidden layer, or before the output if there is no hidden
        layer.

    l2 : float or "auto", default="auto"
        L2 penalty on the kernels of the trained layers. "auto" is 0.1 on the kernel of
        the output alone.

    n_outputs : int, default=None
        1 for a sigmoid, more for a softmax. None means the number that the classes in
        `meta` need or, without `meta`, 1.

    trainable : str, default="head"
        The lowest part to train. All layers above it are trained too, except batch
        normalisation, see `train_batch_norm`. "head"; a stage, "stage5" to "stage1",
        from the top down; "all"; a block of the backbone, such as "block5" of VGG16; or
        the name of a layer.

    train_batch_norm : bool or "auto", default="auto"
        Whether batch normalisation of the backbone or encoder is trained in the part
        that trains. If not, it keeps its statistics. "auto" trains it only with "all"
        and ``weights=None``.

    compute_dtype : {"float32", "bfloat16"}, default="float32"
        Floating-point precision of the backbone.

    random_state : int, RandomState instance or None, default=None
        Seed of the random weights of the head, and of the backbone if `weights` is
        None. None uses NumPy's global generator, which SciKeras seeds.

    meta : dict, default=None
        Information about `X` and `y`. SciKeras passes it itself.

    compile_kwargs : dict, default=None
        Arguments of Keras' ``compile``. If they have no loss, the model is compiled
        with the cross entropy of its outputs. SciKeras passes them itself. None returns
        an uncompiled model.

    Returns
    -------
    model : keras.Model
        Model from images of shape (n_images, height, width, 3) to probabilities of
        shape (n_images, n_outputs), dtype float32.

    Raises
    ------
    ValueError
        If an argument is invalid, or the network cannot be used for the images or
        labels in `meta`.
    FileNotFoundError, OSError
        If weights are missing, or cannot be downloaded.

    See Also
    --------
    skinest.TransferClassifier : The network as a scikit-learn classifier.

    Examples
    --------
    >>> from skinest.networks import build_transfer_network
    >>> model = build_transfer_network("vgg16", weights=None)
    >>> model.count_params()
    14715201

    A hidden layer on flattened feature maps nearly doubles that:

    >>> model = build_transfer_network(
    ...     "vgg16", weights=None, hidden_units=(512,), pooling="flatten"
    ... )
    >>> model.count_params()
    27560769
    """
    size = resolve_image_size(image_size, meta, default=(224, 224))
    get_backbone(backbone).check_image_size(size)
    check_hidden_units(hidden_units)
    n_outputs = resolve_n_outputs(n_outputs, meta, compile_kwargs)
    spec = BackboneSpec(get_architecture(backbone), size, pooling, compute_dtype)
    head = HeadSpec(tuple(hidden_units), dropout, l2, n_outputs)
    trains_norms = resolve_batch_norm(train_batch_norm, trainable, weights is None)
    network = build_network(spec, head, trainable, trains_norms)
    rng = check_random_state(random_state)
    seeds = rng.randint(MAX_SEED, size=2)
    units = (*head.hidden_units, n_outputs)
    network.set_weights(
        [
            *load_backbone_weights(backbone, weights, int(seeds[0])).arrays,
            *make_random_head(count_features(spec), units, seeds[1]),
        ]
    )
    return compile_network(network, compile_kwargs)

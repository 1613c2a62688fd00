"""A function that builds a U-Net for the user's own code."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import os
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils import check_random_state

from .._compat import Interval, StrOptions, validate_params
from ..utils._checks import MAX_SEED
from ._backbone_stages import resolve_batch_norm
from ._backbones import get_architecture
from ._encoders import EncoderSpec, check_encoder, load_encoder_weights
from ._scikeras import (
    check_rows_of_masks,
    check_values_in_fit,
    compile_network,
    resolve_image_size,
)
from ._transfer_network import BATCH_NORM, ENCODER
from ._unet_network import (
    BASE_FILTERS,
    DEPTH,
    UNetSpec,
    build,
    check_unet_size,
    make_random_weights,
    resolve_levels,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    import keras

    from .._typing import (
        AutoNumber,
        BackboneName,
        BatchNorm,
        ComputeDtype,
        ImageSize,
        PathLike,
        RandomStateLike,
    )
    from ._keras_backbone import KerasBackbone


@validate_params(
    {
        "encoder": ENCODER,
        "weights": [str, os.PathLike, None],
        "depth": DEPTH,
        "base_filters": BASE_FILTERS,
        "image_size": [tuple, list, None],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "batch_norm": ["boolean"],
        "n_outputs": [Interval(Integral, 1, None, closed="left")],
        "trainable": [str],
        "train_batch_norm": BATCH_NORM,
        "compute_dtype": [StrOptions({"float32", "bfloat16"})],
        "random_state": ["random_state"],
        "meta": [dict, None],
        "compile_kwargs": [dict, None],
    },
    prefer_skip_nested_validation=True,
)
def build_unet(
    *,
    encoder: BackboneName | KerasBackbone | None = None,
    weights: PathLike | None = "imagenet",
    depth: AutoNumber = "auto",
    base_filters: AutoNumber = "auto",
    image_size: ImageSize | None = None,
    dropout: float = 0.0,
    batch_norm: bool = True,
    n_outputs: int = 1,
    trainable: str = "decoder",
    train_batch_norm: BatchNorm = "auto",
    compute_dtype: ComputeDtype = "float32",
    random_state: RandomStateLike = None,
    meta: Mapping[str, Any] | None = None,
    compile_kwargs: Mapping[str, Any] | None = None,
) -> keras.Model:
    """Build a U-Net as one flat Keras model.

    Use it if your code trains Keras models itself, or as `model=` of
    `scikeras.wrappers.KerasClassifier`. SciKeras needs masks of 0 and 1 as rows, with
    one label per pixel: ``y = (masks > 0).astype(int).reshape(len(masks), -1)``, and a
    loss of Keras. Otherwise use :class:`~skinest.UNetSegmenter`: it trains the same
    network, accepts images and masks of any size and form, and has losses for masks.

    Each level of the contracting path has two 3 x 3 convolutions with ReLU and 2 x 2
    max pooling. The bottom has twice as many filters as the last level, and no pooling.
    Each level of the expanding path has a transposed convolution (3 x 3, stride 2), the
    concatenation with the feature maps of the same level, and two 3 x 3 convolutions.
    All convolutions are padded, so that the output has the size of the image.

    With an `encoder`, its layers are the contracting path, with the preprocessing in
    front, and its last feature maps are the bottom. Levels at which it has no feature
    maps, such as that of the image size in most networks, are not concatenated. The
    expanding path has batch normalisation. :ref:`encoders` says more.

    Parameters
    ----------
    encoder : str or KerasBackbone, default=None
        Contracting path of the network: the name of a backbone in :ref:`backbones`,
        such as "mobilenetv2" or "vgg16", or a network of your own, see
        :class:`skinest.networks.KerasBackbone`. None is that of the U-Net paper.

    weights : "imagenet", path or None, default="imagenet"
        Weights of the encoder, as those of a backbone in
        :func:`build_transfer_network`. Not used without an encoder.

    depth : int or "auto", default="auto"
        Number of times that the image size is halved, at most 16. "auto" is 4 or, with
        an encoder, as often as the encoder halves it: 4 for VGG, 5 for all others in
        :ref:`backbones`.

    base_filters : int or "auto", default="auto"
        Number of filters of the first level. It doubles at each further level. "auto"
        is 64 or, with an encoder, 16. An encoder has its own filters; then these are
        those of the expanding path.

    image_size : tuple of int, default=None
        (height, width) of the images in pixels, multiples of ``2 ** depth``. None means
        the size of the images in `meta` or, without `meta`, (128, 128).

    dropout : float, default=0.0
        Dropout rate at the bottom, in [0, 1).

    batch_norm : bool, default=True
        Whether to use batch normalisation before each ReLU of the contracting path or,
        with an encoder, of the expanding path.

    n_outputs : int, default=1
        1 for a sigmoid, which is the probability of the foreground; more for a softmax.

    trainable : str, default="decoder"
        The lowest part of the encoder to train: "decoder", which freezes the encoder;
        "all"; or a stage, a block or a layer, as in :func:`build_transfer_network`. All
        layers above it are trained too, except batch normalisation of the encoder, see
        `train_batch_norm`. Both are not used without an encoder.

    train_batch_norm : bool or "auto", default="auto"
        Whether batch normalisation of the backbone or encoder is trained in the part
        that trains. If not, it keeps its statistics. "auto" trains it only with "all"
        and ``weights=None``.

    compute_dtype : {"float32", "bfloat16"}, default="float32"
        Floating-point precision of the layers. Weights and outputs are always float32.

    random_state : int, RandomState instance or None, default=None
        Seed of the random weights. None uses NumPy's global generator, which SciKeras
        seeds.

    meta : dict, default=None
        Information about `X` and `y`. SciKeras passes it itself.

    compile_kwargs : dict, default=None
        Arguments of Keras' ``compile``. If they have no loss, the model is compiled
        with the cross entropy of its outputs. SciKeras passes them itself. None returns
        an uncompiled model.

    Returns
    -------
    model : keras.Model
        Model from RGB images of shape (n_images, height, width, 3), with values from 0
        to 255, to probabilities of shape (n_images, height, width, n_outputs), dtype
        float32. With `meta`, their shape is (n_images, height * width).

    Raises
    ------
    ValueError
        If an argument is invalid, or the network cannot be used for the images or masks
        in `meta`.
    FileNotFoundError, OSError
        If weights are missing, or cannot be downloaded.

    See Also
    --------
    skinest.UNetSegmenter : The network as a scikit-learn estimator.

    References
    ----------
    O. Ronneberger, P. Fischer and T. Brox, "U-Net: convolutional networks for
    biomedical image segmentation", MICCAI 2015, arXiv:1505.04597.

    Examples
    --------
    >>> from skinest.networks import build_unet
    >>> build_unet(depth=2, base_filters=8).output_shape
    (None, 128, 128, 1)

    With VGG16 as encoder:

    >>> build_unet(encoder="vgg16", weights=None, base_filters=8).output_shape
    (None, 128, 128, 1)
    """
    import keras

    size = resolve_image_size(image_size, meta, default=(128, 128))
    depth, base_filters = resolve_levels(encoder, depth, base_filters)
    check_unet_size(size, depth)
    encoder_spec = None
    if encoder is not None:
        check_encoder(encoder, size, depth, trainable=trainable)
        encoder_spec = EncoderSpec(get_architecture(encoder), compute_dtype)
    if meta is not None:
        check_rows_of_masks(size, n_outputs, meta)
    spec = UNetSpec(
        depth,
        base_filters,
        size,
        dropout,
        batch_norm,
        n_outputs,
        compute_dtype,
        encoder_spec,
    )
    trains_norms = resolve_batch_norm(train_batch_norm, trainable, weights is None)
    network = build(spec, trainable, trains_norms)
    seed = check_random_state(random_state).randint(MAX_SEED)
    of_encoder = None
    if encoder is not None:
        of_encoder = load_encoder_weights(encoder, weights, seed)
    arrays = make_random_weights(spec, np.zeros(n_outputs), seed, of_encoder)
    network.set_weights(arrays)
    if meta is not None:
        rows = keras.layers.Reshape((-1,), dtype="float32", name="rows")(network.output)
        network = keras.Model(network.input, rows, name=network.name)
        check_values_in_fit(network)
    return compile_network(network, compile_kwargs)

"""The network with which a fit of a transfer classifier starts."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from dataclasses import replace

from .._training._engines import resolve_compute_dtype
from .._training._network_estimator import make_output_bias
from ..networks._backbones import get_architecture, get_backbone
from ..networks._transfer_network import (
    BackboneSpec,
    HeadSpec,
    TransferNetwork,
    count_features,
    make_random_head,
)
from ..networks._weights import load_backbone_weights
from ._stages import check_continues


def start_network(estimator, classes, totals, seeds) -> TransferNetwork:
    """Return a new network or, with `warm_start`, that of the last fit.

    Parameters
    ----------
    estimator : TransferClassifier
        The classifier, whose parameters are valid.

    classes : ndarray of shape (n_classes,)
        The sorted labels.

    totals : ndarray of shape (n_classes,)
        Total weight of the images of each class.

    seeds : dict of str to int
        Seeds of "weights" and "head".
    """
    preferred = get_backbone(estimator.backbone).compute_dtype
    backbone_spec = BackboneSpec(
        get_architecture(estimator.backbone),
        tuple(map(int, estimator.image_size)),
        estimator.pooling,
        resolve_compute_dtype(estimator.compute_dtype, preferred),
    )
    n_outputs = 1 if len(classes) == 2 else len(classes)
    units = tuple(map(int, estimator.hidden_units))
    l2 = estimator.l2 if estimator.l2 == "auto" else float(estimator.l2)
    head_spec = HeadSpec(units, float(estimator.dropout), l2, n_outputs)
    train_batch_norm = estimator.train_batch_norm
    if estimator.warm_start and hasattr(estimator, "_network"):
        check_continues(estimator, classes, backbone_spec, head_spec)
        return replace(estimator._network, train_batch_norm=train_batch_norm)
    backbone = load_backbone_weights(
        estimator.backbone, estimator.weights, seeds["weights"]
    )
    n_features = count_features(backbone_spec)
    head = make_random_head(n_features, (*units, n_outputs), seeds["head"])
    head[-1] = make_output_bias(totals)
    return TransferNetwork(
        backbone_spec,
        head_spec,
        backbone,
        tuple(head),
        is_from_scratch=estimator.weights is None,
        train_batch_norm=train_batch_norm,
    )

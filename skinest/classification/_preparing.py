"""What is checked and made before a transfer network is fitted."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np
from sklearn.utils.validation import _num_samples

from .._cache import Cache
from .._training import _stages
from .._training._precision import resolve_compute_dtype
from ..feature_extraction._features import Views
from ..images import check_images
from ..networks._backbones import BACKBONES, MIN_SIDE, stage_names
from ..networks._transfer import (
    HeadSpec,
    TrunkSpec,
    check_hidden_units,
    draw_head,
    feature_width,
)
from ..networks._weights import Weights, load_backbone_weights
from ..utils._checks import check_groups, check_image_size, check_some_weight
from ._fitting import METRICS, Part, Plan, State
from ._targets import (
    as_outputs,
    encode_known,
    encode_labels,
    hold_out,
    output_bias,
    weights_by_class,
    weights_by_image,
)

SEEDS = ("weights", "head", "views", "hold_out", "shuffle", "dropout")


def check_settings(clf):
    """Raise ValueError for what the constraints of parameters cannot say."""
    check_image_size(clf.image_size, MIN_SIDE)
    names = stage_names(clf.backbone)
    for name in ("trainable", "fine_tune"):
        value = getattr(clf, name)
        if value not in names and not (name == "fine_tune" and value is None):
            raise ValueError(
                f"{name}={value!r} is no part of {clf.backbone}: choose one of "
                f"{', '.join(names)}."
            )
    check_hidden_units(clf.hidden_units)
    rates = "learning_rate", "fine_tune_learning_rate"
    _stages.check_training(clf, METRICS, rates)
    Cache(clf.memory)  # a folder that cannot be made is refused here


def parts_of(clf, X, y, sample_weight, groups, X_val, y_val, seed):
    """Check images, labels and weights, and hold images out.

    Returns
    -------
    classes : ndarray of shape (n_classes,)
    codes : ndarray of shape (n_training_images,)
        Positions in `classes` of the images that are trained on.
    train : Part
    validation : Part or None
    """
    images = check_images(X, y)
    classes, codes = encode_labels(y)
    by_class = weights_by_class(clf.class_weight, classes, codes)
    weights = weights_by_image(sample_weight, by_class, codes)
    groups = check_groups(groups, len(codes))
    outputs = as_outputs(codes, len(classes))
    train, validation = np.arange(len(codes)), None
    if X_val is not None or y_val is not None:
        validation = _given_validation(X_val, y_val, classes, by_class)
    elif clf.validation_fraction is not None:
        fraction = clf.validation_fraction
        train, held_out = hold_out(codes, fraction, groups, seed, classes)
        validation = Part(images, held_out, outputs[held_out], weights[held_out])
    _stages.check_stopping(clf, validation)
    check_some_weight(weights[train])
    part = Part(images, train, outputs[train], weights[train])
    return classes, codes[train], part, validation


def _given_validation(X_val, y_val, classes, by_class):
    if X_val is None or y_val is None:
        raise ValueError("X_val and y_val go together: pass both or none.")
    images = check_images(X_val, name="X_val")
    if len(images) != _num_samples(y_val):
        raise ValueError(
            f"X_val holds {len(images)} images, but y_val {_num_samples(y_val)} "
            "entries. Pass one for each image."
        )
    codes = encode_known(y_val, classes)
    weights = by_class[codes].astype(np.float32)
    everything = np.arange(len(codes))
    return Part(images, everything, as_outputs(codes, len(classes)), weights)


def start_of(clf, classes, codes, weights, seeds) -> State:
    """The network before training: given or drawn weights, and the classes' shares."""
    preferred = BACKBONES[clf.backbone].compute_dtype
    trunk_spec = TrunkSpec(
        clf.backbone,
        tuple(int(side) for side in clf.image_size),
        clf.pooling,
        resolve_compute_dtype(clf.compute_dtype, preferred),
    )
    n_outputs = 1 if len(classes) == 2 else len(classes)
    units = tuple(int(n_units) for n_units in clf.hidden_units)
    head_spec = HeadSpec(units, float(clf.dropout), float(clf.l2), n_outputs)
    if clf.warm_start and hasattr(clf, "_state"):
        return _continued(clf, trunk_spec, head_spec, classes)
    trunk = load_backbone_weights(clf.backbone, clf.weights, seeds["weights"])
    width = feature_width(trunk_spec)
    head = draw_head(width, (*units, n_outputs), seeds["head"])
    head[-1] = output_bias(codes, len(classes), weights)
    return State(trunk_spec, head_spec, trunk, Weights.of(head))


def _continued(clf, trunk_spec, head_spec, classes):
    state = clf._state
    if not np.array_equal(clf.classes_, classes):
        raise ValueError(
            f"warm_start: y holds {classes.tolist()}, but that of the last fit "
            f"{clf.classes_.tolist()}. Set warm_start=False to start anew."
        )
    if (trunk_spec, head_spec) != (state.trunk_spec, state.head_spec):
        raise ValueError(
            "warm_start: the network's settings differ from those of the last fit. Put "
            "backbone, image_size, pooling, hidden_units, dropout, l2 and "
            "compute_dtype back, or set warm_start=False to start anew."
        )
    return state


def plans_of(clf) -> list[Plan]:
    """The stages."""
    rate = clf.learning_rate if isinstance(clf.optimizer, str) else None
    plans = [Plan(clf.trainable, clf.epochs, rate)]
    if clf.fine_tune is not None:
        rate = clf.fine_tune_learning_rate
        plans.append(Plan(clf.fine_tune, clf.fine_tune_epochs, rate))
    return plans


def views_of(clf, augmentation, seeds) -> Views:
    """What a head is trained on."""
    n_copies = 0 if augmentation is None else clf.n_views
    return Views(n_copies, augmentation, seeds["views"])

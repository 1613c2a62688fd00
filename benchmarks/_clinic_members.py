"""Classifiers of melanoma, which other_clinics.py trains on one source.

`fit` takes the diagnoses of HAM10000, or whether the lesions of ISIC 2016 are
malignant. The fields of a member are all its settings, so stored scores are found by
them.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import hashlib
import os
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # Keras comes before skinest

import keras
from _examples import weigh_classes
from _runs import make_file_name
from accuracy_bovw import three_fishers
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skinest import Augmentation, BottleneckFeatureExtractor, TransferClassifier
from skinest.preprocessing import ColorConstancy

BATCH_SIZE = 32
BALANCE = 0.5  # power of class weights
_LIGHT = {
    "rotation": 180,
    "shift": 0.05,
    "zoom": 0.15,
    "vertical_flip": True,
    "brightness": 0.1,
    "contrast": 0.1,
}
LIGHT = Augmentation(**_LIGHT)
COLORS = Augmentation(
    **_LIGHT, hue=10, saturation=0.25, channel_gain=0.1, blur=0.008, noise=0.02
)


@dataclass(kw_only=True)
class Network:
    """MobileNetV2, fine-tuned from ImageNet's weights or from those of another member.

    Parameters
    ----------
    augmentation : Augmentation
        Changes of the training images.

    side : int
        Height and width of images.

    trainable : str
        The lowest part that is trained.

    train_batch_norm : bool
        Whether batch normalisation is trained too.

    n_views : int
        Number of views of each image for predictions.

    start : str or None
        Member that was trained on HAM10000, whose weights the training on ISIC 2016
        starts with. None means ImageNet's weights.

    epochs : dict of str to int
        Number of epochs on each source.

    copies : dict of str to int
        Number of augmented copies of each image.

    peaks : dict of str to float
        The largest learning rate of the training.

    seed : int
        Seed of the training.
    """

    augmentation: Augmentation = field(default_factory=lambda: LIGHT)
    side: int = 192
    trainable: str = "block_4"
    train_batch_norm: bool = True
    n_views: int = 4
    start: str | None = None
    epochs: dict = field(default_factory=lambda: {"ham": 12, "isic": 12})
    copies: dict = field(default_factory=lambda: {"ham": 7, "isic": 11})
    peaks: dict = field(default_factory=lambda: {"ham": 3e-4, "isic": 2e-4})
    seed: int = 0

    @property
    def backbone(self):
        return "mobilenetv2"

    def fit(self, X, y, source, options):
        self.classifier = TransferClassifier(
            self.backbone,
            weights=find_weights(self.backbone, self.start, options),
            image_size=(self.side, self.side),
            pooling="avg",
            dropout=0.3,
            l2=0.0,
            trainable=self.trainable,
            train_batch_norm=self.train_batch_norm,
            class_weight=weigh_classes(y, BALANCE),
            epochs=self.epochs[source],
            learning_rate=make_rate(len(y), self.epochs[source], self.peaks[source]),
            batch_size=BATCH_SIZE,
            augmentation=self.augmentation,
            n_augmented_copies=self.copies[source],
            n_prediction_views=self.n_views,
            memory=options.memory if source == "isic" else None,
            checkpoint=self.find_state(options) if source == "ham" else None,
            random_state=self.seed,
            verbose=int(source == "ham"),
        ).fit(X, y)

    def find_state(self, options):
        """Return the folder from which a stopped training continues."""
        digest = hashlib.sha256(str(self).encode()).hexdigest()[:8]
        return options.results / f"training-{digest}"

    def predict(self, X):
        """Return the probability of each class."""
        return self.classifier.predict_proba(X)

    def save(self, path):
        self.classifier.save_backbone(path)


def make_rate(n_images, epochs, peak):
    """Return a warm-up of one epoch and cosine decay to 0."""
    n_steps = -(-n_images // BATCH_SIZE)
    return keras.optimizers.schedules.CosineDecay(
        peak / 10, n_steps * (epochs - 1), warmup_target=peak, warmup_steps=n_steps
    )


@dataclass(frozen=True, kw_only=True)
class Features:
    """Features of a network, averaged over views.

    Parameters
    ----------
    backbone : str
        Name of the network.

    side : int
        Height and width of images.

    n_views : int
        Number of views of each image.

    layers : tuple of str or None
        Layers whose outputs are pooled. None means the last one.

    start : str or None
        Member that was trained on HAM10000, whose weights the network has. None means
        ImageNet's weights.
    """

    backbone: str = "mobilenetv2"
    side: int = 224
    n_views: int = 4
    layers: tuple | None = None
    start: str | None = None

    def build(self, options):
        return BottleneckFeatureExtractor(
            self.backbone,
            weights=find_weights(self.backbone, self.start, options),
            image_size=(self.side, self.side),
            layers=self.layers,
            n_feature_views=self.n_views,
            memory=options.memory,
        )


@dataclass(frozen=True)
class FisherVectors:
    """Fisher vectors of grey and colour keypoints, and of colour patches."""

    backbone = start = None

    def build(self, options):
        union = three_fishers().named_steps["bovw"]
        for _, transformer in union.transformer_list:
            transformer.set_params(memory=options.memory, random_state=0, n_jobs=2)
        return union


@dataclass(kw_only=True)
class Linear:
    """A logistic regression on features that are not trained.

    Parameters
    ----------
    features : Features or FisherVectors
        The features.

    C : float
        Inverse of the penalty.

    class_weight : str or None
        Weights of classes.

    scaled : bool
        Whether features are standardised.

    first : transformer or None
        Transformer from images to images before the features.
    """

    features: object = field(default_factory=Features)
    C: float = 1e-3
    class_weight: str | None = None
    scaled: bool = True
    first: object = None

    @property
    def start(self):
        return self.features.start

    @property
    def backbone(self):
        return self.features.backbone

    def fit(self, X, y, source, options):
        steps = [self.first, self.features.build(options)]
        steps += [StandardScaler() if self.scaled else None]
        weights = {"class_weight": self.class_weight}
        steps += [LogisticRegression(C=self.C, **weights, max_iter=1000)]
        self.classifier = make_pipeline(*[step for step in steps if step is not None])
        self.classifier.fit(X, y)

    def predict(self, X):
        return self.classifier.predict_proba(X)


INNER = ("block_6_expand_relu", "block_10_expand_relu", "block_13_expand_relu")
MEMBERS = {
    "frozen": Linear(features=Features(n_views=1)),
    "frozen, 4 views": Linear(),
    "frozen, 4 views, C=.0001": Linear(C=1e-4),
    "frozen, 4 views, C=.003": Linear(C=3e-3),
    "frozen, 4 views, class weights": Linear(class_weight="balanced"),
    "inner layers": Linear(features=Features(layers=INNER), C=3e-3),
    "inner layers, C=.0003": Linear(features=Features(layers=INNER), C=3e-4),
    "inner layers, C=.01": Linear(features=Features(layers=INNER), C=1e-2),
    "inner layers, 1 view": Linear(features=Features(layers=INNER, n_views=1), C=3e-3),
    "inner layers, shades of grey": Linear(
        features=Features(layers=INNER), C=3e-3, first=ColorConstancy()
    ),
    "inner and last layers": Linear(
        features=Features(layers=(*INNER, "out_relu")), C=3e-3
    ),
    "inner and last layers, C=.01": Linear(
        features=Features(layers=(*INNER, "out_relu")), C=1e-2
    ),
    "Fisher vectors": Linear(features=FisherVectors(), C=1.0, scaled=False),
    "network": Network(),
    "network with colour changes": Network(augmentation=COLORS),
    "network, normalisation not trained": Network(train_batch_norm=False),
    "features of HAM10000": Linear(features=Features(side=192, start="network")),
    "inner features of HAM10000": Linear(
        features=Features(side=192, layers=INNER, start="network"), C=3e-3
    ),
}


# Files


def find_file(name, cell, options, ending=".npz"):
    """Return the path of what is stored for a member, which depends on its settings."""
    text = describe(name, options)
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    return options.results / f"{make_file_name(name)}-{cell}-{digest}{ending}"


def describe(name, options):
    """Return all settings of a member and the digest of its weights file, as text."""
    member = MEMBERS[name]
    if member.start:
        return f"{member}, started with {describe(member.start, options)}"
    if member.backbone is None:
        return str(member)
    return f"{member}, weights {hash_file(getattr(options, member.backbone))}"


@cache
def hash_file(path):
    """Return a digest of a weights file, or "imagenet"."""
    if path == "imagenet":
        return path
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()[:8]


def find_weights(backbone, start, options):
    """Return a weights file: ImageNet's, or that of a member."""
    if start is None:
        return getattr(options, backbone)
    return find_file(start, "ham_to_isic", options, ".weights.h5")

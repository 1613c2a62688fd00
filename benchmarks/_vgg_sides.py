"""The side of plain Keras in bench_vgg.py, and functions for both sides.

The plain side is the student study in Keras as a user would write it today: a frozen
VGG16 with a new head, Keras' layers that augment each batch in a tf.data pipeline, and
`model.fit`. All is float32. Both sides start from the same file of backbone weights.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import errno
import warnings
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from keras.applications.vgg16 import preprocess_input
from sklearn.model_selection import train_test_split
from sklearn.utils.class_weight import compute_class_weight

from skinest import BottleneckFeatureExtractor, VGGTransferClassifier
from skinest.augmentation import Augmentation
from skinest.classification._stage_inputs import StageInputs
from skinest.images import read_image, resize
from skinest.networks._weights import load_backbone_weights, save_backbone_weights

BATCH_SIZE = 32
FEW_EPOCHS = 4  # of sides whose epochs all take the same time
VALIDATION = 0.15


@dataclass
class Part:
    """Images of one part of the data, in the forms for both sides."""

    paths: np.ndarray
    pixels: np.ndarray
    y: np.ndarray


def weights_file(weights, folder):
    """Write a weights file of VGG16 without its top, which both sides can read."""
    path = Path(folder, "backbone.weights.h5")
    save_backbone_weights("vgg16", load_backbone_weights("vgg16", weights, 0), path)
    return path


def load_part(paths, y, side):
    pixels = [resize(read_image(path), (side, side)) for path in paths]
    return Part(paths, np.stack(pixels), y)


def split(part):
    """Return training and validation images, stratified."""
    chosen = train_test_split(
        np.arange(len(part.y)), test_size=VALIDATION, stratify=part.y, random_state=0
    )
    chosen = map(np.sort, chosen)
    return [Part(part.paths[i], part.pixels[i], part.y[i]) for i in chosen]


def stratified(paths, y, n_images):
    """Return a stratified sample of the images, or all if there are not enough."""
    if n_images is None or n_images >= len(y):
        return paths, y
    kept, _ = train_test_split(
        np.arange(len(y)), train_size=n_images, stratify=y, random_state=0
    )
    return paths[kept], y[kept]


def take_batch(part):
    """Return the first batch of the images."""
    return Part(*(values[:BATCH_SIZE] for values in (part.paths, part.pixels, part.y)))


# The plain side


def plain_base(file, side):
    base = keras.applications.VGG16(
        weights=None, include_top=False, input_shape=(side, side, 3)
    )
    base.load_weights(file)
    return base


def plain_model(file, side, learning_rate, first=None):
    """Return a compiled model that trains a head, and the base from a layer up.

    The head is that of the study or, if a part of the base trains, one linear layer.
    """
    base = plain_base(file, side)
    trains = False
    for layer in base.layers:
        trains = trains or layer.name == first
        layer.trainable = trains
    inputs = keras.Input((side, side, 3))
    x = base(inputs, training=False)
    if first is None:
        x = layers.Dense(512, activation="relu")(layers.Flatten()(x))
    else:
        x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dropout(0.5)(x)
    model = keras.Model(inputs, layers.Dense(1, activation="sigmoid")(x))
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate),
        loss="binary_crossentropy",
        metrics=[
            keras.metrics.BinaryAccuracy(name="accuracy"),
            keras.metrics.Precision(name="precision"),
            keras.metrics.Recall(name="recall"),
            keras.metrics.AUC(name="auc"),
        ],
    )
    return model


def plain_batches(part, augment=None):
    """Return a tf.data pipeline of preprocessed batches, shuffled if it augments."""
    dataset = tf.data.Dataset.from_tensor_slices((part.pixels, part.y))
    if augment is not None:
        dataset = dataset.shuffle(len(part.y), seed=0)
    dataset = dataset.batch(BATCH_SIZE)

    def prepare(images, y):
        images = tf.cast(images, tf.float32)
        if augment is not None:
            images = augment(images, training=True)
        return preprocess_input(images), y

    return dataset.map(prepare, tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


def plain_augmentation():
    """Return Keras layers that do the same as `Augmentation()`."""
    return keras.Sequential(
        [
            layers.RandomFlip("horizontal"),
            layers.RandomRotation(10 / 360, fill_mode="nearest"),
            layers.RandomTranslation(0.1, 0.1, fill_mode="nearest"),
        ]
    )


def class_weights(y):
    weights = compute_class_weight("balanced", classes=np.array([0, 1]), y=y)
    return dict(enumerate(weights))


def time_plain_epoch(train, validation, file, options, first=None):
    """Return the seconds of an epoch of `model.fit` after a first one on few images.

    The first epoch builds and traces the model. It is left out, in favour of this side.
    """
    model = plain_model(file, options.side, options.learning_rate, first)
    augment = plain_augmentation()
    few = take_batch(train)
    for part, validated in ((few, few), (train, validation)):
        start = perf_counter()
        model.fit(
            plain_batches(part, augment),
            validation_data=plain_batches(validated),
            class_weight=class_weights(train.y),
            verbose=0,
        )
        seconds = perf_counter() - start
    return seconds


def train_plain(train, validation, others, file, options):
    """Train for all epochs, and return the probabilities of other images."""
    keras.utils.set_random_seed(0)
    model = plain_model(file, options.side, options.learning_rate)
    model.fit(
        plain_batches(train, plain_augmentation()),
        validation_data=plain_batches(validation),
        epochs=options.epochs,
        class_weight=class_weights(train.y),
        verbose=0,
    )
    return [model.predict(plain_batches(part), verbose=0)[:, 0] for part in others]


# skinest's side


def classifier(file, side, **settings):
    """Return a classifier, by default with the head of the study."""
    study = {"hidden_units": (512,), "pooling": "flatten"}
    return VGGTransferClassifier(
        weights=file,
        image_size=(side, side),
        dropout=0.5,
        l2=0.0,
        class_weight="balanced",
        batch_size=BATCH_SIZE,
        random_state=0,
        **{**study, **settings},
    )


def copies(n_copies):
    """Return settings for augmented copies of each image; 0 means no augmentation."""
    if n_copies == 0:
        return {}
    return {"augmentation": Augmentation(), "n_augmented_copies": n_copies}


def train_ours(train, validation, file, options, n_copies):
    """Return a classifier trained for all epochs, and the seconds of its fit."""
    clf = classifier(
        file,
        options.side,
        epochs=options.epochs,
        learning_rate=options.learning_rate,
        **copies(n_copies),
    )
    start = perf_counter()
    clf.fit(train.paths, train.y, X_val=validation.paths, y_val=validation.y)
    return clf, perf_counter() - start


def time_block(train, validation, file, options, keeps):
    """Time the training of block5 and the head, after a fit on few images.

    Parameters
    ----------
    keeps : bool
        Whether the outputs of the frozen layers are kept. If not, few epochs are timed,
        and the time of the others is computed from these.

    Returns
    -------
    seconds : float
        Seconds of a fit with all epochs.

    epoch : float
        Seconds of an epoch after the first.
    """
    if not keeps:
        _keep_nothing()
    n_epochs = options.block_epochs if keeps else FEW_EPOCHS
    seconds = {}
    for part, epochs in (take_batch(train), 1), (train, 1), (train, n_epochs):
        clf = classifier(
            file,
            options.side,
            hidden_units=(),
            pooling="avg",
            trainable="block5",
            epochs=epochs,
            learning_rate=options.learning_rate,
            **copies(options.block_copies),
        )
        start = perf_counter()
        clf.fit(part.paths, part.y, X_val=validation.paths, y_val=validation.y)
        seconds[epochs] = perf_counter() - start
    epoch = (seconds[n_epochs] - seconds[1]) / (n_epochs - 1)
    return seconds[1] + (options.block_epochs - 1) * epoch, epoch


def _keep_nothing():
    """Let skinest compute the outputs of frozen layers again in each epoch."""

    def refuse(*args):
        raise OSError(errno.ENOSPC, "this is compared")

    StageInputs._allocate = refuse
    warnings.filterwarnings("ignore", message="The frozen part of the network")


def extractor(file, side, compute_dtype):
    return BottleneckFeatureExtractor(
        weights=file,
        pooling="flatten",
        image_size=(side, side),
        compute_dtype=compute_dtype,
        batch_size=BATCH_SIZE,
    )

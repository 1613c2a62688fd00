"""How a transfer network is fitted: features once, then stages."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby

import numpy as np

from .._training import _stages
from .._training._batches import FeatureBatches, ImageBatches
from .._training._large_arrays import gathered
from .._training._pool import borrowed, weights_of
from .._training._predicting import predict_rows
from .._training._training import Training
from ..feature_extraction._features import FeatureStore, Views
from ..networks._transfer import (
    HeadSpec,
    TrunkSpec,
    build_head,
    build_network,
    feature_width,
)
from ..networks._weights import Weights
from ..utils._callbacks import iterate_with_callbacks

METRICS = ("loss", "accuracy", "precision", "recall", "auc")


@dataclass
class State:
    """A network's architecture and weights."""

    trunk_spec: TrunkSpec
    head_spec: HeadSpec
    trunk: Weights
    head: Weights
    trunk_is_given: bool = True  # False once it has been trained


@dataclass
class Part:
    """Images to train on or to validate on."""

    images: object
    positions: np.ndarray
    y: np.ndarray
    sample_weight: np.ndarray


@dataclass
class Plan:
    """A stage: what trains, for how long and how fast."""

    lowest: str
    epochs: int
    learning_rate: object


@dataclass(kw_only=True)
class Fit(Training):
    """How the stages of a transfer network are trained.

    Parameters
    ----------
    train_part, validation_part : Part
        The images; no `validation_part` is None.

    views : Views
        What a head is trained on.

    augmentation : Augmentation, callable, Keras layer or None
        What changes images where the backbone trains.
    """

    train_part: Part
    validation_part: Part | None
    views: Views
    augmentation: object

    def run(self, state, plans) -> State:
        """Go through the stages, unless a callback stops."""
        for head_alone, group in groupby(plans, lambda plan: plan.lowest == "head"):
            data_of = self._features if head_alone else self._images
            train = self._train_head if head_alone else self._train_network
            with data_of(state) as data:
                for plan in group:
                    state, stopped = train(state, plan, *data)
                    if stopped:
                        return state
        return state

    @contextmanager
    def _features(self, state):
        """What makes batches of features to train and to validate on."""
        width = feature_width(state.trunk_spec)
        with ExitStack() as stack:

            def gather(part, views):
                batches = self._compute_features(state, part, views)
                shape = len(part.positions), len(views), width
                features = stack.enter_context(gathered(batches, shape))
                return partial(FeatureBatches, features)

            train = gather(self.train_part, self.views)
            yield train, self.validation_part and gather(self.validation_part, Views())

    @contextmanager
    def _images(self, state):
        """What makes batches of images to train and to validate on."""

        def batches_of(part, augmentation):
            size = state.trunk_spec.image_size
            return partial(
                ImageBatches, part.images, part.positions, size, augmentation
            )

        train = batches_of(self.train_part, self.augmentation)
        yield train, self.validation_part and batches_of(self.validation_part, None)

    def _train_head(self, state, plan, train, held_out):
        """Train the head alone."""
        width = feature_width(state.trunk_spec)
        arrays, stopped = self._train(
            plan,
            key=("head", state.head_spec, width),
            build=lambda: build_head(state.head_spec, width),
            objective=partial(objective, state.head_spec.n_outputs),
            arrays=state.head.arrays,
            batches=self._batches(train, self.train_part, self.seeds["shuffle"]),
            validation=self._batches(held_out, self.validation_part),
            state_of=lambda model: replace_head(state, weights_of(model)),
            jit_compile="auto",
        )
        return replace_head(state, arrays), stopped

    def _train_network(self, state, plan, train, held_out):
        """Train the head and the upper part of the backbone."""
        n_trunk = len(state.trunk.arrays)
        specs = state.trunk_spec, state.head_spec
        l2 = self.settings.l2

        def split(arrays):
            trunk, head = Weights.of(arrays[:n_trunk]), Weights.of(arrays[n_trunk:])
            return State(*specs, trunk, head, trunk_is_given=False)

        arrays, stopped = self._train(
            plan,
            key=("network", *specs, plan.lowest, l2),
            build=lambda: build_network(*specs, trainable=plan.lowest, l2=l2),
            objective=partial(objective, state.head_spec.n_outputs),
            arrays=(*state.trunk.arrays, *state.head.arrays),
            batches=self._batches(train, self.train_part, self.seeds["shuffle"]),
            validation=self._batches(held_out, self.validation_part),
            state_of=lambda model: split(weights_of(model)),
            # Convolutions by XLA are slower on processors than TensorFlow's own.
            jit_compile=_stages.jit_of_convolutions(),
        )
        return split(arrays), stopped

    def _train(self, plan, **data):
        return self.train(
            epochs=plan.epochs,
            learning_rate=plan.learning_rate,
            **data,
        )

    def _batches(self, make, part, seed=None):
        """Batches of a part, if there is one; without a seed in its own order."""
        if part is None:
            return None
        size = self.settings.batch_size
        return make(part.y, part.sample_weight, size, seed, self.epoch)

    def _compute_features(self, state, part, views):
        """Features of a part's images, each batch a task of the callbacks."""
        store = feature_store(state, self.settings)
        n_batches = store.n_batches(len(part.positions))
        pass_over = self.context.subcontext(
            task_name="compute-features", max_subtasks=n_batches
        )
        estimator = self.hook_arguments["estimator"]
        pass_over.call_on_fit_task_begin(estimator=estimator)
        batches = iterate_with_callbacks(
            store.batches(part.images, part.positions, views),
            n_batches,
            estimator=estimator,
            context=pass_over,
            name="compute-features-of-batch",
            can_stop=False,
        )
        with closing(batches):
            yield from batches
        pass_over.call_on_fit_task_end(estimator=estimator)


def objective(n_outputs) -> dict:
    """What Keras compiles a classifier with."""
    from keras import metrics

    if n_outputs == 1:
        loss, accuracy = "binary_crossentropy", metrics.BinaryAccuracy
    else:
        loss, accuracy = "categorical_crossentropy", metrics.CategoricalAccuracy
    return {
        "loss": loss,
        "metrics": [
            accuracy(name="accuracy"),
            metrics.Precision(name="precision"),
            metrics.Recall(name="recall"),
            metrics.AUC(name="auc"),
        ],
    }


def probabilities(state, images, settings) -> np.ndarray:
    """Outputs of the network for images, a batch at a time."""
    store = feature_store(state, settings)
    width = feature_width(state.trunk_spec)

    def build():
        return build_head(state.head_spec, width)

    outputs = []
    with borrowed(("head", state.head_spec, width), build) as head:
        head.load(state.head.arrays, state.head.digest)
        with closing(store.batches(images)) as batches:
            for features in batches:
                outputs += predict_rows(head.model, features[:, 0], settings.batch_size)
    return np.stack(outputs)


def network_of(state, lowest):
    """A state's network as one Keras model, in which the part from `lowest` trains."""
    network = build_network(
        state.trunk_spec, state.head_spec, trainable=lowest, l2=state.head_spec.l2
    )
    network.set_weights([*state.trunk.arrays, *state.head.arrays])
    return network


def feature_store(state, settings) -> FeatureStore:
    """Features of a state's trunk; kept only while it is not a trained one."""
    memory = settings.memory if state.trunk_is_given else None
    return FeatureStore(state.trunk_spec, state.trunk, memory, settings.batch_size)


def replace_head(state, arrays) -> State:
    """The same trunk under another head."""
    head = Weights.of(arrays)
    return replace(state, head=head)

"""Names for the types of public arguments and results.

Annotations alone use them: importing skinest does not import this module.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import (
    TYPE_CHECKING,
    Any,
    Literal,
    Protocol,
    TypeAlias,
    TypedDict,
    TypeVar,
)

import numpy as np

# Under the same names, for modules that import this one as a whole.
from numpy.typing import ArrayLike as ArrayLike
from numpy.typing import NDArray as NDArray

if TYPE_CHECKING:
    import joblib
    import keras
    from matplotlib.axes import Axes

    from .augmentation import Augmentation

# Images and masks.


class SupportsArray(Protocol):
    """Object that NumPy can convert to an array, such as a pandas column."""

    def __array__(self) -> NDArray[Any]:
        """Return the values as an array."""


PathLike: TypeAlias = str | os.PathLike[str]
# An array, arrays of different sizes, or paths: see skinest.images and skinest.masks.
ImagesLike: TypeAlias = (
    NDArray[Any] | Sequence[NDArray[Any]] | Sequence[PathLike] | SupportsArray
)
MasksLike: TypeAlias = ImagesLike
TargetLike: TypeAlias = ArrayLike | MasksLike  # labels or masks
IgnoredTarget: TypeAlias = ArrayLike | None
# For what comes back in the form that it has.
AnyImages = TypeVar("AnyImages", bound=ImagesLike)
AnyTarget = TypeVar("AnyTarget", bound=TargetLike)

Image: TypeAlias = NDArray[np.uint8]  # of shape (height, width, 3)
Mask: TypeAlias = NDArray[Any]  # of shape (height, width)
ImageSize: TypeAlias = tuple[int, int]  # (height, width)

# Parameters of several estimators.
RandomStateLike: TypeAlias = int | np.random.RandomState | None
MemoryLike: TypeAlias = "PathLike | joblib.Memory | None"
BackboneName: TypeAlias = Literal[
    "vgg16",
    "vgg19",
    "resnet50",
    "resnet101",
    "resnet152",
    "resnet50v2",
    "resnet101v2",
    "resnet152v2",
    "densenet121",
    "densenet169",
    "densenet201",
    "inceptionv3",
    "inceptionresnetv2",
    "xception",
    "mobilenet",
    "mobilenetv2",
    "mobilenetv3small",
    "mobilenetv3large",
    "efficientnetb0",
    "efficientnetb1",
    "efficientnetb2",
    "efficientnetb3",
    "efficientnetb4",
    "efficientnetb5",
    "efficientnetb6",
    "efficientnetb7",
    "efficientnetv2b0",
    "efficientnetv2b1",
    "efficientnetv2b2",
    "efficientnetv2b3",
    "efficientnetv2s",
    "efficientnetv2m",
    "efficientnetv2l",
    "convnexttiny",
    "convnextsmall",
    "convnextbase",
    "convnextlarge",
    "convnextxlarge",
    "nasnetmobile",
    "nasnetlarge",
]
BatchNorm: TypeAlias = bool | Literal["auto"]
Preprocessing: TypeAlias = Literal["none", "tf", "torch", "caffe"]
Pooling: TypeAlias = Literal["avg", "max", "flatten"]
NumberOfViews: TypeAlias = Literal[1, 2, 4, 8]
AutoNumber: TypeAlias = int | Literal["auto"]
Penalty: TypeAlias = float | Literal["auto"]
ComputeDtype: TypeAlias = Literal["float32", "bfloat16"]
AutoDtype: TypeAlias = Literal["auto"] | ComputeDtype
ClassWeight: TypeAlias = Mapping[Any, float] | Literal["balanced"] | None
AugmentationLike: TypeAlias = (
    "Augmentation | Callable[..., Any] | keras.layers.Layer | None"
)
PostprocessStep: TypeAlias = (
    Literal["largest", "fill_holes"] | Callable[[Mask], ArrayLike]
)
Postprocess: TypeAlias = PostprocessStep | Sequence[PostprocessStep] | None
LossLike: TypeAlias = "str | keras.losses.Loss | Callable[..., Any]"
LearningRate: TypeAlias = "float | keras.optimizers.schedules.LearningRateSchedule"
OptimizerLike: TypeAlias = "str | keras.optimizers.Optimizer"
KerasCallbacks: TypeAlias = "Sequence[keras.callbacks.Callback] | None"
Tensor: TypeAlias = Any  # of any backend of Keras, or what it makes one of

# Feature extraction.


class SupportsDescribe(Protocol):
    """A descriptor that gives places too."""

    def describe(self, image: Image) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return the descriptors of an image, and their places."""


DescriptorLike: TypeAlias = Callable[[Image], NDArray[Any]] | SupportsDescribe | None
Encoding: TypeAlias = Literal["histogram", "soft", "tfidf", "vlad", "fisher"]
Features: TypeAlias = NDArray[np.float32]  # of shape (n_images, n_features)
Names: TypeAlias = NDArray[np.object_]  # of shape (n_features,)

# Data sets.
Paths: TypeAlias = NDArray[np.object_]  # of shape (n_images,)
Labels: TypeAlias = NDArray[np.int_]  # of shape (n_images,)
SyntheticTask: TypeAlias = Literal[
    "malignancy", "diagnosis", "lesion", "globules", "streaks"
]


class Generating(TypedDict, total=False):
    """Options of the synthetic images."""

    task: SyntheticTask
    image_size: ImageSize
    malignant_fraction: float
    class_shares: ArrayLike | Literal["balanced"] | None
    images_per_lesion: float | Literal["auto"]
    random_state: RandomStateLike


# Metrics.
MetricLike: TypeAlias = Callable[..., Any] | str  # scorers too
Average: TypeAlias = Literal["imagewise", "pooled"]
ZeroDivision: TypeAlias = float | Literal["warn"]


class Scoring(TypedDict, total=False):
    """Options of a metric of masks."""

    labels: ArrayLike | None
    zero_division: ZeroDivision
    sample_weight: ArrayLike | None
    ignore_label: int | None
    mask_threshold: float | None


class AveragedScoring(Scoring, total=False):
    """Options of a metric of masks that is one number."""

    average: Average


class Reporting(TypedDict, total=False):
    """Options of a report of masks."""

    labels: ArrayLike | None
    target_names: ArrayLike | None
    average: Average
    zero_division: ZeroDivision
    digits: int
    ignore_label: int | None
    mask_threshold: float | None


# Displays.
AxesLike: TypeAlias = "Axes | Sequence[Axes] | NDArray[Any] | None"
StyleDict: TypeAlias = dict[str, Any] | None
PatchFill: TypeAlias = Literal["mean", "blur"] | Sequence[int] | NDArray[Any]
ResponseMethod: TypeAlias = Literal["predict_proba", "decision_function"]
ResponseMethods: TypeAlias = ResponseMethod | Sequence[ResponseMethod]

# Checks of estimators.
MakeTarget: TypeAlias = Callable[[Any, Image], TargetLike] | None
ExpectedFailures: TypeAlias = Callable[[Any], dict[str, str]] | None

"""Typed code of a user, which mypy checks and nothing runs."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from pathlib import Path
from typing import Any, assert_type

import numpy as np
from numpy.typing import NDArray

import skinest
from skinest import (
    BottleneckFeatureExtractor,
    BoVWSIFTTransformer,
    SIFTDescriptor,
    TransferClassifier,
    UNetSegmenter,
    VGGTransferClassifier,
)
from skinest.augmentation import Augmentation
from skinest.datasets import (
    fetch_isic2016_part2b,
    get_data_home,
    load_image_folder,
    make_dermoscopy,
)
from skinest.export import read_metadata
from skinest.images import ImageCollection, check_images, read_image, resize
from skinest.inspection import (
    GradCAMDisplay,
    SegmentationDisplay,
    TrainingHistoryDisplay,
)
from skinest.kernels import histogram_intersection_kernel
from skinest.losses import Dice, Focal
from skinest.masks import check_masks, read_mask
from skinest.metrics import dice_score, iou_score, segmentation_report
from skinest.networks import KerasBackbone, build_transfer_network, build_unet
from skinest.sampling import has_foreground
from skinest.utils.estimator_checks import check_image_estimator

Image = NDArray[np.uint8]
Paths = NDArray[np.object_]


def load(folder: Path) -> None:
    images, labels = make_dermoscopy(20, random_state=0, return_X_y=True)
    assert_type(images, Image)
    assert_type(make_dermoscopy(task="lesion").images, Any)
    make_dermoscopy(task="nevus")  # type: ignore[call-overload]
    paths, mask_paths = fetch_isic2016_part2b("streaks", folder, return_X_y=True)
    assert_type(mask_paths, Paths)
    print(load_image_folder(folder, subset="train").target_names)
    assert_type(get_data_home(), str)
    TransferClassifier().fit(paths, labels)


def read(paths: list[Path], stack: Image) -> None:
    images = check_images(paths, name="paths")
    assert_type(images, ImageCollection)
    assert_type(images[0], Image)
    assert_type(images[:2], ImageCollection)
    assert_type(resize(read_image("lesion.jpg"), (64, 64)), Image)
    check_images(stack)
    check_images([stack[0], stack[1]])
    check_images(images)
    assert_type(check_masks(stack[..., 0])[0], NDArray[Any])
    read_mask(paths[0], mask_threshold=0.5)
    check_masks(paths, ignore_label=255, mask_threshold=0.5)
    check_images(3)  # type: ignore[arg-type]
    read_image(None)  # type: ignore[arg-type]


def describe(paths: list[str], y: list[str]) -> None:
    bovw = BoVWSIFTTransformer(50, descriptor=SIFTDescriptor(root=False), n_jobs=2)
    assert_type(bovw.fit(paths, y), BoVWSIFTTransformer)
    assert_type(bovw.fit(paths).transform(paths), NDArray[np.float32])
    assert_type(bovw.get_feature_names_out(), NDArray[np.object_])
    BoVWSIFTTransformer(descriptor=lambda image: image[:, :, 0])
    BoVWSIFTTransformer(encoding="hard")  # type: ignore[arg-type]
    features = BottleneckFeatureExtractor("vgg19", pooling="avg", memory="cache")
    assert_type(features.fit(paths).transform(paths), NDArray[np.float32])


def classify(paths: list[str], y: list[str]) -> None:
    classifier = VGGTransferClassifier(
        "vgg16",
        class_weight={"benign": 1.0, "malignant": 4.0},
        augmentation=Augmentation(),
        checkpoint=Path("checkpoints"),
        random_state=np.random.RandomState(0),
    )
    assert_type(classifier.fit(paths, y, groups=paths), VGGTransferClassifier)
    assert_type(classifier.predict(paths), NDArray[Any])
    assert_type(classifier.predict_proba(paths), NDArray[np.float32])
    assert_type(classifier.history_["loss"], list[float])
    GradCAMDisplay.from_estimator(classifier, paths[:3], target="malignant").plot()
    history = classifier.history_
    TrainingHistoryDisplay.from_history(history, pos_label="malignant").plot("recall")
    backbone = KerasBackbone("own.keras", preprocessing="tf", stages={"top": "conv_3"})
    assert_type(TransferClassifier(backbone).fit(paths, y), TransferClassifier)
    BottleneckFeatureExtractor(backbone)
    KerasBackbone("own.keras", preprocessing="vgg")  # type: ignore[arg-type]
    skinest.TransferClassifier(epochs="many")  # type: ignore[arg-type]
    skinest.TransferClassifier(n_prediction_views=3)  # type: ignore[arg-type]
    skinest.TransferClassifier().fit(paths)  # type: ignore[call-arg]


def segment(images: Image, masks: Image) -> None:
    segmenter = UNetSegmenter(loss=Dice(smooth=0.5), class_weight="balanced")
    assert_type(segmenter.fit(images, masks), UNetSegmenter)
    assert_type(segmenter.score(images, masks), float)
    UNetSegmenter(ignore_label=-1, mask_threshold=0.5, loss=Dice(ignore_label=-1))
    segmenter.fit(images, masks, X_val=list(images), y_val=["a.png"]).predict(images)
    TrainingHistoryDisplay.from_estimator(segmenter, metrics="dice")
    display = SegmentationDisplay.from_estimator(segmenter, images, masks, n_images=3)
    assert_type(display.plot(alpha=0.3, true_kw={"color": "k"}), SegmentationDisplay)
    UNetSegmenter(n_prediction_views=8)
    UNetSegmenter(encoder="mobilenetv2", depth=4, base_filters="auto", fine_tune="all")
    UNetSegmenter(encoder="unet")  # type: ignore[arg-type]
    UNetSegmenter(3)  # type: ignore[call-arg]


def augment(image: Image, mask: Image) -> None:
    augmentation = Augmentation(rotation=180)
    generator = np.random.default_rng(0)
    assert_type(augmentation(image, generator), Image)
    assert_type(augmentation(image, generator, mask), tuple[Image, NDArray[Any]])
    Augmentation(rotation="much")  # type: ignore[arg-type]


def measure(y_true: Image, paths: list[str]) -> None:
    assert_type(dice_score(y_true, paths), float)
    assert_type(iou_score(y_true, paths, labels=[255], average="pooled"), float)
    assert_type(dice_score(y_true, paths, average=None), NDArray[np.float64])
    assert_type(segmentation_report(y_true, paths, digits=2), str)
    assert_type(segmentation_report(y_true, y_true, output_dict=True), dict[str, Any])
    assert_type(has_foreground(None, y_true), NDArray[np.bool_])
    assert_type(dice_score(y_true, paths, ignore_label=255), float)
    assert_type(segmentation_report(y_true, paths, mask_threshold=0.5), str)
    has_foreground(None, y_true, ignore_label=255)
    dice_score(y_true, paths, average="macro")  # type: ignore[call-overload]


def export(classifier: VGGTransferClassifier, segmenter: UNetSegmenter) -> None:
    classifier.export(Path("file.onnx"), threshold=0.3, overwrite=True)
    segmenter.export("folder")
    assert_type(read_metadata("folder"), dict[str, Any])
    segmenter.export("folder", threshold=0.3)  # type: ignore[call-arg]


def build(histograms: NDArray[np.float64]) -> None:
    histogram_intersection_kernel(histograms).sum()
    Focal(alpha=[1.0, 2.0])
    Dice(smooth="no")  # type: ignore[arg-type]
    build_unet(depth=3, image_size=(64, 64)).count_params()
    build_transfer_network("mobilenetv2", weights=None, hidden_units=())
    build_transfer_network("resnet50", trainable="stage5", train_batch_norm=True)
    build_transfer_network("resnet18")  # type: ignore[arg-type]
    check_image_estimator(BoVWSIFTTransformer(5))

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
    join_sources,
    load_image_folder,
    make_dermoscopy,
)
from skinest.export import read_metadata
from skinest.feature_extraction import individual_typology_angle
from skinest.images import ImageCollection, check_images, read_image, resize
from skinest.inspection import (
    DecisionCurveDisplay,
    GradCAMDisplay,
    NearDuplicatesDisplay,
    OcclusionDisplay,
    SegmentationDisplay,
    TrainingHistoryDisplay,
    VisualWordsDisplay,
)
from skinest.kernels import histogram_intersection_kernel
from skinest.losses import Dice, Focal
from skinest.masks import check_masks, read_mask
from skinest.metrics import (
    dice_score,
    find_threshold,
    iou_score,
    net_benefit,
    partial_auc_score,
    segmentation_report,
    sensitivity_at_specificity,
    specificity_at_sensitivity,
    threshold_jaccard_score,
    write_isic_submission,
)
from skinest.model_selection import (
    ComparisonResult,
    DeLongResult,
    IntervalResult,
    NearDuplicates,
    SplitCheck,
    StratifiedGroupShuffleSplit,
    adjust_priors,
    bootstrap_interval,
    check_split,
    compare,
    cross_source_table,
    cross_val_table,
    delong_test,
    duplicate_groups,
    estimate_priors,
    find_near_duplicates,
    format_table,
    subgroup_report,
    train_test_split,
)
from skinest.networks import KerasBackbone, build_transfer_network, build_unet
from skinest.preprocessing import ColorConstancy
from skinest.sampling import has_foreground, weigh_sources
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
    BottleneckFeatureExtractor(n_feature_views=3)  # type: ignore[arg-type]
    corrected = ColorConstancy(p=1).fit(paths).transform(paths)
    assert_type(corrected, NDArray[np.uint8] | NDArray[np.object_])


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
    occlusion = OcclusionDisplay.from_estimator(classifier, paths, fill=(0, 0, 0))
    assert_type(occlusion.plot(colorbar=False), OcclusionDisplay)
    OcclusionDisplay.from_estimator(classifier, paths, patch_size=32, fill="blur")
    OcclusionDisplay.from_estimator(classifier, paths, fill="red")  # type: ignore[arg-type]
    words = VisualWordsDisplay.from_estimator(
        classifier, paths, response_method="predict_proba"
    )
    assert_type(words.plot(scatter_kw={"s": 9}), VisualWordsDisplay)
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
    UNetSegmenter(3)  # type: ignore[arg-type,call-arg]


def split(paths: list[Path], y: list[str], lesions: list[str], masks: Image) -> None:
    assert_type(train_test_split(paths, y, groups=lesions, stratify=y), list[Any])
    splitter = StratifiedGroupShuffleSplit(2, test_size=0.3, random_state=0)
    for train, test in splitter.split(paths, masks, lesions):
        assert_type(train, NDArray[np.intp])
        check = check_split(train, test, lesions, paths, on_leak="warn", n_jobs=2)
        assert_type(check, SplitCheck)
    found = find_near_duplicates(paths, check_images(masks), threshold=0.9)
    assert_type(found, NearDuplicates)
    NearDuplicatesDisplay.from_duplicates(found, paths, n_pairs=3).plot(max_cols=2)
    assert_type(duplicate_groups(paths, lesions, duplicates=found), NDArray[np.intp])
    check_split([0], [1], on_leak="stop")  # type: ignore[arg-type]


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


def compare_sources(paths: list[str], y: list[str], source: list[str]) -> None:
    data = join_sources({"A": (paths, y), "B": make_dermoscopy(3)}, labels="melanoma")
    join_sources({"A": (paths, y)}, labels={"nv": "nevus", "bcc": None})
    assert_type(weigh_sources(y, source, strength=0.5), NDArray[np.float64])
    table = cross_source_table(TransferClassifier(), data.paths, y, source=source)
    print(table)
    cross_source_table({"one": BoVWSIFTTransformer()}, paths, y, source=source, cv=None)
    new_priors = estimate_priors([[0.5, 0.5]], [0.5, 0.5])
    adjusted = adjust_priors([[0.5, 0.5]], [0.5, 0.5], new_priors)
    assert_type(adjusted, NDArray[np.float64])
    cross_source_table(TransferClassifier(), paths, y)  # type: ignore[call-arg]
    join_sources({"A": (paths, y)}, labels="malignant")  # type: ignore[arg-type]


def judge(y: list[str], proba: NDArray[np.float64], paths: list[Path]) -> None:
    assert_type(sensitivity_at_specificity(y, proba, specificity=0.9), float)
    assert_type(specificity_at_sensitivity(y, proba, sensitivity=0.9), float)
    assert_type(find_threshold(y, proba, sensitivity=0.9, pos_label="mel"), float)
    assert_type(partial_auc_score(y, proba, sample_weight=proba), float)
    assert_type(net_benefit(y, proba, threshold=0.1), float)
    assert_type(net_benefit(y, proba, threshold=[0.1]), NDArray[np.float64])
    assert_type(threshold_jaccard_score(paths, paths, mask_threshold=0.5), float)
    write_isic_submission("a.csv", paths, proba, challenge="2019", classes=["MEL"])
    write_isic_submission("a.csv", paths, proba, challenge=2018)  # type: ignore[arg-type]
    assert_type(individual_typology_angle(paths, paths), NDArray[np.float64])
    subgroup_report(partial_auc_score, y, proba, {"sex": y}, groups=y).round(2)
    display = DecisionCurveDisplay.from_predictions(y, proba, thresholds=[0.1, 0.2])
    assert_type(display.plot(name="network"), DecisionCurveDisplay)
    sensitivity_at_specificity(y, proba)  # type: ignore[call-arg]


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


def publish(y_true: NDArray[np.int_], scores: NDArray[np.float64]) -> None:
    result = bootstrap_interval("roc_auc", y_true, scores, groups=list(y_true))
    assert_type(result, IntervalResult)
    assert_type(result.low, float)
    assert_type(result.distribution, NDArray[np.float64])
    masks = [np.ones((2, 3), np.uint8)]
    comparison = compare(dice_score, masks, masks, ["a.png"], n_resamples=100)
    assert_type(comparison, ComparisonResult)
    assert_type(comparison.share_below_zero, float)
    assert_type(delong_test(y_true, scores, scores), DeLongResult)
    bootstrap_interval(3, y_true, scores)  # type: ignore[arg-type]
    estimators = {"U-Net": UNetSegmenter()}
    table = cross_val_table(estimators, ["a.png"], masks, scoring="accuracy", cv=2)
    assert_type(format_table(table, output="latex"), str)
    format_table(table, output="html")  # type: ignore[arg-type]

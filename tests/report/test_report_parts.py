"""Reports of masks and tables, settings without paths, and blocks of pages."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import hashlib
import warnings
from functools import partial
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import FixedThresholdClassifier, GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import SVC

import skinest
from skinest._report._model_section import (
    compute_digest,
    describe_value,
    list_settings,
)
from skinest._report._predicted_outputs import ClassOutputs
from skinest._report._report_blocks import Table, Text, escape_markdown
from skinest._report._report_pictures import make_plot
from skinest._report._report_scores import score_two_classes
from skinest.metrics import dice_score, threshold_jaccard_score
from skinest.model_selection import bootstrap_interval
from tests.report.pages import IMAGES, LABELS, BrightPixels, Page, measure

FAST = {"n_resamples": 10, "random_state": 0}
MASKS = [np.where(image[..., 0] > 115, 255, 0).astype(np.uint8) for image in IMAGES]


@pytest.fixture(scope="module")
def page_of_masks(tmp_path_factory):
    files = skinest.report(
        BrightPixels().fit(IMAGES, MASKS),
        IMAGES[::2],
        MASKS[::2],
        path=tmp_path_factory.mktemp("masks") / "report.html",
        groups=np.arange(20) // 2,
        metadata={"sex": ["f", "m"] * 10},
        train=(IMAGES[1::2], MASKS[1::2]),
        near_duplicates=False,
        n_errors=1,
        **FAST,
    )
    return Page(files.html.read_text("utf-8"))


def test_scores_of_masks_are_means_with_intervals_of_groups(page_of_masks):
    predicted = BrightPixels().fit(IMAGES, MASKS).predict(IMAGES[::2])
    metric = partial(dice_score, labels=[255], zero_division=1.0)
    expected = bootstrap_interval(
        metric, MASKS[::2], predicted, groups=np.arange(20) // 2, **FAST
    )
    texts = f"{expected.estimate:.3f}", f"{expected.low:.3f} to {expected.high:.3f}"
    assert page_of_masks.has_words("Mean Dice score", *texts)
    jaccard = threshold_jaccard_score(
        MASKS[::2], predicted, labels=[255], zero_division=1.0
    )
    name = "Mean Jaccard index, with 0 below .65"
    assert page_of_masks.has_words(name, f"{jaccard:.3f}")


def test_images_without_a_labelled_pixel_do_not_count(tmp_path):
    segmenter = BrightPixels().fit(IMAGES, MASKS)
    segmenter.ignore_label = 9
    masks = [np.full_like(MASKS[0], 9), *map(np.copy, MASKS[2::2])]
    masks[1][:2] = 9
    options = {"groups": np.arange(20) // 2, **FAST}
    files = skinest.report(
        segmenter, IMAGES[::2], masks, path=tmp_path / "report.html", **options
    )
    page = Page(files.html.read_text("utf-8"))
    metric = partial(dice_score, labels=[255], zero_division=1.0, ignore_label=9)
    expected = bootstrap_interval(
        metric, masks, segmenter.predict(IMAGES[::2]), **options
    )
    assert page.has_words("Mean Dice score", f"{expected.estimate:.3f}")
    assert not page.has_words("not defined")
    areas = [(mask == 255).sum() / (mask != 9).sum() for mask in masks[1:]]
    n_with = sum((mask == 255).any() for mask in masks)
    assert page.has_words("Test", "20", "10", str(n_with), f"{np.mean(areas):.1%}")
    assert any("without a labelled pixel do not count: 1" in w for w in page.words)
    assert any("Dice scores of 19 images" in each["alt"] for each in page.list("img"))


def test_masks_without_foreground_have_all_sections(tmp_path):
    segmenter = BrightPixels().fit(IMAGES, MASKS)
    segmenter.classes_ = np.array([0])
    dark, empty = [0 * image for image in IMAGES], [0 * mask for mask in MASKS]
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # of a section that is lost
        files = skinest.report(
            segmenter,
            dark,
            empty,
            path=tmp_path / "report.html",
            train=(dark[:3], empty[:3]),
            near_duplicates=False,
            n_errors=1,
            **FAST,
        )
    page = Page(files.html.read_text("utf-8"))
    assert page.has_words("Mean Dice score", "1.000")
    assert page.has_words("Test", str(len(IMAGES)), "not given")
    assert page.has_words("Image 1: Dice score 1.000")


def test_masks_are_counted(page_of_masks):
    n_with = sum(mask.any() for mask in MASKS[::2])
    area = np.mean([mask > 0 for mask in MASKS[::2]])
    assert page_of_masks.has_words("Test", "20", "10", str(n_with), f"{area:.1%}")
    assert page_of_masks.has_words("Training", "20", "not given")
    assert page_of_masks.has_words("Near-duplicates: not searched.")


def test_the_worst_masks_are_shown_first(page_of_masks):
    predicted = BrightPixels().fit(IMAGES, MASKS).predict(IMAGES[::2])
    scores = dice_score(
        MASKS[::2], predicted, labels=[255], average=None, zero_division=1.0
    )
    worst, second = np.argsort(scores, kind="stable")[:2]
    captions = [word for word in page_of_masks.words if ": Dice score" in word]
    assert captions == [
        f"Image {position}: Dice score {scores[position]:.3f}"
        for position in (worst, second)
    ]
    alts = [image["alt"] for image in page_of_masks.list("img")]
    assert f"Image {worst} with the outlines of both masks" in alts
    assert page_of_masks.list("input") == []  # no threshold


def test_an_estimator_without_settings_has_no_empty_table(page_of_masks):
    assert page_of_masks.has_words("It has no settings.")
    assert "<tbody></tbody>" not in page_of_masks.text


def test_links_lead_to_sections_of_masks(page_of_masks):
    ids = {attributes.get("id") for _, attributes in page_of_masks.tags}
    assert {link["href"][1:] for link in page_of_masks.list("a")} <= ids


def test_remarks_name_the_classes():
    outputs = ClassOutputs(
        classes=[0, 1],
        names=["nevus", "mel"],
        codes=np.array([0, 0, 0, 0, 0, 0, 1, 1]),
        predicted=np.zeros(8, dtype=int),
        scores=None,
        are_probabilities=False,
        positive=1,
    )
    table = score_two_classes(
        outputs, {**FAST, "confidence_level": 0.95, "groups": None}
    )
    undefined, few, same = table.notes
    assert few.startswith("Class mel is in 2 of 8 groups")
    assert undefined == "Positive predictive value: no image is predicted as positive"
    assert same.startswith("A score that is the same in all bootstrap samples")
    assert table.scores["Sensitivity"].high == pytest.approx(1 - 0.025**0.5)
    assert table.scores["Positive predictive value"] is None


def test_masks_of_other_lengths_are_found_before_predictions(tmp_path):
    with pytest.raises(ValueError, match="X_test has 40 images, but y_test has 39"):
        skinest.report(
            BrightPixels().fit(IMAGES, MASKS),
            IMAGES,
            MASKS[1:],
            path=tmp_path / "report.html",
        )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"y_test": [mask[:-1] for mask in MASKS]},
            r"y_test\[0\] has shape \(19, 24\), but its image X_test",
        ),
        (
            {"y_test": [np.full_like(mask, 9) for mask in MASKS]},
            "All pixels of y_test have ignore_label=9",
        ),
        ({"thresholds": [0.5]}, "thresholds=.* is for two classes"),
        ({"pos_label": 255}, "pos_label=255 is for two classes"),
        ({"target_names": ["skin", "mole"]}, "segmenters predict masks"),
    ],
)
def test_what_does_not_fit_masks_is_found_before_predictions(
    changes, message, tmp_path, monkeypatch
):
    monkeypatch.setattr(BrightPixels, "predict", None)
    arguments = {"X_test": IMAGES, "y_test": MASKS, "path": tmp_path / "report.html"}
    segmenter = BrightPixels().fit(IMAGES, MASKS)
    segmenter.ignore_label = 9
    with pytest.raises(ValueError, match=message):
        skinest.report(segmenter, **{**arguments, **changes})
    assert list(tmp_path.iterdir()) == []


VALUES = [
    ("imagenet", "'imagenet'"),
    ("/home/me/weights.keras", "a path, which is not shown"),
    (r"C:\me\weights", "a path, which is not shown"),
    ("weights.h5", "a path, which is not shown"),
    (Path("weights"), "a path, which is not shown"),
    (joblib.Memory("cache", verbose=0), "a path, which is not shown"),
    ([0.5, "~/me", None], "(0.5, a path, which is not shown, None)"),
    ({"a": 1}, "{'a': 1}"),
    (tuple(range(20)), "(0, 1, 2, 3, 4, 5, 6, 7, ...)"),
    (np.zeros((2, 3)), "an array of shape (2, 3)"),
    (partial(test_masks_are_counted, 1), "partial(test_masks_are_counted, ...)"),
    (SVC(), "SVC(...)"),
    (np.random.default_rng(0), "Generator(...)"),
]


@pytest.mark.parametrize(("value", "text"), VALUES, ids=[text for _, text in VALUES])
def test_settings_have_no_paths(value, text):
    assert describe_value(value) == text


def test_settings_of_a_pipeline_are_those_of_its_steps():
    settings = dict(list_settings(make_pipeline(skinest.BoVWSIFTTransformer(), SVC())))
    assert "steps" not in settings
    assert settings["svc"] == "SVC(...)"
    assert settings["svc__C"] == "1.0"


def test_the_digest_is_that_of_types_shapes_and_values():
    weights = [np.ones((2, 3), np.float32), np.zeros(2, ">f4")]
    content = b"<f4(2, 3)" + np.ones(6, "<f4").tobytes() + b"<f4(2,)" + bytes(8)
    assert compute_digest(weights) == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("<b> & c", "&lt;b&gt; &amp; c"),
        ("a|b\nc", r"a\|b c"),
        ("# no heading", r"\# no heading"),
        ("1. no list", r"1\. no list"),
        ("0.5 and class_weight", "0.5 and class_weight"),
        ("_a_ *b* `c` [d](e)", r"\_a\_ \*b\* \`c\` \[d\](e)"),
    ],
)
def test_markdown_has_no_markup_of_the_user(text, escaped):
    assert escape_markdown(text) == escaped


def test_blocks_escape_what_they_get():
    table = Table(["<a>", "b"], [["<c>", '"'], [None, "&"]], "<caption>")
    html = table.to_html()
    assert "<a>" not in html and "<c>" not in html and "<caption></" not in html
    assert html.count("&lt;caption&gt;") == 2
    assert Text("<d>", "alert").to_html() == '<p class="alert">&lt;d&gt;</p>'


def test_plots_do_not_depend_on_the_style_of_the_user_or_leave_a_figure():
    import matplotlib.pyplot as plt

    def plot():
        return make_plot(lambda ax: ax.plot([0, 1]), "a line").source

    open_before = plt.get_fignums()  # of other tests
    expected = plot()
    with plt.rc_context({"axes.facecolor": "black", "font.size": 30}):
        assert plot() == expected
    assert plt.get_fignums() == open_before


def fit_table(folder, others):
    """Fit a pipeline of a table: the brightness of images in files, and an age."""
    paths = [str(folder / f"{number}.png") for number in range(len(IMAGES))]
    for path, image in zip(paths, IMAGES, strict=True):
        Image.fromarray(image).save(path)
    table = pd.DataFrame({"path": paths, "age": np.arange(len(paths))})
    brightness = FunctionTransformer(lambda paths: measure(paths)[:, np.newaxis])
    columns = ColumnTransformer([("image", brightness, "path"), others])
    return make_pipeline(columns, LogisticRegression()).fit(table, LABELS), table


@pytest.mark.parametrize(
    "wrap",
    [
        lambda pipeline: pipeline,
        lambda pipeline: GridSearchCV(pipeline, {}, cv=2),
        lambda pipeline: FixedThresholdClassifier(pipeline, threshold=0.4),
        lambda pipeline: CalibratedClassifierCV(pipeline, cv=2),
    ],
    ids=["pipeline", "search", "threshold", "calibration"],
)
def test_models_of_images_with_an_age_are_refused(wrap, tmp_path):
    pipeline, table = fit_table(tmp_path, ("age", "passthrough", ["age"]))
    model = wrap(pipeline).fit(table, LABELS)
    for X in (table, table["path"], table[["path"]]):
        with pytest.raises(TypeError, match=r"can be reported\..*cross_val_table"):
            skinest.report(model, X, LABELS, path=tmp_path / "report.html")


def test_models_that_use_only_one_column_of_a_table_are_reported(tmp_path):
    pipeline, table = fit_table(tmp_path, ("age", "drop", ["age"]))
    path = tmp_path / "report.html"
    skinest.report(pipeline, table[["path"]], LABELS, path=path, **FAST)
    assert Page(path.read_text("utf-8")).has_words("AUC")

"""The report of a classifier: what is in it, and what must not be in it."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import getpass
import importlib
import os
import platform
import re
from functools import partial

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.dummy import DummyRegressor
from sklearn.metrics import confusion_matrix, roc_auc_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import SVC

import skinest
from skinest.model_selection import bootstrap_interval
from tests.report.contrast import (
    GRAPHICS,
    compute_contrast,
    read_color,
    read_strokes,
)
from tests.report.pages import IMAGES, LABELS, Brightness, Decisions, Page
from tests.report.sliders import Slider

NAMES = np.array(["<b>nevus</b>", "mela|noma"])[LABELS.astype(int)]
LESIONS = np.array([f"patient-{number // 2}" for number in range(40)])
MARKER = "Jane Doe 1950"
FAST = {"n_resamples": 10, "random_state": 0}


def write_photos(folder):
    """Write images to files that know the name of a patient."""
    folder.mkdir()
    exif = Image.Exif()
    exif[0x010E] = MARKER  # ImageDescription
    paths = [folder / f"doe-{number}.jpg" for number in range(40)]
    for path, image in zip(paths, IMAGES, strict=True):
        Image.fromarray(image).save(path, quality=100, exif=exif)
    assert MARKER.encode() in paths[0].read_bytes()
    return paths


@pytest.fixture
def keep_sections(monkeypatch):
    """Leave out sections that a test does not look at."""
    module = importlib.import_module("skinest._report._write_report")

    def keep(*names):
        sections = [each for each in module._SECTIONS if each.name in names]
        monkeypatch.setattr(module, "_SECTIONS", sections)

    return keep


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("secret-clinic")


@pytest.fixture(scope="module")
def report_of_files(folder):
    """Report on the odd images, which lesions share with the even ones."""
    paths = write_photos(folder / "photos")
    classifier = Brightness(memory=str(folder / "cache")).fit(None, NAMES)
    files = skinest.report(
        classifier,
        paths[1::2],
        NAMES[1::2],
        path=folder / "result.html",
        title="Moles & more",
        groups=LESIONS[1::2],
        metadata=pd.DataFrame({"sex <s>": ["f", "m"] * 10}),
        train=([*paths[::2], paths[1]], [*NAMES[::2], NAMES[1]], [*LESIONS[::2], "x"]),
        answers={"TRIPOD+AI 17": "Approved by the <i>board</i>."},
        **FAST,
    )
    return classifier, files


@pytest.fixture(scope="module")
def page(report_of_files):
    return Page(report_of_files[1].html.read_text("utf-8"))


@pytest.fixture(scope="module")
def markdown(report_of_files):
    return report_of_files[1].markdown.read_text("utf-8")


def test_the_files_are_where_they_were_asked_for(report_of_files, folder):
    _, files = report_of_files
    assert files.html == folder / "result.html"
    assert files.markdown == folder / "result.md"


def test_the_page_needs_no_other_file(page):
    assert "link" not in {tag for tag, _ in page.tags}
    assert all("src" not in script for script in page.list("script"))
    assert all(image["src"].startswith("data:image/") for image in page.list("img"))
    assert all(link["href"].startswith("#") for link in page.list("a"))
    assert not re.search(r"@import|url\(|https?:", page.text)
    (policy,) = (meta for meta in page.list("meta") if "http-equiv" in meta)
    assert policy["content"].startswith("default-src 'none'")


def test_the_page_can_be_read_by_a_screen_reader(page):
    assert page.list("html") == [{"lang": "en"}]
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(np.diff(levels) <= 1)
    assert all(image["alt"] for image in page.list("img"))
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = {link["href"][1:] for link in page.list("a")}
    assert targets <= set(ids)
    assert re.search(r'<label>Threshold <input type="range"', page.text)
    assert len(page.list("caption")) == len(page.list("table"))


def test_text_of_the_user_is_not_markup(page, markdown):
    for tag in ("b", "s", "i"):
        assert not page.list(tag)
        assert f"<{tag}>" not in markdown
    assert page.has_words("Moles & more")
    assert page.has_words("predicted <b>nevus</b>", "predicted mela|noma")
    assert page.has_words("Approved by the <i>board</i>.")
    assert r"| predicted &lt;b&gt;nevus&lt;/b&gt; | predicted mela\|noma |" in markdown


def test_nothing_personal_is_in_the_files(page, markdown, folder):
    secrets = [MARKER, str(folder), "secret-clinic", "doe-", "photos", "patient-"]
    contents = [page.text.encode(), markdown.encode(), *page.read_files()]
    assert len(contents) > 10
    for secret in secrets:
        assert not any(secret.encode() in content for content in contents), secret
    # They can be so short that they are in the bytes of a picture by chance.
    for name in (getpass.getuser(), platform.node()):
        assert not re.search(rf"\b{re.escape(name)}\b", f"{page.words} {markdown}")


def test_leaks_are_found(page):
    assert page.has_words("Groups in both sets: 20, with 20 of the test images.")
    assert page.has_words("Look-alikes in training and test", "1")
    assert re.search(
        "Training image 20, test image 0: similarity (1.00|0.99)", page.text
    )


def test_data_are_counted(page):
    n_train, n_test = np.sum(LABELS[::2]) + LABELS[1], np.sum(LABELS[1::2])
    assert page.has_words("Test", "20", "20")
    assert page.has_words("Training", "21", "21")
    assert f">{n_test} ({n_test / 20:.1%})<" in page.text
    assert f">{n_train} ({n_train / 21:.1%})<" in page.text


def test_images_are_predicted_once(report_of_files):
    classifier, _ = report_of_files
    on_all = [method for method, n_images in classifier.calls_ if n_images == 20]
    assert sorted(on_all) == ["predict", "predict_proba"]
    assert classifier.calls_[0][1] == classifier.calls_[1][1] == 20


def test_scores_are_those_of_the_intervals(page, markdown):
    proba = Brightness().fit(None, NAMES).predict_proba(IMAGES[1::2])
    expected = bootstrap_interval(
        roc_auc_score, LABELS[1::2], proba[:, 1], groups=LESIONS[1::2], **FAST
    )
    texts = f"{expected.estimate:.3f}", f"{expected.low:.3f} to {expected.high:.3f}"
    assert page.has_words("AUC", *texts)
    assert f"| AUC | {' | '.join(texts)} |" in markdown


def check_slider(page, chosen, truth, scores, step=10):
    """Check places of a slider, and return what is shown at first."""
    slider = Slider(page)
    first = slider.show(chosen)
    assert not first["hidden"] and first["last"] in (100, 101)
    for place in range(0, 101, step):
        shown = slider.show(chosen, place)
        assert shown["threshold"] == shown["spoken"]
        matrix = confusion_matrix(truth, scores >= shown["threshold"])
        (tn, fp), (fn, tp) = matrix.tolist()
        assert shown["counts"] == {"tp": tp, "fn": fn, "fp": fp, "tn": tn}
        rates = {
            "sensitivity": (tp, tp + fn),
            "specificity": (tn, tn + fp),
            "ppv": (tp, tp + fp),
            "npv": (tn, tn + fn),
        }
        assert shown["rates"].keys() == rates.keys()
        for name, (part, whole) in rates.items():
            text = shown["rates"][name]
            if not whole:
                assert text == "not defined"
                continue
            number, unit = text.split()
            assert float(number) == pytest.approx(100 * part / whole, abs=0.0501)
            assert unit == "%"
    return first


def test_the_slider_has_the_confusion_matrix_of_each_threshold(page):
    scores = Brightness().fit(None, NAMES).predict_proba(IMAGES[1::2])[:, 1]
    first = check_slider(page, 0, LABELS[1::2], scores, step=1)
    assert (first["place"], first["threshold"]) == (50, 0.5)


def test_lines_of_plots_have_the_contrast_of_wcag(page):
    plots = [file.decode() for file in page.read_files() if file.startswith(b"<?xml")]
    strokes = {stroke for plot in plots for stroke in read_strokes(plot)}
    assert len(plots) == 4 and len(strokes) > 2
    for stroke in strokes:
        assert compute_contrast(read_color(stroke), read_color("#fff")) >= GRAPHICS


def test_subgroups_that_are_too_small_say_so(page):
    assert page.has_words("sex <s>", "f", "10", "10")
    assert page.text.count("too few to say") == 3  # all of them have 9 positive


def test_blanks_are_left_for_the_authors(page, markdown):
    n_blank = int(re.search(r"(\d+) of them blank", page.text)[1])
    assert page.text.count('class="blank"') == n_blank == markdown.count("**to be w")
    assert n_blank > 50


def test_names_are_shown_if_allowed(folder, report_of_files, keep_sections):
    keep_sections("errors")
    paths = sorted((folder / "photos").iterdir())
    files = skinest.report(
        Brightness().fit(None, [0, 1]),
        paths,
        np.arange(40) % 2,
        path=folder / "names.html",
        groups=LESIONS,
        show_names=True,
        n_errors=1,
        **FAST,
    )
    text = files.html.read_text("utf-8")
    assert re.search(r"Image \d+, doe-\d+\.jpg: predicted", text)
    assert str(folder) not in text


def test_decision_values_have_no_calibration(tmp_path):
    files = skinest.report(
        Decisions().fit(None, LABELS),
        IMAGES,
        LABELS,
        path=tmp_path / "decisions.html",
        pos_label=False,
        n_errors=0,
        thresholds=[-1],
        **FAST,
    )
    page = Page(files.html.read_text("utf-8"))
    assert "ROC curve of the class False" in page.text
    assert "Calibration curve" not in page.text
    assert "no predict_proba" in page.text
    decisions = -Decisions().fit(None, LABELS).decision_function(IMAGES)
    first = check_slider(page, 0, ~LABELS, decisions)
    assert first["threshold"] == 0  # that of predict
    found = decisions >= -1
    assert page.has_words("-1", str(sum(found & ~LABELS)), str(sum(~found & ~LABELS)))
    counts = sum(LABELS & (decisions >= 0)), sum(LABELS & (decisions < 0))
    assert page.has_words("True", *map(str, counts))


def test_counts_are_those_of_the_threshold_that_is_shown(tmp_path):
    decisions = Decisions().fit(None, LABELS).decision_function(IMAGES)
    threshold = np.sort(decisions[LABELS])[3]
    files = skinest.report(
        Decisions().fit(None, LABELS),
        IMAGES,
        LABELS,
        path=tmp_path / "counts.html",
        n_errors=0,
        thresholds=[threshold],
        **FAST,
    )
    table = files.markdown.read_text("utf-8").partition("| Threshold |")[2]
    shown, true_positive, *_ = table.splitlines()[2].strip("| ").split(" | ")
    assert int(true_positive) == sum(LABELS & (decisions >= float(shown)))
    assert int(true_positive) == sum(LABELS & (decisions >= threshold))


def test_scores_of_pairs_of_classes_are_no_scores_of_classes(tmp_path, keep_sections):
    keep_sections("scores", "curves")
    classes = np.array(["a", "b", "c"])[np.arange(40) * 3 // 40]
    means = FunctionTransformer(lambda X: np.mean(X, axis=(1, 2)))
    texts = []
    for shape in ("ovr", "ovo"):
        svc = make_pipeline(means, SVC(decision_function_shape=shape))
        files = skinest.report(
            svc.fit(IMAGES, classes),
            IMAGES,
            classes,
            path=tmp_path / f"{shape}.html",
            **FAST,
        )
        texts.append(files.html.read_text("utf-8"))
    assert ["ROC curve" in text for text in texts] == [True, False]


@pytest.mark.parametrize("target_names", [["nevus", "mel"], ["nevus", "mel", "scc"]])
def test_numbers_of_classes_have_names(target_names, tmp_path, keep_sections):
    keep_sections("summary", "data", "scores", "thresholds", "errors")
    labels = np.arange(40) * len(target_names) // 40
    files = skinest.report(
        Brightness().fit(None, labels),
        IMAGES,
        np.roll(labels, 3),
        path=tmp_path / "report.html",
        target_names=target_names,
        n_errors=1,
        **FAST,
    )
    text = files.markdown.read_text()
    assert "| True class | predicted nevus | predicted mel |" in text
    assert f"True class {target_names[-1]}" in text
    assert ": predicted nevus, probability" in text
    assert ("The positive class is mel," in text) == (len(target_names) == 2)
    assert not re.search("(class|predicted) [012]", text)


def test_several_classes(tmp_path, keep_sections):
    keep_sections("scores", "curves", "thresholds")
    classes = np.array(["a", "b", "c"])[np.arange(40) * 3 // 40]
    classifier = Brightness().fit(None, classes)
    files = skinest.report(
        classifier, IMAGES, classes, path=tmp_path / "classes.html", **FAST
    )
    page = Page(files.html.read_text("utf-8"))
    assert len(page.read_counts()) == len(page.list("option")) == 3
    proba = classifier.predict_proba(IMAGES)
    for k, name in enumerate("abc"):
        check_slider(page, k, classes == name, proba[:, k])
    predicted = classifier.predict(IMAGES)
    for name, row in zip("abc", confusion_matrix(classes, predicted), strict=True):
        assert page.has_words(name, *map(str, row))
    with pytest.raises(ValueError, match="pos_label='a' is for two classes"):
        skinest.report(
            classifier, IMAGES, classes, path=tmp_path / "a.html", pos_label="a"
        )
    auc = bootstrap_interval(
        roc_auc_score,
        classes == "b",
        proba[:, 1],
        **FAST,
    )
    assert f"{auc:.2f}" in page.text
    assert "Decision curve" not in page.text


BAD = {
    "ending": ({"path": "report.pdf"}, ValueError, "must end in '.html'"),
    "folder": ({"path": "nowhere/a.html"}, FileNotFoundError, "there is no folder"),
    "labels": ({"y_test": ["?"] * 40}, ValueError, "y_test has .*'?'.*but the classes"),
    "length": ({"y_test": NAMES[:9]}, ValueError, "X_test has 40 images, but y_test"),
    "class": ({"y_test": NAMES[[0] * 40]}, ValueError, "the class '<b>.*' only"),
    "one image": ({"X_test": IMAGES[:1], "y_test": NAMES[:1]}, ValueError, "at least"),
    "no labels": ({"y_test": [None] * 40}, ValueError, "y_test has no values"),
    "groups with None": (
        {"groups": [None, *LESIONS[1:]]},
        ValueError,
        "groups mixes values of types NoneType",
    ),
    "lists": ({"metadata": {"sex": [["f"]] * 40}}, ValueError, "such as lists"),
    "groups": ({"groups": [1, 2]}, ValueError, "groups has 2 entries"),
    "one group": ({"groups": [1] * 40}, ValueError, "at least 2 groups"),
    "metadata": ({"metadata": {"sex": ["f"]}}, ValueError, "has 1 values"),
    "train": ({"train": IMAGES}, ValueError, "train must be a tuple"),
    "positive": ({"pos_label": "x"}, ValueError, "must be one of the classes"),
    "few names": ({"target_names": ["mel"]}, ValueError, "1 names, but the classes"),
    "same names": ({"target_names": ["a", "a"]}, ValueError, "must all be different"),
    "no text": ({"target_names": [0, 1]}, ValueError, "must be a list of texts"),
    "thresholds": ({"thresholds": ["x"]}, ValueError, "must be a list of numbers"),
    "answers": ({"answers": {"TRIPOD 5": ""}}, ValueError, "not items of the check"),
    "estimator": ({"estimator": Brightness()}, Exception, "not fitted"),
    "search": (
        {"estimator": GridSearchCV(Brightness(), {}, refit=False).fit(IMAGES, LABELS)},
        TypeError,
        "refit=True",
    ),
    "regressor": (
        {"estimator": DummyRegressor().fit([[0]], [0])},
        TypeError,
        "neither a classifier nor a segmenter",
    ),
    "kind of groups": (
        {"groups": LESIONS, "train": (IMAGES, None, np.arange(40))},
        ValueError,
        "both be numbers or both be text",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_wrong_arguments_are_found_before_predictions(case, tmp_path, monkeypatch):
    changed, error, message = BAD[case]
    monkeypatch.chdir(tmp_path)
    classifier = Brightness().fit(None, NAMES)
    arguments = {"estimator": classifier, "X_test": IMAGES, "y_test": NAMES}
    with pytest.raises(error, match=message):
        skinest.report(**{**arguments, **changed})
    assert classifier.calls_ == []
    assert list(tmp_path.iterdir()) == []


def test_files_are_not_replaced_unless_allowed(tmp_path, keep_sections):
    keep_sections("model")
    (tmp_path / "report.md").write_text("mine")
    write = partial(
        skinest.report,
        Brightness().fit(None, NAMES),
        IMAGES,
        NAMES,
        path=tmp_path / "report.html",
        n_errors=0,
        **FAST,
    )
    with pytest.raises(FileExistsError, match="overwrite=True"):
        write()
    assert (tmp_path / "report.md").read_text() == "mine"
    write(overwrite=True)
    assert (tmp_path / "report.md").read_text("utf-8").startswith("# Test of")


def test_an_error_in_a_section_does_not_lose_the_others(
    tmp_path, monkeypatch, keep_sections
):
    keep_sections("errors", "authors")
    from skinest._report import _errors_section

    def fail(*args):
        raise RuntimeError("/home/me/secret")

    monkeypatch.setattr(_errors_section, "explain_errors", fail)
    with pytest.warns(UserWarning, match="'Worst errors' .*RuntimeError: /home/me"):
        files = skinest.report(
            Brightness().fit(None, NAMES),
            IMAGES,
            NAMES,
            path=tmp_path / "report.html",
            **FAST,
        )
    text = files.html.read_text("utf-8")
    assert "could not be written (RuntimeError)" in text
    assert "/home/me" not in text
    assert "For the authors" in text


def test_names_of_files_need_not_be_utf8(tmp_path, keep_sections):
    keep_sections("errors")
    paths = [tmp_path / os.fsdecode(b"\xe9%d.png" % number) for number in range(40)]
    try:
        for path, image in zip(paths, IMAGES, strict=True):
            Image.fromarray(image).save(path, format="png")
    except OSError:
        pytest.skip("this file system has UTF-8 names only")
    files = skinest.report(
        Brightness().fit(IMAGES, LABELS),
        paths,
        LABELS,
        path=tmp_path / "report.html",
        show_names=True,
        **FAST,
    )
    assert r"\udce9" in files.html.read_text("utf-8")

"""The report of a network: Grad-CAM of its errors, and the digest of its weights."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline

import skinest
from skinest._report._model_section import compute_digest
from skinest.preprocessing import ColorConstancy
from tests.report.pages import IMAGES, LABELS, Page


@pytest.fixture(scope="module")
def pipeline():
    network = skinest.TransferClassifier(
        "tiny",
        weights=None,
        image_size=(32, 32),
        pooling="avg",
        hidden_units=(),
        epochs=1,
        random_state=0,
    )
    labels = np.array(["nevus", "melanoma"])[LABELS.astype(int)]
    return make_pipeline(ColorConstancy(), network).fit(IMAGES, labels)


def test_errors_of_networks_have_gradcam_of_what_the_network_gets(pipeline, tmp_path):
    labels = np.where(LABELS, "melanoma", "nevus")
    files = skinest.report(
        pipeline,
        IMAGES,
        labels,
        path=tmp_path / "report.html",
        n_errors=1,
        n_resamples=10,
        random_state=0,
    )
    page = Page(files.html.read_text("utf-8"))
    alts = [image["alt"] for image in page.list("img")]
    proba = pipeline.predict_proba(IMAGES)
    wrong = np.flatnonzero(pipeline.predict(IMAGES) != labels)
    lead = proba.max(axis=1) - proba.min(axis=1)
    worst = wrong[lead[wrong].argmax()]
    assert f"Grad-CAM of Image {worst}: evidence for the predicted class" in alts
    weights = pipeline[-1].model_.get_weights()
    assert page.has_words(
        "transferclassifier: TransferClassifier",
        f"{sum(each.size for each in weights):,}",
        compute_digest(weights),
    )
    assert "Grad-CAM is coarse" in page.text

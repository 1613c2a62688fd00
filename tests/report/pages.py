"""Estimators that are fitted at once, and a reader of pages, for tests of reports."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import base64
import json
import re
from html.parser import HTMLParser

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin

from skinest.images import check_images

IMAGES = np.random.default_rng(0).integers(0, 90, (40, 20, 24, 3), dtype=np.uint8)
# Brighter images are more often positive.
IMAGES += np.linspace(0, 160, 40).astype(np.uint8)[:, None, None, None]
LABELS = np.arange(40) + np.random.default_rng(1).normal(0, 12, 40) > 20


def read_uri(source):
    """Return the content of a data URI."""
    return base64.b64decode(source.partition(",")[2])


def measure(X):
    """Return the brightness of images, in [0, 1]."""
    return np.array([image.mean() / 255 for image in check_images(X)])


class Brightness(ClassifierMixin, BaseEstimator):
    """Classifier of brightness, which counts its predictions."""

    def __init__(self, memory=None):
        self.memory = memory

    def fit(self, X, y):
        """Learn the names of the classes."""
        self.classes_ = np.unique(y)
        self.calls_ = []
        return self

    def predict_proba(self, X):
        """Return a probability for each class."""
        self.calls_.append(("predict_proba", len(X)))
        centers = np.linspace(0.15, 0.85, len(self.classes_))
        closeness = np.exp(-8 * np.abs(measure(X)[:, None] - centers))
        return closeness / closeness.sum(axis=1, keepdims=True)

    def predict(self, X):
        """Return the brightest class above .5, and so on."""
        self.calls_.append(("predict", len(X)))
        return self.classes_[(measure(X) * 0.999 * len(self.classes_)).astype(int)]


class Decisions(ClassifierMixin, BaseEstimator):
    """Classifier that has no probabilities."""

    def fit(self, X, y):
        """Learn the names of the classes."""
        self.classes_ = np.unique(y)
        return self

    def decision_function(self, X):
        """Return a positive value for bright images."""
        return 10 * (measure(X) - 0.5)

    def predict(self, X):
        """Return the second class for bright images."""
        return self.classes_[(self.decision_function(X) > 0).astype(int)]


class BrightPixels(BaseEstimator):
    """Segmenter of bright pixels."""

    def fit(self, X, y):
        """Learn the labels."""
        self.classes_ = np.array([0, 255])
        return self

    def predict(self, X):
        """Return a mask of bright pixels for each image."""
        return [
            np.where(image.mean(axis=2) > 110, 255, 0).astype(np.uint8)
            for image in check_images(X)
        ]


class Page(HTMLParser):
    """What a page has."""

    VOID = {"meta", "img", "input"}

    def __init__(self, text):
        super().__init__()
        self.text, self.tags, self.open, self.words = text, [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        """Remember a tag, and that it is open."""
        self.tags.append((tag, dict(attributes)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        """Check that the last open tag ends."""
        assert self.open.pop() == tag

    def handle_data(self, data):
        """Remember text that people see."""
        if not {"script", "style"} & set(self.open):
            self.words.append(data.strip())

    def list(self, tag):
        """Return the attributes of all tags of a kind."""
        return [attributes for name, attributes in self.tags if name == tag]

    def read_files(self):
        """Return the contents of all embedded pictures."""
        return [read_uri(image["src"]) for image in self.list("img")]

    def read_script(self, position):
        """Return the text of a script: the first has data, the last one is code."""
        scripts = re.findall(r"<script[^>]*>(.*?)</script>", self.text, re.DOTALL)
        return scripts[position]

    def read_counts(self):
        """Return the data of the slider."""
        return json.loads(self.read_script(0))

    def has_words(self, *words):
        """Return whether cells or paragraphs with these texts follow each other."""
        words = "\n".join(words)
        return words in "\n".join(filter(None, self.words))

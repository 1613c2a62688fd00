"""Combine classifiers of the seven diagnoses of HAM10000 by a vote and by a stack.

The lesions are split as in ../examples/plot_task2_vgg.py: each member is trained on the
training images and predicts the validation and the test images. The validation images
choose between members, vote and stack, and train the stack. The test images are used
once, at the end. The predicted probabilities of each member are kept in the folder
--state.

The probabilities of VGG16 are those that ../examples/plot_task2_vgg.py has kept in its
own --state.

Usage: python benchmarks/vote_ham10000.py --vgg16 DIR --mobilenetv2 FILE --state DIR
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import argparse
import sys
from pathlib import Path
from time import perf_counter

import joblib
import numpy as np
from _examples import study, write_scores
from _splits import split_by_lesion
from _task2 import METRICS, name_fit
from _vote import score_all
from accuracy_ham10000 import DEFAULTS, classifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skinest import BottleneckFeatureExtractor
from skinest.datasets import fetch_isic2018_task3


def main():
    options = read_options()
    data = fetch_isic2018_task3(options.data_home)
    position = [study.TASK2_NAMES.index(name) for name in data.target_names]
    X, y, groups = data.paths, np.array(position)[data.target], data.groups
    train, validation, test = split_by_lesion(y, groups)
    members = {
        name: predict(
            name,
            (X[train], y[train]),
            X[np.concatenate([validation, test])],
            options,
        )
        for name in MEMBERS
    }
    held_out, tested = {}, {}
    for name, probabilities in members.items():
        held_out[name], tested[name] = np.split(probabilities, [len(validation)])
    truths = ((y[part], groups[part]) for part in (validation, test))
    scores = score_all(held_out, tested, *truths)
    show(scores)
    write_scores(options.scores, scores)


def read_options():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--vgg16", type=Path, help="folder --state of ../examples/plot_task2_vgg.py"
    )
    parser.add_argument("--mobilenetv2", default="imagenet", help="weights file")
    parser.add_argument("--data-home", help="folder of the archives")
    parser.add_argument("--scores", type=Path, help="JSON file to write scores to")
    parser.add_argument(
        "--state", type=Path, required=True, help="folder for probabilities"
    )
    options = parser.parse_args()
    options.state.mkdir(parents=True, exist_ok=True)
    return options


# Members


def predict(name, train, X, options):
    """Return the probabilities of a member, which is trained if they are not kept."""
    path = options.state / f"{name.lower().replace(' ', '_')}.npy"
    if not path.exists():
        start = perf_counter()
        probabilities = MEMBERS[name](*train, X, options)
        print(f"{name}: {(perf_counter() - start) / 60:.1f} minutes", flush=True)
        np.save(path, probabilities)
    return np.load(path)


def read_vgg16(X_train, y_train, X, options):
    """Return what the network of the study's best schedule has predicted."""
    folder = options.vgg16 / name_fit("by lesion", study.TASK2_BEST)
    n_stages = len(study.TASK2_SCHEDULES[study.TASK2_BEST]["stages"])
    file = folder / f"stage{n_stages}.joblib"
    if not file.exists():
        sys.exit(f"There is no {file}: train this schedule with --state first.")
    return joblib.load(file).probabilities


def tune_mobilenetv2(X_train, y_train, X, options):
    """Fine-tune a network as accuracy_ham10000.py, and predict four views."""
    side, epochs = DEFAULTS["mobilenetv2"]
    settings = argparse.Namespace(
        backbone="mobilenetv2",
        weights=options.mobilenetv2,
        side=side,
        epochs=epochs,
        state=options.state / "mobilenetv2",
    )
    network = classifier(settings, len(y_train)).fit(X_train, y_train)
    return network.set_params(n_prediction_views=4).predict_proba(X)


def predict_from_features(X_train, y_train, X, options):
    """Fit a logistic regression to features of a network that is not trained."""
    features = BottleneckFeatureExtractor(
        "mobilenetv2",
        weights=options.mobilenetv2,
        image_size=(224, 224),
        pooling="avg",
    )
    regression = LogisticRegression(C=0.01, max_iter=1000)
    pipeline = make_pipeline(features, StandardScaler(), regression)
    return pipeline.fit(X_train, y_train).predict_proba(X)


MEMBERS = {
    "VGG16": read_vgg16,
    "MobileNetV2": tune_mobilenetv2,
    "frozen MobileNetV2": predict_from_features,
}


def show(scores):
    for name, row in scores["rows"].items():
        cells = (f"{metric} {row['scores'][metric][0]:.3f}" for metric in METRICS)
        print(f"{name:16s}", *cells)
    print("Chosen by the validation images:", scores["chosen"])
    for name, gains in scores["adds"].items():
        for metric, (gain, low, high) in gains.items():
            print(f"{name} adds {gain:+.3f} [{low:+.3f}, {high:+.3f}] of {metric}")


if __name__ == "__main__":
    main()

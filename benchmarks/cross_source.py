"""Train on one source, and test on another: melanoma or not, ISIC 2016 and HAM10000.

Each recipe is scored at home, by 5 folds within a source that keep lesions whole, and
on the images of the other source. Intervals are 95 % bootstrap intervals over lesions.
The test images of ISIC 2016 are not used. Recipes are chosen by the mean of both
directions.

Each recipe has a file of scores in results/cross_source, and is not run again if it is
there. `make_tables.py` writes the table of README.md from them. Features are stored in
the folder --memory, the predictions of each image in its folder "predictions". A new
recipe is a row of RECIPES.

Usage: python benchmarks/cross_source.py [RECIPE ...] --memory FOLDER
       --vgg16 vgg16.weights.h5 --mobilenetv2 mobilenetv2.weights.h5
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import argparse
from datetime import date
from pathlib import Path
from tempfile import gettempdir
from time import perf_counter

import numpy as np
from _clinic_members import INNER
from _gain_tables import SCORES, describe, show_cross_source
from _quiet import describe_machine
from _runs import RESULTS, make_file_name, write_record
from accuracy_bovw import build as build_words
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from skinest import BottleneckFeatureExtractor
from skinest.datasets import fetch_isic2016_part3, fetch_isic2018_task3, join_sources
from skinest.model_selection import cross_source_table

N_RESAMPLES = 1000


def main():
    options = read_options()
    data = read_sources(options.data_home)
    print(data.DESCR.partition("\n\n=")[0], flush=True)
    for name in options.recipes:
        run_recipe(name, data, options)
    print(f"\n{show_cross_source(options.results)}")


def read_options():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recipes", nargs="*", metavar="RECIPE", help=", ".join(RECIPES))
    for backbone in ("vgg16", "mobilenetv2"):
        parser.add_argument(
            f"--{backbone}", default="imagenet", help="weights file; default: download"
        )
    parser.add_argument("--n-jobs", type=int, default=2, help="threads for words")
    parser.add_argument("--data-home", help="folder of the archives")
    parser.add_argument("--again", action="store_true", help="discard stored scores")
    parser.add_argument(
        "--no-home", action="store_true", help="test on the other source only"
    )
    parser.add_argument(
        "--memory",
        type=Path,
        default=Path(gettempdir(), "skinest-cross-source"),
        help="folder for features and predictions (default: %(default)s)",
    )
    parser.add_argument(
        "--results", type=Path, default=RESULTS, help="folder for scores"
    )
    options = parser.parse_args()
    if unknown := set(options.recipes) - set(RECIPES):
        parser.error(f"no recipe is named {', '.join(sorted(unknown))}")
    options.recipes = options.recipes or list(RECIPES)
    return options


def read_sources(data_home):
    sources = {
        "ISIC 2016": fetch_isic2016_part3(data_home),
        "HAM10000": fetch_isic2018_task3(data_home),
    }
    return join_sources(sources, labels="melanoma")


# Recipes


def use_words(name):
    """Return a recipe of accuracy_bovw.py."""
    return lambda options: build_words(name, options, seed=0)


def use_features(
    backbone, side, n_views=1, layers=None, C=1e-3, class_weight="balanced"
):
    """Return a logistic regression on averaged features of a frozen network."""

    def build(options):
        extractor = BottleneckFeatureExtractor(
            backbone,
            weights=getattr(options, backbone),
            image_size=(side, side),
            pooling="avg",
            layers=layers,
            n_feature_views=n_views,
            memory=options.memory,
        )
        classifier = LogisticRegression(C=C, class_weight=class_weight, max_iter=1000)
        return Pipeline(
            [
                ("features", extractor),
                ("scale", StandardScaler()),
                ("classifier", classifier),
            ]
        )

    return build


# Each is a function of the options that returns a classifier of paths.
RECIPES = {
    "words of the study": use_words("study"),
    "words": use_words("defaults"),
    "three Fisher vectors": use_words("three_fishers"),
    "VGG16, 224 px": use_features("vgg16", 224),
    "MobileNetV2, 160 px": use_features("mobilenetv2", 160),
    "MobileNetV2, 224 px": use_features("mobilenetv2", 224),
    "MobileNetV2, 224 px, 4 views": use_features("mobilenetv2", 224, n_views=4),
    "inner layers of MobileNetV2, 224 px, 4 views": use_features(
        *("mobilenetv2", 224, 4, INNER, 3e-3), class_weight=None
    ),
}


# Runs


def run_recipe(name, data, options):
    """Compute the scores of a recipe, unless they are stored."""
    path = options.results / "cross_source" / f"{make_file_name(name)}.json"
    if path.exists() and not options.again:
        print(f"{name}: stored in {path}; --again makes it again", flush=True)
        return
    print(f"\n## {name}", flush=True)
    start = perf_counter()
    table, predictions = cross_source_table(
        {name: RECIPES[name](options)},
        data.paths,
        data.target,
        source=data.source,
        groups=data.groups,
        cv=None if options.no_home else 5,
        scoring=SCORES,
        n_resamples=N_RESAMPLES,
        random_state=0,
        return_predictions=True,
    )
    minutes = (perf_counter() - start) / 60
    save_predictions(options.memory / "predictions", name, predictions)
    rows = list_rows(table)
    record = {
        "recipe": name,
        "machine": describe_machine(with_tensorflow=True),
        "day": date.today().isoformat(),
        "minutes": round(minutes, 1),
        "rows": rows,
    }
    write_record(path, record)
    for row in rows:
        print(f"{row['train']} to {row['test']}: {describe(row)}", flush=True)


def save_predictions(folder, name, predictions):
    """Save the score of each image, for paired comparisons of recipes."""
    arrays = {}
    for (_, train, test), (rows, y_score) in predictions.items():
        arrays[f"{train} to {test}, rows"] = rows
        arrays[f"{train} to {test}, y_score"] = y_score
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / f"{make_file_name(name)}.npz", **arrays)


def list_rows(table):
    """Return a dict for each training and test source, for JSON."""
    rows = []
    for (train, test), found in table.groupby(level=["train", "test"], sort=False):
        first = found.iloc[0]
        row = {"train": train, "test": test, "prevalence": float(first.prevalence)}
        row |= {name: int(first[name]) for name in ("n_train", "n_test")}
        for (score, *_), values in found[["estimate", "low", "high"]].iterrows():
            row[score] = values.tolist()
        rows.append(row)
    return rows


if __name__ == "__main__":
    main()

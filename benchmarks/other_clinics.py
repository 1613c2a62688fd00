"""Compare recipes for melanoma on images of another clinic (ISIC 2016 and HAM10000).

Members are classifiers alone; recipes are soft votes of members. A member is trained in
four cells. Each cell is stored in the folder --results when it is done, with the
settings of the member in its name, and is not computed again with these settings.

ham_to_isic
    Trained on four fifths of the lesions of HAM10000, tested on the training images of
    ISIC 2016, and on the images of the other lesions.
isic_to_ham
    Trained on the training images of ISIC 2016, tested on a sample of HAM10000: all
    melanomas and every fourth other image. Average precision is weighted for this.
isic_folds
    5 stratified folds of the training images of ISIC 2016.
test, ham_to_test
    Trained on the training images of ISIC 2016, or on four fifths of the lesions of
    HAM10000, tested on the test images of ISIC 2016. Run them once, for the recipe that
    was chosen by the other cells.

`table` prints the scores of all recipes whose members are done, with 95 % bootstrap
intervals over lesions and the paired difference from another recipe. It writes them to
results/other_clinics.json, from which `make_tables.py` writes the tables of README.md.

Usage: python benchmarks/other_clinics.py ham_to_isic isic_to_ham isic_folds table
       --mobilenetv2 mobilenetv2.weights.h5
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import argparse
import os
from pathlib import Path
from time import perf_counter

import joblib
import numpy as np
from _clinic_members import MEMBERS, Network, describe, find_file
from _clinic_recipes import write_table
from _runs import RESULTS
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from skinest.datasets import fetch_isic2016_part3, fetch_isic2018_task3


class Data:
    """The images, labels and splits of both sources."""

    def __init__(self, data_home):
        self.data_home = data_home
        self.isic, self.is_malignant = fetch_isic2016_part3(data_home, return_X_y=True)
        ham = fetch_isic2018_task3(data_home)
        self.ham, self.lesions = ham.paths, ham.groups
        self.diagnoses = np.array(ham.target_names)[ham.target]
        self.is_melanoma = self.diagnoses == "MEL"
        splitter = StratifiedGroupKFold(5, shuffle=True, random_state=0)
        self.known, self.held = next(
            splitter.split(self.ham, self.diagnoses, self.lesions)
        )
        others = np.flatnonzero(~self.is_melanoma)[::4]
        self.sample = np.sort(np.append(np.flatnonzero(self.is_melanoma), others))
        self.folds = list(
            StratifiedKFold(5, shuffle=True, random_state=0).split(
                self.isic, self.is_malignant
            )
        )

    def read_test(self):
        return fetch_isic2016_part3(self.data_home, subset="test", return_X_y=True)


# Cells


def ham_to_isic(name, data, options):
    member = MEMBERS[name]
    member.fit(data.ham[data.known], data.diagnoses[data.known], "ham", options)
    if isinstance(member, Network):
        member.save(find_file(name, "ham_to_isic", options, ".weights.h5"))
    joblib.dump(member.classifier, find_file(name, "ham_to_isic", options, ".joblib"))
    return {
        "isic": member.predict(data.isic),
        "held": member.predict(data.ham[data.held]),
        "classes": np.asarray(member.classifier.classes_, dtype=str),
    }


def isic_to_ham(name, data, options):
    member = MEMBERS[name]
    member.fit(data.isic, data.is_malignant, "isic", options)
    return {"sample": member.predict(data.ham[data.sample])[:, 1]}


def isic_folds(name, data, options):
    member, scores = MEMBERS[name], np.zeros(len(data.isic))
    for train, test in data.folds:
        member.fit(data.isic[train], data.is_malignant[train], "isic", options)
        scores[test] = member.predict(data.isic[test])[:, 1]
    return {"folds": scores}


def test(name, data, options):
    X, _ = data.read_test()
    member = MEMBERS[name]
    member.fit(data.isic, data.is_malignant, "isic", options)
    return {"test": member.predict(X)[:, 1]}


def ham_to_test(name, data, options):
    X, _ = data.read_test()
    classifier = joblib.load(find_file(name, "ham_to_isic", options, ".joblib"))
    return {
        "test": classifier.predict_proba(X),
        "classes": np.asarray(classifier.classes_, dtype=str),
    }


CELLS = {
    cell.__name__: cell
    for cell in (ham_to_isic, isic_to_ham, isic_folds, test, ham_to_test)
}


def run_cells(cells, data, options):
    for name in options.members:
        for cell in cells:
            path = find_file(name, cell, options)
            # What has seen HAM10000 has only ISIC 2016 left to be tested on.
            is_leak = MEMBERS[name].start and cell == "isic_to_ham"
            if path.exists() or is_leak:
                continue
            start, used = perf_counter(), os.times()
            arrays = CELLS[cell](name, data, options)
            minutes = (perf_counter() - start) / 60
            core_minutes = (sum(os.times()[:2]) - sum(used[:2])) / 60
            np.savez(
                path,
                **arrays,
                settings=describe(name, options),
                minutes=(minutes, core_minutes),
            )
            print(
                f"{name}, {cell}: {minutes:.1f} minutes, {core_minutes:.1f} of a core",
                flush=True,
            )


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="+", choices=[*CELLS, "table"])
    parser.add_argument("--members", nargs="+", choices=MEMBERS, default=list(MEMBERS))
    parser.add_argument("--mobilenetv2", default="imagenet", help="weights file")
    parser.add_argument("--data-home", help="folder of the archives")
    parser.add_argument("--memory", help="folder for features")
    parser.add_argument(
        "--results",
        type=Path,
        default=Path("other_clinics"),
        help="folder for predictions (default: %(default)s)",
    )
    parser.add_argument(
        "--record", type=Path, default=RESULTS / "other_clinics.json", help="JSON file"
    )
    options = parser.parse_args()
    options.results.mkdir(parents=True, exist_ok=True)
    data = Data(options.data_home)
    run_cells([part for part in options.parts if part in CELLS], data, options)
    if "table" in options.parts:
        write_table(data, options)


if __name__ == "__main__":
    main()

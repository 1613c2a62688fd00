"""Recipes of other_clinics.py, and their scores."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from dataclasses import asdict, dataclass

import numpy as np
from _clinic_members import find_file
from _gain_tables import show
from _quiet import describe_machine
from _runs import write_record
from scipy.special import logit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.model_selection import cross_val_predict

from skinest.model_selection import bootstrap_interval, compare

METRICS = {"AUC": roc_auc_score, "average precision": average_precision_score}


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A soft vote or a stack of members.

    Parameters
    ----------
    members : tuple of str
        Members that are trained on ISIC 2016.

    ham_members : tuple of str
        Members that are trained on HAM10000.

    reference : str
        Recipe that it is compared with.

    against_nevi : bool
        Whether the score of a member that has learned all diagnoses is the probability
        of melanoma if the lesion is either a melanoma or a nevus. By default it is the
        probability of melanoma among all diagnoses.

    is_stack : bool
        Whether a logistic regression of the members' scores replaces their mean. It is
        fitted in the other folds, to scores that the members gave by folds too.

    cells : tuple of str
        The cells in which it is scored.
    """

    members: tuple = ()
    ham_members: tuple = ()
    reference: str
    against_nevi: bool = True
    is_stack: bool = False
    cells: tuple = ("ham_to_isic", "isic_to_ham", "isic_folds", "test")


HOME = "isic_folds", "test"
VIEWS = "frozen, 4 views"
INNER = "inner layers"
NETWORK = "network, against nevi"
FIXED = "network, normalisation not trained"
COLORED = "network with colour changes"
HAM_INNER = f"{INNER}, C=.01, against nevi"
RECOMMENDED = "inner layers of both sources, and network"
BOTH = "inner and last layers"
FINE = "features of HAM10000"
VOTE = f"{BOTH}, C=.01", FINE, "Fisher vectors"
HAM_MEMBERS = f"{INNER}, C=.01", "network"


def alone(name, reference, **settings):
    """Return a recipe of one member, trained on either source."""
    return Recipe(members=(name,), ham_members=(name,), reference=reference, **settings)


RECIPES = {
    # What a step changes
    "frozen": alone("frozen", VIEWS),
    VIEWS: alone(VIEWS, "frozen"),
    f"{VIEWS}, C=.0001": alone(f"{VIEWS}, C=.0001", VIEWS),
    f"{VIEWS}, C=.003": alone(f"{VIEWS}, C=.003", VIEWS),
    f"{VIEWS}, class weights": alone(f"{VIEWS}, class weights", VIEWS),
    INNER: alone(INNER, f"{VIEWS}, C=.003"),
    f"{INNER}, 1 view": alone(f"{INNER}, 1 view", INNER),
    f"{INNER}, C=.0003": alone(f"{INNER}, C=.0003", INNER),
    f"{INNER}, C=.01": alone(f"{INNER}, C=.01", INNER, against_nevi=False),
    HAM_INNER: alone(f"{INNER}, C=.01", f"{INNER}, C=.01"),
    f"{INNER}, shades of grey": alone(f"{INNER}, shades of grey", INNER),
    BOTH: alone(BOTH, INNER),
    VOTE[0]: alone(VOTE[0], BOTH),
    "network": alone("network", FIXED, against_nevi=False),
    FIXED: alone(FIXED, "network", against_nevi=False),
    NETWORK: alone("network", "network"),
    f"{COLORED}, against nevi": alone(COLORED, NETWORK),
    "network, new head": alone(FINE, NETWORK, cells=("ham_to_isic",)),
    # Votes that carry over
    "inner layers of both sources": Recipe(
        members=(INNER,), ham_members=HAM_MEMBERS[:1], reference=INNER
    ),
    RECOMMENDED: Recipe(
        members=(INNER,),
        ham_members=HAM_MEMBERS,
        reference="inner layers of both sources",
    ),
    f"{RECOMMENDED}, and Fisher vectors": Recipe(
        members=(INNER, "Fisher vectors"),
        ham_members=(*HAM_MEMBERS, "Fisher vectors"),
        reference=RECOMMENDED,
    ),
    f"{INNER} and {FIXED}": Recipe(members=(INNER, FIXED), reference=INNER),
    # Votes for ISIC 2016
    "Fisher vectors": alone("Fisher vectors", VIEWS),
    FINE: alone(FINE, VIEWS, cells=HOME),
    f"inner {FINE}": alone(f"inner {FINE}", FINE, cells=HOME),
    "vote of 2": Recipe(members=VOTE[:2], reference=VOTE[0], cells=HOME),
    "vote of 3": Recipe(
        members=VOTE[:2], ham_members=HAM_MEMBERS[:1], reference="vote of 2", cells=HOME
    ),
    "vote of 4": Recipe(
        members=VOTE[:2], ham_members=HAM_MEMBERS, reference="vote of 3", cells=HOME
    ),
    "vote of 5": Recipe(
        members=VOTE, ham_members=HAM_MEMBERS, reference="vote of 4", cells=HOME
    ),
    "stack of 5": Recipe(
        members=VOTE,
        ham_members=HAM_MEMBERS,
        reference="vote of 5",
        is_stack=True,
        cells=HOME[:1],
    ),
}


def write_table(data, options):
    rows = make_rows(data, options)
    record = {"machine": describe_machine(with_tensorflow=True), "rows": rows}
    write_record(options.record, record)
    print(show(rows))


def make_rows(data, options):
    """Return the scores of recipes, and their gains over others."""
    rows, truths = [], list_truths(data)
    for name, recipe in RECIPES.items():
        row = {"recipe": name, **asdict(recipe)}
        for cell in recipe.cells:
            truth = truths[cell]
            scores = read_scores(recipe, cell, truth[0], options)
            if scores is None:
                continue
            reference = read_scores(RECIPES[recipe.reference], cell, truth[0], options)
            if np.array_equal(scores, reference):
                if recipe.members == recipe.ham_members:
                    continue  # such as "against nevi" where there are no nevi
                reference = None
            row |= score(cell, truth, scores, reference)
        rows.append(row)
    return rows


def list_truths(data):
    """Return labels, lesions and weights of the test images of each cell."""
    sample = data.sample
    truths = {
        "ham_to_isic": (data.is_malignant, None, None),
        "isic_to_ham": (
            data.is_melanoma[sample],
            data.lesions[sample],
            np.where(data.is_melanoma[sample], 1.0, 4.0),
        ),
        "isic_folds": (data.is_malignant, None, None),
    }
    return truths | {"test": (data.read_test()[1], None, None)}


def score(cell, truth, scores, reference):
    """Return the scores of a cell, and the gains over the reference if there is one."""
    y, groups, weights = truth
    settings = {"groups": groups, "sample_weight": weights, "random_state": 0}
    found = {}
    for metric, function in METRICS.items():
        found[f"{cell}, {metric}"] = bootstrap_interval(function, y, scores, **settings)
        if reference is not None:
            gain = compare(function, y, scores, reference, **settings)
            found[f"{cell}, {metric}, gain"] = gain
    return {
        name: [round(value, 4) for value in values] for name, values in found.items()
    }


# Scores of a recipe


def read_scores(recipe, cell, y, options):
    """Return the mean of the scores of members, or a stack; None if one is missing."""
    wanted = list_members(recipe, cell)
    scores = [read_member(*pair, recipe, options) for pair in wanted]
    if not scores or any(score is None for score in scores):
        return None
    if recipe.is_stack:
        return stack(np.transpose(scores), y)
    return np.mean(scores, axis=0)


def list_members(recipe, cell):
    """Return the members that have a part in a cell, and the cells of their scores."""
    by_ham = [(name, HAM_CELLS.get(cell)) for name in recipe.ham_members]
    by_isic = [(name, cell) for name in recipe.members]
    if cell == "ham_to_isic":
        return by_ham
    if cell == "isic_to_ham":
        return by_isic
    # A recipe of one member is trained on one source.
    return by_isic if recipe.members == recipe.ham_members else by_isic + by_ham


# Where members that were trained on HAM10000 have their scores.
HAM_CELLS = {
    "ham_to_isic": "ham_to_isic",
    "isic_folds": "ham_to_isic",
    "test": "ham_to_test",
}


def read_member(name, cell, recipe, options):
    """Return the scores of a member in a cell, or None."""
    path = find_file(name, cell, options)
    if not path.exists():
        return None
    stored = np.load(path)
    if "classes" not in stored:
        return next(stored[key] for key in ("sample", "folds", "test") if key in stored)
    values = stored["isic"] if "isic" in stored else stored["test"]
    return find_melanoma(stored["classes"].tolist(), values, recipe.against_nevi)


def find_melanoma(classes, probabilities, against_nevi=True):
    """Return the probability of melanoma, by default if it is one or a nevus."""
    columns = dict(zip(classes, probabilities.T, strict=True))
    melanoma = columns["MEL"]
    return melanoma / (melanoma + columns["NV"]) if against_nevi else melanoma


def stack(scores, y):
    """Return the scores of a logistic regression on log odds, by other folds."""
    scores = logit(np.clip(scores, 1e-4, 1 - 1e-4))
    stacked = cross_val_predict(
        LogisticRegression(), scores, y, cv=10, method="predict_proba"
    )
    return stacked[:, 1]

"""Age, sex and site for a synthetic lesion."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from typing import NamedTuple

import numpy as np

from .._ham10000 import TASK3_NAMES

_SITES = (
    "back",
    "lower extremity",
    "trunk",
    "upper extremity",
    "abdomen",
    "face",
    "chest",
    "foot",
    "neck",
    "scalp",
    "hand",
    "ear",
    "genital",
    "acral",
)

# Mean and standard deviation of age in years, percentage of men, and weights of the
# sites: round numbers that together give those of HAM10000.
_PATIENTS = {
    "MEL": (61, 15, 62, (30, 13, 8, 20, 6, 10, 6, 3, 3, 2, 1, 1, 0, 1)),
    "NV": (46, 15, 51, (22, 24, 19, 10, 13, 1, 4, 4, 2, 0, 1, 1, 1, 1)),
    "BCC": (67, 13, 62, (30, 11, 2, 10, 4, 24, 9, 1, 5, 2, 0, 2, 0, 0)),
    "AKIEC": (66, 12, 66, (11, 20, 2, 17, 2, 30, 3, 1, 4, 6, 4, 2, 0, 0)),
    "BKL": (64, 14, 57, (19, 13, 9, 11, 7, 26, 7, 1, 4, 3, 1, 1, 0, 0)),
    "DF": (52, 14, 45, (8, 58, 4, 22, 4, 0, 2, 2, 0, 0, 1, 0, 0, 0)),
    "VASC": (51, 19, 50, (16, 18, 12, 9, 15, 7, 10, 3, 3, 1, 2, 1, 1, 2)),
}
# Fraction of lesions without a value.
_MISSING = {"age": 0.02, "sex": 0.02, "site": 0.05}


class Patient(NamedTuple):
    """Age, sex and site of a lesion; NaN if unknown."""

    age: float
    sex: str | float
    site: str | float


def sample_patient(rng, diagnosis):
    """Sample age, sex and site of a lesion of one of the seven diagnoses."""
    mean, deviation, n_men, weights = _PATIENTS[TASK3_NAMES[diagnosis]]
    # In steps of five years, as in real data sets.
    age = 5.0 * round(np.clip(rng.normal(mean, deviation), 5, 85) / 5)
    sex = "male" if 100 * rng.random() < n_men else "female"
    site = str(rng.choice(_SITES, p=np.array(weights) / sum(weights)))
    is_missing = rng.random(3) < list(_MISSING.values())
    values = (age, sex, site)
    return Patient(
        *(np.nan if gone else v for v, gone in zip(values, is_missing, strict=True))
    )

"""Settings and figures of the study that the examples re-do.

A student study on the ISIC challenges; all figures are on the challenge's own
test images. Rows of a matrix are the truth, columns the prediction.
"""

TASK1_BASELINE = {"accuracy": 0.802, "sensitivity": 0.0}

TASK1_BOVW = {
    "n_train": 900,
    "n_test": 379,
    "n_words": (30, 100, 300, 400),
    "setting": "300 words, RBF",
    "accuracy": 0.776,
    "precision": 0.417,
    "sensitivity": 0.333,
    "specificity": 269 / 304,
    "f1": 0.370,
    "matrix": ((269, 35), (50, 25)),
}

TASK1_VGG = {
    "n_train": 900,
    "n_test": 379,
    "setting": "VGG16, ImageNet, frozen",
    "accuracy": 0.823,
    "precision": 0.557,
    "sensitivity": 0.520,
    "specificity": 273 / 304,
    "f1": 0.540,
    "AUC": 0.762,
    "matrix": ((273, 31), (36, 39)),
}

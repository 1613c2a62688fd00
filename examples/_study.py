"""Settings and scores of the study that the examples reproduce.

It is a student study on the ISIC challenges. Scores of task 1 and task 3 are on the
test images of the challenge, those of task 2 on a fifth of its images. Rows of a
matrix are the true classes, columns the predicted ones.
"""

# The head of both tasks on VGG16; the rest of its constructor's arguments differ.
VGG_HEAD = {"hidden_units": (512,), "pooling": "flatten", "dropout": 0.5}

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
# Values that the study tried, one at a time, instead of the best setting: Adam, 1e-5,
# batches of 32, dropout .5.
TASK1_VGG_TRIED = {
    "dropout": (0.2, 0.7),
    "l2": (5e-4,),
    "optimizer": ("rmsprop", "sgd"),
    "learning_rate": (1e-6, 1e-4, 1e-3, 1e-2),
    "batch_size": (64, 128),
    "hidden_units": ((512, 512),),
}

TASK2_BASELINE = {"accuracy": 0.669}
TASK2_NAMES = ("AKIEC", "BCC", "BKL", "DF", "MEL", "NV", "VASC")
TASK2_N_IMAGES = 10_015
# Layers, epochs and learning rate of each of two stages, and the accuracy on test
# images after each stage.
TASK2_SCHEDULES = {
    "head, then all": {
        "stages": (("head", 50, 1e-4), ("all", 100, 1e-6)),
        "accuracy": (0.71, 0.75),
    },
    "block5, then all": {
        "stages": (("block5", 35, 1e-4), ("all", 20, 1e-6)),
        "accuracy": (0.78, 0.81),
    },
}
TASK2_BEST = "block5, then all"
TASK2_MATRIX = (
    (36, 4, 15, 2, 7, 2, 0),
    (3, 84, 6, 1, 2, 7, 0),
    (6, 2, 165, 2, 24, 21, 0),
    (1, 1, 2, 14, 1, 4, 0),
    (2, 2, 20, 0, 159, 38, 2),
    (1, 13, 49, 2, 141, 1131, 4),
    (0, 0, 1, 0, 0, 1, 27),
)

TASK3_N_TRAIN, TASK3_N_VALIDATION, TASK3_N_TEST = 640, 167, 335
TASK3_BASELINE = {"accuracy": 0.98}
# Scores by loss. "channel Dice" is computed along the axis of three equal channels.
TASK3 = {
    "globules": {
        "dice": {
            "accuracy": 0.8982,
            "precision": 0.0152,
            "recall": 0.0819,
            "mean IoU with background": 0.4956,
            "channel Dice": 0.8621,
        },
        "jaccard": {
            "accuracy": 0.8812,
            "precision": 0.0156,
            "recall": 0.1009,
            "mean IoU with background": 0.4756,
            "channel Dice": 0.8421,
        },
        "weighted_crossentropy": {
            "accuracy": 0.8939,
            "precision": 0.0153,
            "recall": 0.0868,
            "mean IoU with background": 0.4932,
            "channel Dice": 0.8557,
        },
        "binary_crossentropy": {
            "accuracy": 0.5620,
            "precision": 0.0166,
            "recall": 0.4434,
            "mean IoU with background": 0.4940,
            "channel Dice": 0.6000,
        },
    },
    "streaks": {
        "dice": {
            "accuracy": 0.8859,
            "precision": 0.0018,
            "recall": 0.1127,
            "mean IoU with background": 0.4996,
            "channel Dice": 0.8361,
        },
    },
}

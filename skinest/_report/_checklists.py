"""Items of checklists for papers, in our words: which of them a report answers.

TRIPOD+AI is about prediction models, CLEAR Derm about algorithms for images of skin.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from typing import NamedTuple


class ChecklistItem(NamedTuple):
    """An item of a checklist.

    Parameters
    ----------
    key : str
        Checklist and number.

    topic : str
        What it asks for.

    sections : tuple of str, default=()
        Sections of the report that answer it, at least in part.

    needs_author : bool, default=True
        Whether the authors have to write something.
    """

    key: str
    topic: str
    sections: tuple[str, ...] = ()
    needs_author: bool = True


CITATIONS = (
    "TRIPOD+AI: G. S. Collins et al., TRIPOD+AI statement: updated guidance for "
    "reporting clinical prediction models that use regression or machine learning "
    "methods, BMJ 385, e078378, 2024.",
    "CLEAR Derm: R. Daneshjou et al., Checklist for evaluation of image-based "
    "artificial intelligence reports in dermatology: CLEAR Derm consensus guidelines "
    "from the International Skin Imaging Collaboration Artificial Intelligence Working "
    "Group, JAMA Dermatology 158(1), 90-96, 2022.",
)

_TRIPOD = (
    ("1", "Title: development or evaluation, population, outcome"),
    ("2", "Structured abstract"),
    ("3a", "Clinical context, and models that exist"),
    ("3b", "Patients and users that the model is for, and its purpose"),
    ("3c", "Known inequalities in health between groups of people"),
    ("4", "Objectives"),
    ("5a", "Sources of the training and test data, and whom they represent"),
    ("5b", "Dates of the data"),
    ("6a", "Setting: clinics, number and places"),
    ("6b", "Which patients and images were included or excluded"),
    ("6c", "Treatments, if they matter"),
    ("7", "Preparation of the data, and checks of its quality"),
    ("8a", "Definition of the outcome, how and when it was assessed"),
    ("8b", "Who assessed the outcome, with which training"),
    ("8c", "Whether assessors of the outcome were blinded"),
    ("9a", "Why these inputs were chosen"),
    ("9b", "Definition of the inputs, how and when they were measured"),
    ("9c", "Who assessed inputs that need judgement"),
    ("10", "Why the numbers of images are large enough"),
    ("11", "Missing data"),
    ("12a", "How the data were used and divided", "data"),
    ("12b", "How inputs were handled", "model"),
    ("12c", "Kind of model, how it was built, how settings were chosen", "model"),
    ("12d", "How differences between clinics or groups were handled"),
    ("12e", "Measures of performance, and why they were chosen", "scores", "curves"),
    ("12f", "Updates of the model, such as calibration again"),
    ("12g", "How predictions of the test data were computed"),
    ("13", "Methods for imbalanced classes, and calibration after them"),
    ("14", "Methods for fairness"),
    ("15", "Output of the model, and how the threshold was chosen", "thresholds"),
    ("16", "Differences between training and test data"),
    ("17", "Ethical approval and consent"),
    ("18a", "Funding"),
    ("18b", "Conflicts of interest"),
    ("18c", "Protocol, or that there is none"),
    ("18d", "Registration, or that there is none"),
    ("18e", "Availability of the data"),
    ("18f", "Availability of the code"),
    ("19", "Involvement of patients and the public"),
    ("20a", "Flow of participants into the data"),
    ("20b", "Characteristics of the participants", "subgroups"),
    ("20c", "Comparison of the participants with those of the training data"),
    ("21", "Numbers of participants and outcomes", "data"),
    ("22", "The whole model, or how to get it", "model"),
    ("23a", "Performance with intervals, also of subgroups", "scores", "subgroups"),
    ("23b", "Differences of performance between clinics or groups"),
    ("24", "Results of updates of the model"),
    ("25", "Interpretation, with earlier studies and fairness"),
    ("26", "Limitations"),
    ("27a", "What to do with poor or missing images in use"),
    ("27b", "What users have to do, and what they have to know"),
    ("27c", "Next steps, for use in other places"),
)
_CLEAR_DERM = (
    ("1", "Kinds of images, such as dermoscopy or photographs"),
    ("2", "Artefacts in images, such as hair, ink and rulers"),
    ("3", "Cameras, light and other technical details"),
    ("4", "Preprocessing of images", "model"),
    ("5", "Synthetic images, and where they are public"),
    ("6", "References of public images"),
    ("7", "Age, sex, site, and race or ethnicity of patients", "subgroups"),
    ("8", "Skin colour, and how it was assessed"),
    ("9", "Biases that these attributes can cause"),
    ("10", "How the images were divided", "data"),
    ("11", "Numbers of training, validation and test images", "data"),
    ("12", "Test images of another source"),
    ("13", "Devices of several makers"),
    ("14", "Frequency of each class", "data"),
    ("15", "Images unlike those of the training, such as other diseases"),
    ("16", "How labels were assigned, and by whom"),
    ("17", "Accepted names of the diagnoses, with references"),
    ("18", "Histopathology of malignant lesions"),
    ("19", "Development of the algorithm in detail", "model"),
    ("20", "How others can evaluate the algorithm"),
    ("21", "Measures of performance", "scores", "curves"),
    ("22", "Comparison with other methods, and what is new"),
    ("23", "Assessment of bias", "subgroups"),
    ("24", "Use cases, and the conditions that it is for"),
    ("25", "Effects on patients and on the health-care team"),
)
# The report says all that these ask for, as far as it has the data.
_ANSWERED = {"TRIPOD+AI 21", "CLEAR Derm 14", "CLEAR Derm 21"}


def _read(checklist, rows):
    for number, topic, *sections in rows:
        key = f"{checklist} {number}"
        yield ChecklistItem(key, topic, tuple(sections), key not in _ANSWERED)


ITEMS = (*_read("TRIPOD+AI", _TRIPOD), *_read("CLEAR Derm", _CLEAR_DERM))

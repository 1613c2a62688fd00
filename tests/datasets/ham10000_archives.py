"""Small archives with the names and the layout of those of HAM10000."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import zipfile

STEM = "ISIC2018_Task3_Training"
FILES = [f"{STEM}_GroundTruth.zip", f"{STEM}_LesionGroupings.csv", f"{STEM}_Input.zip"]
MASK_STEM = "HAM10000_segmentations_lesion_tschandl"
NAMES = ["MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC"]
LABEL_HEADER = "image,MEL,NV,BCC,AKIEC,BKL,DF,VASC"
LESION_HEADER = "image,lesion_id,diagnosis_confirm_type"
# Neither sorted by name nor by lesion; every diagnosis is there.
DIAGNOSES = {
    "ISIC_0000005": "NV",
    "ISIC_0000001": "MEL",
    "ISIC_0000002": "NV",
    "ISIC_0000003": "VASC",
    "ISIC_0000004": "BCC",
    "ISIC_0000009": "DF",
    "ISIC_0000007": "AKIEC",
    "ISIC_0000008": "BKL",
}
TARGET = [1, 0, 1, 6, 2, 5, 3, 4]
LESIONS = {name: f"HAM_{name[-1]}" for name in reversed(DIAGNOSES)}
LESIONS["ISIC_0000002"] = "HAM_5"


def label_lines(diagnoses):
    return [
        ",".join([name, *(str(float(diagnosis == column)) for column in NAMES)])
        for name, diagnosis in diagnoses.items()
    ]


def write_labels(folder, lines, header=LABEL_HEADER, stem=STEM):
    with zipfile.ZipFile(folder / f"{stem}_GroundTruth.zip", "w") as archive:
        member = f"{stem}_GroundTruth/{stem}_GroundTruth.csv"
        archive.writestr(member, "\n".join([header, *lines, ""]))


def write_lesions(folder, lines, header=LESION_HEADER):
    file = folder / f"{STEM}_LesionGroupings.csv"
    file.write_text("\n".join([header, *lines, ""]))


def write_images(folder, names, stem=STEM):
    with zipfile.ZipFile(folder / f"{stem}_Input.zip", "w") as archive:
        for name in sorted(names):
            archive.writestr(f"{stem}_Input/{name}.jpg", f"JPEG of {name}")
        archive.writestr(f"{stem}_Input/LICENSE.txt", "CC BY-NC 4.0")


def write_masks(folder, names):
    """Write masks; in the archive they come in reversed order."""
    with zipfile.ZipFile(folder / f"{MASK_STEM}.zip", "w") as archive:
        for name in sorted(names, reverse=True):
            member = f"{MASK_STEM}/{name}_segmentation.png"
            archive.writestr(member, f"PNG of {name}")


def make_home(parent):
    """Make a folder with the archives of images, labels, lesions and masks."""
    folder = parent / "home"
    folder.mkdir()
    write_labels(folder, label_lines(DIAGNOSES))
    write_lesions(folder, [f"{k},{v},histopathology" for k, v in LESIONS.items()])
    write_images(folder, DIAGNOSES)
    write_masks(folder, DIAGNOSES)
    return folder

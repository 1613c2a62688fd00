"""The official files of the ISIC challenges."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import os
from dataclasses import dataclass

from .._compat import StrOptions
from ._archives import is_there
from ._base import resolve_data_home
from ._download import require_file

# The hashes of other files are not known.
_SHA256_OF = {
    "ISBI2016_ISIC_Part3_Training_Data.zip": (
        "d78bd1de08511b514e58784c91fd2d8dab24e407cafd023a7debbceb9155ffb2"
    ),
    "ISBI2016_ISIC_Part3_Training_GroundTruth.csv": (
        "0ffadd63b7cec650cddfbe5df54d1d3167453fe6004c2bbf05824184b0c4d405"
    ),
}

# End of the descriptions of all data of the challenge of 2016.
ISIC2016_REFERENCE = """
Licence: CC0 1.0.

Gutman, D., Codella, N. C. F., Celebi, E., Helba, B., Marchetti, M., Mishra, N.,
and Halpern, A. (2016). Skin Lesion Analysis toward Melanoma Detection: A Challenge
at the International Symposium on Biomedical Imaging (ISBI) 2016, hosted by the
International Skin Imaging Collaboration (ISIC). arXiv:1605.01397.
"""


def locate(year, name):
    """Return the address of an official file, and its SHA-256 or None."""
    base = f"https://isic-challenge-data.s3.amazonaws.com/{year}/"
    return base + name, _SHA256_OF.get(name)


@dataclass(frozen=True)
class Challenge:
    """A part of an ISIC challenge, with one archive of images per subset.

    Parameters
    ----------
    year : int
        Year of the challenge.

    stems : dict
        First part of the file names of each subset.

    truth, images : str
        Last part of the file names of the ground truth and of the image archives.
    """

    year: int
    stems: dict
    truth: str
    images: str

    @property
    def constraints(self):
        """Return the constraints of the parameters that all fetchers have."""
        return {
            "data_home": [str, os.PathLike, None],
            "subset": [StrOptions({*self.stems, "all"})],
            "download_if_missing": ["boolean"],
            "return_X_y": ["boolean"],
        }

    def require(self, data_home, subset, download_if_missing, *, others=()):
        """Download missing files of subsets.

        An archive is not needed if its extracted folder exists. `others` are names of
        further files.

        Returns
        -------
        files : list of (Path, Path)
            Ground truth and image archive of each subset.
        """
        folder = resolve_data_home(data_home)
        stems = self.stems.values() if subset == "all" else [self.stems[subset]]
        truths, images = (
            [folder / f"{stem}_{ending}" for stem in stems]
            for ending in (self.truth, self.images)
        )
        for file in (*truths, *(folder / name for name in others), *images):
            if not is_there(file):
                url, known_hash = locate(self.year, file.name)
                require_file(
                    file,
                    url,
                    known_hash=known_hash,
                    download_if_missing=download_if_missing,
                )
        return list(zip(truths, images, strict=True))

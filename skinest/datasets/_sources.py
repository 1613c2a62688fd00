"""The official files of the ISIC challenges."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from ._archives import is_there
from ._download import require_file

BASE_URL_OF = {
    2016: "https://isic-challenge-data.s3.amazonaws.com/2016/",
    2018: "https://isic-challenge-data.s3.amazonaws.com/2018/",
}

# Of no other file is a hash known.
SHA256_OF = {
    "ISBI2016_ISIC_Part3_Training_Data.zip": (
        "d78bd1de08511b514e58784c91fd2d8dab24e407cafd023a7debbceb9155ffb2"
    ),
    "ISBI2016_ISIC_Part3_Training_GroundTruth.csv": (
        "0ffadd63b7cec650cddfbe5df54d1d3167453fe6004c2bbf05824184b0c4d405"
    ),
}


def require_official(files, year, *, download_if_missing):
    """Make sure that files of a challenge are there, by download if need be.

    An archive is not asked for where the folder that it is extracted into is.

    Parameters
    ----------
    files : list of Path
        Where they are, or shall be, under their official names.

    year : int
        That of the challenge.

    download_if_missing : bool
        Download a missing file instead of raising an error.

    Raises
    ------
    OSError
        If one is missing and cannot, or shall not, be downloaded.
    """
    for file in files:
        if not is_there(file):
            require_file(
                file,
                BASE_URL_OF[year] + file.name,
                known_hash=SHA256_OF.get(file.name),
                download_if_missing=download_if_missing,
            )

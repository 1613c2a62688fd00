"""Evidence of single descriptors, from that of the visual words."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np

from ._describing import DescribedImages
from ._descriptor_calls import postprocess

COUNTING_ENCODINGS = ("histogram", "soft", "tfidf")


def share_evidence(transformer, images, contributions):
    """Divide what each number of a vector contributes among the descriptors.

    A number of a histogram is a sum over descriptors. Each descriptor gets the part of
    the contribution that it has of this sum.

    Parameters
    ----------
    transformer : BoVWSIFTTransformer
        A fitted transformer whose encoding is one of `COUNTING_ENCODINGS`, and whose
        descriptor gives places.

    images : ImageCollection
        The images.

    contributions : list of ndarray of shape (n_features_out,)
        What each number of the vector of an image contributes.

    Returns
    -------
    points : list of ndarray of shape (n_descriptors, 2)
        Places (x, y) in fractions of the image's width and height.

    evidence : list of ndarray of shape (n_descriptors,)
        The sum of each is that of the contributions of numbers that are not 0.
    """
    descriptor = transformer.descriptor_
    described = DescribedImages(
        images, descriptor, transformer.memory, transformer.n_jobs
    )
    points, evidence = [], []
    for batch in described.map():
        for values, places in batch:
            values = postprocess(descriptor, values)
            points.append(places)
            part = contributions[len(evidence)]
            evidence.append(_share(transformer._encoder, part, values, places))
    return points, evidence


def _share(encoder, contributions, values, points):
    evidence = np.zeros(len(values))
    if not len(values):
        return evidence
    (weights,) = encoder.assign([encoder.project(values)])
    if weights.ndim == 1:  # the nearest word only
        weights = np.eye(encoder.n_words)[weights]
    members = encoder.find_members(points, len(values))
    for in_cell, part in zip(
        members, contributions.reshape(len(members), -1), strict=True
    ):
        total = weights[in_cell].sum(axis=0)
        each = np.divide(part, total, out=np.zeros_like(total), where=total > 0)
        evidence[in_cell] += weights[in_cell] @ each
    return evidence

"""Metrics of segmentation and of classification, beside those of scikit-learn.

**Masks.** :func:`dice_score`, :func:`iou_score` and :func:`threshold_jaccard_score`
measure the foreground. For example, globules and streaks (small structures in lesions)
cover 1 or 2 % of an image, so an empty prediction has an accuracy of .98 and a mean IoU
with background of .49. :func:`segmentation_report` shows these two for comparison.
:func:`hausdorff_distance` and :func:`average_surface_distance` measure the boundary in
pixels, and :func:`blob_f1_score` counts small structures. Masks are read one pair at a
time.

``dice_scorer``, ``iou_scorer``, ``threshold_jaccard_scorer``, ``blob_f1_scorer``,
``neg_hausdorff_scorer`` and ``neg_average_surface_distance_scorer`` are for
``GridSearchCV(scoring=dice_scorer)``,
``cross_validate(scoring={"dice": dice_scorer, "iou": iou_scorer})`` and scikit-learn's
``ScoringMonitor``. The first four give a score of 1 if the true and the predicted mask
are both empty. All of them use `ignore_label` and `mask_threshold` of the segmenter.
For other options create a scorer, as in
``make_scorer(dice_score, average="pooled", ignore_label=255)``.

**Two classes.** :func:`sensitivity_at_specificity`,
:func:`specificity_at_sensitivity`, :func:`partial_auc_score` and :func:`net_benefit`
measure probabilities or decision values of a positive class, and
:func:`find_threshold` chooses a threshold of them. ``partial_auc_scorer`` is ready for
``scoring=``. The others need the operating point that you want:
``make_scorer(sensitivity_at_specificity, specificity=0.9,
response_method=("decision_function", "predict_proba"))``, or for `net_benefit`
``make_scorer(net_benefit, threshold=0.1, response_method="predict_proba")``.

:func:`write_isic_submission` writes probabilities to the file that an ISIC challenge
asks for.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

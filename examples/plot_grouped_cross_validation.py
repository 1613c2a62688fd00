"""
Cross-validation that keeps lesions together
============================================

Sets of dermoscopic images often have several pictures of one lesion. If one is in the
training images and another is left out, a classifier may recognise the lesion in place
of its diagnosis, and scores flatter. Here the same classifiers are scored twice: by
folds of images, and by folds of lesions, over several ways to cut the folds.

Look at the differences: they tell what part of a score was the lesion, not the
diagnosis; and at how they depend on the classifier.

On the ISIC 2018 task 3 archives (HAM10000) where ``--data-home`` or the environment
variable ``SKINEST_DATA`` names a folder that holds them, else on synthetic images.
"""

"""Training of Keras networks behind scikit-learn's interface."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

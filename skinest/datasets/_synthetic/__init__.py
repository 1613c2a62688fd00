"""Synthetic dermoscopic images, from random scenes to pixels."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

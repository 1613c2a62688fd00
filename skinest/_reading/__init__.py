"""Files and arrays of images: checks, a decoder for each format, conversion to RGB."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

"""Image and mask files: checks that they can be read, and a decoder for each format."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

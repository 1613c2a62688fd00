"""A report of a fitted estimator on test images, as one HTML file and as Markdown.

Each file of a section computes its content as blocks. Only `_report_blocks.py` knows
how blocks are written, so no text of the user can reach the page without escapes.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

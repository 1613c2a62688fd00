"""Tools for developers of estimators."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

"""Settings to run examples for the gallery."""

import os
from pathlib import Path


class Arguments:
    """Set the arguments of each example, with a folder for its plots.

    Examples run in their own folder and print the paths of plots, so the path is
    relative.
    """

    def __repr__(self):
        return "Arguments"

    def __call__(self, gallery_conf, script_vars):
        figures = Path(gallery_conf["src_dir"]) / "_build" / "figures"
        examples = Path(script_vars["src_file"]).parent
        return ["--figures", os.path.relpath(figures, examples)]


arguments = Arguments()

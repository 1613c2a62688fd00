"""How examples are run for the gallery."""

from pathlib import Path


class Arguments:
    """Arguments of each example: figures that it saves go to the folder of builds."""

    def __repr__(self):
        return "Arguments"

    def __call__(self, gallery_conf, script_vars):
        return ["--figures", str(Path(gallery_conf["src_dir"]) / "_build" / "figures")]


arguments = Arguments()

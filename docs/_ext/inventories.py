"""Inventories of other projects, for links that need no network to build."""

import urllib.request
from pathlib import Path


def reachable(projects, folder, *, timeout=5):
    """Fetch inventories into a folder; without network take those that it holds.

    Parameters
    ----------
    projects : dict of str to str
        Address of the documentation of each project.

    folder : path
        Where inventories are kept.

    timeout : float, default=5
        Seconds to wait for an address.

    Returns
    -------
    mapping : dict
        For ``intersphinx_mapping``: the projects whose inventory is there. Links to
        the others become plain names.
    """
    folder = Path(folder)
    mapping = {}
    for name, address in projects.items():
        kept = folder / f"{name}.inv"
        try:
            with urllib.request.urlopen(
                f"{address}/objects.inv", timeout=timeout
            ) as answer:
                content = answer.read()
        except OSError:
            content = b""
        if content.startswith(b"# Sphinx inventory version"):
            folder.mkdir(parents=True, exist_ok=True)
            kept.write_bytes(content)
        if kept.is_file():
            mapping[name] = (address, str(kept))
    return mapping

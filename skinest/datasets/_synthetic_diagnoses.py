"""Scenes of the seven diagnoses of HAM10000, by their dermoscopic criteria.

Lengths are in units of half the shorter side of the frame, as in scenes.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from dataclasses import replace

import numpy as np

from ._ham10000 import TASK3_NAMES
from ._synthetic_scene import Marks, draw_scene, inside_disc, scene_of


def draw_diagnosis(rng, diagnosis):
    """Draw a scene of one of the seven diagnoses, by its index in `TASK3_NAMES`."""
    return _DRAW[TASK3_NAMES[diagnosis]](rng)


def _melanoma(rng):
    return draw_scene(rng, malignant=True)


def _nevus(rng):
    return draw_scene(rng, malignant=False)


def _basal_cell_carcinoma(rng):
    """Pink, with branching vessels, blue-grey nests, leaf-like areas, ulcers."""
    clarity = rng.beta(3.0, 1.5)
    scene = replace(
        _without_melanocytes(scene_of(rng, rng.uniform(0.2, 0.6))),
        melanin=rng.uniform(0.05, 0.4),
        blood=rng.uniform(0.25, 0.8),
        border_width=rng.uniform(0.1, 0.3),
    )
    is_pigmented = rng.random() < 0.7
    n_nests = rng.poisson(7 * clarity) if is_pigmented else 0
    n_leaves = rng.poisson(2.5 * clarity) if is_pigmented else 0
    nests = _discs(
        rng, scene, "nest", n_nests, rng.uniform(0.04, 0.1), spread=0.8, opacity=0.75
    )
    leaves = [_leaf(rng, scene) for _ in range(n_leaves)]
    trees = [_vessel_tree(rng, scene) for _ in range(rng.poisson(3 * clarity))]
    ulcers = _areas(rng, scene, "ulcer", rng.random() < 0.4 * clarity, (0.12, 0.35))
    scars = _areas(rng, scene, "scar", rng.poisson(0.7), (0.2, 0.5))
    return replace(scene, patches=scars + ulcers, marks=(nests, *leaves, *trees))


def _actinic_keratosis(rng):
    """Red, with scale, pale follicles in a red pseudo-network, dotted vessels."""
    clarity = rng.beta(3.0, 1.5)
    scene = _without_melanocytes(scene_of(rng, rng.uniform(0.2, 0.6)))
    scene = replace(
        scene,
        melanin=rng.choice([0.1, 0.6]) * rng.uniform(0.5, 1.2),
        blood=rng.uniform(0.4, 1.1),
        border_width=rng.uniform(0.15, 0.35),
        roughness=rng.uniform(0.03, 0.06),
        mottling=rng.uniform(1.2, 2.4),
    )
    freckles = _discs(
        rng, scene, "freckle", rng.poisson(5), 0.07, spread=2.0, opacity=0.3
    )
    follicles = _discs(
        rng, scene, "cyst", rng.poisson(45 * clarity), 0.022, spread=0.95, opacity=0.5
    )
    n_dots = rng.poisson(40 * clarity) if rng.random() < 0.6 else 0
    dots = _discs(rng, scene, "vessel", n_dots, 0.014, spread=0.8, opacity=0.7)
    scales = _areas(rng, scene, "scale", rng.poisson(2.5 * clarity), (0.1, 0.35))
    return replace(scene, patches=scales, marks=(freckles, follicles, dots))


def _benign_keratosis(rng):
    """Sharp moth-eaten border, cysts, comedo-like openings, fissures and ridges."""
    clarity = rng.beta(3.0, 1.5)
    scene = replace(
        _without_melanocytes(scene_of(rng, rng.uniform(0.1, 0.5))),
        melanin=rng.uniform(0.4, 1.3),
        border_width=rng.uniform(0.015, 0.06),
        roughness=rng.uniform(0.03, 0.07),
    )
    cysts = _discs(
        rng, scene, "cyst", rng.poisson(12 * clarity), 0.024, spread=0.9, opacity=0.8
    )
    plugs = _discs(
        rng, scene, "plug", rng.poisson(10 * clarity), 0.03, spread=0.9, opacity=0.8
    )
    ridges = clarity * rng.uniform(0.4, 1.0) if rng.random() < 0.5 else 0.0
    return replace(scene, marks=(cysts, plugs), ridges=ridges)


def _dermatofibroma(rng):
    """A white patch like a scar, and a delicate network around it."""
    clarity = rng.beta(3.0, 1.5)
    scene = scene_of(rng, rng.uniform(0.0, 0.2))
    scene = replace(
        _without_melanocytes(scene),
        melanin=rng.uniform(0.25, 0.6),
        blood=rng.uniform(0.1, 0.5),
        border_width=rng.uniform(0.15, 0.3),
        harmonics=0.5 * scene.harmonics,
        network=clarity * rng.uniform(0.3, 0.7),
        network_period=rng.uniform(0.06, 0.085),
        pale_centre=1.0,
    )
    radius = scene.radius * rng.uniform(0.25, 0.6) * clarity
    scar = ("scar", *scene.centre, radius)
    return replace(scene, patches=(scar,))


def _vascular_lesion(rng):
    """Red, purple or black lacunae with a sharp border."""
    clarity = rng.beta(3.0, 1.5)
    scene = scene_of(rng, rng.uniform(0.0, 0.3))
    scene = replace(
        _without_melanocytes(scene),
        melanin=rng.uniform(0.0, 0.15),
        blood=rng.uniform(0.7, 2.0),
        border_width=rng.uniform(0.03, 0.12),
        radius=scene.radius * rng.uniform(0.4, 1.0),
        harmonics=0.6 * scene.harmonics,
    )
    shades = rng.choice(["red", "purple", "black"], 2, p=[0.5, 0.3, 0.2])
    lacunae = [
        _discs(
            rng,
            scene,
            f"{shade} lacuna",
            rng.poisson(12 * clarity),
            scene.radius * 0.2,
            spread=0.8,
            opacity=0.75,
        )
        for shade in shades
    ]
    veil = _areas(rng, scene, "veil", rng.random() < 0.3, (0.3, 0.7))
    return replace(scene, patches=veil, marks=tuple(lacunae))


_DRAW = {
    "MEL": _melanoma,
    "NV": _nevus,
    "BCC": _basal_cell_carcinoma,
    "AKIEC": _actinic_keratosis,
    "BKL": _benign_keratosis,
    "DF": _dermatofibroma,
    "VASC": _vascular_lesion,
}


def _without_melanocytes(scene):
    """The scene without what only nevi and melanomas show."""
    bare = scene.without("globules").without("streaks")
    return replace(bare, network=0.0, patches=())


def _places(rng, scene, n_points, spread):
    """Draw points inside the lesion, within `spread` of the way to its border."""
    u, v = inside_disc(rng, n_points, spread * scene.radius).T
    cos, sin = np.cos(scene.angle), np.sin(scene.angle)
    v = v / scene.elongation
    return np.column_stack([cos * u - sin * v, sin * u + cos * v]) + scene.centre


def _discs(rng, scene, colour, n_discs, radius, *, spread, opacity):
    return Marks(
        "discs",
        colour,
        opacity,
        _places(rng, scene, n_discs, spread),
        radius * np.exp(rng.normal(0, 0.3, n_discs)),
    )


def _areas(rng, scene, name, n_areas, radii):
    """Draw coloured areas, with radii as shares of that of the lesion."""
    return tuple(
        (name, *place.tolist(), scene.radius * rng.uniform(*radii))
        for place in _places(rng, scene, int(n_areas), 0.8)
    )


def _leaf(rng, scene):
    """A leaf-like area: lobes that leave one point at the border of the lesion."""
    direction = rng.uniform(0, 2 * np.pi)
    outward = np.array([np.cos(direction), np.sin(direction)])
    root = np.array(scene.centre) + 0.75 * scene.radius * outward
    n_lobes = rng.integers(3, 7)
    angles = direction + np.linspace(-1.1, 1.1, n_lobes) + rng.normal(0, 0.15, n_lobes)
    reach = rng.uniform(0.06, 0.12, n_lobes)[:, None]
    tips = root + reach * np.column_stack([np.cos(angles), np.sin(angles)])
    return Marks(
        "strokes",
        "leaf",
        0.75,
        tuple(np.stack([root, tip]) for tip in tips),
        tuple(rng.uniform(0.03, 0.06, n_lobes)),
    )


def _vessel_tree(rng, scene):
    """An arborising vessel: a stem that comes from the border and branches."""
    direction = rng.uniform(0, 2 * np.pi)
    start = np.array(scene.centre) + rng.uniform(0.4, 1.0) * scene.radius * np.array(
        [np.cos(direction), np.sin(direction)]
    )
    stem = (start, direction + np.pi + rng.normal(0, 0.6), scene.radius, 0.024)
    curves, widths, growing = [], [], [stem]
    while growing:
        start, direction, length, width = growing.pop()
        bends = direction + np.cumsum(rng.normal(0, 0.25, 6))
        steps = length / 6 * np.column_stack([np.cos(bends), np.sin(bends)])
        curve = np.vstack([start, start + np.cumsum(steps, axis=0)])
        curves.append(curve)
        widths.append(width)
        if width > 0.01:
            growing += [
                (
                    curve[joint],
                    bends[-1] + turn * rng.uniform(0.4, 0.9),
                    length * rng.uniform(0.4, 0.7),
                    0.65 * width,
                )
                for joint, turn in ((3, -1), (6, 1), (6, -1))
            ]
    return Marks("strokes", "vessel", 0.75, tuple(curves), tuple(widths))

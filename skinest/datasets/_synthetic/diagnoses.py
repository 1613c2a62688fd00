"""Scenes of the seven diagnoses of HAM10000, by their dermoscopic criteria.

Lengths are in units of half the shorter side of the frame, as in scenes.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from dataclasses import replace

import numpy as np

from .._ham10000 import TASK3_NAMES
from .scene import Marks, sample_by_severity, sample_in_disc, sample_scene


def sample_diagnosis(rng, diagnosis):
    """Sample a scene of one of the seven diagnoses, an index into `TASK3_NAMES`."""
    return _SAMPLERS[TASK3_NAMES[diagnosis]](rng)


def _sample_melanoma(rng):
    return sample_scene(rng, malignant=True)


def _sample_nevus(rng):
    return sample_scene(rng, malignant=False)


def _sample_basal_cell_carcinoma(rng):
    """Sample pink, branching vessels, blue-grey nests, leaf-like areas, ulcers."""
    clarity = _sample_clarity(rng)
    scene = replace(
        _remove_melanocytes(sample_by_severity(rng, rng.uniform(0.2, 0.6))),
        melanin=rng.uniform(0.05, 0.5),
        blood=rng.uniform(0.2, 0.7),
        border_width=rng.uniform(0.1, 0.35),
    )
    is_pigmented = rng.random() < 0.65
    n_nests = rng.poisson(9 * clarity) if is_pigmented else 0
    n_leaves = rng.poisson(2.5 * clarity) if is_pigmented else 0
    radius = rng.uniform(0.03, 0.09)
    nests = _sample_discs(rng, scene, "nest", n_nests, radius, spread=0.8, opacity=0.65)
    leaves = [_sample_leaf(rng, scene) for _ in range(n_leaves)]
    trees = [_sample_vessel_tree(rng, scene) for _ in range(rng.poisson(2.5 * clarity))]
    ulcers = _sample_areas(
        rng, scene, "ulcer", rng.random() < 0.4 * clarity, (0.15, 0.4)
    )
    scars = _sample_areas(rng, scene, "scar", rng.poisson(0.6), (0.3, 0.6))
    return replace(scene, patches=scars + ulcers, marks=(nests, *leaves, *trees))


def _sample_actinic_keratosis(rng):
    """Sample red, scale, pale follicles in a red pseudo-network, dotted vessels."""
    clarity = _sample_clarity(rng)
    is_pigmented = rng.random() < 0.45
    scene = replace(
        _remove_melanocytes(sample_by_severity(rng, rng.uniform(0.3, 0.7))),
        melanin=rng.uniform(0.35, 0.9) if is_pigmented else rng.uniform(0.02, 0.25),
        blood=rng.uniform(0.3, 0.9),
        border_width=rng.uniform(0.15, 0.45),
        roughness=rng.uniform(0.04, 0.08),
        mottling=rng.uniform(1.0, 1.7),
    )
    n_follicles = rng.poisson(60 * clarity) if rng.random() < 0.7 else 0
    n_dots = rng.poisson(45 * clarity) if rng.random() < 0.5 else 0
    freckles = _sample_discs(
        rng, scene, "freckle", rng.poisson(7), 0.06, spread=2.0, opacity=0.3
    )
    follicles = _sample_discs(
        rng, scene, "follicle", n_follicles, 0.03, spread=0.95, opacity=0.45
    )
    dots = _sample_discs(rng, scene, "vessel", n_dots, 0.018, spread=0.8, opacity=0.75)
    scales = _sample_areas(rng, scene, "scale", rng.poisson(2 * clarity), (0.2, 0.5))
    browns = _sample_areas(
        rng, scene, "brown", is_pigmented * rng.poisson(3), (0.2, 0.4)
    )
    return replace(scene, patches=browns + scales, marks=(freckles, follicles, dots))


def _sample_benign_keratosis(rng):
    """Sample a sharp moth-eaten border, cysts, comedo-like openings and ridges."""
    clarity = _sample_clarity(rng)
    scene = sample_by_severity(rng, rng.uniform(0.1, 0.7))
    scene = replace(
        _remove_melanocytes(scene),
        radius=scene.radius * rng.uniform(0.9, 1.2),
        melanin=rng.uniform(0.3, 1.3),
        border_width=rng.uniform(0.015, 0.08),
        roughness=rng.uniform(0.03, 0.07),
    )
    cysts = _sample_discs(
        rng, scene, "cyst", rng.poisson(10 * clarity), 0.027, spread=0.9, opacity=0.8
    )
    plugs = _sample_discs(
        rng, scene, "plug", rng.poisson(9 * clarity), 0.034, spread=0.9, opacity=0.75
    )
    ridges = clarity * rng.uniform(0.4, 1.0) if rng.random() < 0.5 else 0.0
    veils = _sample_areas(rng, scene, "veil", rng.random() < 0.2, (0.5, 0.9))
    return replace(scene, patches=veils, marks=(cysts, plugs), ridges=ridges)


def _sample_dermatofibroma(rng):
    """Sample a white centre like a scar, and a delicate network around it."""
    clarity = _sample_clarity(rng)
    scene = sample_by_severity(rng, rng.uniform(0.0, 0.25))
    return replace(
        _remove_melanocytes(scene),
        melanin=rng.uniform(0.25, 0.75),
        blood=rng.uniform(0.1, 0.5),
        border_width=rng.uniform(0.15, 0.35),
        harmonics=0.5 * scene.harmonics,
        network=clarity * rng.uniform(0.2, 0.6),
        network_period=rng.uniform(0.06, 0.09),
        network_warp=rng.uniform(0.2, 0.35),
        network_patchiness=rng.uniform(0.2, 0.6),
        pale_centre=clarity,
        pale_depth=rng.uniform(0.4, 0.75),
    )


def _sample_vascular_lesion(rng):
    """Sample red, purple or black lacunae within a sharp border."""
    clarity = _sample_clarity(rng)
    scene = sample_by_severity(rng, rng.uniform(0.0, 0.3))
    scene = replace(
        _remove_melanocytes(scene),
        melanin=rng.uniform(0.0, 0.2),
        blood=rng.uniform(0.5, 1.7),
        border_width=rng.uniform(0.03, 0.15),
        radius=scene.radius * rng.uniform(0.4, 1.1),
        harmonics=0.6 * scene.harmonics,
    )
    shades = rng.choice(["red", "purple", "black"], 2, p=[0.45, 0.35, 0.2])
    lacunae = [
        _sample_discs(
            rng,
            scene,
            f"{shade} lacuna",
            rng.poisson(14 * clarity),
            scene.radius * rng.uniform(0.12, 0.25),
            spread=0.85,
            opacity=0.7,
        )
        for shade in shades
    ]
    veils = _sample_areas(rng, scene, "veil", rng.random() < 0.4, (0.4, 0.8))
    return replace(scene, patches=veils, marks=tuple(lacunae))


_SAMPLERS = {
    "MEL": _sample_melanoma,
    "NV": _sample_nevus,
    "BCC": _sample_basal_cell_carcinoma,
    "AKIEC": _sample_actinic_keratosis,
    "BKL": _sample_benign_keratosis,
    "DF": _sample_dermatofibroma,
    "VASC": _sample_vascular_lesion,
}


def _sample_clarity(rng):
    """Sample the fraction of its criteria that a lesion shows; it can be small."""
    return rng.beta(2.2, 1.4)


def _remove_melanocytes(scene):
    """Return the scene without structures of nevi and melanomas."""
    bare = scene.without("globules").without("streaks")
    return replace(bare, network=0.0, patches=())


def _sample_points(rng, scene, n_points, spread):
    """Sample points in the lesion, up to `spread` times the distance to its border."""
    u, v = sample_in_disc(rng, n_points, spread * scene.radius).T
    cos, sin = np.cos(scene.angle), np.sin(scene.angle)
    v = v / scene.elongation
    return np.column_stack([cos * u - sin * v, sin * u + cos * v]) + scene.centre


def _sample_discs(rng, scene, colour, n_discs, radius, *, spread, opacity):
    return Marks(
        "discs",
        colour,
        opacity,
        _sample_points(rng, scene, n_discs, spread),
        radius * np.exp(rng.normal(0, 0.25, n_discs)),
    )


def _sample_areas(rng, scene, name, n_areas, radii):
    """Sample coloured areas, with radii relative to that of the lesion."""
    return tuple(
        (name, *place.tolist(), scene.radius * rng.uniform(*radii))
        for place in _sample_points(rng, scene, int(n_areas), 0.8)
    )


def _sample_leaf(rng, scene):
    """Sample a leaf-like area: lobes that leave one point near the border."""
    direction = rng.uniform(0, 2 * np.pi)
    root = _find_on_ray(scene, direction, rng.uniform(0.6, 0.9))
    n_lobes = rng.integers(3, 7)
    angles = direction + np.linspace(-1.1, 1.1, n_lobes) + rng.normal(0, 0.2, n_lobes)
    reach = rng.uniform(0.06, 0.14, n_lobes)[:, None]
    tips = root + reach * np.column_stack([np.cos(angles), np.sin(angles)])
    lobes = tuple(np.stack([root, tip]) for tip in tips)
    return Marks("lines", "leaf", 0.6, lobes, rng.uniform(0.03, 0.06, n_lobes))


def _sample_vessel_tree(rng, scene):
    """Sample an arborising vessel: a stem that grows inwards and branches."""
    direction = rng.uniform(0, 2 * np.pi)
    start = _find_on_ray(scene, direction, rng.uniform(0.3, 1.1))
    direction += np.pi + rng.normal(0, 0.7)
    length = scene.radius * rng.uniform(0.6, 1.1)
    growing = [(start, direction, length, rng.uniform(0.013, 0.021))]
    curves, widths = [], []
    while growing:
        start, direction, length, width = growing.pop()
        bends = direction + np.cumsum(rng.normal(0, 0.3, 6))
        steps = length / 6 * np.column_stack([np.cos(bends), np.sin(bends)])
        curve = np.vstack([start, start + np.cumsum(steps, axis=0)])
        curves.append(curve)
        widths.append(width)
        if width < 0.009:
            continue
        for joint, turn in ((3, -1), (6, 1), (6, -1)):
            if rng.random() < 0.8:
                fork = bends[joint - 1] + turn * rng.uniform(0.4, 1.0)
                growing.append(
                    (curve[joint], fork, length * rng.uniform(0.4, 0.7), 0.6 * width)
                )
    return Marks("lines", "vessel", 0.7, tuple(curves), tuple(widths))


def _find_on_ray(scene, direction, share):
    """Return the point at a fraction of the lesion's radius from its centre."""
    ray = np.array([np.cos(direction), np.sin(direction)])
    return scene.centre + share * scene.radius * ray

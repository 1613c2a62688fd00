"""The scene of a synthetic dermoscopic image, with all its random values.

Lengths are in units of half the shorter side of the frame, whose centre is the
origin; angles are in radians.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

from dataclasses import dataclass, replace

import numpy as np

_SKIN_TONES = np.array(
    [
        [0.86, 0.70, 0.62],
        [0.90, 0.80, 0.70],
        [0.80, 0.66, 0.64],
        [0.76, 0.68, 0.58],
        [0.93, 0.74, 0.60],
        [0.70, 0.53, 0.43],
    ]
)

# The values of a scene that hold one entry per item.
_ITEMS = {
    "globules": ("globule_centres", "globule_radii"),
    "streaks": ("streak_angles", "streak_lengths", "streak_bends"),
}


@dataclass(frozen=True)
class View:
    """Frame of a further image of a lesion.

    The skin is rotated by `angle` around the origin, scaled by `scale`, then shifted by
    `shift`. `grain_seed` seeds the noise of the sensor.
    """

    angle: float
    scale: float
    shift: tuple
    grain_seed: int

    @property
    def turn(self):
        """Return the rotation matrix, for column vectors."""
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        return np.array([[cos, -sin], [sin, cos]])


@dataclass(frozen=True)
class Marks:
    """Discs or lines of one colour on the skin.

    `shape` is "discs" or "lines"; `points` are the centres of discs, or one array of
    points for each line, and `sizes` their radii or widths. `opacity` is the share
    of what lies below that they hide.
    """

    shape: str
    colour: str
    opacity: float
    points: np.ndarray | tuple
    sizes: np.ndarray | tuple


@dataclass(frozen=True)
class Scene:
    """Random parameters of one image.

    `texture_seed` seeds the noise fields; the other values are places, shapes
    and strengths, where 0 means absent. `view` is None for the first image of a
    lesion.
    """

    texture_seed: int
    # the frame
    skin_tone: np.ndarray
    light: tuple
    mottling: float
    texture: float
    vignette: float
    aperture: float
    hair_points: np.ndarray
    hair_widths: np.ndarray
    hair_melanin: float
    # the shape of the lesion
    centre: tuple
    radius: float
    elongation: float
    angle: float
    harmonics: np.ndarray
    harmonic_phases: np.ndarray
    roughness: float
    border_width: float
    # structures of the lesion
    melanin: float
    blood: float
    unevenness: float
    tilt: tuple
    network: float
    network_period: float
    network_angle: float
    network_warp: float
    network_patchiness: float
    globule_centres: np.ndarray
    globule_radii: np.ndarray
    streak_angles: np.ndarray
    streak_lengths: np.ndarray
    streak_bends: np.ndarray
    patches: tuple
    # structures of some diagnoses only
    marks: tuple = ()
    ridges: float = 0.0
    pale_centre: float = 0.0
    pale_depth: float = 0.0
    view: View | None = None

    def without(self, structure):
        """Return the scene without globules or streaks, or itself if it has none."""
        items = {name: getattr(self, name) for name in _ITEMS[structure]}
        if not any(len(values) for values in items.values()):
            return self
        return replace(self, **{name: values[:0] for name, values in items.items()})


def _sample_frame(rng):
    """Sample skin, light and hairs, which do not depend on the diagnosis."""
    tone = _SKIN_TONES[rng.integers(len(_SKIN_TONES))] + rng.normal(0, 0.02, 3)
    n_hairs = rng.poisson(rng.choice([0.0, 2.0, 9.0], p=[0.4, 0.4, 0.2]))
    starts = rng.uniform(-1.3, 1.3, (n_hairs, 2))
    directions = rng.normal(rng.uniform(0, 2 * np.pi), 0.7, n_hairs)
    steps = rng.uniform(0.5, 1.4, n_hairs)[:, None] * np.column_stack(
        [np.cos(directions), np.sin(directions)]
    )
    bends = rng.normal(0, 0.15, (n_hairs, 2))
    return {
        "skin_tone": np.clip(tone, 0.3, 0.97).astype(np.float32)[:, None, None],
        "light": _sample_pair(rng, 0.05),
        "mottling": rng.uniform(0.3, 1.0),
        "texture": rng.uniform(0.7, 1.2),
        "vignette": float(rng.choice([0.0, 0.35, 0.95], p=[0.4, 0.4, 0.2])),
        "aperture": rng.uniform(1.05, 1.3),
        "hair_points": np.stack(
            [starts, starts + steps + bends, starts + 2 * steps], axis=1
        ),
        "hair_widths": rng.uniform(0.006, 0.017, n_hairs),
        "hair_melanin": rng.uniform(0.7, 2.0),
    }


def _sample_shape(rng, severity):
    """Sample centre, outline and border of the lesion."""
    orders = np.arange(1, 13)
    asymmetry = 0.02 + 0.2 * severity * rng.uniform(0.5, 1.2)
    notches = 0.015 + 0.1 * severity * rng.uniform(0.3, 1.2)
    spread = np.where(orders <= 4, asymmetry / orders**0.5, notches / orders**0.4)
    return {
        "centre": _sample_pair(rng, 0.09),
        "radius": rng.uniform(0.36, 0.66) + 0.12 * severity,
        "elongation": rng.uniform(1.0, 1.5),
        "angle": rng.uniform(0, 2 * np.pi),
        "harmonics": spread * rng.normal(0, 0.6, len(orders)),
        "harmonic_phases": rng.uniform(0, 2 * np.pi, len(orders)),
        "roughness": 0.012 + 0.03 * severity * rng.uniform(0.5, 1.3),
        "border_width": rng.uniform(0.05, 0.14) - 0.03 * severity,
    }


def _sample_structures(rng, severity, shape):
    """Sample pigment, network, globules, streaks and coloured areas."""
    has_globules = rng.random() < 0.5
    n_globules = rng.integers(8, 45) if has_globules else rng.integers(0, 4)
    n_streaks = rng.poisson(16 * max(0.0, severity - 0.35))
    sector = rng.uniform(0, 2 * np.pi)
    names = ("black", "brown", "veil", "scar", "blood")
    odds = (0.3, 0.25, 0.2, 0.13, 0.12)
    kinds = rng.choice(names, rng.poisson(4.5 * severity**1.5), p=odds)
    places = sample_in_disc(rng, len(kinds), 0.8 * shape["radius"])
    return {
        "melanin": rng.uniform(0.5, 1.3) + 0.4 * severity,
        "blood": rng.uniform(0.0, 0.35),
        "unevenness": 0.12 + 0.35 * severity * rng.uniform(0.5, 1.3),
        "tilt": _sample_pair(rng, 0.05 + 0.3 * severity),
        "network": rng.uniform(0.0, 0.3 if has_globules else 0.8),
        "network_period": rng.uniform(0.09, 0.14) * (1 + 0.5 * severity),
        "network_angle": rng.uniform(0, np.pi),
        "network_warp": 0.12 + 0.55 * severity * rng.uniform(0.4, 1.2),
        "network_patchiness": min(1.0, severity * rng.uniform(0.4, 1.4)),
        "globule_centres": shape["centre"]
        + sample_in_disc(rng, n_globules, 0.95 * shape["radius"]),
        "globule_radii": rng.uniform(0.02, 0.035)
        * np.exp(rng.normal(0, 0.1 + 0.5 * severity, n_globules)),
        "streak_angles": rng.normal(sector, 0.9, n_streaks),
        "streak_lengths": rng.uniform(0.06, 0.2, n_streaks),
        "streak_bends": rng.normal(0, 0.12, n_streaks),
        "patches": tuple(
            (
                str(kind),
                *(shape["centre"] + place).tolist(),
                shape["radius"] * rng.uniform(0.2, 0.5),
            )
            for kind, place in zip(kinds, places, strict=True)
        ),
    }


def view_again(scene, rng):
    """Return the lesion in another image, with new frame, light and hairs."""
    frame = _sample_frame(rng)
    white_balance = np.exp(rng.normal(0, 0.06) + rng.normal(0, 0.03, 3))
    tone = scene.skin_tone * white_balance.astype(np.float32)[:, None, None]
    kept = {"skin_tone": tone, "mottling": scene.mottling, "texture": scene.texture}
    view = View(
        angle=rng.uniform(0, 2 * np.pi),
        scale=float(np.exp(rng.uniform(-0.25, 0.25))),
        shift=_sample_pair(rng, 0.12),
        grain_seed=int(rng.integers(2**32)),
    )
    return replace(scene, **(frame | kept), view=view)


def _sample_pair(rng, scale):
    """Sample two normal Python floats, so that float32 fields remain float32."""
    return tuple(rng.normal(0, scale, 2).tolist())


def sample_in_disc(rng, n_points, radius):
    """Sample points uniformly inside a disc around the origin."""
    distances = radius * np.sqrt(rng.random(n_points))
    angles = rng.uniform(0, 2 * np.pi, n_points)
    return np.column_stack([distances * np.cos(angles), distances * np.sin(angles)])


def sample_scene(rng, malignant):
    """Sample all parameters of one image of a nevus or a melanoma."""
    # The two distributions overlap, so that some cases are ambiguous.
    severity = rng.beta(5.0, 2.2) if malignant else rng.beta(2.0, 5.5)
    return sample_by_severity(rng, severity)


def sample_by_severity(rng, severity):
    """Sample all parameters of one image of a melanocytic lesion with this severity."""
    shape = _sample_shape(rng, severity)
    return Scene(
        texture_seed=int(rng.integers(2**32)),
        **_sample_frame(rng),
        **shape,
        **_sample_structures(rng, severity, shape),
    )

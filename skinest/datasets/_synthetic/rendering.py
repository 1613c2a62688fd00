"""From the scene of a synthetic dermoscopic image to its pixels."""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np

from . import layers

# Colours of layers on the skin, RGB in [0, 1].
COLOURS = {
    name: np.array(rgb, dtype=np.float32)[:, None, None]
    for name, rgb in {
        "veil": (0.40, 0.43, 0.52),
        "scar": (0.86, 0.79, 0.76),
        "scale": (0.93, 0.87, 0.74),
        "ulcer": (0.50, 0.13, 0.10),
        "vessel": (0.72, 0.20, 0.24),
        "nest": (0.36, 0.35, 0.45),
        "leaf": (0.42, 0.32, 0.28),
        "cyst": (0.95, 0.91, 0.80),
        "follicle": (0.90, 0.76, 0.64),
        "plug": (0.20, 0.13, 0.10),
        "freckle": (0.62, 0.43, 0.32),
        "red lacuna": (0.68, 0.08, 0.20),
        "purple lacuna": (0.40, 0.10, 0.28),
        "black lacuna": (0.10, 0.06, 0.10),
    }.items()
}
# Opacity of each area, in the order of painting.
_AREA_OPACITIES = {"veil": 0.7, "scar": 0.6, "ulcer": 0.85, "scale": 0.6}


def render(scene, canvas):
    """Render a scene.

    Random numbers are sampled in a fixed order, independent of globules and streaks. So
    without these structures, the image differs only at their positions.

    Returns
    -------
    image : ndarray of shape (height, width, 3), dtype uint8
        The image, RGB.

    lesion : ndarray of shape (height, width), dtype float32
        The share of each pixel that belongs to the lesion, one half on its
        border.
    """
    rng = grain_rng = np.random.default_rng(scene.texture_seed)
    if scene.view is not None:
        canvas = canvas.apply_view(scene.view)
        grain_rng = np.random.default_rng(scene.view.grain_seed)
    skin = layers.render_skin(canvas, scene, rng)
    depth = layers.compute_depth(canvas, scene, rng)
    lesion = layers.compute_mask(depth, scene)
    patches = layers.render_patches(canvas, scene, rng)
    if scene.pale_centre:
        patches["scar"] = layers.render_pale_centre(canvas, scene, rng, depth)
    if "scale" in patches:
        patches["scale"] *= layers.render_flakes(canvas, rng)
    melanin = _compute_melanin(canvas, scene, rng, depth, patches) * lesion
    melanin += 0.9 * layers.render_streaks(canvas, scene)
    if scene.ridges:
        melanin += scene.ridges * lesion * layers.render_ridges(canvas, rng)
    blood = lesion * (scene.blood + 1.1 * patches.get("blood", 0.0))
    image = skin * np.exp(
        -melanin * layers.MELANIN_ABSORPTION - blood * layers.BLOOD_ABSORPTION
    )
    for name, strength in _AREA_OPACITIES.items():
        if name in patches:
            image += strength * lesion * patches[name] * (COLOURS[name] - image)
    for marks in scene.marks:
        if len(marks.sizes):
            field = marks.opacity * layers.render_marks(canvas, marks)
            image += field * (COLOURS[marks.colour] - image)
    if len(scene.hair_points):
        hairs = scene.hair_melanin * layers.render_hairs(canvas, scene)
        image *= np.exp(-hairs * layers.MELANIN_ABSORPTION)
    image *= layers.render_vignette(canvas, scene)
    image += 0.006 * grain_rng.standard_normal(lesion.shape, dtype=np.float32)
    np.clip(image, 0, 1, out=image)
    return np.moveaxis(255 * image + 0.5, 0, -1).astype(np.uint8), lesion


def _compute_melanin(canvas, scene, rng, depth, patches):
    """Compute the melanin of the lesion before it is cut out by its mask."""
    grading = 0.65 + 0.5 * np.clip(depth, 0, 1)
    grading += scene.tilt[0] * canvas.x + scene.tilt[1] * canvas.y
    grading += scene.unevenness * 0.6 * canvas.sample_noise(rng, 9)
    grading += (0.1 + 0.3 * scene.unevenness) * canvas.sample_noise(rng, 30)
    melanin = scene.melanin * np.maximum(grading, 0.1)
    structures = scene.network * layers.render_network(canvas, scene, rng)
    structures += 0.9 * layers.render_globules(canvas, scene)
    cover = np.maximum(patches.get("veil", 0.0), patches.get("scar", 0.0))
    melanin += structures * (1.0 - 0.8 * cover)
    melanin += 1.5 * patches.get("black", 0.0) + 0.7 * patches.get("brown", 0.0)
    return melanin

"""The layers of a synthetic dermoscopic image.

Lengths are in units of half the shorter side of the frame, whose centre is the
origin, so a scene looks the same at every image size. Every layer is a plain
function from a scene to a float32 field of shape (height, width). Colours are
on the first axis, (3, height, width), because NumPy broadcasts it faster.
"""

# Authors: The skinest developers
# SPDX-License-Identifier: BSD-3-Clause

import copy
import math

import numpy as np

# Absorption of red, green and blue light by melanin and by blood, relative to
# blue and to green: enough melanin turns any skin tone brown, then black.
MELANIN_ABSORPTION = np.array([0.43, 0.73, 1.1], dtype=np.float32)[:, None, None]
BLOOD_ABSORPTION = np.array([0.12, 0.85, 0.7], dtype=np.float32)[:, None, None]

# OpenCV takes coordinates with this many fractional bits.
_SHIFT = 4


class Canvas:
    """Frame of all layers of one image.

    Parameters
    ----------
    height, width : int
        Size in pixels.

    Attributes
    ----------
    x, y : ndarray of shape (height, width)
        Coordinates of the pixel centres: y points down, x to the right.

    unit : float
        Pixels per unit of length.

    frame : Canvas
        The same canvas without a view, for layers that belong to the frame and not
        to the skin.
    """

    def __init__(self, height, width):
        self.height, self.width = height, width
        self.unit = min(height, width) / 2
        self.frame = self
        self._view = None
        rows = (np.arange(height) + 0.5 - height / 2) / self.unit
        columns = (np.arange(width) + 0.5 - width / 2) / self.unit
        self.y, self.x = np.meshgrid(
            rows.astype(np.float32), columns.astype(np.float32), indexing="ij"
        )

    def apply_view(self, view):
        """Return a canvas of this size with the scene as `view` shows it."""
        canvas = copy.copy(self)
        canvas.unit = self.unit * view.scale
        canvas._view = view
        x, y = self.x - view.shift[0], self.y - view.shift[1]
        back = (view.turn.T / view.scale).astype(np.float32)
        canvas.x = back[0, 0] * x + back[0, 1] * y
        canvas.y = back[1, 0] * x + back[1, 1] * y
        return canvas

    def to_pixels(self, points):
        """Convert (x, y) points to the fixed-point pixels of OpenCV."""
        centre = np.array([self.width - 1, self.height - 1]) / 2
        points = np.asarray(points)
        if self._view is not None:
            points = points @ self._view.turn.T
            centre = centre + np.array(self._view.shift) * self.frame.unit
        pixels = points * self.unit + centre
        return np.rint(pixels * 2**_SHIFT).astype(np.int32)

    def sample_noise(self, rng, cells):
        """Sample smooth noise with `cells` knots of variance 1 on the longer side."""
        import cv2

        knots = rng.standard_normal((cells, cells), dtype=np.float32)
        side = max(self.height, self.width)
        field = cv2.resize(knots, (side, side), interpolation=cv2.INTER_CUBIC)
        if self._view is not None:
            field = self._warp_to_view(field)
        top, left = (side - self.height) // 2, (side - self.width) // 2
        return field[top : top + self.height, left : left + self.width]

    def _warp_to_view(self, field):
        """Transform a square field as the view shows it, mirrored at its edges."""
        import cv2

        back = self._view.turn.T / self._view.scale
        centre = np.full(2, (field.shape[0] - 1) / 2)
        shift = np.array(self._view.shift) * self.frame.unit
        offset = centre - back @ (centre + shift)
        return cv2.warpAffine(
            field,
            np.column_stack([back, offset]),
            field.shape,
            flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REFLECT_101,
        )

    def warp(self, rng, amount, cells=14):
        """Return coordinates x and y of a frame, distorted by about `amount`."""
        x = self.x + amount * self.sample_noise(rng, cells)
        return x, self.y + amount * self.sample_noise(rng, cells)

    def render_strokes(self, curves, widths):
        """Render antialiased curves; the field is 1 on a curve and 0 off it.

        A curve thinner than a pixel becomes one pixel wide and paler.
        """
        import cv2

        field = np.zeros((self.height, self.width), dtype=np.uint8)
        for curve, width in zip(curves, widths, strict=True):
            pixels = width * self.unit
            cv2.polylines(
                field,
                [self.to_pixels(curve)[:, None]],
                isClosed=False,
                color=int(255 * min(1.0, pixels)),
                thickness=max(1, round(pixels)),
                lineType=cv2.LINE_AA,
                shift=_SHIFT,
            )
        return field.astype(np.float32) / 255

    def render_wedges(self, polygons):
        """Render soft polygons; the field is 1 inside a polygon and 0 outside."""
        import cv2

        field = np.zeros((self.height, self.width), dtype=np.uint8)
        for polygon in polygons:
            points = self.to_pixels(polygon)
            cv2.fillPoly(field, [points], 255, lineType=cv2.LINE_AA, shift=_SHIFT)
        return self._soften(field)

    def render_discs(self, centres, radii):
        """Render soft discs; the field is 1 inside a disc and 0 outside."""
        import cv2

        field = np.zeros((self.height, self.width), dtype=np.uint8)
        for centre, radius in zip(self.to_pixels(centres), radii, strict=True):
            cv2.circle(
                field,
                centre.tolist(),
                int(radius * self.unit * 2**_SHIFT),
                255,
                thickness=-1,
                lineType=cv2.LINE_AA,
                shift=_SHIFT,
            )
        return self._soften(field)

    def _soften(self, field):
        import cv2

        field = cv2.GaussianBlur(field, (0, 0), 0.3 + 0.006 * self.unit)
        return field.astype(np.float32) / 255


def render_skin(canvas, scene, rng):
    """Render skin as (3, height, width) reflectance: tone, light and texture."""
    light = 1.0 + scene.light[0] * canvas.frame.x + scene.light[1] * canvas.frame.y
    light -= 0.03 * scene.mottling * canvas.sample_noise(rng, 5)
    light += 0.02 * scene.texture * canvas.sample_noise(rng, 36)
    pores = canvas.sample_noise(rng, 56)
    light += 0.028 * scene.texture * pores * np.abs(pores)
    flush = 0.05 * scene.mottling * canvas.sample_noise(rng, 9)
    return light * scene.skin_tone * (1.0 - flush * BLOOD_ABSORPTION)


def compute_depth(canvas, scene, rng):
    """Compute depths below the border: 0 on it, 1 at the centre, negative outside."""
    import cv2

    x, y = canvas.warp(rng, scene.roughness)
    x += 0.35 * scene.roughness * canvas.sample_noise(rng, 36) - scene.centre[0]
    y -= scene.centre[1]
    cos, sin = math.cos(scene.angle), math.sin(scene.angle)
    u, v = cos * x + sin * y, scene.elongation * (cos * y - sin * x)
    distance, angle = cv2.cartToPolar(u, v)
    outline = compute_outline(scene, np.linspace(0, 2 * np.pi, 361))
    degrees = (angle * (180 / math.pi)).astype(np.int16)
    return 1.0 - distance / outline.astype(np.float32)[degrees]


def compute_outline(scene, angles):
    """Compute the distance of the border from the centre at `angles` (radians)."""
    orders = np.arange(1, len(scene.harmonics) + 1)
    waves = np.cos(orders * angles[:, None] + scene.harmonic_phases)
    return scene.radius * np.maximum(1.0 + waves @ scene.harmonics, 0.25)


def compute_mask(depth, scene):
    """Compute a soft mask in [0, 1] of the lesion: one half on its border."""
    return sigmoid(depth * (1.0 / scene.border_width))


def render_network(canvas, scene, rng):
    """Render the pigment network in [0, 1]: a warped honeycomb with pale holes."""
    period = scene.network_period
    x, y = canvas.warp(rng, scene.network_warp * period, cells=12)
    comb = 0.0
    for k in range(3):
        angle = scene.network_angle + k * math.pi / 3
        wave_x = 2 * math.pi / period * math.cos(angle)
        wave_y = 2 * math.pi / period * math.sin(angle)
        comb += np.cos(wave_x * x + wave_y * y)
    lines = sigmoid(2.2 * (0.1 - comb))
    # An irregular network is visible in some parts of the lesion only.
    gaps = canvas.sample_noise(rng, 6) - 1.2 + 2.0 * scene.network_patchiness
    return lines * (1.0 - scene.network_patchiness * sigmoid(4.0 * gaps))


def render_globules(canvas, scene):
    """Render globules in [0, 1]: round clods of pigment."""
    return canvas.render_discs(scene.globule_centres, scene.globule_radii)


def render_streaks(canvas, scene):
    """Render streaks in [0, 1]: wedges that leave the border radially."""
    cos, sin = math.cos(scene.angle), math.sin(scene.angle)
    turn = np.array([[cos, sin], [-sin / scene.elongation, cos / scene.elongation]])
    outline = compute_outline(scene, scene.streak_angles)
    wedges = []
    for angle, border, length, bend in zip(
        scene.streak_angles,
        outline,
        scene.streak_lengths,
        scene.streak_bends,
        strict=True,
    ):
        # Half of the width 0.03 at the root, as an angle at the centre.
        half = 0.03 / border
        angles = angle + np.array([-half, half, 0.5 * half + 0.4 * bend, bend])
        reach = border + np.array([-0.1, -0.1, 0.6 * length, length])
        points = np.column_stack([np.cos(angles), np.sin(angles)]) * reach[:, None]
        wedges.append(points @ turn + scene.centre)
    return canvas.render_wedges(wedges)


def render_patches(canvas, scene, rng):
    """Render a field in [0, 1] of each coloured area, by its name."""
    fields = {}
    if scene.patches:
        x, y = canvas.warp(rng, 0.07, cells=16)
    for name, centre_x, centre_y, radius in scene.patches:
        square = ((x - centre_x) ** 2 + (y - centre_y) ** 2) / radius**2
        field = sigmoid(3.5 * (1.0 - square))
        fields[name] = np.maximum(fields.get(name, 0.0), field)
    return fields


def render_marks(canvas, marks):
    """Render discs or lines of one colour, in [0, 1]."""
    if marks.shape == "discs":
        return canvas.render_discs(marks.points, marks.sizes)
    return canvas.render_strokes(marks.points, marks.sizes)


def render_pale_centre(canvas, scene, rng, depth):
    """Render a pale area in [0, 1] at a distance from the border."""
    uneven = depth + 0.12 * canvas.sample_noise(rng, 14)
    return scene.pale_centre * sigmoid(9.0 * (uneven - scene.pale_depth))


def render_flakes(canvas, rng):
    """Render an area of dry scale in [0, 1]."""
    coarse, fine = canvas.sample_noise(rng, 26), canvas.sample_noise(rng, 60)
    return sigmoid(5.0 * (coarse + 0.4 * fine))


def render_ridges(canvas, rng):
    """Render winding fissures between ridges in [0, 1], as in a brain."""
    return np.exp(-((canvas.sample_noise(rng, 20) / 0.22) ** 2))


def render_hairs(canvas, scene):
    """Render hairs in [0, 1]: thin curves across the frame."""
    steps = np.linspace(0, 1, 16)[:, None]
    curves = [
        (1 - steps) ** 2 * a + 2 * steps * (1 - steps) * b + steps**2 * c
        for a, b, c in scene.hair_points
    ]
    return canvas.frame.render_strokes(curves, scene.hair_widths)


def render_vignette(canvas, scene):
    """Render the light of the dermoscope in [0, 1], with dark corners."""
    distance = np.hypot(canvas.frame.x, canvas.frame.y)
    return 1.0 - scene.vignette * sigmoid((distance - scene.aperture) / 0.05)


def sigmoid(values):
    """Apply the logistic function, without overflow."""
    return 1.0 / (1.0 + np.exp(-np.clip(values, -30, 30)))

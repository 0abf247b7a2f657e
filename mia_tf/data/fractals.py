"""Renders fractals: attractors of random iterated function systems, as mixing pictures for PixMix.

An iterated function system is a handful of contractive affine maps of the plane; its attractor is the one
compact set that is the union of its own images under the maps. The chaos game (Barnsley, "Fractals
Everywhere", 1988) draws it: points jump by maps chosen at random, each map as often as it keeps of an area.
How often a cell of the picture is visited gives its brightness, on a logarithmic scale; the maps that led
there give its colour.
"""

import colorsys

import numpy as np

from mia_tf.validation import check

_POINTS = 2_000  # that jump side by side
_BURN_IN = 12  # jumps until a point is on the attractor, to within a cell
_JUMPS = 20  # jumps that are drawn
_SUPERSAMPLING = 2  # cells along a pixel: the picture is the mean of them
_MAX_STRETCH = 0.95  # largest singular value of a map; below 1, so that it is contractive
_MIN_FILLED, _MIN_CONTRAST = 0.25, 24.0  # see `render`


def render(count: int, size: int, rng: np.random.Generator) -> np.ndarray:
    """Renders fractals, each of its own random maps, window and colours, in about 8 milliseconds each (one core).

    Empty and degenerate pictures are drawn anew. At least a quarter of the cells must be visited: points, segments and
    thin curves fill less. The grey levels must have a standard deviation of at least 24: a plane that is evenly filled
    has less.

    Equal generators give equal pictures, and the first pictures do not depend on how many follow.

    Args:
        count: how many.
        size: their height and width, in pixels, at least 8.
        rng: draws the systems, their points and their colours.

    Returns:
        (count, size, size, 3) uint8, red, green and blue.

    Raises:
        InputError: count is below 1 or size below 8.
    """
    check("count", count, count >= 1, "must be at least 1")
    check("size", size, size >= 8, "must be at least 8")
    pictures = np.empty((count, size, size, 3), np.uint8)
    for row in range(count):
        while True:
            maps, shares = _random_system(rng)
            points, tones = _play(maps, shares, rng)
            visits, tone = _frame(points, tones, size * _SUPERSAMPLING, rng)
            if np.count_nonzero(visits) < _MIN_FILLED * visits.size:
                continue
            pictures[row] = _develop(visits, tone, rng)
            if pictures[row].mean(axis=2).std() >= _MIN_CONTRAST:
                break
    return pictures


def _random_system(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """(3, K) complex: maps z -> a z + b conj(z) + c of the plane; and (K,) shares of the area. K is 2 to 6."""
    while True:
        count = rng.integers(2, 7)
        stretches = rng.uniform(0.2, 1, (2, count))  # singular values
        areas = stretches.prod(axis=0)
        # The images of a unit square cover about this area, so that the attractor is neither dust nor a plain.
        stretches *= np.sqrt(rng.uniform(0.6, 1.1) / areas.sum())
        if stretches.max() < _MAX_STRETCH:
            break
    # A rotation, a stretch along the axes and another rotation; b has the greater modulus where the map reflects.
    turns, twists = np.exp(2j * np.pi * rng.uniform(size=(2, count)))
    first, second = stretches[0], stretches[1] * rng.choice([-1, 1], count)
    shifts = rng.uniform(-1, 1, count) + 1j * rng.uniform(-1, 1, count)
    maps = np.stack([turns * (first + second) / 2, twists * (first - second) / 2, shifts])
    return maps, areas / areas.sum()


def _play(maps: np.ndarray, shares: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The chaos game of a system: (v,) complex visited points, and (v,) tones in [0, 1].

    Each map has a tone; a point's tone is the mean of what it was and that of the map it jumps by.
    """
    tone_of_map = np.linspace(0, 1, len(shares))
    points, tones = np.zeros(_POINTS, complex), np.full(_POINTS, 0.5)
    visited, seen = [], []
    for step, chosen in enumerate(rng.choice(len(shares), (_BURN_IN + _JUMPS, _POINTS), p=shares)):
        a, b, c = maps[:, chosen]
        points = a * points + b * points.conj() + c
        tones = (tones + tone_of_map[chosen]) / 2
        if step >= _BURN_IN:
            visited.append(points)
            seen.append(tones)
    return np.concatenate(visited), np.concatenate(seen)


def _frame(points: np.ndarray, tones: np.ndarray, cells: int, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """(cells, cells) visits and mean tones of a window, half of the points' extent or more along each axis."""
    plane = np.stack([points.real, points.imag])
    low, high = np.percentile(plane[:, :_POINTS], [1, 99], axis=1)
    zoom, place = rng.uniform([[0.5, 0.5], [0, 0]], 1)
    corner, extent = low + (high - low) * (1 - zoom) * place, (high - low) * zoom
    column, row = np.floor((plane - corner[:, None]) * (cells / extent[:, None])).astype(np.int64)
    inside = (0 <= column) & (column < cells) & (0 <= row) & (row < cells)
    cell = (row * cells + column)[inside]
    visits = np.bincount(cell, minlength=cells**2)
    tone = np.bincount(cell, weights=tones[inside], minlength=cells**2) / np.maximum(visits, 1)
    return visits.reshape(cells, cells), tone.reshape(cells, cells)


def _develop(visits: np.ndarray, tone: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(size, size, 3) uint8 picture of visits, as light, and tones, as colours, over a background of one colour."""
    light = np.log1p(visits)
    light = np.clip(light / np.percentile(light, 99), 0, 1) ** rng.uniform(0.5, 1.5)
    palette = _random_palette(rng.integers(2, 7), rng)
    stops = np.linspace(0, 1, len(palette))
    colour = np.stack([np.interp(tone, stops, channel) for channel in palette.T], axis=2)
    background = _random_palette(1, rng) * rng.uniform()
    shown = background + light[..., None] * (colour - background)
    size = len(visits) // _SUPERSAMPLING
    shown = shown.reshape(size, _SUPERSAMPLING, size, _SUPERSAMPLING, 3).mean(axis=(1, 3))
    # Means of means come out dull: stretched to all levels.
    low, high = shown.min(), shown.max()
    return np.round((shown - low) / (high - low) * 255).astype(np.uint8)


def _random_palette(count: int, rng: np.random.Generator) -> np.ndarray:
    """(count, 3) colours in [0, 1], of hues from one tone to the whole circle."""
    hues = rng.uniform() + rng.uniform() ** 2 * rng.uniform(-0.5, 0.5, count)
    saturations, values = rng.uniform(0.1, 1, count), rng.uniform(0.4, 1, count)
    return np.array([colorsys.hsv_to_rgb(h % 1, s, v) for h, s, v in zip(hues, saturations, values, strict=True)])

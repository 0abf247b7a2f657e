"""Renders house numbers that stand in for SVHN if its photographs are not available.

Each picture is made like a photograph of a number, in some typeface, on a plate or a wall. It is seen at an angle, lit
unevenly and taken by a small and compressing camera. It is cut out around one digit, with its neighbours partly in
view. The distributions of colour, contrast and sharpness were set by comparison with real SVHN digits
(experiments/sheets.py).
"""

from pathlib import Path

import numpy as np

SIZE = 32

_FONTS = (
    *("DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSans-BoldOblique", "DejaVuSansMono-Bold"),
    *("DejaVuSerif", "DejaVuSerif-Bold", "DejaVuSerif-Italic", "DejaVuSerif-BoldItalic"),
    *("STIXGeneral", "STIXGeneralBol", "STIXGeneralItalic", "STIXGeneralBolIta"),
    *("cmr10", "cmb10", "cmss10", "cmtt10"),
)
_GLYPH = 64  # height of a digit before it is placed
_FINE = 2 * SIZE  # pictures are composed at twice their size and averaged down


def render(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Renders one house-number digit per label.

    Args:
        labels: (N,) integers 0..9, the digit in the middle of each picture.
        rng: draws everything else. The same state gives the same pictures with the same fonts and Pillow.

    Returns:
        (N, 32, 32, 3) uint8.
    """
    glyphs = _Glyphs()
    pictures = [_photograph(_scene(int(label), glyphs, rng), rng) for label in labels]
    return np.array(pictures, np.uint8).reshape(-1, SIZE, SIZE, 3)


class _Glyphs:
    """The shapes of digits in the typefaces that matplotlib ships, each drawn once."""

    def __init__(self):
        import matplotlib

        self._folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
        self._shapes = {}

    def shape(self, font: str, digit: int, stroke: int):
        """A picture of the digit, white on black, cut to its outline and _GLYPH high."""
        from PIL import Image, ImageDraw, ImageFont

        key = font, digit, stroke
        if key not in self._shapes:
            face = ImageFont.truetype(str(self._folder / f"{font}.ttf"), 96)
            canvas = Image.new("L", (192, 192))
            ImageDraw.Draw(canvas).text((48, 32), str(digit), 255, face, stroke_width=stroke)
            shape = canvas.crop(canvas.getbbox())
            width = max(1, round(shape.width * _GLYPH / shape.height))
            self._shapes[key] = shape.resize((width, _GLYPH))
        return self._shapes[key]


def _scene(digit: int, glyphs: _Glyphs, rng: np.random.Generator) -> np.ndarray:
    """What the camera sees: (_FINE, _FINE, 3) float64 in [0, 255] before lens and sensor."""
    mask = _number(digit, glyphs, rng)
    light = rng.normal([-0.035, -0.02], [0.07, 0.035])  # warmth and green of all that is seen
    wall, ink = _colours(light, rng)
    scene = np.broadcast_to(wall, (_FINE, _FINE, 3))
    if rng.random() < 0.4:
        scene = _edge(scene, light, rng)
    scene = scene + _clouds(rng, cells=int(rng.integers(3, 9)), strength=rng.exponential(5.0))
    if rng.random() < 0.3:  # a cast shadow, or the bright side of a raised digit
        shift = rng.integers(-4, 5, 2)
        shadow = np.roll(mask, tuple(shift), (0, 1))[..., np.newaxis] * rng.uniform(0.3, 0.9)
        scene = scene * (1 - shadow) + shadow * rng.choice([0.45, 1.35]) * wall
    cover = mask[..., np.newaxis]
    scene = scene * (1 - cover) + cover * (ink + _clouds(rng, cells=4, strength=rng.exponential(4.0)))
    return np.clip(scene * _lighting(rng), 0, 255)


def _number(digit: int, glyphs: _Glyphs, rng: np.random.Generator) -> np.ndarray:
    """(_FINE, _FINE) cover in [0, 1] of the digit in the middle and of the neighbours that a number may have."""
    from PIL import Image

    font, stroke = _FONTS[rng.integers(len(_FONTS))], int(rng.integers(0, 5))
    left, right = (rng.random() < 0.65 for _ in range(2))
    gap = rng.uniform(0.02, 0.25) * _GLYPH
    middle = glyphs.shape(font, digit, stroke)
    strip = Image.new("L", (6 * _GLYPH, 3 * _GLYPH))
    centre, top = strip.width // 2, _GLYPH
    strip.paste(middle, (centre - middle.width // 2, top))
    # Neighbours are lightened onto the strip: slanted digits overlap.
    if left:
        shape = glyphs.shape(font, int(rng.integers(10)), stroke)
        strip.paste(255, (round(centre - middle.width / 2 - gap - shape.width), top), shape)
    if right:
        shape = glyphs.shape(font, int(rng.integers(10)), stroke)
        strip.paste(255, (round(centre + middle.width / 2 + gap), top), shape)
    transform = _view(middle.width, rng)
    seen = strip.transform((_FINE, _FINE), Image.Transform.PERSPECTIVE, transform, Image.Resampling.BICUBIC)
    return np.asarray(seen, np.float64) / 255


def _view(width: int, rng: np.random.Generator) -> list[float]:
    """Pillow's eight coefficients that take a point of the picture to one of the strip of digits."""
    height = rng.uniform(0.66, 0.95) * _FINE
    aspect = rng.uniform(0.5, 0.9)  # house numbers are often narrower than print
    angle, shear = rng.normal(0, 0.06), rng.normal(0, 0.1)
    scale = height / _GLYPH
    # Never wider than the picture.
    across = min(scale * aspect, 0.95 * _FINE / width)
    forward = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    forward = forward @ np.array([[1, shear], [0, 1]]) @ np.diag([across, scale])
    inverse = np.linalg.inv(forward)
    offset = rng.normal(0, 0.025, 2) * _FINE + _FINE / 2
    tilt = rng.normal(0, 0.0012, 2)
    # strip = centre + inverse (p - offset) / (1 + tilt (p - offset)), over one common denominator.
    centre = np.array([3 * _GLYPH, 1.5 * _GLYPH])
    constant = 1 - tilt @ offset
    linear = inverse + np.outer(centre, tilt)
    shift = centre * constant - inverse @ offset
    rows = [[*linear[i], shift[i]] for i in range(2)]
    return [float(c / constant) for c in (*rows[0], *rows[1], *tilt)]


def _colours(light: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """(3,) colours of the wall and of the digits: mostly dull, dark on light or light on dark, often close."""
    contrast = np.clip(rng.gamma(3.6, 21.5), 32, 190)
    middle = np.clip(rng.normal(115, 42), 25 + contrast / 2, 248 - contrast / 2)
    sign = rng.choice([-1, 1])
    wall, digits = (_tinted(middle + sign * half * contrast / 2, light, rng) for half in (-1, 1))
    return wall, digits


def _tinted(level: float, light: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(3,) a colour of that grey level; the tints of walls and plates run from brown over grey to blue."""
    warmth, green = light + rng.normal(0, [0.045, 0.012])
    if rng.random() < 0.12:  # painted
        warmth += 0.18 if level > 130 else rng.choice([-0.35, 0.3])  # blue paint is dark
    tint = np.array([1 + warmth, 1 + green, 1 - warmth])
    return np.clip(level * tint / (tint @ [0.299, 0.587, 0.114]), 0, 255)


def _edge(scene: np.ndarray, light: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The plate ends somewhere near the border of the picture, and something else begins."""
    y, x = np.mgrid[0:_FINE, 0:_FINE] / _FINE - 0.5
    turn = rng.choice([0, 0, 1, 2, 2, 3]) * np.pi / 2 + rng.normal(0, 0.08)  # more often to the left or right
    beyond = np.clip((np.cos(turn) * x + np.sin(turn) * y - rng.uniform(0.3, 0.5)) * _FINE, 0, 1)[..., np.newaxis]
    other = _tinted(rng.uniform(20, 235), light, rng)
    return scene * (1 - beyond) + beyond * other


def _clouds(rng: np.random.Generator, cells: int, strength: float) -> np.ndarray:
    """(_FINE, _FINE, 1) smooth noise with that standard deviation at its nodes."""
    from PIL import Image

    nodes = Image.fromarray(rng.normal(0, strength, (cells, cells)).astype(np.float32))
    return np.asarray(nodes.resize((_FINE, _FINE), Image.Resampling.BICUBIC), np.float64)[..., np.newaxis]


def _lighting(rng: np.random.Generator) -> np.ndarray:
    """(_FINE, _FINE, 1) light that falls off along one direction."""
    y, x = np.mgrid[0:_FINE, 0:_FINE] / _FINE - 0.5
    turn, slope = rng.uniform(0, 2 * np.pi), rng.normal(0, 0.2)
    return (1 + slope * (np.cos(turn) * x + np.sin(turn) * y))[..., np.newaxis]


def _photograph(scene: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(SIZE, SIZE, 3) uint8: the scene through a lens, a sensor of few pixels, and compression."""
    import io

    from PIL import Image, ImageFilter

    picture = Image.fromarray(np.round(scene).astype(np.uint8))
    # Many of SVHN's digits were a dozen pixels high and have been enlarged.
    pixels = int(np.clip(rng.normal(22, 7.5), 8, 40))
    picture = picture.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1.6)))
    picture = picture.resize((pixels, pixels), Image.Resampling.BOX)
    values = np.asarray(picture, np.float64) + rng.normal(0, rng.exponential(2.0), (pixels, pixels, 3))
    picture = Image.fromarray(np.clip(np.round(values), 0, 255).astype(np.uint8))
    picture = picture.resize((SIZE, SIZE), Image.Resampling.BICUBIC)
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=int(rng.integers(60, 96)))
    return np.asarray(Image.open(file).convert("RGB"))

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from refusals import refuses

from mia_tf.data import pixmix as module
from mia_tf.data.operations import NINE
from mia_tf.data.pixmix import add, multiply, pixmix, pixmix_until_changed, weights


def _images(count=12, channels=1, seed=0, size=16):
    return np.random.default_rng(seed).integers(0, 256, (count, size, size, channels), dtype=np.uint8)


def _mix(images, pictures, seed=0, **settings):
    return pixmix(images, pictures, np.random.default_rng(seed), **settings)


unit = st.floats(0, 1)


@given(x=unit, y=unit, a=st.floats(0.01, 2))
def test_mixing_formulas(x, y, a):
    assert add(x, y, 1, 0) == pytest.approx(x)
    assert multiply(x, y, 1, 0) == pytest.approx(x)
    # Middle grey mixed in changes nothing, whatever its weight; an image mixed with itself by shares is itself.
    assert add(x, 0.5, 1, a) == pytest.approx(x)
    assert multiply(x, 0.5, 1, a) == pytest.approx(x)
    assert add(x, x, a, 1 - a) == pytest.approx(x)
    assert add(x, y, a, -0.5) - 0.5 == pytest.approx(a * (x - 0.5) - 0.5 * (y - 0.5))
    assert multiply(x, y, 2, 1) == pytest.approx(4 * x**2 * max(y, 0.5e-37))


def test_black_is_multiplied_without_infinities():
    black, white = np.zeros(3), np.ones(3)
    assert np.array_equal(multiply(black, black, 1.5, -1), black)
    assert np.array_equal(multiply(white, black, 1, 1), black.astype(float) + 1e-37)
    assert np.isfinite(multiply(white, black, 2, -1)).all() and (multiply(white, black, 2, -0.1) > 1).all()


@pytest.mark.parametrize("beta", [0.5, 2.0, 4.0])
def test_weights(beta):
    rng = np.random.default_rng(0)
    a, b = np.array([weights(beta, rng) for _ in range(20_000)]).T
    away = a > 1
    assert away.mean() == pytest.approx(0.5, abs=0.02)  # 5 standard deviations of 0.0035
    assert (b[away] < 0).all() and (b[~away] > 0).all() and (b >= -1).all() and (b <= 1).all() and (a <= 2).all()
    # Beta(beta, 1) has the distribution function t^beta and Beta(1, beta) that of 1 minus it: uniform variables.
    for uniform in (a[~away] ** beta, (1 - b[~away]) ** beta, (2 - a[away]) ** beta, (1 + b[away]) ** beta):
        assert (
            np.abs(np.sort(uniform) - np.linspace(0, 1, len(uniform))).max() < 0.025
        )  # Kolmogorov-Smirnov, 2.5/sqrt n


def test_without_mixing_an_image_stays_or_is_augmented_as_often(monkeypatch):
    monkeypatch.setattr(module, "apply", lambda name, image, strength, rng: 255 - image)
    images, pictures = _images(1000), _images(2, seed=1)
    mixed = _mix(images, pictures, k=0)
    stayed = (mixed == images).all((1, 2, 3))
    assert ((mixed == 255 - images).all((1, 2, 3)) ^ stayed).all()
    assert stayed.mean() == pytest.approx(0.5, abs=0.08)  # 5 standard deviations


def test_rounds_are_from_none_to_k_all_as_often(monkeypatch):
    for formula in ("add", "multiply"):
        monkeypatch.setattr(module, formula, lambda image, other, a, b: image + 10 / 255)
    monkeypatch.setattr(module, "apply", lambda name, image, strength, rng: image)
    images = _images(1000) // 2
    rounds, times = np.unique((_mix(images, images[:1], k=4) - images)[:, 0, 0, 0], return_counts=True)
    assert rounds.tolist() == [0, 10, 20, 30, 40]
    assert np.abs(times - 200).max() < 65  # 5 standard deviations of 12.6
    rounds = np.unique((_mix(images, images[:1], k=4, least=3) - images)[:, 0, 0, 0])
    assert rounds.tolist() == [30, 40]


def test_what_is_mixed_in_and_how_is_drawn_evenly(monkeypatch):
    """Each round: add or multiply, an augmented copy or the one picture of that image."""
    seen = []
    for formula in ("add", "multiply"):
        monkeypatch.setattr(
            module, formula, lambda image, other, a, b, formula=formula: seen.append((formula, other.max())) or image
        )
    monkeypatch.setattr(module, "apply", lambda name, image, strength, rng: np.zeros_like(image))
    images = np.full((1, 8, 8, 1), 100, np.uint8)
    pictures = np.full((5, 8, 8, 1), 255, np.uint8) - np.arange(5, dtype=np.uint8)[:, None, None, None]
    drawn, kinds = [], []
    for seed in range(1000):
        seen.clear()
        _mix(images, pictures, seed)
        of_pictures = {255 - round(255 * level) for _, level in seen if level > 0}
        assert len(of_pictures) <= 1  # one picture for all rounds of an image
        drawn += of_pictures
        kinds += [(formula, level > 0) for formula, level in seen]
    for things, number in ((drawn, 5), (kinds, 4)):
        counts = list(map(things.count, set(things)))
        assert len(counts) == number
        # 5 standard deviations of a count, were they independent
        assert max(abs(count - len(things) / number) for count in counts) < 5 * np.sqrt(len(things) / number)


def test_operations_get_strengths_up_to_the_severity_and_colour_only_for_colour(monkeypatch):
    seen = []
    monkeypatch.setattr(module, "apply", lambda name, image, strength, rng: seen.append((name, strength)) or image)
    for channels, operations in ((1, 12), (3, 13)):
        seen.clear()
        _mix(_images(600, channels, size=8), _images(1, channels, size=8), severity=4)
        names, strengths = zip(*seen, strict=True)
        assert len(set(names)) == operations and ("color" in names) == (channels == 3)
        assert min(map(names.count, set(names))) > 0.5 * len(names) / operations
        assert 0.01 <= min(strengths) < 0.03 and 0.38 < max(strengths) <= 0.4


@settings(max_examples=25, deadline=None)
@given(
    reading=st.sampled_from(list(module.READINGS.values())),
    seed=st.integers(0, 2**32),
    channels=st.sampled_from([1, 3]),
    order=st.permutations(range(8)),
    keep=st.integers(1, 8),
)
def test_an_image_does_not_depend_on_the_others(reading, seed, channels, order, keep):
    images, pictures = _images(8, channels, seed), _images(3, channels, seed + 1)
    before = images.copy(), pictures.copy()
    mixed = _mix(images, pictures, seed, **reading)
    assert mixed.shape == images.shape and mixed.dtype == np.uint8
    assert np.array_equal(_mix(images[order[:keep]], pictures, seed, **reading), mixed[order[:keep]])
    assert np.array_equal(images, before[0]) and np.array_equal(pictures, before[1])


def test_pictures_are_mirrored_and_moved_before_they_are_mixed():
    one = np.zeros((500, 28, 28, 1), np.uint8)
    one[:, 10, 5] = np.arange(255, 205, -0.1).astype(np.uint8)[:, None]
    one[:, 0, 20:] = np.arange(500)[:, None, None] // 2 % 256  # makes all different; it may be cropped away
    moved = _mix(one, one[:1], 2, k=0, operations=["translate_x"], severity=0.1, pad=4, mirror=True)
    _, rows, columns, _ = np.nonzero(np.where(moved > 204, moved, 0) * (np.arange(28) > 4)[:, None, None])
    assert set(rows) == set(range(6, 15))  # 10, four pixels up or down at most
    assert set(columns) == {*range(1, 10), *range(27 - 9, 27)}  # 5, moved as far, or the same from the right
    still = _mix(one, one[:1], 2, k=0, operations=["translate_x"], severity=0.1)
    assert np.array_equal(still, one)


def test_the_published_reading_takes_nine_operations_evenly(monkeypatch):
    seen = []
    monkeypatch.setattr(module, "apply", lambda name, image, strength, rng: seen.append(name) or image)
    assert module.READINGS["choi"] == {}
    assert (module.READINGS["published"]["pad"], module.READINGS["published"]["mirror"]) == (4, True)
    for channels in (1, 3):
        seen.clear()
        _mix(_images(500, channels, size=8), _images(1, channels, size=8), **module.READINGS["published"])
        assert set(seen) == set(NINE) and "color" not in NINE and len(NINE) == 9
        assert min(map(seen.count, NINE)) > 0.5 * len(seen) / 9


def test_seeds_agree_and_differ():
    images, pictures = _images(40), _images(3, seed=1)
    first, again, other = (_mix(images, pictures, seed) for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    # A tenth and a little more comes out unchanged each time, nothing else twice the same.
    assert (first == other).all((1, 2, 3)).mean() < 0.15
    rng = np.random.default_rng(0)
    assert not np.array_equal(pixmix(images, pictures, rng), pixmix(images, pictures, rng))


def test_until_changed_draws_anew_only_what_came_out_as_it_went_in():
    images, pictures = _images(200), _images(3, seed=1)
    once, changed = _mix(images, pictures), pixmix_until_changed(images, pictures, np.random.default_rng(0))
    same = (once == images).all((1, 2, 3))
    assert 8 <= same.sum() <= 50  # a tenth or a little more of 200
    assert np.array_equal(changed[~same], once[~same])
    assert not (changed == images).all((1, 2, 3)).any()


def test_until_changed_gives_up(monkeypatch):
    calls = []
    monkeypatch.setattr(module, "pixmix", lambda images, pictures, rng: calls.append(len(images)) or images)
    images = _images(3)
    assert np.array_equal(pixmix_until_changed(images, images, np.random.default_rng(0)), images)
    assert calls == [3] * 100


def test_a_larger_beta_mixes_less():
    images, pictures = _images(300), _images(3, seed=1)
    distances = [np.abs(_mix(images, pictures, beta=beta) - images.astype(float)).mean() for beta in (0.5, 2, 8)]
    assert distances[0] > distances[1] > distances[2]


@pytest.mark.parametrize(
    ("arguments", "refusal"),
    [
        ({"images": _images(2)[0]}, ("images", "shape (16, 16, 1)")),
        ({"images": _images(2, 2)}, ("images", "shape (2, 16, 16, 2)")),
        ({"images": _images(2) / 255}, ("images", "dtype float64")),
        ({"pictures": _images(2, 3)}, ("pictures", "shape (2, 16, 16, 3)")),
        ({"pictures": _images(2, size=17)}, ("pictures", "shape (2, 17, 17, 1)")),
        ({"pictures": _images(0)}, ("pictures", "shape (0, 16, 16, 1)")),
        ({"k": -1}, ("k", -1)),
        ({"least": -1}, ("least", -1)),
        ({"k": 2, "least": 3}, ("least", 3)),
        ({"beta": 0}, ("beta", 0)),
        ({"severity": 11}, ("severity", 11)),
        ({"operations": ["flip"]}, ("operations", "flip")),
        ({"operations": ["color"]}, ("operations", ("color",))),
        ({"pad": -1}, ("pad", -1)),
    ],
)
def test_bad_input(arguments, refusal):
    arguments = {"images": _images(2), "pictures": _images(2)} | arguments
    with refuses(*refusal):
        pixmix(arguments.pop("images"), arguments.pop("pictures"), np.random.default_rng(0), **arguments)

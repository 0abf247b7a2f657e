import numpy as np
import pytest
from refusals import refuses

from mia_tf.data import fractals
from mia_tf.data.fractals import render


@pytest.fixture(scope="module")
def pictures():
    return render(40, 28, np.random.default_rng(0))


def test_shape_and_dtype(pictures):
    assert pictures.shape == (40, 28, 28, 3) and pictures.dtype == np.uint8
    assert render(1, 8, np.random.default_rng(0)).shape == (1, 8, 8, 3)


def test_equal_seeds_agree_and_other_seeds_differ(pictures):
    # The first pictures do not depend on how many follow.
    assert np.array_equal(render(3, 28, np.random.default_rng(0)), pictures[:3])
    assert not np.array_equal(render(3, 28, np.random.default_rng(1)), pictures[:3])


def test_each_has_something_to_see(pictures):
    for picture in pictures:
        assert picture.min() == 0 and picture.max() == 255
        assert picture.mean(axis=2).std() >= 24
        _, counts = np.unique(picture.reshape(-1, 3), axis=0, return_counts=True)
        # A quarter of the cells at least is visited, and a pixel has several, so three quarters are background.
        assert counts.max() <= 0.75 * 28 * 28
        assert len(counts) > 50


def test_no_two_look_alike(pictures):
    grey = pictures.mean(axis=3).reshape(len(pictures), -1)
    correlations = np.corrcoef(grey) - np.eye(len(pictures))
    # The greatest of all 79,800 pairs of 400 was 0.60.
    assert np.abs(correlations).max() < 0.75
    colours = pictures.mean(axis=(1, 2))
    assert colours.std(axis=0).min() > 20  # some are red, some are green, some are blue
    assert pictures.mean(axis=3).std(axis=(1, 2)).std() > 5  # of several contrasts


def test_maps_are_contractive():
    rng = np.random.default_rng(0)
    for _ in range(200):
        (a, b, _), shares = fractals._random_system(rng)
        assert 2 <= len(shares) <= 6 and shares.sum() == pytest.approx(1)
        assert (np.abs(a) + np.abs(b)).max() < 0.95  # the largest singular value of z -> a z + b conj(z)
        determinants = np.abs(np.abs(a) ** 2 - np.abs(b) ** 2)
        assert np.allclose(determinants / determinants.sum(), shares)


def test_the_chaos_game_draws_the_attractor():
    """Sierpinski's triangle, of half-size copies at three corners: the points whose binary digits share no 1."""
    maps = np.array([[0.5] * 3, [0] * 3, [0, 0.5, 0.5j]])
    points, tones = fractals._play(maps, np.full(3, 1 / 3), np.random.default_rng(0))
    column, row = np.floor(64 * points.real).astype(int), np.floor(64 * points.imag).astype(int)
    assert (column & row == 0).all()
    cells, visits = np.unique(64 * row + column, return_counts=True)
    assert len(cells) == 3**6
    # 40,000 visits, equally many to each but for chance: chi-square of 728 degrees, six standard deviations. The
    # points of one walk are not independent of each other, those of 2,000 walks nearly are.
    assert ((visits - visits.mean()) ** 2 / visits.mean()).sum() < 728 + 6 * np.sqrt(2 * 728)
    assert tones[column >= 32].mean() == pytest.approx(0.5, abs=0.02)  # the second map of three was the last
    assert np.abs(tones[(column < 32) & (row < 32)].mean() - 0.25) < 0.02  # half 0, half the mean of all


def test_the_frame_counts_what_is_in_the_window():
    rng = np.random.default_rng(3)
    points, tones = rng.uniform(size=50_000) + 5j * rng.uniform(size=50_000), rng.uniform(size=50_000)
    shares = []
    for _ in range(20):
        visits, tone = fractals._frame(points, tones, 4, rng)
        shares.append(visits.sum() / 50_000)
        assert np.abs(visits - visits.mean()).max() < 6 * np.sqrt(visits.mean())
        assert np.abs(tone - 0.5).max() < 6 * np.sqrt(1 / 12 / visits.min())
    assert 0.24 * 0.9 < min(shares) and max(shares) <= 0.98**2 * 1.02  # half of 98% along each axis, or more


def test_what_is_empty_or_flat_is_drawn_anew(monkeypatch):
    """A few specks, then a plane evenly filled: both are passed over."""
    good = fractals._frame
    specks = np.zeros((56, 56), np.int64)
    specks[::8, ::8] = 9
    bad = [(specks, np.zeros((56, 56))), (np.ones((56, 56), np.int64), np.zeros((56, 56)))]
    plays = []

    def frame(*arguments):
        plays.append(arguments)
        return bad[len(plays) - 1] if len(plays) <= 2 else good(*arguments)

    monkeypatch.setattr(fractals, "_frame", frame)
    (picture,) = render(1, 28, np.random.default_rng(0))
    assert len(plays) >= 3
    assert picture.mean(axis=2).std() >= 24


@pytest.mark.parametrize(("arguments", "name"), [((0, 28), "count"), ((3, 7), "size")])
def test_bad_input(arguments, name):
    with refuses(name):
        render(*arguments, np.random.default_rng(0))

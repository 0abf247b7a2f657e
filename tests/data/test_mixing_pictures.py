import numpy as np
import pytest
from PIL import Image
from refusals import refuses

from mia_tf.data import mixing_pictures
from mia_tf.data.mixing_pictures import find


def _write(folder, name, pixels, **options):
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels, np.uint8)).save(folder / name, **options)


def _plain(red, green, blue, height=40, width=60):
    return np.full((height, width, 3), (red, green, blue))


def test_fractals_without_a_folder(tmp_path):
    for folder in (None, tmp_path):
        pictures = find(folder)
        assert pictures.provenance == "3 fractals rendered by mia_tf.data.fractals, not PixMix's 14,248"
        first, again, larger = (pictures.in_colour(size) for size in (16, 16, 20))
        assert first.shape == (3, 16, 16, 3) and larger.shape == (3, 20, 20, 3) and first.dtype == np.uint8
        assert np.array_equal(first, again)
        with pytest.raises(ValueError, match="read-only"):
            first[0] = 0  # they are shared
    assert len({picture.tobytes() for picture in first}) == 3


def test_a_folder_of_pictures_of_any_size_kind_and_depth(tmp_path):
    folder = tmp_path / "pixmix"
    _write(folder, "a.PNG", _plain(200, 0, 0))
    _write(folder, "deep/down/b.jpg", _plain(0, 100, 0, 300, 200), quality=95)
    _write(folder, "deep/c.png", np.full((9, 9), 50))  # grey
    (folder / "README.md").write_text("no picture")
    pictures = find(tmp_path)
    assert pictures.provenance == "3 of the 3 pictures in the folder pixmix"
    read = pictures.in_colour(28)
    assert read.shape == (3, 28, 28, 3) and read.dtype == np.uint8
    expected = [(200, 0, 0), (50, 50, 50), (0, 100, 0)]  # by path
    assert np.abs(read.astype(int) - np.array(expected)[:, None, None]).max() <= 3  # of the JPEG


def test_the_middle_square_is_taken(tmp_path):
    stripes = np.zeros((30, 90, 3))
    stripes[:, 30:60] = 255
    _write(tmp_path / "pixmix", "stripes.png", stripes)
    (read,) = find(tmp_path).in_colour(10)
    assert (read == 255).all()


def test_a_large_folder_is_sampled(tmp_path, monkeypatch):
    monkeypatch.setattr(mixing_pictures, "MOST_READ", 4)
    for level in range(10):
        _write(tmp_path / "pixmix", f"{level}.png", _plain(level, level, level))
    pictures = find(tmp_path)
    assert pictures.provenance == "4 of the 10 pictures in the folder pixmix"
    levels = pictures.in_colour(8)[:, 0, 0, 0].tolist()
    assert len(set(levels)) == 4
    assert find(tmp_path).in_colour(8)[:, 0, 0, 0].tolist() == levels


def test_bad_folders(tmp_path):
    (tmp_path / "pixmix").mkdir()
    with refuses("data_dir", advice="pixmix: put PixMix's mixing pictures there, or remove"):
        find(tmp_path)
    (tmp_path / "pixmix" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and nothing more")
    with refuses("data_dir", advice="broken.png: it is not a whole image"):
        find(tmp_path).in_colour(28)

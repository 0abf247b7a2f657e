"""What was measured on a machine is kept for later processes."""

import json

import pytest

from mia_tf.training import measured

SETTING = {"arch": "cnn8-3-max", "shares": (2, 1), "privacy": None}


def test_what_was_kept_is_recalled_for_the_same_setting_and_machine(nothing_measured, monkeypatch):
    assert measured.recall("training", SETTING) is None
    measured.keep("training", SETTING, [100.5, 2**31])
    assert measured.recall("training", SETTING) == [100.5, 2**31]
    assert measured.recall("convolution", SETTING) is None
    assert measured.recall("training", {**SETTING, "arch": "cnn16-3-max"}) is None
    monkeypatch.setattr(measured, "machine", lambda: {"node": "another"})
    assert measured.recall("training", SETTING) is None


@pytest.mark.parametrize("content", ["", "{", "[]", "null", json.dumps({"key": {"what": "training"}, "value": 1})])
def test_a_damaged_file_is_measured_again(nothing_measured, content):
    measured.keep("training", SETTING, 1.0)
    (file,) = nothing_measured.iterdir()
    file.write_text(content)
    assert measured.recall("training", SETTING) is None
    measured.keep("training", SETTING, 2.0)
    assert measured.recall("training", SETTING) == 2.0


def test_a_folder_that_cannot_be_written_to_costs_nothing_more(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MIA_TF_CACHE", str(tmp_path / "file" / "below"))
    measured.keep("training", SETTING, 1.0)
    assert measured.recall("training", SETTING) is None


def test_the_folder_is_the_users_cache(monkeypatch, tmp_path):
    monkeypatch.delenv("MIA_TF_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert measured.folder() == tmp_path / "mia_tf"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert measured.folder() == tmp_path / ".cache" / "mia_tf"

"""The examples in public docstrings run, and the README's Python does."""

import doctest
import importlib
import re
from pathlib import Path

import numpy as np
import pytest

import mia_tf

README = Path(__file__).parent.parent / "README.md"
NEED_FOLDERS = {"mia_tf.analysis.dp_comparison"}
"""Modules whose public names work on LOGDIRs."""
MODULES = sorted(
    {*mia_tf._API.values(), "mia_tf.labels", "mia_tf.shadow.outputs", "mia_tf.shadow.signals"} - NEED_FOLDERS
    | {"mia_tf.analysis.exposure", "mia_tf.analysis.headline", "mia_tf.analysis.planning"}
    | {"mia_tf.figures.strength", "mia_tf.recipes"}
)
PUBLIC = [name for name in mia_tf.__all__ if name not in ("__version__", "Comparison")]


@pytest.mark.parametrize("name", MODULES)
def test_examples_of_docstrings_give_what_they_say(name):
    module = importlib.import_module(name)
    outcome = doctest.testmod(module, extraglobs={"np": np, "mia_tf": mia_tf})
    assert outcome.attempted and not outcome.failed


@pytest.mark.parametrize("name", [name for name in mia_tf.__all__ if name not in ("__version__", "Comparison")])
def test_every_public_name_has_an_example(name):
    assert ">>> " in getattr(mia_tf, name).__doc__


def test_the_readmes_python_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.DOTALL)
    assert blocks
    for block in blocks:
        exec(block, {})
    printed = capsys.readouterr().out
    assert "lira_online_fixed" in printed
    assert (tmp_path / "report.html").exists()

"""The manual builds without a warning, its Python runs, its commands parse, and the README is short and true."""

import importlib.util
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from absl import flags

import mia_tf
from mia_tf import recipes, train
from mia_tf.analysis import tables
from mia_tf.attacks import attack_classes
from mia_tf.attacks.base import ATTACKS

REPOSITORY = Path(__file__).parent.parent
DOCS, README, RESULTS = REPOSITORY / "docs", REPOSITORY / "README.md", REPOSITORY / "experiments" / "results"
PAGES = {str(path.relative_to(REPOSITORY)): path.read_text() for path in sorted(DOCS.rglob("*.md"))}
WITH_PYTHON = [name for name, text in PAGES.items() if "```python" in text]
sys.path.append(str(DOCS))  # its directives, as docs/conf.py finds them


def blocks(text, language):
    """The code blocks of a page in one language."""
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


def commands():
    """(page, command) of every command in a shell block of the manual, and in the README."""
    lines = [
        (name, line) for name, text in PAGES.items() for block in blocks(text, "shell") for line in block.split("\n")
    ]
    lines += [("README.md", line.strip().removeprefix("$ ")) for line in README.read_text().split("\n")]
    return [(name, line) for name, line in lines if re.match(r"([A-Z_]+=\S+ )?python -m ", line)]


def test_the_manual_builds_without_a_warning(tmp_path):
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html", str(DOCS), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    flags_page = (tmp_path / "reference" / "flags.html").read_text()
    assert "--fail_above" in flags_page
    assert all(f"--{name}<" in flags_page for owner in train.SECTIONS for name in train.flag_fields(owner))
    assert "Only to repeat runs of LiRA" in flags_page
    assert recipes.table().split("\n")[0] in (tmp_path / "reference" / "recipes.html").read_text()
    api = (tmp_path / "reference" / "api.html").read_text()
    assert "train_and_predict" in api and "Largest L2 norm of one example" in api


@pytest.mark.parametrize("name", WITH_PYTHON)
def test_a_pages_python_runs(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    registered = set(attack_classes())
    namespace = {"__name__": "a_page_of_the_manual"}
    try:
        for block in blocks(PAGES[name], "python"):
            exec(block, namespace)
    finally:
        for attack in set(ATTACKS) - registered:
            del ATTACKS[attack]


def test_every_block_names_a_language_that_is_checked_or_is_output():
    for name, text in PAGES.items():
        languages = re.findall(r"^```(\S+)", text, flags=re.MULTILINE)
        assert set(languages) <= {"python", "shell", "text"} | {word for word in languages if word[0] == "{"}, name


@pytest.mark.parametrize("name, line", commands())
def test_a_command_has_existing_flags(name, line, monkeypatch):
    from reference_tables import command_flags

    monkeypatch.chdir(REPOSITORY)
    module, *arguments = shlex.split(line.partition("python -m ")[2], comments=True)
    if module.split(".")[0] == "experiments":
        assert importlib.util.find_spec(module)
        return
    values = command_flags("mia_tf.report.__main__" if module == "mia_tf.report" else module)
    assert values([module, *arguments])[1:] == []
    if module == "mia_tf.train" and values.task is None:
        train.read_config(values)


def test_a_command_with_a_flag_that_there_is_not_would_be_noticed():
    from reference_tables import command_flags

    with pytest.raises(flags.UnrecognizedFlagError):
        command_flags("mia_tf.analyze")(["mia_tf.analyze", "--no_such_flag=1"])


def test_every_column_of_a_csv_has_a_meaning():
    from meanings import COLUMNS, TABLES

    assert set(TABLES) == set(tables.COLUMNS)
    columns = {column for names in tables.COLUMNS.values() for column in names}
    assert columns == {name for name in COLUMNS if isinstance(name, str)}
    assert all(column in tables.COLUMNS[table] for table, column in (name for name in COLUMNS if len(name) == 2))


def test_the_citation_and_the_changelog_are_of_this_version():
    citation = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text())
    assert citation["version"] == mia_tf.__version__
    headings = re.findall(r"^## (.*)$", (REPOSITORY / "CHANGELOG.md").read_text(), flags=re.MULTILINE)
    assert headings[0] == "Unreleased" and headings[1].startswith(mia_tf.__version__)


def test_the_readmes_figure_can_be_drawn(tmp_path):
    from docs.images import first_figure

    rates = np.array([0, 0.001, 0.1, 1])
    first_figure.draw(dict.fromkeys(first_figure.ATTACKS, (rates, np.sqrt(rates))), tmp_path / "roc.png")
    assert (tmp_path / "roc.png").stat().st_size > 5000


# ---- the README


def test_the_readme_is_short_and_links_to_what_there_is():
    text = README.read_text()
    assert len(text.split()) <= 900
    links = re.findall(r"\]\(([^)#]+)\)", text)
    assert links and all((REPOSITORY / link).exists() for link in links)


def test_the_readmes_table_has_the_numbers_of_the_results():
    cancer = pd.read_csv(RESULTS / "audits" / "breast_cancer.csv")
    digits = pd.read_csv(RESULTS / "figure4" / "cpu_attacks.csv").query("population == 'under'")
    plain, private = (digits[digits["run"] == run] for run in ("without DP", "DP-SGD"))
    audited = [cancer[cancer["model"] == name] for name in ("random forest", "gradient boosting")]
    wanted = []
    for table in (*audited, plain, private):
        cells = []
        for attack, metric in (("yeom", "auroc"), ("rmia", "auroc"), ("rmia", "tpr_at_fpr_0.001")):
            row = table[(table["attack"] == attack) & (table["metric"] == metric)].iloc[0]
            cells.append("{:.1f} [{:.1f}, {:.1f}]".format(*(100 * row[["value", "ci_low", "ci_high"]])))
        wanted.append(cells)
    rows = [line.split(" | ")[1:] for line in README.read_text().split("\n") if re.match(r"\| .* \[", line)]
    assert [[cell.strip(" |") for cell in row] for row in rows] == wanted

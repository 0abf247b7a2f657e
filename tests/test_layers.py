"""The package's files import each other in one direction: the record, attacks, analysis, figures, report, commands."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "mia_tf"
FORBIDDEN = {
    "shadow": ("attacks", "analysis", "figures", "report"),
    "attacks": ("analysis", "figures", "report"),
    "figures": ("analysis", "attacks", "report"),
    "data": ("shadow", "attacks", "analysis", "figures", "report"),
    "training": ("shadow", "attacks", "analysis", "figures", "report"),
}
"""Folder -> modules that it must not import. An Audit draws itself, so figures import nothing of the analysis."""
FRAMEWORKS = {"tensorflow", "keras", "jax", "optax", "sklearn"}
"""What takes long to import. scikit-learn takes a second, which each analysis would wait for."""


def modules():
    """Name of every module of the package -> its file."""
    files = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        files[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return files


def imports(name, path, known):
    """The modules of the package that one imports, and the others' top-level names, wherever in the file."""
    own, others = set(), set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                (own if node.module.startswith("mia_tf") else others).add(full if full in known else node.module)
        elif isinstance(node, ast.Import):
            for alias in node.names:
                (own if alias.name in known else others).add(alias.name)
    return own & set(known) - {name}, {other.split(".")[0] for other in others}


KNOWN = modules()
GRAPH = {name: imports(name, path, KNOWN) for name, path in KNOWN.items()}


def test_no_module_imports_itself_by_way_of_others():
    done, path = set(), []

    def visit(name):
        assert name not in path, " -> ".join([*path[path.index(name) :], name])
        if name not in done:
            path.append(name)
            for other in sorted(GRAPH[name][0]):
                visit(other)
            path.pop()
            done.add(name)

    for name in sorted(GRAPH):
        visit(name)
    assert done == set(KNOWN)


@pytest.mark.parametrize("folder", FORBIDDEN)
def test_a_layer_imports_none_above_it(folder):
    for name in KNOWN:
        if name.split(".")[1:2] == [folder]:
            above = {other for other in GRAPH[name][0] if other.split(".")[1:2] in [[x] for x in FORBIDDEN[folder]]}
            assert not above, (name, above)


@pytest.mark.parametrize("folder", ["shadow", "attacks", "analysis", "figures", "report"])
def test_what_measures_and_draws_needs_no_framework(folder):
    for name in KNOWN:
        if name.split(".")[1:2] == [folder]:
            assert not GRAPH[name][1] & FRAMEWORKS, name


def test_figures_read_no_files():
    for name in KNOWN:
        if name.startswith("mia_tf.figures"):
            assert not GRAPH[name][1] & {"csv", "json", "pandas"} or name == "mia_tf.figures.dp_pages", name
            assert not {"mia_tf.store"} & GRAPH[name][0], name

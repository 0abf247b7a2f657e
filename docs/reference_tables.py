"""Sphinx directives that write the reference from the program itself, so that no table is kept by hand.

`{flags} mia_tf.train` lists a command's flags, `{columns} attacks` the columns of a CSV, `{recipes}` the recipes of the
papers, and `{attacks}` the attacks.
"""

import importlib
import inspect

from absl import flags
from docutils import nodes
from docutils.statemachine import StringList
from meanings import COLUMNS as MEANINGS
from meanings import TABLES
from sphinx.util.docutils import SphinxDirective

from mia_tf import recipes
from mia_tf.analysis import tables
from mia_tf.attacks import attack_classes


def command_flags(module: str) -> flags.FlagValues:
    """Returns the flags that a command defines, such as those of "mia_tf.train"."""
    values = flags.FlagValues()
    importlib.import_module(module).define_flags(values)
    return values


def flag_table(module: str) -> str:
    """Returns a command's flags as tables in Markdown, one per heading: flag, default, meaning."""
    sections = command_flags(module).flags_by_module_dict()
    lines = []
    for heading, defined in sections.items():
        if len(sections) > 1:
            lines += ["", f"**{heading}**", ""]
        lines += ["| flag | default | meaning |", "|---|---|---|"]
        for flag in defined:
            default = "" if flag.default in (None, "", []) else f"`{flag.default}`"
            # What follows a line break is a table of its own, that of the recipes, or absl's "may be repeated".
            text = flag.help.split("\n")[0].rstrip(";")
            lines.append(f"| `--{flag.name}` | {default} | {_cell(text)} |")
    return "\n".join(lines)


def column_table(name: str) -> str:
    """Returns the columns of a CSV as a table in Markdown: column, meaning."""
    lines = [TABLES[name], "", "| column | meaning |", "|---|---|"]
    for column in tables.COLUMNS[name]:
        lines.append(f"| `{column}` | {MEANINGS.get((name, column)) or MEANINGS[column]} |")
    return "\n".join(lines)


def attack_table() -> str:
    """Returns the attacks as a table in Markdown: name, source, score, and what they take of shadow models."""
    lines = ["| attack | source | score | needs shadow models | limited by `--num_shadow` |", "|---|---|---|---|---|"]
    for name in tables.in_order(attack_classes()):
        attack = attack_classes()[name]
        source = _first(inspect.getmodule(attack)).split(": ")[0].rstrip(".")
        says = ("no" if attack.alone else "yes"), ("yes" if attack.limitable else "no")
        cells = _cell(source), _cell(_first(attack)), *says
        lines.append(f"| `{name}` | {' | '.join(cells)} |")
    return "\n".join(lines)


def _first(documented) -> str:
    """The first paragraph of a docstring, as one line."""
    return inspect.getdoc(documented).split("\n\n")[0].replace("\n", " ")


def recipe_table() -> str:
    """Returns the recipes of the papers as a block of text."""
    return f"```text\n{recipes.table()}\n```"


def _cell(text: str) -> str:
    """A text as a cell of a table, in which nothing is markup."""
    for character in "\\|*_<`$[":
        text = text.replace(character, "\\" + character)
    return text


class _Written(SphinxDirective):
    """A directive whose content a function writes in Markdown, from the directive's arguments."""

    write = None
    optional_arguments = 1

    def run(self) -> list[nodes.Node]:
        parent = nodes.Element()
        self.state.nested_parse(StringList(type(self).write(*self.arguments).splitlines()), self.content_offset, parent)
        return parent.children


def setup(app) -> dict:
    """Registers the directives."""
    writers = {"flags": flag_table, "columns": column_table, "attacks": attack_table, "recipes": recipe_table}
    for name, write in writers.items():
        app.add_directive(name, type(name.title(), (_Written,), {"write": staticmethod(write)}))
    return {"parallel_read_safe": True}

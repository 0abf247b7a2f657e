"""Idioms and names that only their author reads at first sight do not return, and no sentence is endless.

A reader with school English must understand each docstring, comment, message and page at first reading.
"""

import ast
import functools
import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent
FOLDERS = ("mia_tf", "experiments", "docs", "tests", "flags", ".github", ".ci")
ENDINGS = {".py", ".pyi", ".md", ".html", ".flags"}
PASSED_OVER = {
    "CHANGELOG.md",  # history
    "experiments/results/README.md",  # cites the papers
    "tests/test_plain_english.py",
}

_UNIT = r"(?:side|model|run|number|line|measurement|example|target|group|seed|round|label|mixture|query|device|file)"
IDIOMS = {
    r"so many": "that many; N; a number of",
    r"whoever": "anyone who; the process that",
    r"those that(?! stay)": "the noun: the models that ...",
    rf"(?:[Oo]ne|models|pairs|seconds|minutes?|row|line|file) an? {_UNIT}": "per: one row per model",
    r"; gives": "; returns",
    r'"""Gives': "Returns; Passes",
    r"where (?:there (?:is|are)|none (?:is|has|does|was)|not all|no \w+ (?:is|are|was|were))": "if there is; if no",
    r"(?:that|which) (?:is|are|were) there": "that exist; that are present",
    r"that there (?:is|are)(?: not)?(?! \w)": "that exist; unknown",
    r"in hand": "that it is training",
    r"lets? go of|letting go of": "releases",
    r"what became of": "the outcome of",
    r"sees? to it that": "ensures that",
    r"said nothing of": "returned no result for",
    r"of twice so": "of 2 * N",
    r"at most are there": "there are at most",
    r"thereof|whereof|hereby|whence|thereby": "of it; by this",
}
"""Idiom, a regular expression of words -> plain words. Spaces also match a line's end."""

NAMES = {
    "found": "what was found: `bounds`, `rows`, `findings`",
    "mine": "whose it is: `claimed`, `of_group`, `own`",
    "each": "one of what: `record`, `query`",
    "said": "what text it is: `printed`, `message`, `note`",
    "told": "what text it is: `error_line`, `report`",
    "asked": "what was asked: `queries`, `arguments`",
}
"""Name of a variable, a parameter or a function -> a plainer one. A comprehension may use any."""

MOST_WORDS = 25
"""Of a sentence. Each part of a formula, a shape or a list of names counts as a word."""


DOCSTRING = re.compile(r'"""(.*?)"""', re.DOTALL)


def files():
    """Every page and module of the repository: its path, and the text."""
    paths = [path for path in REPOSITORY.iterdir() if path.suffix in ENDINGS or path.name == "Makefile"]
    paths += [path for folder in FOLDERS for path in sorted((REPOSITORY / folder).rglob("*")) if path.is_file()]
    for path in paths:
        name = path.relative_to(REPOSITORY).as_posix()
        if path.suffix in ENDINGS and name not in PASSED_OVER and "/_build/" not in name:
            yield name, path.read_text()


_GAP = r"(?:[\s#\"]+(?:f?\")?|_)"
_PATTERNS = {idiom: re.compile(rf"{idiom.replace(' ', _GAP)}(?![A-Za-z])") for idiom in IDIOMS}
"""A comment or a quoted string may break an idiom over two lines, and a test's name joins its words."""
_BOUND = re.compile(rf"\b(?:{'|'.join(NAMES)})\b *(?:=(?!=)|[+|]=|[,:)]|in\b)|(?:as|def) (?:{'|'.join(NAMES)})\b")


def idioms_in(text: str) -> list[str]:
    """`LINE: words -> plain words` of every idiom."""
    return [
        f"{text.count(chr(10), 0, match.start()) + 1}: {' '.join(match.group().split())!r} -> {IDIOMS[idiom]}"
        for idiom, pattern in _PATTERNS.items()
        for match in pattern.finditer(text)
        if not text[match.start() - 1].isalpha()  # a look-behind would be slower
    ]


def names_in(tree: ast.AST) -> list[str]:
    """`LINE: name -> plainer name` of every variable, parameter and function with one of NAMES."""
    lines = []
    for node in ast.walk(tree):
        match node:
            case ast.comprehension():
                for name in ast.walk(node.target):
                    name.in_comprehension = True
            case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name) | ast.FunctionDef(name=name):
                if name in NAMES and not hasattr(node, "in_comprehension"):
                    lines.append(f"{node.lineno}: `{name}` -> {NAMES[name]}")
    return sorted(lines)


_CODE = re.compile(r"(?s:```.*?```)|^ *(?:>>>|(?:\w+=\S+ )?python -m|\w+ = |[|#<]|.*\S {2,}\S).*$", re.MULTILINE)
"""Also formulas, and lines in columns."""


def long_sentences(text: str) -> list[str]:
    """The beginning of every sentence of more than MOST_WORDS words, outside of code, formulas and tables."""
    prose = _CODE.sub("\n\n", text)
    parts = re.split(r"\n\s*\n|\n\s*(?=[-*:] |\d+\. |[\w, ]+: |[\w ]+:\n)|(?<=[.!?:;])\s+", prose)
    return [f"{len(words)} words: {' '.join(words[:12])} ..." for p in parts if len(words := p.split()) > MOST_WORDS]


@functools.cache
def texts():
    """Path -> text of every page and module."""
    return dict(files())


def test_no_idiom_stands_in_a_docstring_a_comment_a_message_a_page_or_a_name():
    assert not [f"{name}:{line}" for name, text in texts().items() for line in idioms_in(text)]


def test_variables_say_what_they_hold():
    modules = {name: text for name, text in texts().items() if name.endswith(".py") and _BOUND.search(text)}
    assert not [f"{name}:{line}" for name, text in modules.items() for line in names_in(ast.parse(text))]


def test_no_sentence_is_endless():
    pages = [(name, [text]) for name, text in texts().items() if name.endswith(".md")]
    modules = [(name, DOCSTRING.findall(text)) for name, text in texts().items() if name.endswith(".py")]
    assert not [
        f"{name}: {line}" for name, parts in (*pages, *modules) for text in parts for line in long_sentences(text)
    ]


@pytest.mark.parametrize(
    "text, words",
    [
        ("# as in the first so\n# many models", "so # many"),
        ('"of so "\n    f"many"', 'so " f"many'),
        ("One row a model", "row a model"),
        ("def test_what_is_done_in_hand(", "in_hand"),
    ],
)
def test_an_idiom_is_seen_across_lines_and_in_names(text, words):
    (line,) = idioms_in(f"\n{text}")
    assert line.startswith(f"2: {words!r} -> ")


def test_names_are_seen_outside_of_comprehensions_only():
    tree = ast.parse("found = [each for each in rows]\ndef told(said): pass")
    assert [line.split(" ->")[0] for line in names_in(tree)] == ["1: `found`", "2: `said`", "2: `told`"]


def test_sentences_are_counted_without_code_and_tables():
    sentence = " ".join(["word"] * (MOST_WORDS + 1))
    assert long_sentences(f"Short. {sentence}") and not long_sentences(f"```\n{sentence}\n```\n| {sentence} |\n")
    assert long_sentences(f"# Title\n\n| table |\n\n>>> code\n\n{sentence}"), "what follows code is prose again"

"""Writes a report: the page by its templates, and its numbers as JSON.

`audit` is a `mia_tf.Audit`; `analysis.result` is not imported, so that an Audit can report itself (`Audit.report`).
"""

import base64
import datetime
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup
from PIL import Image

from mia_tf.files import expanded, folder_to_fill, write_texts
from mia_tf.report import words
from mia_tf.report.drawings import drawings
from mia_tf.report.numbers import VARIABLES, Source, report_numbers
from mia_tf.validation import check, fail


def write_report(
    audit,
    path,
    *,
    source: Source | None = None,
    images: np.ndarray | None = None,
    comparison: Mapping | None = None,
    limits: Sequence[Mapping] = (),
    argument: str = "path",
) -> Path:
    """Writes a report's page, and its numbers beside it, both or none.

    Args:
        audit: the finished audit.
        path: of the page; the numbers have its name with the suffix .json.
        source: where the audit comes from; None: an audit in memory, written today.
        images: (N, H, W, C) uint8, the pictures of the records by their column `row`; None if there are none.
        comparison: `comparison.compared`; None without another run.
        limits: `limits.checked`.
        argument: the parameter or flag that gave the path, which an InputError names.

    Returns:
        The path of the page.

    Raises:
        InputError: the path is a JSON file's, or its folder cannot be written.
    """
    path = expanded(path, argument)
    check(argument, path, path.suffix != ".json", "must not end with .json, which is the name of the numbers beside it")
    if source is None:
        source = Source(written=datetime.date.today().isoformat(), commands=list(_calls(audit, path.name)))
    numbers = report_numbers(audit, source, comparison, limits)
    texts = {path.name: page(audit, numbers, images), path.with_suffix(".json").name: as_json(numbers)}
    try:
        with folder_to_fill(path.parent):
            write_texts(path.parent, texts)
    except OSError as error:
        fail(argument, path, f"must be a file that can be written ({error.strerror or error})")
    return path


def _calls(audit, name: str) -> Iterator[str]:
    """The call that computes the audit and writes a page; audits of earlier versions did not keep their arguments."""
    if "arguments" in audit.about:
        given = audit.about["arguments"].items()
        arguments = [f"{key}={value if key in VARIABLES else repr(value)}" for key, value in given]
        yield f"mia_tf.audit({', '.join(['shadows', *arguments])}).report({name!r})"


def as_json(numbers: Mapping) -> str:
    """The numbers as JSON; raises ValueError for NaN, which JSON does not know."""
    return json.dumps(numbers, indent=2, allow_nan=False) + "\n"


def page(audit, numbers: Mapping, images: np.ndarray | None = None) -> str:
    """The HTML of a report. Arguments are those of `write_report`, and `report_numbers`."""
    loader = PackageLoader("mia_tf.report")
    environment = Environment(
        loader=loader,
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": words.percent, "hundredths": words.hundredths, "number": words.number}
    style = loader.get_source(environment, "style.css")[0]
    figures = [{"name": name, "svg": Markup(svg), "words": text} for name, svg, text in drawings(audit)]
    pictures = (
        {} if images is None else {row["row"]: picture(images[row["row"]]) for row in numbers["records"]["shown"]}
    )
    gains = [] if numbers["comparison"] is None else words.cost_and_gain(numbers["comparison"])
    template = environment.get_template("report.html")
    curves = any(figure["name"].startswith("roc-") for figure in figures)
    return template.render(numbers, style=Markup(style), figures=figures, curves=curves, pictures=pictures, gains=gains)


def picture(image: np.ndarray) -> str:
    """(H, W, C) uint8 as the address of a PNG that holds all of it."""
    shown = image if image.shape[-1] == 3 else image.mean(axis=-1).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(shown)).save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()

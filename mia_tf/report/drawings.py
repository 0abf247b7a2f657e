"""Figures as SVG that stands inside the page, in the colours of the page, light or dark."""

import io
import re
from collections.abc import Iterator
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from mia_tf.figures import exposure, memorization, pages, roc, style
from mia_tf.records import ALL, shown_populations

_SIZE = 4.3, 3.1
_MOST_GROUPS, _LINE = 2, 0.17
_COLOURS = {
    "black": style.BLACK,
    "orange": style.ORANGE,
    "sky": style.SKY,
    "green": style.GREEN,
    "blue": style.BLUE,
    "vermillion": style.VERMILLION,
    "purple": style.PURPLE,
    "grey": style.GREY,
}
"""Name of a colour in the page's style -> the colour that figures are drawn in."""
_RC: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": "mia_tf", "hatch.linewidth": 0.6}


def drawings(audit) -> Iterator[tuple[str, str, str]]:
    """Draws the figures of a report; yields (name, SVG, what it shows) of each figure that has numbers."""
    with matplotlib.rc_context(style.RC | _RC):
        for population in _populations(audit):
            if audit.curve(population):
                yield f"roc-{population}", *_roc(audit, population)
        left_out = audit.group_titles[style.MOST_GROUPS :]
        rest = f" Not drawn, but in the tables: {', '.join(left_out)}." if left_out else ""
        height = _SIZE[1] + _LINE * min(len(audit.groups), style.MOST_GROUPS)
        values, *groups = pages.of_drawn_groups(audit, "memorization")
        if np.isfinite(values).any():
            figure = style.new_figure(_SIZE[0], height)
            edges = memorization.histogram_edges(values, audit.models_per_side)
            memorization.draw_memorization_histogram(figure.subplots(), values, *groups, edges=edges)
            figure.axes[0].set(xlabel="memorization", ylabel="records")
            words = "How many records have which memorization: how much more often models get a record right if they "
            yield "memorization", _svg(figure, "memorization"), f"{words}were trained on it.{rest}"
        values, *groups = pages.of_drawn_groups(audit, "exposure")
        if np.isfinite(values).any():
            figure = style.new_figure(_SIZE[0], height)
            exposure.draw_exposure(figure.subplots(), values, *groups, models_per_side=audit.models_per_side)
            figure.axes[0].set(ylabel="records")
            words = f"How many records have which exposure, at {100 * audit.about['headline_fpr']:g}% false positives."
            yield "exposure", _svg(figure, "exposure"), words + rest


def _populations(audit) -> list[str]:
    """All records, and the first groups."""
    return shown_populations(audit.populations)[: 1 + _MOST_GROUPS]


def _roc(audit, population: str) -> tuple[str, str]:
    """The ROC of a few attacks: the headline's, the recommended LiRA, RMIA, and Yeom, which has no shadow models."""
    chosen = (audit.about["headline"]["attack"], audit.about["recommended"], "rmia", "yeom")
    curves = {name: curve for name, curve in audit.curve(population).items() if name in chosen}
    curves = curves or audit.curve(population)
    auroc = {a: value for (a, p), (value, *_) in audit.metric("auroc").items() if p == population}
    title = {ALL: "ROC, all records", "under": "ROC, under-represented records"}.get(population, f"ROC, {population}")
    figure = style.new_figure(_SIZE[0], _SIZE[1] + 0.9 + 0.17 * len(curves))
    smallest = 1 / max(audit.num_nonmembers(population), 1)
    roc.draw_roc(figure.subplots(), curves, auroc, smallest, style.literal(title))
    left_out = audit.attacks["attack"].nunique() - len(curves)
    rest = f" The other {left_out} attacks are in the table of curves." if left_out else ""
    return _svg(figure, f"roc-{population}"), f"What share of members and of non-members an attack accuses.{rest}"


def _svg(figure: Figure, name: str) -> str:
    """A figure as an SVG element without anything from outside, whose ids are its own."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", text, flags=re.DOTALL)
    tag, text = text.split(">", 1)
    text = re.sub(r' (xmlns(:\w+)?|version|width|height)="[^"]*"', "", tag) + ">" + text
    prefix = re.sub(r"[^a-z0-9]+", "-", name.lower()) + "-"
    text = re.sub(r'\bid="', f'id="{prefix}', text)
    text = re.sub(r'(xlink:)?href="#', f'href="#{prefix}', text)
    text = text.replace("url(#", f"url(#{prefix}")
    for colour, code in _COLOURS.items():
        text = re.sub(code, f"var(--fig-{colour})", text, flags=re.IGNORECASE)
    return text

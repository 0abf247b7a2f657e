"""What a table or figure comes to, from its runs to its files: results/NAME/SCALE.*."""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from experiments import runs
from experiments.reproduction import sources
from experiments.reproduction.kept_rows import Place, with_kept
from experiments.reproduction.measured import Measured, read
from experiments.reproduction.paper_numbers import statements
from mia_tf.analysis import tables
from mia_tf.figures import style

RESULTS = Path(__file__).parent.parent / "results"


@dataclass(frozen=True)
class Outcome:
    """What a table or figure comes to.

    Attributes:
        tables: end of the file's name ("" for the main one) -> rows of a CSV, all with the same keys; without rows
            there is no file.
        figures: end of the file's name -> Figure.
        draw: draws such figures of the rows of the main CSV as it was written, those of earlier runs too.
    """

    tables: Mapping[str, Sequence[Mapping]]
    figures: Mapping[str, Figure] = field(default_factory=dict)
    draw: Callable[[Sequence[Mapping[str, str]]], Mapping[str, Figure]] = lambda _rows: {}


Build = Callable[[dict[str, Measured]], Outcome]
"""Finished runs by name, one or more of those asked for -> the outcome."""


def finished(options: argparse.Namespace, wanted: Sequence[str]) -> dict[str, Measured]:
    """Returns the runs that are analyzed, by name, and names on stderr what is missing if only some are."""
    known = runs.runs(options.scale)
    folders = {name: runs.logdir(options, name) for name in wanted}
    folders = {name: read(known[name], folder) for name, folder in folders.items() if runs.analyzed(folder)}
    missing = [name for name in wanted if name not in folders]
    if folders and missing:
        print(f"Not there: {', '.join(missing)}", file=sys.stderr)
    return folders


def write(build: Build, measured: dict[str, Measured], out: Path, scale: str) -> None:
    """Builds it and writes OUT/SCALE*.csv and OUT/SCALE*.png.

    A CSV keeps its rows of runs that are not there now. Figures that would lack them are then left as they are.
    """
    out.mkdir(parents=True, exist_ok=True)
    present = {(run.run.mixture, run.run.selection) for run in measured.values()}
    kept: dict[Place, None] = {}
    with matplotlib.rc_context(style.RC):
        outcome = build(measured)
        for ending, rows in outcome.tables.items():
            path = out / f"{scale}{ending}.csv"
            merged, places = with_kept(path, rows, present)
            kept |= dict.fromkeys(places)
            if merged:
                write_rows(path, merged)
                print(path)
        if kept:
            names = ", ".join(" ".join(filter(None, place)) for place in kept)
            print(f"Kept the numbers of runs that are not there: {names}. Figures that would lack them are not drawn.")
        written = sources.rows(out, f"{scale}.csv")
        for ending, figure in {**({} if kept else outcome.figures), **outcome.draw(written)}.items():
            figure.savefig(out / f"{scale}{ending}.png", dpi=130)
            print(out / f"{scale}{ending}.png")


def write_rows(path: Path, rows: Sequence[Mapping]) -> None:
    """Writes a CSV of rows that have the same keys, with six digits of every number."""
    cells = ([_six_digits(value) for value in row.values()] for row in rows)
    tables.write_rows(path, tuple(rows[0]), cells)


def _six_digits(value):
    """A number as short as a reader wants it; text and counts stay."""
    return float(f"{value:.6g}") if isinstance(value, float | np.floating) else value


def footnote(figure: Figure, words: str, measured: Mapping[str, Measured], item: str | None = None) -> None:
    """What a reader must know, what the paper says of it, the scale of every run, and what stands in for real data."""
    paper = [f"The paper: {row['says']}" for row in (statements(item) if item else ())]
    stand_ins = dict.fromkeys(run.stand_in for run in measured.values())
    style.footnote(
        figure, "\n".join(filter(None, [words, *paper, *(run.scale for run in measured.values()), *stand_ins]))
    )

"""The papers' tables and figures, each made from its training runs: CSVs and pictures under experiments/results.

    python -m experiments --list [--scale=cpu]                    # every name, its title and what its runs cost
    python -m experiments --list table2                           # and its runs, and what the paper reports

    python -m experiments table2 --scale=cpu --data_dir=DATA      # trains the runs that are missing, then makes it
    python -m experiments table2 figure3 --scale=cpu --present    # trains nothing: takes the existing runs
    python -m experiments all --scale=cpu --data_dir=DATA         # all, then the claims (`experiments.claims`)

Tables and figures share their runs, and each run is made once. A table or figure is skipped if none of its runs exists.
Exit code 1: some runs could not be made or lack models, each named. Exit code 2: bad input, or no run of the given
names exists. A table takes seconds once its runs are there, and all of them a minute or two.
"""

import argparse
import sys
from collections.abc import Iterable, Iterator

from experiments import claims, commands, runs
from experiments.reproduction import outcome
from experiments.reproduction.catalogue import CATALOGUE, Entry
from mia_tf.validation import InputError

ALL = "all"


def main(argv: list[str] | None = None) -> None:
    """Runs the command; `argv` None for the process's own command line."""
    options = _parse(argv)
    entries = list(CATALOGUE.values()) if ALL in options.names else [CATALOGUE[name] for name in options.names]
    if options.list:
        print("\n".join(_described(entries, options.scale) if options.names else _listed(options.scale)))
        return
    failed, made = {}, False
    for entry in entries:
        wanted = list(entry.runs(options.scale))
        if not options.present:
            failed |= runs.make(options, [run for run in wanted if run not in failed])
        if measured := outcome.finished(options, wanted):
            outcome.write(entry.build, measured, options.results / entry.name, options.scale)
            made = True
        else:
            print(f"{entry.name}: none of its runs is there", file=sys.stderr)
    if ALL not in options.names:
        if not made:
            missing = " ".join(dict.fromkeys(run for entry in entries for run in entry.runs(options.scale)))
            line = f"None of the runs is there. Make them: python -m experiments.runs --scale={options.scale} {missing}"
            raise InputError(line, "runs", options.runs)
    elif claims.findings(options.results, options.scale):  # none if only runs of lira_figure12 are there
        claims.main([f"--scale={options.scale}", f"--results={options.results}"])
    if failed:
        raise SystemExit(f"Not made, or not whole: {', '.join(failed)}")


def _parse(argv: list[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = commands.Parser(__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"tables and figures of --list, or {ALL}")
    parser.add_argument("--list", action="store_true", help="print the tables and figures, and make nothing")
    runs.add_flags(parser)
    parser.add_argument("--present", action="store_true", help="train nothing: take the runs that are analyzed")
    parser.add_argument(
        "--results", type=commands.folder_to_write, default=outcome.RESULTS, help="folder to write to, NAME/SCALE.*"
    )
    options = parser.parse_intermixed_args(argv)
    known = (*CATALOGUE, ALL)
    for name in options.names:
        if name not in known:
            parser.error(f"Argument `name` must be one of {', '.join(known)}. Received: name={name}")
    if not (options.names or options.list):
        parser.error(f"Name a table or figure, several, or {ALL}. `python -m experiments --list` prints their names")
    return options


def _listed(scale: str) -> Iterator[str]:
    """A line for every entry."""
    for entry in CATALOGUE.values():
        yield f"{entry.name:14}  {entry.title} ({entry.cost(scale)})"


def _described(entries: Iterable[Entry], scale: str) -> Iterator[str]:
    """All that is known of some entries."""
    for entry in entries:
        yield f"{entry.name}: {entry.title}"
        yield f"  The paper: {entry.paper}"
        yield f"  At --scale={scale}: {entry.cost(scale)}: {', '.join(entry.runs(scale))}"


if __name__ == "__main__":
    commands.run(main)

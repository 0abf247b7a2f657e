"""Every table and figure, then the claims and the numbers of experiments/results/README.md.

    python -m experiments.everything --scale=cpu --data_dir=DATA            # trains what is missing
    python -m experiments.everything --scale=cpu --present [--only=table2]  # from the existing runs

A table or figure none of whose runs is there is passed over. Exit code 1: some runs could not be made, each named.
Cost: that of all runs (`experiments.runs --list`), then a minute or two.
"""

import importlib
import sys

from experiments import claims, commands, runs
from experiments.reproduction import command

NAMES = (
    *(f"table{number}" for number in range(1, 6)),
    *(f"figure{number}" for number in range(1, 11)),
    "lira_figure12",
    "lira_figure13",
    "privacy_onion",
    "ood_proxy",
)
"""Modules of experiments/ with `names` and `build`."""


def main(argv=None) -> None:
    parser = commands.Parser(__doc__)
    runs.add_flags(parser)
    parser.add_argument("--present", action="store_true", help="train nothing: take the runs that are analyzed")
    parser.add_argument("--only", choices=NAMES, action="append", help="only this one; may be given several times")
    parser.add_argument("--results", type=commands.folder_to_write, default=command.RESULTS, help="folder to write to")
    options = parser.parse_args(argv)
    failed = {}
    for name in options.only or NAMES:
        module = importlib.import_module(f"experiments.{name}")
        wanted = list(module.names(options.scale))
        if not options.present:
            failed |= runs.make(options, [run for run in wanted if run not in failed])
        if not any(runs.analyzed(runs.logdir(options, run)) for run in wanted):
            print(f"{name}: none of its runs is there", file=sys.stderr)
            continue
        command.write(module.build, command.finished(options, wanted), options.results / name, options.scale)
    if claims.findings(options.results, options.scale):  # none if only lira_figure12 was asked for
        claims.main([f"--scale={options.scale}", f"--results={options.results}"])
    command.exit_if_failed(failed)


if __name__ == "__main__":
    commands.run(main)

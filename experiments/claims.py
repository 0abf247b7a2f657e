"""The claims of Choi et al. decided on the results that are there, and the numbers of experiments/results/README.md.

    python -m experiments.claims --scale=cpu

Reads the CSVs of the tables and figures under experiments/results and writes results/claims/SCALE.csv. At the scale
that README.md is about it also puts what was run, the claims and the tables between the marks of that page, whose prose
is written by hand: no number there is ever older than its CSV (a test says so). Cost: a second.
"""

import csv
from collections.abc import Sequence
from pathlib import Path

from experiments import commands, runs
from experiments.reproduction import judging, markdown
from experiments.reproduction.command import RESULTS, write_rows
from mia_tf.validation import InputError

ATTACK_TABLES = ("table2", "table3", "table5")
PAGE_SCALE = "cpu"
"""What README.md is about."""


def findings(results: Path, scale: str) -> list[judging.Finding]:
    """Every comparison that the CSVs of a scale allow, by claim."""

    def read(names: Sequence[str], ending: str = "") -> list[dict[str, str]]:
        return [row for name in names for row in rows(results, name, scale, ending)]

    found = [
        *judging.attack_findings(read(ATTACK_TABLES), read(ATTACK_TABLES, "_comparisons")),
        *judging.correlation_findings(read(("figure1", "figure5", "figure2")), read(["figure2"], "_comparisons")),
        *judging.sweep_findings(read(["figure3"], "_comparisons")),
    ]
    return sorted(found, key=lambda finding: list(judging.CLAIMS).index(finding.claim))


def rows(results: Path, name: str, scale: str, ending: str = "") -> list[dict[str, str]]:
    """A CSV of a table or figure; no rows where it has not been made."""
    path = results / name / f"{scale}{ending}.csv"
    if not path.exists():
        return []
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def missing(results: Path, scale: str) -> list[str]:
    """Names of the runs that no table or figure has a number of; those that others are chosen by show in these."""
    tables = [rows(results, name, scale) for name in (*ATTACK_TABLES, "figure3", "figure7", "lira_figure13")]
    found = {(row["mixture"], row["selection"]) for table in tables for row in table if row.get("ours", "") != ""}
    found |= {(row["mixture"], row["selection"]) for row in tables[-1]}
    size = runs.SCALES[scale]
    found |= {(size.one_group, row["target"]) for row in rows(results, "lira_figure12", scale)}
    if rows(results, "privacy_onion", scale):
        found |= {("mnist_svhn", kind) for kind in runs.REMOVALS}
    if rows(results, "figure4", scale):
        found |= {("mnist_svhn", kind) for kind in runs.SCALES[scale].defence}
    wanted = [run for run in runs.runs(scale).values() if run.selection != "candidates"]
    return [run.name for run in wanted if (run.mixture, run.selection) not in found]


def cells(finding: judging.Finding) -> dict:
    """A row of claims/SCALE.csv."""
    names = ("claim", "mixture", "selection", "case")
    value, low, high = finding.value
    return {
        **{name: getattr(finding, name) for name in names},
        "value": value,
        "ci_low": low,
        "ci_high": high,
        "paper": finding.paper,
        "holds": f"{'above' if finding.above else 'below'} {finding.threshold:g}",
        "verdict": finding.verdict,
    }


def page(text: str, results: Path, scale: str) -> str:
    """README.md with what stands between its marks made anew."""
    attacks = {name: rows(results, name, scale) for name in ATTACK_TABLES}
    accuracy = {name: rows(results, name, scale) for name in ("table1", "table4")}
    parts = {
        "runs": markdown.runs_table([row for table in attacks.values() for row in table], missing(results, scale)),
        "claims": markdown.claims_list(findings(results, scale)),
        **{name: markdown.attack_table(table) for name, table in attacks.items()},
        **{name: markdown.accuracy_table(table) for name, table in accuracy.items()},
        "onion": markdown.onion_table(*(rows(results, "privacy_onion", scale, ending) for ending in ("", "_accuracy"))),
    }
    for name, part in parts.items():
        text = markdown.replace_part(text, name, part)
    return text


def main(argv=None) -> None:
    parser = commands.Parser(__doc__)
    parser.add_argument("--scale", choices=tuple(runs.SCALES), default="cpu")
    parser.add_argument("--results", type=commands.folder_to_write, default=RESULTS)
    options = parser.parse_args(argv)
    found = findings(options.results, options.scale)
    if not found:
        line = f"No results of --scale={options.scale} in {options.results}: make a table or figure first"
        raise InputError(line, "results", options.results)
    out = options.results / "claims"
    out.mkdir(exist_ok=True)
    write_rows(out / f"{options.scale}.csv", [cells(finding) for finding in found])
    readme = options.results / "README.md"
    if options.scale == PAGE_SCALE and readme.exists():
        readme.write_text(page(readme.read_text(), options.results, options.scale))
    print("\n".join(markdown.claims_list(found)))


if __name__ == "__main__":
    commands.run(main)

"""The claims of the papers judged on the existing results, and the numbers of experiments/results/README.md.

    python -m experiments.claims --scale=cpu

Reads the CSVs of the tables and figures under experiments/results and writes results/claims/SCALE.csv. At the scales
that README.md is about, it also puts the runs, the claims and the tables between the marks of that page. The page's
prose is written by hand. No number there is ever older than its CSV (a test says so). Cost: a second.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from experiments import commands, runs
from experiments.reproduction import (
    claims_table,
    judged_attacks,
    judged_flow,
    judged_scores,
    judged_sweeps,
    judged_theory,
    markdown,
    run_settings,
    sources,
)
from experiments.reproduction.attack_tables import CHOSEN
from experiments.reproduction.judging import CLAIMS, Finding, Row
from experiments.reproduction.outcome import RESULTS, write_rows
from mia_tf.validation import InputError

ATTACK_TABLES = ("table2", "table3", "table5")
CORRELATIONS = ("figure1", "figure5", "figure2", "figure9", "figure10")
SWEEPS = ("figure3", "figure7", "figure8")
PAGE_SCALES = ("cpu", "full", "paper", "many")
"""What README.md is about: most of it about the first, the claims about all."""


def findings(results: Path, scale: str) -> list[Finding]:
    """Returns every comparison that the CSVs of a scale allow, by claim."""

    models: dict[tuple[str, str], int] = {}

    def read(name: str, ending: str = "") -> tuple[str, list[Row]]:
        source = sources.path(name, scale, ending)
        read_rows = sources.rows(results, source)
        for row in read_rows:
            if row.get("num_models") and "selection" in row:
                models[row["mixture"], row["selection"]] = int(row["num_models"])
        return source, read_rows

    epochs = run_settings.epochs(scale)
    tables, compared = (dict(read(name, ending) for name in ATTACK_TABLES) for ending in ("", "_comparisons"))
    judged = [
        *judged_attacks.findings(tables, compared, sources.other_epochs(results, scale), epochs),
        *judged_sweeps.findings(read("figure3", "_comparisons"), dict(map(read, SWEEPS)), epochs),
        *judged_scores.accuracy_findings(*read("table1"), run_settings.pkeep(scale)),
        *judged_scores.correlation_findings(dict(map(read, CORRELATIONS))),
        *judged_scores.better_findings(*read("figure2", "_comparisons")),
        *judged_scores.privacy_findings(*read("figure1", "_distribution")),
        *judged_scores.memorization_findings(*read("figure9", "_distribution"), epochs),
        *judged_scores.long_tail_findings(*read("figure6")),
        *judged_scores.onion_findings(*read("privacy_onion"), *read("privacy_onion", "_accuracy")),
        *judged_scores.shift_findings(*read("lira_figure13")),
        *judged_theory.dp_findings(*read("figure4"), *read("figure4", "_accuracy")),
    ]
    if scale == PAGE_SCALES[0]:
        summary, learning = (f"theory/{name}.csv" for name in ("summary", "learning"))
        read_theory = (summary, sources.rows(results, summary), learning, sources.rows(results, learning))
        judged += judged_theory.theory_findings(*read_theory)
        judged += judged_flow.findings(sources.FLOW, sources.rows(results, sources.FLOW))
    scaled = [
        replace(
            finding,
            scale=scale,
            num_models=min((models.get((finding.mixture, name), 0) for name in finding.selections), default=0),
        )
        for finding in judged
    ]
    return sorted(scaled, key=lambda finding: list(CLAIMS).index(finding.claim))


def missing(results: Path, scale: str) -> list[str]:
    """Names of the runs that are in no table or figure. Runs that choose the examples of others show in these."""

    def rows(name: str) -> list[Row]:
        return sources.rows(results, sources.path(name, scale))

    tables = [rows(name) for name in (*ATTACK_TABLES, "figure3", "figure7", "lira_figure13")]
    present = {(row["mixture"], row["selection"]) for table in tables for row in table if row.get("ours", "") != ""}
    present |= {
        (row["mixture"], "again")
        for table in tables
        for row in table
        if row.get("note", "").startswith(CHOSEN) and row["ours"] != ""
    }
    present |= {(row["mixture"], row["selection"]) for row in tables[-1]}
    size = runs.SCALES[scale]
    present |= {(size.one_group, row["target"]) for row in rows("lira_figure12")}
    if rows("privacy_onion"):
        present |= {("mnist_svhn", kind) for kind in runs.REMOVALS}
    if rows("figure4"):
        present |= {("mnist_svhn", kind) for kind in runs.SCALES[scale].defence}
    wanted = [run for run in runs.runs(scale).values() if run.selection != "candidates"]
    return [run.name for run in wanted if (run.mixture, run.selection) not in present]


def page(text: str, results: Path, scales: Sequence[str]) -> str:
    """README.md with what stands between its marks made anew."""
    scale, *others = scales

    def rows(name: str, ending: str = "", scale: str = scale) -> list[Row]:
        return sources.rows(results, sources.path(name, scale, ending))

    attacks = {name: rows(name) for name in ATTACK_TABLES}
    accuracy = {name: rows(name) for name in ("table1", "table4")}
    judged = [finding for each in scales for finding in findings(results, each)]
    parts = {
        "runs": markdown.runs_table([row for table in attacks.values() for row in table], missing(results, scale)),
        "headline": claims_table.headline(judged, scales),
        "claims": claims_table.table(judged, scales),
        "against": claims_table.against(judged),
        "provenance": claims_table.provenance(judged),
        **{f"table2_{other}": markdown.attack_table(rows("table2", scale=other)) for other in others},
        **{f"ood_readings_{other}": markdown.ood_table(rows("ood_proxy", "_readings", other)) for other in others},
        **{name: markdown.attack_table(table) for name, table in attacks.items()},
        **{name: markdown.accuracy_table(table) for name, table in accuracy.items()},
        "ood_readings": markdown.ood_table(rows("ood_proxy", "_readings")),
        "onion": markdown.onion_table(*(rows("privacy_onion", ending) for ending in ("", "_accuracy"))),
    }
    for name, part in parts.items():
        text = markdown.replace_part(text, name, part)
    return text


def main(argv=None) -> None:
    parser = commands.Parser(__doc__)
    parser.add_argument("--scale", choices=tuple(runs.SCALES), default="cpu")
    parser.add_argument("--results", type=commands.folder_to_write, default=RESULTS)
    options = parser.parse_args(argv)
    judged = findings(options.results, options.scale)
    if not judged:
        line = f"No results of --scale={options.scale} in {options.results}: make a table or figure first"
        raise InputError(line, "results", options.results)
    out = options.results / "claims"
    out.mkdir(exist_ok=True)
    write_rows(out / f"{options.scale}.csv", [claims_table.cells(finding) for finding in judged])
    readme = options.results / "README.md"
    if options.scale in PAGE_SCALES and readme.exists():
        readme.write_text(page(readme.read_text(), options.results, PAGE_SCALES))
    print("\n".join(claims_table.headline(judged, [options.scale])))


if __name__ == "__main__":
    commands.run(main)

"""The parts of experiments/results/README.md that hold numbers, as Markdown."""

import math
import re
from collections.abc import Mapping, Sequence

from experiments.reproduction.judging import ATTACKS
from mia_tf.figures.strength import word

ATTACK_NAMES = dict(zip(ATTACKS, ("Yeom", "Shokri", "Sablayrolles", "Song", "LiRA"), strict=True))
MIXTURES = {
    "mnist": "MNIST",
    "cifar10": "CIFAR-10",
    "mnist_augmnist": "MNIST + augMNIST",
    "mnist_svhn": "MNIST + SVHN",
    "mnist_cifar10": "MNIST + CIFAR-10",
    "cifar10_augcifar10": "CIFAR-10 + augCIFAR-10",
    "cifar10_cifar100": "CIFAR-10 + CIFAR-100",
    "cifar10_cinic10": "CIFAR-10 + CINIC-10",
    "cifar10_cifar100_random": "CIFAR-10 + CIFAR-100, random labels",
    "cifar10_mislabeled": "CIFAR-10 + mislabeled CIFAR-10",
}
Rows = Sequence[Mapping[str, str]]
NOTHING = ["*Not run yet.*"]


def replace_part(text: str, name: str, lines: Sequence[str]) -> str:
    """The text with what stands between <!-- NAME --> and <!-- /NAME --> replaced.

    Raises:
        ValueError: it has no such marks.
    """
    pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
    text, count = pattern.subn(lambda match: match[1] + "\n".join(lines) + "\n" + match[2], text)
    if count != 1:
        raise ValueError(f"README.md must have <!-- {name} --> and <!-- /{name} --> once; it has them {count} times")
    return text


def runs_table(rows: Rows, missing: Sequence[str]) -> list[str]:
    """Which runs the attack tables are made of, of their rows, and the names of the runs that nothing is made of."""
    cells_of = {}
    for row in rows:
        if row["ours"]:
            alone = "alone, memorized, by other models" if row["population"] == "under" else "alone"
            place = MIXTURES[row["mixture"]], alone if row["selection"] == "none" else row["selection"]
            sizes = [f"{int(row[key]):,}" for key in ("num_over", "num_under", "num_models")]
            cells_of[place] = [*sizes, row["note"]]
    lines = [f"| {' | '.join([*place, *cells])} |" for place, cells in cells_of.items()]
    head = ["| mixture | selection | over-represented | under-represented | models | |", "|---|---|---|---|---|---|"]
    absent = ["", f"Not run at this scale: {', '.join(f'`{name}`' for name in missing)}."] if missing else []
    return [*head, *lines, *absent] if lines else NOTHING


def attack_table(rows: Rows) -> list[str]:
    """The five attacks on all and on the under-represented examples: ours with its interval, (the paper's).

    The paper has one TPR and does not say which: it stands behind both of ours.
    """
    cells = {(r["mixture"], r["selection"], r["attack"], r["population"], r["metric"]): r for r in rows}
    lines = []
    for mixture, selection in dict.fromkeys((row["mixture"], row["selection"]) for row in rows if row["ours"]):
        for attack, name in ATTACK_NAMES.items():
            shown = [
                _cell(cells.get((mixture, selection, attack, population, metric)), metric)
                for metric in ("auroc", "tpr_at_fpr_0.001", "tpr_at_fpr_0.001_per_target")
                for population in ("all", "under")
            ]
            place = f"{MIXTURES[mixture]}, {selection}".removesuffix(", none")
            lines.append(f"| {place} | {name} | {' | '.join(shown)} |")
    head = [
        "| | attack | AUROC, all | AUROC, under | TPR at 0.1% FPR pooled, all | under | per target, all | under |",
        "|---|---|---|---|---|---|---|---|",
    ]
    return [*head, *lines] if lines else NOTHING


def accuracy_table(rows: Rows) -> list[str]:
    """Accuracies: ours with its interval, the paper's in brackets."""
    lines = []
    for mixture in dict.fromkeys(row["mixture"] for row in rows if row["ours"]):
        cells = {(row["split"], row["group"]): row for row in rows if row["mixture"] == mixture}
        keys = [(split, group) for split in ("members", "pool", "test") for group in ("over", "under")]
        shown = [_cell(cells[key], "share") if key in cells else "" for key in keys]
        lines.append(f"| {MIXTURES[mixture]} | {' | '.join(shown)} |")
    head = [
        "| | members, over | members, under | all of D^tr, over | all of D^tr, under | test, over | test, under |",
        "|---|---|---|---|---|---|---|",
    ]
    return [*head, *lines] if lines else NOTHING


def onion_table(memorization: Rows, accuracy: Rows) -> list[str]:
    """What the removal of the most memorized examples changed, beside that of random ones, with its interval."""
    lines = []
    whats = (("memorization of those that stay", "memorization", memorization), ("test accuracy", "accuracy", accuracy))
    for what, name, rows in whats:
        for row in rows:
            numbers = (row[key] for key in (f"{name}_without", f"{name}_control", "change", "ci_low", "ci_high"))
            without, control, change, low, high = map(float, numbers)
            cells = f"{control:.3f} | {without:.3f} | {change:+.3f} [{low:+.3f}, {high:+.3f}]"
            lines.append(f"| {what}, {row['group']} | {cells} |")
    head = ["| | without random ones | without the most memorized | change |", "|---|---|---|---|"]
    return [*head, *lines] if lines else NOTHING


def ood_table(rows: Rows) -> list[str]:
    """Within D_U, what an OOD score's correlations are by whose score it is; each cell has MSP and energy."""
    under = [row for row in rows if row["group"] == "under"]
    cells = {(row["mixture"], row["quantity"], row["reading"], row["detector"]): row for row in under}
    lines = []
    for mixture, quantity in dict.fromkeys((row["mixture"], row["quantity"]) for row in under):
        numbers = [
            "; ".join(_correlation(cells[mixture, quantity, reading, name]) for name in ("ood_msp", "ood_energy"))
            for reading in ("out", "in", "one")
        ]
        lines.append(f"| {MIXTURES[mixture]}, {quantity.replace('_', ' ')} | {' | '.join(numbers)} |")
    if not lines:
        return NOTHING
    head = [
        "| within D_U (MSP; energy) | mean over OUT models | mean over IN models | one model |",
        "|---|---|---|---|",
    ]
    return [*_sensitivity(cells), "", *head, *lines]


def _sensitivity(cells: Mapping[tuple, Mapping[str, str]]) -> list[str]:
    """How far the readings lie apart, and how often the paper's word for the correlation depends on them."""
    places = dict.fromkeys((mixture, quantity, name) for mixture, quantity, _, name in cells)
    rho = {
        place: [float(cells[place[0], place[1], reading, place[2]]["spearman"] or "nan") for reading in ("out", "one")]
        for place in places
    }
    rho = {place: pair for place, pair in rho.items() if not any(map(math.isnan, pair))}
    if not rho:
        return ["No correlation is resolved."]
    place = max(rho, key=lambda key: abs(rho[key][0] - rho[key][1]))
    smaller = sum(abs(one) < abs(out) for out, one in rho.values())
    words = sum(word(abs(out)) != word(abs(one)) for out, one in rho.values())
    mixture, quantity, name = place
    of = f"{MIXTURES[mixture]}, {quantity.replace('_', ' ')}, {name.removeprefix('ood_')}"
    return [
        f"Within D_U {smaller} of {len(rho)} correlations are weaker for one model than for the mean over OUT models.",
        f"The paper's word (weak, moderate, strong) changes for {words} of {len(rho)}. The largest difference: {of},",
        f"{rho[place][0]:.2f} for the mean over OUT models and {rho[place][1]:.2f} for one model.",
    ]


def _correlation(row: Mapping[str, str]) -> str:
    """Spearman's correlation and its interval."""
    if not row["spearman"]:
        return "-"
    value, low, high = (float(row[key]) for key in ("spearman", "ci_low", "ci_high"))
    return f"{value:.2f} [{low:.2f}, {high:.2f}]"


def _cell(row: Mapping[str, str] | None, metric: str) -> str:
    """Ours, its interval and (the paper's); empty if there is no such row."""
    if row is None:
        return ""
    paper = float(row["paper"]) if row["paper"] else None
    if metric == "auroc":
        theirs = "" if paper is None else f" ({paper:.2f})"
        if not row["ours"]:
            return f"-{theirs}"
        value, low, high = (float(row[key]) for key in ("ours", "ci_low", "ci_high"))
        return f"{value:.3f} [{low:.3f}, {high:.3f}]{theirs}"
    theirs = "" if paper is None else f" ({100 * paper:g}%)"
    if not row["ours"]:
        return f"-{theirs}"
    value, low, high = (100 * float(row[key]) for key in ("ours", "ci_low", "ci_high"))
    return f"{value:.2f}% [{low:.2f}, {high:.2f}]{theirs}"

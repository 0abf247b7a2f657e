"""Claims that are judged on figures 3, 7 and 8: how many shadow models an attack needs."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from experiments.reproduction.judged_attacks import ONE, POOLED, Place
from experiments.reproduction.judging import Finding, Row, difference, triple
from experiments.reproduction.measured import LIRA_SWEPT

FIVE, TWENTY, FIFTY = "2", "8", "16"
"""Shadow models per side of which the paper's 5, "less than 20" and "less than 50" allow; half of them are a side's."""
CLOSE = 0.01
"""AUROCs that differ by less are the same: the last digit that the paper prints."""
NEARLY = 0.985
"""What the paper prints as 0.99."""


def findings(
    losses: tuple[str, Sequence[Row]],
    tables: Mapping[str, Sequence[Row]],
    epochs: Mapping[Place, int] | None = None,
) -> Iterator[Finding]:
    """The claims about numbers of shadow models.

    Args:
        losses: source and rows of figure 3's paired differences between all shadow models and few.
        tables: source -> rows of figures 3, 7 and 8.
        epochs: place -> epochs; None if all were trained equally long.
    """
    yield from _losses(*losses, epochs or {})
    for source, rows in tables.items():
        swept = {}
        for row in rows:
            if row["attack"] == LIRA_SWEPT:
                key = row["mixture"], row["selection"], row["population"], row["metric"]
                swept.setdefault(key, {})[row["num_shadow"]] = triple(row)
        for (mixture, selection, population, metric), sizes in swept.items():
            for claim, size, threshold, above in _limits(mixture, selection, population, metric):
                if size in sizes:
                    case = f"{population}, {size} per side"
                    yield Finding(claim, mixture, selection, case, sizes[size], np.nan, source, threshold, above)
            if (population, metric) == ("over", "auroc") and {"all", FIFTY} <= sizes.keys():
                claim = "thousand" if mixture.startswith("mnist") else "hundred"
                value, case = difference(sizes["all"], sizes[FIFTY]), f"over, all minus {FIFTY} per side"
                yield Finding(claim, mixture, selection, case, value, np.nan, source, CLOSE)


def _limits(mixture: str, selection: str, population: str, metric: str) -> Iterator[tuple[str, str, float, bool]]:
    """The claims about one number of a sweep: claim, number of models per side, threshold, above it."""
    if population != "under":
        return
    if (selection, metric) == ("random", "auroc"):
        yield "two_hundred", "all", NEARLY, False
    elif (selection, metric) == ("singletons", "auroc"):
        yield "twenty_auroc", TWENTY, NEARLY, True
        if mixture == "cifar10_cifar100":
            yield "one_model", "1", ONE, True
    elif (selection, metric) == ("singletons", POOLED):
        yield "twenty_tpr", TWENTY, ONE, True


def _losses(source: str, rows: Sequence[Row], epochs: Mapping[Place, int]) -> Iterator[Finding]:
    """AUROC with all shadow models less that with few, on the under-represented group."""
    losses = {(row["mixture"], row["selection"], row["num_shadow"]): triple(row, "difference") for row in rows}
    for mixture in dict.fromkeys(key[0] for key in losses):
        for claim, selection, size in (("few", "singletons", FIVE), ("fifty", "random", FIFTY)):
            if value := losses.get((mixture, selection, size)):
                case = f"all minus {size} per side"
                yield Finding(claim, mixture, selection, case, value, 0.0, source, CLOSE, above=False)
        places = [(mixture, selection) for selection in ("random", "singletons")]
        ones = [losses.get((*place, "1")) for place in places]
        if all(ones):
            equal = len({epochs.get(place) for place in places}) == 1
            name, case = "random - singletons", "all minus 1 per side"
            yield Finding("fewer", mixture, name, case, difference(*ones), np.nan, source, comparable=equal)

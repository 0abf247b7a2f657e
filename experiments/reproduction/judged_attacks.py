"""Claims that are judged on tables 2, 3 and 5: attacks by population and by selection."""

from collections.abc import Iterator, Mapping, Sequence

from experiments.reproduction import paper_numbers
from experiments.reproduction.judging import ATTACKS, OTHERS, Finding, Row, difference, triple
from mia_tf.attacks.lira import recommended_online

ONE, NEARLY_ALL = 0.995, 0.96
"""What the papers print as 1.0 or 100%, and as 96%."""
POOLED = "tpr_at_fpr_0.001"
_PAIRS = (("singletons", "subpopulation"), ("singletons", "random"))
Place = tuple[str, str]
"""Mixture and selection."""


def findings(
    tables: Mapping[str, Sequence[Row]],
    compared: Mapping[str, Sequence[Row]],
    others: Sequence[tuple[Place, int, str, Sequence[Row]]] = (),
    epochs: Mapping[Place, int] | None = None,
) -> Iterator[Finding]:
    """The claims about attacks.

    Args:
        tables: source -> rows of table 2, 3 or 5.
        compared: source -> rows of its paired differences.
        others: the same runs with other epochs: place, epochs, source, rows of `mia_tf.analyze`'s attacks.csv.
        epochs: place -> epochs of the runs in `tables`; None if all were trained equally long.
    """
    epochs = epochs or {}
    cells, sources = _cells(tables)
    yield from _within(cells, sources, compared)
    trained = {(place, epochs.get(place)): (cells, sources[place]) for place in sources}
    for place, other, source, rows in others:
        trained[place, other] = ({(*place, *key): value for key, value in _theirs(rows).items()}, source)
    yield from _between(trained)


def _cells(tables) -> tuple[dict, dict]:
    """(mixture, selection, attack, population, metric) -> (our triple, the paper's), and place -> source."""
    cells, sources = {}, {}
    for source, rows in tables.items():
        for row in rows:
            place = row["mixture"], row["selection"]
            unknown = not row["ours"] and row["metric"] != POOLED  # a TPR may be one that cannot be resolved
            if not row["num_models"] or unknown:
                continue
            name = row["attack"] or row["our_attack"]
            paper = float(row["paper"]) if row["paper"] else float("nan")
            cells[(*place, name, row["population"], row["metric"])] = triple(row), paper
            sources[place] = source
    return cells, sources


def _theirs(rows: Sequence[Row]) -> dict:
    """(attack, population, metric) -> (our triple, NaN) of an attacks.csv, by the paper's names of the attacks."""
    lira = recommended_online(int(rows[0]["num_targets"]))
    names = {ours: theirs for theirs, ours in paper_numbers.ATTACKS.items()} | {lira: "carlini"}
    wanted = [row for row in rows if row["attack"] in names and row["metric"] in ("auroc", POOLED)]
    return {
        (names[row["attack"]], row["population"], row["metric"]): (triple(row, "value"), float("nan")) for row in wanted
    }


def _within(cells: dict, sources: dict, compared: Mapping[str, Sequence[Row]]) -> Iterator[Finding]:
    """The claims that compare numbers of one run."""
    paired = {}
    for source, rows in compared.items():
        for row in rows:
            attacks, populations = ((row[key], row[f"other_{key}"]) for key in ("attack", "population"))
            key = row["mixture"], row["selection"], attacks, populations
            paired[key] = triple(row, "difference"), source
    for run, source in sources.items():
        alone = run[1] == "none"
        for attack in ATTACKS:
            under, whole = (cells.get((*run, attack, population, "auroc")) for population in ("under", "all"))
            value = paired.get((*_place(run, "under"), (attack, attack), ("under", "all")))
            if value and under and whole:
                claim = "alone" if alone else "under"
                yield Finding(claim, *_place(run, "under"), attack, value[0], _papers(under, whole), value[1])
            under, whole = (cells.get((*run, attack, population, POOLED)) for population in ("under", "all"))
            if under and whole and not alone:
                value = difference(under[0], whole[0])
                yield Finding("under_tpr", *run, attack, value, _papers(under, whole), source)
        for population in ("under", "all"):
            yield from _best(cells, paired, run, population, source)
            yield from _variances(cells, run, population, source)
        if run[1] == "singletons":
            yield from _perfect(cells, run, source)


def _place(run: Place, population: str) -> Place:
    """The run that a population was attacked in: memorized examples of one data set alone, in one of other models."""
    return (run[0], "again") if run[1] == "none" and population == "under" else run


def _best(cells: dict, paired: dict, run: Place, population: str, source: str) -> Iterator[Finding]:
    """LiRA against the best other attack of the paper, by AUROC (paired) and by TPR."""
    place, both = _place(run, population), (population, population)
    for claim, metric in (("lira", "auroc"), ("lira_tpr", POOLED)):
        lira = cells.get((*run, "carlini", population, metric))
        others = {name: cells.get((*run, name, population, metric)) for name in OTHERS}
        values = {name: paired.get((*place, ("carlini", name), both)) for name in OTHERS}
        if metric == "auroc":
            others = {name: cell for name, cell in others.items() if values[name]}
        others = {name: cell for name, cell in others.items() if cell}
        if not lira or not others:
            continue
        resolved = [name for name, cell in others.items() if cell[0][0] == cell[0][0]]
        best = max(resolved or others, key=lambda name: others[name][0][0])
        best_of_paper = max(others, key=lambda name: others[name][1])
        theirs = "" if others[best_of_paper][1] == others[best][1] else f" (the paper's is {best_of_paper})"
        paired_value = values[best] if metric == "auroc" else (difference(lira[0], others[best][0]), source)
        case = f"{population}, best other {best}{theirs}"
        yield Finding(claim, *place, case, paired_value[0], _papers(lira, others[best_of_paper]), paired_value[1])


def _variances(cells: dict, run: Place, population: str, source: str) -> Iterator[Finding]:
    """One variance for all examples against each example's own."""
    paper_s = cells.get((*run, "carlini", population, POOLED))
    fixed, own = (cells.get((*run, name, population, POOLED), paper_s) for name in ("lira_online_fixed", "lira_online"))
    if fixed is not own:
        value, place = difference(fixed[0], own[0]), _place(run, population)
        yield Finding("global_variance", *place, population, value, float("nan"), source)


def _perfect(cells: dict, run: Place, source: str) -> Iterator[Finding]:
    """How near to perfect LiRA is on singletons."""
    limits = (("auroc_1", "auroc", ONE), ("tpr_96", POOLED, NEARLY_ALL), ("tpr_100", POOLED, ONE))
    for claim, metric, threshold in limits:
        if cell := cells.get((*run, "carlini", "under", metric)):
            yield Finding(claim, *run, "under, carlini", *cell, source, threshold)


def _between(trained: dict) -> Iterator[Finding]:
    """The claims that compare selections of one mixture, for equal epochs if there are runs of them."""
    for mixture in dict.fromkeys(place[0] for place, _ in trained):
        for more, less in (*_PAIRS, ("subpopulation", "random")):
            a, b = (
                {epochs: audit_rows for (place, epochs), audit_rows in trained.items() if place == (mixture, selection)}
                for selection in (more, less)
            )
            shared = [epochs for epochs in a if epochs in b]
            pairs = [(a[epochs], b[epochs], epochs) for epochs in shared]
            if not pairs and a and b:
                pairs = [(next(iter(a.values())), next(iter(b.values())), "unequal")]
            for one, other, epochs in pairs:
                yield from _order(mixture, more, less, one, other, epochs)


def _order(mixture: str, more: str, less: str, one: tuple, other: tuple, epochs) -> Iterator[Finding]:
    """AUROC and TPR on one selection less that on another, for every attack."""
    ending = "" if epochs is None else f", {epochs} epochs"
    place, sources = (mixture, f"{more} - {less}"), "; ".join(dict.fromkeys((one[1], other[1])))
    for attack in ATTACKS:
        for metric in ("auroc", POOLED):
            a = one[0].get((mixture, more, attack, "under", metric))
            b = other[0].get((mixture, less, attack, "under", metric))
            if not a or not b:
                continue
            about = {"comparable": epochs != "unequal", "source": sources}
            value, paper = difference(a[0], b[0]), _papers(a, b)
            if metric == POOLED:
                if more == "singletons":
                    yield Finding("order_tpr", *place, attack + ending, value, paper, **about)
                continue
            if more == "singletons":
                yield Finding("order", *place, attack + ending, value, paper, **about)
            elif (mixture, attack) == ("mnist_svhn", "sablayrolles"):
                yield Finding("subpopulation", *place, attack + ending, value, paper, **about)
            if (more, less) == _PAIRS[0]:
                reverse = f"{less} - {more}"
                value = difference(b[0], a[0])
                yield Finding("sub_better", mixture, reverse, attack + ending, value, -paper, **about)
            elif (mixture, more, attack) == ("cifar10_cifar100", "singletons", "carlini"):
                yield Finding("unreliable", *place, attack + ending, value, paper, **about)


def _papers(a: tuple, b: tuple) -> float:
    """The paper's difference."""
    return round(a[1] - b[1], 6)

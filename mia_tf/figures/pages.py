"""The figures of an audit, each laid out on a page of its own with its footnote.

`audit` is a `mia_tf.Audit`; nothing of the analysis is imported, so that an Audit can draw itself (`Audit.plot`).
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mia_tf.figures import attacks, examples, memorization, ood, privacy_scores, roc, style, sweep
from mia_tf.records import shown_populations
from mia_tf.validation import check_choice

_MOST_PANELS, _MOST_ROWS = 3, 7
"""Populations that have panels of their own, or a dot in each row; the footnote names the others."""
_USUAL_GROUPS, _LINE = 2, 0.17
"""Groups whose lines in a legend the usual height of a figure has room for, and the inches of a further line."""
_LONGEST_NAME = 16
"""Characters of a class's name beside its row of examples."""
_NEEDED = {
    "privacy_scores": ("privacy_score",),
    "memorization": ("memorization", "privacy_score"),
    "memorization_histogram": ("memorization",),
    "privacy_score_ood": ("privacy_score", "ood_msp"),
    "memorization_ood": ("memorization", "ood_msp"),
    "examples": ("memorization",),
}
"""Figure -> the columns of the records without which it would be empty."""
_OOD = {"privacy_score_ood": ("privacy_score", "privacy score"), "memorization_ood": ("memorization", "memorization")}
"""Figure -> the column of the records that is drawn against OOD scores, and what it is called."""
NAMES = (
    *("roc", "attacks", "sweep", "privacy_scores", "memorization", "memorization_histogram"),
    *_OOD,
    "examples",
)
"""The usual figures; some audits have no numbers for some."""
ON_REQUEST = ("roc_all",)
"""Further figures, which are only drawn on request: roc_all has a curve for every variant of an attack."""
_FAMILIES = ("song", "sablayrolles", "lira", "rmia", "label")
"""How the names of attacks begin that have variants."""


def pages(audit, images: np.ndarray | None = None, names: Sequence[str] | None = None) -> Iterator[tuple[str, Figure]]:
    """Draws every figure for which the audit has numbers; yields its name and the figure.

    Args:
        audit: the finished numbers.
        images: (rows, H, W, C) uint8, the pictures of the records by their column `row`; None if there are none.
        names: of NAMES and ON_REQUEST; None for NAMES.
    """
    for name in NAMES if names is None else names:
        figure = page(audit, name, images)
        if figure is not None:
            yield name, figure


def page(audit, name: str, images: np.ndarray | None = None) -> Figure | None:
    """Draws one figure on its page; None if there are no numbers for it. Arguments as for `pages`."""
    if name in _without_numbers(audit):
        return None
    return _PAGES[name](audit) if name != "examples" else None if images is None else _examples(audit, images)


def _without_numbers(audit) -> tuple[str, ...]:
    """The figures that have nothing to show, because no logits were kept or no example was IN and OUT."""
    return tuple(
        name
        for name, columns in _NEEDED.items()
        if not all(np.isfinite(audit.column(column)).any() for column in columns)
    )


def _roc(all_variants: bool) -> Callable[..., Figure | None]:
    """What draws the ROC of every attack, or of every variant of it."""

    def draw(audit) -> Figure | None:
        shown = [name for name in _shown(audit, _MOST_PANELS) if audit.curve(name)]
        if not shown:  # no attack could be resolved
            return None
        attacks_run = audit.attacks["attack"].unique()
        drawn = attacks_run if all_variants else main_variants(attacks_run, audit.about.get("recommended", ""))
        figure = style.new_figure(3.6 * len(shown), 3.9 + 0.17 * len(drawn))
        for ax, population in zip(figure.subplots(1, len(shown), squeeze=False)[0], shown, strict=True):
            draw_roc(ax, audit, population, all_variants)
        words = "" if len(drawn) == len(attacks_run) else "Other variants of these attacks: figure roc_all."
        _footnote(figure, audit, words, _MOST_PANELS)
        return figure

    return draw


def main_variants(names: Iterable[str], recommended: str) -> list[str]:
    """Returns one variant of each attack, in the order of all figures.

    Args:
        names: of the attacks, with their variants.
        recommended: the LiRA that the number of models recommends. If it was not run, its offline form is taken.
    """
    preferred = (recommended, recommended.replace("online", "offline"))
    known = list(style.attack_styles(names))
    known.sort(key=lambda name: preferred.index(name) if name in preferred else len(preferred))
    main = {}
    for name in known:
        family = name.split("_")[0]
        main.setdefault(family if family in _FAMILIES else name, name)
    return list(style.attack_styles(main.values()))


def draw_roc(ax: Axes, audit, population: str, all_variants: bool = False) -> None:
    """Draws the ROC of every attack, or of every variant of it, on one population."""
    auroc = {a: value for (a, p), (value, *_) in audit.metric("auroc").items() if p == population}
    if not all_variants:
        auroc = {name: auroc[name] for name in main_variants(auroc, audit.about.get("recommended", ""))}
    points = audit.curve(population)
    curves = {attack: points.get(attack, ((), ())) for attack in auroc}
    roc.draw_roc(ax, curves, auroc, 1 / max(audit.num_nonmembers(population), 1), _title(audit, population))


def _attacks(audit) -> Figure | None:
    if not len(audit.attacks):
        return None
    figure = style.new_figure(10, 1.2 + 0.2 * (1 + len(_shown(audit, _MOST_ROWS))) * _num_attacks(audit))
    metrics = audit.shown_metrics
    panels = figure.subplots(1, len(metrics), sharey=True)
    for ax, metric in zip(panels, metrics, strict=True):
        attacks.draw_attacks(ax, metric, audit.metric(metric), _series(audit))
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
    smallest = 100 * min(map(attacks.smallest_rate, metrics))
    words = f"Lines are 95% intervals; a triangle at the edge is a rate below {smallest:g}%."
    _footnote(figure, audit, words, _MOST_ROWS)
    return figure


def _sweep(audit) -> Figure | None:
    if not len(audit.sweep):
        return None
    shown = _shown(audit, _MOST_PANELS)
    figure = style.new_figure((5.2, 7.2)[len(shown) > 1], 5.4 + 0.17 * _num_attacks(audit))
    metrics = audit.shown_metrics[:2]
    panels = figure.subplots(len(metrics), len(shown), sharex=True, squeeze=False)
    for across, metric in zip(panels, metrics, strict=True):
        for ax, population in zip(across, shown, strict=True):
            sweep.draw_sweep(ax, metric, audit.swept(metric, population))
    for ax, population in zip(panels[0], shown, strict=True):
        ax.set(title=_title(audit, population), xlabel="")
    for ax in panels[:, 1:].flat:
        ax.set_ylabel("")
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=len(shown) + 1)
    _footnote(figure, audit, sweep.CAPTION, _MOST_PANELS)
    return figure


def draw_panel(ax: Axes, audit, name: str) -> None:
    """Draws one figure but "examples" on an axes: all examples, AUROC or MSP if the page has more panels.

    Raises:
        InputError: the audit has no numbers for it.
    """
    missing = {name: not len(audit.curves) for name in ("roc", "roc_all")}
    missing |= {"attacks": not len(audit.attacks), "sweep": not len(audit.sweep)}
    missing |= dict.fromkeys(_without_numbers(audit), True)
    check_choice(
        "figure", name, [known for known in (*NAMES, *ON_REQUEST) if known != "examples" and not missing.get(known)]
    )
    match name:
        case "roc" | "roc_all":
            draw_roc(ax, audit, "all", all_variants=name == "roc_all")
        case "attacks":
            attacks.draw_attacks(ax, "auroc", audit.metric("auroc"), _series(audit))
            style.legend_below(ax)
        case "sweep":
            sweep.draw_sweep(ax, "auroc", audit.swept("auroc", "all"))
            style.legend_below(ax)
        case "privacy_scores":
            privacy_scores.draw_privacy_scores(ax, *of_drawn_groups(audit, "privacy_score"))
        case "memorization":
            columns = "memorization", "privacy_score"
            spearman = by_group_id(audit, *columns)
            memorization.draw_memorization(ax, *of_drawn_groups(audit, *columns), spearman=spearman)
        case "memorization_histogram":
            values, *groups = of_drawn_groups(audit, "memorization")
            edges = memorization.histogram_edges(values, audit.models_per_side)
            memorization.draw_memorization_histogram(ax, values, *groups, edges=edges)
        case _:
            _draw_against_ood(ax, audit, name, "ood_msp")


def _one_panel(name: str, height: float) -> Callable[..., Figure]:
    """What draws a page with one panel."""

    def draw(audit) -> Figure:
        figure = style.new_figure(5, height + further_height(audit))
        draw_panel(figure.subplots(), audit, name)
        _footnote_of_groups(figure, audit)
        return figure

    return draw


def _against_ood(name: str) -> Callable[..., Figure]:
    """What draws one of _OOD."""

    def draw(audit) -> Figure:
        figure = style.new_figure(7.2, 3.8 + 2 * further_height(audit))
        for ax, detector in zip(figure.subplots(1, len(ood.OOD_LABELS), sharey=True), ood.OOD_LABELS, strict=True):
            _draw_against_ood(ax, audit, name, detector)
            ax.label_outer()
        _footnote_of_groups(figure, audit, ood.MSP_WORDS)
        return figure

    return draw


def _draw_against_ood(ax: Axes, audit, name: str, detector: str) -> None:
    column, label = _OOD[name]
    correlations = by_group_id(audit, column, detector)
    scores, values, *groups = of_drawn_groups(audit, detector, column)
    ood.draw_against_ood(ax, detector, scores, values, label, *groups, spearman=correlations)


def _examples(audit, images: np.ndarray) -> Figure:
    num_classes = audit.about["num_classes"]
    shown = min(num_classes, examples.MAX_CLASSES)
    rows = audit.records["row"].to_numpy()
    drawn = rows[audit.group_ids < style.MOST_GROUPS]
    values = np.full(len(images), np.nan)
    values[drawn], group_ids, titles = of_drawn_groups(audit, "memorization")
    labels, groups = np.full(len(images), -1), np.zeros(len(images), np.int64)
    labels[rows], groups[drawn] = class_ids(audit), group_ids
    chosen = examples.choose_examples(values, labels, shown, np.random.default_rng(0))
    figure = style.new_figure(*examples.figure_size(shown))
    names = [_shortened(str(name)) for name in audit.about["classes"] or range(num_classes)][:shown]
    examples.draw_examples(figure.subplots(), chosen, images, values, groups, titles, names)
    few = f" The first {shown} of {num_classes} classes." if shown < num_classes else ""
    caption = f"Random examples within {examples.WITHIN} of each level; a dash if the class has no more.{few}"
    _footnote_of_groups(figure, audit, caption)
    return figure


def _shortened(name: str) -> str:
    """A name of a class, as much of it as stands beside its row."""
    return style.literal(name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}\N{HORIZONTAL ELLIPSIS}")


_PAGES = {
    "roc": _roc(all_variants=False),
    "roc_all": _roc(all_variants=True),
    "attacks": _attacks,
    "sweep": _sweep,
    "privacy_scores": _one_panel("privacy_scores", 3.6),
    "memorization": _one_panel("memorization", 4.3),
    "memorization_histogram": _one_panel("memorization_histogram", 3.6),
    **{name: _against_ood(name) for name in _OOD},
}


def class_ids(audit) -> np.ndarray:
    """(N,) int64 labels of the records, whose names are replaced by their places among the classes."""
    labels = audit.records["label"]
    classes = audit.about["classes"]
    return labels.to_numpy() if classes is None else labels.map({name: k for k, name in enumerate(classes)}).to_numpy()


def by_group_id(audit, x: str, y: str) -> dict[int | str, tuple[float, float]]:
    """Group id, or "all" -> Spearman's (rho, p) of two columns of the records."""
    ids = {name: position for position, name in enumerate(audit.groups)}
    return {ids.get(str(name), str(name)): pair for name, pair in audit.correlation(x, y).items()}


def scale(audit) -> str:
    """The footnote of every figure: the scale, and whatever stands in for real data."""
    about = audit.about
    counts = [
        f"{np.count_nonzero(audit.group_ids == group):,} {'' if title == 'examples' else title}".strip()
        for group, title in enumerate(audit.group_titles)
    ]
    models = f"{audit.num_models:,} {about['arch']} model{'s' * (audit.num_models != 1)}".replace("  ", " ")
    sentence = f"{about['name']}: {models}, {' + '.join(counts)} examples.".removeprefix(": ")
    return style.literal("\n".join(filter(None, (sentence, about["stand_in"], *about["notes"]))))


def of_drawn_groups(audit, *columns: str) -> tuple:
    """Columns (n,) float64 of the records of the first `style.MOST_GROUPS` groups, their group ids, and titles."""
    ids = audit.group_ids
    drawn = ids < style.MOST_GROUPS
    titles = tuple(map(style.literal, audit.group_titles[: style.MOST_GROUPS]))
    return *(audit.column(name)[drawn] for name in columns), ids[drawn], titles


def further_height(audit) -> float:
    """The inches of a legend's lines for the drawn groups beyond the usual ones."""
    return _LINE * max(min(len(audit.groups), style.MOST_GROUPS) - _USUAL_GROUPS, 0)


def not_drawn(left_out: Sequence[str]) -> str:
    """The sentence of a footnote that names what is only in the tables; "" if nothing is left out."""
    return style.literal(f"Not drawn, but in the tables: {', '.join(left_out)}.") if left_out else ""


def _shown(audit, most: int | None) -> list[str]:
    """The populations that are drawn."""
    return shown_populations(audit.populations)[:most]


def _footnote(figure: Figure, audit, words: str = "", most: int | None = None) -> None:
    """The footnote of a figure: words of its own, the scale, and the populations that it leaves out beyond `most`."""
    _write_footnote(figure, audit, words, _shown(audit, None)[most:] if most else ())


def _footnote_of_groups(figure: Figure, audit, words: str = "") -> None:
    """The footnote of a figure of `of_drawn_groups`."""
    _write_footnote(figure, audit, words, audit.group_titles[style.MOST_GROUPS :])


def _write_footnote(figure: Figure, audit, words: str, left_out: Sequence[str]) -> None:
    style.footnote(figure, "\n".join(filter(None, (words, not_drawn(left_out), scale(audit)))))


def _title(audit, population: str) -> str:
    return {"all": "All examples", "under": "Under-represented examples"}.get(population, style.literal(population))


def _series(audit) -> dict[str, tuple[str, style.GroupStyle]]:
    """Name of a population -> what legends call it, and its look."""
    groups = {name: style.group_style(position) for position, name in enumerate(audit.groups)}
    shown = _shown(audit, _MOST_ROWS)
    own = {name: (style.literal(name), groups[name]) for name in shown if name in groups}
    return own | {name: look for name, look in attacks.POPULATIONS.items() if name in shown}


def _num_attacks(audit) -> int:
    return audit.attacks["attack"].nunique()

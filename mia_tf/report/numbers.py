"""The numbers of a report as one plain dict, which is report.json and all that the page shows."""

import math
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from mia_tf import __version__
from mia_tf.analysis.group_memorization import FEWEST_RECORDS
from mia_tf.analysis.planning import HALF_WIDTH, smallest_visible_rate
from mia_tf.analysis.statistics import mean_interval
from mia_tf.attacks import attack_classes
from mia_tf.records import ALL
from mia_tf.report import unsettled, words

MOST_RECORDS, MOST_CLASSES = 10, 10
VARIABLES = ("target", "target_members")
"""Arguments of an audit that are no flags, and of which `Audit.about` has the name of a variable."""
_NEARLY = 0.95
"""Share of a false positive rate from which on a reached one is called by it."""


@dataclass(frozen=True)
class Source:
    """Where an audit comes from, beyond what it says itself.

    Attributes:
        title: what the page is called; None for the name of the data.
        written: the day, as 2026-01-31.
        commands: that compute these numbers again.
        settings: of the training; {} if unknown.
        data_notes: sentences on the data, such as on copies.
        table: where all records are.
    """

    title: str | None = None
    written: str = ""
    commands: Sequence[str] = ()
    settings: Mapping = field(default_factory=dict)
    data_notes: Sequence[str] = ()
    table: str = "audit.records"


def report_numbers(audit, source: Source, comparison: Mapping | None = None, limits: Sequence[Mapping] = ()) -> dict:
    """Computes what a report says.

    Args:
        audit: the finished audit.
        source: where it comes from.
        comparison: `comparison.compared`; None without another run.
        limits: `limits.checked`.

    Returns:
        Numbers, texts, lists and dicts, as JSON holds them; None for what is not known.
    """
    about, head = audit.about, _headline(audit.about)
    run = about.get("attacks", audit.attacks["attack"].unique().tolist())  # earlier versions had the table alone
    answer = _answer(head)
    return {
        "title": source.title or about["name"] or "An audit of membership inference",
        "written": source.written,
        "scale": _scale(audit),
        "stand_in": about["stand_in"],
        "answer": answer,
        "counts": _counts(answer),
        "records": _records(audit, source.table),
        "groups": _groups(audit, head),
        "classes": _classes(audit),
        "comparison": comparison,
        "limits": list(limits),
        "went_wrong": _went_wrong(audit, source),
        "not_tested": words.not_tested(run, sorted(attack_classes())),
        "unsettled": unsettled.unsettled(audit),
        "method": {
            "design": words.design(audit.num_models),
            "choice": None if head is None else words.choice(head),
            "attacks": list(map(words.attack_label, run)),
            "exposure_attack": words.attack_label(about["recommended"]),
            "exposure_fpr": about["headline_fpr"],
            "seed": about["seed"],
            "audit_versions": about["versions"],
            "report_versions": {"mia_tf": __version__, "Python": platform.python_version()},
            "commands": list(source.commands),
            "settings": dict(source.settings),
        },
        "glossary": words.GLOSSARY,
    }


def _headline(about: Mapping) -> Mapping | None:
    """The headline, whose attack is "first" if the recommended one had no scores."""
    head = about["headline"]
    if head is None or head["chosen"] != "recommended" or head["attack"] == about["recommended"]:
        return head
    return {**head, "chosen": "first"}


def _answer(head: Mapping | None) -> dict:
    """The headline's rate with all that is said of it."""
    if head is None:
        return {"sentences": words.answer(None, None), "attack_label": None, "chosen": None, "fpr": None, "tpr": None}
    measured, level = head["measured"][ALL], head["fpr"]
    triple = None if level is None else measured["metrics"][f"tpr_at_fpr_{level:g}"]
    level = level if triple else None
    smallest = reached = None
    if level is not None and triple is not None:
        tpr, low, high = triple
        smallest = smallest_visible_rate(level, tpr, low, high, measured["num_members"], measured["num_nonmembers"])
        reached = _reached(measured, level)
    auroc = measured["metrics"].get("auroc")
    return {
        "sentences": words.answer(head, smallest, level, reached),
        "attack": head["attack"],
        "attack_label": words.attack_label(head["attack"]),
        "chosen": head["chosen"],
        "fpr": level,
        "fpr_reached": reached,
        "tpr": triple,
        "auroc": auroc,
        "smallest_visible": smallest,
        "leak_seen": (triple is not None and triple[1] > level) or (auroc is not None and auroc[1] > 0.5),
        **{name: measured[name] for name in ("num_targets", "num_members", "num_nonmembers", "num_examples")},
    }


def _reached(measured: Mapping, level: float) -> float:
    """The false positive rate at a level's threshold if equal scores keep it well below; else the level itself."""
    reached = measured.get("reached", {}).get(f"tpr_at_fpr_{level:g}", level)  # earlier versions did not keep it
    whole = 2 / measured["num_nonmembers"]  # a level is seldom a whole number of non-members
    return reached if reached < min(_NEARLY * level, level - whole) else level


def _counts(answer: Mapping) -> dict | None:
    """The headline's rates of 1,000 records, or of as many more as make one wrongly accused."""
    if answer["tpr"] is None:
        return None
    of = max(1000, 10 ** math.ceil(-math.log10(answer["fpr"]) - 1e-9))  # at that rate at least one is wrongly accused
    accused, value, low, high = (round(of * rate) for rate in (answer["fpr_reached"], *answer["tpr"]))
    return {"of": of, "accused": accused, "recognised": value, "low": low, "high": high}


def _scale(audit) -> dict:
    """How much was measured."""
    counts = [int(np.count_nonzero(audit.group_ids == k)) for k in range(len(audit.groups))]
    return {
        "num_records": len(audit.records),
        "num_models": audit.about["num_models"],
        "num_targets": audit.about["num_targets"],
        "num_classes": audit.about["num_classes"],
        "arch": audit.about["arch"],
        "groups": dict(zip(audit.group_titles, counts, strict=True)),
    }


def _records(audit, table: str) -> dict:
    """The most exposed records, best known to the attack first."""
    known = audit.records[audit.records["exposure"].notna()].sort_values("rank")
    shown = known[known["exposure"] > 0][:MOST_RECORDS]
    rest = known[len(shown) :]
    titles = dict(zip(audit.groups, audit.group_titles, strict=True)) if len(audit.groups) > 1 else {}
    rows = [
        {
            "rank": int(row.rank),
            "row": row.row,
            "id": str(row.id),
            "label": str(row.label),
            "group": titles.get(row.group, ""),
            "exposure": triple(row.exposure, row.exposure_low, row.exposure_high),
            "memorization": maybe(row.memorization),
            "memorization_se": maybe(row.memorization_se),
        }
        for row in shown.itertuples(index=False)
    ]
    alike = int((rest["exposure_high"] >= shown["exposure_low"].min()).sum()) if len(shown) else 0
    return {
        "shown": rows,
        "recognised": int((known["exposure"] > 0).sum()),
        "known": len(known),
        "total": len(audit.records),
        "could_change_places": alike,
        "settled": _settled(audit),
        "table": table,
    }


def _settled(audit) -> dict | None:
    """How many records have a settled memorization, and what the others take; None if no memorization is known."""
    needed = audit.column("models_needed")
    needed = needed[np.isfinite(needed)]
    if not len(needed):
        return None
    counts = {
        "half_width": HALF_WIDTH,
        "settled": int(np.count_nonzero(needed <= audit.num_models)),
        "known": len(needed),
        "more_models": max(int(needed.max()) - audit.num_models, 0),
    }
    return {"sentence": words.settled(counts, audit.num_models), **counts}


def _groups(audit, head: Mapping | None) -> list[dict]:
    """The headline's attack on each population, and its mean memorization; empty with one group."""
    if head is None or len(head["measured"]) == 1:
        return []
    titles = {ALL: "all records", **dict(zip(audit.groups, audit.group_titles, strict=True))}
    return [
        {
            "name": titles[name],
            "num_records": int(np.count_nonzero(audit.mask(name))),
            "num_nonmembers": measured["num_nonmembers"],
            "tpr": None if head["fpr"] is None else measured["metrics"][f"tpr_at_fpr_{head['fpr']:g}"],
            "auroc": measured["metrics"].get("auroc"),
            "memorization": _mean_memorization(audit, "groups", name, audit.mask(name)),
        }
        for name, measured in head["measured"].items()
    ]


def _classes(audit) -> dict:
    """The classes with the highest mean exposure, by memorization if no exposure is known; the smallest come last."""
    by = "exposure" if audit.records["exposure"].notna().any() else "memorization"
    means = audit.records.groupby("label", sort=True)[by].agg(["mean", "count"]).dropna()
    means["enough"] = means["count"] >= FEWEST_RECORDS
    means = means.sort_values(["enough", "mean"], ascending=False, kind="stable")
    rows = []
    for label in means.index[:MOST_CLASSES]:
        chosen = (audit.records["label"] == label).to_numpy()
        row = {
            "name": str(label),
            "num_records": int(chosen.sum()),
            "exposure": _mean_exposure(audit.column("exposure")[chosen]),
            "memorization": _mean_memorization(audit, "classes", str(label), chosen),
        }
        rows.append(row)
    return {
        "by": by,
        "shown": rows,
        "total": len(means),
        "small": int((~means["enough"]).sum()),
        "fewest": FEWEST_RECORDS,
    }


def _went_wrong(audit, source: Source) -> list[str]:
    """Sentences on the models, the records and the data that are not as they should be."""
    sentences = [*audit.about["notes"], *source.data_notes]
    if audit.num_models == 1:
        sentences.append(
            "One model alone tells no memorization and no exposure: these need models without each record."
        )
        return sentences
    for name, words_for in (("n_in", "no model was trained on"), ("n_out", "every model was trained on")):
        count = int((audit.records[name] == 0).sum())
        if count:
            sentences.append(f"{words.counted(count, 'record')} cannot be measured, because {words_for} them.")
    return sentences


def _mean_memorization(audit, kind: str, name: str, chosen: np.ndarray) -> list[float | None] | None:
    """Mean memorization of one of the "groups" or "classes" with its interval; None without a value.

    Audits of earlier versions have the mean alone: their files do not hold what the interval needs.
    """
    if "mean_memorization" in audit.about:
        return audit.about["mean_memorization"][kind].get(name)
    values = audit.column("memorization")[chosen]
    values = values[np.isfinite(values)]
    return [float(values.mean()), None, None] if len(values) else None


def _mean_exposure(values: np.ndarray) -> list[float | None] | None:
    """Mean exposure, and its 95% interval over records; None without a value, of too few records no interval."""
    values = values[np.isfinite(values)]
    if len(values) < FEWEST_RECORDS:
        return [float(values.mean()), None, None] if len(values) else None
    return triple(*np.clip(mean_interval(values), 0, 1))


def maybe(value: float) -> float | None:
    """A float, or None for NaN and infinity, which JSON does not know."""
    return float(value) if np.isfinite(value) else None


def triple(value: float, low: float, high: float) -> list[float | None] | None:
    """A value with its interval; None if there is no value."""
    return None if np.isnan(value) else [float(value), maybe(low), maybe(high)]

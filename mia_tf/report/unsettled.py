"""What an audit leaves open, and how many models would settle it."""

from collections.abc import Iterator

import numpy as np

from mia_tf.analysis import planning
from mia_tf.analysis.evaluation import metric_names
from mia_tf.analysis.planning import HALF_WIDTH
from mia_tf.analysis.tables import rate_of
from mia_tf.records import ALL
from mia_tf.report.words import hundredths, percent

_MOST_RECORDS = 0.95
_MORE_RECORDS = "The attack recognises or misses few records, or records differ much: it takes more records."
_ONE_MODEL = "One attacked model does not show how models differ."


def unsettled(audit) -> list[dict]:
    """Returns the open questions of an audit.

    Returns:
        For each: `question`; `models`, how many models answer it; `of`, whether these are attacked models ("attacked")
        or the models behind the memorization ("trained"); and `note`. If more models alone do not answer it, or this
        is unknown, `models` is None and `of` is "more records" or "not known".
    """
    return [*_headline(audit), *_levels(audit), *_memorization(audit)]


def _headline(audit) -> Iterator[dict]:
    head = audit.about["headline"]
    measured = head and head["measured"][ALL]
    triple = measured["metrics"][f"tpr_at_fpr_{head['fpr']:g}"] if measured and head["fpr"] else None
    if not triple:
        return
    value, low, high = triple
    if low == high:  # there is nothing to halve
        return
    widths = [np.nan if width is None else width for width in measured["widths"][f"tpr_at_fpr_{head['fpr']:g}"]]
    needed = planning.models_to_halve(low, high, widths, measured["num_targets"])
    instead, reason = ("more records", _MORE_RECORDS) if measured["num_targets"] > 1 else ("not known", _ONE_MODEL)
    half = f"{hundredths((high - low) / 4)} percentage points"
    yield {
        "question": f"The headline, {percent(value)}, with an interval half as wide (about {half} either way)",
        "models": needed and int(np.ceil(needed * audit.about["num_targets"] / measured["num_targets"])),
        "of": "attacked" if needed else instead,
        "note": "" if needed else reason,
    }


def _levels(audit) -> Iterator[dict]:
    """The false positive rates of all records that no attack resolves, each with the models it takes."""
    rows = audit.attacks[audit.attacks["population"] == ALL]
    rows = rows[rows["metric"].str.startswith("tpr_at_fpr_") & ~rows["metric"].str.endswith("_per_target")]
    for metric, of_all in rows.groupby("metric", sort=False):
        nonmembers = int(of_all["num_nonmembers"].max())
        rate = rate_of(metric)
        needed = metric_names([rate])[metric]
        # With enough non-members it is members that are missing.
        if of_all["value"].notna().any() or not 0 < nonmembers < needed:
            continue
        yield {
            "question": f"The true positive rate at {percent(rate)} false positives, of which nothing is known yet",
            "models": planning.models_to_resolve(rate, audit.about["num_targets"], nonmembers),
            "of": "attacked",
            "note": f"{nonmembers:,} tests of non-members are there, {needed:,} are needed.",
        }


def _memorization(audit) -> Iterator[dict]:
    needed = audit.column("models_needed")
    needed = needed[np.isfinite(needed)]
    if not len(needed):
        return
    most = int(np.quantile(needed, _MOST_RECORDS, method="higher"))
    if most > audit.num_models:
        yield {
            "question": f"The memorization of {_MOST_RECORDS:.0%} of the records, each to {HALF_WIDTH} either way",
            "models": most,
            "of": "trained",
            "note": "",
        }

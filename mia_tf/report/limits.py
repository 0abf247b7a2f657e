"""Limits of the user's own (--fail_above), and whether the headline's attack exceeds them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mia_tf.records import ALL
from mia_tf.validation import fail

_FORM = re.compile(r"(?:tpr@(?P<fpr>[0-9.eE+-]+)|(?P<area>auroc)):(?P<limit>[0-9.eE+-]+)")


@dataclass(frozen=True)
class Limit:
    """A limit as it was given.

    Attributes:
        text: such as "tpr@0.01:0.05".
        metric: such as "tpr_at_fpr_0.01", or "auroc".
        value: the limit.
    """

    text: str
    metric: str
    value: float


def parse_limits(texts: Sequence[str]) -> list[Limit]:
    """The limits of --fail_above.

    Raises:
        InputError: a text is not of the form tpr@FPR:LIMIT or auroc:LIMIT with numbers in (0, 1).
    """
    return [_parse(text) for text in texts]


def _parse(text: str) -> Limit:
    match = _FORM.fullmatch(text)
    try:
        numbers = [float(match[name]) for name in ("fpr", "limit") if match and match[name] is not None]
    except ValueError:
        numbers = []
    if match is None or not numbers or not all(0 < number < 1 for number in numbers):
        fail("fail_above", text, "must be tpr@FPR:LIMIT or auroc:LIMIT with numbers in (0, 1), such as tpr@0.01:0.05")
    metric = "auroc" if match["area"] else f"tpr_at_fpr_{numbers[0]:g}"
    return Limit(text, metric, numbers[-1])


def checked(limits: Sequence[Limit], headline: Mapping | None) -> list[dict]:
    """Compares the headline's attack with limits.

    A limit is exceeded if the whole 95% interval lies above it. So if the limit is kept in truth, chance alone fails it
    at most once in forty times. A value above the limit is undecided if its interval holds the limit, and fails
    nothing.

    Args:
        limits: of `parse_limits`.
        headline: of `Audit.about`.

    Returns:
        For each limit: limit (the text), value, low, high, exceeded and verdict, a sentence.

    Raises:
        InputError: a limit is on a rate that was not measured, or that is not resolved. It is never taken for kept.
    """
    metrics = {} if headline is None else headline["measured"][ALL]["metrics"]
    resolved = {name: triple for name, triple in metrics.items() if triple is not None}
    rows = []
    for limit in limits:
        if limit.metric not in resolved:
            names = ", ".join(_written(name) for name in resolved if _written(name)) or "none"
            state = "is not resolved by this audit" if limit.metric in metrics else "was not measured by this audit"
            fail("fail_above", limit.text, f"names what {state}; resolved are: {names}")
        value, low, high = resolved[limit.metric]
        exceeded = low > limit.value
        kept = "kept" if high <= limit.value else "undecided, because the interval holds it"
        shown, least, most = (f"{100 * share:.4g}%" for share in (value, low, high))
        measured = f"{_written(limit.metric)} is {shown} (95% interval {least} to {most})"
        verdict = f"{measured}; the limit of {100 * limit.value:.10g}% is {'exceeded' if exceeded else kept}"
        row = {"limit": limit.text, "value": value, "low": low, "high": high}
        rows.append({**row, "exceeded": exceeded, "verdict": verdict})
    return rows


def _written(metric: str) -> str:
    """A metric as --fail_above names it; "" for others."""
    if metric == "auroc":
        return "auroc"
    rate = metric.removeprefix("tpr_at_fpr_")
    return f"tpr@{rate}" if rate != metric and not rate.endswith("per_target") else ""

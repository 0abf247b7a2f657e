"""The table of all claims that opens experiments/results/README.md, and where its numbers are from."""

import re
from collections.abc import Mapping, Sequence

import numpy as np

from experiments import runs
from experiments.reproduction import run_settings, sources
from experiments.reproduction.judging import CLAIMS, VERDICTS, Claim, Finding
from experiments.reproduction.markdown import ATTACK_NAMES, MIXTURES

_PLURAL = {"holds": "hold", "fails": "fail", "undecided": "are undecided", "not comparable": "are not comparable"}
_SCALES = {"full": ", all of MNIST", "paper": ", the paper's network", "many": ", hundreds of models"}
"""What a comparison says of the scale that it is from; nothing of the scale that most are from."""
_PLURAL |= {"not measured here": "are not measured here"}


def verdicts(findings: Sequence[Finding], scales: Sequence[str], number: int = 1) -> dict[str, str]:
    """Returns the verdict of every claim by its name, on the comparisons of all scales, each one among `number`."""
    models = max((finding.num_models for finding in findings), default=0) or max(map(num_models, scales))
    return {name: claim.verdict(of(findings, name), models, number) for name, claim in CLAIMS.items()}


def num_models(scale: str) -> int:
    """Returns the planned number of models of a run of a scale."""
    return run_settings.by_place(scale)["mnist_svhn", "random"].num_experiments


def of(findings: Sequence[Finding], claim: str) -> list[Finding]:
    """Returns the comparisons of one claim."""
    return [finding for finding in findings if finding.claim == claim]


def headline(findings: Sequence[Finding], scales: Sequence[str]) -> list[str]:
    """Returns how many claims there are of each verdict, how many comparisons count, and both after Bonferroni."""
    by_claim, corrected = (list(verdicts(findings, scales, number).values()) for number in (1, max(1, len(findings))))
    counting = [finding for name, claim in CLAIMS.items() for finding in claim.counted(of(findings, name))]
    single = [finding.verdict for finding in counting]
    counts, made, after = (
        ", ".join(_counted(few.count(verdict), verdict) for verdict in VERDICTS if verdict in few)
        for few in (by_claim, single, [verdict for verdict in corrected if verdict in VERDICTS[:3]])
    )
    still = [finding.among(len(findings)).verdict for finding in counting].count("holds")
    return [
        f"**Of {len(by_claim)} claims: {counts}.**",
        f"{len(findings)} comparisons were made. {len(counting)} of them have as many models as their claim needs, and "
        f"count: {made} ({still} still hold after Bonferroni).",
        f"Claims after Bonferroni over all comparisons: {after}.",
    ]


def _counted(count: int, verdict: str) -> str:
    """A number of claims or comparisons with their verdict, such as "2 are undecided"."""
    plural = _PLURAL.get(verdict, verdict)
    singular = verdict if verdict in ("holds", "fails") else plural.replace("are ", "is ")
    return f"{count} {singular if count == 1 else plural}"


def table(findings: Sequence[Finding], scales: Sequence[str]) -> list[str]:
    """Returns one row per claim: claim, paper, ours, verdict, scale."""
    lines = ["| claim | paper | ours | verdict | scale |", "|---|---|---|---|---|"]
    for name, verdict in verdicts(findings, scales).items():
        claim, compared = CLAIMS[name], of(findings, name)
        quote = f'<a id="{name}"></a>{_where(claim)}: "{claim.quote}"'
        cells = (
            quote,
            claim.stated or "no number",
            _ours(claim, compared),
            f"**{verdict}**",
            _scale(claim, compared, verdict, scales),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _where(claim: Claim) -> str:
    """The place in the papers."""
    if claim.paper == "lira":
        return f"LiRA, {claim.section}"
    kind = "§" if claim.section[0].isdigit() else "Appendix "
    return "Abstract" if claim.section == "abstract" else f"{kind}{claim.section}"


def _ours(claim: Claim, findings: Sequence[Finding]) -> str:
    """The reading, in how many comparisons it holds, the least favourable one, and the CSVs."""
    reading = claim.reading[:1].upper() + claim.reading[1:]
    if not findings:
        return reading
    findings = claim.counted(findings) or findings
    comparable = [finding for finding in findings if finding.comparable]
    holding = [finding.verdict for finding in comparable].count("holds")
    counts = f"{holding} of {len(comparable)} comparisons" if comparable else "no comparison"
    word = "" if claim.need == "all" else f" ({claim.need} must hold)"
    if claim.need == "some":
        widened = [finding.among(len(comparable)).verdict for finding in comparable].count("holds")
        counts += f", in {widened or 'none'} after Bonferroni"
    sentence = least_favourable(comparable or findings, most=claim.need == "some")
    named = dict.fromkeys(source for finding in findings for source in finding.source.split("; "))
    links = ", ".join(f"[{source.split('/')[0]}]({source})" for source in named)
    end = "Most" if claim.need == "some" else "Least"
    return f"{reading}. Holds in {counts}{word}. {end} favourable: {sentence}. {links}"


def least_favourable(findings: Sequence[Finding], most: bool = False) -> str:
    """Returns the comparison that speaks most against a claim, or most for it: by its verdict, then by its number."""
    order = {"fails": 0, "undecided": 1, "holds": 2}

    def favour(finding: Finding) -> tuple[int, float]:
        margin = (finding.value[0] - finding.threshold) * (1 if finding.above else -1)
        unresolved = -np.inf if most else np.inf  # says least
        return order.get(finding.verdict, 1), unresolved if np.isnan(margin) else margin

    return sentence((max if most else min)(findings, key=favour))


def sentence(finding: Finding) -> str:
    """Returns one comparison: where, its number, its interval and the paper's."""
    value, low, high = finding.value
    paper = "" if finding.paper != finding.paper else f", paper {finding.paper:.2f}"
    case = finding.case
    for attack, name in ATTACK_NAMES.items():
        case = re.sub(rf"\b{attack}\b", name, case)
    number = "not resolved" if value != value else f"{value:.3f} [{low:.3f}, {high:.3f}]"
    place = f"{MIXTURES[finding.mixture]} ({finding.selection}{_SCALES.get(finding.scale, '')})"
    return f"{place}, {case}: {number}{paper}"


def _scale(claim: Claim, findings: Sequence[Finding], verdict: str, scales: Sequence[str]) -> str:
    """How much was measured, or what a measurement would cost."""
    parts = []
    counted = claim.counted(findings) or findings
    if judged := [finding for finding in counted if finding.comparable] or counted:
        count = len(dict.fromkeys(finding.mixture for finding in judged))
        models = sorted({finding.num_models or _planned(finding) for finding in judged} - {0})
        sizes = [f"{' or '.join(f'{n:,}' for n in models)} models"] if models else []
        parts.append(", ".join([*sizes, f"{count} mixture{'s' * (count > 1)}"]))
        named = [name for name in scales[1:] if any(finding.scale == name for finding in judged)]
        parts += [f"also --scale={' and '.join(named)}"] if named else []
    if verdict == "cannot be judged at this scale":
        parts.append(f"needs {claim.min_models:,} models")
    if verdict == "not comparable":
        parts.append("trained for different epochs")
    made = {(finding.mixture, name) for finding in findings for name in finding.selections}
    known = runs.runs(scales[0])
    absent = [name for name in claim.runs if name in known and (known[name].mixture, known[name].selection) not in made]
    if absent:
        cost = sources.minutes(absent, scales[0])
        price = "not known" if cost is None else f"about {cost:g} min on {runs.SCALES[scales[0]].machine}"
        parts.append(f"missing: {', '.join(f'`{name}`' for name in absent)} ({price})")
    return "; ".join([*parts, *filter(None, [claim.remark])])


def _planned(finding: Finding) -> int:
    """How many models the run of a comparison is planned with; 0 if it is none of the scale's runs."""
    known = run_settings.by_place(finding.scale)
    places = [(finding.mixture, name) for name in finding.selections]
    return min((known[place].num_experiments for place in places if place in known), default=0)


def provenance(findings: Sequence[Finding]) -> list[str]:
    """Returns one row per CSV: the command that makes it, and the seeds of its runs."""
    seeds: dict[str, dict[str, None]] = {}
    scales = {source: finding.scale for finding in findings for source in finding.source.split("; ")}
    for finding in findings:
        for source in finding.source.split("; "):
            for selection in sources.selections(source, finding.selection):
                if seed := run_settings.seeds(finding.scale, finding.mixture, selection):
                    seeds.setdefault(source, {})[f"{selection} {seed}"] = None
    lines = ["| CSV | command | seed of each selection |", "|---|---|---|"]
    for source, names in sorted(seeds.items()):
        lines.append(
            f"| [{source}]({source}) | `{sources.command(source, scales[source])}` | {', '.join(sorted(names))} |"
        )
    return lines


def against(findings: Sequence[Finding]) -> list[str]:
    """Returns a bullet per claim that can be judged, with its comparisons that fail."""
    lines = []
    for name, claim in CLAIMS.items():
        failed = [finding for finding in claim.counted(of(findings, name)) if finding.verdict == "fails"]
        if failed:
            lines.append(f"- [{_where(claim)}](#{name}): {claim.reading}.")
            lines += [f"  - {sentence(finding)}" for finding in failed]
    return lines or ["None."]


def cells(finding: Finding) -> Mapping[str, object]:
    """Returns a row of claims/SCALE.csv."""
    names = ("claim", "mixture", "selection", "case")
    value, low, high = finding.value
    commands = dict.fromkeys(sources.command(source, finding.scale) for source in finding.source.split("; "))
    return {
        **{name: getattr(finding, name) for name in names},
        "value": value,
        "ci_low": low,
        "ci_high": high,
        "paper": finding.paper,
        "holds": f"{'above' if finding.above else 'below'} {finding.threshold:g}",
        "verdict": finding.verdict,
        "source": finding.source,
        "command": "; ".join(commands),
        "seed": run_settings.seeds(finding.scale, finding.mixture, finding.selection),
    }

"""The sentences of a report: plain words around finished numbers."""

from collections.abc import Mapping, Sequence

import numpy as np

from mia_tf.figures.style import attack_styles

_CHOSEN = {
    "halves": "the strongest attack",
    "only": "the only attack that was run",
    "recommended": "the recommended attack",
    "first": "the first attack with scores",
}
_ROUNDING = 1e-9
"""A share below this is a rounding error of zero: no audit has enough pairs to measure it."""


def attack_label(name: str) -> str:
    """What people call an attack, as in the figures."""
    return attack_styles([name])[name].label


def percent(value: float | None) -> str:
    """A share in percent; a dash for None."""
    if value is None:
        return "\N{EN DASH}"
    return f"{hundredths(value)}%"


def hundredths(value: float) -> str:
    """A share in percent without its unit, or a difference in points: tenths from 10 on, else two digits."""
    if abs(value) < _ROUNDING:
        return "0"
    if abs(value) >= 0.1:
        digits = f"{100 * value:.1f}".removesuffix(".0")
    else:
        digits = np.format_float_positional(100 * value, precision=2, fractional=False, trim="-")
    return digits.replace("-", "\N{MINUS SIGN}")


def number(value: float | None, digits: int = 2) -> str:
    """A number with a fixed number of decimals; a dash if there is none."""
    return "\N{EN DASH}" if value is None else f"{value:z.{digits}f}".replace("-", "\N{MINUS SIGN}")


def one_in(rate: float) -> str:
    """A small rate in words: "1 in 100"."""
    times = 1 / rate
    whole = abs(times - round(times)) < 1e-6
    return f"1 in {round(times):,}" if whole else percent(rate)


def accused(fpr: float, reached: float) -> str:
    """How many non-members an attack accuses that may have the rate `fpr`; equal scores can leave it a lower one."""
    if reached < fpr:
        limit = f"at most {percent(fpr)} were allowed, and equal scores leave no threshold between"
        return f"{percent(reached)} of the non-members are wrongly accused ({limit})"
    allowed = one_in(fpr)
    who = f"{allowed} non-members is" if allowed.startswith("1 in") else f"{allowed} of the non-members are"
    return f"{who} wrongly accused"


def answer(
    headline: Mapping | None, smallest: float | None, fpr: float | None = None, reached: float | None = None
) -> list[str]:
    """The two paragraphs that a report begins with.

    Args:
        headline: of `Audit.about`, its `chosen` "first" if the recommended attack has no scores; None if the targets'
            training records are unknown.
        smallest: the smallest visible true positive rate; None if there is none.
        fpr: the false positive rate at which it was measured; None if no rate is resolved.
        reached: the false positive rate at its threshold, at most `fpr`; None as `fpr`.
    """
    if headline is None:
        return [
            "No leak was measured, because it is unknown which records the attacked model was trained on.",
            "The audit holds scores alone: the higher an attack's score, the more likely was the record trained on.",
        ]
    who = f"{_CHOSEN[headline['chosen']]} ({attack_label(headline['attack'])})"
    measured = headline["measured"]["all"]
    models = counted(measured["num_targets"], "measured model")
    size = f"With {models} and {measured['num_nonmembers']:,} tests of non-members"
    auroc = measured["metrics"].get("auroc")
    if auroc is None:
        sides = {"members": measured["num_members"], "non-members": measured["num_nonmembers"]}
        missing = [side for side, count in sides.items() if not count]
        reason = f"there are no {missing[0]} to compare" if missing else f"{who} has no scores on both sides"
        return [f"Nothing could be measured: {reason}.", f"{size}, no leak could be seen."]
    value, low, high = auroc
    higher = (
        f"gives a member the higher score than a non-member {percent(value)} of the time "
        f"(95% interval {percent(low)} to {percent(high)}); guessing would, 50% of the time."
    )
    if fpr is None or reached is None:
        return [
            f"Too few non-members were tested for any rate: {who} {higher}",
            f"{size}, no true positive rate can be distinguished from guessing.",
        ]
    rate, low_rate, high_rate = measured["metrics"][f"tpr_at_fpr_{fpr:g}"]
    recognises = (
        f"recognises {percent(rate)} of the training records "
        f"(95% interval {percent(low_rate)} to {percent(high_rate)}) "
        f"when {accused(fpr, reached)}; guessing would recognise {percent(reached)}."
    )
    limit = (
        f"no leak at a false positive rate of {percent(fpr)} could"
        if smallest is None
        else f"a true positive rate below {percent(smallest)} at a false positive rate of {percent(fpr)} cannot"
    )
    size = f"{size}, {limit} be distinguished from guessing."
    if low_rate <= fpr and low > 0.5:
        return [
            f"A leak was seen, but none at {percent(fpr)} false positives: {who} {higher}",
            f"It {recognises} {size}",
        ]
    sentence = f"{who} {recognises}"
    first = sentence[0].upper() + sentence[1:] if low_rate > fpr else f"No leak was seen: {sentence}"
    return [first, f"It {higher} {size}"]


def choice(headline: Mapping) -> str:
    """How the headline's attack was chosen."""
    measured = headline["measured"]["all"]["num_targets"]
    label = attack_label(headline["attack"])
    if headline["chosen"] == "halves":
        return (
            f"{len(headline['candidates'])} attacks were tried. The highest true positive rate on "
            f"{headline['num_choosing']} target models, drawn at random, chose {label}; the headline and the rates by "
            f"group were measured on the other {measured}. So the choice does not raise the number."
        )
    if headline["chosen"] == "only":
        return f"{label} was the only attack that was run. It was measured on {counted(measured, 'target model')}."
    reason = (
        "the attack that the number of shadow models recommends"
        if headline["chosen"] == "recommended"
        else "the first in a fixed order that could score the records, which the recommended one could not"
    )
    return (
        f"With {counted(measured, 'target model')} there are no two halves to choose on and to measure on. {label} is "
        f"{reason}; the results of the others played no part."
    )


def design(num_models: int) -> str:
    """Which models had which records."""
    if num_models == 1:
        return "One model was attacked, without shadow models. Some of the records were in its training data."
    return "The records were in the training data of some models and not of others."


def counted(count: int, noun: str) -> str:
    """A number and its noun, which takes an s unless there is one: "3 models"."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def settled(counts: Mapping, num_models: int) -> str:
    """Which records are settled with the existing models, and how many more would settle the others.

    Args:
        counts: half_width, settled, known and more_models, as in the numbers of a report.
        num_models: number of models.
    """
    first = (
        f"With {counted(num_models, 'model')} the memorization of {counts['settled']:,} of "
        f"{counted(counts['known'], 'record')} is settled: its 95% interval is at most {counts['half_width']} wide "
        "either way."
    )
    if not counts["more_models"]:
        return first
    rest = counts["known"] - counts["settled"]
    others = "the other one" if rest == 1 else f"the other {rest:,}" if counts["settled"] else "them"
    return f"{first} {counted(counts['more_models'], 'more model')} would settle {others}."


def not_tested(attacks: Sequence[str], known: Sequence[str]) -> list[str]:
    """What no audit of this kind tests, and the attacks that this one left out."""
    left_out = [attack_label(name) for name in known if name not in attacks]
    sentences = [
        "Stronger attacks may exist. A measured leak bounds the true one from below, never from above.",
        "Only membership was tested: not the extraction of records, nor their attributes, nor poisoned training data.",
        "The numbers are of the models attacked here. A model that is trained otherwise may leak more or less.",
    ]
    if left_out:
        sentences.append(f"These attacks were not run: {'; '.join(left_out)}.")
    return sentences


def cost_and_gain(numbers: Mapping) -> list[str]:
    """One sentence per run with DP."""
    sentences = []
    plain, *others = numbers["runs"]
    for run in others:
        parts = []
        if plain["accuracy"] and run["accuracy"]:
            parts.append(f"accuracy went from {percent(plain['accuracy'][0])} to {percent(run['accuracy'][0])}")
        if numbers["fpr"] is not None and plain["tpr"] and run["tpr"]:
            parts.append(
                f"the true positive rate at {percent(numbers['fpr'])} false positives "
                f"from {percent(plain['tpr'][0])} to {percent(run['tpr'][0])}"
            )
        if plain["memorization"] and run["memorization"]:
            parts.append(
                f"mean memorization from {number(plain['memorization'][0])} to {number(run['memorization'][0])}"
            )
        sentences.append(f"{run['label']}: {', '.join(parts)}.")
    return sentences


GLOSSARY = {
    "Member": "a record that a model was trained on; all others are non-members.",
    "Target": "a model that is attacked.",
    "Shadow model": "a model that is trained as the target is, on other records, to learn how members differ.",
    "Attack": "a rule that gives each record a score: the higher, the more likely it is a member.",
    "False positive rate (FPR)": "the share of the non-members that are wrongly called members.",
    "True positive rate (TPR)": "the share of the members that are rightly called members. Guessing has TPR = FPR.",
    "AUROC": "how often a member's score exceeds a non-member's: 50% is guessing, 100% is always.",
    "95% interval": "the range that holds the true value in 95 of 100 such measurements.",
    "Memorization": "how much more often models get a record right if they were trained on it; 0 is no more often.",
    "Exposure": "the share of the models trained on a record in which LiRA, one of the attacks, recognises it.",
}
"""Ten words of a report and what they mean."""

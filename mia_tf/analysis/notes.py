"""What a reader must know before believing an audit's numbers: models that learnt nothing, are missing, or differ."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from scipy.special import ndtri

from mia_tf.analysis.evaluation import Evaluation, Population
from mia_tf.analysis.statistics import CONFIDENCE
from mia_tf.labels import right_by_chance
from mia_tf.records import ALL
from mia_tf.shadow.outputs import SMALLEST_FLOOR
from mia_tf.shadow.shadow_models import ShadowModels
from mia_tf.validation import listed

_EACH_MODELS_OWN = {"seed", "expid", "num_experiments"}
"""Settings in which the models of a run may differ."""


def notes(
    shadows: ShadowModels,
    targets: ShadowModels | None,
    right: np.ndarray,
    trained_on: np.ndarray,
    digests: Sequence[bytes],
) -> list[str]:
    """One sentence for each thing that is not as it should be.

    Args:
        shadows: the shadow models.
        targets: the models that are attacked, if they are others.
        right: (T,) how many of its own training examples each attacked model classifies correctly.
        trained_on: (T,) how many it was trained on; 0 if unknown.
        digests: of the answers of each model, the targets' first if they are others.
    """
    attacked = shadows if targets is None else targets
    sentences = list(_at_chance(attacked, right, trained_on))
    if shadows.outputs == "probabilities" and shadows.has_logits:
        reason = "" if shadows.floor == SMALLEST_FLOOR else ": half the smallest that a model returned"
        sentences.append(f"Probabilities below {shadows.floor:.3g} count as that{reason}.")
    records = {"models": shadows} if targets is None else {"targets": targets, "shadow models": shadows}
    sentences += _same_answers(records, digests)
    sentences += _epochs(records)
    sentences += _settings(records)
    for record in records.values():
        sentences += record.about.notes
        if record.about.planned and len(record) < record.about.planned:
            sentences.append(f"{len(record)} of {record.about.planned} models are complete; these were analyzed.")
    return sentences


def below_chance(
    evaluations: Mapping[tuple[str, int | None, str], Evaluation], mean_memorization: list[float | None] | None
) -> Iterator[str]:
    """Says that membership may be inverted if an AUROC or the mean memorization lies significantly below chance.

    There are as many chances to err as numbers. So each 95% interval is widened until all of them together err as
    often as one (Bonferroni's correction).

    Args:
        evaluations: (attack, shadow models per side, population) -> its Evaluation.
        mean_memorization: of all examples with its interval, as `group_memorization.means_with_intervals` returns it.
    """
    numbers = {}
    if mean_memorization is not None and None not in mean_memorization:
        numbers["the mean memorization"] = (*mean_memorization, 0.0)
    numbers |= {
        f"the AUROC of {name}": (*evaluation.metrics["auroc"], 0.5)
        for (name, size, population), evaluation in evaluations.items()
        if size is None and population == ALL
    }
    if not numbers:
        return
    tail = (1 - CONFIDENCE) / 2
    wider = ndtri(tail / len(numbers)) / ndtri(tail)
    below = [name for name, (value, _, high, chance) in numbers.items() if value + wider * (high - value) < chance]
    if below:
        yield (
            f"Below chance: {listed(below, 3)}. The membership may be inverted: it must be True for the examples that "
            "a model was trained on, False for the others."
        )


def one_sided(population: Population) -> Iterator[str]:
    """Says which examples are in no rate, or why nothing is measured, because members or non-members are missing."""
    members = population.keep[population.examples]
    left_out = len(members) - int(np.count_nonzero(population.pooled))
    if members.all():
        yield (
            "All examples are members of the attacked models. Without non-members no false positive rate can be "
            "measured: there are scores alone."
        )
    elif not members.any():
        yield (
            "No example is a member of an attacked model. Without members no true positive rate can be measured: "
            "there are scores alone."
        )
    elif left_out:
        yield f"{left_out:,} of {len(members):,} examples are in no rate: all models or none were trained on them."


def _same_answers(records: Mapping[str, ShadowModels], digests: Sequence[bytes]) -> Iterator[str]:
    """Says which models of a record answered alike for all examples."""
    start = 0
    for name, record in records.items():
        own = digests[start : start + len(record)]
        start += len(record)
        counts = Counter(own)
        alike = [model.name for model, digest in zip(record.models, own, strict=True) if counts[digest] > 1]
        if alike:
            yield (
                f"{len(alike)} of {len(record)} {name} gave the same answers as another one for all examples "
                f"({listed(alike, 5)}): a model is there twice, or its training used neither its rows nor its seed."
            )


def _epochs(records: Mapping[str, ShadowModels]) -> Iterator[str]:
    """Says how many models are of which epoch if they are of several; early stopping is one reason."""
    epochs = {name: Counter(model.epoch for model in record.models) for name, record in records.items()}
    if len(set().union(*epochs.values()) - {None}) > 1:
        counts = [
            f"{count} {name} of {'unknown epoch' if epoch is None else f'epoch {epoch}'}"
            for name, counter in epochs.items()
            for epoch, count in sorted(counter.items(), key=lambda item: (item[0] is None, item[0]))
        ]
        yield f"Epochs differ: {', '.join(counts)}. The last of each model counts; --epoch takes one that all have."


def _settings(records: Mapping[str, ShadowModels]) -> Iterator[str]:
    """Says which settings differ between the models of a LOGDIR that has no configuration for all of them."""
    for name, record in records.items():
        if record.about.plan is not None:
            continue
        hparams = list(filter(None, (model.hparams() for model in record.models)))
        counts = {
            key: Counter(str(one.get(key)) for one in hparams)
            for key in sorted(set().union(*hparams) - _EACH_MODELS_OWN)
        }
        differ = [
            f"{key} ({listed([f'{count} have {value}' for value, count in counter.most_common()], 3)})"
            for key, counter in counts.items()
            if len(counter) > 1
        ]
        if differ:
            yield f"By their hparams.json the {name} differ in {', '.join(differ)}."


def _at_chance(attacked: ShadowModels, right: np.ndarray, trained_on: np.ndarray) -> Iterator[str]:
    """Says which models are no better on their own training examples than a model that learnt nothing."""
    names = []
    for k in np.flatnonzero(trained_on):
        labels = attacked.labels[attacked.models[k].member]
        # Of one class alone a model that learnt nothing may have all right, or none.
        chance = right_by_chance(labels) if np.ptp(labels) > 0 else 0
        if right[k] <= chance:
            names.append(attacked.models[k].name)
    if names:
        verb = "is" if len(names) == 1 else "are"
        yield (
            f"{len(names)} of {len(trained_on)} attacked models {verb} no better than chance on their own training "
            f"examples ({listed(names, 5)}). What learnt nothing cannot leak, so this audit may show too little. "
            "If they did learn, the columns of their answers are not in the order of the classes."
        )

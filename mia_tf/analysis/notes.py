"""What a reader must know before believing an audit's numbers: models that learnt nothing, are missing, or differ."""

from collections import Counter
from collections.abc import Iterator, Mapping

import numpy as np

from mia_tf.labels import right_by_chance
from mia_tf.shadow.shadow_models import ShadowModels
from mia_tf.validation import listed

_EACH_MODELS_OWN = {"seed", "expid", "num_experiments"}
"""Settings in which the models of a run may differ."""


def notes(shadows: ShadowModels, targets: ShadowModels | None, right: np.ndarray, trained_on: np.ndarray) -> list[str]:
    """One sentence for each thing that is not as it should be.

    Args:
        shadows: the shadow models.
        targets: the models that are attacked, if they are others.
        right: (T,) how many of its own training examples each attacked model classifies correctly.
        trained_on: (T,) how many it was trained on; 0 if unknown.
    """
    attacked = shadows if targets is None else targets
    sentences = list(_at_chance(attacked, right, trained_on))
    if shadows.outputs == "probabilities" and shadows.has_logits:
        sentences.append(
            f"Probabilities below {shadows.floor:.3g} count as that: half the smallest that a model returned."
        )
    records = {"models": shadows} if targets is None else {"targets": targets, "shadow models": shadows}
    sentences += _epochs(records)
    sentences += _settings(records)
    for record in records.values():
        sentences += record.about.notes
        if record.about.planned and len(record) < record.about.planned:
            sentences.append(f"{len(record)} of {record.about.planned} models are complete; these were analyzed.")
    return sentences


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
    names = [
        attacked.models[k].name
        for k in np.flatnonzero(trained_on)
        if right[k] <= right_by_chance(attacked.labels[attacked.models[k].member])
    ]
    if names:
        yield (
            f"{len(names)} of {len(trained_on)} attacked models are no better than chance on their own training "
            f"examples ({listed(names, 5)}). What learnt nothing cannot leak, so this audit may show too little."
        )

"""What a LOGDIR says of itself in its report: settings, notes on the data, commands."""

from collections.abc import Iterator
from pathlib import Path

from mia_tf.analysis.evaluation import FPR_LEVELS
from mia_tf.analysis.per_target import METRIC
from mia_tf.analysis.tables import rate_of
from mia_tf.attacks import attack_classes
from mia_tf.report.numbers import Source
from mia_tf.store import Store

_NOTES = ("pixels", "validation", "empty classes", "copies", "without", "selection")
"""The keys of dataset.json's `sources` that a reader of the numbers must know."""


def source(audit, store: Store, folder: Path, options: str, command: str, written: str) -> Source:
    """The Source of a LOGDIR.

    Args:
        audit: the audit of its analysis.
        store: the LOGDIR.
        folder: of its analysis.
        options: that name the LOGDIRs in a command.
        command: that writes this report again.
        written: the day.
    """
    about = store.about()
    sources = about.get("sources", {})
    settings = {name: value for name, value in store.config().items() if value not in (None, "", [], {})}
    return Source(
        title=about["name"],
        written=written,
        commands=[" ".join([f"python -m mia_tf.analyze {options}", *_options(audit, store.has_images)]), command],
        settings={name: str(value) for name, value in settings.items()},
        data_notes=[sources[name] for name in _NOTES if sources.get(name)],
        table=str(folder / "examples.csv"),
    )


def _options(audit, has_x: bool) -> Iterator[str]:
    """The flags of the analysis that are not as they are by default."""
    attacks = audit.attacks["attack"].unique().tolist()
    needs = {name: set(attack.needs) for name, attack in attack_classes().items()}
    there = {"logits"} | ({"x"} if has_x else set())
    if any("epochs" in needs.get(name, ()) for name in attacks):
        yield "--epoch=all"
        there.add("epochs")
    if attacks and set(attacks) != {name for name in needs if needs[name] <= there}:
        yield f"--attacks={','.join(attacks)}"
    metrics = [name for name in audit.attacks["metric"].unique() if name.startswith("tpr_") and name != METRIC]
    levels = tuple(map(rate_of, metrics))
    if levels and levels != FPR_LEVELS:
        yield f"--fpr={','.join(f'{level:g}' for level in levels)}"
    if len(audit.sweep):
        yield f"--num_shadow={','.join(map(str, audit.sweep['num_shadow'].unique()))}"
    if audit.about["delta"] is not None:
        yield f"--delta={audit.about['delta']:g}"
    if audit.about["seed"]:
        yield f"--seed={audit.about['seed']}"

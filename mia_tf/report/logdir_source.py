"""What a LOGDIR says of itself in its report: settings, notes on the data, commands."""

from pathlib import Path

from mia_tf.report.numbers import Source
from mia_tf.store import Store

_NOTES = ("pixels", "validation", "empty classes", "copies", "without", "selection")
"""The keys of dataset.json's `sources` that a reader of the numbers must know."""


def source(store: Store, folder: Path, command: str, written: str) -> Source:
    """The Source of a LOGDIR.

    Args:
        store: the LOGDIR.
        folder: of its analysis.
        command: that writes this report again.
        written: the day.
    """
    about = store.about()
    sources = about.get("sources", {})
    settings = {name: value for name, value in store.config().items() if value not in (None, "", [], {})}
    return Source(
        title=about["name"],
        written=written,
        commands=[f"python -m mia_tf.analyze --logdir={store.logdir}", command],
        settings={name: str(value) for name, value in settings.items()},
        data_notes=[sources[name] for name in _NOTES if sources.get(name)],
        table=str(folder / "examples.csv"),
    )

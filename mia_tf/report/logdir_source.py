"""What a LOGDIR says of itself in its report: settings, notes on the data, commands."""

from collections.abc import Iterator
from pathlib import Path

from mia_tf.report.numbers import VARIABLES, Source
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
    known = "arguments" in audit.about  # earlier versions did not keep them
    analysis = [" ".join([f"python -m mia_tf.analyze {options}", *_options(audit)])] if known else []
    sources = about.get("sources", {})
    settings = {name: value for name, value in store.config().items() if value not in (None, "", [], {})}
    return Source(
        title=about["name"],
        written=written,
        commands=[*analysis, command],
        settings={name: str(value) for name, value in settings.items()},
        data_notes=[sources[name] for name in _NOTES if sources.get(name)],
        table=str(folder / "examples.csv"),
    )


def _options(audit) -> Iterator[str]:
    """The flags of the analysis that are not as they are by default."""
    for name, value in audit.about["arguments"].items():
        if name not in VARIABLES:
            yield f"--{name}={','.join(map(str, value)) if isinstance(value, list) else value}"

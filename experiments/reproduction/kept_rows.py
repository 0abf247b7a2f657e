"""Rows of an earlier CSV whose runs are elsewhere: a table that is made anew keeps them."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from experiments.reproduction import sources

Place = tuple[str, str]
"""Mixture and selection; the selection is "" in a table of one selection alone."""
_OF_A_RUN = ("ours", "num_models")
"""The columns that are all empty in rows of runs that were not there; a rate that is not resolved has its models."""


def place_of(row: Mapping) -> Place:
    """Returns where a row's numbers are from; two selections that are compared stand as "MORE - LESS"."""
    return str(row.get("mixture", "")), str(row.get("selection", ""))


def earlier_runs(rows: Mapping[str, Mapping[str, str]]) -> str:
    """What a footnote says of kept runs: title -> one of its rows; "" for none."""
    about = []
    for title, row in rows.items():
        sizes = [f"{int(row[group]):,}" for group in ("num_over", "num_under") if row.get(group)]
        examples = f"{' + '.join(sizes)} examples" if sizes else ""
        about.append(", ".join(filter(None, (title, f"{int(row['num_models']):,} models", examples, row.get("note")))))
    return f"Of earlier runs: {'; '.join(about)}." if about else ""


def with_kept(path: Path, rows: Sequence[Mapping], present: Collection[Place]) -> tuple[list[Mapping], list[Place]]:
    """Returns the rows to write, and the places whose rows are taken from the CSV as it is.

    Args:
        path: the CSV, which may not be there.
        rows: the new rows, all with the same keys.
        present: the places whose runs the new rows are made of.

    Only rows of places that are not present are kept, and only if one of them is of a run. They take the place of the
    new rows of these places, which are of none. New columns are empty in them.
    """
    old = sources.rows(path.parent, path.name)
    if not old or not rows or "mixture" not in rows[0]:
        return list(rows), []
    mixtures = {mixture for mixture, _ in present}

    def is_present(place: Place) -> bool:
        mixture, selection = place
        if not selection:
            return mixture in mixtures
        return any((mixture, one) in present for one in selection.split(" - "))

    def of_a_run(row: Mapping) -> bool:
        return any(row.get(column, "") != "" for column in _OF_A_RUN) or not any(column in row for column in _OF_A_RUN)

    places = list(dict.fromkeys(place_of(row) for row in old if not is_present(place_of(row)) and of_a_run(row)))
    kept = [row for row in old if place_of(row) in places]
    fresh = [row for row in rows if place_of(row) not in places]
    order = {place: number for number, place in enumerate(dict.fromkeys(map(place_of, (*old, *rows))))}
    merged = [*fresh, *({key: row.get(key, "") for key in rows[0]} for row in kept)]
    return sorted(merged, key=lambda row: order[place_of(row)]), places

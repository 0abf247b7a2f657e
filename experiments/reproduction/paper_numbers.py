"""What the papers report, as data: experiments/paper/*.csv, copied from their text as printed.

Attack names are the papers': yeom, shokri, sablayrolles, song, carlini (LiRA). AUROCs are shares, accuracies and true
positive rates are percentages, an empty cell is N/A. figures.csv has what the text says of the figures, whose plotted
numbers it does not have, and the tables in a sentence each.
"""

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path

FOLDER = Path(__file__).parent.parent / "paper"
ATTACKS = {"yeom": "yeom", "shokri": "shokri", "sablayrolles": "sablayrolles", "song": "song"}
"""The papers' name -> ours; "carlini" is the online LiRA that `recommended_online` names for the number of models."""


def table(name: str) -> list[dict[str, str]]:
    """The rows of a table of Choi et al., "table1" to "table5"."""
    with open(FOLDER / f"{name}.csv", newline="") as file:
        return list(csv.DictReader(file))


def statements(item: str) -> list[dict[str, str]]:
    """What the text says of a figure or a side experiment: rows of place, relation, value, where and says.

    `where` names the rows of our table that `value` is about (`beside`); it, `relation` and `value` may be empty.

    Raises:
        KeyError: there is nothing of that name.
    """
    rows = [row for row in table("figures") if row["item"] == item]
    if not rows:
        raise KeyError(item)
    return rows


def beside(item: str, rows: Iterable[Mapping]) -> list[dict]:
    """The rows of a figure's table with one more column, `paper`: what the text has for each, "" for nothing."""
    marked = []
    for statement in statements(item):
        if statement["where"]:
            wanted = dict(pair.split("=") for pair in statement["where"].split(";"))
            marked.append((wanted, f"{statement['relation']} {statement['value']}".strip()))
    return [{**row, "paper": next((text for wanted, text in marked if _is(row, wanted)), "")} for row in rows]


def _is(row: Mapping, wanted: Mapping[str, str]) -> bool:
    """Whether a row has the wanted cells; "a|b" is either."""
    return all(str(row[name]) in cells.split("|") for name, cells in wanted.items())


def attack_numbers(name: str) -> list[dict]:
    """A table of attacks as one row per number.

    Returns:
        dicts of attack, mixture, selection, population ("all" | "under"), metric ("auroc" | "tpr_at_fpr_0.001") and
        paper: the number as a share.
    """
    rows = []
    for line in table(name):
        about = {key: line[key] for key in ("attack", "mixture", "selection")}
        for population in ("all", "under"):
            tpr = round(float(line[f"tpr_percent_{population}"]) / 100, 6)
            rows.append(
                {**about, "population": population, "metric": "auroc", "paper": float(line[f"auroc_{population}"])}
            )
            rows.append({**about, "population": population, "metric": "tpr_at_fpr_0.001", "paper": tpr})
    return rows


def accuracy_numbers(name: str) -> list[dict]:
    """Table 1 or 4 as one row per number.

    Returns:
        dicts of mixture, split ("train" | "test"), group ("over" | "under"), paper and paper_pm: the mean and half
        of the 95% interval that is printed, as shares; it is too wide to be that of a mean of 2,000 models.
    """
    return [
        {
            "mixture": line["mixture"],
            "split": split,
            "group": group,
            "paper": round(float(line[f"{split}_{group}"]) / 100, 6),
            "paper_pm": round(float(line[f"{split}_{group}_pm"]) / 100, 6),
        }
        for line in table(name)
        for split in ("train", "test")
        for group in ("over", "under")
        if line[f"{split}_{group}"]
    ]

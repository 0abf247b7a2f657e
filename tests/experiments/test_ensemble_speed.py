"""The benchmark of the ensemble engine: what it counts, compares and leaves out."""

import pytest

from experiments.benchmarks import ensemble_measure, ensemble_speed
from experiments.benchmarks.training_speed import flops_per_image


def test_operations_are_those_of_the_published_counts():
    # 0.556e9 multiply-adds forward (pytorch-cifar's ResNet-18), twice that backward; each is two operations
    operations = flops_per_image("resnet18", ensemble_measure.SHAPES["resnet18"])
    assert operations == pytest.approx(3 * 2 * 0.556e9, rel=0.01)


def test_a_model_of_the_paper_is_100_passes_over_70_percent_of_the_mixture():
    assert ensemble_speed.EXAMPLES_OF_A_MODEL == {"cnn32-3-max": 42_700, "resnet18": 35_700}
    assert set(ensemble_speed.EXAMPLES_OF_A_MODEL) <= set(ensemble_measure.SHAPES)


def test_every_method_is_measured_by_an_existing_function():
    named = ensemble_speed.methods("resnet18", [1, 4], ["float32", "bfloat16"], 2.0)
    assert {columns["method"] for columns, *_ in named} == {"fit", "reference", "ensemble"}
    for _, _, (what, *arguments) in named:
        function = getattr(ensemble_measure, what)
        assert function.__code__.co_argcount == len(arguments)


def test_ratios_are_taken_within_a_round_and_a_precision():
    speeds = {0: (100, 80, 900), 1: (50, 60, 600), 2: (100, 100, 700)}
    rows = [
        {"arch": "resnet18", "round": k, "precision": precision, "method": method, "images_per_second": factor * speed}
        for precision, factor in (("float32", 1), ("bfloat16", 3))
        for k, found in speeds.items()
        for method, speed in zip(("fit", "reference", "ensemble"), found, strict=True)
    ]
    lines = ensemble_speed.ratio_lines(rows)
    assert len(lines) == 2 and all("9.00 times" in line for line in lines)  # the median of 9, 10 and 7


def test_layers_are_a_row_each(monkeypatch):
    seconds = {"grouped": 0.002, "patches": float("inf"), "shifted": 0.001}
    monkeypatch.setattr(ensemble_speed, "in_own_process", lambda *_: {"8x8x1 -> 4, stride 1": seconds})
    (row,) = ensemble_speed.layer_rows("resnet18", 2, 8, "float32")
    assert row["grouped_ms"] == 2.0 and row["patches_ms"] == "" and row["fastest"] == "shifted"
    assert set(row) == set(ensemble_speed.LAYER_COLUMNS)


def test_what_cannot_be_measured_is_said(capsys):
    assert ensemble_speed.in_own_process("no_such_backend", "fit", "resnet18", 1) is None
    assert "left out, no_such_backend is not installed" in capsys.readouterr().out
    assert ensemble_speed.in_own_process("jax", "ensemble", "no-such-arch", 1, "float32", 1) is None
    assert "failed: KeyError: 'no-such-arch'" in capsys.readouterr().out


def test_a_measurement_is_made():
    measured = ensemble_speed.in_own_process("jax", "peak", "float32", 0.1)
    assert measured["flops"] > 1e8 and measured["device"]


def test_rows_are_kept_as_they_are_measured(tmp_path):
    table = ensemble_speed.Table(tmp_path / "new", "table.csv", ("a", "b"))
    for k in range(2):
        table.add({"b": k, "a": 10 * k})
        assert (tmp_path / "new" / "table.csv").read_text().splitlines()[1:] == ["0,0", "10,1"][: k + 1]

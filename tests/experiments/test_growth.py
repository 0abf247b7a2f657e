"""The benchmark of growth: slopes and predictions of made-up measurements, and one real run."""

import subprocess
from dataclasses import asdict

import pytest

from experiments.benchmarks import growth

POWERS = {"models": 1.0, "examples": 2.0, "classes": 0.5, "queries": 0.0}


def fabricated(command):
    """Rows that grow by these powers, beyond a start of 5."""
    base = growth.BASE[command]
    rows = []
    for grown, size in growth.sizes(command):
        factor = 1.0
        for axis, power in POWERS.items():
            factor *= (getattr(size, axis) / getattr(base, axis)) ** power
        taken = 5.0 if grown == "start" else 5.0 + 7.0 * factor
        rows.append({"command": command, "grown": grown, **asdict(size), **dict.fromkeys(growth.MEASURED, taken)})
    return rows


@pytest.mark.parametrize("command", growth.BASE)
def test_slopes_are_the_powers_beyond_the_start(command):
    lines = growth.slopes(fabricated(command))
    assert {line["grown"]: line["memory_mib"] for line in lines} == POWERS


def test_predictions_go_on_with_the_powers():
    rows = fabricated("analyze")
    first, *_ = growth.predicted(rows, growth.slopes(rows))
    base, wanted = growth.BASE["analyze"], growth.PREDICTED[0]
    factor = wanted.models / base.models * (wanted.examples / base.examples) ** 2
    assert first["cpu_seconds"] == round(5 + 7 * factor)


def test_every_size_is_measured_three_times():
    for command, base in growth.BASE.items():
        for axis, values in growth.GROWN[command].items():
            measured = [getattr(size, axis) for grown, size in growth.sizes(command) if grown in ("base", axis)]
            assert measured == list(values) and values[0] == getattr(base, axis)


def test_an_analysis_is_measured_with_its_scratch_files():
    taken = growth.measure("analyze", growth.SMALLEST["analyze"])
    assert taken["cpu_seconds"] > 0.1 and taken["memory_mib"] > 50
    assert 0.05 < taken["disk_mib"] < 10


def test_a_command_that_fails_is_no_measurement(tmp_path):
    with pytest.raises(subprocess.CalledProcessError) as failure:
        growth.run(["mia_tf.analyze", f"--logdir={tmp_path / 'none'}"], tmp_path)
    assert "logdir" in failure.value.stderr

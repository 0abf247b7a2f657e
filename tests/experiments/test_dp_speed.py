"""The benchmark of DP-SGD: all but the timing."""

import stat
import sys

import numpy as np
import pytest
from keras import layers

from experiments.benchmarks import dp_measure, dp_speed
from mia_tf import models

FAKE = """#!{python}
import json, sys
method, arch, threads, seconds, microbatch = sys.argv[3:]
if method == "broken":
    sys.exit("no such thing")
print("ready", flush=True)
sys.stdin.readline()
print(json.dumps(dict(images_per_second=int(threads), peak_mib=int(microbatch))))
"""


@pytest.fixture
def fake_python(tmp_path):
    """Stands in for a Python: its measurements are the arguments they were asked with."""
    path = tmp_path / "python"
    path.write_text(FAKE.format(python=sys.executable))
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


@pytest.mark.parametrize("arch", dp_speed.ARCHITECTURES)
def test_the_rivals_network_is_ours(arch):
    kinds = {
        layers.Conv2D: lambda layer: ("conv", layer.filters),
        layers.LeakyReLU: lambda layer: ("leaky", 0),
        layers.MaxPooling2D: lambda layer: ("pool", layer.pool_size[0]),
        layers.GlobalAveragePooling2D: lambda layer: ("mean", 0),
    }
    ours = models.build(arch, dp_measure.SHAPE, dp_measure.CLASSES, seed=0).layers[1:]
    assert dp_measure.network(arch) == [kinds[type(layer)](layer) for layer in ours]
    convolutions = [layer for layer in ours if isinstance(layer, layers.Conv2D)]
    assert {(c.kernel_size, c.padding, c.use_bias, c.strides) for c in convolutions} == {((3, 3), "same", True, (1, 1))}
    slopes = {layer.negative_slope for layer in ours if isinstance(layer, layers.LeakyReLU)}
    assert slopes == {dp_measure.LEAKY_SLOPE}


def test_processes_are_measured_together(fake_python):
    assert dp_speed.speed_and_memory(fake_python, "dp", "cnn8-3-max", 2, 3, 1.0, 64) == (6, 64)


def test_a_measurement_that_fails_says_why(fake_python):
    with pytest.raises(RuntimeError, match="broken of cnn8-3-max failed:\nno such thing"):
        dp_speed.speed_and_memory(fake_python, "broken", "cnn8-3-max", 2, 1, 1.0, 64)


def test_the_goals_are_of_ratios_within_a_round():
    rounds = [
        {"plain": 1000, "dp": 500, "dpmodel": 50, "dpmodel_xla": 100, "pytorch": 900, "opacus_hooks": 200},
        {"plain": 100, "dp": 40, "dpmodel": 5, "dpmodel_xla": 4, "pytorch": 90, "opacus_hooks": 20, "opacus_ghost": 30},
        {"plain": 10, "dp": 10, "dpmodel": 1, "dpmodel_xla": 1, "pytorch": 9, "opacus_hooks": 1, "opacus_ghost": 1},
    ]
    plain, dpmodel, opacus = dp_speed.goal_lines("cnn8-3-max", rounds, "one process")
    assert plain.startswith("cnn8-3-max, one process: a DP step costs 2.00 plain steps")
    assert plain.endswith("rounds: 2.00, 2.50, 1.00")
    assert dpmodel.endswith("rounds: 5.00, 8.00, 10.00") and " 8.00 times " in dpmodel
    assert opacus.endswith("rounds: 2.50, 1.33, 10.00") and " 2.50 times " in opacus
    ours = [{name: speeds[name] for name in dp_speed.OURS} for speeds in rounds]
    assert dp_speed.goal_lines("cnn8-3-max", ours, "two processes")[0].count("plain steps") == 1
    assert len(dp_speed.goal_lines("cnn8-3-max", ours, "two processes")) == 1


def test_repeated_counts_whole_calls(monkeypatch):
    clock = iter([0.0, 0.02, 0.04, 0.06])
    monkeypatch.setattr(dp_measure.time, "perf_counter", lambda: next(clock))
    calls = []
    assert dp_measure.repeated(lambda: calls.append(1), images=7)(0.05) == pytest.approx(3 * 7 / 0.06)
    assert len(calls) == 3


def test_every_method_can_be_asked_for():
    assert set(dp_measure.METHODS) == {*dp_speed.OURS, *dp_speed.TF_PRIVACY, *dp_speed.PYTORCH}


def test_the_peak_is_this_process_own():
    before = dp_measure.peak_mib()
    held = np.ones((before + 100) << 17)  # float64: as many MiB
    assert before + 100 <= dp_measure.peak_mib() < 2 * before + 200
    assert held[0] == 1  # still held

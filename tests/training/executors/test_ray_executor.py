"""Training on the machines of a Ray cluster: two nodes on this machine, some of which are killed."""

import dataclasses
import functools
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import fake_engines
import numpy as np
import pytest
import train_commands
from fake_engines import CONFIG, seed
from refusals import refuses
from toys import make_dataset

import mia_tf
from mia_tf import subsets
from mia_tf.config import TaskConfig
from mia_tf.progress import Progress
from mia_tf.run_options import RunOptions
from mia_tf.store import Store
from mia_tf.task import load_task
from mia_tf.task_training import open_store
from mia_tf.training import executors
from mia_tf.training.executors import ray_cluster, ray_executor
from mia_tf.training.executors.ray_trainer import Trainer

ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'mia_tf[ray]'")
REPOSITORY = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def cluster():
    """A cluster of one machine of one processor."""
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_worker_niceness", "0")  # at Ray's 15 the tests would wait for everything else here
        patch.setenv("RAY_BACKEND_LOG_LEVEL", "fatal")
        started = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
        patch.setenv("RAY_ADDRESS", started.address)
        yield started
        started.shutdown()


@pytest.fixture
def connected(cluster):
    """This process as the driver."""
    with ray_cluster.connected() as where:
        ray.cloudpickle.register_pickle_by_value(fake_engines)  # which the workers cannot import
        yield where


@pytest.fixture
def second(cluster, connected):
    """Another machine; it comes after the driver, which joins any machine of its own address, and is lost with it."""
    node = cluster.add_node(num_cpus=1)
    yield node
    if node in cluster.worker_nodes:
        cluster.remove_node(node)
    cluster.wait_for_nodes()  # the next driver would join a machine that is not known to be dead


def run(store, log, indices=range(10), workers=1, ensemble_size=2, **settings):
    start = functools.partial(fake_engines.start, ensemble_size=ensemble_size, log=log, **settings)
    return ray_executor.train_models(store, CONFIG, list(indices), start, workers, cpus=1, gpus=0)


def begun(log):
    """How often each model was begun."""
    seeds = [int(text) for path in log.iterdir() for text in path.read_text().split()]
    return [seeds.count(seed(index)) for index in range(10)]


def check_models(store, indices):
    """Every model is there with its own subset and its own answers."""
    plan = subsets.membership(CONFIG, 64)
    models = {model.index: model for model in store.models()}
    assert set(models) == set(indices)
    for index, model in models.items():
        np.testing.assert_array_equal(model.keep, plan[index])
        answers = np.random.default_rng(seed(index)).normal(size=(64, 1, 4)).astype(np.float32)
        np.testing.assert_array_equal(model.read_logits(), answers)
        assert model.hparams()["expid"] == index


def test_ray_leaves_sigterm_to_the_command(cluster):
    """Ray's own answer once ended the command by SIGABRT."""
    before = signal.getsignal(signal.SIGTERM)
    with ray_cluster.connected():
        assert signal.getsignal(signal.SIGTERM) == before


def test_a_machine_that_is_killed_in_the_middle_costs_nothing(connected, cluster, second, store, log, capfd):
    """It is killed while it trains; its models are begun again, those of the other machine are not."""
    there = second.all_processes["raylet"][0].process.pid

    def kill():
        while not list(log.glob(f"*-{there}")):
            time.sleep(0.02)
        cluster.remove_node(second, allow_graceful=False)

    killer = threading.Thread(target=kill)
    killer.start()
    assert run(store, log, workers=2, seconds=1.0) == {}
    killer.join()
    check_models(store, range(10))
    lost = [int(text) for text in next(iter(sorted(log.glob(f"*-{there}")))).read_text().split()]
    assert begun(log) == [1 + (seed(index) in lost) for index in range(10)]
    printed = capfd.readouterr().err
    assert re.search(r"a worker was lost \(.+\); its 2 models are tried again: its connection broke\n", printed), (
        printed
    )
    assert sorted(map(int, re.findall(r"\] model (\d+): train", printed))) == list(range(10))


def test_failures_and_models_of_others_are_named_as_locally(connected, store, log, capfd):
    with store.claim(9) as claimed:
        assert claimed
        failures = {}
        thread = threading.Thread(target=lambda: failures.update(run(store, log, fails=[seed(4)])))
        thread.start()
        while len(store.completed()) < 8:
            time.sleep(0.1)
        time.sleep(1.0)
        assert thread.is_alive()  # it waits for model 9
    thread.join()
    assert failures == {4: "the loss was not finite at step 1 of 2"}
    check_models(store, sorted(set(range(10)) - {4}))
    assert "waiting for 1 models that another process is training" in capfd.readouterr().err


def test_an_engine_that_breaks_off_is_started_anew(connected, store, log, tmp_path, capfd):
    assert run(store, log, dies=tmp_path / "died", dies_after=1, raises=True) == {}
    check_models(store, range(10))
    printed = capfd.readouterr().err
    assert "its 2 models are tried again: MemoryError: no room for the engine\n" in printed


def test_models_that_cost_every_worker_its_life_fail_and_the_others_go_on(connected, store, log, tmp_path):
    failures = run(store, log, range(4), dies=tmp_path / "no" / "such", dies_after=1, raises=True, workers=1)
    assert set(failures) == set(range(4)) and store.completed() == set()
    assert all(reason.startswith("its worker was lost 3 times: FileNotFoundError") for reason in failures.values())


def test_an_engine_that_cannot_be_started_is_said_in_one_line(connected, store, capfd):
    failures = ray_executor.train_models(store, CONFIG, [0, 1], fake_engines.refuse, 1, cpus=1, gpus=0)
    assert set(failures) == {0, 1}
    for reason in failures.values():
        assert re.fullmatch(r"no worker could be started: no device of that kind \(.+\)", reason), reason
    assert capfd.readouterr().err.count("a worker could not be started: no device of that kind") == 1


def test_a_head_that_does_not_answer_is_said_once(connected, store, log, monkeypatch, capfd):
    """Ray then ends the driver by itself, once without a word of why."""
    assert ray_cluster.head_answers()
    monkeypatch.setattr(ray_executor, "_PROBE_SECONDS", 0.0)
    monkeypatch.setattr(ray_cluster, "head_answers", lambda: False)
    assert run(store, log, range(4)) == {}
    assert capfd.readouterr().err.count("the head of the Ray cluster does not answer: if it stays away, Ray ends") == 1


class Unknown(Trainer):
    """A class of a module that the workers do not have, as where mia_tf is not installed or is too old."""


def test_a_machine_without_mia_tf_is_said_in_one_line(connected, store, log, monkeypatch):
    monkeypatch.setattr(ray_executor, "Trainer", Unknown)
    reason = "no worker could be started: ModuleNotFoundError: No module named 'test_ray_executor'"
    assert run(store, log, [0]) == {0: f"{reason} (a machine of the cluster)"}


def test_a_machine_with_another_version_is_not_used(connected, store, log, monkeypatch, capfd):
    monkeypatch.setattr(ray_executor.mia_tf, "__version__", "0.0.1")
    failures = run(store, log, [0, 1])
    assert all("and here it is 0.0.1" in reason for reason in failures.values()) and set(failures) == {0, 1}
    assert not list(log.iterdir())


def test_an_interrupt_keeps_all_that_came_back_and_releases_the_rest(connected, store, log, monkeypatch):
    def finished(self, index, message):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Progress, "finished", finished)
        run(store, log)
    assert len(store.completed()) == 1
    with store.claim_models(range(10)) as free:
        assert len(free) == 9
    assert run(store, log) == {}
    check_models(store, range(10))


def test_what_no_machine_has_is_refused(connected, capsys):
    options = RunOptions(Path("unused"), executor="ray")
    ray_executor.RayExecutor(options, "here")
    assert capsys.readouterr().out == "Ray: here, 1 machines with room for 1 workers of 1 CPUs and 0 GPUs each.\n"
    for name, value in (("threads_per_worker", 2), ("gpus_per_task", 0.5)):
        with refuses(name, value, "at most 1 CPUs and 0 GPUs"):
            ray_executor.RayExecutor(dataclasses.replace(options, **{name: value}), "here")


def test_a_dry_run_is_refused_as_the_training_would_be(cluster, own_arrays, tmp_path):
    """It once ended well, with an estimate for this machine."""
    arguments = [f"--dataset=npz:{own_arrays}", f"--logdir={tmp_path / 'run'}", *train_commands.TINY]
    options = ["--executor=ray", "--gpus_per_task=1", "--dry_run"]
    done = train_commands.run(*arguments, *options, RAY_ADDRESS=cluster.address)
    assert done.returncode == 2 and "Argument `gpus_per_task` must be what a machine of the cluster has" in done.stderr


@pytest.mark.parametrize(
    "machines, cpus, gpus, expected",
    [
        ([{"CPU": 4.0}, {"CPU": 3.0}], 2, 0, 3),
        ([{"CPU": 4.0}, {}], 5, 0, 0),
        ([{"CPU": 16.0, "GPU": 2.0}], 1, 0.25, 8),
        ([{"CPU": 16.0, "GPU": 2.0}], 1, 0.4, 4),  # two on each GPU, none on a rest of both
        ([{"CPU": 16.0, "GPU": 1.0}], 1, 0.1, 10),
        ([{"CPU": 3.0, "GPU": 2.0}], 1, 0.25, 3),
        ([{"CPU": 16.0, "GPU": 8.0}, {"CPU": 16.0}], 4, 2, 4),
    ],
)
def test_room_for_workers(machines, cpus, gpus, expected):
    assert ray_cluster.room(machines, cpus, gpus) == expected


def test_a_cluster_that_does_not_answer_is_named(monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:9")
    with refuses("RAY_ADDRESS", "127.0.0.1:9"), ray_cluster.connected():
        pass


def test_that_ray_is_not_installed_is_said(monkeypatch):
    monkeypatch.setattr(ray_cluster.importlib.util, "find_spec", lambda name: None)
    with refuses("executor", "ray", "pip install"):
        ray_cluster.connected().__enter__()


def trains(node):
    """Whether a worker of a machine is at work, by the name that Ray gives its process."""
    raylet = node.all_processes["raylet"][0].process.pid
    children = Path(f"/proc/{raylet}/task/{raylet}/children").read_text().split()
    return any("Trainer.events" in Path(f"/proc/{child}/cmdline").read_text() for child in children)


def test_the_command_trains_on_a_cluster_what_it_trains_here(cluster, tmp_path):
    """A machine comes late and is killed in the middle; every model is there once, bit for bit that of a local run."""
    data = make_dataset(num_over=60, num_under=20, num_test=12)
    np.savez(tmp_path / "toy.npz", x_train=data.images, y_train=data.labels, group_train=data.groups)
    # Long enough that models are left when a worker of the second machine has started.
    command = [
        sys.executable, "-m", "mia_tf.train", f"--dataset=npz:{tmp_path / 'toy.npz'}", "--num_experiments=6",
        "--arch=cnn2-1-max", "--epochs=400", "--batch=8", "--workers=2", "--threads_per_worker=1", "--augment=none",
    ]  # fmt: skip
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "cwd": REPOSITORY}
    spread = subprocess.Popen([*command, f"--logdir={tmp_path / 'ray'}", "--executor=ray"], **pipes)
    first = spread.stdout.readline()
    assert first.endswith("1 machines with room for 1 workers of 1 CPUs and 0 GPUs each.\n")
    node = cluster.add_node(num_cpus=1)
    while spread.poll() is None and not trains(node):
        time.sleep(0.05)
    cluster.remove_node(node, allow_graceful=False)
    cluster.wait_for_nodes()
    out, err = spread.communicate(timeout=200)
    assert spread.returncode == 0, out + err
    assert "6 of 6 models present." in out  # beside what Ray says of the machine, which cannot be turned off
    assert all(line.startswith(("[", "warning: model", "a worker was lost (")) for line in err.splitlines()), err
    assert re.search(r"a worker was lost \(.+\); its 1 models are tried again: its connection broke\n", err), err
    subprocess.run([*command, f"--logdir={tmp_path / 'local'}", "--workers=1"], check=True, **pipes)
    here, there = (Store(tmp_path / name).models() for name in ("local", "ray"))
    assert [model.index for model in there] == list(range(6))
    for one, other in zip(here, there, strict=True):
        np.testing.assert_array_equal(one.keep, other.keep)
        np.testing.assert_array_equal(one.read_logits(), other.read_logits())
        assert one.hparams() == other.hparams()
    assert sorted(map(int, re.findall(r"\] model (\d+): train", err))) == list(range(6))


TASK = """
import numpy as np

import mia_tf

labels = np.arange(40) % 2


def helped(rows):
    return len(rows)


def train_and_predict(rows, seed):
    return np.random.default_rng([seed, helped(rows)]).normal(size=(40, 2)) + labels[:, None]


task = mia_tf.Task(train_and_predict, labels=labels)
"""


def test_a_users_task_is_sent_with_its_file(cluster, tmp_path, monkeypatch):
    """The file is gone before a worker starts; functions and data of it came along."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    path = tmp_path / "task_of_ray.py"
    path.write_text(TASK)
    task = load_task(f"{path}:task")
    path.unlink()
    config = TaskConfig(num_experiments=4, task=task.identity())
    options = RunOptions(tmp_path / "ray", executor="ray")
    with executors.opened(options, task) as executor:
        store = open_store(task, config, options)
        assert executor.train_models(store, config, range(4)) == {}
    local = mia_tf.train_shadow_models(task, num_models=4, logdir=tmp_path / "ray")  # nothing is left to train
    for index, model in enumerate(local.models):
        rows = np.flatnonzero(model.member)
        np.testing.assert_array_equal(
            local.read_logits(index)[:, 0], task.train_and_predict(rows, model.hparams()["seed"]).astype(np.float32)
        )

"""The train command as a user runs it, in processes of its own."""

import os
import re
import shutil

import numpy as np
import pytest
from train_commands import TINY, run

from mia_tf.store import Store

ON_JAX = os.environ.get("KERAS_BACKEND") == "jax"


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--dataset=mnist_imagenet"], "dataset=mnist_imagenet"),
        (["--arch=resnet51"], "`arch`"),
        (["--arch=cnn8-9-max"], "arch=cnn8-9-max"),
        (["--arch=cnn8-3-max", "--norm=group"], "`norm`"),
        (["--pkeep=1.5"], "pkeep=1.5"),
        (["--pkeep=0"], "pkeep=0.0"),
        (["--pkeep=0.01"], "pkeep=0.01"),
        (["--num_experiments=1"], "num_experiments=1"),
        (["--batch=1000"], "`batch`"),
        (["--batch=0"], "batch=0"),
        (["--lr=-1"], "lr=-1.0"),
        (["--lr=fast"], "lr"),
        (["--lr=nan"], "lr=nan"),
        (["--pkeep=nan"], "pkeep=nan"),
        (["--weight_decay=nan"], "weight_decay=nan"),
        (["--clip_norm=inf"], "clip_norm=inf"),
        (["--num_experiments=1000000000000"], "num_experiments=1000000000000"),
        (["--threads_per_worker=1000000000000"], "threads_per_worker=1000000000000"),
        (["--only_subset=1"], "only_subset=1"),
        (["--data_seed=-1"], "data_seed=-1"),
        (["--logdir=" + "x" * 300], "File name too long"),
        (["--dataset=npz:"], "npz:PATH"),
        (["--dataset=npz:~nobody_at_all/a.npz"], "~nobody_at_all"),
        (["--dataset=mnist", "--data_dir=~nobody_at_all"], "~nobody_at_all"),
        (["--epochs=0"], "epochs=0"),
        (["--augment=strong"], "augment=strong"),
        (["--subsets=odd"], "`subsets`"),
        (["--queries=500"], "queries=500"),
        (["--expid=64"], "expid=64"),
        (["--expid=60-64"], "expid=60-64"),
        (["--expid=7-3"], "expid=7-3"),
        (["--expid=-1"], "expid=-1"),
        (["--expid=3-"], "expid=3-"),
        (["--expid=0:63"], "expid=0:63"),
        (["--expid=1,2"], "expid=1,2"),
        (["--executor=slurm"], "executor=slurm"),
        (["--gpus_per_task=0.5"], "`gpus_per_task`"),
        (["--executor=ray", "--gpus_per_task=1.5"], "`gpus_per_task`"),
        (["--executor=ray", "--gpus_per_task=-1"], "gpus_per_task=-1.0"),
        (["--executor=ray", "--gpus_per_task=nan"], "gpus_per_task=nan"),
        (["--ensemble_size=many"], "`ensemble_size`"),
        (["--ensemble_size=0"], "ensemble_size=0"),
        pytest.param(
            ["--ensemble_size=2"],
            "`ensemble_size`",
            marks=pytest.mark.skipif(ON_JAX, reason="JAX trains several at once"),
        ),
        (["--patience=3"], "`patience`"),
        (["--no_such_flag=1"], "no_such_flag"),
        (["stray"], "Unexpected argument 'stray'"),
        (["--logdir=/dev/null/x"], "`logdir`"),
        (["--dataset=npz:/nowhere.npz"], "/nowhere.npz"),
        (["--dataset=mnist_svhn", "--data_source=npz", "--data_dir=/nowhere"], "/nowhere"),
        (["--flagfile=/nowhere.flags"], "/nowhere.flags"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line_and_exit_code_2(arguments, message, own_arrays, tmp_path):
    logdir = tmp_path / "run"
    done = run(f"--dataset=npz:{own_arrays}", f"--logdir={logdir}", "--batch=8", *arguments)
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("mia_tf.train: ") and message in line
    assert done.stdout == "" and not logdir.exists()


@pytest.fixture(scope="module")
def begun(own_arrays, tmp_path_factory):
    """A LOGDIR with one of four models, trained alone, as an array job starts it; tests change copies of it."""
    logdir = tmp_path_factory.mktemp("begun") / "run"
    arguments = [f"--dataset=npz:{own_arrays}", f"--logdir={logdir}", "--num_experiments=4", *TINY]
    done = run(*arguments, "--expid=2", "--ensemble_size=1")
    assert done.returncode == 0, done.stderr
    return logdir


def changed_arrays(own_arrays, path, **changes):
    """A copy of the user's archive with other arrays; None leaves one out."""
    arrays = {**np.load(own_arrays), **changes}
    np.savez(path, **{key: value for key, value in arrays.items() if value is not None})
    return path


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--augment=weak"], "`augment`"),
        (["--queries=18"], "`queries`"),
        (["--eval_steps=1", "--patience=2"], "`patience`"),
    ],
)
def test_a_configuration_that_does_not_fit_the_data_is_refused(arguments, message, own_arrays, tmp_path):
    images = np.load(own_arrays)["x_train"][:, :4, :4]
    path = changed_arrays(own_arrays, tmp_path / "small.npz", x_train=images, x_test=None, y_test=None, group_test=None)
    done = run(f"--dataset=npz:{path}", f"--logdir={tmp_path / 'run'}", *TINY, *arguments)
    assert done.returncode == 2 and message in done.stderr and len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_another_archive_under_the_same_path_is_another_configuration(own_arrays, begun, tmp_path):
    logdir = shutil.copytree(begun, tmp_path / "run")
    (tmp_path / "moved").mkdir()
    path = changed_arrays(own_arrays, tmp_path / "moved" / own_arrays.name)
    arguments = [f"--dataset=npz:{path}", f"--logdir={logdir}", "--num_experiments=4", "--expid=2", *TINY]
    assert run(*arguments).returncode == 0  # the same archive, elsewhere
    changed_arrays(own_arrays, path, x_train=255 - np.load(own_arrays)["x_train"])
    done = run(*arguments)
    assert done.returncode == 2 and "it differs in dataset_digest" in done.stderr


def test_a_folder_that_is_not_ours_is_left_as_it_is(own_arrays, tmp_path):
    """LiRA's own LOGDIR, say: it has no config.json, and its files must not be written over."""
    np.save(tmp_path / "x_train.npy", np.zeros((10, 8, 8, 3)))
    np.save(tmp_path / "y_train.npy", np.arange(10))
    (tmp_path / "experiment-0_4" / "logits").mkdir(parents=True)
    before = (tmp_path / "x_train.npy").read_bytes()
    done = run(f"--dataset=npz:{own_arrays}", f"--logdir={tmp_path}", "--num_experiments=4", *TINY)
    assert done.returncode == 2 and "must be new or have a config.json; it has none, but x_train.npy" in done.stderr
    assert (tmp_path / "x_train.npy").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["experiment-0_4", "x_train.npy", "y_train.npy"]
    done = run("--dataset=npz:/nowhere.npz", f"--logdir={tmp_path}")
    assert "it has none, but x_train.npy" in done.stderr  # said before any work on the data


def test_a_logdir_that_lost_its_config_is_left_as_it_is(own_arrays, begun, tmp_path):
    shutil.copytree(begun, tmp_path, dirs_exist_ok=True)
    arguments = [f"--dataset=npz:{own_arrays}", f"--logdir={tmp_path}", "--num_experiments=4", *TINY]
    (tmp_path / "config.json").unlink()
    done = run(*arguments, "--data_seed=1")
    assert done.returncode == 2 and "it has none, but x_train.npy" in done.stderr
    (tmp_path / ".work").mkdir(exist_ok=True)
    (tmp_path / ".work" / "setting-up").touch()  # models are nobody's to take over, even so
    done = run(*arguments, "--data_seed=1")
    assert done.returncode == 2 and "it has none, but experiment-2_4" in done.stderr


@pytest.mark.parametrize(
    "name, content",
    [
        ("config.json", "[]"),
        ("dataset.json", "[1]"),
        ("dataset.json", None),
        ("x_train.npy", ""),
        ("y_train.npy", None),
        ("group.npy", None),
    ],
)
def test_a_damaged_logdir_is_named_before_any_worker_starts(name, content, own_arrays, begun, tmp_path):
    shutil.copytree(begun, tmp_path, dirs_exist_ok=True)
    arguments = [f"--dataset=npz:{own_arrays}", f"--logdir={tmp_path}", "--num_experiments=4", *TINY]
    (tmp_path / name).unlink() if content is None else (tmp_path / name).write_text(content)
    done = run(*arguments)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("mia_tf.train: ") and name in line


def damaged(path, how):
    arrays = dict(np.load(path))
    images = arrays["x_train"].astype(np.float32) / 255
    if how == "corrupt":
        path.write_bytes(path.read_bytes()[:500])
        return
    if how == "NaN":
        images[3, 2, 1] = np.nan
    changes = {
        "pickled": {"x_train": np.array([{"a": 1}] * 80, dtype=object)},
        "shape": {"x_train": images[:, 0]},
        "label": {"y_train": arrays["y_train"] - 1},
        "NaN": {"x_train": images},
    }
    np.savez(path, **{**arrays, **changes[how]})


@pytest.mark.parametrize("how", ["corrupt", "pickled", "shape", "label", "NaN"])
def test_a_damaged_archive_is_refused(how, own_arrays, tmp_path):
    path = tmp_path / "bad.npz"
    path.write_bytes(own_arrays.read_bytes())
    damaged(path, how)
    done = run(f"--dataset=npz:{path}", f"--logdir={tmp_path / 'run'}", *TINY)
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.splitlines()
    assert str(path) in line and not (tmp_path / "run").exists()


def test_a_run_says_only_its_own_lines_and_goes_on_where_it_stopped(own_arrays, begun, tmp_path):
    """One model alone, as an array job starts it; then all; then nothing to do; then another configuration."""
    shutil.copytree(begun, tmp_path, dirs_exist_ok=True)
    arguments = [f"--dataset=npz:{own_arrays}", f"--logdir={tmp_path}", "--num_experiments=4", *TINY, "--workers=2"]
    assert Store.open(tmp_path).completed() == {2}
    before = (tmp_path / "experiment-2_4" / "metrics.json").stat().st_mtime_ns
    rest = run(*arguments)
    assert rest.returncode == 0 and "1 of 4 models present, 3 to train." in rest.stdout
    lines = (rest.stdout + rest.stderr).splitlines()
    ours = ("toy: ", "npz:", "1 of 4", "4 of 4", "[1/3", "[2/3", "[3/3", "warning: model", *["On JAX "] * ON_JAX)
    assert all(line.startswith(ours) for line in lines), lines
    store = Store.open(tmp_path)
    assert store.completed() == {0, 1, 2, 3}
    assert (tmp_path / "experiment-2_4" / "metrics.json").stat().st_mtime_ns == before
    assert (np.sum([m.keep for m in store.models()], axis=0) == 2).all()
    hparams = store.models()[1].hparams()
    published = {"arch", "lr", "batch", "weight_decay", "augment", "seed", "epochs", "expid", "num_experiments",
                 "pkeep", "save_steps", "only_subset"}  # fmt: skip
    assert published <= set(hparams) and hparams["expid"] == 1
    again = run(*arguments)
    assert again.returncode == 0 and "4 of 4 models present, 0 to train." in again.stdout
    other = run(*arguments, "--lr=0.05")
    assert other.returncode == 2 and "it differs in lr (0.1 there, 0.05 now)" in other.stderr


def test_a_range_of_models_is_trained_alone(own_arrays, tmp_path):
    arguments = [f"--dataset=npz:{own_arrays}", f"--logdir={tmp_path}", "--num_experiments=5", *TINY]
    done = run(*arguments, "--expid=2-4")
    assert done.returncode == 0 and "3 of 3 models present." in done.stdout
    assert Store(tmp_path).completed() == {2, 3, 4}


def test_a_diverging_run_names_its_models_and_exits_with_1(own_arrays, tmp_path):
    arguments = ["--lr=1e9", "--clip_norm=0", "--warmup=0", "--num_experiments=2"]
    done = run(f"--dataset=npz:{own_arrays}", f"--logdir={tmp_path}", *TINY, *arguments)
    assert done.returncode == 1
    for index in (0, 1):
        assert f"mia_tf.train: model {index} failed: the loss was not finite at step" in done.stderr
    assert "0 of 2 models present. Models that diverged would diverge again" in done.stdout
    assert "take a smaller --lr or a --clip_norm above 0, in another --logdir" in done.stdout
    assert Store.open(tmp_path).completed() == set()


def test_a_model_at_chance_is_kept_with_a_warning_and_the_cores_are_shared_out_by_a_measurement(own_arrays, tmp_path):
    arguments = [argument for argument in TINY if "worker" not in argument]
    done = run(f"--dataset=npz:{own_arrays}", f"--logdir={tmp_path}", "--num_experiments=8", *arguments, "--lr=1e-9")
    assert done.returncode == 0, done.stderr
    warned = {int(n) for n in re.findall(r"warning: model (\d+) is no better than chance", done.stderr)}
    # Untrained models: right as often as chance has it, which one in many exceeds by three deviations.
    assert warned == {m.index for m in Store(tmp_path).models() if m.metrics()["at_chance"]} and len(warned) >= 6
    lines = [line for line in done.stdout.splitlines() if line.startswith("Measured workers (")]
    # With fewer than two models per core there is nothing to choose, and JAX has one worker.
    assert len(lines) == (1 < os.cpu_count() <= 4 and not ON_JAX)
    for line in lines:
        pairs = re.findall(r"(\d+ x \d+) threads: ([\d,]+)", line)
        speeds = {pair: float(speed.replace(",", "")) for pair, speed in pairs}
        assert line.endswith(f"taking {max(speeds, key=speeds.get)}.") and min(speeds.values()) > 0


def test_inference_asks_kept_weights_again(own_arrays, tmp_path):
    arguments = [f"--dataset=npz:{own_arrays}", f"--logdir={tmp_path}", "--num_experiments=2", *TINY]
    assert run(*arguments, "--keep_ckpt", "--save_steps=4").returncode == 0
    before = [model.read_logits() for model in Store(tmp_path).models()]
    assert run(f"--logdir={tmp_path}", "--queries=2", "--epoch=4", module="mia_tf.inference").returncode == 0
    assert [(model.queries(4), model.queries(6)) for model in Store(tmp_path).models()] == [(2, 1)] * 2
    done = run(f"--logdir={tmp_path}", "--queries=18", module="mia_tf.inference")
    assert done.returncode == 0, done.stderr
    for model, logits in zip(Store(tmp_path).models(), before, strict=True):
        assert model.logits_shape() == (80, 18, 4)
        # The first view is the image itself; another batch size or thread count only rounds otherwise.
        np.testing.assert_allclose(model.read_logits()[:, :1], logits, atol=1e-4)
        assert {p.name for p in (model.path / "logits").iterdir()} == {"0000000004.npy", "0000000006.npy"}
    wrong = (["--queries=0"], "queries=0"), (["--logdir=/nowhere"], "logdir=/nowhere"), (["--epoch=5"], "weights: 4, 6")
    for arguments, message in wrong:
        refused = run(f"--logdir={tmp_path}", *arguments, module="mia_tf.inference")
        assert refused.returncode == 2 and message in refused.stderr and len(refused.stderr.splitlines()) == 1


def test_inference_on_a_logdir_of_other_code_says_so(tmp_path):
    np.save(tmp_path / "y_train.npy", np.arange(10))
    for part in ("logits", "ckpt"):
        (tmp_path / "experiment-0_2" / part).mkdir(parents=True)
    np.save(tmp_path / "experiment-0_2" / "keep.npy", np.ones(10, bool))
    np.save(tmp_path / "experiment-0_2" / "logits" / "0000000005.npy", np.zeros((10, 1, 2, 10), "f"))
    np.savez(tmp_path / "experiment-0_2" / "ckpt" / "0000000005.npz", np.zeros(2))
    done = run(f"--logdir={tmp_path}", module="mia_tf.inference")
    assert done.returncode == 2 and "config.json lacks" in done.stderr and len(done.stderr.splitlines()) == 1


def test_inference_without_kept_weights_says_how_to_keep_them(begun):
    done = run(f"--logdir={begun}", module="mia_tf.inference")
    assert done.returncode == 2 and "--keep_ckpt" in done.stderr

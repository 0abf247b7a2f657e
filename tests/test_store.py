import dataclasses
import json
import os
import resource
import shutil
import subprocess
import sys

import numpy as np
import pytest
from refusals import refuses
from toys import make_dataset

from mia_tf.records import ModelRecord
from mia_tf.shadow import signals
from mia_tf.store import Store

CONFIG = {"arch": "cnn4-2-max", "lr": 0.1}


def make_record(dataset, index=0, num_experiments=4, **changes):
    rng = np.random.default_rng(index)
    count = len(dataset.images)
    fields = {
        "index": index,
        "keep": rng.uniform(size=count) < 0.5,
        "logits": rng.normal(size=(count, 1, 2, dataset.num_classes)).astype(np.float32),
        "epoch": 3,
        "hparams": {"num_experiments": num_experiments, "arch": "cnn4-2-max"},
        "metrics": {"train_accuracy_all": 0.5},
        "checkpoints": {3: [np.ones(2, np.float32), np.zeros((2, 2), np.float32)]},
    }
    return ModelRecord(**{**fields, **changes})


@pytest.fixture
def store(tmp_path, dataset):
    return Store.create(tmp_path / "run", CONFIG, lambda: dataset)


def test_what_is_written_is_read_again(store, dataset):
    read = store.dataset()
    for field in dataclasses.fields(dataset):
        expected, actual = getattr(dataset, field.name), getattr(read, field.name)
        np.testing.assert_array_equal(actual, expected)
        assert not isinstance(expected, np.ndarray) or actual.dtype == expected.dtype
    assert store.write(make_record(dataset, 2))
    (model,) = Store.open(store.logdir).models()
    record = make_record(dataset, 2)
    assert (model.index, model.epoch, model.logits_shape()) == (2, 3, (64, 2, 4))
    np.testing.assert_array_equal(model.keep, record.keep)
    np.testing.assert_array_equal(model.read_logits(), record.logits[:, 0])
    np.testing.assert_array_equal(model.read_logits(10, 20), record.logits[10:20, 0])
    assert model.hparams() == record.hparams and model.metrics() == record.metrics


def test_class_names_are_read_again_and_earlier_versions_had_none(tmp_path, dataset):
    named = dataclasses.replace(dataset, classes=("3", "7", "cat", "dog"))
    store = Store.create(tmp_path / "run", CONFIG, lambda: named)
    assert store.about()["classes"] == ["3", "7", "cat", "dog"] and store.dataset().classes == named.classes
    path = store.logdir / "dataset.json"
    about = json.loads(path.read_text())
    del about["classes"]
    path.write_text(json.dumps(about))
    assert store.about()["classes"] is None and store.dataset().classes is None
    with refuses("classes", advice="must be 4 different names, or None"):
        dataclasses.replace(dataset, classes=("3", "7", "cat"))


def test_files_lie_where_the_published_code_looks(store, dataset):
    """score.py and plot.py: y_train.npy, experiment-*/keep.npy and logits/%010d.npy as (N, 1, Q, C)."""
    store.write(make_record(dataset, 0))
    folder = store.logdir / "experiment-0_4"
    assert sorted(p.name for p in folder.iterdir()) == ["ckpt", "hparams.json", "keep.npy", "logits", "metrics.json"]
    labels = np.load(store.logdir / "y_train.npy")
    logits = np.load(folder / "logits" / "0000000003.npy")
    assert labels.dtype.kind == "i" and logits.shape == (len(labels), 1, 2, 4)
    assert np.load(folder / "keep.npy").dtype == bool
    # score.py visits every entry of the folder with "exp" in its name.
    others = [p.name for p in store.logdir.iterdir() if not p.name.startswith("experiment-")]
    assert not [name for name in others if name.startswith("exp") and (store.logdir / name).is_dir()]


def test_the_published_code_s_walk_over_the_folder_gives_its_scores(store, dataset):
    """What score.py and plot.py do, in our words: all entries with "exp", softmax, log-odds, mean over axis 1."""
    for index in range(3):
        store.write(make_record(dataset, index))
    labels = np.load(store.logdir / "y_train.npy")
    for entry in sorted(name for name in os.listdir(store.logdir) if "exp" in name):
        folder = store.logdir / entry
        if not (folder / "logits").exists():
            continue
        (folder / "scores").mkdir()
        for name in os.listdir(folder / "logits"):
            logits = np.load(folder / "logits" / name)
            probabilities = np.exp(logits - logits.max(axis=3, keepdims=True)).astype(np.float64)
            probabilities /= probabilities.sum(axis=3, keepdims=True)
            right = probabilities[np.arange(len(labels)), :, :, labels]
            probabilities[np.arange(len(labels)), :, :, labels] = 0
            wrong = probabilities.sum(axis=3)
            np.save(folder / "scores" / name, np.log(right.mean(1) + 1e-45) - np.log(wrong.mean(1) + 1e-45))
    scores, keep = [], []
    for root, folders, _ in os.walk(store.logdir):
        for name in folders:
            if name.startswith("experiment") and os.path.exists(os.path.join(root, name, "scores")):
                last = sorted(os.listdir(os.path.join(root, name, "scores")))[-1]
                scores.append(np.load(os.path.join(root, name, "scores", last)))
                keep.append(np.load(os.path.join(root, name, "keep.npy")))
    assert np.array(keep).shape == (3, 64) and np.array(keep).dtype == bool
    ours = [signals.phi(model.read_logits(), labels[:, None]) for model in store.models()]
    np.testing.assert_allclose(np.sort(np.ravel(scores)), np.sort(np.ravel(ours)), atol=1e-5)  # theirs is float32


def test_a_folder_of_the_published_code_can_be_read(tmp_path):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (10, 32, 32, 3), dtype=np.uint8)
    np.save(tmp_path / "x_train.npy", images / 127.5 - 1)
    np.save(tmp_path / "y_train.npy", np.arange(10) % 3)
    for i in range(2):
        (tmp_path / f"experiment-{i}_2" / "logits").mkdir(parents=True)
        np.save(tmp_path / f"experiment-{i}_2" / "keep.npy", rng.uniform(size=10) < 0.5)
        for epoch in (10, 20):
            np.save(tmp_path / f"experiment-{i}_2" / "logits" / f"{epoch:010d}.npy", np.full((10, 1, 2, 3), epoch, "f"))
    (tmp_path / "experiment-7_8" / "ckpt").mkdir(parents=True)  # a run that did not finish
    store = Store.open(tmp_path)
    np.testing.assert_array_equal(store.dataset().images, images)
    assert not store.dataset().groups.any() and store.dataset().num_classes == 3
    assert [m.index for m in store.models()] == [0, 1]
    assert store.models()[0].epoch == 20 and (store.models()[0].read_logits() == 20).all()


def write_foreign(folder, logits, keep):
    """A model's folder as LiRA's code leaves it; `logits` by the name of the file."""
    (folder / "logits").mkdir(parents=True)
    np.save(folder / "keep.npy", keep)
    for name, values in logits.items():
        np.save(folder / "logits" / name, values)


def test_epochs_are_numbers_however_many_digits_they_are_written_with(tmp_path):
    """9 once came after 10, as text does: noise of the wrong epoch was analyzed."""
    np.save(tmp_path / "y_train.npy", np.arange(10) % 3)
    logits = {f"{epoch}.npy": np.full((10, 1, 2, 3), epoch, "f") for epoch in (9, 10, 100)}
    write_foreign(tmp_path / "experiment-0_1", logits | {"last.npy": np.zeros(3)}, np.arange(10) < 5)
    (model,) = Store.open(tmp_path).models()
    assert model.epoch == 100 and (model.read_logits() == 100).all()
    assert list(model.logits()) == [9, 10, 100] and model.queries(9) == 2 and model.queries(11) == 0
    (earlier,) = Store.open(tmp_path).models(epoch=9)
    assert earlier.epoch == 9 and (earlier.read_logits() == 9).all()
    (tmp_path / "experiment-0_1" / "ckpt").mkdir()
    for epoch in (10, 9):
        np.savez(tmp_path / "experiment-0_1" / "ckpt" / f"{epoch}.npz", np.zeros(1))
    assert list(model.checkpoints()) == [9, 10]
    Store.open(tmp_path).write_logits(model, 9, np.zeros((10, 1, 4, 3), np.float32))  # in the existing file
    assert model.queries(9) == 4 and len(list((tmp_path / "experiment-0_1" / "logits").iterdir())) == 4
    np.save(tmp_path / "experiment-0_1" / "logits" / "0000000009.npy", np.zeros((10, 1, 2, 3), "f"))
    with refuses("logdir", advice="9.npy are of one epoch: move one of them away"):
        Store.open(tmp_path).models()


def test_an_epoch_that_some_models_lack_is_refused_with_their_names(tmp_path):
    np.save(tmp_path / "y_train.npy", np.arange(10) % 3)
    for index, epochs in enumerate([(10,), (10, 20), (10, 20, 30)]):
        logits = {f"{epoch:010d}.npy": np.full((10, 1, 2, 3), epoch, "f") for epoch in epochs}
        write_foreign(tmp_path / f"experiment-{index}_3", logits, np.arange(10) < 5)
    store = Store.open(tmp_path)
    assert [model.epoch for model in store.models()] == [10, 20, 30]
    assert [model.epoch for model in store.models(10)] == [10, 10, 10]
    with refuses("epoch", 30):
        store.models(30)
    os.remove(tmp_path / "experiment-2_3" / "logits" / "0000000010.npy")
    with refuses("epoch", 20):
        store.models(20)


def test_every_folder_that_the_published_code_reads_is_a_model(tmp_path):
    """Without --expid its train.py names them experiment-SEED; score.py and plot.py read whatever begins so."""
    np.save(tmp_path / "y_train.npy", np.arange(10) % 3)
    names = ["experiment-9", "experiment-10", "experiment-2_8", "experiment_b"]
    for name in names:
        write_foreign(tmp_path / name, {"5.npy": np.zeros((10, 1, 2, 3), "f")}, np.arange(10) < 5)
    (tmp_path / "experiment-11" / "ckpt").mkdir(parents=True)
    (tmp_path / "experiment.log").touch()
    store = Store.open(tmp_path)
    indices = {model.name: model.index for model in store.models()}
    assert indices == {"model 2": 2, "experiment-9": None, "experiment-10": None, "experiment_b": None}
    assert list(indices) == ["model 2", "experiment-9", "experiment-10", "experiment_b"]
    assert store.left_out() == ["1 folder was left out with no logits/EPOCH.npy and no keep.npy: experiment-11."]


def test_a_copy_of_a_model_of_ours_is_no_model(store, dataset):
    store.write(make_record(dataset, 0))
    shutil.copytree(store.logdir / "experiment-0_4", store.logdir / "experiment-0_4.bak")
    assert [model.index for model in store.models()] == [0]
    assert store.left_out() == ["1 folder was left out with no name like experiment-INDEX_COUNT: experiment-0_4.bak."]


def test_a_model_is_never_written_twice(store, dataset):
    assert store.write(make_record(dataset, 1))
    other = make_record(dataset, 1, logits=np.ones((64, 1, 2, 4), np.float32))
    assert not store.write(other)
    np.testing.assert_array_equal(store.models()[0].read_logits(), make_record(dataset, 1).logits[:, 0])
    assert not list((store.logdir / ".work").glob("model-1-*"))


def test_another_configuration_is_refused_with_the_fields_that_differ(store, dataset):
    with refuses("logdir", advice="differs in batch (None there, 8 now), lr (0.1 there, 0.2"):
        Store.create(store.logdir, {"arch": "cnn4-2-max", "lr": 0.2, "batch": 8}, lambda: pytest.fail("loaded"))
    Store.create(store.logdir, CONFIG, lambda: pytest.fail("the data are in the folder already"))


def test_a_balanced_plan_does_not_grow_and_the_message_says_why_and_what_does(tmp_path, dataset):
    begun = {**CONFIG, "num_experiments": 8, "subsets": "balanced"}
    Store.create(tmp_path, begun, lambda: dataset)
    for refuse in (Store.check, lambda logdir, config: Store.create(logdir, config, lambda: dataset)):
        with refuses("num_experiments", 12, "--subsets=bernoulli can grow"):
            refuse(tmp_path, {**begun, "num_experiments": 12})
        with refuses("logdir", advice="differs in num_experiments (8 there, 4 now)"):
            refuse(tmp_path, {**begun, "num_experiments": 4})
        with refuses("logdir", advice="num_experiments (8 there, 12 now), subsets"):
            refuse(tmp_path, {**begun, "num_experiments": 12, "subsets": "bernoulli"})
    assert Store.open(tmp_path).config() == begun


def test_a_bernoulli_plan_grows(tmp_path, dataset):
    begun = {**CONFIG, "num_experiments": 4, "subsets": "bernoulli"}
    Store.create(tmp_path, begun, lambda: dataset).write(make_record(dataset, 1))
    more = {**begun, "num_experiments": 6}
    assert Store.check(tmp_path, more) and Store.open(tmp_path).config() == begun  # a check changes nothing
    store = Store.create(tmp_path, more, lambda: pytest.fail("the data are in the folder already"))
    assert store.config() == more and store.completed() == {1}
    store.write(make_record(dataset, 5, num_experiments=6))
    assert [model.index for model in store.models()] == [1, 5]


def test_private_models_of_one_logdir_have_one_nominal_training_set(store, dataset):
    """Earlier versions took pkeep for the share of a plan: models of two epsilons once went into one LOGDIR."""
    store.check_nominal_size(274)
    store.write(make_record(dataset, 1, hparams={"num_experiments": 4, "dp": True, "num_members": 384}))
    store.check_nominal_size(384)
    with refuses("logdir", store.logdir, "nominally 384 examples, not 274"):
        store.check_nominal_size(274)


def test_a_set_up_that_was_cut_short_is_done_again(tmp_path, dataset):
    (tmp_path / ".work").mkdir()
    (tmp_path / ".work" / "setting-up").touch()
    np.save(tmp_path / "x_train.npy", dataset.images[:3])
    store = Store.create(tmp_path, CONFIG, lambda: dataset)
    np.testing.assert_array_equal(store.dataset().images, dataset.images)
    assert not (tmp_path / ".work" / "setting-up").exists()


def test_machines_without_a_common_lock_may_set_up_the_same_at_once(tmp_path, dataset, monkeypatch):
    write = Store.write_dataset

    def overtaken(self, dataset):
        write(self, dataset)
        self._work.marker.unlink()  # by the other machine

    monkeypatch.setattr(Store, "write_dataset", overtaken)
    store = Store.create(tmp_path, CONFIG, lambda: dataset)
    np.testing.assert_array_equal(store.dataset().images, dataset.images)
    assert store.config() == CONFIG


def test_a_full_disk_is_an_error_and_leaves_nothing_behind(store, dataset):
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    record = make_record(dataset)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limit[1]))
    try:
        with pytest.raises(OSError):
            store.write(record)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert store.completed() == set() and not list((store.logdir / ".work").glob("model-*-*"))
    assert store.write(record) and store.completed() == {0}


@pytest.mark.parametrize("logdir", ["/dev/null/run", "/proc/run"])
def test_a_folder_that_cannot_be_written_is_refused(dataset, logdir):
    with refuses("logdir", advice="must be a folder that can be written"):
        Store.create(logdir, CONFIG, lambda: dataset)


def test_somebodys_folder_is_refused_before_the_data_are_loaded_and_gets_no_work_folder(tmp_path):
    np.save(tmp_path / "y_train.npy", np.arange(3))
    for refuse in (Store.check_folder, lambda logdir: Store.create(logdir, CONFIG, lambda: pytest.fail("loaded"))):
        with refuses("logdir", advice="it has none, but y_train.npy"):
            refuse(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["y_train.npy"]


def test_another_process_may_set_up_the_logdir_while_it_is_checked(store, monkeypatch):
    config, later = store.logdir / "config.json", store.logdir / "later"
    config.rename(later)
    by_index = store._folders.by_index

    def meanwhile():
        later.rename(config)
        return by_index()

    monkeypatch.setattr(store._folders, "by_index", meanwhile)
    store._check_new()


def test_a_claim_is_exclusive_and_ends_with_its_process(store, dataset):
    script = (
        "import sys, time; from mia_tf.store import Store\n"
        f"with Store({str(store.logdir)!r}).claim(0) as claimed:\n"
        "    print(claimed, flush=True); time.sleep(60)"
    )
    other = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert other.stdout.readline() == "True\n"
    with store.claim(0) as claimed, store.claim(1) as free:
        assert not claimed and free
    leftover = store.logdir / ".work" / "model-0-dead"
    leftover.mkdir()
    other.kill()
    other.wait()
    with store.claim(0) as claimed:
        assert claimed and not leftover.exists()
    store.write(make_record(dataset, 0))
    with store.claim(0) as claimed:
        assert not claimed


def test_more_models_can_be_claimed_than_files_may_be_open(store):
    script = (
        "import resource; from mia_tf.store import Store\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (64, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))\n"
        f"with Store({str(store.logdir)!r}).claim_models(range(100)) as claimed: print(len(claimed))"
    )
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stdout == "100\n"


def test_a_sweep_removes_what_the_dead_left_and_nothing_of_the_living(store, dataset):
    """Locks and folders once stayed for good if their process was killed after its model was complete."""
    work = store.logdir / ".work"
    script = (
        "import sys; from mia_tf.store import Store\n"
        f"store = Store({str(store.logdir)!r})\n"
        "with store.claim_models([0, 1]):\n"
        "    (store.logdir / '.work' / f'model-{sys.argv[1]}-half').mkdir(); print(flush=True); sys.stdin.read()"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    dead = subprocess.Popen([sys.executable, "-c", script, "0"], **pipes)
    dead.stdout.readline()
    dead.kill()
    dead.communicate()
    (work / "setting-up").touch()
    (work / "model-3-half").mkdir()  # without a lock
    store.write(make_record(dataset, 0))
    with store.claim(2) as claimed:
        assert claimed
        (work / "model-2-half").mkdir()
        store.sweep([0, 2])
        assert {path.name for path in work.iterdir()} == {
            "model-1.lock",
            "model-2.lock",
            "model-2-half",
            "model-3-half",
        }
        store.sweep(range(4))
        assert {path.name for path in work.iterdir()} == {"model-2.lock", "model-2-half"}
    store.sweep(range(4))
    assert not list(work.iterdir()) and store.completed() == {0}


def test_a_folder_that_is_not_whole_is_named(store, dataset):
    store.write(make_record(dataset, 0))
    store.check_whole()
    os.remove(store.logdir / "experiment-0_4" / "logits" / "0000000003.npy")
    assert store.completed() == set()
    with refuses("logdir", advice="experiment-0_4 is not whole"):
        store.check_whole()


def test_corrupt_and_pickled_files_are_named_and_never_unpickled(store, dataset):
    store.write(make_record(dataset, 0))
    (model,) = store.models()
    whole = model.file.read_bytes()
    model.file.write_bytes(whole[: len(whole) // 2])
    with refuses("logdir", advice="0000000003.npy"):
        model.read_logits()
    np.save(store.logdir / "y_train.npy", np.array([print], dtype=object), allow_pickle=True)
    with refuses("logdir", advice="Cannot read"):
        store.dataset()
    (store.logdir / "config.json").write_text("{")
    with refuses("logdir", advice="Cannot read"):
        store.config()


def test_opening_what_is_no_logdir_says_so(tmp_path):
    with refuses("logdir", advice="mia_tf.train"):
        Store.open(tmp_path / "nothing")
    with refuses("logdir", advice="y_train.npy"):
        Store.open(tmp_path)


def test_records_check_their_shapes(dataset):
    with refuses("logits", "shape (63, 1, 2, 4)"):
        make_record(dataset, logits=np.zeros((63, 1, 2, 4), np.float32))
    with refuses("logits", "NaN or infinity"):
        make_record(dataset, logits=np.full((64, 1, 2, 4), np.nan, np.float32))
    with refuses("keep", "dtype float64"):
        make_record(dataset, keep=np.zeros(64))
    with refuses("labels", "values from 1 to 4"):
        dataclasses.replace(dataset, labels=dataset.labels + 1)
    with refuses("images", "dtype float64"):
        dataclasses.replace(dataset, images=dataset.images / 255)
    with refuses("test_images", "shape (16, 9, 9, 1)"):
        dataclasses.replace(dataset, test_images=make_dataset(size=9).test_images)


def test_json_is_readable_by_anyone(store, dataset):
    about = json.loads((store.logdir / "dataset.json").read_text())
    assert about["name"] == "toy" and about["num_examples"] == 64 and about["stand_in"] == ""


ARRAYS = ["x_train", "y_train", "group", "example_id", "x_test", "y_test", "group_test"]


@pytest.mark.parametrize("name", ["dataset.json", *(f"{array}.npy" for array in ARRAYS)])
def test_a_file_that_a_logdir_of_ours_lost_is_named(store, name):
    """Without its group.npy every example was once taken for over-represented, and analyzed so."""
    (store.logdir / name).unlink()
    with refuses("logdir", advice=name):
        store.check_whole()
    if name.startswith("x_") or name in ("y_test.npy", "group_test.npy"):  # what only training and figures need
        assert len(Store.open(store.logdir).examples().labels) == 64
        with refuses("logdir", advice=name):
            Store.open(store.logdir).dataset()
    else:
        with refuses("logdir", advice=name):
            Store.open(store.logdir)


@pytest.mark.parametrize(
    ("name", "values", "refusal"),
    [
        ("group", np.full(64, 2, np.uint8), ("logdir", "values from 2 to 2")),
        ("group", np.zeros(64), ("logdir", "dtype float64")),
        ("group", np.zeros(63, np.uint8), ("logdir", "shape (63,)")),
        ("y_train", np.full(64, 0.7), ("logdir", "dtype float64")),
        ("y_train", np.full(64, -1), ("logdir", "values from -1 to -1")),
    ],
)
def test_labels_and_groups_that_are_none_are_refused(store, name, values, refusal):
    np.save(store.logdir / f"{name}.npy", values)
    with refuses(*refusal):
        Store.open(store.logdir).examples()


def test_labels_of_a_data_set_are_not_cut_to_integers(store):
    np.save(store.logdir / "y_train.npy", np.full(64, 0.7))
    with refuses("logdir", "dtype float64"):
        Store.open(store.logdir).dataset()


def test_two_folders_of_one_model_are_refused(store, dataset):
    """One of them was once used without a word."""
    store.write(make_record(dataset, 1))
    store.write(make_record(dataset, 1, num_experiments=8))
    for read in (store.models, store.completed, store.check_whole):
        with refuses("logdir", advice="experiment-1_4 and experiment-1_8 are of one model"):
            read()


def test_a_begun_folder_that_cannot_be_written_fails_the_check_as_it_would_the_training(store, monkeypatch):
    assert Store.check(store.logdir, CONFIG)
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # as on a read-only mount, also for root
    with refuses("logdir", advice="must be a folder that can be written"):
        Store.check(store.logdir, CONFIG)

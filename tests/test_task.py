"""What a Task accepts, what tells it from others, and which answers it takes."""

import doctest
import functools
import sys

import numpy as np
import pytest
import task_files
from refusals import ANY, refuses

from mia_tf import task as task_file
from mia_tf.records import ModelRecord
from mia_tf.shadow.shadow_models import ShadowModels
from mia_tf.store import Store
from mia_tf.task import Task, load_task

LABELS = np.arange(20) % 2


def answer(rows, seed):
    return np.zeros((20, 2))


def test_the_example_of_its_docstring_runs():
    outcome = doctest.testmod(task_file)
    assert outcome.attempted > 0 and outcome.failed == 0


def test_its_arguments_are_normalized_once():
    names = np.where(LABELS, "dog", "cat")
    task = Task(answer, labels=names[:, None], ids=range(100, 120), groups=LABELS, outputs="probabilities")
    np.testing.assert_array_equal(task.labels, LABELS)
    assert task.labels.dtype == np.int64 and task.classes == ("cat", "dog") and task.num_classes == 2
    assert task.ids[:2].tolist() == ["100", "101"] and task.groups[:2].tolist() == ["over", "under"]
    assert task.name == "test_task.answer"
    bare = Task(answer, labels=LABELS)
    assert bare.ids[:2].tolist() == ["0", "1"] and bare.groups is None and bare.classes is None
    assert Task(answer, labels=LABELS, classes=["a", "b", "c"]).num_classes == 3
    assert Task(answer, labels=np.eye(4)[LABELS]).num_classes == 4  # one-hot: as many columns as the answers


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"train_and_predict": 3}, ("train_and_predict", 3)),
        (
            {"outputs": "logit"},
            ("outputs", "logit", "`outputs` must be one of logits, probabilities, sigmoid. Received: outputs=logit"),
        ),
        ({"labels": LABELS + 1}, ("labels", "the values 1, 2")),
        ({"labels": LABELS * 0}, ("labels", "only label 0")),
        ({"labels": np.arange(20)}, ("labels", "20 different labels of 20 examples")),
        ({"labels": LABELS - 0.5}, ("labels", ANY, "must be whole numbers")),
        ({"ids": ["a"] * 20}, ("ids", "1 of them more than once (a)")),
        ({"ids": range(19)}, ("ids", "shape (19,)")),
        ({"groups": LABELS[:3]}, ("groups", "shape (3,)")),
        ({"groups": ["all"] * 20}, ("groups", "'all'")),
        ({"labels": np.arange(400) % 100, "groups": np.arange(400)}, ("groups", "400 groups")),
        ({"classes": ["a"]}, ("labels", "values from 0 to 1")),
        ({"labels": np.arange(20) % 3, "outputs": "sigmoid"}, ("outputs", "sigmoid")),
    ],
)
def test_other_arguments_are_refused_in_one_line(changes, refusal):
    with refuses(*refusal):
        Task(**{"train_and_predict": answer, "labels": LABELS, **changes})


@pytest.mark.parametrize(
    ("outputs", "returned", "shape"),
    [
        ("logits", np.arange(40.0).reshape(20, 2), (20, 1, 2)),
        ("logits", np.arange(120.0).reshape(20, 3, 2).tolist(), (20, 3, 2)),
        ("probabilities", np.full((20, 2), 0.5, np.float16), (20, 1, 2)),
        ("probabilities", np.full(20, 0.25), (20, 1, 1)),
        ("probabilities", np.full((20, 4, 1), 0.25), (20, 4, 1)),
        ("sigmoid", np.arange(20), (20, 1, 1)),
        ("sigmoid", np.arange(20.0)[:, None], (20, 1, 1)),
    ],
)
def test_answers_get_all_their_axes(outputs, returned, shape):
    answers = Task(answer, labels=LABELS, outputs=outputs).answers(returned)
    assert answers.shape == shape and answers.dtype == np.float32
    np.testing.assert_array_equal(answers.reshape(np.shape(returned)), returned)


@pytest.mark.parametrize(
    ("outputs", "returned", "received", "advice"),
    [
        ("logits", np.zeros((19, 2)), "shape (19, 2)", "must have shape (20, 2) or, for Q views, (20, Q, 2)"),
        ("logits", np.zeros((20, 3)), "shape (20, 3)", ""),
        ("logits", np.zeros(20), "shape (20,)", ""),
        ("sigmoid", np.zeros((20, 2)), "shape (20, 2)", "must have shape (20,), (20, 1) or"),
        ("logits", None, "shape ()", ""),
        ("logits", np.full((20, 2), np.nan), "NaN or infinity", ""),
        ("logits", np.full((20, 2), 1e39), "NaN or infinity", ""),  # beyond float32
        ("logits", np.full((20, 2), "a"), "dtype <U1", "must be numbers"),
        ("logits", np.full((20, 2), 0.5), "values in [0, 1] that sum to 1", 'give outputs="probabilities"'),
        ("probabilities", np.full((20, 2), 3.0), "values from 3 to 3", "must be probabilities"),
    ],
)
def test_other_answers_are_refused(outputs, returned, received, advice):
    with refuses("train_and_predict", received, advice):
        Task(answer, labels=LABELS, outputs=outputs).answers(returned)


def test_a_class_that_the_rows_lack_gets_a_column_of_zeros():
    """scikit-learn's `predict_proba` has no column for it."""
    task = Task(answer, labels=LABELS, classes=["a", "b", "c"], outputs="probabilities")
    predicted, classes = np.full((20, 2), 0.5), np.array([0, 2])
    with refuses("train_and_predict", "shape (20, 2)", "put predict_proba's columns at model.classes_ among columns"):
        task.answers(predicted)
    filled = np.zeros((20, 3))
    filled[:, classes] = predicted
    assert task.answers(filled).shape == (20, 1, 3)


def test_its_identity_follows_what_changes_a_result(tmp_path):
    task = Task(answer, labels=LABELS)
    assert Task(answer, labels=LABELS.astype(float), ids=range(20)).identity() == task.identity()

    def changed(**changes):
        other = Task(**{"train_and_predict": answer, "labels": LABELS, **changes}).identity()
        return {name for name in {**other, **task.identity()} if other.get(name) != task.identity().get(name)}

    assert changed(labels=1 - LABELS) == changed(classes=["a", "b"]) == {"labels_digest"}
    assert changed(ids=range(1, 21)) == {"ids_digest"}
    assert changed(groups=LABELS) == {"groups_digest"}
    assert changed(outputs="probabilities") == {"outputs"}
    assert changed(train_and_predict=functools.partial(answer)) == set()
    assert changed(train_and_predict=functools.partial(answer, width=3)) == {"uses.width"}
    decorated = functools.wraps(functools.partial(answer))(lambda *given: answer(*given))
    assert changed(train_and_predict=functools.partial(decorated)) == set()  # one behind the other
    assert changed(train_and_predict=lambda rows, seed: answer(rows, seed)) == {"task"}  # of the same file
    assert changed(train_and_predict=np.zeros) == {"task", "task_digest"}


class Callable:
    def __call__(self, rows, seed):
        return np.zeros((20, 2))


def test_an_object_that_can_be_called_will_do():
    task = Task(Callable(), labels=LABELS)
    assert task.name == "test_task.__call__"
    assert task.identity()["task_digest"] == Task(answer, labels=LABELS).identity()["task_digest"]


def test_a_file_s_task_is_loaded_with_its_neighbours(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    task_files.write(tmp_path, "neighbour_of_it", "LABELS = [0, 1] * 10")
    text = "from neighbour_of_it import LABELS\nimport mia_tf\nt = mia_tf.Task(print, labels=LABELS)\nother = 3"
    path = task_files.write(tmp_path, "with_neighbour", text)
    np.testing.assert_array_equal(load_task(f"{path}:t").labels, LABELS)
    assert load_task(f"{path}:t").name == "print"


@pytest.mark.parametrize(
    ("text", "name", "refusal"),
    [
        ("import mia_tf\n1 / 0", "t", ("task", ANY, "it raised ZeroDivisionError: division by zero")),
        ("def f(:", "t", ("task", ANY, "it raised SyntaxError:")),
        ("import sys\nsys.exit(4)", "t", ("task", ANY, "it raised SystemExit: 4")),
        ("t = 3", "t", ("task", ANY, "must name a mia_tf.Task of the file: t is int")),
        ("t = 3", "u", ("task", ANY, "must name a mia_tf.Task of the file, which has no u")),
        ("import mia_tf\nt = mia_tf.Task(print, labels=[1])", "t", ("labels", "only label 1")),
    ],
)
def test_a_file_that_does_not_hold_a_task_is_one_line(text, name, refusal, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "first_fault", raising=False)
    path = task_files.write(tmp_path, "first_fault", text)
    with refuses(*refusal) as caught:
        load_task(f"{path}:{name}")
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("spec", "refusal"),
    [
        ("my_task.py", ("task", "my_task.py")),
        ("/nowhere/my_task.py:task", ("task", ANY, "must name a file that exists")),
    ],
)
def test_a_task_that_is_not_there_is_one_line(spec, refusal):
    with refuses(*refusal):
        load_task(spec)


def test_a_file_that_hides_a_module_of_python_is_refused(tmp_path):
    path = task_files.write(tmp_path, "json", "t = 3")
    with refuses("task", advice="must name a file with another name, because Python has a"):
        load_task(f"{path}:t")


def write_model(store, answer):
    """Writes a model that answers the same for all examples; without one a LOGDIR is no record."""
    logits = np.tile(np.float32(answer), (20, 1, 1, 1))
    store.write(ModelRecord(0, np.arange(20) < 10, logits, 1, {"num_experiments": 4}, {}))


def test_a_logdir_holds_its_examples_and_gives_them_back(tmp_path):
    names = np.where(LABELS, "dog", "cat")
    groups = np.array(["a", "b", "c", "d"])[np.arange(20) // 5]
    task = Task(answer, labels=names, ids=range(100, 120), groups=groups, outputs="probabilities")
    store = Store.create(tmp_path, {**task.identity(), "num_experiments": 4}, task.examples)
    write_model(store, [0.75, 0.25])
    store.check_whole()
    assert not store.has_images and not store.made_with_images
    assert sorted(path.name for path in tmp_path.glob("*.npy")) == ["example_id.npy", "group.npy", "y_train.npy"]
    shadows = ShadowModels.open(tmp_path)
    assert shadows.outputs == "probabilities" and shadows.classes == ("cat", "dog")
    with refuses("logdir", "values in [0, 1] that sum to 1"):
        ShadowModels.open(tmp_path, "logits")
    for name in ("labels", "ids", "groups"):
        np.testing.assert_array_equal(getattr(shadows, name), getattr(task, name))
    assert shadows.about.group_titles == {name: name for name in "abcd"}
    assert shadows.about.name == "test_task.answer"
    (tmp_path / "group.npy").unlink()
    with refuses("logdir", advice="group.npy"):
        store.check_whole()


def test_groups_of_numbers_are_over_and_under(tmp_path):
    task = Task(answer, labels=LABELS, groups=1 - LABELS)
    write_model(Store.create(tmp_path, task.identity(), task.examples), [3, -2])
    shadows = ShadowModels.open(tmp_path)
    assert shadows.groups[:2].tolist() == ["under", "over"]
    assert shadows.about.group_titles == {"over": "over-represented", "under": "under-represented"}

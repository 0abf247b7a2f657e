"""What a user audits: a function that trains a model on some of the user's examples and answers for all of them.

Any framework and any data will do, because only the function sees them. Nothing here imports a framework.
"""

import importlib.util
import re
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType
from typing import Any

import numpy as np

from mia_tf.files import expanded
from mia_tf.labels import normalize_groups, normalize_ids, normalize_labels, occurring_classes
from mia_tf.records import GROUP_NAMES, GROUPS, Examples
from mia_tf.shadow.outputs import OUTPUTS, answers_of_one_model, as_logits, check_outputs
from mia_tf.task_identity import USES, code_of, definition, digest, values_used
from mia_tf.validation import InputError, check, check_choice, check_shape, fail, listed, part_of

ANSWERS = part_of("train_and_predict", "the answers")
"""What checks call what the function of a task returns."""
_MOST_GROUPS = 256  # their numbers are stored in one byte
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_WITHOUT_CAUSE = "Exception encountered when calling"
"""How Keras begins the message of an error in a layer; the next line says what is wrong."""


@dataclass(frozen=True, eq=False)
class Task:
    """A training of the user's own, to be repeated on many subsets of the user's data.

    The arguments are checked and normalized once; the attributes hold them in one form.

    Args:
        train_and_predict: a function of `rows`, (n,) int64, and `seed`, int. It trains a fresh model on these rows of
            the data and returns the model's answers for all N examples: (N, C), or (N, Q, C) for Q views of each
            example; (N,) or (N, 1) for one output of two classes. Rows are in rising order. All randomness should
            follow from the seed, so that equal seeds give equal models.
        labels: N true classes, as `mia_tf.ShadowModels` takes them: whole numbers, strings, booleans or one-hot rows.
            Column c of the answers belongs to class c: numbers are columns; strings are columns in sorted order, unless
            `classes` gives the order. An ordered pandas Categorical of another order needs `classes`.
        ids: N different strings or integers; default 0 to N - 1.
        groups: a name for each example, or 1 for the under- and 0 for the over-represented group; default one group.
        classes: the name of every column of the answers; default the strings among the labels, or numbers.
        outputs: what the answers are. "logits": before the softmax. "probabilities": after it. "sigmoid": one output,
            the logit of the second of two classes.

    Attributes:
        labels: (N,) int64 in [0, num_classes).
        ids: (N,) str.
        groups: (N,) str; None if there is one group.
        classes: tuple of num_classes str; None if the classes are numbers.
        num_classes: number of classes, C.
        name: of the function, after the name of its file.

    Raises:
        InputError: an argument has another shape, type or range; the message names it.

    Example:
        >>> from sklearn.datasets import load_breast_cancer
        >>> from sklearn.ensemble import RandomForestClassifier
        >>> x, y = load_breast_cancer(return_X_y=True)
        >>> def train_and_predict(rows, seed):
        ...     forest = RandomForestClassifier(20, random_state=seed).fit(x[rows], y[rows])
        ...     return forest.predict_proba(x)
        >>> task = Task(train_and_predict, labels=y, outputs="probabilities")
        >>> task.answers(task.train_and_predict(np.arange(100), seed=0)).shape
        (569, 1, 2)
    """

    train_and_predict: Callable[[np.ndarray, int], np.ndarray]
    labels: Any = field(repr=False)
    ids: Any = field(default=None, repr=False)
    groups: Any = field(default=None, repr=False)
    classes: Any = field(default=None, repr=False)
    outputs: str = "logits"
    num_classes: int = field(init=False)
    name: str = field(init=False)

    @property
    def x(self) -> np.ndarray | None:
        """The examples themselves, (N, ...) numbers, for attacks that see them; None if only the function knows."""
        return None

    @property
    def queries(self) -> int:
        """The number of views Q that each example is asked in; 1 if only the function knows."""
        return 1

    def __post_init__(self):
        function = self.train_and_predict
        check("train_and_predict", function, callable(function), "must be a function of rows and seed")
        check_choice("outputs", self.outputs, OUTPUTS)
        labels, classes = normalize_labels(self.labels, classes=self.classes)
        num_classes = _num_classes(labels, classes, np.shape(self.labels))
        two = num_classes == 2 or self.outputs != "sigmoid"
        check(
            "outputs",
            "sigmoid",
            two,
            f"must not be sigmoid for {num_classes} classes, because one output tells two apart",
        )
        ids = np.arange(len(labels)).astype(str) if self.ids is None else normalize_ids(self.ids)
        check_shape("ids", ids, (len(labels),))
        groups = None if self.groups is None else normalize_groups(self.groups, len(labels))
        if groups is not None:
            count = len(np.unique(groups))
            check("groups", f"{count:,} groups", count <= _MOST_GROUPS, f"must name at most {_MOST_GROUPS} groups")
        name, _ = definition(function)
        normalized = {"labels": labels, "ids": ids, "groups": groups, "classes": classes, "num_classes": num_classes}
        for attribute, value in {**normalized, "name": name}.items():
            object.__setattr__(self, attribute, value)

    def examples(self) -> Examples:
        """Returns the task's examples as a LOGDIR holds them."""
        names, groups = GROUPS, np.zeros(len(self.labels), np.uint8)
        if self.groups is not None:
            different, positions = np.unique(self.groups, return_inverse=True)
            names, groups = tuple(different.tolist()), positions.astype(np.uint8)
        return Examples(
            name=self.name,
            labels=self.labels,
            groups=groups,
            example_ids=self.ids,
            num_classes=self.num_classes,
            populations=names,
            group_names=GROUP_NAMES if names == GROUPS else names,
            classes=self.classes,
        )

    def training(self, num_members: int) -> Callable[[np.ndarray, int], np.ndarray]:
        """Returns what trains a model, for training sets of nominally `num_members` examples."""
        return self.train_and_predict

    def ensemble(self, num_members: int, size: int | None = None, num_models: int | None = None):
        """Returns what trains several models at once, such as a `KerasEnsemble` of `mia_tf.training`; None if nothing.

        Args:
            num_members: nominal number of examples of a model's training set.
            size: number of models to train at once; None to find out.
            num_models: number of models to train in all; None if that is not known.
        """
        return None

    def hparams(self, num_members: int) -> dict:
        """Returns the settings of each model that hparams.json holds beside its seed."""
        return {}

    def statement(self, num_members: int) -> str:
        """Returns what a user must know before training, in lines; "" for nothing."""
        return ""

    def identity(self) -> dict:
        """Returns what tells this task from others in config.json: names, digests, and what the answers are.

        `task_digest` is of the function's file, or of its own code if it has no file, as in a notebook.
        The values that the function uses count as they are now: its bound arguments and defaults, and the numbers,
        texts, arrays and functions that it reaches by name. What it reads from a file does not.
        """
        groups = {} if self.groups is None else {"groups_digest": digest("\n".join(self.groups))}
        return {
            "task": self.name,
            "task_digest": definition(self.train_and_predict)[1],
            "outputs": self.outputs,
            "labels_digest": digest(f"{self.labels.tolist()} {self.num_classes} {self.classes}"),
            "ids_digest": digest("\n".join(self.ids)),
            **groups,
            **{f"{USES}{name}": text for name, text in values_used(self.train_and_predict).items()},
        }

    def answers(self, returned) -> np.ndarray:
        """Returns what `train_and_predict` returned as (N, Q, K) float32. K is C, or 1 for one output of two classes.

        Raises:
            InputError: it has another shape, is not finite, or is plainly of another kind than `outputs`.
        """
        array = answers_of_one_model(returned, ANSWERS)
        count, classes = len(self.labels), self.num_classes
        one_output = self.outputs != "logits" and classes == 2
        widths = {1} if self.outputs == "sigmoid" else {classes, 1} if one_output else {classes}
        fits = array.ndim == 3 and len(array) == count and array.shape[1] > 0 and array.shape[2] in widths
        shapes = [f"({count}, {classes}) or, for Q views, ({count}, Q, {classes})"] if classes in widths else []
        shapes += [f"({count},), ({count}, 1) or, for Q views, ({count}, Q, 1)"] if one_output else []
        allowed = "must have shape " + " or ".join(shapes)
        if self.outputs == "probabilities" and array.ndim == 3 and array.shape[2] < classes:
            allowed += "; if rows lack a class, put predict_proba's columns at model.classes_ among columns of zeros"
        check(ANSWERS, f"shape {np.shape(returned)}", fits, allowed)
        check(ANSWERS, f"dtype {array.dtype}", array.dtype.kind in "fiu", "must be numbers")
        with np.errstate(over="ignore"):  # what float32 cannot hold is refused as infinity
            array = array.astype(np.float32)
        check(ANSWERS, "NaN or infinity", np.isfinite(array).all(), "must be finite")
        check_outputs([lambda: array], array.shape[2], self.outputs, ANSWERS)
        return array

    def logits(self, answers: np.ndarray) -> np.ndarray:
        """Returns (N, Q, C) float32 logits whose softmax is what these answers (N, Q, K) say."""
        return as_logits(answers, self.outputs)

    def error_line(self, error: BaseException) -> str:
        """Returns one line about an error that the function raised: its kind, message and place in the user's file."""
        return error_line(error, code_of(self.train_and_predict))


def load_task(spec: str) -> Task:
    """Runs a user's Python file and returns one of its tasks.

    Args:
        spec: "FILE.py:NAME", such as "my_task.py:task".

    Raises:
        InputError: there is no such file or task, or the file cannot be run.
    """
    path, _, name = spec.rpartition(":")
    check("task", spec, bool(path and name), "must be FILE.py:NAME, such as my_task.py:task")
    file = expanded(path, "task").absolute()
    check("task", spec, file.is_file(), "must name a file that exists")
    # As with `python FILE.py`, the file may import its neighbours; its functions can be imported by its name.
    before = sys.modules.get(file.stem)
    taken = before is not None and getattr(before, "__file__", None) != str(file)
    check("task", spec, not taken, f"must name a file with another name, because Python has a module {file.stem}")
    if str(file.parent) not in sys.path:
        sys.path.insert(0, str(file.parent))
    source = importlib.util.spec_from_file_location(file.stem, file)
    if source is None or source.loader is None:
        fail("task", spec, "must name a Python file, FILE.py")
    module = sys.modules[file.stem] = importlib.util.module_from_spec(source)
    try:
        source.loader.exec_module(module)
    except InputError:
        raise
    except (Exception, SystemExit) as error:
        fail("task", spec, f"must name a file that runs; it raised {error_line(error, str(file))}")
    check("task", spec, hasattr(module, name), f"must name a mia_tf.Task of the file, which has no {name}")
    task = getattr(module, name)
    check("task", spec, isinstance(task, Task), f"must name a mia_tf.Task of the file: {name} is {type(task).__name__}")
    return task


def error_line(error: BaseException, where: CodeType | str | None = None) -> str:
    """Returns one line about an error: its kind, the line of its message that says most, and where it was raised.

    Args:
        error: as it was caught.
        where: a file, or code of it: of the error's trace, its last line in this file counts; None for the very last.
    """
    file = where.co_filename if isinstance(where, CodeType) else where
    trace = traceback.extract_tb(error.__traceback__)
    frames = [frame for frame in trace if frame.filename == file] or trace
    place = ""
    if frames:
        name = Path(frames[-1].filename).name
        # Without a file, as in a notebook, there is only the line of the cell.
        place = f" (line {frames[-1].lineno})" if name.startswith("<") else f" ({name}, line {frames[-1].lineno})"
    lines = [line.strip() for line in _COLOURS.sub("", str(error)).splitlines()]
    message, *more = [line for line in lines if line] or [""]
    if more and message.startswith(_WITHOUT_CAUSE):
        message = f"{message.rstrip('.')}: {more[0]}"
    return f"{type(error).__name__}: {message}{place}" if message else f"{type(error).__name__}{place}"


def _num_classes(labels: np.ndarray, classes: tuple[str, ...] | None, shape: tuple[int, ...]) -> int:
    """Number of classes: the names', the columns' of one-hot labels of a shape, or else the different labels'."""
    if classes is None and len(shape) == 2 and shape[1] > 1:
        return shape[1]
    values, _ = occurring_classes(labels, classes)
    if classes is not None:
        return len(classes)
    allowed = "must be 0 to C - 1 without a gap: name all columns of the answers with `classes`, or use .astype(str)"
    check("labels", f"the values {listed(values)}", values[-1] == len(values) - 1, allowed)
    return len(values)


def say_one_at_a_time(reason: str) -> None:
    """Says that models are trained one at a time, and why."""
    line = f"Models of this network cannot be trained at once, so they take turns: {reason}"
    print(line, file=sys.stderr, flush=True)

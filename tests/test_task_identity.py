"""What tells a task from others besides its file: the code of a notebook's function, and the values it uses."""

import dataclasses
import enum
import functools
import pickle
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from sklearn.tree import DecisionTreeClassifier

import mia_tf
from mia_tf.task import Task
from mia_tf.task_identity import definition, values_used

LABELS = np.arange(20) % 2
RATE = 0.1


class Optimizer(enum.Enum):
    SGD = 1
    ADAM = 2


@dataclasses.dataclass
class Settings:
    depth: int
    layers: tuple = (8, 8)


class Trainer:
    def __init__(self, rate):
        self.rate = rate

    def __call__(self, rows, seed):
        return np.full((20, 2), self.rate)

    def train(self, rows, seed):
        return self(rows, seed)


def answer(rows, seed, value=None):
    return np.zeros((20, 2))


def defined(source, **variables):
    """A function f as a notebook defines it: without a file."""
    space = {"__name__": "__main__", "np": np, **variables}
    exec(compile(textwrap.dedent(source), "<cell>", "exec"), space)
    return space["f"]


def test_a_function_without_a_file_is_known_by_what_it_does():
    source = "def f(rows, seed):\n    return [k in {'a', 'b'} for k in rows]"
    first = defined(source)
    assert Task(first, labels=LABELS).name == "f"
    for _ in range(100):  # Python's own optimizations of the code do not count
        first("abc", 0)
    assert definition(defined("\n\n# moved\n" + source)) == definition(first)
    assert definition(defined(source.replace("'b'", "'c'"))) != definition(first)


@pytest.mark.parametrize(
    ("value", "other"),
    [
        (0.1, 0.2),
        (1, True),
        ("adam", "sgd"),
        (np.float32(0.1), np.float32(0.2)),
        ([8, 8], [8, 16]),
        ({"depth": 3}, {"depth": 4}),
        ({1, 2}, {1, 3}),
        (np.arange(6), np.arange(6.0)),
        (np.arange(6), np.arange(6)[::-1]),
        (np.array(["a", None]), np.array(["a", "b"], object)),
        (Path("a"), Path("b")),
        (Optimizer.SGD, Optimizer.ADAM),
        (Settings(3), Settings(4)),
        ((1, Settings(3, (8,))), (1, Settings(3, (9,)))),
        (DecisionTreeClassifier(max_depth=3), DecisionTreeClassifier(max_depth=4)),
        (functools.partial(answer, value=1), functools.partial(answer, value=2)),
        (b"ab", b"cd"),
        (float("nan"), None),
    ],
)
def test_a_bound_value_counts_and_its_copy_is_the_same(value, other):
    text = values_used(functools.partial(answer, value=value))["value"]
    assert values_used(functools.partial(answer, value=pickle.loads(pickle.dumps(value))))["value"] == text
    assert values_used(functools.partial(answer, value=other))["value"] != text
    assert len(text) < 100


def test_pandas_and_large_arrays_count():
    import pandas as pd

    frame = pd.DataFrame({"a": [1.0, 2.0], "b": ["x", "y"]})
    text = values_used(functools.partial(answer, value=frame))["value"]
    assert values_used(functools.partial(answer, value=frame.assign(a=3.0)))["value"] != text
    large = np.zeros((2**12, 2**18), np.uint8)  # 1 GiB that takes no memory; some rows stand for all
    large[0] = 1
    assert values_used(functools.partial(answer, value=large))["value"].startswith("array (4096, 262144) uint8")


def test_what_differs_in_each_process_is_named_by_its_type_alone():
    assert values_used(functools.partial(answer, value=object()))["value"] == "object"
    nested = []
    nested.append(nested)
    assert values_used(functools.partial(answer, value=nested)) == values_used(
        functools.partial(answer, value=[nested])
    )


def test_defaults_closures_attributes_and_global_variables_count():
    def inside(rate):
        def train(rows, seed):
            return np.full((20, 2), rate)

        return train

    assert values_used(inside(0.1)) == {"rate": "0.1"}
    assert values_used(Trainer(0.1)) == values_used(Trainer(0.1).train) == {"rate": "0.1"}
    assert values_used(lambda rows, seed, rate=0.1, *, depth=3: None) == {"rate": "0.1", "depth": "3"}
    assert values_used(lambda rows, seed: RATE) == {"RATE": "0.1"}
    assert values_used(lambda rows, seed: (lambda: RATE)()) == {"RATE": "0.1"}
    assert values_used(lambda rows, seed: rows.RATE) == {}  # an attribute of that name

    def decorated(function):
        @functools.wraps(function)
        def inner(rows, seed):
            return function(rows, seed) * RATE

        return inner

    assert values_used(functools.partial(decorated(inside(0.2)))) == {"RATE": "0.1", "rate": "0.2"}
    assert values_used(np.zeros) == {}


def test_what_a_function_calls_is_followed_in_a_notebook():
    source = """
        class Net:
            def fit(self):
                return width
        @functools.lru_cache
        def prepared():
            return rate
        def helper():
            return Net().fit() + prepared()
        def f(rows, seed):
            return helper() + np.exp(0) + len(rows)
    """
    variables = {"width": 3, "rate": 0.1, "functools": functools}
    values = values_used(defined(source, **variables))
    assert values.keys() == {"helper", "helper.Net", "helper.Net.width", "helper.prepared", "helper.prepared.rate"}
    assert values == values_used(defined("\n" + textwrap.dedent(source), **variables))
    for old, new, differs in (
        ("Net().fit() +", "Net().fit() -", {"helper"}),
        ("return width", "return -width", {"helper.Net"}),
    ):
        changed = values_used(defined(source.replace(old, new), **variables))
        assert {name for name in values if values[name] != changed[name]} == differs
    changed = values_used(defined(source, **{**variables, "width": 4}))
    assert {name for name in values if values[name] != changed[name]} == {"helper.Net.width"}


NOTEBOOK = """
import numpy as np
import mia_tf
from sklearn.tree import DecisionTreeClassifier

labels = np.arange(40) % 2
x = np.random.default_rng(0).normal(size=(40, 3))
depth = {depth}

class Model:
    def fit(self, x, y, seed):
        self.tree = DecisionTreeClassifier(max_depth=depth, random_state=seed).fit(x, y)
        return self

def mean(values):
    return values  # a name that is also an attribute

def fit(rows, seed):
    return Model().fit(x[rows], labels[rows], seed).tree

def train_and_predict(rows, seed):
    assert x.mean()
    return fit(rows, seed).predict_proba(x)

task = mia_tf.Task(train_and_predict, labels=labels, outputs="probabilities")
shadows = mia_tf.train_shadow_models(task, num_models=4, logdir="runs")
print(mia_tf.audit(shadows))
"""


@pytest.mark.parametrize("as_a_notebook", [True, False])
def test_a_script_goes_on_unless_a_value_differs(as_a_notebook, tmp_path):
    def run(depth):
        text = NOTEBOOK.format(depth=depth)
        (tmp_path / "script.py").write_text(text)
        arguments = ["-c", text] if as_a_notebook else ["script.py"]
        return subprocess.run([sys.executable, *arguments], cwd=tmp_path, capture_output=True, text=True)

    first = run(2)
    assert "4 models" in first.stdout, first.stderr
    assert run(2).returncode == 0
    other = run(3)
    assert other.returncode == 1
    assert "uses.fit.Model.depth ('2' there, '3' now)" in other.stderr


def test_a_worker_that_would_train_with_another_value_is_refused(tmp_path, monkeypatch):
    (tmp_path / "settings_of_mine.py").write_text(
        "import numpy as np\nRATE = 0.1\ndef train(rows, seed):\n    return np.full((20, 2), RATE)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    import settings_of_mine  # pyright: ignore[reportMissingImports]

    settings_of_mine.RATE = 0.2  # the workers import the module anew
    with pytest.raises(RuntimeError, match=r"must be the same in each process; it differs in uses\.RATE"):
        mia_tf.train_shadow_models(Task(settings_of_mine.train, labels=LABELS), num_models=4)


def test_a_helper_in_another_file_counts(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "helper_of_mine.py").write_text("def fit():\n    return 1\n")
    import helper_of_mine  # pyright: ignore[reportMissingImports]

    def used():
        return values_used(lambda rows, seed: (helper_of_mine.fit(), imported()))

    imported = helper_of_mine.fit
    before = used()
    assert before.keys() == {"imported", "helper_of_mine"}
    (tmp_path / "helper_of_mine.py").write_text("def fit():\n    return 2\n")
    assert all(text != before[name] for name, text in used().items())

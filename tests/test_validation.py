"""What an InputError says, and that the arguments it names are there."""

import ast
import inspect
import pickle
from pathlib import Path

import ml_dtypes
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from refusals import refuses

import mia_tf
from mia_tf import train, validation
from mia_tf.validation import InputError, as_array, check, check_given, check_shape, part_of

TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in Path(mia_tf.__file__).parent.rglob("*.py")}


def test_the_fields_of_an_error_survive_the_way_to_another_process():
    def function():
        pass

    for value in (1.5, "a", Path("a b"), None, function):
        with pytest.raises(InputError) as caught:
            check("pkeep", value, False, "must be another")
        copy = pickle.loads(pickle.dumps(caught.value))
        assert str(copy) == f"Argument `pkeep` must be another. Received: pkeep={value}"
        assert copy.argument == "pkeep" and copy.value == (str(value) if value is function else value)


def test_a_part_of_an_argument_is_named_with_it():
    with refuses("dataset", "shape (2,)", "Argument `dataset`: x_train in a.npz must have shape (3). Received: shape"):
        check_shape(part_of("dataset", "x_train in a.npz"), np.zeros(2), (3,))


@pytest.mark.parametrize("value", [None, ""])
def test_what_must_be_given_has_an_example(value):
    with refuses("logdir", value, "must be given, such as --logdir=FOLDER"):
        check_given("logdir", value, "FOLDER")


FRAME = pd.DataFrame({"age": [30, 41], "pay": [1.5, 2.0], "left": [True, False]})
NULLABLE = {"age": "Int64", "pay": "Float64", "left": "boolean"}


@pytest.mark.parametrize("frame", [FRAME, FRAME.astype(NULLABLE)])
def test_columns_of_different_types_are_one_array_of_numbers(frame):
    """NumPy makes Python objects of them, which every function refused."""
    array = as_array("x", frame)
    np.testing.assert_array_equal(array, [[30, 1.5, 1], [41, 2, 0]])
    assert array.dtype == np.float64 and as_array("x", frame[["age", "left"]]).dtype == np.int64
    assert as_array("y", pd.DataFrame({"name": ["a", "b"]})).tolist() == [["a"], ["b"]]


class Tensor:
    """As that of a framework which does not let NumPy read it."""

    def __init__(self, error):
        self.error = error

    def __array__(self, dtype=None, copy=None):
        raise self.error


GRADIENT = RuntimeError("Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (FRAME.assign(town=["Bonn", "Ulm"]), "`x`: column 'town' must hold numbers or booleans"),
        (FRAME.assign(town=["Bonn", None]), "`x`: column 'town' must be complete. Received: missing values"),
        (FRAME[["left"]].astype("boolean").shift(), "`x`: column 'left' must be complete"),
        (scipy.sparse.csr_matrix(np.eye(2)), "must be a dense array: convert with .toarray(). Received: x=a csr_mat"),
        (Tensor(GRADIENT), f"x=a Tensor, which raised RuntimeError: {GRADIENT}"),
        ([Tensor(GRADIENT)], f"x=a list, which raised RuntimeError: {GRADIENT}"),
        (Tensor(TypeError("Got unsupported ScalarType BFloat16\nat")), "raised TypeError: Got unsupported ScalarType"),
        (Tensor(ValueError()), "Received: x=a Tensor, which raised ValueError"),
        (np.zeros(2, ml_dtypes.bfloat16), "convert with .astype('float32'). Received: x=dtype bfloat16"),
        ([[1], [1, 2]], "must be one array. Received: x=lists of different lengths"),
    ],
)
def test_what_is_no_array_is_refused_with_advice(values, message):
    with refuses("x", advice=message):
        as_array("x", values)


def name_of(call):
    return call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")


def text_of(node):
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


CHECKS = {"fail", "check", "check_given", "check_integer", "check_choice", "check_shape", "check_ids", "check_arch"}
CHECKS |= {"check_arch_fits", "check_number", "check_several", "as_array"}
"""Functions whose first two arguments are the name and the value of what they check."""


def named(node):
    """The arguments that a piece of code names as literals, of which an InputError may be."""
    if isinstance(node, ast.Call):
        name = name_of(node)
        if name in CHECKS and isinstance(node.func, ast.Name):
            yield text_of(node.args[0])
        if name == "InputError" and len(node.args) > 1:
            yield text_of(node.args[1])
        if name == "part_of":
            yield text_of(node.args[0])
        yield from (text_of(word.value) for word in node.keywords if word.arg == "argument")
    elif isinstance(node, ast.FunctionDef):
        pairs = [*zip(node.args.args[::-1], node.args.defaults[::-1], strict=False)]
        pairs += zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
        yield from (text_of(default) for argument, default in pairs if argument.arg == "argument")
    elif isinstance(node, ast.AnnAssign) and getattr(node.target, "id", "") == "argument":
        yield text_of(node.value)


def known():
    """Flags, environment variables, fields of the package's classes, and parameters of the public API."""
    names = {name for owner in train.SECTIONS for name in train.flag_fields(owner)}
    for node in (node for tree in TREES.values() for node in ast.walk(tree)):
        if isinstance(node, ast.ClassDef):
            names |= {field.target.id for field in node.body if isinstance(field, ast.AnnAssign)}
        elif isinstance(node, ast.Call) and (
            name_of(node).startswith("DEFINE_") or "environ" in ast.unparse(node.func)
        ):
            names |= {text_of(node.args[0])}
    for public in (getattr(mia_tf, name) for name in mia_tf.__all__):
        if not isinstance(public, str):
            members = inspect.getmembers(public, lambda member: inspect.isfunction(member) or inspect.ismethod(member))
            for function in (public, *(value for name, value in members if not name.startswith("_"))):
                names |= inspect.signature(function).parameters.keys()
    return names


def walk(node, parameters=frozenset()):
    """Every node below one, with the parameters of the functions around it."""
    if isinstance(node, ast.FunctionDef):
        parameters |= {argument.arg for argument in (*node.args.args, *node.args.kwonlyargs)}
    yield node, parameters
    for child in ast.iter_child_nodes(node):
        yield from walk(child, parameters)


def test_every_argument_that_an_error_names_is_there():
    names, seen = known(), set()
    defined = {
        node.name: node for tree in TREES.values() for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)
    }
    assert all(defined[name].args.args[0].arg == "name" for name in CHECKS)
    for path, tree in TREES.items():
        for node, parameters in walk(tree):
            for name in filter(None, named(node)):
                assert name in names | parameters, f"{path.name}:{node.lineno}: there is no {name}"
                seen.add(name)
    assert {"pkeep", "KERAS_BACKEND", "logits", "data_dir", "shadows", "figure"} <= seen


def test_every_error_has_an_argument():
    for path, tree in TREES.items():
        for node, _ in walk(tree):
            if isinstance(node, ast.Call) and name_of(node) == "InputError":
                assert len(node.args) >= 2, f"{path.name}:{node.lineno}"
    assert validation.InputError("a user's own").argument is None

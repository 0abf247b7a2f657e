"""Labels, class names and ids in every form that users have them in."""

import doctest

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from refusals import refuses

from mia_tf import labels as module
from mia_tf.labels import normalize_groups, normalize_ids, normalize_labels, occurring_classes
from mia_tf.validation import part_of

_LABELS = st.lists(st.integers(0, 50), min_size=1, max_size=30)
_FORMS = {
    "list": list,
    "column": lambda labels: np.array(labels)[:, np.newaxis],
    "uint8": lambda labels: np.array(labels, np.uint8),
    "uint64": lambda labels: np.array(labels, np.uint64),
    "float": lambda labels: np.array(labels, float),
    "float16": lambda labels: np.array(labels, np.float16),
    "objects": lambda labels: np.array(labels, object),
    "objects of NumPy": lambda labels: np.array([np.int16(label) for label in labels], object)[:, np.newaxis],
    "one-hot": lambda labels: np.eye(51)[labels],
    "one-hot of bool": lambda labels: np.eye(51, dtype=bool)[labels],
    "one-hot of int": lambda labels: np.eye(51, dtype=int)[labels],
}


def test_the_examples_of_the_docstrings_hold():
    assert doctest.testmod(module).failed == 0 and doctest.testmod(module).attempted >= 7


@pytest.mark.parametrize("form", _FORMS)
@given(labels=_LABELS)
def test_numbers_keep_their_values_in_every_form(form, labels):
    normalized, names = normalize_labels(_FORMS[form](labels))
    assert normalized.dtype == np.int64 and normalized.tolist() == labels and names is None


@given(st.lists(st.text("abc é", min_size=1, max_size=3).filter(str.strip), min_size=1, max_size=20))
def test_strings_become_positions_among_the_sorted_names(texts):
    for form in (texts, np.array(texts), np.array(texts, object), np.char.encode(texts, "utf-8")):
        normalized, names = normalize_labels(form)
        assert normalized.dtype == np.int64 and names == tuple(sorted(set(texts)))
        assert [names[label] for label in normalized] == texts


@given(st.lists(st.integers(-20, 120), min_size=1, max_size=20))
def test_numbers_as_text_sort_as_numbers(values):
    """As text, "10" sorts before "2": its logits would be another column's."""
    normalized, names = normalize_labels(list(map(str, values)))
    assert names == tuple(map(str, sorted(set(values))))
    assert [int(names[label]) for label in normalized] == values


def test_the_order_of_categories_is_no_order_of_columns_unless_classes_says_so():
    """scikit-learn sorts the names, and `codes` follow the categories: neither may be taken for the other."""
    levels = ["low", "mid", "high", "top"]
    grades = pd.Series(pd.Categorical(["mid", "low", "high"], levels, ordered=True))
    with refuses("labels", "low < mid < high < top", "must come with `classes`, the order of the columns"):
        normalize_labels(grades)
    normalized, names = normalize_labels(grades, classes=levels)
    assert normalized.tolist() == [1, 0, 2] and names == tuple(levels)
    normalized, names = normalize_labels(grades.cat.as_unordered())
    assert normalized.tolist() == [2, 1, 0] and names == ("high", "low", "mid")
    by_name = grades.cat.set_categories(sorted(levels), ordered=True)
    assert normalize_labels(by_name)[1] == names  # a category without examples is no class
    assert normalize_labels(pd.Categorical([3, 1], [3, 1], ordered=True))[0].tolist() == [3, 1]


def test_booleans_are_classes_0_and_1():
    assert normalize_labels([True, False])[0].tolist() == [1, 0]
    assert normalize_labels(np.array([True, False], object))[0].tolist() == [1, 0]


@given(_LABELS, st.permutations([f"class {n}" for n in range(51)]))
def test_names_are_those_of_the_columns(labels, classes):
    for form in (labels, np.eye(51)[labels], [classes[label] for label in labels]):
        normalized, names = normalize_labels(form, classes=classes)
        assert normalized.tolist() == labels and names == tuple(classes)


@pytest.mark.parametrize(
    "labels, classes, refusal",
    [
        ([], None, ("labels", "shape (0,)")),
        (3, None, ("labels", "shape ()")),
        (np.zeros((2, 2, 2)), None, ("labels", "shape (2, 2, 2)")),
        (np.zeros((0, 3)), None, ("labels", "shape (0, 3)")),
        ([[0, 1], [0, 0]], None, ("labels", "shape (2, 2) with other rows", "argmax(axis=1)")),
        ([[0.3, 0.7], [0.5, 0.5]], None, ("labels", "shape (2, 2) with other rows", "argmax(axis=1)")),
        ([[np.nan, 1.0]], None, ("labels", "shape (1, 2) with other rows")),
        ([[2, -1]], None, ("labels", "shape (1, 2) with other rows")),
        ([["a", "b"]], None, ("labels", "shape (1, 2)")),
        ([[1, 2], [1]], None, ("labels", "lists of different lengths")),
        ([0.5, 1.0], None, ("labels", 0.5, "a threshold makes classes: labels > 0.5")),
        ([1e300, 1.0], None, ("labels", 1e300)),
        ([np.nan, 1.0], None, ("labels", "NaN or infinity")),
        ([-1, 1], None, ("labels", "values from -1 to 1", "astype(str)")),
        (np.array([2**63], np.uint64), None, ("labels", "values from 9223372036854775808 to 9223372036854775808")),
        ([1j, 2], None, ("labels", "dtype complex128")),
        (np.array([0, 1], "datetime64[D]"), None, ("labels", "dtype datetime64[D]")),
        (np.array(["a", None], object), None, ("labels", "Python objects (NoneType, str)")),
        (np.array(["a", 1], object), None, ("labels", "Python objects (int, str)")),
        (np.array(["a", np.nan], object), None, ("labels", "Python objects (float, str)")),
        (np.array([], object), None, ("labels", "Python objects ()")),
        (["a", ""], None, ("labels", "''")),
        (["a", "b\nc"], None, ("labels", "'b\\nc'")),
        (np.array([b"\xff", b"a"]), None, ("labels", "other bytes")),
        ([1, 2, 3], ["a", "b", "c"], ("labels", "values from 1 to 3")),
        (["a", "d"], ["a", "b", "c"], ("labels", "d")),
        ([[0, 1]], ["a", "b", "c"], ("labels", "shape (1, 2)")),
        ([0, 1], ["a", "a"], ("classes", "a twice")),
        ([0, 1], [3, 5], ("classes", "dtype int64", "`classes` must be strings: convert with .astype(str)")),
        ([0, 1], ["a", " "], ("classes", "' '")),
        ([0, 1], [["a", "b"]], ("classes", "shape (1, 2)")),
    ],
)
def test_what_is_ambiguous_is_refused_in_one_line(labels, classes, refusal):
    with refuses(*refusal):
        normalize_labels(labels, classes=classes)


def test_messages_call_the_labels_what_the_caller_does():
    with refuses("dataset", "NaN or infinity", "y_train in own.npz"):
        normalize_labels([np.inf], argument=part_of("dataset", "y_train in own.npz"))


@given(st.lists(st.integers(0, 9), min_size=2, max_size=2).filter(lambda pair: len(set(pair)) == 2), _LABELS)
def test_classes_that_occur_are_numbered_without_gaps(pair, more):
    labels = np.array(2 * (pair + more))
    values, names = occurring_classes(labels)
    outputs = np.searchsorted(values, labels)
    assert set(outputs) == set(range(len(values))) and np.array_equal(values[outputs], labels)
    if max(labels) + 1 == len(set(labels)):
        assert names is None
    else:
        assert [int(names[output]) for output in outputs] == labels.tolist()


def test_a_class_keeps_its_name():
    values, names = occurring_classes(np.array([0, 2, 0, 2]), ("cat", "dog", "ship"))
    assert values.tolist() == [0, 2] and names == ("cat", "ship")
    assert occurring_classes(np.array([0, 1, 0, 1]), ("cat", "dog"))[1] == ("cat", "dog")


@pytest.mark.parametrize(
    "labels, classes, refusal",
    [
        ([1, 1, 1, 1], None, ("labels", "only label 1")),
        ([1, 1, 1, 1], ("a", "b"), ("labels", "only 'b'")),
        ([0, 1, 2, 3, 3], None, ("labels", "4 different labels of 5 examples")),
    ],
)
def test_labels_that_are_no_classes_are_refused(labels, classes, refusal):
    with refuses(*refusal):
        occurring_classes(np.array(labels), classes)


@pytest.mark.parametrize(
    "ids, expected",
    [
        ([12, 7], ["12", "7"]),
        (np.array([[12], [-7]], np.int16), ["12", "-7"]),
        (["img 1.png", "é"], ["img 1.png", "é"]),
        (np.array(["a", "b"], object), ["a", "b"]),
        (np.array([b"a", b"b"]), ["a", "b"]),
    ],
)
def test_ids_become_strings(ids, expected):
    normalized = normalize_ids(ids)
    assert normalized.dtype.kind == "U" and normalized.tolist() == expected


def test_groups_may_be_one_column_of_a_table():
    groups = normalize_groups(np.array([["a"], ["b"], ["a"]]), 3)
    assert groups is not None and groups.tolist() == ["a", "b", "a"]


@pytest.mark.parametrize(
    "ids, refusal",
    [
        ([3, 5, 3], ("ids", "1 of them more than once (3)")),
        (["a", "b", "b", "a"], ("ids", "2 of them more than once (a, b)")),
        (
            [1.0, 2.0],
            ("ids", "dtype float64", "must be strings or integers: convert whole numbers with .astype(np.int64)"),
        ),
        ([True, False], ("ids", "dtype bool")),
        (["a", "b\nc"], ("ids", "'b\\nc'")),
        (["a", ""], ("ids", "''")),
        (["a", "b "], ("ids", "'b '")),
        ([["a", "b"]], ("ids", "shape (1, 2)")),
    ],
)
def test_ids_that_do_not_tell_examples_apart_are_refused(ids, refusal):
    with refuses(*refusal):
        normalize_ids(ids)

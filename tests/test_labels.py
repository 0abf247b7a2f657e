"""Labels, class names and ids in every form that users have them in."""

import doctest

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mia_tf import labels as module
from mia_tf.labels import normalize_ids, normalize_labels, occurring_classes
from mia_tf.validation import InputError

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


def test_booleans_are_classes_0_and_1():
    assert normalize_labels([True, False])[0].tolist() == [1, 0]
    assert normalize_labels(np.array([True, False], object))[0].tolist() == [1, 0]


@given(_LABELS, st.permutations([f"class {n}" for n in range(51)]))
def test_names_are_those_of_the_columns(labels, classes):
    for form in (labels, np.eye(51)[labels], [classes[label] for label in labels]):
        normalized, names = normalize_labels(form, classes=classes)
        assert normalized.tolist() == labels and names == tuple(classes)


@pytest.mark.parametrize(
    "labels, classes, said",
    [
        ([], None, "must hold at least one label"),
        (3, None, r"must have shape \(N,\), \(N, 1\) or, one-hot, \(N, K\).*shape \(\)"),
        (np.zeros((2, 2, 2)), None, r"must have shape.*shape \(2, 2, 2\)"),
        (np.zeros((0, 3)), None, r"at least one label.*shape \(0, 3\)"),
        ([[0, 1], [0, 0]], None, r"must have one 1 per row and else 0.*argmax\(axis=1\).*shape \(2, 2\)"),
        ([[0.3, 0.7], [0.5, 0.5]], None, r"argmax\(axis=1\)"),
        ([[np.nan, 1.0]], None, "one 1 per row"),
        ([[2, -1]], None, "one 1 per row"),
        ([["a", "b"]], None, r"strings of shape \(N,\).*shape \(1, 2\)"),
        ([[1, 2], [1]], None, "must be one array.*lists of different lengths"),
        ([0.5, 1.0], None, r"must be whole numbers \(a threshold.*labels=0.5"),
        ([1e300, 1.0], None, "must be whole numbers.*labels=1e\\+300"),
        ([np.nan, 1.0], None, "must be finite"),
        ([-1, 1], None, r"must not be negative: leave unlabelled.*astype\(str\).*values from -1 to 1"),
        (np.array([2**63], np.uint64), None, r"must be below 2\*\*63"),
        ([1j, 2], None, "must be whole numbers, booleans, strings or one-hot rows.*dtype complex128"),
        (np.array([0, 1], "datetime64[D]"), None, "must be whole numbers.*dtype datetime64"),
        (np.array(["a", None], object), None, r"must be all strings, all booleans or all numbers.*\(NoneType, str\)"),
        (np.array(["a", 1], object), None, r"must be all strings.*\(int, str\)"),
        (np.array(["a", np.nan], object), None, r"must be all strings.*\(float, str\)"),
        (np.array([], object), None, "must be all strings"),
        (["a", ""], None, "must be printable and not empty.*''"),
        (["a", "b\nc"], None, r"must be printable and not empty.*'b\\nc'"),
        (np.array([b"\xff", b"a"]), None, "must be text in UTF-8"),
        ([1, 2, 3], ["a", "b", "c"], r"must lie in \[0, 2\], because there are 3 class names \(labels from 1: sub"),
        (["a", "d"], ["a", "b", "c"], "must be among the class names a, b, c.*labels=d"),
        ([[0, 1]], ["a", "b", "c"], r"must have shape \(any, 3\).*shape \(1, 2\)"),
        ([0, 1], ["a", "a"], "`classes` must differ from each other.*a twice"),
        ([0, 1], [3, 5], r"`classes` must be strings: convert with \.astype\(str\).*dtype int64"),
        ([0, 1], ["a", " "], "`classes` must be printable and not empty"),
        ([0, 1], [["a", "b"]], r"`classes` must have shape \(any\)"),
    ],
)
def test_what_is_ambiguous_is_refused_in_one_line(labels, classes, said):
    with pytest.raises(InputError, match=said) as error:
        normalize_labels(labels, classes=classes)
    assert "\n" not in str(error.value)


def test_messages_call_the_labels_what_the_caller_does():
    with pytest.raises(InputError, match=r"Argument `y_train in own\.npz` must be finite"):
        normalize_labels([np.inf], argument="y_train in own.npz")


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
    "labels, classes, said",
    [
        ([1, 1, 1, 1], None, "must hold at least two different labels. Received: labels=only label 1"),
        ([1, 1, 1, 1], ("a", "b"), "at least two different labels. Received: labels=only 'b'"),
        ([0, 1, 2, 3, 3], None, r"at least two examples per label on average.*4 different labels of 5 examples"),
    ],
)
def test_labels_that_are_no_classes_are_refused(labels, classes, said):
    with pytest.raises(InputError, match=said):
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


@pytest.mark.parametrize(
    "ids, said",
    [
        ([3, 5, 3], "must differ from each other. Received: ids=1 of them more than once \\(3\\)"),
        (["a", "b", "b", "a"], "must differ from each other. Received: ids=2 of them more than once \\(a, b\\)"),
        ([1.0, 2.0], r"must be strings or integers: convert whole numbers with \.astype\(np.int64\).*dtype float64"),
        ([True, False], "must be strings or integers"),
        (["a", "b\nc"], "must be printable, not empty, and without spaces around them.*'b"),
        (["a", ""], "must be printable, not empty"),
        (["a", "b "], "without spaces around them.*'b '"),
        ([["a", "b"]], r"must have shape \(any\).*shape \(1, 2\)"),
    ],
)
def test_ids_that_do_not_tell_examples_apart_are_refused(ids, said):
    with pytest.raises(InputError, match=said) as error:
        normalize_ids(ids)
    assert "\n" not in str(error.value)

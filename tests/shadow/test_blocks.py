"""The walk through the models in blocks gives what the files hold, however it is cut."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from toys import make_dataset

from mia_tf.records import ModelRecord
from mia_tf.shadow import blocks, signals
from mia_tf.shadow.blocks import Recording
from mia_tf.shadow.kept import Kept
from mia_tf.shadow.shadow_models import ShadowModels
from mia_tf.store import Store
from mia_tf.validation import InputError

MODELS, QUERIES = 5, 2


@pytest.fixture
def recorded(tmp_path):
    """A Recording whose blocks have 9 examples, in pieces of 2, and what its models were."""
    rng = np.random.default_rng(0)
    dataset = make_dataset()
    keep = rng.random((64, MODELS)) < 0.5
    logits = rng.normal(size=(MODELS, 64, 1, QUERIES, 4)).astype(np.float32)
    store = Store.create(tmp_path / "run", {}, lambda: dataset)
    for index in range(MODELS):
        store.write(ModelRecord(index, keep[:, index], logits[index], 1, {"num_experiments": MODELS}, {}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "_BLOCK", 9 * QUERIES * MODELS)
        patch.setattr(blocks, "_PIECE", 2 * QUERIES * MODELS)
        yield Recording(ShadowModels.open(tmp_path / "run")), dataset, keep, logits


def test_blocks_cover_all_examples_in_order_and_again_the_same(recorded):
    recording, dataset, keep, logits = recorded
    kept = Kept()
    first = list(recording.read(kept))
    again = list(recording.reread(kept))
    for (block, _), same in zip(first, again, strict=True):
        np.testing.assert_array_equal(block.logits, same.logits)
    assert len(recording) == len(first) == len(again) == 8
    for field, expected in (
        ("phi", np.moveaxis(signals.phi(logits[:, :, 0], dataset.labels[:, None]), 0, -1)),
        ("keep", keep),
        ("labels", dataset.labels),
    ):
        np.testing.assert_array_equal(np.concatenate([getattr(block, field) for block, _ in first]), expected)
        np.testing.assert_array_equal(np.concatenate([getattr(block, field) for block in again]), expected)
    correct = np.concatenate([view.correct for _, view in first])
    np.testing.assert_array_equal(correct, (logits[:, :, 0, 0].argmax(axis=-1) == dataset.labels).T)


def test_pieces_make_up_their_block_and_have_their_own_logits(recorded):
    recording, _, _, logits = recorded
    for block, _ in recording.read(Kept()):
        rows = np.concatenate([np.arange(len(block.phi))[rows] for rows, _ in block.pieces()])
        np.testing.assert_array_equal(rows, np.arange(len(block.phi)))
        for part, piece in block.pieces():
            np.testing.assert_array_equal(piece.phi, block.phi[part])
            assert piece.start == block.start + part.start
            here = slice(piece.start, piece.start + len(piece.phi))
            np.testing.assert_array_equal(piece.logits, np.moveaxis(logits[:, here, 0], 0, 2))


def test_blocks_of_many_classes_have_fewer_examples(recorded, monkeypatch, tmp_path):
    monkeypatch.setattr(blocks, "_BLOCK_LOGITS", 4 * QUERIES * MODELS * 4)
    assert len(Recording(ShadowModels.open(tmp_path / "run"))) == 16


def test_pieces_with_many_logits_have_fewer_examples(recorded, monkeypatch):
    recording, *_ = recorded
    monkeypatch.setattr(blocks, "_PIECE_LOGITS", 7 * QUERIES * MODELS)
    block, _ = next(recording.read(Kept()))
    sizes = [[len(piece.phi) for _, piece in block.pieces(logits)] for logits in (0, 1, 4, 7, 100)]
    assert sizes == [[2, 2, 2, 2, 1], [2, 2, 2, 2, 1], [1] * 9, [1] * 9, [1] * 9]


@pytest.mark.parametrize("together", [1, 1 << 17])
def test_several_threads_read_the_same(recorded, monkeypatch, together):
    recording, *_ = recorded
    alone = list(recording.read(Kept()))
    monkeypatch.setattr(blocks, "_TOGETHER", together)
    with ThreadPoolExecutor(3) as pool:
        in_threads = list(recording.read(Kept(), run=lambda work, tasks: pool.map(lambda task: work(*task), tasks)))
    for (block, view), (same, same_view) in zip(alone, in_threads, strict=True):
        for field in ("phi", "logits"):
            np.testing.assert_array_equal(getattr(same, field), getattr(block, field))
        for field in ("correct", "ood_msp", "ood_energy"):
            np.testing.assert_array_equal(getattr(same_view, field), getattr(view, field))


def test_logits_are_read_again_where_they_were_not_held(recorded):
    recording, *_ = recorded
    for (held, _), (block, _) in zip(recording.read(Kept()), recording.read(Kept(), with_logits=False), strict=True):
        np.testing.assert_array_equal(block.logits, held.logits)


def test_the_first_faulty_model_is_named_though_threads_read_it(recorded, monkeypatch, tmp_path):
    _, _, _, logits = recorded
    monkeypatch.setattr(blocks, "_TOGETHER", 1)
    store = Store(tmp_path / "run")
    for model in (3, 1):
        faulty = logits[model].copy()
        faulty[4, 0, 1, 2] = np.nan
        np.save(store.models()[model].file, faulty)
    recording = Recording(ShadowModels.open(tmp_path / "run"))
    with ThreadPoolExecutor(3) as pool, pytest.raises(InputError, match="model 1"):
        list(recording.read(Kept(), run=lambda work, tasks: pool.map(lambda task: work(*task), tasks)))

"""The walk through the models in blocks gives what the files hold, however it is cut."""

import numpy as np
import pytest
from toys import make_dataset

from mia_tf.records import ModelRecord
from mia_tf.shadow import blocks, signals
from mia_tf.shadow.blocks import Recording
from mia_tf.shadow.kept import Kept
from mia_tf.shadow.shadow_models import ShadowModels
from mia_tf.store import Store

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

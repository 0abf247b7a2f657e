"""Defences that hide confidences: they keep the label, hide what they say, and meet both attackers."""

import numpy as np
import pytest
from scipy.special import softmax

import mia_tf
from experiments.open_questions import hiding


@pytest.fixture(scope="module")
def shadows():
    """Ten models of 60 examples that are surer of their members."""
    rng = np.random.default_rng(0)
    members, labels = rng.random((10, 60)).argsort(axis=0) < 5, rng.integers(0, 4, 60)
    logits = rng.normal(size=(10, 60, 2, 4)) + 3 * members[:, :, None, None] * np.eye(4)[labels][:, None]
    return mia_tf.ShadowModels(logits=logits, members=members, labels=labels)


@pytest.mark.parametrize("defence", hiding.DEFENCES)
def test_a_defence_keeps_every_label_and_draws_once(shadows, defence):
    record = hiding.hidden(shadows, defence, 0)
    assert record.shape == (60, 1, 4) and len(record) == 10
    for model in range(10):
        before, after = shadows.read_logits(model)[:, :1], record.read_logits(model)
        np.testing.assert_array_equal(after.argmax(axis=-1), before.argmax(axis=-1))
        np.testing.assert_array_equal(record.read_logits(model, 20, 30), after[20:30])
    assert (hiding.hidden(shadows, defence, 0).read_logits(0) == record.read_logits(0)).all()


def test_what_is_hidden_does_not_show(shadows):
    answers = {name: hiding.hidden(shadows, name, 0).read_logits(0)[:, 0] for name in hiding.DEFENCES}
    confidence = softmax(np.float64(answers["none"]), axis=-1).max(axis=-1)
    for digits in (1, 2, 3):
        rounded = softmax(np.float64(answers[f"round_{digits}"]), axis=-1)
        inside = confidence.round(digits) < 1
        np.testing.assert_allclose(rounded.max(axis=-1)[inside], confidence.round(digits)[inside], atol=1e-5)
        assert (rounded.max(axis=-1) < 1).all()
        assert np.ptp(np.sort(rounded, axis=-1)[:, :-1], axis=-1).max() < 1e-6  # the rest is spread evenly
    assert len(np.unique(np.sort(answers["label"], axis=-1), axis=0)) == 1
    np.testing.assert_allclose(answers["temperature"] * hiding.TEMPERATURE, answers["none"], rtol=1e-6)
    plain, noisy = (softmax(np.float64(answers[name]), axis=-1) for name in ("none", "noise"))
    drawn = (noisy - (1 - hiding.NOISE) * plain) / hiding.NOISE
    np.testing.assert_allclose(drawn.sum(axis=-1), 1, atol=1e-5)
    assert (drawn > -1e-6).all() and drawn.std() > 0.1


def test_rows_and_figure_have_every_defence_and_attacker(shadows, monkeypatch):
    monkeypatch.setattr(hiding, "DEFENCES", {name: hiding.DEFENCES[name] for name in ("none", "label")})
    monkeypatch.setattr(hiding, "BESIDE_LIRA", ("label_only",))
    table = [dict(zip(hiding.COLUMNS, row, strict=True)) for row in hiding.rows(shadows, 0)]
    pairs = {(row["defence"], row["attacker"]) for row in table}
    both = {(defence, attacker) for defence in hiding.DEFENCES for attacker in hiding.ATTACKERS}
    assert pairs == both - {("none", "unaware")}
    auroc = {
        (row["defence"], row["attacker"], row["attack"]): row["value"] for row in table if row["metric"] == "auroc"
    }
    strong = {defence: auroc[defence, "adaptive", "lira_online_fixed"] for defence in hiding.DEFENCES}
    assert strong["none"] > strong["label"] + 0.05 and strong["label"] > 0.6
    # A label is never hidden.
    assert auroc["none", "adaptive", "label_only"] == auroc["label", "adaptive", "label_only"]
    assert len(hiding.draw(table).axes) == 2

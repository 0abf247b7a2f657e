"""The attacks on labels alone with fewer of the queries, on a small record in memory."""

import numpy as np

import mia_tf
from experiments.open_questions import label_only


def test_every_number_of_queries_has_the_label_only_attacks_beside_lira():
    rng = np.random.default_rng(0)
    members, labels = rng.random((8, 60)) < 0.5, rng.integers(0, 3, 60)
    logits = rng.normal(size=(8, 60, 4, 3)) + 2 * members[:, :, None, None] * np.eye(3)[labels][:, None]
    shadows = mia_tf.ShadowModels(logits=logits, members=members, labels=labels)
    two = label_only.with_queries(shadows, 2)
    assert two.shape == (60, 2, 3) and shadows.shape == (60, 4, 3)
    np.testing.assert_array_equal(two.read_logits(5), shadows.read_logits(5)[:, :2])
    table = label_only.rows("run", shadows, (1, 4), 0)
    assert {len(row) for row in table} == {len(label_only.COLUMNS)}
    auroc = {row[2:4]: row[6] for row in table if row[5] == "auroc"}
    attacks = (*label_only.LABEL_ONLY, "lira_online_fixed")
    assert set(auroc) == {(queries, attack) for queries in (1, 4) for attack in attacks}
    assert auroc[4, "label_only"] > auroc[1, "label_only"] > 0.6

"""Quantile regression beside attacks with few shadow models, on a small record in memory."""

import numpy as np

import mia_tf
from experiments.open_questions import sees_x


def test_attacks_without_and_with_few_shadow_models_are_rows():
    rng = np.random.default_rng(0)
    members, labels = rng.random((12, 40)).argsort(axis=0) < 6, rng.integers(0, 3, 40)
    logits = rng.normal(size=(12, 40, 3)) + 2 * members[:, :, None] * np.eye(3)[labels]
    table = sees_x.rows(mia_tf.ShadowModels(logits, members, labels, x=rng.normal(size=(40, 4))), 0)
    assert {len(row) for row in table} == {len(sees_x.COLUMNS)}
    auroc = {row[2:4]: row[6] for row in table if row[5] == "auroc"}
    rmia = {("rmia_offline", size) for size in (1, 2, 4, "all")}
    assert set(auroc) == {("yeom", 0), ("quantile_regression", 0), ("lira_online_fixed", "all"), *rmia}
    assert min(auroc.values()) > 0.6
    sees_x.draw([dict(zip(sees_x.COLUMNS, row, strict=True)) for row in table])

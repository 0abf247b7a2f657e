"""The attacks on intermediate models, on a small record whose members show at an early epoch alone."""

import numpy as np

import mia_tf
from experiments.open_questions import intermediate


def test_every_epoch_and_all_of_them_stand_beside_the_last():
    rng = np.random.default_rng(0)
    members, labels = rng.random((8, 40)) < 0.5, rng.integers(0, 3, 40)
    bonus = members[:, :, None] * np.eye(3)[labels]
    records = [mia_tf.ShadowModels(rng.normal(size=(8, 40, 3)) + gain * bonus, members, labels) for gain in (4.0, 1.0)]
    *earlier, shadows = records
    for epoch, record in enumerate(records):
        record.models = [model.__class__(**{**model.__dict__, "epoch": epoch}) for model in record.models]
    shadows.earlier = earlier
    table = intermediate.rows(shadows, 0)
    assert {len(row) for row in table} == {len(intermediate.COLUMNS)}
    auroc = {(row[2], row[3]): row[6] for row in table if row[5] == "auroc"}
    difference = {(row[2], row[3]): row[9:12] for row in table if row[5] == "auroc"}
    of_one = {(epoch, attack) for epoch in range(2) for attack in ("lira_online_fixed", "rmia", "trajectory_lira")}
    assert set(auroc) == of_one | {("all", "trajectory_lira"), ("all", "trajectory_rmia")}
    assert auroc["all", "trajectory_lira"] > auroc[1, "trajectory_lira"] + 0.1
    assert difference[1, "rmia"] == (0, 0, 0)
    value, low, high = difference["all", "trajectory_lira"]
    assert low < value < high and value == auroc["all", "trajectory_lira"] - auroc[1, "trajectory_lira"]
    intermediate.draw([dict(zip(intermediate.COLUMNS, row, strict=True)) for row in table])

"""Three readings of an out-of-distribution score, on models whose scores are known."""

import numpy as np
import pytest
from fabricated import MODELS, fabricate
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from experiments import runs
from experiments.reproduction import markdown, measured, ood_proxy, ood_readings
from mia_tf.shadow import ood
from mia_tf.shadow.shadow_models import ShadowModels


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = fabricate(tmp_path_factory.mktemp("runs"), "mnist_svhn_random", attacks=["rmia"])
    return measured.read(runs.runs("smoke")["mnist_svhn_random"], folder)


@pytest.fixture(scope="module")
def scores(run):
    return ood_readings.read(run.folder)


def test_out_is_what_the_analysis_has_and_the_others_are_of_other_models(run, scores):
    shadows = ShadowModels.open(run.folder)
    single = np.array([ood.energy(shadows.read_logits(k)[:, 0]) for k in range(MODELS)])
    np.testing.assert_allclose(scores["ood_energy", "out"][0], run.audit.column("ood_energy"), rtol=1e-5)
    np.testing.assert_allclose(scores["ood_energy", "one"], single, rtol=1e-6)
    members = np.where(shadows.members, single, np.nan)
    np.testing.assert_allclose(scores["ood_energy", "in"][0], np.nanmean(members, axis=0), rtol=1e-5)


def test_one_model_is_the_mean_of_each_models_own_correlation(run, scores):
    rows = {
        (row["detector"], row["reading"], row["quantity"], row["group"]): row
        for row in ood_readings.correlation_rows(run, scores)
    }
    assert len(rows) == 2 * 3 * 2 * 3
    under, privacy = run.audit.mask("under"), run.audit.column("privacy_score")
    own = [spearmanr(table[under], privacy[under])[0] for table in scores["ood_msp", "one"]]
    row = rows["ood_msp", "one", "privacy_score", "under"]
    assert row["spearman"] == pytest.approx(np.mean(own)) and row["n"] == 24
    averaged = spearmanr(scores["ood_msp", "one"].mean(axis=0)[under], privacy[under])[0]
    assert averaged != pytest.approx(row["spearman"], abs=1e-3)  # another number
    assert row["ci_low"] < row["spearman"] < row["ci_high"]
    out = rows["ood_msp", "out", "privacy_score", "all"]
    assert out["spearman"] == pytest.approx(run.audit.correlation("privacy_score", "ood_msp")["all"][0], abs=1e-3)


def test_the_interval_of_a_mean_is_the_wider_of_two():
    apart = ood_readings.averaged(np.array([0.1, 0.9]), lambda value: (value - 0.01, value + 0.01))
    alike = ood_readings.averaged(np.array([0.5, 0.5001]), lambda value: (value - 0.01, value + 0.01))
    single = ood_readings.averaged(np.array([0.5]), lambda value: (value - 0.01, value + 0.01))
    assert apart[0] == pytest.approx(0.5) and apart[1] < 0.1
    assert alike[1:] == pytest.approx((0.49, 0.51), abs=1e-3) and single == pytest.approx((0.5, 0.49, 0.51))


def test_detection_by_one_model_is_the_mean_of_each_models_own(run, scores):
    rows = {(row["population"], row["detector"], row["reading"]): row for row in ood_proxy.proxy_rows(run, scores)}
    wanted = ood_proxy.highly_memorized(run, run.audit.mask("all"))
    assert 0 < wanted.sum() < len(wanted)
    own = [roc_auc_score(wanted, table) for table in scores["ood_energy", "one"]]
    assert rows["all", "ood_energy", "one"]["auroc"] == pytest.approx(np.mean(own))
    assert {reading for _, _, reading in rows} == set(ood_readings.READINGS)


def test_the_page_says_how_much_the_reading_matters():
    def row(reading, detector, spearman):
        about = {"mixture": "mnist_svhn", "group": "under", "quantity": "memorization"}
        ends = {"ci_low": str(spearman - 0.1), "ci_high": str(spearman + 0.1)}
        return {**about, "reading": reading, "detector": detector, "spearman": str(spearman), **ends}

    values = {"ood_msp": {"out": 0.65, "in": 0.5, "one": 0.3}, "ood_energy": {"out": 0.2, "in": 0.2, "one": 0.25}}
    rows = [row(reading, name, value) for name, of in values.items() for reading, value in of.items()]
    text = "\n".join(markdown.ood_table(rows))
    assert "Within D_U 1 of 2 correlations are weaker" in text and "strong) changes for 1 of 2." in text
    assert "MNIST + SVHN, memorization, msp,\n0.65 for the mean over OUT models and 0.30 for one model." in text
    assert "| 0.65 [0.55, 0.75]; 0.20 [0.10, 0.30] | 0.50 [0.40, 0.60]; 0.20 [0.10, 0.30] | 0.30" in text
    assert markdown.ood_table([]) == markdown.NOTHING

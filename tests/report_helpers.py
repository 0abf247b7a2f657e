"""Small audits of names that are no HTML, for the tests of reports."""

import functools

import numpy as np

import mia_tf

SCRIPT = "<script>alert(1)</script>"
CLASSES = ["$a & b$", "<b>owl</b>", "a_name_that_goes_on_" * 10]
LONG = "0123456789abcdef" * 10
GROUPS = ("old & <i>rare</i>", "$young$")


@functools.cache
def make_audit(num_examples=200, num_models=12, gain=2.0, attacks=("yeom", "lira_online_fixed", "rmia")):
    """An audit of random answers, surer of their members by `gain`; the surest two have the ids SCRIPT and LONG."""
    return mia_tf.audit(make_shadows(num_examples, num_models, gain), attacks=attacks, fpr=(0.1, 0.01, 0.001))


def make_shadows(num_examples=200, num_models=12, gain=2.0):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, num_examples)
    members = rng.random((num_models, num_examples)).argsort(axis=0) < num_models // 2
    strength = gain * rng.random(num_examples)
    strength[3:5] = 4 * gain
    logits = rng.normal(size=(num_models, num_examples, 3)).astype(np.float32)
    logits += (strength * members)[..., None] * np.eye(3)[labels]
    ids = np.array([{3: SCRIPT, 4: LONG}.get(k, f"record {k}") for k in range(num_examples)])
    groups = np.array(GROUPS)[(np.arange(num_examples) % 3 > 0).astype(int)]
    return mia_tf.ShadowModels(logits, members, labels, ids=ids, groups=groups, classes=CLASSES)

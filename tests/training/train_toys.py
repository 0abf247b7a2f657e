"""Trains two toy models in each of several ways, and writes their logits: python train_toys.py OUT.npz

Run once with each backend by test_backends_agree.py, because a process has but one.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np
from engine_helpers import PKEEP, SMALL, members_of
from toys import make_dataset

from mia_tf.config import ExperimentConfig, TrainingConfig
from mia_tf.privacy_config import PrivacyConfig
from mia_tf.training.engines import start_engine

_COMMON = {**SMALL.to_dict(), "epochs": 2, "privacy": None, "norm": "batch", "precision": "float32"}


def _private(sampling: str) -> dict:
    privacy = PrivacyConfig(noise_multiplier=0.0, sampling=sampling, l2_norm_clip=0.5, microbatch=4)
    return {"privacy": privacy, "clip_norm": 0.0}


WAYS = {
    "cnn": {"arch": "cnn4-2-max"},
    "resnet": {"arch": "resnet9"},
    "private cnn": {"arch": "cnn4-2-mean", **_private("poisson")},
    "private resnet": {"arch": "wrn28-1", "norm": "group", **_private("shuffle")},
}


def main(path: str) -> None:
    toy = make_dataset()
    found = {}
    for name, settings in WAYS.items():
        training = TrainingConfig(**{**_COMMON, **settings})
        engine = start_engine(toy, ExperimentConfig(training=training, pkeep=PKEEP), threads=1)
        found[name] = np.stack([record.logits for record in engine.train(members_of(toy, 2), [5, 6])])
    np.savez(path, **found)


if __name__ == "__main__":
    main(sys.argv[1])

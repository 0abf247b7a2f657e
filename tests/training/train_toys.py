"""Trains toy models in each of several ways, and writes their logits: python train_toys.py OUT.npz [WAY ...]

Run once with each backend by test_backends_agree.py, because a process has but one.
"""

import sys

import numpy as np
from engine_helpers import PKEEP, SMALL, members_of
from toys import make_dataset

from mia_tf import backend
from mia_tf.config import ExperimentConfig, TrainingConfig
from mia_tf.privacy_config import PrivacyConfig
from mia_tf.training.accounting import guarantee
from mia_tf.training.engines import start_engine

_COMMON = {**SMALL.to_dict(), "epochs": 2, "privacy": None, "norm": "batch", "precision": "float32"}


_PRIVACY = PrivacyConfig(noise_multiplier=0.0, sampling="poisson", l2_norm_clip=0.5, microbatch=4)
WAYS = {
    "cnn": {"arch": "cnn4-2-max"},
    "resnet": {"arch": "resnet9"},
    "augmented": {"arch": "cnn4-2-mean", "augment": "weak", "epochs": 30},
    "private": {"arch": "cnn4-2-mean", "privacy": _PRIVACY, "clip_norm": 0.0},
}


COUNTS = {"augmented": 24}
"""Models of a way, where two do not suffice."""


def main(path: str, *names: str) -> None:
    # As many test images as others: JAX compiles the answers to both once.
    toy = make_dataset(num_test=64)
    logits = {}
    for name in names or WAYS:
        training = TrainingConfig(**{**_COMMON, **WAYS[name]})
        engine = _start(toy, ExperimentConfig(training=training, pkeep=PKEEP))
        count = COUNTS.get(name, 2)
        records = engine.train(members_of(toy, count), range(5, 5 + count))
        logits[name] = np.stack([record.logits for record in records])
    np.savez(path, **logits)


def _start(toy, config: ExperimentConfig):
    if backend.name() == "tensorflow":
        return start_engine(toy, config, threads=1)
    from mia_tf.training.ensemble_engine import EnsembleEngine

    promise = guarantee(config, len(toy.images)) if config.training.privacy else None
    return EnsembleEngine(toy, config.training, promise, ensemble_size=2, formulation="patches")


if __name__ == "__main__":
    main(*sys.argv[1:])

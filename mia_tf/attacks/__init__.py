"""One file an attack; each registers itself. Score: higher = member."""

import importlib
import pkgutil

from mia_tf.attacks.base import ATTACKS, Attack

__all__ = ["Attack", "attack_classes"]


def attack_classes() -> dict[str, type[Attack]]:
    """Every registered attack by its name, once every file of this package has been imported."""
    for module in sorted(info.name for info in pkgutil.iter_modules(__path__)):
        importlib.import_module(f"{__name__}.{module}")
    return dict(ATTACKS)

"""Measures what a trained model remembers of its training data.

    shadows = mia_tf.ShadowModels(logits=..., members=..., labels=...)
    audit = mia_tf.audit(shadows)
    print(audit)

The names are imported when they are first used: `import mia_tf` itself loads neither TensorFlow, JAX, Keras, pandas
nor matplotlib.
"""

import importlib

__version__ = "0.1.0"
_API = {
    "Audit": "mia_tf.analysis.result",
    "InputError": "mia_tf.validation",
    "Comparison": "mia_tf.analysis.dp_comparison",
    "KerasTask": "mia_tf.keras_task",
    "PrivacyConfig": "mia_tf.privacy_config",
    "ShadowModels": "mia_tf.shadow.shadow_models",
    "Task": "mia_tf.task",
    "audit": "mia_tf.analysis.study",
    "compare": "mia_tf.analysis.dp_comparison",
    "epsilon_one_run": "mia_tf.analysis.one_run",
    "load_audit": "mia_tf.analysis.result",
    "train_shadow_models": "mia_tf.task_training",
}
"""Public name -> the module that defines it."""
__all__ = [*_API, "__version__"]  # pyright: ignore[reportUnsupportedDunderAll]  # mia_tf/__init__.pyi lists them


def __getattr__(name: str):
    if name not in _API:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_API[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_API})

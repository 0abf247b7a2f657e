"""Each backend collects the tests of its own engines; those of every engine run with both.

What does not depend on the backend, and what takes JAX minutes to compile, is tested with TensorFlow alone.
"""

from mia_tf import backend

_OF_ONE_BACKEND = {
    "tensorflow": [
        "executors",
        "test_accounting.py",
        "test_architectures.py",
        "test_backends_agree.py",
        "test_clipping.py",
        "test_course.py",
        "test_features.py",
        "test_private.py",
        "test_single.py",
        "test_task_engine.py",
    ],
    "jax": ["test_convolutions.py", "test_ensemble.py", "test_keras_ensemble.py", "test_private_ensemble.py"],
}
collect_ignore = [name for owner, names in _OF_ONE_BACKEND.items() if owner != backend.name() for name in names]

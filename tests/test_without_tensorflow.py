"""With KERAS_BACKEND=jax nothing imports TensorFlow: the commands run where importing it raises."""

import os
import subprocess
import sys

import pytest

FORBIDDEN = ("tensorflow", "tensorflow_privacy", "tensorflow_datasets", "tf_keras", "tensorflow_probability")
TINY = ["--dataset=mnist_svhn", "--data_source=embedded", "--num_over=60", "--num_under=20", "--num_experiments=4"]
TINY += ["--arch=cnn2-1-max", "--epochs=1", "--batch=16", "--augment=none", "--workers=1", "--threads_per_worker=1"]


@pytest.fixture
def environment(tmp_path):
    for name in FORBIDDEN:
        package = tmp_path / "forbidden" / name
        package.mkdir(parents=True)
        (package / "__init__.py").write_text(f"raise RuntimeError('{name} was imported')\n")
    paths = [str(tmp_path / "forbidden"), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "KERAS_BACKEND": "jax", "PYTHONPATH": os.pathsep.join(filter(None, paths))}


def run(environment, module, *arguments):
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("private", [[], ["--dp", "--noise_multiplier=1"]], ids=["plain", "private"])
def test_training_analysis_and_plots(environment, tmp_path, private):
    logdir = f"--logdir={tmp_path / 'run'}"
    code, printed = run(environment, "mia_tf.train", *TINY, *private, "--keep_ckpt", "--ensemble_size=2", logdir)
    assert code == 0 and "4 of 4 models present" in printed, printed
    assert "On JAX each worker first measures how convolutions are fastest" in printed  # or minutes pass in silence
    if not private:
        for command in (("mia_tf.inference", "--queries=2"), ("mia_tf.analyze",), ("mia_tf.plot",)):
            code, printed = run(environment, *command, logdir)
            assert code == 0, printed


def test_the_guard_guards(environment):
    code, printed = run({**environment, "KERAS_BACKEND": "tensorflow"}, "keras.backend")
    assert code != 0 and "tensorflow was imported" in printed


def test_a_backend_that_is_not_ours_is_one_line(environment, tmp_path):
    arguments = (*TINY, f"--logdir={tmp_path / 'run'}")
    code, printed = run({**environment, "KERAS_BACKEND": "torch"}, "mia_tf.train", *arguments)
    line = "Argument `KERAS_BACKEND` must be one of tensorflow, jax. Received: KERAS_BACKEND=torch"
    assert code == 2 and printed.strip().endswith(line), printed


def test_low_precision_with_privacy_needs_jax(environment, tmp_path):
    arguments = (*TINY, "--precision=bfloat16", "--dp", "--noise_multiplier=1", f"--logdir={tmp_path / 'run'}")
    code, printed = run({**environment, "KERAS_BACKEND": "tensorflow"}, "mia_tf.train", *arguments)
    assert code == 2 and "`precision` needs KERAS_BACKEND=jax" in printed, printed

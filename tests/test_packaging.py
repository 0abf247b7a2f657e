"""A wheel and a source distribution hold all that the commands need, and work in any folder."""

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

from mia_tf import command_line

REPOSITORY = Path(__file__).parents[1]
NOT_CODE = {"py.typed", "__init__.pyi", "report/templates/report.html", "report/templates/style.css"}
FLAGFILES = {f"flags/{path.name}" for path in (REPOSITORY / "flags").glob("*.flags")}
SOURCES = ("mia_tf", "flags", "docs", "tests", "pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE")


@pytest.fixture
def sources(tmp_path):
    """A copy of the checkout, in which packages can be built."""
    folder = tmp_path / "sources"
    folder.mkdir()
    for name in SOURCES:
        if (REPOSITORY / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "_build")
            shutil.copytree(REPOSITORY / name, folder / name, symlinks=True, ignore=ignored)
        else:
            shutil.copy(REPOSITORY / name, folder)
    return folder


def built(folder, *command):
    """Runs one command of setuptools in a folder of sources."""
    arguments = [sys.executable, "setup.py", "-q", *map(str, command)]
    done = subprocess.run(arguments, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def python_files():
    package = REPOSITORY / "mia_tf"
    return {str(path.relative_to(package)) for path in package.rglob("*.py")}


def test_what_is_installed_has_every_module_template_and_flagfile(sources, tmp_path):
    built(sources, "build_py", "--build-lib", tmp_path / "installed")
    folder = tmp_path / "installed" / "mia_tf"
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert files >= python_files() | NOT_CODE | FLAGFILES
    assert {path.name for path in (tmp_path / "installed").iterdir()} == {"mia_tf"}


def test_a_flagfile_of_the_package_is_found_in_any_folder(tmp_path, monkeypatch):
    arguments = ["train", "--flagfile=flags/demo.flags", "--flagfile=flags/mine.flags", "--lr=1"]
    monkeypatch.chdir(tmp_path)
    first, shipped, *rest = command_line._with_shipped_flagfiles(arguments)
    assert Path(shipped.removeprefix("--flagfile=")).read_text() == (REPOSITORY / "flags/demo.flags").read_text()
    assert [first, *rest] == [arguments[0], *arguments[2:]]
    (tmp_path / "flags").mkdir()
    (tmp_path / "flags" / "demo.flags").touch()  # a file of the user's own goes first
    assert command_line._with_shipped_flagfiles(arguments) == arguments


@pytest.mark.slow
def test_a_wheel_of_a_source_distribution_runs_the_demo_elsewhere(sources, tmp_path):
    """In an environment that sees the libraries of this one, but not its mia_tf."""
    built(sources, "sdist", "--dist-dir", tmp_path)
    (archive,) = tmp_path.glob("mia_tf-*.tar.gz")
    with tarfile.open(archive) as file:
        file.extractall(tmp_path / "unpacked", filter="data")
    (unpacked,) = (tmp_path / "unpacked").iterdir()
    built(unpacked, "bdist_wheel", "--dist-dir", tmp_path)
    (wheel,) = tmp_path.glob("mia_tf-*.whl")
    files = {name.removeprefix("mia_tf/") for name in zipfile.ZipFile(wheel).namelist()}
    assert files >= python_files() | NOT_CODE | FLAGFILES

    fresh = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", fresh], check=True)
    python = fresh / "bin" / "python"
    paths = [sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-deps", "--no-index", wheel]
    subprocess.run(paths, check=True)
    (library,) = (fresh / "lib").glob("python*/site-packages")
    (library / "libraries.pth").write_text(sysconfig.get_path("purelib"))
    empty = tmp_path / "empty"
    empty.mkdir()
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def run(*arguments):
        done = subprocess.run([python, *arguments], cwd=empty, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert run("-c", "import mia_tf; print(mia_tf.__file__)").startswith(str(library))
    scale = ["--num_over=60", "--num_under=20", "--num_experiments=4", "--epochs=1", "--batch=16", "--workers=1"]
    run("-m", "mia_tf.train", "--flagfile=flags/demo.flags", "--logdir=runs/demo", *scale, "--threads_per_worker=1")
    for command in ("analyze", "plot", "report"):
        run("-m", f"mia_tf.{command}", "--logdir=runs/demo")
    assert "<html" in (empty / "runs/demo/analysis/report.html").read_text()

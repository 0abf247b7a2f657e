"""What was measured on this machine before, so that every process measures a thing only once.

One small JSON file per measurement, in ~/.cache/mia_tf ($XDG_CACHE_HOME/mia_tf, or $MIA_TF_CACHE). If the folder is
removed, everything is measured again.
"""

import contextlib
import hashlib
import json
import os
import platform
from pathlib import Path

from mia_tf.files import write_json


def recall(what: str, setting: dict):
    """Returns a value that was measured on this machine before; None if nothing was.

    Args:
        what: was measured, in a word.
        setting: what the value depends on besides the machine; JSON can hold it.
    """
    key = _key(what, setting)
    # What cannot be read, or belongs to another key, is measured again.
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
        kept = json.loads(_path(key).read_text(encoding="utf-8"))
        if kept["key"] == key:
            return kept["value"]
    return None


def keep(what: str, setting: dict, value) -> None:
    """Keeps what was measured, for `recall` with the same arguments; JSON can hold the value."""
    key = _key(what, setting)
    # A home folder that cannot be written to costs only the next measurement.
    with contextlib.suppress(OSError):
        folder().mkdir(parents=True, exist_ok=True)
        write_json(_path(key), {"key": key, "value": value})


def folder() -> Path:
    """Where measurements are kept."""
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("MIA_TF_CACHE") or caches / "mia_tf")


def machine() -> dict[str, object]:
    """This machine: its name, its processor and how many cores this process may use."""
    import joblib

    return {"node": platform.node(), "processor": _processor(), "cores": joblib.cpu_count()}


def _key(what: str, setting: dict) -> dict:
    # As JSON returns it: lists for tuples.
    return json.loads(json.dumps({"what": what, "machine": machine(), **setting}, sort_keys=True))


def _path(key: dict) -> Path:
    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
    return folder() / f"{key['what']}-{digest[:16]}.json"


def _processor() -> str:
    with contextlib.suppress(OSError):  # other systems than Linux lack the file
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor()

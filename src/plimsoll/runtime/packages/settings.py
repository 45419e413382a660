"""The addresses of registries: those of the user's own clients, else the public ones."""

from __future__ import annotations

import configparser
import os
import re
from collections.abc import Iterator
from pathlib import Path

PYPI, NPM, MAVEN = "https://pypi.org/simple", "https://registry.npmjs.org", "https://repo1.maven.org/maven2"
_MOST = 1 << 20
"""Bytes of a settings file."""


def pypi_index() -> str:
    """The index of pip and uv."""
    named = (os.environ.get(name) for name in ("PIP_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX_URL"))
    return (next(filter(None, named), "") or _of_pip() or PYPI).rstrip("/")


def npm_registry() -> str:
    """The registry of npm."""
    named = (os.environ.get(name) for name in ("NPM_CONFIG_REGISTRY", "npm_config_registry"))
    return (next(filter(None, named), "") or _of_npm() or NPM).rstrip("/")


def maven_repository() -> str:
    """The repository of `MAVEN_REPOSITORY_URL`, else the mirror of Maven's own settings, else Maven Central."""
    return (os.environ.get("MAVEN_REPOSITORY_URL") or _of_maven() or MAVEN).rstrip("/")


def _of_pip() -> str:
    home = Path.home()
    config = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    places = [config / "pip" / "pip.conf", home / ".pip" / "pip.conf", Path("/etc/pip.conf")]
    named = os.environ.get("PIP_CONFIG_FILE")
    for text in _texts(*([Path(named)] if named else []), *places):
        parser = configparser.RawConfigParser(strict=False)
        try:
            parser.read_string(text)
        except configparser.Error:
            continue
        if found := parser.get("global", "index-url", fallback=""):
            return found
    return ""


def _of_npm() -> str:
    for text in _texts(Path.home() / ".npmrc"):
        if found := re.search(r"^\s*registry\s*=\s*(\S+)", text, re.MULTILINE):
            return found[1]
    return ""


def _of_maven() -> str:
    for text in _texts(Path.home() / ".m2" / "settings.xml"):
        for mirror in re.findall(r"<mirror>(.{0,4000}?)</mirror>", text, re.DOTALL):
            of = re.search(r"<mirrorOf>\s*([^<]+?)\s*</mirrorOf>", mirror)
            url = re.search(r"<url>\s*([^<]+?)\s*</url>", mirror)
            if of and url and {"*", "central", "external:*"} & set(of[1].split(",")):
                return url[1]
    return ""


def _texts(*paths: Path) -> Iterator[str]:
    for path in paths:
        try:
            with path.open(encoding="utf-8", errors="replace") as file:
                yield file.read(_MOST)
        except OSError:
            continue

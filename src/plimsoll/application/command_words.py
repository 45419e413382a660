"""Reads a command line as a shell does, as far as to tell which words may name files, and in which role."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

from msgspec import Struct
from msgspec.structs import replace

_REDIRECTIONS = re.compile(r">+\s*[^\s|&;<>()$`\"']+")
"""Files that the shell writes to: results of the command, not its inputs."""
_PARTS = re.compile(r"[^\s|&;<>()$`\"'{}]+")
_HERE = re.compile(r"\$\{?PWD\}?|\$\(pwd\)|`pwd`")
_OPERATOR = re.compile(r"^[();<>|&]+$")
_ASSIGNMENT = re.compile(r"^(\w+)=")
_SEPARATORS = re.compile(r"[=:,@]")
_IMPORT = re.compile(r"(?:^|[\n;\"'])\s*(?:from\s+([\w.]+)\s+)?import\s+([\w., \t]+)")
_MODULE_OPTIONS = frozenset({"-m", "--module", "-A", "--app"})
_PLACE_OPTIONS = frozenset({"-C", "--directory", "--chdir", "--cwd", "--project", "--pythonpath", "PYTHONPATH"})
_PLACE_PROGRAMS = frozenset({"cd", "pushd"})
_WRITING_PROGRAMS = frozenset({"mkdir", "rm", "rmdir", "touch", "tee"})
_WRITING_WORDS = frozenset(
    {"o", "out", "output", "outputs", "outdir", "dest", "save", "cache", "tmp", "temp"}
    | {"log", "logs", "logdir", "ckpt", "checkpoint", "checkpoints"}
)
_BEFORE_PROGRAMS = frozenset(
    {"!", "{", "}", "do", "done", "elif", "else", "env", "exec", "fi", "if", "nohup", "then", "time", "until", "while"}
)
"""Words of the shell, and programs, that have a program after them."""
_SHELLS = frozenset({"sh", "bash", "dash", "ksh", "zsh", "eval"})
"""Programs whose quoted words are commands; those of others may be code of any language."""
_NESTING_LIMIT = 4


class Word(Struct, frozen=True, kw_only=True):
    """A word of a command. `option` is the option or the variable that it is the value of, `program` what it goes to.

    `candidates` are its parts that may be paths: `--config=a.yaml` has `a.yaml`.
    """

    text: str
    option: str = ""
    program: str = ""
    candidates: tuple[str, ...] = ()

    @property
    def is_module(self) -> bool:
        """Whether the word names a Python module."""
        return self.option in _MODULE_OPTIONS

    @property
    def is_place(self) -> bool:
        """Whether a directory is only where other words start, such as that of `cd`."""
        return self.option in _PLACE_OPTIONS or self.program in _PLACE_PROGRAMS

    @property
    def is_written(self) -> bool:
        """Whether a directory is written by the command, by the name of its option."""
        names = set(re.split(r"[-_.]", self.option.lower()))
        return bool(names & _WRITING_WORDS) or self.program in _WRITING_PROGRAMS


def words_of(command: str, depth: int = 0) -> Iterator[Word]:
    """The words of a command and of the commands in its quotes, without files that the shell writes."""
    command = _REDIRECTIONS.sub(" ", _HERE.sub(".", command.replace("\\\n", " ")))
    program, option, outer, is_target = "", "", [""], False
    for token in _tokens(command):
        if _OPERATOR.match(token):
            is_target = ">" in token
            if not is_target and "<" not in token:
                program, option = _after(token, program, outer), ""
            continue
        if is_target:
            is_target = False
            continue
        assigned = _ASSIGNMENT.match(token)
        if not program and not assigned and token not in _BEFORE_PROGRAMS:
            program = token.rpartition("/")[2]
        named, _, value = token.partition("=")
        own = assigned[1] if assigned else named if token.startswith("-") and value else ""
        attached = re.match(r"^-m\w", token)
        text, own = (token[2:], "-m") if attached else (token, own)
        yield Word(text=text, option=own or option, program=program, candidates=tuple(_candidates(text)))
        option = token if token.startswith("-") and not value else ""
        if depth < _NESTING_LIMIT and re.search(r"\s", token):
            within = words_of(token, depth + 1)
            yield from within if program in _SHELLS else (replace(word, program="") for word in within)


def _after(operator: str, program: str, outer: list[str]) -> str:
    """The program that the words after an operator go to; `outer` has those of the commands around."""
    for character in operator:
        if character == "(":
            outer.append(program)
        program = outer.pop() if character == ")" and outer else ""
    return program


def imports_in(command: str) -> Iterator[str]:
    """Modules that Python code in a command line imports."""
    for package, names in _IMPORT.findall(command):
        yield package
        for name in names.split(","):
            first = (name.split() or [""])[0]
            yield f"{package}.{first}".strip(".")


def _tokens(command: str) -> list[str]:
    lexer = shlex.shlex(command.replace("\n", " ; ").replace("`", " ; "), posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    lexer.commenters = ""
    try:
        return list(lexer)
    except ValueError:
        # A quote is not closed: what is between quotes is not known, but each word may be a file.
        return _PARTS.findall(command)


def _candidates(token: str) -> Iterator[str]:
    yield token
    yield from _SEPARATORS.split(token)
    if re.match(r"^-\w.", token):
        yield token[2:]
    if not re.search(r"\s", token):
        yield from (part for part in _PARTS.findall(token) if part != token)

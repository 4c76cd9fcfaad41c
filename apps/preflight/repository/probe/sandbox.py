"""Where the repository's code is imported: the pod's variables and files, and nothing to reach or change.

The guard is no wall against an attacker who writes native code; it keeps an import from doing what the
import does on a developer's machine too: open a connection, run a program, write a file.
"""

from __future__ import annotations

import builtins
import ctypes
import io
import os
import pathlib
import re
import resource
import site
import sys
import tempfile
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

MEMORY = 1 << 30
"""Bytes of data an interpreter may hold."""
KEPT = re.compile(r"(LD|DYLD)_\w+|PYTHON\w*|PATH|HOME")
"""Variables that are the interpreter's own here, whatever the pod says."""
CONNECTING = {
    "socket.connect": "connect to {1}",
    "socket.sendto": "send to {1}",
    "socket.bind": "listen on {1}",
    "socket.getaddrinfo": "look up {0}",
    "socket.gethostbyname": "look up {0}",
}
STARTING = {
    "subprocess.Popen": "run {0}",
    "os.system": "run {0}",
    "os.exec": "run {0}",
    "os.posix_spawn": "run {0}",
    "os.spawn": "run {1}",
    "pty.spawn": "run {0}",
    "os.fork": "fork",
    "os.forkpty": "fork",
    "os.kill": "send a signal",
    "os.killpg": "send a signal",
}
CHANGING = {
    "os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.chmod",
    "os.chown", "sqlite3.connect",
}  # fmt: skip
LOOKING = (
    "stat",
    "lstat",
    "open",
    "listdir",
    "scandir",
    "access",
    "readlink",
    "chdir",
    "mkdir",
    "unlink",
    "remove",
)
"""Functions of `os` whose first argument is a path that the pod may have."""
SYSTEM = ("/dev", "/etc", "/proc", "/sys", "/usr", "/lib", "/lib64", "/bin", "/sbin", "/opt")
"""Folders that a pod's image has as well as this machine."""
State = dict[str, str]
"""A pod's variables by name, and its small files by absolute path."""
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Refused(PermissionError):
    """The sandbox did not let the code do something."""


class Environ(os._Environ):  # type: ignore[type-arg] # the class is generic in its stubs alone
    """`os.environ`, remembering which variables are looked up by name, and whether all are read."""

    looked_up: ClassVar[set[str]] = set()
    all_read = False
    _passing: ClassVar[list[str]] = []
    """What an iteration over all has listed and not read yet: reading it is no look-up by name."""

    def __getitem__(self, key: str) -> str:
        if Environ._passing[-1:] == [key]:
            Environ._passing.pop()
        else:
            Environ._passing = []
            Environ.looked_up.add(key)
        return str(super().__getitem__(key))

    def __iter__(self) -> Iterator[str]:
        Environ.all_read = Environ.all_read or not _is_imported_library()
        keys = list(super().__iter__())
        Environ._passing = keys[::-1]
        return iter(keys)

    @classmethod
    def forget(cls) -> None:
        """Begin anew."""
        cls.looked_up, cls.all_read, cls._passing = set(), False, []


class Sandbox:
    """The pod of one question.

    `mounts` are the mount paths whose content is in `state` or made by the pod itself, `unseen` those whose
    content cannot be known here.
    `copies` are (folder or file of the repository, path in the image) as the Dockerfile says, None where no
    Dockerfile is known; `ignored` are patterns of paths that never reach the image.
    """

    def __init__(self, question: dict[str, Any], folder: str) -> None:
        self.folder = os.path.realpath(folder)
        self.repository = os.path.realpath(question["root"])
        self.mounts = ["/tmp", *question["mounts"]]  # noqa: S108 - the pod's, not ours
        self.unseen = question["unseen"]
        self.copies = question["copies"]
        self.ignored = [(keep, re.compile(pattern)) for keep, pattern in question["ignored"]]
        self.workdir = question["workdir"]
        self.tried: list[str] = []
        self.looked_unseen: set[str] = set()
        """The mounts whose content cannot be known that were looked into."""
        self.absent: dict[str, None] = {}
        """The files below them that were looked for."""
        self.interpreter = {
            os.path.realpath(p) for p in (sys.prefix, sys.base_prefix, *site.getsitepackages())
        }
        self._files: State = {}
        self._added: State = {}
        self._leading = True

    def enter(self, state: State) -> None:
        """Change this process for good: limits, environment, files, working directory, guard."""
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
        for path in (*self.mounts, *self.unseen, self.workdir):
            os.makedirs(self._rooted(path), exist_ok=True)
        tempfile.tempdir = self._rooted("/tmp")  # noqa: S108 - the pod's, not ours
        for name in list(os.environ):
            if not KEPT.fullmatch(name):
                del os.environ[name]
        # native code reads the process's own environment, which later states leave as it is
        os.environ.update(_variables(state))
        os.environ.__class__ = Environ
        self.use(state)
        os.chdir(self._rooted(self.workdir))
        # before Python 3.11 pathlib keeps the functions of os for itself
        for owner in (os, getattr(pathlib, "_normal_accessor", None)):
            for name in LOOKING:
                if hasattr(owner, name):
                    setattr(owner, name, self._led(getattr(owner, name)))
        builtins.open = io.open = self._led(io.open)
        sys.addaudithook(self._guard)

    def keep_added(self, state: State) -> None:
        """Keep the variables that the import itself has set (of a dotenv file, say) for later states."""
        self._added = {
            name: value for name, value in _now().items() if name not in state and not KEPT.fullmatch(name)
        }

    def use(self, state: State) -> None:
        """Make these the pod's variables and files."""
        kept = {name: value for name, value in _now().items() if KEPT.fullmatch(name)}
        data = os.environ._data  # type: ignore[attr-defined] # what os.environ itself reads
        data.clear()
        for name, value in {**kept, **self._added, **_variables(state)}.items():
            data[os.fsencode(name)] = os.fsencode(value)
        files = {path: text for path, text in state.items() if path[:1] == "/"}
        if files == self._files:
            return
        self._leading = False
        for path in self._files.keys() - files.keys():
            os.unlink(self._rooted(path))
        for path, text in files.items():
            os.makedirs(os.path.dirname(self._rooted(path)), exist_ok=True)
            with open(self._rooted(path), "w", encoding="utf-8", newline="") as file:
                file.write(text)
        self._files = files
        self._leading = True

    def _rooted(self, path: str) -> str:
        return self.folder + os.path.normpath("/" + path)

    def _led(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, looking where `lead` says."""

        def led(path: Any = ".", *args: Any, **kwargs: Any) -> Any:
            if self._leading and isinstance(path, (str, os.PathLike)) and isinstance(os.fspath(path), str):
                self._leading = False
                try:
                    path = self.lead(os.fspath(path), _writes(function, args, kwargs))
                finally:
                    self._leading = True
            return function(path, *args, **kwargs)

        return led

    def lead(self, path: str, writes: bool = False) -> str:
        """Where on this machine that is what the pod has at `path`. What is written elsewhere than in the
        pod's own folders stays where it is, and is refused there."""
        whole = os.path.normpath(os.path.join(os.getcwd(), path))
        own = any(_below(whole, folder) for folder in (self.folder, *self.mounts, *self.unseen))
        if writes and (_below(whole, self.repository) or not own):
            return path
        if any(_below(whole, folder) for folder in self.interpreter):
            return path
        inside: str | None = whole
        if _below(whole, self.folder):
            inside = whole[len(self.folder) :] or "/"
        elif _below(whole, self.repository):
            inside = self._in_image(os.path.relpath(whole, self.repository))
            beside_code = os.path.exists(os.path.join(os.path.dirname(whole), "__init__.py"))
            if inside is None or beside_code or whole.endswith(".py"):
                return whole if beside_code or whole.endswith(".py") else self._rooted("/absent")
        if inside is None:
            return whole
        for mount in self.unseen:
            if _below(inside, mount):
                self.looked_unseen.add(mount)
                if inside != mount:
                    self.absent[inside] = None
        if any(_below(inside, mount) for mount in (*self.mounts, *self.unseen)):
            return self._rooted(inside)
        if not self.copies and not path.startswith("/"):
            # the working directory is not known: a mount that ends in the relative path is what is meant
            mounted = [file for file in self._files if ("/" + os.path.normpath(path) + "/") in file + "/"]
            if mounted:
                end = mounted[0].index("/" + os.path.normpath(path)) + 1 + len(os.path.normpath(path))
                return self._rooted(mounted[0][:end])
        copied = self._copied(inside)
        if copied is not None:
            return copied
        return (
            whole
            if inside == whole and any(_below(whole, folder) for folder in SYSTEM)
            else self._rooted(inside)
        )

    def _in_image(self, path: str) -> str | None:
        """Where a file of the repository is in the image; None where it is not."""
        for source, target in [] if self._left_out(path) else self.copies or [(".", self.workdir)]:
            if source == "." or _below(path, source):
                return os.path.normpath(os.path.join(target, os.path.relpath(path, source)))
        return None

    def _copied(self, inside: str) -> str | None:
        """The repository's file that is at `inside` in the image."""
        for source, target in self.copies or [(".", self.workdir)]:
            if _below(inside, target):
                path = os.path.normpath(os.path.join(source, os.path.relpath(inside, target)))
                found = os.path.join(self.repository, path)
                if not self._left_out(path) and path != "." and os.path.lexists(found):
                    return found
        return None

    def _left_out(self, path: str) -> bool:
        if self.copies is None:
            return os.path.basename(path).startswith(".env")
        out = False
        parts = path.split("/")
        for keep, pattern in self.ignored:
            if any(pattern.fullmatch("/".join(parts[: n + 1])) for n in range(len(parts))):
                out = not keep
        return out

    def _guard(self, event: str, args: tuple[Any, ...]) -> None:
        words = CONNECTING.get(event) or STARTING.get(event)
        if words is not None and not (event == "socket.getaddrinfo" and _is_numeric(args[0])):
            self._refuse(words.format(*map(_shown, args), "", ""))
        elif event == "open":
            path, mode, flags = args
            writes = set(mode or "") & set("wax+") or (isinstance(flags, int) and flags & WRITING)
            if writes and isinstance(path, (str, bytes)) and not self._may_write(path):
                self._refuse(f"write {_shown(path)}")
        elif event in CHANGING and not self._may_write(args[0]):
            self._refuse(f"write {_shown(args[0])}")

    def _may_write(self, path: Any) -> bool:
        if not isinstance(path, (str, bytes)) or os.fsdecode(path) == ":memory:":
            return True
        whole = os.path.normpath(os.path.join(os.getcwd(), os.fsdecode(path)))
        return _below(whole, self.folder) or _below(whole, "/dev")

    def _refuse(self, what: str) -> None:
        if what not in self.tried:
            self.tried.append(what)
        raise Refused(f"not while it is checked: {what}")


def leave_the_network() -> None:
    """Enter a network namespace without interfaces, where the kernel lets us: for native code as well."""
    user, group = os.getuid(), os.getgid()
    try:
        if ctypes.CDLL(None).unshare(0x10000000 | 0x40000000) != 0:  # CLONE_NEWUSER | CLONE_NEWNET
            return
        for name, text in (
            ("setgroups", "deny"),
            ("uid_map", f"{user} {user} 1"),
            ("gid_map", f"{group} {group} 1"),
        ):
            with builtins.open(f"/proc/self/{name}", "w") as file:
                file.write(text)
    except (OSError, AttributeError):
        return


def _writes(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether a call of one of the functions that are led changes what is at its path."""
    if function.__name__ == "open":
        how = args[0] if args else kwargs.get("mode", kwargs.get("flags", "r"))
        return bool(how & WRITING if isinstance(how, int) else set(how) & set("wax+"))
    return function.__name__ in ("mkdir", "unlink", "remove")


def _is_numeric(host: Any) -> bool:
    """Whether nobody needs to be asked for the address of a host."""
    return (
        host is None or re.fullmatch(r"[\d.]+|[0-9a-fA-F:]*:[0-9a-fA-F:.]*|localhost", str(host)) is not None
    )


def _variables(state: State) -> State:
    return {name: value for name, value in state.items() if name[:1] != "/" and not KEPT.fullmatch(name)}


def _now() -> State:
    """The environment as it is, without being noticed as a reader."""
    data = os.environ._data  # type: ignore[attr-defined] # what os.environ itself reads
    return {os.fsdecode(name): os.fsdecode(value) for name, value in data.items()}


def _is_imported_library() -> bool:
    """Whether the caller is a module that does at its import what it does in every program: the standard
    library's own read the whole environment there, and it is nothing to the settings."""
    frame = sys._getframe(2)
    while frame is not None and frame.f_back is not None:
        if "importlib._bootstrap" in frame.f_code.co_filename:
            return True
        if frame.f_code.co_name == "<module>" and not frame.f_code.co_filename.startswith(sys.base_prefix):
            return False
        frame = frame.f_back
    return False


def _below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _shown(argument: Any) -> str:
    """A host, path or command in a message; what follows a command is left out, it may hold a secret."""
    if isinstance(argument, tuple):
        return ":".join(str(part) for part in argument[:2])
    if isinstance(argument, (list, bytes)):
        argument = argument[0] if isinstance(argument, list) and argument else argument
    return os.fsdecode(argument) if isinstance(argument, (str, bytes)) else str(argument)

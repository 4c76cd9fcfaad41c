"""What a module of the checked repository imports, followed through the repository's own code by reading it.

Nothing is executed. The standard library is left out by the names of the running Python.
"""

from __future__ import annotations

import ast
import os
import sys
from collections.abc import Iterable, Iterator
from functools import cached_property, lru_cache
from pathlib import Path

import msgspec

from preflight.repository.config import IMPORT_ROOTS

GUARDS = {"ImportError", "ModuleNotFoundError", "Exception", "BaseException"}
BIGGEST = 5_000_000
"""Bytes of a module that are worth parsing."""


class Import(msgspec.Struct, frozen=True, kw_only=True):
    """One import statement that leads out of the repository and the standard library."""

    module: str
    """The top-level name: `yaml` of `yaml.nodes`."""
    file: str
    """Relative to the repository root."""
    line: int
    late: bool
    """Only when a function runs, or below one that does; else at start."""
    optional: bool
    """In a `try` that catches its failure."""


class Reached(msgspec.Struct, frozen=True, kw_only=True):
    """What is imported when some modules are."""

    outside: tuple[Import, ...] = ()
    modules: tuple[str, ...] = ()
    """The repository's own modules, by dotted name."""
    files: tuple[str, ...] = ()
    """Their files, relative to the repository root."""
    temporary: tuple[Import, ...] = ()
    """Imports of `tempfile` by the repository's own modules."""


class _Statement(msgspec.Struct, frozen=True):
    module: str
    line: int
    late: bool
    optional: bool


class Code:
    """The Python code of one repository, each file read at most once."""

    def __init__(self, root: Path, more: Iterable[str] = ()) -> None:
        """`more` are further folders that are on the path, relative to the repository root."""
        self.root = root
        self.folders = tuple(dict.fromkeys((*IMPORT_ROOTS, *more)))
        self._sources: dict[str, Path | None] = {}
        self._own: dict[str, bool] = {}
        self._statements: dict[Path, tuple[_Statement, ...]] = {}

    def source_of(self, module: str) -> Path | None:
        """The file of a module of this repository, below one of the folders on the path."""
        if module not in self._sources:
            self._sources[module] = self._find(module)
        return self._sources[module]

    def is_own(self, module: str) -> bool:
        """Whether a module's top-level name is this repository's own: a module, or a folder with modules."""
        top = module.partition(".")[0]
        if top not in self._own:
            folders = [self.root / folder / top for folder in self.folders]
            self._own[top] = self.source_of(top) is not None or any(
                folder.is_dir() and any(folder.glob(pattern))
                for folder in folders
                for pattern in ("*.py", "*/*.py")
                if top.isidentifier()
            )
        return self._own[top]

    def reach(self, modules: Iterable[str]) -> Reached:
        """Everything imported, at start or later, when these modules are."""
        outside: dict[tuple[str, bool, bool], Import] = {}
        temporary: list[Import] = []
        seen: dict[str, bool] = {}
        waiting = [(module, False) for module in modules]
        while waiting:
            module, late = waiting.pop()
            if module in seen and seen[module] <= late:
                continue
            seen[module] = late
            waiting.extend((parent, late) for parent in _parents(module))
            path = self.source_of(module)
            if path is None:
                continue
            file = path.relative_to(self.root).as_posix()
            for statement in self._read(path, module):
                top = statement.module.partition(".")[0]
                found = Import(
                    module=top,
                    file=file,
                    line=statement.line,
                    late=late or statement.late,
                    optional=statement.optional,
                )
                if top == "tempfile":
                    temporary.append(found)
                elif top in sys.stdlib_module_names or not top:
                    continue
                elif self.is_own(top):
                    waiting.append((statement.module, found.late))
                else:
                    outside.setdefault((top, found.late, found.optional), found)
        own = {module: path for module in seen if (path := self.source_of(module)) is not None}
        return Reached(
            outside=tuple(sorted(outside.values(), key=lambda i: (i.module, i.optional, i.late))),
            modules=tuple(sorted(own)),
            files=tuple(sorted({path.relative_to(self.root).as_posix() for path in own.values()})),
            temporary=tuple(sorted(temporary, key=lambda each: (each.file, each.line))),
        )

    def names_of(self, module: str) -> frozenset[str] | None:
        """What a module of this repository defines at its top; None where that cannot be told."""
        path = self.source_of(module)
        if path is None:
            return None
        try:
            return _defined(ast.parse(path.read_bytes()))
        except (OSError, SyntaxError, ValueError, RecursionError):
            return None

    def binds(self, module: str, name: str) -> bool | None:
        """Whether a module of this repository defines a name; None where that cannot be told."""
        names = self.names_of(module)
        return None if names is None else name in names or self.source_of(f"{module}.{name}") is not None

    @property
    def tops(self) -> list[str]:
        """Top-level modules and packages of this repository."""
        names = {name.removesuffix(".py") for listed in self._names.values() for name in listed}
        return sorted(name for name in names if name.isidentifier() and self.source_of(name) is not None)

    def _find(self, module: str) -> Path | None:
        parts = module.split(".")
        if not all(part.isidentifier() for part in parts):
            return None
        for folder, names in self._names.items():
            # most of what is imported is not ours: no need to ask the disk for each
            if parts[0] in names or f"{parts[0]}.py" in names:
                base = os.path.join(self.root, folder, *parts)
                for file in (os.path.join(base, "__init__.py"), f"{base}.py"):
                    if os.path.isfile(file):
                        return Path(file)
        return None

    @cached_property
    def _names(self) -> dict[str, frozenset[str]]:
        """What lies in each folder on the path."""
        found = {}
        for folder in self.folders:
            try:
                found[folder] = frozenset(os.listdir(self.root / folder))
            except OSError:
                continue
        return found

    def _read(self, path: Path, module: str) -> tuple[_Statement, ...]:
        if path not in self._statements:
            self._statements[path] = _statements(path, module)
        return self._statements[path]


def _parents(module: str) -> Iterator[str]:
    while "." in module:
        module = module.rpartition(".")[0]
        yield module


def _statements(path: Path, module: str) -> tuple[_Statement, ...]:
    try:
        state = path.stat()
    except OSError:
        return ()
    return _parsed(path, module, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=4096)
def _parsed(path: Path, module: str, changed: int, size: int) -> tuple[_Statement, ...]:
    """A file in the state it has: several targets of one run share the reading of it."""
    try:
        source = path.read_bytes() if size <= BIGGEST else b""
        tree = ast.parse(source)
    # an unreadable module has nothing to say here; importing it is what fails, and says so
    except (OSError, SyntaxError, ValueError, RecursionError):
        return ()
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    walk = _Walk(package, calls=b"import_module" in source)
    return tuple(walk.statements(tree.body, late=False, optional=False))


class _Walk:
    """Finds the imports of one module."""

    def __init__(self, package: str, calls: bool) -> None:
        self.package = package
        self.calls = calls
        """Whether expressions are looked into, where only a call of `import_module` is an import."""

    def statements(self, nodes: Iterable[ast.AST], late: bool, optional: bool) -> Iterator[_Statement]:
        for node in nodes:
            if isinstance(node, ast.expr) and not self.calls:
                continue
            inner: Iterable[ast.AST] = ast.iter_child_nodes(node)
            match node:
                case ast.Import(names=names):
                    for name in names:
                        yield _Statement(name.name, node.lineno, late, optional)
                case ast.ImportFrom(module=name, level=level, names=names):
                    base = _absolute(self.package, name or "", level)
                    for imported in names:
                        # `from package import name` may import a module of that name
                        yield _Statement(f"{base}.{imported.name}", node.lineno, late, optional)
                case ast.Call(
                    func=ast.Attribute(attr="import_module") | ast.Name(id="import_module"),
                    args=[ast.Constant(value=str(called)), *_],
                ):
                    yield _Statement(called, node.lineno, late, optional)
                case ast.If(test=test) if _is_typing(test):
                    inner = node.orelse
                case ast.Try(body=body, handlers=handlers):
                    guarded = optional or any(_guards(handler) for handler in handlers)
                    yield from self.statements([*body, *handlers], late, guarded)
                    inner = [*node.orelse, *node.finalbody]
            is_late = late or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from self.statements(inner, is_late, optional)


def _defined(tree: ast.Module) -> frozenset[str] | None:
    """The names that a module binds as it is imported; None for one that may bind any."""
    names: set[str] = set()
    waiting: list[ast.AST] = [*tree.body]
    while waiting:
        node = waiting.pop()
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                names.add(name)
                names |= {
                    each for inner in ast.walk(node) if isinstance(inner, ast.Global) for each in inner.names
                }
                continue
            case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                if any(alias.name == "*" for alias in aliases):
                    return None
                names |= {alias.asname or alias.name.partition(".")[0] for alias in aliases}
            case ast.Name(id=name, ctx=ast.Store()):
                names.add(name)
            case ast.Call(func=ast.Name(id="globals" | "exec" | "setattr" | "vars")):
                return None
        waiting.extend(ast.iter_child_nodes(node))
    return None if "__getattr__" in names else frozenset(names)


def _absolute(package: str, name: str, level: int) -> str:
    if level == 0:
        return name
    parts = package.split(".")
    return ".".join([*parts[: len(parts) - level + 1], *([name] if name else [])])


def _is_typing(test: ast.expr) -> bool:
    return (isinstance(test, ast.Name) and test.id == "TYPE_CHECKING") or (
        isinstance(test, ast.Attribute) and test.attr == "TYPE_CHECKING"
    )


def _guards(handler: ast.ExceptHandler) -> bool:
    caught = handler.type
    names = caught.elts if isinstance(caught, ast.Tuple) else [caught]
    return caught is None or any(
        getattr(name, "id", None) in GUARDS or getattr(name, "attr", None) in GUARDS for name in names
    )

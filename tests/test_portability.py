"""Nothing that only POSIX has, and no text in an encoding of the machine's choice: for Windows and macOS too."""

import ast
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from benchmarks.house import modules_of
from tests.windows import is_refused

import lit_dl

ROOT = Path(__file__).parents[1]
SOURCES = [*modules_of(Path(lit_dl.__file__).parent).values(), *(ROOT / "benchmarks").glob("*.py")]

MODULES = {"fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty"}
# getppid is there, but says nothing on Windows: the number of a process outlives it.
NAMES = {
    "os": {"chown", "fork", "forkpty", "geteuid", "getgid", "getpgid", "getppid", "getuid", "kill", "killpg", "mkfifo",
           "setpgid", "setsid", "setuid", "symlink", "sysconf", "uname", "wait", "waitpid"},
    "signal": {"SIGALRM", "SIGCHLD", "SIGHUP", "SIGKILL", "SIGPIPE", "SIGQUIT", "SIGUSR1", "SIGUSR2", "alarm", "pause",
               "setitimer"},
    "time": {"tzset"},
}  # fmt: skip
FOLDERS = ("/dev/", "/proc/", "/tmp", "/etc/")


def asks_for_the_system(test: ast.expr) -> bool:
    """Whether a condition looks at ``sys.platform`` or ``os.name``."""
    return any(isinstance(node, ast.Attribute) and node.attr in ("platform", "name") for node in ast.walk(test))


def unguarded(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those that only some systems come to."""
    if isinstance(node, ast.If | ast.IfExp) and asks_for_the_system(node.test):
        return
    yield node
    for child in ast.iter_child_nodes(node):
        yield from unguarded(child)


def only_posix(source: str) -> list[str]:
    """What a file uses, unguarded, that Windows does not have."""
    found = []
    for node in unguarded(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if alias.name in MODULES]
        elif isinstance(node, ast.ImportFrom):
            names = {alias.name for alias in node.names} & NAMES.get(str(node.module), set())
            found += [str(node.module), *names] if node.module in MODULES or names else []
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            found += [node.attr] if node.attr in NAMES.get(node.value.id, ()) else []
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found += [node.value] if node.value.startswith(FOLDERS) else []
    return found


def without_encoding(source: str) -> list[str]:
    """The calls of a file that read or write a text as the machine pleases; ruff finds those of open."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    methods = [call for call in calls if getattr(call.func, "attr", "") in ("read_text", "write_text")]
    return [
        ast.unparse(call)
        for call in methods
        if "encoding" not in {keyword.arg for keyword in call.keywords} and ast.unparse(call.func.value) != "records"
    ]


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import fcntl", ["fcntl"]),
        ("from pwd import getpwuid", ["pwd"]),
        ("import os\nos.kill(1, 0)", ["kill"]),
        ("from os import getuid", ["os", "getuid"]),
        ("import signal\nif sys.platform != 'win32':\n    signal.SIGKILL", []),
        ("path = '/dev/null'", ["/dev/null"]),
        ("import os, signal\nos.getpid(), signal.SIGTERM, 'data/dev/x'", []),
    ],
)
def test_what_only_posix_has_is_found(source, found):
    assert only_posix(source) == found


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("path.read_text()", ["path.read_text()"]),
        ("(path / 'x').write_text(text)", ["(path / 'x').write_text(text)"]),
        ("path.read_text(encoding='utf-8'), records.write_text(path, text)", []),
    ],
)
def test_text_without_an_encoding_is_found(source, found):
    assert without_encoding(source) == found


def test_no_file_needs_posix_or_leaves_an_encoding_to_the_machine():
    texts = {str(file): file.read_text(encoding="utf-8") for file in SOURCES}
    assert not {file: found for file, text in texts.items() if (found := only_posix(text) + without_encoding(text))}


def test_every_file_of_the_repository_has_a_name_that_any_file_system_takes():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("this is no clone")
    names = listed.stdout.split("\n")[:-1]
    assert not [name for name, count in Counter(name.casefold() for name in names).items() if count > 1]
    assert not [name for name in names if any(map(is_refused, name.split("/")))]


PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "conf").rglob("*.yaml")]


def commands(page: str) -> list[str]:
    """The commands of lit_dl that stand on lines of their own, with what stands before them and without comments."""
    lines = re.findall(r"^[# ]*((?:\w+=\S+ )*python -m lit_dl\..*)$", page, re.MULTILINE)
    return [re.split(r"\s+#", line)[0] for line in lines]


def test_commands_are_found_with_what_stands_before_them():
    page = (
        "# say\nOMP_NUM_THREADS=1 python -m lit_dl.train seed=1   # one\n#   python -m lit_dl.report 'a b'\npython -m x"
    )
    assert commands(page) == ["OMP_NUM_THREADS=1 python -m lit_dl.train seed=1", "python -m lit_dl.report 'a b'"]


def test_commands_of_the_pages_can_be_pasted_into_any_shell():
    asked = [command for page in PAGES for command in commands(page.read_text(encoding="utf-8"))]
    assert len(asked) > 50
    assert not [command for command in asked if not command.startswith("python") or set(command) & set("'`$!%\\;&|<>")]

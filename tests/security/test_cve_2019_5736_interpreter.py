"""CVE-2019-5736: the runtime's own executable, here the host's Python, is overwritten through ``/proc/PID/exe``.

The runtime is run with a copy of the interpreter, so that an attack that succeeds harms nothing; the
attacker looks for that copy by its inode and writes to nothing else.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.conftest import REPOSITORY, Runtime, unique_name
from tests.security import hostile

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.conftest import Bundle, BundleMaker

#: While the interpreter runs, and when it no longer does: only the second lasts.
REFUSALS = {"ETXTBSY", "EROFS"}

#: Collects descriptors of /proc/PID/exe that are the victim; then tries to open them for writing, again and again, while
#: whoever was executed through them ends.
ATTACK = r"""
import ctypes, errno, json, os, sys, time
victim = (int(sys.argv[1]), int(sys.argv[2]))
libc = ctypes.CDLL(None, use_errno=True)
caught, outcomes = [], set()

def catch(path):
    try:
        fd = os.open(path, os.O_PATH)
    except OSError:
        return
    about = os.fstat(fd)
    if (about.st_dev, about.st_ino) == victim:
        caught.append(fd)
    else:
        os.close(fd)

def unprotect(fd):
    clear = b"\0" * 8 + (1).to_bytes(8, "little") + b"\0" * 16  # MOUNT_ATTR_RDONLY
    for make in (lambda: fd, lambda: libc.syscall(428, fd, b"", 0x1001)):  # open_tree(OPEN_TREE_CLONE)
        tree = make()
        if tree >= 0 and not libc.syscall(442, tree, b"", 0x1000, clear, 32):  # mount_setattr
            outcomes.add("unprotected")
            strike(tree)
    if not libc.mount(None, b"/proc/self/fd/%d" % fd, None, 0x1020, None):  # MS_REMOUNT | MS_BIND
        outcomes.add("remounted")

def strike(fd):
    try:
        file = os.open(f"/proc/self/fd/{fd}", os.O_WRONLY)
    except OSError as error:
        outcomes.add(errno.errorcode[error.errno])
        return
    about = os.fstat(file)
    if (about.st_dev, about.st_ino) == victim:
        os.write(file, b"overwritten")
        outcomes.add("written")
    os.close(file)

def report():
    with open("/result.part", "w") as file:
        json.dump({"caught": len(caught), "outcomes": sorted(outcomes)}, file)
    os.rename("/result.part", "/result")
"""
#: Watches all processes that appear.
WATCH = (
    ATTACK
    + r"""
open("/ready", "w").close()
own = os.getpid()
while not os.path.exists("/stop"):
    catch("/proc/self/exe")
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) > own and len(caught) < 500:
            catch(f"/proc/{name}/exe")
    for fd in caught[-3:]:
        strike(fd)
for fd in caught:
    unprotect(fd)
deadline = time.monotonic() + 0.2
while time.monotonic() < deadline:
    for fd in caught:
        strike(fd)
report()
"""
)
#: Is executed as ``/proc/self/exe``, if that is the host's Python: leaves a child behind that outlives it.
FROM_WITHIN = (
    ATTACK
    + r"""
catch("/proc/self/exe")
catch("/proc/1/exe")
pid = os.fork()
if pid == 0:
    deadline = time.monotonic() + 1
    os.set_inheritable(caught[0], True) if caught else None
    os.execv(sys.argv[3], [sys.argv[3], "-c", LATER, *map(str, victim), *map(str, caught[:1])])
"""
)


class Victim:
    """A copy of the interpreter that the runtime is run with."""

    def __init__(self, directory: Path, root: Path) -> None:
        directory.mkdir()
        self.path = directory / Path(os.path.realpath(sys.executable)).name
        shutil.copy2(os.path.realpath(sys.executable), self.path)
        self.runtime = Sealable(self.path, root)
        self._digest = self._hash()
        about = self.path.stat()
        self.identity = (str(about.st_dev), str(about.st_ino))

    def _hash(self) -> str:
        return hashlib.sha256(self.path.read_bytes()).hexdigest()

    def assert_whole(self) -> None:
        assert self._hash() == self._digest, "the interpreter was overwritten from inside the container"


class Sealable(Runtime):
    """orlop's runtime under an interpreter of our choice."""

    def __init__(self, interpreter: Path, root: Path) -> None:
        super().__init__(str(REPOSITORY / "bin/orlop-runtime"), root)
        self._interpreter = str(interpreter)

    def command(self, *arguments: str) -> list[str]:
        return [self._interpreter, "-IS", *super().command(*arguments)]


@pytest.fixture
def victim(tmp_path: Path) -> Iterator[Victim]:
    made = Victim(tmp_path / "interpreter", tmp_path / "sealable-root")
    yield made
    # Not with the victim: it may be lost.
    Runtime(made.runtime.program, made.runtime.root).delete_all()


def watcher(victim: Victim, bundle: BundleMaker, *capabilities: str) -> tuple[Bundle, str]:
    """A running container whose init watches what comes in."""
    made = bundle()
    made.process["args"] = [hostile.with_python(made), hostile.script(made, WATCH), *victim.identity]
    hostile.grant(made, *capabilities)
    name = hostile.start(victim.runtime, made)
    hostile.eventually((made.rootfs / "ready").exists)
    return made, name


def verdict(made: Bundle) -> dict[str, Any]:
    (made.rootfs / "stop").touch()
    result: dict[str, Any] = json.loads(hostile.text_of(made.rootfs / "result"))
    return result


@pytest.mark.parametrize("more", [(), ("CAP_SYS_ADMIN",)], ids=["ptrace", "admin"])
def test_cve_2019_5736_whoever_joins_by_exec_cannot_be_overwritten(
    victim: Victim, bundle: BundleMaker, more: tuple[str, ...]
) -> None:
    made, name = watcher(victim, bundle, *hostile.POWERS, *more)
    for _ in range(12):
        victim.runtime("exec", name, "true")
    result = verdict(made)
    assert result["caught"], "the attack never saw the interpreter, so it proves nothing"
    assert "EROFS" in result["outcomes"]
    assert set(result["outcomes"]) <= REFUSALS
    victim.assert_whole()


def test_cve_2019_5736_without_ptrace_the_interpreter_is_not_even_seen(victim: Victim, bundle: BundleMaker) -> None:
    made, name = watcher(victim, bundle, "CAP_DAC_OVERRIDE")
    for _ in range(8):
        victim.runtime("exec", name, "true")
    assert verdict(made) == {"caught": 0, "outcomes": []}
    victim.assert_whole()


def test_cve_2019_5736_a_container_that_joins_a_pod_cannot_be_overwritten(victim: Victim, bundle: BundleMaker) -> None:
    made, name = watcher(victim, bundle, *hostile.POWERS)
    pid = victim.runtime.state(name)["pid"]
    joiner = bundle("true")
    for entry in joiner.linux["namespaces"]:
        if entry["type"] == "pid":
            entry["path"] = f"/proc/{pid}/ns/pid"
    joiner.write()
    for _ in range(4):
        victim.runtime("run", "--bundle", str(joiner.path), unique_name())
        created = victim.runtime.create(joiner)
        victim.runtime("start", created)
    result = verdict(made)
    assert result["caught"], "the attack never saw the interpreter, so it proves nothing"
    assert "EROFS" in result["outcomes"]
    assert set(result["outcomes"]) <= REFUSALS
    victim.assert_whole()


def entrypoint(victim: Victim, bundle: BundleMaker, *, shebang: bool) -> tuple[Bundle, list[str]]:
    """A container in which the host's Python, were it executed, would run the attack."""
    made = bundle()
    python = hostile.with_python(made)
    hostile.grant(made, *hostile.POWERS)
    later = ATTACK + "caught.append(int(sys.argv[3]))\n" + STRIKE
    text = FROM_WITHIN.replace("LATER", repr(later))
    path = hostile.script(made, f"#!/proc/self/exe\n{text}")
    (made.rootfs / "attack.py").chmod(0o755)
    arguments = [*victim.identity, python]
    return made, [path, *arguments] if shebang else ["/proc/self/exe", path, *arguments]


STRIKE = r"""
deadline = time.monotonic() + 0.5
while time.monotonic() < deadline:
    strike(caught[0])
report()
"""


@pytest.mark.parametrize("shebang", [False, True], ids=["proc_self_exe", "shebang"])
def test_cve_2019_5736_proc_self_exe_as_entrypoint(victim: Victim, bundle: BundleMaker, *, shebang: bool) -> None:
    made, arguments = entrypoint(victim, bundle, shebang=shebang)
    made.process["args"] = arguments
    result = hostile.attempt(victim.runtime, made)
    assert result.status != 0, "what was executed was the interpreter"
    assert not (made.rootfs / "result").exists(), "what was executed was the interpreter"
    victim.assert_whole()


@pytest.mark.parametrize("shebang", [False, True], ids=["proc_self_exe", "shebang"])
def test_cve_2019_5736_proc_self_exe_by_exec(victim: Victim, bundle: BundleMaker, *, shebang: bool) -> None:
    made, arguments = entrypoint(victim, bundle, shebang=shebang)
    made.process["args"] = ["sleep", "100"]
    name = hostile.start(victim.runtime, made)
    victim.runtime.call("exec", name, *arguments)
    # Here the interpreter does run: it may be looked at, as any file of the host that is executed in a container.
    result = json.loads(hostile.text_of(made.rootfs / "result"))
    assert result["caught"] == 1
    assert "EROFS" in result["outcomes"]
    assert set(result["outcomes"]) <= REFUSALS
    victim.assert_whole()


def test_cve_2019_5736_the_environment_of_the_restart_stays_outside(victim: Victim, bundle: BundleMaker) -> None:
    name = hostile.start(victim.runtime, bundle("sleep", "100"))
    assert "ORLOP" not in victim.runtime("exec", name, "env").output


SEAL = """
import errno, os, sys
sys.path.append(sys.argv[1])
from orlop.linux import sealed
sealed.ensure()
link = os.open("/proc/self/exe", os.O_PATH)
print(sealed.is_sealed(), os.statvfs(link).f_flag & os.ST_RDONLY, flush=True)
pid = os.fork()
if pid:
    os._exit(0)
os.set_inheritable(link, True)
os.execv("/bin/sh", ["sh", "-c", f"while [ -e /proc/{os.getppid()}/exe ]; do :; done; echo overwritten > /proc/self/fd/{link}"])
"""
#: An id that nobody has.
ORDINARY = 300_001


@pytest.mark.usefixtures("open_checkout")
@pytest.mark.parametrize("owned", [True, False], ids=["own interpreter", "the system's"])
def test_cve_2019_5736_an_ordinary_user_s_own_interpreter_is_sealed_too(open_directory: Path, *, owned: bool) -> None:
    """Root in that user's containers is the user, who may write the file; the system's interpreter, nobody may."""
    victim = Victim(open_directory / "interpreter", open_directory / "root")
    if owned:
        os.chown(victim.path, ORDINARY, ORDINARY)
    code = open_directory / "seal.py"
    code.write_text(SEAL)

    def become_ordinary() -> None:
        os.setgroups([])
        os.setresgid(ORDINARY, ORDINARY, ORDINARY)
        os.setresuid(ORDINARY, ORDINARY, ORDINARY)

    done = subprocess.run(
        [str(victim.path), "-IS", str(code), str(REPOSITORY / "src")],
        capture_output=True,
        text=True,
        preexec_fn=become_ordinary,
        check=True,
        timeout=20,
    )
    assert done.stdout.split() == (["True", "1"] if owned else ["False", "0"])
    assert ("Read-only file system" if owned else "Permission denied") in done.stderr
    victim.assert_whole()

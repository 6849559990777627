"""One stage on its way: what its instructions so far make of the image's configuration, and which steps they ask for."""

from __future__ import annotations

import _signal
import posixpath

from orlop.build import copying, remote, steps
from orlop.build.dockerfile import instructions, run_devices, run_mounts
from orlop.build.dockerfile.problem import suggestion
from orlop.build.variables import DEFAULT_PATH, PROXIES
from orlop.errors import InvalidArgument
from orlop.images.config import Healthcheck
from orlop.runtime.kill import signal_number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from orlop.build.dockerfile.heredoc import Heredoc
    from orlop.build.dockerfile.instructions import Command, Instruction
    from orlop.build.dockerfile.problem import Source
    from orlop.build.steps import Origin, Step
    from orlop.build.variables import Scope
    from orlop.images.config import Execution

DEFAULT_SHELL = ("/bin/sh", "-c")
#: Where a script of ``RUN <<EOF`` with ``#!`` lies while it runs.
SCRIPTS = "/dev/orlop-script"
_LAST_PORT = 65535


class Written:
    """What one instruction came to: its text for the history, and the step that it asks for, if it does."""

    __slots__ = ("created_by", "step")

    def __init__(self, created_by: str, step: Step | None = None) -> None:
        self.created_by = created_by
        self.step = step


class StageState:
    """The configuration of a stage's image, and its variables, after each instruction."""

    __slots__ = ("_cmd_is_set", "_find", "_network", "_source", "author", "config", "scope", "triggers")

    def __init__(
        self,
        config: Execution,
        scope: Scope,
        source: Source,
        find: Callable[[str, Instruction], Origin],
        network: str = "default",
    ) -> None:
        self.config = config
        self.scope = scope
        self.author = ""
        self._source = source
        #: What ``--from`` and ``from=`` mean.
        self._find = find
        self._network = network
        self._cmd_is_set = False
        self.triggers = list(config.on_build)
        config.on_build = []
        scope.environment.setdefault("PATH", DEFAULT_PATH)

    def apply(self, instruction: Instruction) -> Written:
        """Carry an instruction out on the configuration.

        Raises:
            InvalidDockerfile: it cannot be, with the values that its variables have.
        """
        try:
            written: Written = self._methods[type(instruction)](self, instruction)
            return written
        except InvalidArgument as error:
            if hasattr(error, "excerpt"):
                raise
            raise self._source.problem(instruction.span, str(error)) from None

    def _arg(self, instruction: instructions.Arg) -> Written:
        self.scope.declare(instruction)
        words = []
        for pair in instruction.pairs:
            value = self.scope.arguments.get(pair.name)
            words.append(pair.name if value is None or pair.name in PROXIES else f"{pair.name}={value}")
        return Written(f"ARG {' '.join(words)}")

    def _env(self, instruction: instructions.Env) -> Written:
        pairs = self.scope.pairs(instruction.pairs, instruction)
        if not all(name for name, _ in pairs):
            raise InvalidArgument("a name of ENV is empty: expected ENV name=value, with a value for its variables")
        self.scope.set(pairs)
        names = [each.partition("=")[0] for each in self.config.env]
        for name, value in pairs:
            text = f"{name}={value}"
            if name in names:
                self.config.env[names.index(name)] = text
            else:
                self.config.env.append(text)
                names.append(name)
        return Written(f"ENV {' '.join(f'{name}={value}' for name, value in pairs)}")

    def _label(self, instruction: instructions.Label) -> Written:
        pairs = self.scope.pairs(instruction.pairs, instruction)
        self.config.labels.update(pairs)
        return Written(f"LABEL {' '.join(f'{name}={value}' for name, value in pairs)}")

    def _cmd(self, instruction: instructions.Cmd) -> Written:
        self.config.cmd = self._arguments(instruction.command)
        self._cmd_is_set = True
        return Written(f"CMD {_array(self.config.cmd)}")

    def _entrypoint(self, instruction: instructions.Entrypoint) -> Written:
        self.config.entrypoint = self._arguments(instruction.command)
        if not self._cmd_is_set:
            self.config.cmd = []  # what was there belonged to the entrypoint before
        return Written(f"ENTRYPOINT {_array(self.config.entrypoint)}")

    def _shell(self, instruction: instructions.Shell) -> Written:
        self.config.shell = list(instruction.words)
        return Written(f"SHELL {_array(self.config.shell)}")

    def _user(self, instruction: instructions.User) -> Written:
        self.config.user = self.scope.word(instruction.user, instruction)
        return Written(f"USER {self.config.user}")

    def _workdir(self, instruction: instructions.Workdir) -> Written:
        path = self.scope.word(instruction.path, instruction)
        if not path:
            raise InvalidArgument("WORKDIR is empty: expected a path")
        path = posixpath.normpath(posixpath.join("/", self.config.working_dir, path))
        path = "/" + path.lstrip("/")
        self.config.working_dir = path
        text = f"WORKDIR {path}"
        if path == "/":
            return Written(text)
        step = steps.MakeDirectory(path=path, user=self.config.user, text=instruction.text, span=instruction.span)
        return Written(text, step)

    def _volume(self, instruction: instructions.Volume) -> Written:
        paths = [self.scope.word(each, instruction) for each in instruction.paths]
        for each in paths:
            if not each.strip():
                raise InvalidArgument("VOLUME has an empty path: expected an absolute one")
            if each not in self.config.volumes:
                self.config.volumes.append(each)
        return Written(f"VOLUME {_array(paths)}")

    def _expose(self, instruction: instructions.Expose) -> Written:
        words = [word for text in instruction.ports for word in self.scope.words(text, instruction)]
        for word in words:
            for port in ports(word):
                if port not in self.config.exposed_ports:
                    self.config.exposed_ports.append(port)
        return Written(f"EXPOSE {' '.join(words)}")

    def _maintainer(self, instruction: instructions.Maintainer) -> Written:
        self.author = instruction.author
        return Written(f"MAINTAINER {instruction.author}")

    def _stop_signal(self, instruction: instructions.StopSignal) -> Written:
        signal = self.scope.word(instruction.signal, instruction)
        try:
            signal_number(signal)
        except InvalidArgument:
            near = suggestion(
                signal.upper(), [name for name in dir(_signal) if name.startswith("SIG") and name.isalnum()]
            )
            raise InvalidArgument(
                f"invalid signal '{signal}'{near}: expected a name such as SIGTERM, or a number"
            ) from None
        self.config.stop_signal = signal
        return Written(f"STOPSIGNAL {signal}")

    def _healthcheck(self, instruction: instructions.HealthCheck) -> Written:
        command = instruction.command
        if command is None:
            test = ["NONE"]
        elif command.is_line:
            test = ["CMD-SHELL", _line(command)]
        else:
            test = ["CMD", *command.words]
        self.config.healthcheck = Healthcheck(
            test,
            interval=instruction.interval,
            timeout=instruction.timeout,
            start_period=instruction.start_period,
            start_interval=instruction.start_interval,
            retries=instruction.retries,
        )
        return Written(instruction.text)

    def _on_build(self, instruction: instructions.OnBuild) -> Written:
        self.config.on_build.append(instruction.trigger)
        return Written(f"ONBUILD {instruction.trigger}")

    def _run(self, instruction: instructions.Run) -> Written:
        environment, added = self.scope.for_run()
        command = instruction.command
        script = ""
        if command.is_line:
            line, script = _script(command)
            arguments = (SCRIPTS,) if script else (*(self.config.shell or DEFAULT_SHELL), line)
        else:
            arguments = command.words
        given = self.scope.given
        step = steps.Run(
            arguments=tuple(arguments),
            environment=tuple(environment),
            proxies=tuple(f"{name}={given[name]}" for name in PROXIES if name in given),
            user=self.config.user,
            workdir=self.config.working_dir or "/",
            mounts=tuple(self._mount(each, instruction) for each in instruction.mounts),
            network=self._network if instruction.network == "default" else instruction.network,
            insecure=instruction.security == "insecure",
            script=script,
            devices=tuple(
                run_devices.parse(each, lambda text: self.scope.word(text, instruction)) for each in instruction.devices
            ),
            text=instruction.text,
            span=instruction.span,
        )
        shown = " ".join(script.split("\n", 1)[:1] if script else step.arguments)
        return Written(f"RUN |{len(added)} {' '.join(added)} {shown}" if added else f"RUN {shown}", step)

    def _mount(self, text: str, instruction: Instruction) -> steps.Mounted:
        mount = run_mounts.parse(text, lambda value: self.scope.word(value, instruction))
        origin = None
        space = self.scope.given.get("BUILDKIT_CACHE_MOUNT_NS", "")
        if mount.type == run_mounts.CACHE and space:
            mount = mount.replace(id=f"{space}/{mount.id or mount.target}")
        if mount.from_ or mount.type == run_mounts.BIND:
            origin = self._find(mount.from_, instruction)
        return steps.Mounted(mount, origin)

    def _copy(self, instruction: instructions.Copy) -> Written:
        def word(text: str) -> str:
            return self.scope.word(text, instruction)

        target = word(instruction.target)
        if not target:
            raise InvalidArgument(f"the destination of {instruction.name} is empty: expected a path")
        is_directory = target.endswith(("/", "/.")) or target == "."
        target = posixpath.normpath(posixpath.join("/", self.config.working_dir, target))
        target = "/" + target.lstrip("/") + ("/" if is_directory and target.strip("/") else "")
        sources = tuple(filter(None, map(word, instruction.sources)))
        if not sources and not instruction.documents:
            raise InvalidArgument(f"{instruction.name} has no source that is not empty: expected a path")
        if not target.endswith("/") and len(sources) + len(instruction.documents) > 1:
            raise InvalidArgument(
                f"{instruction.name} of several sources needs a directory: expected a destination that ends with /"
            )
        documents = tuple(
            steps.Document(each.name, _text_of(each, self.scope, instruction)) for each in instruction.documents
        )
        added = instruction if isinstance(instruction, instructions.Add) else None
        mode = word(instruction.mode)
        copying.permissions(mode)
        checksum = word(added.checksum) if added is not None else ""
        if checksum and not any(remote.is_git(each) for each in sources):
            remote.check_checksum(checksum)
        step = steps.Copy(
            origin=self._find(word(instruction.from_), instruction) if instruction.from_ else steps.Origin(),
            sources=sources,
            target=target,
            documents=documents,
            owner=word(instruction.owner),
            mode=mode,
            link=instruction.link,
            parents=instruction.parents,
            exclude=tuple(map(word, instruction.exclude)),
            adds=added is not None,
            unpack=added.unpack if added is not None else None,
            checksum=checksum,
            keep_git_dir=added.keep_git_dir if added is not None else False,
            text=instruction.text,
            span=instruction.span,
        )
        words = [*instruction.statement.flags, *sources, *(f"<<{each.name}" for each in documents), target]
        return Written(f"{instruction.name} {' '.join(words)}", step)

    def _arguments(self, command: Command) -> list[str]:
        if command.is_line:
            return [*(self.config.shell or DEFAULT_SHELL), _line(command)]
        return list(command.words)

    _methods: Mapping[type[Instruction], Any] = {
        instructions.Add: _copy,
        instructions.Arg: _arg,
        instructions.Cmd: _cmd,
        instructions.Copy: _copy,
        instructions.Entrypoint: _entrypoint,
        instructions.Env: _env,
        instructions.Expose: _expose,
        instructions.HealthCheck: _healthcheck,
        instructions.Label: _label,
        instructions.Maintainer: _maintainer,
        instructions.OnBuild: _on_build,
        instructions.Run: _run,
        instructions.Shell: _shell,
        instructions.StopSignal: _stop_signal,
        instructions.User: _user,
        instructions.Volume: _volume,
        instructions.Workdir: _workdir,
    }


def _text_of(document: Heredoc, scope: Scope, instruction: Instruction) -> str:
    """A here-document's text, its variables replaced unless its word is quoted."""
    if not document.expand:
        return document.text
    return scope.document(document.text, instruction)


def _line(command: Command) -> str:
    """What a shell reads: the line, and the here-documents after it."""
    line = command.line or ""
    for each in command.documents:
        line += f"\n{each.content}{each.name}"
    return line


def _script(command: Command) -> tuple[str, str]:
    """The line for a shell, or the script with ``#!`` that stands for it."""
    documents = command.documents
    if len(documents) == 1 and len((command.line or "").split()) == 1:
        text = documents[0].text
        return ("", text) if text.startswith("#!") else (text, "")
    return _line(command), ""


def _array(words: list[str]) -> str:
    from orlop import json_text

    return str(json_text.dumps(words))


def ports(word: str) -> list[str]:
    """The ports that a word such as ``80``, ``53/udp`` or ``8000-8003/tcp`` stands for.

    Raises:
        InvalidArgument: it is none.
    """
    numbers, _, protocol = word.partition("/")
    protocol = protocol.lower() or "tcp"
    numbers = numbers.rpartition(":")[2]  # a mapping to the host means nothing in an image
    first, dash, last = numbers.partition("-")
    last = last if dash else first
    if not all(each.isascii() and each.isdigit() and len(each) < 6 for each in (first, last)):
        raise InvalidArgument(f"invalid port '{word}': expected a number or a range, and perhaps /udp")
    low, high = int(first), int(last)
    if low > high:
        raise InvalidArgument(f"invalid port '{word}': expected the smaller number first")
    if not 0 < low <= high <= _LAST_PORT:
        raise InvalidArgument(f"invalid port '{word}': expected numbers from 1 to {_LAST_PORT}")
    if protocol not in ("tcp", "udp", "sctp"):
        near = suggestion(protocol, ("tcp", "udp", "sctp"))
        raise InvalidArgument(f"invalid protocol '{protocol}' of port '{word}'{near}: expected tcp, udp or sctp")
    return [f"{port}/{protocol}" for port in range(low, high + 1)]

"""Checks of a Dockerfile that is right and perhaps not meant so: BuildKit's rules, by their names.

``# check=skip=NAME,NAME`` or ``skip=all`` leaves rules out, ``error=true`` makes what is found an error, and
``experimental=NAME`` or ``all`` adds those that are not checked otherwise; parts are separated by semicolons.
"""

from __future__ import annotations

import re

from orlop.build.dockerfile.instructions import (
    Cmd,
    Copy,
    Entrypoint,
    Env,
    Expose,
    HealthCheck,
    Label,
    Maintainer,
)
from orlop.build.dockerfile.problem import Span
from orlop.build.value import Value
from orlop.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from orlop.build.dockerfile.instructions import Instruction
    from orlop.build.dockerfile.parser import Dockerfile, Stage
    from orlop.build.dockerfile.statements import Statement

RULES: Mapping[str, str] = {
    "StageNameCasing": "Stage names should be lowercase",
    "FromAsCasing": "The 'as' keyword should match the case of the 'from' keyword",
    "NoEmptyContinuation": "Empty continuation lines will become errors in a future release",
    "ConsistentInstructionCasing": "All commands within the Dockerfile should use the same casing",
    "DuplicateStageName": "Stage names should be unique",
    "ReservedStageName": "Reserved words should not be used as stage names",
    "JSONArgsRecommended": "JSON arguments recommended for ENTRYPOINT/CMD to prevent unintended behavior related to OS signals",
    "MaintainerDeprecated": "The MAINTAINER instruction is deprecated, use a label instead to define an image author",
    "UndefinedArgInFrom": "FROM command must use declared ARGs",
    "WorkdirRelativePath": "Relative workdir without an absolute workdir declared within the build can have unexpected results",
    "UndefinedVar": "Variables should be defined before their use",
    "MultipleInstructionsDisallowed": "Multiple instructions of the same type should not be used in the same stage",
    "LegacyKeyValueFormat": "Legacy key/value format with whitespace separator should not be used",
    "RedundantTargetPlatform": "Setting platform to predefined $TARGETPLATFORM in FROM is redundant",
    "SecretsUsedInArgOrEnv": "Sensitive data should not be used in the ARG or ENV commands",
    "InvalidDefaultArgInFrom": "Default value for global ARG results in an empty or invalid base image name",
    "FromPlatformFlagConstDisallowed": "FROM --platform flag should not use a constant value",
    "CopyIgnoredFile": "Attempting to Copy file that is excluded by .dockerignore",
    "ExposeProtoCasing": "Protocol in EXPOSE instruction should be lowercase",
    "ExposeInvalidFormat": "IP address and host-port mapping should not be used in EXPOSE instruction",
    "InvalidDefinitionDescription": "Comment for build stage or argument should follow the format: `# <arg/stage name> <description>`",
}
_EXPERIMENTAL = ("CopyIgnoredFile", "InvalidDefinitionDescription")
_RESERVED = ("context", "scratch")
_SECRET = re.compile(
    r"(?:^|_)(?:apikey|auth|credentials?|key|password|pword|passwd|secret|token)(?:_|$)", re.IGNORECASE
)
_PUBLIC = re.compile(r"(?:^|_)(?:public|anon(?:ymous)?)(?:_|$)", re.IGNORECASE)


class Finding(Value):
    """One thing that a rule found."""

    rule: str
    message: str
    span: Span

    @property
    def description(self) -> str:
        """What the rule asks for."""
        return RULES[self.rule]


class Settings(Value):
    """Which rules count, from the ``check`` directive."""

    skip: frozenset[str] = frozenset()
    experimental: frozenset[str] = frozenset()
    is_error: bool = False

    @classmethod
    def parse(cls, text: str) -> Settings:
        """Read what a directive or the option of the same name says.

        Raises:
            InvalidArgument: a part is not known.
        """
        skip: frozenset[str] = frozenset()
        experimental: frozenset[str] = frozenset()
        is_error = False
        for part in filter(None, (each.strip() for each in text.split(";"))):
            key, equals, value = part.partition("=")
            names = frozenset(each.strip() for each in value.split(","))
            if key == "skip" and equals:
                skip = names
            elif key == "experimental" and equals:
                experimental = names
            elif key == "error" and value.lower() in ("true", "false", "1", "0"):
                is_error = value.lower() in ("true", "1")
            else:
                raise InvalidArgument(f"invalid check '{part}': expected skip=…, experimental=… or error=true")
        return cls(skip, experimental, is_error)

    def counts(self, rule: str) -> bool:
        """Whether a rule is to be checked."""
        if "all" in self.skip or rule in self.skip:
            return False
        return rule not in _EXPERIMENTAL or "all" in self.experimental or rule in self.experimental


def check(
    dockerfile: Dockerfile, settings: Settings | None = None, is_ignored: Callable[[str], bool] | None = None
) -> list[Finding]:
    """What the rules find that look at the text alone, in the order of its lines.

    ``is_ignored`` tells whether a path of the context is left out of it. Variables are followed by
    `orlop.build.variables`, which has the rules for these.

    Raises:
        InvalidDockerfile: the file's ``check`` directive is wrong.
    """
    settings = settings or of(dockerfile)
    found = [
        *(Finding("NoEmptyContinuation", "Empty continuation line", span) for span in dockerfile.empty_continuations),
        *_casing(dockerfile),
        *_stages(dockerfile),
        *_definitions(dockerfile),
    ]
    for stage in dockerfile.stages:
        found += _only_one(stage)
        for instruction in stage.instructions:
            found += _instruction(instruction)
            if is_ignored is not None and isinstance(instruction, Copy) and not instruction.from_:
                found += _ignored(instruction, is_ignored)
    return sorted_findings(each for each in found if settings.counts(each.rule))


def sorted_findings(findings: Iterable[Finding]) -> list[Finding]:
    """Findings by their lines, each once."""
    return sorted(dict.fromkeys(findings), key=lambda each: (each.span.first, each.span.last, each.rule, each.message))


def of(dockerfile: Dockerfile) -> Settings:
    """The settings that a file has for itself.

    Raises:
        InvalidDockerfile: its ``check`` directive is wrong.
    """
    directives = dockerfile.directives
    try:
        return Settings.parse(directives.check)
    except InvalidArgument as error:
        line = directives.where["check"]
        raise dockerfile.source.problem(Span(line, line), str(error)) from None


def _statements(dockerfile: Dockerfile) -> Iterator[Statement]:
    for argument in dockerfile.arguments:
        yield argument.statement
    for stage in dockerfile.stages:
        yield stage.base.statement
        for instruction in stage.instructions:
            yield instruction.statement


def _casing(dockerfile: Dockerfile) -> Iterator[Finding]:
    small = sum(each.keyword.islower() for each in _statements(dockerfile))
    large = sum(each.keyword.isupper() for each in _statements(dockerfile))
    majority = "lowercase" if small > large else "uppercase"
    for each in _statements(dockerfile):
        if each.keyword != (each.keyword.lower() if small > large else each.keyword.upper()):
            yield Finding(
                "ConsistentInstructionCasing",
                f"Command '{each.keyword}' should match the case of the command majority ({majority})",
                each.span,
            )


def _stages(dockerfile: Dockerfile) -> Iterator[Finding]:
    seen: set[str] = set()
    for stage in dockerfile.stages:
        base = stage.base
        if not base.stage:
            continue
        written = base.statement.rest.split()[-1]
        if written != written.lower():
            yield Finding("StageNameCasing", f"Stage name '{written}' should be lowercase", base.span)
        if base.stage in _RESERVED:
            yield Finding(
                "ReservedStageName",
                f'Stage name should not use the same name as reserved stage "{base.stage}"',
                base.span,
            )
        if base.stage in seen:
            yield Finding(
                "DuplicateStageName", f'Duplicate stage name "{base.stage}", stage names should be unique', base.span
            )
        seen.add(base.stage)
        keyword = base.statement.keyword
        if (keyword.isupper(), keyword.islower()) != (base.as_keyword.isupper(), base.as_keyword.islower()):
            yield Finding(
                "FromAsCasing", f"'{base.as_keyword}' and '{keyword}' keywords' casing do not match", base.span
            )
    for stage in dockerfile.stages:
        platform = stage.base.platform
        if platform in ("$TARGETPLATFORM", "${TARGETPLATFORM}"):
            yield Finding(
                "RedundantTargetPlatform",
                f"Setting platform to predefined {platform} in FROM is redundant as this is the default behavior",
                stage.base.span,
            )
        elif platform and "$" not in platform:
            yield Finding(
                "FromPlatformFlagConstDisallowed",
                f'FROM --platform flag should not use constant value "{platform}"',
                stage.base.span,
            )


def _definitions(dockerfile: Dockerfile) -> Iterator[Finding]:
    defined = [(argument.statement, argument.pairs[0].name, "arg") for argument in dockerfile.arguments]
    defined += [(stage.base.statement, stage.name, "stage") for stage in dockerfile.stages if stage.name]
    for statement, name, kind in defined:
        if statement.comments and not statement.comments[-1].startswith(f"{name} "):
            yield Finding(
                "InvalidDefinitionDescription",
                f"Comment for build {kind} should follow the format: `# {name} <description>`."
                " If this is not intended to be a description comment,"
                f" add an empty line or comment between the instruction and the comment.",
                statement.span,
            )


def _only_one(stage: Stage) -> Iterator[Finding]:
    for kind in (Cmd, Entrypoint, HealthCheck):
        them = [each for each in stage.instructions if isinstance(each, kind)]
        for each in them[:-1]:
            yield Finding(
                "MultipleInstructionsDisallowed",
                f"Multiple {each.name} instructions should not be used in the same stage because only the last one"
                " will be used",
                each.span,
            )


def _instruction(instruction: Instruction) -> Iterator[Finding]:
    span = instruction.span
    if isinstance(instruction, Cmd | Entrypoint) and instruction.command.is_line:
        yield Finding(
            "JSONArgsRecommended",
            f"JSON arguments recommended for {instruction.name} to prevent unintended behavior related to OS signals",
            span,
        )
    elif isinstance(instruction, Maintainer):
        yield Finding("MaintainerDeprecated", "Maintainer instruction is deprecated in favor of using label", span)
    elif isinstance(instruction, Env | Label) and instruction.is_legacy:
        name = instruction.name
        yield Finding(
            "LegacyKeyValueFormat",
            f'"{name} key=value" should be used instead of legacy "{name} key value" format',
            span,
        )
    elif isinstance(instruction, Expose):
        for port in instruction.ports:
            number, _, protocol = port.partition("/")
            if "$" not in protocol and protocol != protocol.lower():
                yield Finding(
                    "ExposeProtoCasing",
                    f"Defined protocol '{port}' in EXPOSE instruction should be lowercase",
                    span,
                )
            if "$" not in number and ":" in number:
                yield Finding(
                    "ExposeInvalidFormat",
                    f"EXPOSE instruction should not define an IP address or host-port mapping, found '{port}'",
                    span,
                )


def is_secret(name: str) -> bool:
    """Whether a variable's name says that its value is nobody's business."""
    return bool(_SECRET.search(name)) and not _PUBLIC.search(name)


def _ignored(instruction: Copy, is_ignored: Callable[[str], bool]) -> Iterator[Finding]:
    for source in instruction.sources:
        if any(mark in source for mark in "$*?[") or "://" in source or source.startswith("git@"):
            continue
        path = source.strip("/").removeprefix("./").rstrip("/")
        if path not in ("", ".") and is_ignored(path):
            yield Finding(
                "CopyIgnoredFile",
                f'Attempting to {instruction.name.capitalize()} file "{source}" that is excluded by .dockerignore',
                instruction.span,
            )

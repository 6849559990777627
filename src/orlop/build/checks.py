"""The checks that follow variables and working directories through a Dockerfile; the others are `orlop.build.dockerfile.lint`."""

from __future__ import annotations

from orlop.build import variables
from orlop.build.dockerfile import expansion, lint
from orlop.build.dockerfile.instructions import Arg, Env, Workdir
from orlop.build.dockerfile.lint import Finding
from orlop.build.dockerfile.problem import suggestion
from orlop.errors import InvalidArgument, InvalidDockerfile, InvalidReference
from orlop.images import platform, reference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from orlop.build.dockerfile.instructions import Instruction
    from orlop.build.dockerfile.parser import Dockerfile, Stage
    from orlop.build.graph import Graph


def check(
    dockerfile: Dockerfile, is_ignored: Callable[[str], bool] | None = None, graph: Graph | None = None
) -> list[Finding]:
    """All that the rules find which the file does not leave out, by lines.

    ``is_ignored`` tells whether a path of the context is left out of it. What is said of variables without a value is the
    ``graph``'s, which knows the environment of the images below.

    Raises:
        InvalidDockerfile: the file's ``check`` directive is wrong.
    """
    settings = lint.of(dockerfile)
    found = [*_bases(dockerfile), *_workdirs(dockerfile), *_secrets(dockerfile), *(graph.findings if graph else ())]
    kept = [each for each in found if settings.counts(each.rule)]
    return lint.sorted_findings([*lint.check(dockerfile, settings, is_ignored), *kept])


def _bases(dockerfile: Dockerfile) -> Iterator[Finding]:
    """What is said of variables in ``FROM``, by their defaults."""
    escape = dockerfile.directives.escape
    automatic = variables.of_platforms(platform.host(), platform.host())
    scope = variables.Scope(variables.Words(dockerfile.source, escape), {}, automatic)
    for argument in dockerfile.arguments:
        try:
            scope.declare(argument)
        except InvalidDockerfile:
            continue  # a build says so
    known = automatic | scope.variables
    declared = dict.fromkeys(scope.arguments, "") | known
    for stage in dockerfile.stages:
        base = stage.base
        for text in (base.image, base.platform):
            for name in _undefined(text, declared, escape):
                near = suggestion(name, tuple(declared))
                yield Finding("UndefinedArgInFrom", f"FROM argument '{name}' is not declared{near}", base.span)
        if (
            "$" in base.image
            and not _undefined(base.image, declared, escape)
            and not _is_name(base.image, known, escape)
        ):
            yield Finding(
                "InvalidDefaultArgInFrom",
                f"Default value for ARG {base.image} results in empty or invalid base image name",
                base.span,
            )


def _undefined(text: str, known: Mapping[str, str], escape: str) -> list[str]:
    try:
        return expansion.word(text, known, escape)[1]
    except InvalidArgument:
        return []  # a build says so


def _is_name(text: str, known: Mapping[str, str], escape: str) -> bool:
    try:
        reference.parse(expansion.word(text, known, escape)[0])
    except (InvalidArgument, InvalidReference):
        return False
    return True


def _workdirs(dockerfile: Dockerfile) -> Iterator[Finding]:
    absolute: dict[int, bool] = {}
    for stage in dockerfile.stages:
        below = dockerfile.find(stage.base.image, stage.number)
        is_set = absolute.get(below.number, False) if below is not None else False
        for instruction in stage.instructions:
            if not isinstance(instruction, Workdir):
                continue
            if not instruction.path.startswith(("/", "$", '"', "'")) and not is_set:
                message = f'Relative workdir "{instruction.path}" can have unexpected results if the base image changes'
                yield Finding("WorkdirRelativePath", message, instruction.span)
            is_set = True
        absolute[stage.number] = is_set


def _secrets(dockerfile: Dockerfile) -> Iterator[Finding]:
    everywhere: list[Instruction] = [*dockerfile.arguments]
    for stage in dockerfile.stages:
        everywhere += _of_stage(stage)
    for instruction in everywhere:
        if isinstance(instruction, Arg | Env):
            for pair in instruction.pairs:
                if lint.is_secret(pair.name):
                    about = f'({instruction.name} "{pair.name}")'
                    message = f"Do not use ARG or ENV instructions for sensitive data {about}"
                    yield Finding("SecretsUsedInArgOrEnv", message, instruction.span)


def _of_stage(stage: Stage) -> tuple[Instruction, ...]:
    return stage.instructions

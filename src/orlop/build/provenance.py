"""How an image came to be, in the words of SLSA (slsa.dev, provenance v0.2 and v1), as BuildKit fills them.

With ``min`` that is what was built when, of which images; with ``max`` the Dockerfile, the build arguments and every step too.
No secret is in it: contents of secrets are never known here, build arguments whose names say that they are secret are left out,
and wherever their values, or the passwords in addresses, have got to they are replaced.
"""

from __future__ import annotations

import base64
import re

from orlop import clock
from orlop.build import definition, remote, steps
from orlop.build.dockerfile import lint
from orlop.build.value import Value
from orlop.build.variables import PROXIES
from orlop.images import platform

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from orlop.build.attested import Attested
    from orlop.build.dockerfile.parser import Dockerfile
    from orlop.build.graph import Graph
    from orlop.build.scheduler import Files

#: The types of the predicates, by their versions.
PREDICATES = {"v0.2": "https://slsa.dev/provenance/v0.2", "v1": "https://slsa.dev/provenance/v1"}
_BUILD_TYPES = {
    "v0.2": "https://mobyproject.org/buildkit@v1",
    "v1": "https://github.com/moby/buildkit/blob/master/docs/attestations/slsa-definitions.md",
}
_METADATA = "https://mobyproject.org/buildkit@v1#metadata"
_HERMETIC = "https://mobyproject.org/buildkit@v1#hermetic"
_FRONTEND = "dockerfile.v0"
HIDDEN = "xxxxx"
_USER_OF_ADDRESS = re.compile(r"(?<=://)[^/\s\"']+@")
#: Shorter ones could be part of any word, so that they count only where they are a whole value.
_SHORTEST = 4


class Facts(Value):
    """What there is to tell of a build: ``began`` and ``ended`` are nanoseconds since 1970.

    ``context`` is where it was, empty for a directory of the user's, and ``commit`` what of a git repository it was; ``named`` are further contexts. ``images`` are the digests
    of those that were used, as registries know them, by their whole names. ``secrets`` are values that must not be in it.
    """

    dockerfile: Dockerfile
    graph: Graph
    files: Mapping[int, Files]
    began: int
    ended: int
    identifier: str
    context: str = ""
    commit: str = ""
    target: str = ""
    arguments: Mapping[str, str] = {}
    labels: Mapping[str, str] = {}
    options: Mapping[str, str] = {}
    named: Sequence[str] = ()
    images: Mapping[str, str] = {}
    secrets: Sequence[str] = ()


def predicate(facts: Facts, wanted: Attested) -> dict[str, Any]:
    """The predicate, in the form that is wanted."""
    made = _first(facts, wanted) if wanted.version == "v1" else _before_first(facts, wanted)
    hidden = sorted(set(filter(None, [*facts.secrets, *secret_arguments(facts.arguments)])), key=len, reverse=True)
    cleaned: dict[str, Any] = _clean(made, hidden)
    return cleaned


def secret_arguments(arguments: Mapping[str, str]) -> list[str]:
    """The values of build arguments that are nobody's business."""
    return [value for name, value in arguments.items() if lint.is_secret(name) or name in PROXIES]


def _before_first(facts: Facts, wanted: Attested) -> dict[str, Any]:
    """Version 0.2."""
    is_max = wanted.provenance == "max"
    source = _source(facts)
    source["entryPoint"] = facts.dockerfile.source.name
    complete = _materials_are_complete(facts)
    metadata: dict[str, Any] = {
        "buildInvocationID": facts.identifier,
        "buildStartedOn": clock.text(facts.began),
        "buildFinishedOn": clock.text(facts.ended),
        "completeness": {"parameters": is_max, "environment": True, "materials": complete},
        "reproducible": wanted.reproducible,
    }
    if complete and _is_hermetic(facts):
        metadata[_HERMETIC] = True
    metadata[_METADATA] = _about_steps(facts) if is_max else {}
    made = {
        "builder": {"id": wanted.builder},
        "buildType": _BUILD_TYPES["v0.2"],
        "materials": list(_materials(facts)),
        "invocation": {
            "configSource": source,
            "parameters": _parameters(facts, is_max=is_max),
            "environment": {"platform": str(platform.host())},
        },
        "metadata": metadata,
    }
    if is_max:
        made["buildConfig"] = {"llbDefinition": definition.of(facts.graph, facts.images)}
    return made


def _first(facts: Facts, wanted: Attested) -> dict[str, Any]:
    """Version 1."""
    is_max = wanted.provenance == "max"
    source = _source(facts)
    source["path"] = facts.dockerfile.source.name
    complete = _materials_are_complete(facts)
    internal: dict[str, Any] = {"builderPlatform": str(platform.host())}
    if is_max:
        internal["buildConfig"] = {"llbDefinition": definition.of(facts.graph, facts.images)}
    metadata: dict[str, Any] = {
        "invocationID": facts.identifier,
        "startedOn": clock.text(facts.began),
        "finishedOn": clock.text(facts.ended),
        "buildkit_metadata": _about_steps(facts) if is_max else {},
        "buildkit_completeness": {"request": is_max, "resolvedDependencies": complete},
        "buildkit_reproducible": wanted.reproducible,
    }
    if complete and _is_hermetic(facts):
        metadata["buildkit_hermetic"] = True
    return {
        "buildDefinition": {
            "buildType": _BUILD_TYPES["v1"],
            "externalParameters": {"configSource": source, "request": _parameters(facts, is_max=is_max)},
            "internalParameters": internal,
            "resolvedDependencies": list(_materials(facts)),
        },
        "runDetails": {"builder": {"id": wanted.builder}, "metadata": metadata},
    }


def _source(facts: Facts) -> dict[str, Any]:
    """Where the context and the Dockerfile are from."""
    made: dict[str, Any] = {"uri": facts.context} if facts.context else {}
    if facts.commit:
        made["digest"] = {"sha1": facts.commit}
    return made


def _parameters(facts: Facts, *, is_max: bool) -> dict[str, Any]:
    arguments = dict(facts.options)
    if facts.target:
        arguments["target"] = facts.target
    locals_ = [] if facts.context else [{"name": "context"}]
    locals_ += [{"name": "dockerfile"}] if not facts.context else []
    locals_ += [{"name": name} for name in sorted(facts.named)]
    made: dict[str, Any] = {"frontend": _FRONTEND, "args": arguments}
    if is_max:
        for name, value in facts.arguments.items():
            if name not in PROXIES:
                arguments[f"build-arg:{name}"] = HIDDEN if lint.is_secret(name) else value
        for name, value in facts.labels.items():
            arguments[f"label:{name}"] = value
        for kind, key in (("secret", "secrets"), ("ssh", "ssh")):
            used = {each.id or "default": each.required for each in _mounts(facts, kind)}
            if used:
                made[key] = [{"id": name, "optional": not required} for name, required in sorted(used.items())]
    if locals_:
        made["locals"] = locals_
    return made


def _mounts(facts: Facts, kind: str) -> Iterator[Any]:
    for node in facts.graph.nodes:
        if isinstance(node.step, steps.Run):
            yield from (each.mount for each in node.step.mounts if each.mount.type == kind)


def _materials(facts: Facts) -> Iterator[dict[str, Any]]:
    """What of elsewhere is in it: images, and what was fetched."""
    for base, wanted in definition.images(facts.graph):
        yield {
            "uri": definition.package_url(base.name, wanted),
            "digest": _digest_set(definition.digest_of(base, facts.images)),
        }
    if facts.commit:
        yield {"uri": facts.context, "digest": {"sha1": facts.commit}}
    for address, checksum in _fetched(facts):
        yield {"uri": address, **({"digest": _digest_set(checksum)} if checksum else {})}


def _fetched(facts: Facts) -> Iterator[tuple[str, str]]:
    for node in facts.graph.nodes:
        if isinstance(node.step, steps.Copy) and node.step.adds:
            yield from ((source, node.step.checksum) for source in node.step.sources if remote.is_remote(source))


def _digest_set(digest: str) -> dict[str, str]:
    algorithm, colon, encoded = digest.partition(":")
    # The checksum of a git source is a commit.
    return {algorithm: encoded} if colon else {"sha1": digest}


def _materials_are_complete(facts: Facts) -> bool:
    context = bool(facts.commit) or not (facts.context or _reads_contexts(facts))
    return context and not facts.named and all(checksum for _, checksum in _fetched(facts))


def _reads_contexts(facts: Facts) -> bool:
    for node in facts.graph.nodes:
        step = node.step
        if isinstance(step, steps.Copy) and step.origin.is_context and step.sources:
            return True
        if isinstance(step, steps.Run) and any(each.origin and each.origin.is_context for each in step.mounts):
            return True
    return False


def _is_hermetic(facts: Facts) -> bool:
    return all(not isinstance(node.step, steps.Run) or node.step.network == "none" for node in facts.graph.nodes)


def _about_steps(facts: Facts) -> dict[str, Any]:
    """The Dockerfile, which of its lines each step is, and what layer it has made."""
    source = facts.dockerfile.source
    names = definition.names(facts.graph)
    locations = {}
    layers = {}
    for node in facts.graph.nodes:
        span = node.step.span
        ranges = [{"start": {"line": number}, "end": {"line": number}} for number in range(span.first, span.last + 1)]
        locations[names[node.number]] = {"locations": [{"ranges": ranges}]}
        done = facts.files.get(node.number)
        if done is not None and done.has_layer:
            described = [definition.layer(each) for each in done.layers]
            layers[f"{names[node.number]}:0"] = [described]
    text = "\n".join(source.lines) + "\n"
    return {
        "source": {
            "locations": locations,
            "infos": [{"filename": source.name, "language": "Dockerfile", "data": definition.Text(text)}],
        },
        "layers": layers,
    }


def _clean(value: Any, hidden: Sequence[str]) -> Any:
    """A document without what must not be in it."""
    if isinstance(value, dict):
        return {_clean(key, hidden): _clean(item, hidden) for key, item in value.items()}
    if isinstance(value, list):
        return [_clean(item, hidden) for item in value]
    if not isinstance(value, str):
        return value
    text = _USER_OF_ADDRESS.sub(f"{HIDDEN}@", value)
    for each in hidden:
        if len(each) >= _SHORTEST:
            text = text.replace(each, HIDDEN)
        elif text == each or text.endswith(f"={each}"):
            text = text[: len(text) - len(each)] + HIDDEN
    if isinstance(value, definition.Text):
        return base64.b64encode(text.encode("utf-8", "surrogateescape")).decode()
    return text

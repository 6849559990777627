"""Image names as Docker reads them: ``debian`` is ``docker.io/library/debian``, and ``localhost:5000/a/b:1`` is itself.

The grammar is that of the distribution project's ``reference`` package::

    reference := [domain "/"] path [":" tag] ["@" digest]
    domain    := host [":" port]           host: a DNS name, an IPv4 address, or an IPv6 address in brackets
    path      := component *("/" component)
    component := alphanumerics *(separator alphanumerics)        lower case
    separator := "." | "_" | "__" | 1*"-"
    tag       := (letter | digit | "_") *127(letter | digit | "_" | "." | "-")

The first component is a domain only if it has a dot, a colon or an upper-case letter, or is ``localhost``.
"""

from __future__ import annotations

from orlop.errors import InvalidReference
from orlop.storage.digest import ALGORITHMS, is_digest

DEFAULT_DOMAIN = "docker.io"
DEFAULT_TAG = "latest"

#: The longest path, without its domain, that registries take.
LONGEST_PATH = 255
LONGEST_TAG = 128
#: The longest name in the DNS (RFC 1035, section 2.3.4).
_LONGEST_HOST = 253

_OFFICIAL = "library/"
_LOWER = frozenset("abcdefghijklmnopqrstuvwxyz")
_DIGITS = frozenset("0123456789")
_LETTERS = _LOWER | frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_PATH_CHARACTERS = _LOWER | _DIGITS | frozenset("._-/")
_TAG_FIRST = _LETTERS | _DIGITS | frozenset("_")
_TAG_LATER = _TAG_FIRST | frozenset(".-")
_HOST_CHARACTERS = _LETTERS | _DIGITS | frozenset("-")
_HEXADECIMAL = _DIGITS | frozenset("abcdef")
_IPV6_CHARACTERS = _HEXADECIMAL | frozenset("ABCDEF:")


class Reference:
    """An image's name, read and completed: where it is, and by which tag or digest; either may be empty.

    Two references are equal if they name the same thing. ``str()`` gives the canonical text.
    """

    __slots__ = ("digest", "domain", "path", "tag")

    def __init__(self, domain: str, path: str, tag: str = "", digest: str = "") -> None:
        self.domain = domain
        self.path = path
        self.tag = tag
        self.digest = digest

    @property
    def name(self) -> str:
        """The canonical name of the repository: ``docker.io/library/debian``."""
        return f"{self.domain}/{self.path}"

    @property
    def familiar_name(self) -> str:
        """The repository's name as Docker shows it: ``debian``."""
        if self.domain != DEFAULT_DOMAIN:
            return self.name
        short = self.path
        if short.startswith(_OFFICIAL) and "/" not in short[len(_OFFICIAL) :]:
            short = short[len(_OFFICIAL) :]
        # docker.io/localhost/a is not the same as localhost/a
        return self.name if "/" in short and _is_domain(short.partition("/")[0]) else short

    @property
    def familiar(self) -> str:
        """The whole reference as Docker shows it: ``debian:12``."""
        return self.familiar_name + self._suffix()

    @property
    def is_name_only(self) -> bool:
        """Whether there is neither a tag nor a digest."""
        return not self.tag and not self.digest

    def tagged(self, tag: str = DEFAULT_TAG) -> Reference:
        """The same repository by a tag, without a digest.

        Raises:
            InvalidReference: it cannot be a tag.
        """
        if not is_tag(tag):
            raise InvalidReference(f'invalid tag "{_shown(tag)}": {_TAG_RULE}')
        return Reference(self.domain, self.path, tag)

    def with_default_tag(self) -> Reference:
        """This reference, or the one with the tag ``latest`` if it has neither tag nor digest."""
        return self.tagged() if self.is_name_only else self

    def pinned(self, digest: str) -> Reference:
        """The same repository by a digest, without a tag.

        Raises:
            InvalidReference: it is not a digest.
        """
        if not is_digest(digest):
            raise InvalidReference(f'invalid digest "{_shown(digest)}": {_digest_rule()}')
        return Reference(self.domain, self.path, "", digest)

    def _suffix(self) -> str:
        return (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")

    def __str__(self) -> str:
        return self.name + self._suffix()

    def __repr__(self) -> str:
        return f"Reference({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Reference) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))


_TAG_RULE = "must be at most 128 letters, digits and _ . - and not begin with . or -"


def _digest_rule() -> str:
    known = " or ".join(f"{name}: and {length}" for name, length in ALGORITHMS.items())
    return f"must be {known} lower-case hexadecimal digits"


def parse(text: str) -> Reference:
    """Read a name as a user or a file gives it, with Docker's defaults for what it leaves out.

    Raises:
        InvalidReference: it breaks the grammar.
    """
    name, at, digest = text.partition("@")
    if at and not is_digest(digest):
        raise _invalid(text, f"the digest {_digest_rule()}")
    if len(name) == 64 and _HEXADECIMAL.issuperset(name):
        raise InvalidReference(f'invalid repository name "{name}": 64 hexadecimal digits are an ID, not a name')
    # Only a colon after the last slash can begin a tag; one before it is a port's.
    directory, slash, last = name.rpartition("/")
    last, colon, tag = last.partition(":")
    if colon and not is_tag(tag):
        raise _invalid(text, f"the tag {_TAG_RULE}")
    first, separator, path = (directory + slash + last).partition("/")
    if separator and _is_domain(first):
        domain = DEFAULT_DOMAIN if first == "index.docker.io" else first
        _check_domain(text, domain)
    else:
        domain, path = DEFAULT_DOMAIN, directory + slash + last
    if domain == DEFAULT_DOMAIN and path and "/" not in path:
        path = _OFFICIAL + path
    _check_path(text, path)
    return Reference(domain, path, tag, digest)


def is_tag(text: str) -> bool:
    """Whether a text can be a tag."""
    return 0 < len(text) <= LONGEST_TAG and text[0] in _TAG_FIRST and _TAG_LATER.issuperset(text)


def is_path(text: str) -> bool:
    """Whether a text can be a repository's path on a registry: ``library/debian``."""
    return len(text) <= LONGEST_PATH and all(_is_component(component) for component in text.split("/"))


def _is_domain(first: str) -> bool:
    return "." in first or ":" in first or first == "localhost" or first.lower() != first


def _check_domain(text: str, domain: str) -> None:
    host, colon, port = domain, "", ""
    if domain.startswith("["):
        host, bracket, rest = domain[1:].partition("]")
        valid = bool(bracket) and ":" in host and _IPV6_CHARACTERS.issuperset(host) and rest[:1] in ("", ":")
        colon, port = rest[:1], rest[1:]
    else:
        host, colon, port = domain.partition(":")
        valid = all(
            part and _HOST_CHARACTERS.issuperset(part) and part[0] != "-" and part[-1] != "-"
            for part in host.split(".")
        )
    if colon and not (port and _DIGITS.issuperset(port) and len(port) <= 5 and int(port) < 1 << 16):
        valid = False
    if not valid or len(host) > _LONGEST_HOST:
        raise _invalid(text, f'"{_shown(domain)}" is not a registry\'s host and port')


def _check_path(text: str, path: str) -> None:
    if not path:
        raise _invalid(text, "the repository's name is empty")
    if len(path) > LONGEST_PATH:
        raise _invalid(text, f"the repository's name is longer than {LONGEST_PATH} characters")
    if any(character in _LETTERS and character not in _LOWER for character in path):
        raise InvalidReference(f'invalid reference format: repository name "{_shown(path)}" must be lowercase')
    if not _PATH_CHARACTERS.issuperset(path):
        raise _invalid(text, "a repository's name has lower-case letters, digits and . _ - / only")
    for component in path.split("/"):
        if not _is_component(component):
            raise _invalid(
                text,
                f'"{_shown(component)}" must begin and end with a letter or digit, and have . _ __ or dashes between',
            )


def _is_component(component: str) -> bool:
    """Whether letters and digits are separated by one ``.``, one or two ``_``, or any number of ``-``."""
    separator = ""
    after_letter = False
    for character in component:
        if character in _LOWER or character in _DIGITS:
            if separator and separator not in (".", "_", "__") and separator.strip("-"):
                return False
            separator = ""
            after_letter = True
        elif after_letter and character in "._-":
            separator += character
        else:
            return False
    return after_letter and not separator


def _invalid(text: str, reason: str) -> InvalidReference:
    return InvalidReference(f'invalid reference format: "{_shown(text)}": {reason}')


def _shown(text: str) -> str:
    """A text that is safe to show on a terminal."""
    return text if text.isprintable() and len(text) <= 512 else ascii(text[:160])[1:-1]

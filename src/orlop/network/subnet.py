"""Internet addresses and subnets, of both versions, as numbers; `ipaddress` would cost a start several milliseconds."""

from __future__ import annotations

import _socket

from orlop.errors import InvalidArgument

IPV4 = _socket.AF_INET
IPV6 = _socket.AF_INET6
#: How many bits an address has.
BITS = {IPV4: 32, IPV6: 128}


def parse(text: str) -> tuple[int, int]:
    """An address's family and number.

    Raises:
        InvalidArgument: it is none.
    """
    family = IPV6 if ":" in text else IPV4
    try:
        return family, int.from_bytes(_socket.inet_pton(family, text), "big")
    except (OSError, ValueError):
        raise InvalidArgument(f"invalid IP address: {text!r}") from None


def write(family: int, number: int) -> str:
    """An address's text, in its shortest form."""
    return _socket.inet_ntop(family, number.to_bytes(BITS[family] // 8, "big"))


def packed(text: str) -> bytes:
    """An address in network byte order: four bytes or sixteen.

    Raises:
        InvalidArgument: it is none.
    """
    family, number = parse(text)
    return number.to_bytes(BITS[family] // 8, "big")


class Subnet:
    """Addresses that have their first ``prefix`` bits in common; ``base`` is the first of them, as a number."""

    __slots__ = ("base", "family", "prefix")

    def __init__(self, family: int, base: int, prefix: int) -> None:
        self.family = family
        self.base = base
        self.prefix = prefix

    @classmethod
    def parse(cls, text: str) -> Subnet:
        """The subnet that ``10.0.0.0/8`` or ``fd00::/64`` is; bits beyond the prefix are left out of account.

        Raises:
            InvalidArgument: it is none.
        """
        address, slash, length = text.partition("/")
        family, number = parse(address)
        if not slash or not (length.isascii() and length.isdigit()) or int(length) > BITS[family]:
            raise InvalidArgument(f"invalid CIDR address: {text}")
        prefix = int(length)
        return cls(family, number & ~((1 << (BITS[family] - prefix)) - 1), prefix)

    @property
    def size(self) -> int:
        """How many addresses there are."""
        return 1 << (BITS[self.family] - self.prefix)

    @property
    def last(self) -> int:
        """The last address, as a number."""
        return self.base + self.size - 1

    def address(self, place: int) -> str:
        """The text of the address that comes ``place`` addresses after the first."""
        return write(self.family, self.base + place)

    def contains(self, number: int) -> bool:
        """Whether an address of the same family is one of these."""
        return self.base <= number <= self.last

    def overlaps(self, other: Subnet) -> bool:
        """Whether there is an address that is in both."""
        return self.family == other.family and self.base <= other.last and other.base <= self.last

    def includes(self, other: Subnet) -> bool:
        """Whether every address of the other is one of these."""
        return self.family == other.family and self.base <= other.base and other.last <= self.last

    def text(self, number: int) -> str:
        """The text of one of the addresses, with the length of the prefix."""
        return f"{write(self.family, number)}/{self.prefix}"

    def __str__(self) -> str:
        return self.text(self.base)

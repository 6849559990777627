"""What the keys and values of sets and maps are made of.

The kernel knows lengths only; a type's number is nft(8)'s own, by which it prints what is there as it was meant.
Sources: nft(8), "Data types"; datatype.h of nftables.
"""

from __future__ import annotations


class Type:
    """A type of data.

    Attributes:
        number: nft's own number for it.
        length: in bytes.
        is_network_order: whether its bytes are in network byte order, so that intervals of it make sense.
    """

    __slots__ = ("is_network_order", "length", "number")

    def __init__(self, number: int, length: int, *, is_network_order: bool = True) -> None:
        self.number = number
        self.length = length
        self.is_network_order = is_network_order


IPV4_ADDRESS = Type(7, 4)
IPV6_ADDRESS = Type(8, 16)
PROTOCOL = Type(12, 1)  # IPPROTO_*
SERVICE = Type(13, 2)  # a port
MARK = Type(19, 4, is_network_order=False)
INTERFACE = Type(20, 4, is_network_order=False)  # a network device's index
INTERFACE_NAME = Type(41, 16, is_network_order=False)

_BITS_OF_A_NUMBER = 6
_REGISTER = 4
_LONGEST_INTERFACE_NAME = 15


class Verdict:
    """The value of a verdict map's element: go on in ``chain``, and come back after it unless ``for_good``."""

    __slots__ = ("chain", "for_good")

    def __init__(self, chain: str, *, for_good: bool = False) -> None:
        self.chain = chain
        self.for_good = for_good


def number_of(types: tuple[Type, ...]) -> int:
    """nft's number of a concatenation."""
    found = 0
    for each in types:
        found = found << _BITS_OF_A_NUMBER | each.number
    return found


def length_of(types: tuple[Type, ...]) -> int:
    """The length of a value; each part of a concatenation fills whole registers."""
    if len(types) == 1:
        return types[0].length
    return sum(_padded(each.length) for each in types)


def joined(*parts: bytes) -> bytes:
    """A concatenation's value."""
    if len(parts) == 1:
        return parts[0]
    return b"".join(part + bytes(-len(part) % _REGISTER) for part in parts)


def interface_name(name: str) -> bytes:
    """A network device's name as a value.

    Raises:
        ValueError: it is too long for a device.
    """
    encoded = name.encode(errors="surrogateescape")
    if len(encoded) > _LONGEST_INTERFACE_NAME:
        raise ValueError(f"{name}: longer than a network device's name can be")
    return encoded + bytes(16 - len(encoded))


def _padded(length: int) -> int:
    return (length + _REGISTER - 1) & -_REGISTER

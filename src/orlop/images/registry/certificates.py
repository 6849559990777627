"""Which certificates are trusted and shown: the system's, and those in ``certs.d`` (containers-certs.d(5)).

For the server ``registry.example.com:5000`` a directory of that name below ``/etc/docker/certs.d`` or one of its
siblings holds ``*.crt``, certificate authorities to be trusted besides the system's, and pairs of ``*.cert`` and
``*.key``, which this client shows to the server.
"""

from __future__ import annotations

import os
import ssl

from orlop.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


class Certificates:
    """What one server's directories hold."""

    __slots__ = ("authorities", "pairs")

    def __init__(self) -> None:
        self.authorities: list[str] = []
        #: Paths of a certificate and of its key.
        self.pairs: list[tuple[str, str]] = []


def find(names: Iterable[str], directories: Iterable[str]) -> Certificates:
    """Look a server's certificates up; ``names`` are those that its directories may have.

    Raises:
        InvalidArgument: a certificate has no key, or a key no certificate.
    """
    found = Certificates()
    for path in [f"{directory}/{name}" for directory in directories for name in names]:
        try:
            files = sorted(os.listdir(path))
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            continue
        for file in files:
            stem, ending = os.path.splitext(file)
            if ending == ".crt":
                found.authorities.append(f"{path}/{file}")
            elif ending == ".cert":
                if f"{stem}.key" not in files:
                    raise InvalidArgument(f"the client certificate {path}/{file} has no key {stem}.key beside it")
                found.pairs.append((f"{path}/{file}", f"{path}/{stem}.key"))
            elif ending == ".key" and f"{stem}.cert" not in files:
                raise InvalidArgument(f"the key {path}/{file} has no certificate {stem}.cert beside it")
    return found


def context(own: Certificates, others: Iterable[str] = (), *, verify: bool = True) -> ssl.SSLContext:
    """The settings of TLS for one server; ``others`` are files of further authorities to trust.

    Raises:
        InvalidArgument: a file cannot be read, or is not what its name says.
    """
    made = ssl.create_default_context()
    # Python 3.13 sets this, and earlier versions and Go do not: many private authorities lack what it asks for.
    made.verify_flags &= ~ssl.VERIFY_X509_STRICT
    for path in (*own.authorities, *others):
        try:
            made.load_verify_locations(path)
        except (OSError, ssl.SSLError) as error:
            raise InvalidArgument(f"the certificate authority {path} cannot be used: {_reason(error)}") from None
    for certificate, key in own.pairs:
        try:
            # A passphrase would be asked for on the terminal.
            made.load_cert_chain(certificate, key, password="")
        except (OSError, ssl.SSLError) as error:
            raise InvalidArgument(f"the client certificate {certificate} cannot be used: {_reason(error)}") from None
    if not verify:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    return made


def _reason(error: OSError) -> str:
    reason = getattr(error, "reason", None) or error.strerror or str(error)
    return str(reason).replace("_", " ").lower()

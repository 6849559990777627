"""Licences as SPDX wants them: expressions of names that it knows, and of names that the document itself explains."""

from __future__ import annotations

import re

#: The names that packages use most (SPDX license list).
_NAMES = (
    "0BSD AFL-2.1 AGPL-3.0-only AGPL-3.0-or-later Apache-2.0 Artistic-1.0 Artistic-1.0-Perl Artistic-2.0 BlueOak-1.0.0 "
    "BSD-1-Clause BSD-2-Clause BSD-2-Clause-Patent BSD-3-Clause BSD-4-Clause BSL-1.0 bzip2-1.0.6 CC-BY-3.0 CC-BY-4.0 CC-BY-SA-3.0 "
    "CC-BY-SA-4.0 CC0-1.0 CDDL-1.0 curl ECL-2.0 EPL-1.0 EPL-2.0 FSFUL FSFULLR FTL GFDL-1.2-or-later GFDL-1.3-or-later "
    "GPL-1.0-only GPL-1.0-or-later GPL-2.0 GPL-2.0+ GPL-2.0-only GPL-2.0-or-later GPL-3.0 GPL-3.0+ GPL-3.0-only "
    "GPL-3.0-or-later HPND ICU IJG ImageMagick ISC JSON LGPL-2.0-only LGPL-2.0-or-later LGPL-2.1 LGPL-2.1+ LGPL-2.1-only "
    "LGPL-2.1-or-later LGPL-3.0 LGPL-3.0+ LGPL-3.0-only LGPL-3.0-or-later Libpng libtiff MIT MIT-0 MPL-1.1 MPL-2.0 MS-PL NCSA "
    "NTP OFL-1.1 OLDAP-2.8 OpenSSL PHP-3.01 PostgreSQL PSF-2.0 Python-2.0 Ruby Sleepycat SSH-OpenSSH TCL TCP-wrappers Unicode-DFS-2016 "
    "Unicode-3.0 Unlicense UPL-1.0 Vim W3C WTFPL X11 Xnet Zlib ZPL-2.1"
)
KNOWN = frozenset(_NAMES.split())
_BY_SMALL = {each.lower(): each for each in KNOWN}
_EXCEPTION_NAMES = (
    "Autoconf-exception-2.0 Autoconf-exception-3.0 Bison-exception-2.2 Classpath-exception-2.0 GCC-exception-2.0 "
    "GCC-exception-3.1 LLVM-exception OpenJDK-assembly-exception-1.0 openvpn-openssl-exception"
)
_EXCEPTIONS = frozenset(_EXCEPTION_NAMES.split())
_WORDS = re.compile(r"[()]|[^\s()]+")
_UNSAFE = re.compile(r"[^A-Za-z0-9.-]+")
_PLAIN = re.compile(r"[A-Za-z0-9.+-]+")


def expression(text: str, explained: dict[str, str]) -> str:
    """What SPDX takes for a licence as a package calls it; what it does not know is put into ``explained``, by the name for it."""
    if not text:
        return "NOASSERTION"
    made: list[str] = []
    depth, wants_name = 0, True
    for word in _WORDS.findall(text):
        upper = word.upper()
        if upper in ("AND", "OR", "WITH") and not wants_name:
            made.append(upper)
            wants_name = True
        elif word == "(" and wants_name:
            depth += 1
            made.append(word)
        elif word == ")" and not wants_name and depth:
            depth -= 1
            made.append(word)
        elif wants_name and made[-1:] == ["WITH"] and word in _EXCEPTIONS:
            made.append(word)
            wants_name = False
        elif wants_name and made[-1:] != ["WITH"] and _PLAIN.fullmatch(word):
            made.append(_BY_SMALL.get(word.lower()) or _named(word, explained))
            wants_name = False
        else:
            return _named(text, explained)
    if wants_name or depth:
        return _named(text, explained)
    return " ".join(made).replace("( ", "(").replace(" )", ")")


def _named(text: str, explained: dict[str, str]) -> str:
    name = f"LicenseRef-{_UNSAFE.sub('-', text).strip('-')[:100] or 'unnamed'}"
    while explained.setdefault(name, text) != text:
        name += "-1"  # another one whose letters come to the same
    return name

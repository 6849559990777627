"""The program of `orlop.engine.init_program`, compiled from scripts/init.c by scripts/build-init: do not edit."""

from __future__ import annotations

#: Architecture → an ELF file, compressed by zlib, in base 64.
PROGRAMS = {
    "x86_64": (
        "eNqtVP9rU1cUvy99icHGJhlVOvSHJwt0MGjIGMzWVnKhkRN5omLqwOkgTbMZqMlI7sOK2qTLAt6G9z+Iv/mbP0kqtnlph1oZUzLY"
        "hMHYdMO6p51MppatfTv3vbR+F3/Yhdzzzrmfc87nfs57KcbUnS5JIqvLRXYQ4Z0nUduPtuK/yGsQjG1DXJTIpM3Gum28s1bzVu07"
        "rbxVq7Rw+35nIx7y9ivQssDvQPm3BwsHsTE9APwvOkQTQ8CX90d+gol7AqdWu+mkvOVrg23tD2tdsUgzFjFq2zFZxWS+6HffvSMq"
        "WXPmj8BvqFXv7so8e5+WevdqW2jpuES1jWhcCa0DTRto69DIA8wHZcNr3qBTJTlK4uWGOxa5j3TojCgdv2KsWJYVmaeTEnbu6u9j"
        "nTCxZK0jpOg5LfvAasSthvkrYKt9oMvtMLDsx7PYZdkXjhggLdHJj+ToaSZJYBnQO3fqT4e4yh/YnOPcgPKTh6wD9xV7v8e8Zied"
        "FhNA7oR5scHdE0iitgFDuyv3NfcgNx7fhIlvhCyfHqaH6GH62RzwlUiz1L+JMDdYs+bfLYFEnboLN797jn5CL3rxEeP0gFCYXhIn"
        "Q9MduO8HvgD8H1T7jNC0+jHKquqjoS7QWSgAVwZDASRhqfwPv1uUbta2idJBe3o/iJs0oGL4K3UM1I7aY7mu8u9Ufs3vrnXbBGYC"
        "CUL4YEgBPRFSagE76FDC5qIfX7TxUN4u0SnBbTy4S2cPA6CfCCzcXrYsyhv1D3BQCxuQi4DVFfTGZagiYAlnRctLLubBvVML1j8U"
        "yNsYrRexlumv7xGBpgiMC32nxBtjX8YeyVX7Iubi2FZVPxlS6ExJMNMPhXzTA+JlKH9rOYMxu53U+qlX5oMeNXGS0rH31vSONMXE"
        "sWpA5St4QX4ZAUG22fweKo/Gbwo5dziaYYH5eG+DbXaqOsIA/9kWHhUu3jLPVQdDPj5bvlVk7fpXNsnUE9Pjv/AvpKzXXeq57y6b"
        "U77M577IJ4+STDbD+hTSp2CsoKWOKJ9nRtNKLq+MZPLpFMvlj6/Hw1Qym80xZTitpMfSKY2lR9a/6bveSxMwENYK+fBoLpUcDReG"
        "M9m+Z/w19+mB/eC4uBHSUzhSYHmWHCY9LD3GSE8+N5JkSfK/rHb8iUF6Xvp/c1aq7Xm89EJ+sBVztXzxEjrW8c++gFfIy/XaXsFr"
        "tpX/Lnlz//8AnoKd4w=="
    ),
    "aarch64": (
        "eNqlVF1oW2UYfs9P2qyNXfozjRTMmeuFSGkv3CCWSU9mJwMVajkXupsuTVITqI35KXTNxC9dVWy96KkDRWjX4rxoRVjROvYDTRFl"
        "oLvwOLzyJ00ZVsVJsCipi8fnOzn9iwMFP/jyve/zPu/7vT8n38vHn3pCFATaWiJdIq5dJNXSVRu/7timAPOBp5KDZIvrsPjlteW3"
        "dW7ItOd02rxnbqVCVfTfl9s+cxLpLxGdW5doIScJC6uSuJCXpIU1SV6QiRnI52ZW6v3aJY4aZrD18x/A+xG8KthKaZovwb+W1OKp"
        "aL+POehITtoHP7UoV9MSUpwca2nUX2ki/afHSXfBRyE29YuD9fDYc6Q+2rlO8RaPOjJXTVrISR+tkDzRudFZcDlJezra4huTSe8S"
        "5AkCPxA95ctEFB/apH9P9PO4aWpruC8vVSPvGivf2WZm3DDNt7yHaTHrIM3rpEXZo11Bbtp5gQpzAutRmtjJGqIm7zWKZwTaFaN2"
        "O8Y1xEBvniyl1Xm79gneh89w96emeV+G564K8Tn4Z2TIshD3c9kJuVuIrxJkF2RFiGe47Ia8QfHZP0yNFNIvIcb5O97CAGx+u873"
        "sK8Cb7V7k9k0D3NsCVgefZeAq5Ggb5boCM/Tj01OZuiwB8Er4rwFXim9bM1lVXJY9XA/ETtby4xXUdcmeKX00vxtcGUBcwS3CjND"
        "j6fW3iU9f5Z0HjvXSMWcmxmn4bM7zkGRGQw9SgJn1px3bALPsZEZAxU+HGcHmNEPfO0T0rlNHB238NwjdHlWYkYvbHncz3OS7Pr4"
        "/c8Bzwpq0StT4YZI2oqT9Kyf9JV7hImTsKHmh/EpT9LRBv3jXdwPMI/sPrW4CGzZSfELHm0kAMziPtugv89nvJ8ZH+I8TqznV/TF"
        "srkb9N+25C8a9DkeE7zf7f56iQrjyGMWWAHYMr5F/OW1Va96+UEPJVQS6w8ePfEVnVHfxPf+zjqfX7Jc86FyL6aYApl/p4jl+svU"
        "8ujJ6tmd2pV6ZjTzfvD7uqhA4CDzL3vBp+v+zdeh756vgj7tB/827hqMKS8mYs8nAi9QdDCa6lCoQwGWHApGlP7oQFiJJZRQNBEO"
        "pmKJ0zUwBgODg7GU0hdWwsPh4FAqHKqhbr924rH2oWSifSAWDAy0J/uigx279G11x2AJZRU/e98ZYaSH5OEHhGaX18I82G/8aZqK"
        "bednK/bbwBh/BI/VTSpd06PyTEZO13z7XR35a7lfN3/77pjmQ7ZfE3aIv4MlGztW554WZwQe/wy/B/g3PJ6/7qIwfe/MAc5pS0aS"
        "qUQq0EdtqfBwitoSsVAgFaC2cKS3H20L0/9etbxm7Kp/vOPldVPay5cr/Ottf9HWx2TVPsv6axV8oUK/v8Lf7VDts6yfq+A77xJP"
        "uktdF2z/Q/9y/99Fu/hD"
    ),
}

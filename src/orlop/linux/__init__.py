"""The kernel, one module per facility: system calls and the files of /proc and /sys, typed.

Nothing here knows what a container is. Import the facility's module; this package re-exports nothing,
so that a command pays only for what it uses.
"""

"""Docker's Engine API over HTTP, on the engine that the command line embeds: words and wire format, nothing else.

One process with one thread and one event loop. What is quick is done where it is; what takes time, forks or waits for
somebody is done by a child (`children`), so that nothing that a client asks for holds up another one.
"""

"""Names on networks: every container asks 127.0.0.11, and is told of the networks that it is on.

General layout: `sockets` opens, inside a container's network namespace, where it is going to ask; whoever looks after the
container holds these. With the first question they are handed to the engine's one resolver, `service`, a process with one
`loop`: for each container it has a `client`, which looks a name up in the `book` of all endpoints, kept by `watch`,
and has what is not in there asked of the host's resolvers (`upstream`) by `forward`. `message` knows the wire format.

`resolv_conf`, `hosts_file` and `links` are texts: what containers find in their /etc, and in their environment.
"""

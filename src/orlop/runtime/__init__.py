"""An OCI bundle becomes a process: the verbs of the runtime specification, and `orlop-runtime`'s command line."""

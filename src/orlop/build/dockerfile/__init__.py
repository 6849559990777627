"""The language of Dockerfiles, as values: no module here reads a file or runs anything."""

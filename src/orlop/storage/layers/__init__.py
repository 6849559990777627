"""Layers: the difference between a file tree and its parent as a tar archive, made and unpacked."""

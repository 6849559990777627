"""Blobs by digest, and snapshots of file trees: what images are made of on disk."""

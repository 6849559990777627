"""Images: pulled, pushed, saved, loaded, removed and listed, beside docker and podman on the same machine.

All of them get the same image from the same registry on loopback, and begin with a store that does not have it.
"""

"""Builds: the same Dockerfiles beside docker's classic builder and buildah on the same machine.

All of them have the base image before anything is measured, and no step needs a network.
"""

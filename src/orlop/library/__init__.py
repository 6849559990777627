"""Containers from Python: what `orlop.Engine` gives, over the functions of `orlop.engine` that the command line uses.

`orlop` names what is public; nothing of this is imported before somebody asks for it.
"""

"""Ports of containers that can be reached from outside: what users say, who holds them, and what serves them."""

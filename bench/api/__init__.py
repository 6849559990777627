"""What Docker's clients wait for, from `orlop serve` and from dockerd."""

"""What networks cost: at a container's start, for many at once, and for what goes through them."""

"""A Dockerfile becomes an image: the language, the graph of its steps, and their results by content."""

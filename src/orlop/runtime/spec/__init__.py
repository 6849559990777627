"""The runtime specification's ``config.json``: read, checked, and its terms translated. Nothing here has effects."""

"""Images: their names, manifests and configurations, the registries and archives that they come from."""

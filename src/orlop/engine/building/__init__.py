"""What builds need of the engine: base images, containers for their steps, and room in the store."""

"""Images as files: Docker's archives and OCI image layouts, as tar files and as directories."""

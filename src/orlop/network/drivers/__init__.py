"""What connects containers: one module for each driver."""

"""What software is in an image: found in the package databases that are among its files, and written down as SPDX."""

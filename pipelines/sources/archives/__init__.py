"""Archives: tar, zip, wheels, crates, npm tarballs and Debian packages, read with limits."""

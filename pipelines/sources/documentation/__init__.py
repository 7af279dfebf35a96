"""Documentation of packages and repositories: pages of HTML, man and mdoc, Markdown and metadata as plain Markdown."""

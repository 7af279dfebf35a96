"""Where speed is won: products, losses and attention by hand."""

"""Wikipedia's dumps of pages, and wikitext as text."""

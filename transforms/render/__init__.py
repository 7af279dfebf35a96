"""From rows to training documents: text and sentinels, one renderer a kind."""

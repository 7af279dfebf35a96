"""Fine-tuning of taggers such as StarPII: annotated texts, planted ones where there are none, training, and scores."""

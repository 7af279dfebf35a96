"""StarCoder and StarCoder2 as one decoder, generation with it, and its exchange with Hugging Face. Imports torch and core only."""

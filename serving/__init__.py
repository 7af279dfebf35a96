"""A trained model behind a port: OpenAI's API and that of Text Generation Inference, over one engine of continuous batching."""

"""The OpenAI API for language models: chat, completions, and the list of models."""

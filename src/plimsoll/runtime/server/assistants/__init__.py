"""Assistants behind the server: an index and a language model of the same server answer a question together."""

"""Pinecone over its documented HTTP API: a namespace of the user's index for each version of an index."""

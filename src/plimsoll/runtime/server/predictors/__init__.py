"""Predictors that are the user's own code: a function in worker processes, an HTTP server, a pipeline of steps."""

"""Beside a service that fails over: leads requests to its standby, and says by the weights of its route who answers."""

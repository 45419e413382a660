"""Policies of an application where something begins: facts are gathered here, and judged by `plimsoll.policy`."""

"""The agent of a device: it syncs with its group's place, keeps the services up, and goes on without a link."""

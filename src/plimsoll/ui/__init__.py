"""The live page: runs, models, services and checks of applications, and three acts that need a confirmation."""

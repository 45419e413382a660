"""Scripts that must be up before a gang's workers. Each runs by its path with the python of the step, not with ours."""

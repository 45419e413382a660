"""What may run and be served: gates, rules in Rego, the same for objects of a cluster, and evidence by clause."""

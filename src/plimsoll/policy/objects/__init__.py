"""What pods of a cluster may ask for: the rules, judged on manifests here and rendered for admission there."""

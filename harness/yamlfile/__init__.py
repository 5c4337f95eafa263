"""YAML files that the user writes, with the place of every value: scenarios and machines."""

"""What a user writes: recipe, target, list of images; YAML to types, once."""
